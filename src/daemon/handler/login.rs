//! `login` and `logout`: a person signs in at an authorization server, and what is left of it is a credential.
//!
//! Owns the order: say where to go, wait for the answer, exchange it, store what came, put it on record. The attempt goes on
//! without whoever started it, for as long as the server waits; a new one ends it.

use std::{rc::Rc, time::Duration};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{discover, native, not_found, rotated};
use crate::{
    api::{
        login::{How, LoggedIn, LoggedOut, LoginStarted, StartLogin},
        problem::Code,
    },
    audit::{Decision, Record},
    config::Issuer,
    daemon::{
        loopback::Loopback,
        state::{State, callers::Caller, names::CredentialRecord},
    },
    error::{Error, Result},
    issuer::{
        Failure, Native,
        oauth::{
            Flow, Settings,
            authorize::{Attempt, Refusal},
            device::{self, Waiting},
            login::{self, Login, Proof},
        },
    },
    principal::Identity,
    secret::Secret,
    store::StoreError,
    sys,
    task::EndReason,
    token,
};

/// For how long a browser's answer is waited for.
const LIFE: Duration = Duration::from_secs(600);

/// Starts an attempt.
pub async fn start(state: &Rc<State>, caller: &Caller, name: &str, request: StartLogin) -> Result<LoginStarted> {
    let identity = state.human_only(caller, "signing in")?;
    let (credential, settings) = of(state, name)?;
    let scopes = match request.scopes.as_slice() {
        [] => settings.login_scopes.clone(),
        named => {
            let mut scopes = settings.words(named).map_err(|failure| failure.explain(name, ""))?;
            // What is no right, but asks for a refresh token, goes along.
            scopes.extend(settings.login_scopes.iter().filter(|scope| *scope == login::OFFLINE).cloned());
            scopes
        }
    };
    begin(state, &identity, name, credential, settings, scopes, request.how).await
}

/// The same for settings and scopes that were just found.
pub async fn begin(
    state: &Rc<State>,
    identity: &Identity,
    name: &str,
    credential: String,
    settings: Settings,
    mut scopes: Vec<String>,
    how: How,
) -> Result<LoginStarted> {
    state.audit_ready()?;
    scopes.sort_unstable();
    scopes.dedup();
    let secret = client_secret(state, &settings).await?;
    let by_browser = match how {
        How::Here => settings.authorization_url.is_some(),
        How::Elsewhere => settings.device_url.is_none(),
        How::Browser => true,
        How::Device => false,
    };
    let resource = settings.resource.clone().filter(|resource| !resource.contains("{resource}"));
    let id = token::short_id("login", state.random()?);
    let started = LoginStarted {
        id: id.clone(),
        issuer: name.to_owned(),
        url: String::new(),
        user_code: None,
        expires_in: LIFE.as_secs(),
        scopes: scopes.clone(),
    };
    let stop = CancellationToken::new();
    let (told, end) = watch::channel(None);
    let ended = stop.clone();
    let mut job =
        Job { state: Rc::clone(state), name: name.to_owned(), credential, settings, secret, scopes, resource };
    let who = identity.clone();
    let answer = if by_browser {
        let loopback = Loopback::bind(job.settings.redirect_port).await?;
        let attempt = Attempt::new(loopback.uri(), state.random()?, state.random()?);
        let url = attempt.url(&job.settings, &job.scopes, job.resource.as_deref());
        let url = url.map_err(|failure| failure.explain(name, host(&job.settings)))?;
        state.logins.begin(name, &id, end, stop);
        spawn(state, told, ended, LIFE, async move { job.by_browser(loopback, &attempt, &who).await });
        LoginStarted { url, ..started }
    } else {
        let draw = native::draw(state, name)?;
        let call = device::request(&job.settings, &job.secret, &job.scopes, job.resource.as_deref(), &draw);
        let call = call.map_err(|failure| failure.explain(name, host(&job.settings)))?;
        let answer = native::send(state, name, call).await?;
        let device = device::started(&job.settings, &answer);
        let device = device.map_err(|failure| failure.explain(name, host(&job.settings)))?;
        state.logins.begin(name, &id, end, stop);
        let url = device.complete.clone().unwrap_or_else(|| device.verification_uri.clone());
        let started = LoginStarted {
            url,
            user_code: Some(device.user_code.clone()),
            expires_in: device.life.as_secs(),
            ..started
        };
        let life = device.life;
        spawn(state, told, ended, life, async move { job.by_device(&device, &who).await });
        started
    };
    Ok(answer)
}

