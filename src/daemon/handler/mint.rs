//! `mint`: issues a token; `narrow` makes a narrower one of a token that the caller holds.
//!
//! The order is fixed: name the caller, decide, wait for a human where the grant says so, look again
//! (caller, task and grants may have changed meanwhile), write the lease, write the audit record, and
//! only then hand the token out. A step that fails leaves no token that works.

mod narrow;

use std::{collections::BTreeMap, rc::Rc, time::Duration};

use super::{grant, native, release, rfc3339, task};
use crate::{
    api::{
        SecretText,
        lease::{Mint, Minted},
        problem::Code,
    },
    audit::{Decision, Record},
    clock::{Deadline, Moment},
    config::IssuerKind,
    daemon::state::{
        State,
        approvals::{Answer, Pending},
        callers::Caller,
        leases::{Given, ShareKey},
    },
    error::{Error, Result},
    lease::{Lease, Rate},
    policy::{self, Approval, Denial, Terms, Verdict},
    principal::{HUMAN, Identity, UNKNOWN},
    scope::Wanted,
    sys,
    task::EndReason,
    token::{self, Token, TokenHash},
};

/// The most leases that may hold at once; each is a row and some memory.
const MAX_LIVE: usize = 100_000;
/// The longest wait for a human.
const MAX_WAIT: Duration = Duration::from_secs(3600);

/// What is to be minted, for whom: what `mint` and `env` have in common.
pub struct Order {
    /// Who gets it.
    pub principal: String,
    /// The task it belongs to.
    pub task: Option<String>,
    /// Issuer, scopes and resources.
    pub what: Wanted,
    /// How long.
    pub ttl: Option<Duration>,
    /// How often.
    pub uses: Option<u32>,
    /// How fast.
    pub rate: Option<Rate>,
    /// How long to wait for a human.
    pub wait: Option<Duration>,
    /// Why, in the asker's own words.
    pub reason: Option<String>,
}

/// Issues a token for a caller.
pub async fn mint(state: &Rc<State>, caller: &Caller, request: Mint) -> Result<Minted> {
    let identity = state.identify(caller, request.claim.as_deref())?;
    if request.uses == Some(0) {
        return Err(Error::new(Code::InvalidValue, "a token with no uses is of no use").hint("--uses 1 is single use"));
    }
    if let Some(parent) = &request.subject_token {
        let hash = token::check(parent.expose().trim().as_bytes())
            .map_err(|e| Error::new(Code::TokenInvalid, e.to_string()).hint("give the token that is to be narrowed"))?;
        return narrow::narrow(state, caller, &identity, hash, &request);
    }
    let (principal, task) = place(state, &identity, request.task.as_deref())?;
    let order = Order {
        principal,
        task,
        what: request.what,
        ttl: request.ttl_seconds.map(Duration::from_secs),
        uses: request.uses,
        rate: request.rate,
        wait: request.wait_seconds.map(Duration::from_secs),
        reason: None,
    };
    fill(state, caller, order).await
}

/// Decides, waits where it must, and issues.
pub async fn fill(state: &Rc<State>, caller: &Caller, order: Order) -> Result<Minted> {
    grant::known_scopes(state, &order.what)?;
    has_token(state, &order.what)?;
    obtain(state, caller, order).await
}

/// The same for a token that is good for a helper's endpoint and for nothing else: its scope is `release`.
pub async fn for_endpoint(state: &Rc<State>, caller: &Caller, order: Order) -> Result<Minted> {
    grant::known_scopes(state, &order.what)?;
    release::only(&order.what)?;
    obtain(state, caller, order).await
}

/// The same for what the daemon itself makes: nobody asks, so nobody can be asked. Nothing is put on record of a
/// refusal; whoever tries again and again does that once.
pub async fn unattended(state: &Rc<State>, order: &Order) -> Result<Minted> {
    let native = native::of(state, &order.what.issuer);
    if let Some((_, native)) = &native {
        native::check(native, order)?;
    }
    state.audit_ready()?;
    let terms = unattended_terms(state, order)?;
    match native {
        Some(native) => Box::pin(native::issue(state, None, order, terms, native)).await,
        None => issue(state, None, order, terms),
    }
}

