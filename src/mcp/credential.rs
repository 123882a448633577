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
use http::{HeaderName, HeaderValue, Method, Uri};
use tokio::sync::Mutex;

use super::{
    challenge::Challenge,
    endpoint::{Endpoint, HeaderRule},
    task::OwnTask,
};
use crate::{
    api::{
        Done,
        helper::{Given, HelperAnswer, HelperRequest},
        lease::{Prove, Proved},
        login::Challenged,
        mcp::McpServer,
        problem::Code,
    },
    client::{Client, segment},
    error::{Error, Result},
    paths::Paths,
    scope::Wanted,
};

/// How long a released credential is used before the daemon is asked again.
pub const HOLD: Duration = Duration::from_secs(60);
/// How long the daemon may wait for a person, at the most.
const PATIENCE: Duration = Duration::from_secs(600);

/// What goes out with one request.
#[derive(Clone, Default)]
pub struct Fresh {
    /// The header; none where nothing is configured.
    pub header: Option<(HeaderName, HeaderValue)>,
    /// The lease, where the token is bound to a key: each request needs a proof then.
    bound: Option<String>,
    /// The address, where the credential is a part of it.
    pub address: Option<Uri>,
    number: u64,
}

/// The source: the daemon, by what the config wants for this server. A person may sign in, and so change that, while the
/// bridge runs.
pub struct Source {
    paths: Paths,
    server: String,
    claim: String,
    place: String,
    rule: Option<HeaderRule>,
    address: Option<Endpoint>,
    through_gateway: bool,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    want: Option<Wanted>,
    task: Option<Arc<OwnTask>>,
    number: u64,
    held: Option<(Fresh, Instant)>,
}

/// What a bridge asks for.
pub struct Asked {
    /// The server's name.
    pub server: String,
    /// Who asks, where nothing else says so.
    pub claim: String,
    /// What is asked for; nothing is sent where there is nothing.
    pub want: Option<Wanted>,
    /// What it is for: the server's address without its query.
    pub place: String,
    /// The config's header.
    pub rule: Option<HeaderRule>,
    /// The server's address, where that has the credential's place.
    pub address: Option<Endpoint>,
    /// Whether requests go to the gateway.
    pub through_gateway: bool,
}

impl Source {
    /// Nothing is asked yet.
    pub fn new(paths: Paths, asked: Asked) -> Self {
        let Asked { server, claim, want, place, rule, address, through_gateway } = asked;
        let source = Self { paths, server, claim, place, rule, address, through_gateway, kept: Mutex::default() };
        Self { kept: Mutex::new(source.kept_for(want)), ..source }
    }

    fn kept_for(&self, want: Option<Wanted>) -> Kept {
        let task = want.as_ref().map(|want| {
            let title = format!("mcp:{}", self.server);
            Arc::new(OwnTask::new(title, Some(self.claim.clone()), Some(vec![want.clone()])))
        });
        Kept { want, task, ..Kept::default() }
    }

    /// The server said 401: whether to ask again with a new one. Once is enough for what has expired, was rotated, or was
    /// signed in for since.
    ///
    /// # Errors
    /// It makes no sense to try again; why, and what a person can do.
    pub async fn refused(&self, fresh: &Fresh, challenge: &Challenge, first: bool) -> Result<()> {
        let changed = self.heard(challenge).await?;
        let mut kept = self.kept.lock().await;
        if first && (changed || kept.want.is_some()) {
            if kept.number == fresh.number {
                kept.held = None;
            }
            return Ok(());
        }
        Err(self.explain(kept.want.as_ref(), challenge))
    }

    /// The server wants more than the token may do: whether somebody has signed in for more since.
    ///
    /// # Errors
    /// Nobody has; the command that a person would run.
    pub async fn insufficient(&self, challenge: &Challenge, first: bool) -> Result<()> {
        if self.heard(challenge).await? && first {
            return Ok(());
        }
        let more = challenge.scope.as_ref().map(|scope| format!(": {scope}")).unwrap_or_default();
        let text = format!("the MCP server {} wants more than its token may do{more}", self.server);
        Err(Error::new(Code::UpstreamForbidden, crate::principal::printable(&text))
            .hint(format!("if it shall have that: hallpass mcp login {}", self.server)))
    }

    /// The proof of one request, where its token is bound to a key (RFC 9449).
    ///
    /// # Errors
    /// What the daemon says.
    pub async fn proof(&self, fresh: &Fresh, method: &Method, nonce: Option<String>) -> Result<Option<HeaderValue>> {
        let Some(lease) = fresh.bound.clone() else { return Ok(None) };
        let request = Prove { method: method.to_string(), url: self.place.clone(), nonce };
        let paths = self.paths.clone();
        let question = move || -> Result<Proved> {
            Client::connect(&paths, true)?.post(&format!("/v1/leases/{}/proof", segment(&lease)), &request)
        };
        let answer = tokio::task::spawn_blocking(question).await;
        let answer = answer.map_err(|_| Error::internal("the question to the daemon broke off"))??;
        HeaderValue::from_str(&answer.proof).map(Some).map_err(|_| Error::internal("a proof that fits no header"))
    }