/// Waits for the end of an attempt.
pub async fn wait(state: &State, caller: &Caller, name: &str, id: &str) -> Result<LoggedIn> {
    state.human_only(caller, "signing in")?;
    let mut end =
        state.logins.end(name, id).ok_or_else(|| not_found("login", id, &format!("hallpass issuer login {name}")))?;
    let ended = end.wait_for(Option::is_some).await.map(|end| end.clone());
    state.logins.forget(name, id);
    ended.ok().flatten().unwrap_or_else(|| {
        Err(Error::new(Code::Stopping, "the attempt to sign in was given up")
            .hint(format!("hallpass issuer login {name}")))
    })
}

/// Ends a login: at its server where that can be, and here.
pub async fn logout(state: &Rc<State>, caller: &Caller, name: &str) -> Result<LoggedOut> {
    let identity = state.human_only(caller, "signing out")?;
    let (name_of, settings) = of(state, name)?;
    state.audit_ready()?;
    if state.names.borrow().credential(&name_of).is_none() {
        return Err(Error::new(Code::NotFound, format!("nobody is signed in at {name}"))
            .hint(format!("hallpass issuer login {name}")));
    }
    let leases = state.leases.borrow().ids(|lease| lease.what.issuer == name);
    state.end_leases(leases, EndReason::GrantGone)?;
    // While the login is there that they are revoked by. Those that cannot be reached end by themselves.
    for lease in state.held_of(name)? {
        let _ = native::end(state, &lease).await;
        state.let_go(&lease)?;
    }
    let _turn = state.logins.turn(&name_of).await;
    let login = rotated::read(state, &name_of).await?;
    let revoked = revoke(state, name, &settings, &login).await.unwrap_or(false);
    let _change = state.credential_turn.lock().await;
    let store = state.store.borrow().clone();
    match store.remove(&name_of).await {
        Ok(()) | Err(StoreError::NotFound) => {}
        Err(error) => return Err(error.into()),
    }
    state.forget_credential(&name_of)?;
    state.record_after(
        Record::new("issuer.logout", &identity.principal, identity.kind)
            .issuer(name)
            .decision(Decision::Done)
            .detail(if revoked { "revoked at its server" } else { "not revoked at its server" }),
    );
    Ok(LoggedOut { revoked })
}

/// An issuer whose tokens come from a login: the login's credential, and the settings.
pub(super) fn of(state: &State, name: &str) -> Result<(String, Settings)> {
    super::issuer::show(state, name)?;
    match native::of(state, name) {
        Some((Issuer { credential: Some(credential), .. }, Native::OAuth(settings)))
            if settings.flow == Flow::Login =>
        {
            Ok((credential, settings))
        }
        _ => Err(Error::new(Code::InvalidValue, format!("nobody signs in at {name}")).hint(
            "an issuer that a person signs in at is added with: hallpass issuer add oauth NAME --issuer URL --login",
        )),
    }
}

/// What the client proves itself with; empty where it is public.
async fn client_secret(state: &State, settings: &Settings) -> Result<Secret> {
    if settings.registered {
        return discover::registered_secret(state, settings).await;
    }
    let Some(name) = &settings.client_credential else { return Ok(Secret::take(Vec::new())) };
    let store = state.store.borrow().clone();
    Ok(store.get(name).await?)
}

/// Whether the server has ended it.
async fn revoke(state: &State, name: &str, settings: &Settings, credential: &Secret) -> Result<bool> {
    let said = |failure: Failure| failure.explain(name, host(settings));
    let login = Login::open(settings, credential).map_err(said)?;
    let call = login.revoke(settings, &native::draw(state, name)?).map_err(said)?;
    let Some(call) = call else { return Ok(false) };
    Ok(native::send(state, name, call).await?.status().is_success())
}

fn host(settings: &Settings) -> &str {
    settings.token_url.split('/').nth(2).unwrap_or_default()
}

/// Runs an attempt until its end, its time, or until it is given up.
fn spawn(
    state: &State,
    told: watch::Sender<Option<Result<LoggedIn>>>,
    stop: CancellationToken,
    life: Duration,
    work: impl Future<Output = Result<LoggedIn>> + 'static,
) {
    let shutdown = state.shutdown.clone();
    tokio::task::spawn_local(async move {
        let end = tokio::select! {
            () = shutdown.cancelled() => return,
            () = stop.cancelled() => return,
            end = tokio::time::timeout(life, work) => end.unwrap_or_else(|_| {
                Err(Error::new(Code::ApprovalTimeout, "nobody signed in while the server waited").hint("start again"))
            }),
        };
        let _ = told.send(Some(end));
    });
}

