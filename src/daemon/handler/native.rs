//! Tokens that an issuer's own server mints.
//!
//! Owns the order: wait for whoever asks for the same, ask the server, look again (its answer took time, and task, grants
//! and caller may have changed), hold what will have to be revoked, write lease and record, hand out. A step that fails
//! leaves no token that works, as far as the issuer can revoke it.

use std::{rc::Rc, time::Duration};

use bytes::Bytes;
use http::{Response, header};

use super::{
    mint::{self, Order},
    rotated,
};
use crate::{
    api::{
        SecretText,
        lease::{Inspected, Minted, Prove, Proved},
        problem::Code,
    },
    audit::{Decision, Record},
    clock::Deadline,
    config::{Issuer, IssuerKind},
    daemon::state::{Call, State, callers::Caller, leases::Given},
    error::{Error, Result},
    issuer::{
        self, Credential, Draw, Failure, Issued, Native, Next, Proof, Who,
        oauth::dpop::{self, Asked},
    },
    lease::{Lease, Upstream},
    policy::Terms,
    secret::Secret,
    sys, token,
};

/// How often a busy server is asked, at most.
const TRIES: u32 = 3;
/// How many calls one token may take, at most.
const CALLS: u32 = 8;
/// The longest that a caller is kept waiting for a busy server.
const PATIENCE: Duration = Duration::from_secs(5);
/// A clock that is further off than this is why a signed request was refused, in milliseconds.
const SKEW_MS: i64 = 30_000;

/// The settings of an issuer that mints.
pub fn of(state: &State, name: &str) -> Option<(Issuer, Native)> {
    let settings = state.settings();
    let found = settings.config.issuers.get(name)?;
    match &found.kind {
        IssuerKind::Native(native) => Some((found.clone(), Native::clone(native))),
        IssuerKind::Gateway { .. } | IssuerKind::Static => None,
    }
}

/// Refuses what the issuer could not be asked for, before anything else is done.
pub fn check(native: &Native, order: &Order) -> Result<()> {
    native.issuer().check(&order.what).map_err(|failure| failure.explain(&order.what.issuer, &native.host()))?;
    if order.uses.is_some() || order.rate.is_some() {
        return Err(Error::new(Code::InvalidValue, format!("{} counts no uses of its tokens", native.host()))
            .hint("uses and rates are counted at the gateway, for an issuer that has a route"));
    }
    Ok(())
}

/// Asks the issuer, and hands out what it gave if that is what was asked.
///
/// Without a caller it is for what the daemon itself makes, and shared with nobody.
pub async fn issue(
    state: &Rc<State>,
    caller: Option<&Caller>,
    order: &Order,
    terms: Terms,
    (issuer, native): (Issuer, Native),
) -> Result<Minted> {
    if !terms.bounds.is_empty() || terms.rate.is_some() {
        let error = Error::new(Code::Denied, format!("a grant bounds what requests with {} may hold", order.what))
            .hint("only the gateway can hold a token to that; grant it without --body and --rate, or use a route");
        return Err(mint::refuse(state, caller, order, error));
    }
    let key = caller.and_then(|_| mint::share_key(order, &terms));
    let _turn = match &key {
        Some(key) => Some(state.held.turn(key).await),
        None => None,
    };
    if key.is_some()
        && let Some(minted) = mint::share(state, order, &terms)?
    {
        return Ok(minted);
    }
    // What is replaced by its use is used by one at a time, and stored before the next one's turn.
    let _one = match &issuer.credential {
        Some(name) if native.issuer().rotates() => Some(state.logins.turn(name).await),
        _ => None,
    };
    let credential = credential(state, &issuer, &native).await?;
    let issued = match ask(state, &issuer, &native, order, terms.ttl, &credential).await {
        Ok(issued) => issued,
        Err(error) => return Err(mint::refuse(state, caller, order, error)),
    };
    if let Some(name) = &issuer.credential {
        state.touch_credential(name, sys::now().wall_ms);
    }
    let id = token::short_id("lease", state.random()?);
    let kept = keep(state, caller, order, &native, &id, &issued).await;
    if kept.is_err() && native.issuer().limits().revocable {
        give_back(state, &issuer, &native, order, issued.handle(), &credential).await;
    }
    kept
}

