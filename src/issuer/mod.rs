//! Issuers that mint: what is asked of an issuer's own server, and what its answer is worth.
//!
//! Owns, for each kind, the request that mints a token, the reading of the answer, and the request that revokes it.
//! What was received is compared with what was asked: a wider or a narrower answer is no token, and what came is handed
//! back to be revoked. Pure: whoever drives it sends the requests, keeps the clock and draws the randomness. Must never
//! put a credential, a token or a server's free text into an error: such text may repeat what it was sent.

mod answer;
pub mod github_app;
pub mod jws;
pub mod oauth;

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};

use crate::{
    api::problem::Code,
    error::Error,
    scope::{Scope, Wanted},
    secret::Secret,
};

/// The settings of an issuer that mints, by kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Native {
    /// An OAuth 2.0 authorization server, by its client credentials (RFC 6749 section 4.4).
    OAuth(oauth::Settings),
    /// A GitHub App's installation.
    GithubApp(github_app::Settings),
}

/// What is to be minted.
#[derive(Clone, Copy, Debug)]
pub struct Order<'a> {
    /// Scopes and resources.
    pub what: &'a Wanted,
    /// How long the token is wanted for.
    pub ttl: Duration,
}

/// The moment of a request, and a random value that no other request has.
#[derive(Clone, Copy, Debug)]
pub struct Draw {
    /// Wall time, as the issuer's clock has it: milliseconds since 1970 (UTC).
    pub now_ms: i64,
    /// Random.
    pub nonce: [u8; 16],
}

/// A request to the issuer's server.
#[derive(Debug)]
pub struct Call {
    /// The server's URL, without the path.
    pub base_url: String,
    /// Whether it may be an address of this machine or network.
    pub allow_private: bool,
    /// The request, with a path below that.
    pub request: Request<Bytes>,
}

/// A token that was issued for exactly what was asked.
#[derive(Debug)]
pub struct Issued {
    /// The token.
    pub token: Secret,
    /// When it ends by itself, in milliseconds since 1970 (UTC).
    pub ends_ms: i64,
}

/// Why there is no token; each is the next step.
#[derive(Debug)]
pub enum Failure {
    /// Try again: the server is busy, or asked to wait.
    Later {
        /// What it said of when.
        after: Option<Duration>,
        /// The status that it answered with.
        status: u16,
    },
    /// The credential or the client is not accepted: rotate it.
    Credential(String),
    /// Somebody who administers the issuer has to change something.
    Administrator(String),
    /// What was asked cannot be had in this form.
    Narrow(String),
    /// The settings do not fit the server.
    Settings(String),
    /// The answer cannot be read, or is not what was asked. What came with it is to be revoked.
    Answer {
        /// What is wrong with it.
        what: String,
        /// The token that came.
        token: Option<Secret>,
    },
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
}

/// What every kind can do.
pub trait Issuer {
    /// How long its tokens live.
    fn limits(&self) -> Limits;
    /// Whether what is wanted can be said to this issuer at all; found out before anything is sent.
    fn check(&self, what: &Wanted) -> Result<(), Failure>;
    /// The scopes that it has; empty where any scope is passed on as it is.
    fn scopes(&self) -> Vec<Scope>;
    /// The variables that tools read its token from.
    fn variables(&self) -> &[String];
    /// The request that mints.
    fn mint(&self, order: &Order<'_>, credential: &Secret, draw: &Draw) -> Result<Call, Failure>;
    /// What came of it.
    fn read(&self, order: &Order<'_>, answer: &Response<Bytes>, draw: &Draw) -> Result<Issued, Failure>;
    /// The request that ends a token early, where there is one.
    fn revoke(&self, token: &Secret, credential: &Secret, draw: &Draw) -> Result<Option<Call>, Failure>;
    /// Whether that answer means that the token works no more.
    fn is_revoked(&self, answer: &Response<Bytes>) -> bool;
}

impl Native {
    /// What this kind can do.
    pub fn issuer(&self) -> &dyn Issuer {
        match self {
            Self::OAuth(settings) => settings,
            Self::GithubApp(settings) => settings,
        }
    }

    /// The kind's word in the config.
    pub fn word(&self) -> &'static str {
        match self {
            Self::OAuth(_) => "oauth",
            Self::GithubApp(_) => "github-app",
        }
    }

    /// The host that mints, for people.
    pub fn host(&self) -> &str {
        let url = match self {
            Self::OAuth(settings) => &settings.token_url,
            Self::GithubApp(settings) => &settings.base_url,
        };
        url.split_once("://").map_or(url.as_str(), |(_, rest)| rest.split('/').next().unwrap_or(rest))
    }
}

impl Failure {
    /// Whether the same request may be sent again by itself.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Later { .. })
    }

    /// For the user: what went wrong with the issuer `name`, and the next step.
    pub fn explain(&self, name: &str, host: &str) -> Error {
        match self {
            Self::Later { after, status } => {
                let when =
                    after.map_or_else(|| "in a moment".into(), |after| format!("in {} s", after.as_secs().max(1)));
                Error::new(Code::UpstreamUnreachable, format!("{host} gave no token for {name}: it answered {status}"))
                    .hint(format!("ask again {when}"))
            }
            Self::Credential(what) => Error::new(
                Code::UpstreamRefused,
                format!("{host} does not accept the credential of {name}: {what}"),
            )
            .hint(format!(
                "give it the present one: hallpass issuer show {name} names it, then hallpass credential rotate NAME"
            )),
            Self::Administrator(what) => {
                Error::new(Code::UpstreamRefused, format!("{host} refused a token for {name}: {what}"))
                    .hint("ask whoever administers it to allow that, or ask for less")
            }
            Self::Narrow(what) => Error::new(Code::InvalidValue, format!("{name}: {what}"))
                .hint(format!("hallpass issuer show {name} says what its tokens can be narrowed to")),
            Self::Settings(what) => Error::new(Code::Config, format!("{name}: {what}"))
                .hint(format!("look at [issuers.{name}] in the config")),
            Self::Answer { what, .. } => {
                Error::new(Code::UpstreamRefused, format!("what {host} gave for {name} is not handed out: {what}"))
                    .hint("ask for exactly what it gives, or have its administrator give exactly that")
            }
        }
    }
}

/// A URL as the server's part and the path; `None` where it is none, or has more to it.
fn split_url(url: &str) -> Option<(&str, &str)> {
    let start = url.find("://")? + 3;
    let path = url.get(start..)?.find('/').map_or(url.len(), |at| start + at);
    let (base, path) = (url.get(..path)?, url.get(path..)?);
    let plain = !url.contains(['?', '#', '@', '\\', '%']) && base.len() > start;
    plain.then_some((base, if path.is_empty() { "/" } else { path }))
}

#[cfg(test)]
mod tests {
    use super::split_url;

    #[test]
    fn a_url_has_a_server_and_a_path() {
        assert_eq!(split_url("https://a.b:1/c/d"), Some(("https://a.b:1", "/c/d")));
        assert_eq!(split_url("https://a.b"), Some(("https://a.b", "/")));
        for odd in ["a.b/c", "https://", "https:///c", "https://u@a/c", "https://a/c?d", "https://a/%2e"] {
            assert_eq!(split_url(odd), None, "{odd}");
        }
    }
}