/// What the grants say of it; a grant that asks a person is a refusal.
pub fn unattended_terms(state: &State, order: &Order) -> Result<Terms> {
    grant::known_scopes(state, &order.what)?;
    let terms = verdict(state, order)?;
    if terms.approval == Approval::Ask {
        let grants = terms.grants.join(", ");
        return Err(Error::new(
            Code::ApprovalDenied,
            format!("{grants} asks a person each time, and a rendered file is renewed when nobody is there"),
        )
        .hint(format!("hallpass grant add {} '{}'", order.principal, order.what)));
    }
    Ok(terms)
}

/// Refuses what no token stands in for.
pub fn has_token(state: &State, what: &Wanted) -> Result<()> {
    if release::is_static(state, &what.issuer) {
        return Err(release::no_token(&what.issuer));
    }
    if release::is_asked(what) {
        return Err(release::no_scope(&what.issuer));
    }
    Ok(())
}

async fn obtain(state: &Rc<State>, caller: &Caller, order: Order) -> Result<Minted> {
    let native = native::of(state, &order.what.issuer);
    if let Some((_, native)) = &native {
        native::check(native, &order)?;
    }
    state.audit_ready()?;
    let terms = judge(state, caller, &order)?;
    caller.recheck()?;
    if let Some(minted) = share(state, &order, &terms)? {
        return Ok(minted);
    }
    let waits = terms.approval == Approval::Ask;
    let terms = approved(state, caller, &order, terms).await?;
    if waits {
        caller.recheck()?;
    }
    if let Some(native) = native {
        // Boxed: other orders would carry its size around.
        return Box::pin(native::issue(state, Some(caller), &order, terms, native)).await;
    }
    issue(state, Some(caller), &order, terms)
}

/// Decides, and waits where it must.
pub(super) async fn decide(state: &Rc<State>, caller: &Caller, order: &Order) -> Result<Terms> {
    grant::known_scopes(state, &order.what)?;
    let terms = judge(state, caller, order)?;
    approved(state, caller, order, terms).await
}

async fn approved(state: &Rc<State>, caller: &Caller, order: &Order, terms: Terms) -> Result<Terms> {
    if terms.approval != Approval::Ask {
        return Ok(terms);
    }
    approval(state, caller, order, &terms).await?;
    // Grants, task and principal may have changed while it waited.
    judge(state, caller, order)
}

/// The principal and the task of a request. A task that the caller does not run in may be named by
/// the principal that works on it and by the human, by nobody else.
pub(super) fn place(state: &State, identity: &Identity, named: Option<&str>) -> Result<(String, Option<String>)> {
    let Some(id) = named else { return Ok((identity.principal.clone(), identity.task.clone())) };
    let tasks = state.tasks.borrow();
    let named = tasks.get(id).or_else(|| tasks.by_title(id, &identity.principal)).ok_or_else(|| task::ended(id))?;
    let inside = identity.task.as_deref() == Some(named.id.as_str());
    let own = identity.task.is_none() && (identity.principal == named.principal || identity.principal == HUMAN);
    if inside || own {
        return Ok((named.principal.clone(), Some(named.id.clone())));
    }
    Err(Error::new(
        Code::Denied,
        format!("the task {:?} belongs to {}, not to {}", named.title, named.principal, identity.principal),
    )
    .hint("mint in your own task, or let the task's own process ask"))
}

pub(super) fn judge(state: &State, caller: &Caller, order: &Order) -> Result<Terms> {
    verdict(state, order).map_err(|error| match error.code {
        // Its task is over: there is nothing that was refused.
        Code::TaskEnded => error,
        _ => refuse(state, Some(caller), order, error),
    })
}