/// Mints one and hands it to nobody: when it would end, and whether it was revoked.
pub async fn try_out(state: &State, order: &Order, (issuer, native): (Issuer, Native)) -> Result<(i64, bool)> {
    check(&native, order)?;
    state.audit_ready()?;
    let _one = match &issuer.credential {
        Some(name) if native.issuer().rotates() => Some(state.logins.turn(name).await),
        _ => None,
    };
    let credential = credential(state, &issuer, &native).await?;
    let issued = ask(state, &issuer, &native, order, order.ttl.unwrap_or_default(), &credential).await?;
    let revocable = native.issuer().limits().revocable;
    let name = order.what.issuer.as_str();
    let revoked = revocable && revoke(state, &issuer, &native, name, issued.handle(), &credential).await?;
    Ok((issued.ends_ms, revoked))
}

/// Writes lease and record, if all still stands.
async fn keep(
    state: &Rc<State>,
    caller: Option<&Caller>,
    order: &Order,
    native: &Native,
    id: &str,
    issued: &Issued,
) -> Result<Minted> {
    let revocable = native.issuer().limits().revocable;
    if revocable {
        state.hold(id, &order.principal, &order.what.issuer, issued.ends_ms, issued.handle()).await?;
    }
    // The issuer, and the store, took their time.
    let again = caller.map_or(Ok(()), Caller::recheck).and_then(|()| match caller {
        Some(caller) => mint::judge(state, caller, order),
        None => mint::standing_terms(state, order),
    });
    let handed = again.and_then(|terms| {
        let now = sys::now();
        let left = u64::try_from(issued.ends_ms.saturating_sub(now.wall_ms)).unwrap_or(0);
        let mut deadline = Deadline::after(now, terms.ttl.min(Duration::from_millis(left)));
        if let Some(id) = &order.task {
            let tasks = state.tasks.borrow();
            let task = tasks.get(id).ok_or_else(|| super::task::ended(id))?;
            deadline = deadline.earlier(task.deadline, now);
        }
        let key = caller.and_then(|_| mint::share_key(order, &terms));
        let lease = Lease {
            id: id.to_owned(),
            task: order.task.clone(),
            principal: order.principal.clone(),
            what: order.what.clone(),
            bounds: terms.bounds,
            deadline,
            uses_left: None,
            rate: None,
            parent: None,
            grants: terms.grants,
            ended: None,
            upstream: Some(Upstream { ends_ms: issued.ends_ms, revocable }),
        };
        let text = |secret: &Secret| {
            let text = secret.expose_str().ok_or_else(|| Error::internal("a token that is no text was let in"));
            text.map(SecretText::new)
        };
        let parts = issued.parts.iter().map(|(name, part)| Ok((name.clone(), text(part)?))).collect::<Result<_>>()?;
        if let Some(key) = &issued.key {
            state.held.bind(id, key.clone(), dpop::hash(&issued.token));
        }
        let (given, hash) = (Given { token: text(&issued.token)?, parts }, token::hash_of(issued.token.expose()));
        let minted = mint::hand_out(state, caller, order, lease, &given, hash, now)?;
        if let Some(key) = key {
            state.leases.borrow_mut().share(key, &minted.lease, given);
        }
        Ok(minted)
    });
    if handed.is_err() {
        state.held.unbind(id);
    }
    if handed.is_err() && revocable {
        state.let_go(id)?;
    }
    handed
}

