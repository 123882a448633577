//! Where the credential of a request to a remote MCP server comes from.
//!
//! Owns how long one is kept and what follows when the server refuses it. A token is kept until shortly before it ends;
//! the credential itself is asked for again after [`HOLD`], so that a grant that is taken back, or a key that is
//! rotated, counts soon. Must never log what it holds.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use http::{HeaderName, HeaderValue, Uri};
use tokio::sync::Mutex;

use super::{
    challenge::Challenge,
    endpoint::{Endpoint, HeaderRule},
    task::OwnTask,
};
use crate::{
    api::{
        helper::{Given, HelperAnswer, HelperRequest},
        problem::Code,
    },
    client::Client,
    error::{Error, Result},
    paths::Paths,
    scope::Wanted,
};

/// How long a released credential is used before the daemon is asked again.
pub const HOLD: Duration = Duration::from_secs(60);
/// How long the daemon may wait for a person, at the most.
const PATIENCE: Duration = Duration::from_secs(600);

/// A source of credentials.
///
/// A sign-in by OAuth is one more of these: it gets the server's challenge in [`Source::refused`].
pub enum Source {
    /// The config names none, and none is sent.
    Nothing,
    /// The daemon, by the config's `want`.
    Daemon(Box<Daemon>),
}

/// What goes out with one request.
#[derive(Clone, Default)]
pub struct Fresh {
    /// The header; none where nothing is configured.
    pub header: Option<(HeaderName, HeaderValue)>,
    /// The address, where the credential is a part of it.
    pub address: Option<Uri>,
    number: u64,
}

impl Source {
    /// What the next request carries.
    ///
    /// # Errors
    /// What the daemon says.
    pub async fn header(&self) -> Result<Fresh> {
        match self {
            Self::Nothing => Ok(Fresh::default()),
            Self::Daemon(daemon) => daemon.header().await,
        }
    }

    /// The server said 401: whether to ask again with a new one. Once is enough for what has expired or was rotated.
    ///
    /// # Errors
    /// It makes no sense to try again; why, and what a person can do.
    pub async fn refused(&self, server: &str, fresh: &Fresh, challenge: &Challenge, first: bool) -> Result<()> {
        match self {
            Self::Daemon(daemon) if first => {
                daemon.forget(fresh.number).await;
                Ok(())
            }
            _ => Err(self.explain(server, challenge)),
        }
    }

    /// The error for a 401 that stays.
    fn explain(&self, server: &str, challenge: &Challenge) -> Error {
        let sent = match self {
            Self::Nothing => "and the config names none",
            Self::Daemon(_) => "and refused the one it got, twice",
        };
        let again = format!(
            "hallpass credential add KEY, then hallpass mcp remove {server} and hallpass mcp add {server} URL --want KEY:release"
        );
        if challenge.is_oauth() {
            let scope = challenge.scope.as_ref().map(|scope| format!(", for {scope}")).unwrap_or_default();
            let text = format!("the MCP server {server} wants a sign-in (OAuth{scope}) {sent}");
            return Error::new(Code::TokenInvalid, crate::principal::printable(&text))
                .hint(format!("hallpass does not sign in yet; where the server takes an API key too: {again}"));
        }
        let error = Error::new(Code::TokenInvalid, format!("the MCP server {server} wants a credential {sent}"));
        match self {
            Self::Nothing => error.hint(again),
            Self::Daemon(daemon) => error.hint(format!(
                "hallpass credential rotate {}, or another header: hallpass mcp add ... --header 'X-Api-Key: {{}}'",
                daemon.want.issuer
            )),
        }
    }

    /// Ends the task, and with it every token. The daemon does so by itself when this process is gone.
    pub fn end(&self) {
        if let Self::Daemon(daemon) = self {
            daemon.end();
        }
    }
}

/// The way to ask the daemon.
pub struct Daemon {
    paths: Paths,
    server: String,
    claim: String,
    want: Wanted,
    place: String,
    rule: Option<HeaderRule>,
    address: Option<Endpoint>,
    through_gateway: bool,
    kept: Mutex<Kept>,
    task: Arc<OwnTask>,
}

#[derive(Default)]
struct Kept {
    number: u64,
    held: Option<(Fresh, Instant)>,
}

/// What a bridge asks for.
pub struct Asked {
    /// The server's name.
    pub server: String,
    /// Who asks, where nothing else says so.
    pub claim: String,
    /// What is asked for.
    pub want: Wanted,
    /// What it is for: the server's address without its query.
    pub place: String,
    /// The config's header.
    pub rule: Option<HeaderRule>,
    /// The server's address, where that has the credential's place.
    pub address: Option<Endpoint>,
    /// Whether requests go to the gateway.
    pub through_gateway: bool,
}