/// An attempt.
struct Job {
    state: Rc<State>,
    name: String,
    credential: String,
    settings: Settings,
    secret: Secret,
    scopes: Vec<String>,
    resource: Option<String>,
}

impl Job {
    async fn by_browser(&mut self, loopback: Loopback, attempt: &Attempt, who: &Identity) -> Result<LoggedIn> {
        let settings = self.settings.clone();
        let code = loopback.redirect(|query| attempt.code(&settings, query)).await;
        let code = code.map_err(|refusal| self.refused(&refusal))?;
        let draw = native::draw(&self.state, &self.name)?;
        let proof = Proof::Code(attempt, &code);
        let call = login::request(&self.settings, &self.secret, &proof, self.resource.as_deref(), &draw);
        let answer = native::send(&self.state, &self.name, call.map_err(|failure| self.said(&failure))?).await?;
        self.keep(&answer, who).await
    }

    async fn by_device(&mut self, device: &device::Started, who: &Identity) -> Result<LoggedIn> {
        let mut pause = device.interval;
        loop {
            tokio::time::sleep(pause).await;
            let draw = native::draw(&self.state, &self.name)?;
            let proof = Proof::Device(&device.device_code);
            let call = login::request(&self.settings, &self.secret, &proof, self.resource.as_deref(), &draw);
            let call = call.map_err(|failure| self.said(&failure))?;
            let answer = match native::send(&self.state, &self.name, call).await {
                Ok(answer) => answer,
                // RFC 8628 section 3.5: more slowly, and on.
                Err(error) if matches!(error.code, Code::UpstreamTimeout | Code::UpstreamUnreachable) => {
                    pause *= 2;
                    continue;
                }
                Err(error) => return Err(error),
            };
            match device::waiting(&answer) {
                Some(Waiting::Pending) => {}
                Some(Waiting::SlowDown) => pause += device::SLOWER,
                None => return self.keep(&answer, who).await,
            }
        }
    }

    /// Stores what came.
    async fn keep(&self, answer: &http::Response<bytes::Bytes>, who: &Identity) -> Result<LoggedIn> {
        let draw = native::draw(&self.state, &self.name)?;
        let login = login::read(&self.settings, &self.secret, &self.scopes, answer, &draw);
        let login = login.map_err(|failure| self.said(&failure))?;
        let value = login.credential().map_err(|failure| self.said(&failure))?;
        let (state, credential) = (&self.state, &self.credential);
        // It may have been removed, or changed, while the person was at it.
        let (_, now) = of(state, &self.name)?;
        Login::open(&now, &value).map_err(|failure| self.said(&failure))?;
        let _turn = state.logins.turn(credential).await;
        let known = state.names.borrow().credential(credential).cloned();
        state.record(
            Record::new("issuer.login", &who.principal, who.kind).issuer(&self.name).decision(Decision::Done),
        )?;
        rotated::replace(state, credential, &value).await?;
        let now = sys::now().wall_ms;
        state.put_credential(CredentialRecord {
            name: credential.clone(),
            owner: known.as_ref().map_or_else(sys::user_name, |known| known.owner.clone()),
            source: "login".into(),
            created_ms: known.as_ref().map_or(now, |known| known.created_ms),
            rotated_ms: known.map(|_| now),
            last_used_ms: None,
            length: u64::try_from(value.len()).unwrap_or(u64::MAX),
            fingerprint: None,
            kind: Some("oauth-login".into()),
            revoked_ms: None,
        })?;
        Ok(LoggedIn { issuer: self.name.clone(), renews: login.renews(), scopes: login.scopes.clone() })
    }

    fn said(&self, failure: &Failure) -> Error {
        failure.explain(&self.name, host(&self.settings))
    }

    fn refused(&self, refusal: &Refusal) -> Error {
        let host = host(&self.settings);
        let (code, what) = match refusal {
            Refusal::Denied(Some("access_denied")) => (Code::ApprovalDenied, format!("{host} says that it was denied")),
            Refusal::Denied(Some(word)) => (Code::UpstreamRefused, format!("{host} refused it: {word}")),
            Refusal::Denied(None) => {
                (Code::UpstreamRefused, format!("{host} refused it, for a reason that OAuth does not know"))
            }
            Refusal::Server => (
                Code::UpstreamRefused,
                "the answer came from another server than the one that was asked (RFC 9207)".to_owned(),
            ),
            Refusal::Empty | Refusal::Foreign => {
                (Code::UpstreamRefused, format!("{host} sent the browser back without an answer"))
            }
        };
        Error::new(code, what).hint(format!("nothing was stored; start again: hallpass issuer login {}", self.name))
    }
}