/// What the issuer is asked with.
async fn credential(state: &State, issuer: &Issuer, native: &Native) -> Result<Credential> {
    let store = state.store.borrow().clone();
    match (native.issuer().proof(), &issuer.credential) {
        (Proof::Stored, Some(name)) if native.issuer().rotates() => {
            let found = rotated::read(state, name).await;
            found.map(Credential::Stored).map_err(|error| match state.names.borrow().credential(name) {
                Some(_) => error,
                None => Error::new(Code::NotFound, format!("nobody is signed in for {name} yet"))
                    .hint(login_hint(state, name)),
            })
        }
        (Proof::Stored, Some(name)) => Ok(Credential::Stored(store.get(name).await?)),
        (Proof::Stored, None) => Err(Error::internal("an issuer without a credential was let in")),
        (Proof::Device, _) => Ok(Credential::Device(Box::new(super::identity::device(state).await?))),
    }
}

/// One token from the server, asked again while it is only busy. Times are ours from here on.
async fn ask(
    state: &State,
    issuer: &Issuer,
    native: &Native,
    order: &Order,
    ttl: Duration,
    credential: &Credential,
) -> Result<Issued> {
    let (name, host) = (order.what.issuer.as_str(), native.host());
    let host = host.as_str();
    let who = who(state, order);
    let asked = issuer::Order { what: &order.what, ttl, who: &who };
    let (mut tries, mut set_clock) = (0, false);
    loop {
        if let Some(left) = state.held.resting(name, sys::now().boot_ms) {
            let after = Duration::from_millis(u64::try_from(left).unwrap_or(0));
            return Err(Failure::Later { after: Some(after), status: 429 }.explain(name, host));
        }
        let ahead = state.held.ahead(name);
        let draw = draw(state, name)?;
        let said = |failure: Failure| failure.explain(name, host);
        tries += 1;
        match follow(state, name, issuer, native.issuer().mint(asked, credential, &draw)).await? {
            Ok(issued) => return Ok(Issued { ends_ms: issued.ends_ms.saturating_sub(ahead), ..issued }),
            Err(Failure::Later { after, status }) => {
                let pause = after.unwrap_or_else(|| jittered(tries, draw.nonce));
                if let Some(after) = after {
                    state
                        .held
                        .rest(name, sys::now().boot_ms + i64::try_from(after.as_millis()).unwrap_or(i64::MAX / 2));
                }
                if tries >= TRIES || pause > PATIENCE {
                    return Err(said(Failure::Later { after, status }));
                }
                tokio::select! {
                    () = state.shutdown.cancelled() => return Err(Error::new(Code::Stopping, "the daemon is stopping")),
                    () = tokio::time::sleep(pause) => {}
                }
            }
            // A signed request from a clock that is off: signed again by the server's clock, once.
            Err(Failure::Credential(_)) if !set_clock && (state.held.ahead(name) - ahead).abs() > SKEW_MS => {
                set_clock = true;
            }
            Err(Failure::Answer { what, token }) => {
                if let Some(token) = &token {
                    give_back(state, issuer, native, order, token, credential).await;
                }
                return Err(said(Failure::Answer { what, token: None }));
            }
            Err(failure) => return Err(said(failure)),
        }
    }
}

/// Goes from call to call to the end, and stores what a credential was exchanged for on the way.
async fn follow<T>(
    state: &State,
    name: &str,
    issuer: &Issuer,
    first: std::result::Result<Next<'_, T>, Failure>,
) -> Result<std::result::Result<T, Failure>> {
    let (mut next, mut calls) = (first, 0);
    loop {
        next = match next {
            Err(failure) => return Ok(Err(failure)),
            Ok(Next::Done(what)) => return Ok(Ok(what)),
            Ok(Next::Rotated { credential, then }) => {
                let of = issuer.credential.as_ref();
                let of = of.ok_or_else(|| Error::internal("what was exchanged was no credential"))?;
                rotated::replace(state, of, &credential).await?;
                *then
            }
            Ok(Next::Call(_)) if calls == CALLS => return Err(Error::internal("one token took too many calls")),
            Ok(Next::Call(step)) => {
                calls += 1;
                let draw = draw(state, name)?;
                let answer = send(state, name, step.call).await?;
                (step.then)(&answer, &draw)
            }
        };
    }
}