impl Daemon {
    /// Nothing is asked yet.
    pub fn new(paths: Paths, asked: Asked) -> Self {
        let Asked { server, claim, want, place, rule, address, through_gateway } = asked;
        let task = OwnTask::new(format!("mcp:{server}"), Some(claim.clone()), Some(vec![want.clone()]));
        let kept = Mutex::default();
        Self { paths, server, claim, want, place, rule, address, through_gateway, kept, task: Arc::new(task) }
    }

    /// What is kept, or a new one. Requests that come together wait for one question.
    async fn header(&self) -> Result<Fresh> {
        let mut kept = self.kept.lock().await;
        if let Some((fresh, until)) = &kept.held
            && Instant::now() < *until
        {
            return Ok(fresh.clone());
        }
        kept.held = None;
        let question = Question {
            paths: self.paths.clone(),
            claim: self.claim.clone(),
            want: self.want.clone(),
            place: self.place.clone(),
            task: self.task.clone(),
        };
        let answer = tokio::task::spawn_blocking(move || question.ask());
        let answer = answer.await.map_err(|_| Error::internal("the question to the daemon broke off"))??;
        kept.number += 1;
        let number = kept.number;
        let (fresh, life) = match &self.address {
            Some(address) => (Fresh { header: None, address: Some(self.filled(address, &answer)?), number }, HOLD),
            None => {
                let (header, life) = self.header_of(&answer)?;
                (Fresh { header: Some(header), address: None, number }, life)
            }
        };
        kept.held = Some((fresh.clone(), Instant::now() + life));
        Ok(fresh)
    }

    async fn forget(&self, number: u64) {
        let mut kept = self.kept.lock().await;
        if kept.number == number {
            kept.held = None;
        }
    }

    /// The address with the credential in it.
    fn filled(&self, address: &Endpoint, answer: &HelperAnswer) -> Result<Uri> {
        let secret = answer.secret.expose().trim_end_matches(['\r', '\n']);
        address.fill(secret).ok_or_else(|| {
            Error::new(Code::InvalidValue, format!("{} does not fit into a URL", answer.issuer))
                .hint(format!("hallpass credential rotate {}", answer.issuer))
        })
    }

    /// The header, and how long it may be used.
    fn header_of(&self, answer: &HelperAnswer) -> Result<((HeaderName, HeaderValue), Duration)> {
        if (answer.kind == Given::Gateway) != self.through_gateway {
            return Err(Error::new(Code::Config, format!("what {} gets has changed in the config", self.server))
                .hint("start the server again in the client"));
        }
        let unfit = || {
            Error::new(Code::InvalidValue, format!("{} does not fit into a header", answer.issuer))
                .hint(format!("hallpass credential rotate {}", answer.issuer))
        };
        let secret = answer.secret.expose().trim_end_matches(['\r', '\n']);
        let (name, value) = match (&self.rule, &answer.header) {
            (Some(rule), _) if answer.kind == Given::Static => (rule.name.clone(), rule.fill(secret)),
            (_, Some(header)) => {
                let name = header.name.parse().map_err(|_| unfit())?;
                let encoded = zeroize::Zeroizing::new(match header.base64 {
                    true => BASE64_STANDARD.encode(secret),
                    false => secret.to_owned(),
                });
                (
                    HeaderName::clone(&name),
                    HeaderRule { name, before: header.prefix.clone(), after: String::new() }.fill(&encoded),
                )
            }
            (_, None) => {
                return Err(Error::new(
                    Code::InvalidValue,
                    format!("{}'s API takes its key in no header", answer.issuer),
                )
                .hint(format!(
                    "hallpass mcp add {} URL --want {} --header 'Authorization: Bearer {{}}'",
                    self.server, self.want
                )));
            }
        };
        let left = answer.expires_at.as_ref().and_then(|at| at.parse::<jiff::Timestamp>().ok()).map(|at| {
            let seconds = at.as_second().saturating_sub(jiff::Timestamp::now().as_second());
            // The last tenth is for requests that are on their way.
            Duration::from_secs(u64::try_from(seconds).unwrap_or(0)).mul_f64(0.9)
        });
        Ok(((name, value.ok_or_else(unfit)?), left.unwrap_or(HOLD)))
    }

    fn end(&self) {
        // The daemon ends it by itself when this process is gone: a failure here loses nothing.
        let _ = self.task.end(&self.paths);
    }
}

/// One question, on a thread of its own: it may wait for a person.
struct Question {
    paths: Paths,
    claim: String,
    want: Wanted,
    place: String,
    task: Arc<OwnTask>,
}

impl Question {
    fn ask(self) -> Result<HelperAnswer> {
        let mut client = Client::connect(&self.paths, true)?;
        self.task.open(&mut client)?;
        let request = HelperRequest {
            tool: crate::helper::Tool::Headers.word().into(),
            url: self.place.clone(),
            want: Some(self.want),
            place: Some(self.place),
            claim: Some(self.claim),
            ..HelperRequest::default()
        };
        client.post_waiting("/v1/helper", &request, PATIENCE, None)
    }
}