    /// Tells the daemon what the server wants, and looks whether the config wants something else than before.
    async fn heard(&self, challenge: &Challenge) -> Result<bool> {
        let (paths, name) = (self.paths.clone(), self.server.clone());
        let said = challenge.is_oauth().then(|| Challenged {
            resource_metadata: challenge.resource_metadata.clone(),
            scope: challenge.scope.clone(),
        });
        let question = move || -> Result<McpServer> {
            let mut client = Client::connect(&paths, true)?;
            let path = format!("/v1/mcp/{}", segment(&name));
            if let Some(said) = said {
                let _: Done = client.post(&format!("{path}/challenge"), &said)?;
            }
            client.get(&path)
        };
        let answer = tokio::task::spawn_blocking(question).await;
        let server = answer.map_err(|_| Error::internal("the question to the daemon broke off"))??;
        let mut kept = self.kept.lock().await;
        if server.want == kept.want {
            return Ok(false);
        }
        // A task is for one want: what was got for the other ends with it.
        self.end_task(&kept);
        *kept = Kept { number: kept.number, ..self.kept_for(server.want) };
        Ok(true)
    }

    /// The error for a 401 that stays.
    fn explain(&self, want: Option<&Wanted>, challenge: &Challenge) -> Error {
        let server = &self.server;
        let sent = if want.is_some() { "and refused the one it got, twice" } else { "and the config names none" };
        let again = format!(
            "hallpass credential add KEY, then hallpass mcp remove {server} and hallpass mcp add {server} URL --want KEY:release"
        );
        if challenge.is_oauth() {
            let scope = challenge.scope.as_ref().map(|scope| format!(", for {scope}")).unwrap_or_default();
            let text = format!("the MCP server {server} wants a sign-in (OAuth{scope}) {sent}");
            return Error::new(Code::TokenInvalid, crate::principal::printable(&text))
                .hint(format!("hallpass mcp login {server}; where the server takes an API key too: {again}"));
        }
        let error = Error::new(Code::TokenInvalid, format!("the MCP server {server} wants a credential {sent}"));
        error.hint(match want {
            None => format!("hallpass mcp login {server}; for a server that takes an API key: {again}"),
            Some(want) => format!(
                "hallpass credential rotate {}, or another header: hallpass mcp add ... --header 'X-Api-Key: {{}}'; where a person signs in: hallpass mcp login {server}",
                want.issuer
            ),
        })
    }

    /// Ends the task, and with it every token. The daemon does so by itself when this process is gone.
    pub async fn end(&self) {
        self.end_task(&*self.kept.lock().await);
    }

    fn end_task(&self, kept: &Kept) {
        if let Some(task) = &kept.task {
            // The daemon ends it by itself when this process is gone: a failure here loses nothing.
            let _ = task.end(&self.paths);
        }
    }

    /// What is kept, or a new one. Requests that come together wait for one question.
    ///
    /// # Errors
    /// What the daemon says.
    pub async fn header(&self) -> Result<Fresh> {
        let mut kept = self.kept.lock().await;
        let (Some(want), Some(task)) = (kept.want.clone(), kept.task.clone()) else { return Ok(Fresh::default()) };
        if let Some((fresh, until)) = &kept.held
            && Instant::now() < *until
        {
            return Ok(fresh.clone());
        }
        kept.held = None;
        let question = Question {
            paths: self.paths.clone(),
            claim: self.claim.clone(),
            want: want.clone(),
            place: self.place.clone(),
            task,
        };
        let answer = tokio::task::spawn_blocking(move || question.ask());
        let answer = answer.await.map_err(|_| Error::internal("the question to the daemon broke off"))??;
        kept.number += 1;
        let bound = answer.header.as_ref().is_some_and(|header| header.prefix == "DPoP ");
        let bound = answer.lease.clone().filter(|_| bound);
        let number = kept.number;
        let (fresh, life) = match &self.address {
            Some(address) => {
                let address = Some(self.filled(address, &answer)?);
                (Fresh { header: None, bound: None, address, number }, HOLD)
            }
            None => {
                let (header, life) = self.header_of(&want, &answer)?;
                (Fresh { header: Some(header), bound, address: None, number }, life)
            }
        };
        kept.held = Some((fresh.clone(), Instant::now() + life));
        Ok(fresh)
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
    fn header_of(&self, want: &Wanted, answer: &HelperAnswer) -> Result<((HeaderName, HeaderValue), Duration)> {
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
                    self.server, want
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