/// The command that signs in at the issuer of this credential.
fn login_hint(state: &State, credential: &str) -> String {
    let issuers = super::credential::issuers_of(state, credential);
    format!("hallpass issuer login {}", issuers.first().map_or(credential, String::as_str))
}

/// Now, by the issuer's clock.
pub fn draw(state: &State, name: &str) -> Result<Draw> {
    Ok(Draw { now_ms: sys::now().wall_ms.saturating_add(state.held.ahead(name)), nonce: state.random()? })
}

/// For whom the issuer's own records are to have it.
fn who(state: &State, order: &Order) -> Who {
    let owner = state.names.borrow().principal(&order.principal).map(|known| known.owner.clone());
    Who { owner: owner.unwrap_or_else(sys::user_name), principal: order.principal.clone(), task: order.task.clone() }
}

/// Sends a request, and learns the server's clock from the answer.
pub async fn send(state: &State, name: &str, call: issuer::Call) -> Result<Response<Bytes>> {
    let issuer::Call { base_url, allow_private, request } = call;
    let asked = state.call_issuer(Call { name, base_url: &base_url, allow_private, request }).await;
    let answer = asked.map_err(|error| match error.hint {
        Some(_) => error,
        None => error.hint(format!("nothing was handed out; ask again when it is there: hallpass issuer show {name}")),
    })?;
    let date = answer.headers().get(header::DATE).and_then(|date| date.to_str().ok());
    let date = date.and_then(|date| jiff::fmt::rfc2822::parse(date).ok());
    if let Some(date) = date {
        let ahead = date.timestamp().as_millisecond().saturating_sub(sys::now().wall_ms);
        // The header has whole seconds; what is less than two of them is no skew.
        state.held.set_ahead(name, if ahead.abs() < 2000 { 0 } else { ahead });
    }
    Ok(answer)
}

/// Revokes a token that is not handed out. What cannot be revoked ends by itself; that it came is on record.
async fn give_back(
    state: &State,
    issuer: &Issuer,
    native: &Native,
    order: &Order,
    handle: &Secret,
    credential: &Credential,
) {
    let revoked = revoke(state, issuer, native, &order.what.issuer, handle, credential).await;
    let (decision, detail) = match revoked {
        Ok(true) => (Decision::Done, "a token that was not handed out was revoked"),
        Ok(false) | Err(_) => (Decision::Denied, "a token that was not handed out could not be revoked"),
    };
    state.record_after(mint::record(state, "issuer.revoke", order).decision(decision).detail(detail));
}

/// Whether the token works no more.
async fn revoke(
    state: &State,
    issuer: &Issuer,
    native: &Native,
    name: &str,
    handle: &Secret,
    credential: &Credential,
) -> Result<bool> {
    let said = |failure: Failure| failure.explain(name, &native.host());
    let draw = draw(state, name)?;
    let Some(first) = native.issuer().revoke(handle, credential, &draw).map_err(said)? else { return Ok(false) };
    follow(state, name, issuer, Ok(first)).await?.map_err(said)
}

/// Ends the token of a lease that is over, at its issuer. `Ok(false)` is to be tried again.
pub async fn end(state: &State, lease: &str) -> Result<bool> {
    let Some(held) = state.held(lease)? else { return Ok(true) };
    let record = |decision, detail| {
        Record::new("issuer.revoke", &held.principal, state.kind_of(&held.principal))
            .issuer(&held.issuer)
            .lease(lease)
            .decision(decision)
            .detail(detail)
    };
    if held.ends_ms <= sys::now().wall_ms {
        return state.let_go(lease).map(|()| true);
    }
    let Some((issuer, native)) = of(state, &held.issuer) else {
        state.record_after(record(Decision::Denied, "the issuer is not in the config any more"));
        return state.let_go(lease).map(|()| true);
    };
    let Some(token) = state.unseal(&held).await? else {
        state.record_after(record(Decision::Denied, "the store has lost the key that the token was sealed with"));
        return state.let_go(lease).map(|()| true);
    };
    let credential = current(state, &issuer, &native).await?;
    if !revoke(state, &issuer, &native, &held.issuer, &token, &credential).await? {
        return Ok(false);
    }
    state.record_after(record(Decision::Done, "revoked"));
    state.let_go(lease).map(|()| true)
}

