//! Issuers that mint: what is asked of an issuer's own server, and what its answer is worth.
//!
//! Owns, for each kind, the requests that mint a token, the reading of the answers, and the requests that revoke it: each
//! answer leads to the next request or to the end ([`Next`]). What was received is compared with what was asked: a wider or
//! a narrower answer is no token, and what came is handed back to be revoked. Pure: whoever drives it sends the requests,
//! keeps the clock and draws the randomness. Must never put a credential, a token or a server's free text into an error:
//! such text may repeat what it was sent.

mod answer;
pub mod anthropic;
pub mod assertion;
pub mod aws;
pub mod entra;
mod failure;
mod federation;
mod form;
pub mod gcp;
pub mod github_app;
pub mod jws;
pub mod oauth;
pub mod openai;
pub mod openrouter;
pub mod vault;

use std::{collections::BTreeMap, fmt, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use serde::{Deserialize, Serialize};

pub use failure::Failure;

use crate::{
    identity::Device,
    scope::{Scope, Wanted},
    secret::Secret,
};

/// What is to be minted.
#[derive(Clone, Copy, Debug)]
pub struct Order<'a> {
    /// Scopes and resources.
    pub what: &'a Wanted,
    /// How long the token is wanted for.
    pub ttl: Duration,
    /// For whom.
    pub who: &'a Who,
}

/// For whom a token is: what an issuer is told, so that its own records name more than a machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Who {
    /// The person who answers for the principal.
    pub owner: String,
    /// The principal.
    pub principal: String,
    /// The task's id.
    pub task: Option<String>,
}

/// The moment of a request, and a random value that no other request has.
#[derive(Clone, Copy, Debug)]
pub struct Draw {
    /// Wall time, as the issuer's clock has it: milliseconds since 1970 (UTC).
    pub now_ms: i64,
    /// Random.
    pub nonce: [u8; 16],
}

impl Draw {
    /// The random value as text, for an assertion's `jti`.
    pub fn id(&self) -> String {
        self.nonce.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// What a request proves its right with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// A credential of the store.
    Stored,
    /// The identity of this device: its keys sign, and nothing is kept for the issuer alone.
    Device,
}

/// The same with its bytes.
#[derive(Debug)]
pub enum Credential {
    /// A credential of the store.
    Stored(Secret),
    /// The identity of this device.
    Device(Box<Device>),
}

/// A request to an issuer's server.
#[derive(Debug)]
pub struct Call {
    /// The server's URL, without the path.
    pub base_url: String,
    /// Whether it may be an address of this machine or network.
    pub allow_private: bool,
    /// The request, with a path below that.
    pub request: Request<Bytes>,
}

impl Call {
    /// A question without a body.
    pub fn get(url: &str, allow_private: bool) -> Result<Self, Failure> {
        let odd = || Failure::Settings("one of its URLs is no https URL".into());
        let (base_url, path) = split_url(url).ok_or_else(odd)?;
        let request = Request::get(path).header(http::header::ACCEPT, "application/json").body(Bytes::new());
        Ok(Self { base_url: base_url.to_owned(), allow_private, request: request.map_err(|_| odd())? })
    }
}

/// What comes next. A kind that needs no server is done at once; one that needs several calls goes from each answer to the
/// next. A failure starts over with the first: nothing that was signed or drawn is sent twice.
pub enum Next<'a, T> {
    /// This is sent, and its answer judged.
    Call(Box<Step<'a, T>>),
    /// The credential was exchanged for this one and may work no more: it is stored before anything else is done, also
    /// where what follows is a failure. Only for a credential of the store.
    Rotated {
        /// The new one.
        credential: Secret,
        /// What follows.
        then: Box<Result<Next<'a, T>, Failure>>,
    },
    /// That was all.
    Done(T),
}

/// One call, and what its answer leads to.
pub struct Step<'a, T> {
    /// The call.
    pub call: Call,
    /// Judges the answer; the draw is a new one, and its time that before the call.
    pub then: Judge<'a, T>,
}

/// Judges an answer.
pub type Judge<'a, T> = Box<dyn FnOnce(&Response<Bytes>, &Draw) -> Result<Next<'a, T>, Failure> + 'a>;

impl<'a, T> Next<'a, T> {
    /// Sends this, and judges the answer by `then`.
    pub fn call(call: Call, then: impl FnOnce(&Response<Bytes>, &Draw) -> Result<Self, Failure> + 'a) -> Self {
        Self::Call(Box::new(Step { call, then: Box::new(then) }))
    }
}