fn verdict(state: &State, order: &Order) -> Result<Terms> {
    if order.principal == UNKNOWN {
        return Err(task::unknown());
    }
    state.not_disabled(&order.principal)?;
    let settings = state.settings();
    let verdict = {
        let tasks = state.tasks.borrow();
        let task = match &order.task {
            Some(id) => Some(tasks.get(id).filter(|task| task.is_open(sys::now())).ok_or_else(|| task::ended(id))?),
            None => None,
        };
        let asked = policy::Request { principal: order.principal.clone(), what: order.what.clone(), ttl: order.ttl };
        policy::decide(&settings.config.grants, &asked, task)
    };
    match verdict {
        Verdict::Allowed(terms) => Ok(terms),
        Verdict::Denied(denial) => {
            let code = match denial {
                Denial::Unknown => Code::UnknownCaller,
                Denial::NoGrant { .. } => Code::NoGrant,
                Denial::Never { .. } | Denial::OutsideTask { .. } => Code::Denied,
                Denial::TaskEnded { .. } => Code::TaskEnded,
            };
            let mut error = Error::new(code, denial.to_string());
            error.hint = grant::would_allow(&order.principal, &order.what, &denial);
            Err(error)
        }
    }
}

/// Puts a refusal on record, and passes it on.
pub fn refuse(state: &State, caller: Option<&Caller>, order: &Order, error: Error) -> Error {
    state.record_after(
        record(state, "mint", order)
            .evidence(caller.map(|caller| caller.evidence().summary()).as_deref())
            .decision(Decision::Denied)
            .code(error.code),
    );
    error
}

pub(super) fn record<'a>(state: &State, event: &'static str, order: &'a Order) -> Record<'a> {
    Record::new(event, &order.principal, state.kind_of(&order.principal))
        .task(order.task.as_deref())
        .issuer(&order.what.issuer)
        .scopes(Some(order.what.scopes.to_string()))
        .resources(Some(order.what.resources.to_string()))
}

/// Waits for a human's answer.
async fn approval(state: &Rc<State>, caller: &Caller, order: &Order, terms: &Terms) -> Result<()> {
    let now = sys::now();
    let wait = order.wait.unwrap_or(state.settings().config.approval_timeout).min(MAX_WAIT);
    let title = order.task.as_ref().and_then(|id| state.tasks.borrow().get(id).map(|task| task.title.clone()));
    let pending = Pending {
        id: token::short_id("ask", state.random()?),
        principal: order.principal.clone(),
        evidence: caller.evidence().clone(),
        also: Vec::new(),
        what: order.what.clone(),
        ttl: terms.ttl,
        task: order.task.clone(),
        task_title: title,
        reason: order.reason.clone(),
        deadline: Deadline::after(now, wait),
    };
    let mut waiting = match state.approvals.join(pending, now) {
        Ok(waiting) => waiting,
        Err(error) => return Err(refuse(state, Some(caller), order, error)),
    };
    state.record(record(state, "approval.ask", order).decision(Decision::Done).detail(waiting.id()))?;
    let answer = tokio::select! {
        answer = waiting.answer(wait) => answer,
        () = state.shutdown.cancelled() => None,
    };
    match answer {
        Some(Answer::Approved) => Ok(()),
        Some(Answer::Denied) => {
            let error = Error::new(Code::ApprovalDenied, format!("a person denied {}", order.what))
                .hint("the denial holds for ten minutes");
            Err(refuse(state, Some(caller), order, error))
        }
        None => {
            let error = Error::new(
                Code::ApprovalTimeout,
                format!("nobody approved {} within {}", order.what, grant::human_time(wait)),
            )
            .hint("ask again and answer from another terminal: `hallpass approvals`, then `hallpass approve ID`");
            Err(refuse(state, Some(caller), order, error))
        }
    }
}

/// What makes another request the same as this one; `None` where it shares with none.
pub(super) fn share_key(order: &Order, terms: &Terms) -> Option<ShareKey> {
    if order.uses.is_some() {
        return None;
    }
    let task = order.task.clone()?;
    Some(ShareKey {
        task,
        principal: order.principal.clone(),
        what: order.what.clone(),
        ttl: terms.ttl.as_secs(),
        rate: order.rate.map(|rate| rate.to_string()),
    })
}

/// The token of an identical request of the same task, while it is young enough.
pub(super) fn share(state: &State, order: &Order, terms: &Terms) -> Result<Option<Minted>> {
    let now = sys::now();
    let found = share_key(order, terms).and_then(|key| state.leases.borrow_mut().shared(&key, now));
    let Some((lease, given)) = found else { return Ok(None) };
    state.record(record(state, "mint", order).lease(&lease.id).decision(Decision::Allowed).detail("shared"))?;
    answer(state, &lease, &given, now, true).map(Some)
}