/// What the issuer's server itself says of the token of a lease.
pub async fn inspect(state: &State, caller: &Caller, lease: &str) -> Result<Inspected> {
    state.human_only(caller, "asking what a token is worth")?;
    let none = |why: &str| {
        Error::new(Code::NotFound, format!("there is no token to ask about: {why}"))
            .hint("hallpass lease list; hallpass issuer show NAME says whether tokens can be revoked")
    };
    let held = state.held(lease)?;
    let held = held.ok_or_else(|| none("hallpass keeps those that it will revoke, until that is done"))?;
    let (issuer, native) = of(state, &held.issuer).ok_or_else(|| none("its issuer is not in the config any more"))?;
    let token = state.unseal(&held).await?.ok_or_else(|| none("the store has lost the key that it was sealed with"))?;
    let said = |failure: Failure| failure.explain(&held.issuer, &native.host());
    let credential = current(state, &issuer, &native).await?;
    let first = native.issuer().inspect(&token, &credential, &draw(state, &held.issuer)?).map_err(said)?;
    let first = first.ok_or_else(|| {
        Error::new(Code::InvalidValue, format!("{} takes no such question (RFC 7662)", native.host()))
            .hint("hallpass issuer add oauth NAME --introspection-url URL, or --issuer URL")
    })?;
    let found = follow(state, &held.issuer, &issuer, Ok(first)).await?.map_err(said)?;
    Ok(Inspected {
        lease: lease.to_owned(),
        active: found.active,
        scope: found.scope,
        audience: found.audience,
        expires_at: found.ends_ms.map(super::rfc3339),
    })
}

/// Proves one request with the token of a lease, for whoever may use that lease.
pub fn prove(state: &State, caller: &Caller, lease: &str, request: &Prove) -> Result<Proved> {
    let identity = state.identify(caller, None)?;
    let live = state.leases.borrow().by_id(lease).map(|live| live.lease.clone());
    let live = live.ok_or_else(|| super::not_found("lease that holds", lease, "hallpass lease list"))?;
    live.check(sys::now()).map_err(|e| Error::new(Code::TokenRevoked, e.to_string()).hint("mint a new one"))?;
    super::task::may_touch(&identity, &live.principal, live.task.as_deref())?;
    let (key, token) = state.held.key(lease).ok_or_else(|| {
        Error::new(Code::InvalidValue, "the token of this lease is bound to no key that hallpass has")
            .hint("it is used as it is; one that was bound before a restart is minted anew")
    })?;
    let draw = Draw { now_ms: sys::now().wall_ms, nonce: state.random()? };
    let asked =
        Asked { method: &request.method, url: &request.url, nonce: request.nonce.as_deref(), token: Some(&token) };
    let proof = dpop::proof(&key, &asked, &draw).map_err(|error| Error::internal(error.to_string()))?;
    Ok(Proved { proof })
}

/// What the issuer is asked with, waiting for whoever is exchanging it.
async fn current(state: &State, issuer: &Issuer, native: &Native) -> Result<Credential> {
    let _one = match &issuer.credential {
        Some(name) if native.issuer().rotates() => Some(state.logins.turn(name).await),
        _ => None,
    };
    credential(state, issuer, native).await
}

/// Longer each time, and never the same: several that wait do not come back together.
fn jittered(tries: u32, nonce: [u8; 16]) -> Duration {
    let part = u64::from(nonce.first().copied().unwrap_or(0)) * 200 / 255;
    Duration::from_millis((200 << tries.min(4)) + part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_grows_and_stays_short() {
        assert_eq!(jittered(1, [0; 16]), Duration::from_millis(400));
        assert_eq!(jittered(2, [255; 16]), Duration::from_millis(1000));
        assert!(jittered(99, [255; 16]) < PATIENCE);
    }
}