impl<T: fmt::Debug> fmt::Debug for Next<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Call(step) => f.debug_tuple("Call").field(&step.call).finish(),
            Self::Rotated { then, .. } => f.debug_tuple("Rotated").field(then).finish(),
            Self::Done(what) => f.debug_tuple("Done").field(what).finish(),
        }
    }
}

/// What was issued, for exactly what was asked.
#[derive(Debug)]
pub struct Issued {
    /// The token; of several strings that belong together, the one that the others are worth nothing without.
    pub token: Secret,
    /// The others, by their names: `access_key_id`, `username`.
    pub parts: BTreeMap<String, Secret>,
    /// When it ends by itself, in milliseconds since 1970 (UTC).
    pub ends_ms: i64,
    /// What ends it early, where that is not the token itself: an accessor, a lease's id.
    pub handle: Option<Secret>,
    /// The key that it is bound to, where it is worth nothing without one (PKCS #8). It is not handed out.
    pub key: Option<Secret>,
}

impl Issued {
    /// One token that is all there is.
    pub fn token(token: Secret, ends_ms: i64) -> Self {
        Self { token, parts: BTreeMap::new(), ends_ms, handle: None, key: None }
    }

    /// What it is revoked by.
    pub fn handle(&self) -> &Secret {
        self.handle.as_ref().unwrap_or(&self.token)
    }
}

/// What a server says of a token that it issued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// Whether it works.
    pub active: bool,
    /// What it may do, in the server's words.
    pub scope: Option<String>,
    /// For whom it is.
    pub audience: Vec<String>,
    /// When it ends, in milliseconds since 1970 (UTC).
    pub ends_ms: Option<i64>,
}

/// How long a kind's tokens live, and what can be done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The shortest life; `None` where the request cannot say.
    pub least: Option<Duration>,
    /// The longest life; `None` where the server decides.
    pub most: Option<Duration>,
    /// Whether a token can be ended early.
    pub revocable: bool,
    /// What decides what its tokens may do.
    pub scope: Narrowed,
    /// What decides to what they may do it.
    pub resource: Narrowed,
    /// What decides how long they live.
    pub life: Narrowed,
}

/// Where something about a token is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Narrowed {
    /// For each token: what was asked for is what it is.
    Token,
    /// At the issuer, once, for every token of this configuration.
    Issuer,
    /// Nowhere.
    Never,
}

/// What every kind can do.
pub trait Issuer {
    /// How long its tokens live, and what narrows them.
    fn limits(&self) -> Limits;
    /// What it proves its right to tokens with.
    fn proof(&self) -> Proof {
        Proof::Stored
    }
    /// Whether its credential is replaced by its use, so that only one may use it at a time.
    fn rotates(&self) -> bool {
        false
    }
    /// The servers that it asks, by the setting that names each; the first one mints.
    fn urls(&self) -> Vec<(&'static str, &str)>;
    /// The server that mints, for people.
    fn server(&self) -> String {
        self.urls().first().map_or("this device", |(_, url)| url).to_owned()
    }
    /// Whether they may be on this machine or in this network, also over plain http.
    fn allow_private(&self) -> bool;
    /// What is wrong with the settings beyond their form, where something is.
    fn flaw(&self) -> Option<String> {
        None
    }
    /// Whether what is wanted can be said to this issuer at all; found out before anything is sent.
    fn check(&self, what: &Wanted) -> Result<(), Failure>;
    /// The scopes that it has; empty where any scope is passed on as it is.
    fn scopes(&self) -> Vec<Scope>;
    /// The variables that tools read its token from; `NAME=PART` for another part of what was issued.
    fn variables(&self) -> &[String];
    /// Mints.
    fn mint<'a>(
        &'a self,
        order: Order<'a>,
        credential: &'a Credential,
        draw: &Draw,
    ) -> Result<Next<'a, Issued>, Failure>;
    /// Ends what was issued early, by its handle: whether it works no more. `None` where nothing can.
    fn revoke<'a>(
        &'a self,
        _handle: &'a Secret,
        _credential: &'a Credential,
        _draw: &Draw,
    ) -> Result<Option<Next<'a, bool>>, Failure> {
        Ok(None)
    }
    /// Asks the server what it says of a token, by its handle. `None` where it takes no such question.
    fn inspect<'a>(
        &'a self,
        _handle: &'a Secret,
        _credential: &'a Credential,
        _draw: &Draw,
    ) -> Result<Option<Next<'a, Inspection>>, Failure> {
        Ok(None)
    }
}