fn issue(state: &Rc<State>, caller: Option<&Caller>, order: &Order, terms: Terms) -> Result<Minted> {
    let now = sys::now();
    // What nobody asked for is asked for by nobody else.
    let key = caller.and_then(|_| share_key(order, &terms));
    let rate = match (terms.rate, order.rate) {
        (Some(a), Some(b)) => Some(a.stricter(b)),
        (a, b) => a.or(b),
    };
    let mut deadline = Deadline::after(now, terms.ttl);
    if let Some(id) = &order.task {
        let tasks = state.tasks.borrow();
        let task = tasks.get(id).ok_or_else(|| task::ended(id))?;
        deadline = deadline.earlier(task.deadline, now);
    }
    let lease = Lease {
        id: token::short_id("lease", state.random()?),
        task: order.task.clone(),
        principal: order.principal.clone(),
        what: order.what.clone(),
        bounds: terms.bounds,
        deadline,
        uses_left: order.uses,
        rate,
        parent: None,
        grants: terms.grants,
        ended: None,
        upstream: None,
    };
    let (given, hash) = new_token(state)?;
    let minted = hand_out(state, caller, order, lease, &given, hash, now)?;
    if let Some(key) = key {
        state.leases.borrow_mut().share(key, &minted.lease, given);
    }
    Ok(minted)
}

fn new_token(state: &State) -> Result<(Given, TokenHash)> {
    let token = Token::from_entropy(state.random()?);
    Ok((Given { token: SecretText::new(token.expose()), parts: BTreeMap::new() }, token.hash()))
}

/// Writes lease and record; what cannot be recorded is ended again and not handed out.
pub(super) fn hand_out(
    state: &Rc<State>,
    caller: Option<&Caller>,
    order: &Order,
    lease: Lease,
    given: &Given,
    hash: TokenHash,
    now: Moment,
) -> Result<Minted> {
    let own = || state.leases.borrow().ids(|live| live.principal == lease.principal).len();
    if super::is_full(state.leases.borrow().len(), own, MAX_LIVE) {
        return Err(Error::new(Code::Busy, "too many tokens are live already")
            .hint("let some expire, or end their tasks: `hallpass task list`"));
    }
    let minted = answer(state, &lease, given, now, false)?;
    state.issue(lease, hash, now)?;
    let recorded = state.record(
        record(state, "mint", order)
            .evidence(caller.map(|caller| caller.evidence().summary()).as_deref())
            .lease(&minted.lease)
            .decision(Decision::Allowed),
    );
    if let Err(error) = recorded {
        // In memory it is dead from here on; if the database fails too, its error is the lesser one.
        let _ = state.end_leases(vec![minted.lease.clone()], EndReason::Revoked);
        return Err(error);
    }
    Ok(minted)
}

fn answer(state: &State, lease: &Lease, given: &Given, now: Moment, shared: bool) -> Result<Minted> {
    let settings = state.settings();
    let issuer = settings.config.issuers.get(&lease.what.issuer).ok_or_else(|| {
        Error::new(Code::NotFound, format!("there is no issuer {:?} any more", lease.what.issuer))
            .hint("hallpass credential list")
    })?;
    let (kind, base_url) = match &issuer.kind {
        _ if release::is_asked(&lease.what) => ("urn:hallpass:token-type:endpoint", None),
        IssuerKind::Gateway { route, .. } => ("urn:hallpass:token-type:gateway", state.gateway_url(route).ok()),
        IssuerKind::Native(_) => ("urn:ietf:params:oauth:token-type:access_token", None),
        IssuerKind::Static => return Err(release::no_token(&lease.what.issuer)),
    };
    Ok(Minted {
        access_token: given.token.clone(),
        parts: given.parts.clone(),
        token_type: "Bearer".into(),
        issued_token_type: kind.into(),
        expires_in: lease.deadline.remaining(now).as_secs(),
        expires_at: rfc3339(lease.deadline.wall_ms),
        upstream_expires_at: lease.outlived_until_ms().map(rfc3339),
        scope: lease.what.scopes.clone(),
        resource: lease.what.resources.clone(),
        lease: lease.id.clone(),
        revocable: lease.is_revocable(),
        shared,
        base_url,
    })
}