impl Credential {
    /// The stored one.
    pub fn stored(&self) -> Result<&Secret, Failure> {
        match self {
            Self::Stored(secret) => Ok(secret),
            Self::Device(_) => Err(Failure::Settings("it needs a credential".into())),
        }
    }

    /// The device's identity.
    pub fn device(&self) -> Result<&Device, Failure> {
        match self {
            Self::Device(device) => Ok(device),
            Self::Stored(_) => {
                Err(Failure::Settings("it is proved by this device's identity, not a credential".into()))
            }
        }
    }

    /// An assertion of the device for whoever the order is for; `life` in seconds.
    fn assertion(
        &self,
        order: &Order<'_>,
        audience: &str,
        life: i64,
        alg: jws::Algorithm,
        draw: &Draw,
    ) -> Result<String, Failure> {
        let jwt = self.device()?.assertion(order.who, audience, life, alg, draw);
        jwt.map_err(|error| Failure::Credential(error.to_string()))
    }
}

macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $kind:ident $word:literal $module:ident;)+) => {
        /// The settings of an issuer that mints, by kind; the kind's word in the config is the variant's name here.
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
        pub enum Native {
            $($(#[doc = $doc])+ #[serde(rename = $word)] $kind($module::Settings),)+
        }

        impl Native {
            /// Every kind's word.
            pub const WORDS: &[&str] = &[$($word),+];

            /// What this kind can do.
            pub fn issuer(&self) -> &dyn Issuer {
                match self {
                    $(Self::$kind(settings) => settings,)+
                }
            }

            /// The kind's word in the config.
            pub fn word(&self) -> &'static str {
                match self {
                    $(Self::$kind(_) => $word,)+
                }
            }
        }
    };
}

kinds! {
    /// An OAuth 2.0 authorization server, by its client credentials (RFC 6749 section 4.4).
    OAuth "oauth" oauth;
    /// A GitHub App's installation.
    GithubApp "github-app" github_app;
    /// Assertions of this device, as they are.
    Assertion "assertion" assertion;
    /// Anthropic's workload identity federation.
    Anthropic "anthropic" anthropic;
    /// OpenAI's workload identity federation.
    OpenAi "openai" openai;
    /// OpenRouter's workload identity federation.
    OpenRouter "openrouter" openrouter;
    /// Google Cloud's workload identity federation.
    Gcp "gcp" gcp;
    /// AWS's Security Token Service and IAM Roles Anywhere.
    Aws "aws" aws;
    /// Microsoft Entra.
    Entra "entra" entra;
    /// OpenBao or Vault.
    Vault "vault" vault;
}

impl Native {
    /// Whether this is the word of a kind that mints.
    pub fn is_word(word: &str) -> bool {
        Self::WORDS.contains(&word)
    }

    /// The host that mints, for people.
    pub fn host(&self) -> String {
        let url = self.issuer().server();
        url.split_once("://").map_or(url.as_str(), |(_, rest)| rest.split('/').next().unwrap_or(rest)).to_owned()
    }
}

/// A URL as the server's part and the path; `None` where it is none, or has more to it.
pub fn split_url(url: &str) -> Option<(&str, &str)> {
    let start = url.find("://")? + 3;
    let path = url.get(start..)?.find('/').map_or(url.len(), |at| start + at);
    let (base, path) = (url.get(..path)?, url.get(path..)?);
    let plain = !url.contains(['?', '#', '@', '\\', '%']) && base.len() > start;
    plain.then_some((base, if path.is_empty() { "/" } else { path }))
}

#[cfg(test)]
mod tests {
    use super::{Who, split_url};

    /// An order for nobody in particular.
    pub(super) fn nobody() -> &'static Who {
        static NOBODY: Who = Who { owner: String::new(), principal: String::new(), task: None };
        &NOBODY
    }

    #[test]
    fn a_url_has_a_server_and_a_path() {
        assert_eq!(split_url("https://a.b:1/c/d"), Some(("https://a.b:1", "/c/d")));
        assert_eq!(split_url("https://a.b"), Some(("https://a.b", "/")));
        for odd in ["a.b/c", "https://", "https:///c", "https://u@a/c", "https://a/c?d", "https://a/%2e"] {
            assert_eq!(split_url(odd), None, "{odd}");
        }
    }
}
