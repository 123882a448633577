//! What the gateway asks of the daemon: who holds a token, what it may do, and the real key.

use std::{
    rc::{Rc, Weak},
    time::Duration,
};

use super::{
    handler::{
        helper,
        mint::{self, Order},
        release,
    },
    state::{
        Call, Called, State, Upstreams,
        callers::Caller,
        leases::{Live, SpendError},
    },
};
use crate::{
    api::problem::Code,
    audit::{Decision, Record},
    config::IssuerKind,
    error::{Error, Result},
    gateway::{Backend, Gateway, HandedOver, Holder, Outcome, Pass, catalogue::Catalogue},
    lease::{Lease, Unusable},
    policy::Approval,
    principal::{Kind, UNKNOWN},
    scope::{ScopeSet, Wanted},
    secret::Secret,
    sys,
    token::TokenHash,
};

/// The daemon, as the gateway sees it.
pub struct GatewayBackend(Rc<State>);

impl GatewayBackend {
    /// For this state.
    pub fn new(state: &Rc<State>) -> Self {
        Self(Rc::clone(state))
    }

    /// The lease's pass: made once, and again after the config or the principal's kind changed.
    fn pass(&self, live: &Live) -> Result<Rc<Pass>> {
        let state = &self.0;
        let lease = &live.lease;
        state.not_disabled(&lease.principal)?;
        if release::is_asked(&lease.what) {
            return Err(Error::new(Code::OutsideScope, "this token is for a helper's endpoint, and for no route")
                .hint(format!("ask for one: hallpass mint {}:SCOPE", lease.what.issuer)));
        }
        let (settings, kind) = (state.settings(), state.kind_of(&lease.principal));
        if let Some((of, pass)) = &*live.pass.borrow()
            && Weak::as_ptr(of) == Rc::as_ptr(&settings)
            && pass.holder.kind == kind
        {
            return Ok(Rc::clone(pass));
        }
        let issuer = settings.config.issuers.get(&lease.what.issuer).ok_or_else(|| unusable(Unusable::Ended))?;
        let IssuerKind::Gateway { route, base_url } = &issuer.kind else { return Err(unusable(Unusable::Ended)) };
        let pass = Rc::new(Pass {
            holder: holder(lease, kind),
            route: route.clone(),
            base_url: base_url.clone(),
            credential: issuer.credential.clone().ok_or_else(|| unusable(Unusable::Ended))?,
            scopes: lease.what.scopes.clone(),
            resources: lease.what.resources.clone(),
            bounds: lease.bounds.clone(),
            ended: live.ended.clone(),
        });
        *live.pass.borrow_mut() = Some((Rc::downgrade(&settings), Rc::clone(&pass)));
        Ok(pass)
    }

    /// The lease of a token, while it and its principal hold.
    fn lease(&self, token: TokenHash) -> Result<Lease> {
        let lease = {
            let leases = self.0.leases.borrow();
            leases.get(token).ok_or_else(|| self.gone(token))?.lease.clone()
        };
        lease.check(sys::now()).map_err(unusable)?;
        self.0.not_disabled(&lease.principal)?;
        Ok(lease)
    }

    /// Why a token that does not work does not: it ended, or it was never one of ours.
    fn gone(&self, token: TokenHash) -> Error {
        match self.0.leases.borrow().gone(token) {
            Some(gone) => unusable(gone.why),
            None => Error::new(
                Code::TokenInvalid,
                "this token is not known here: another daemon issued it, or it ended long ago",
            )
            .hint("mint a new one: `hallpass mint`, or start the tool with `hallpass exec`"),
        }
    }

    /// What the caller's task was opened for on this route, else what its principal's grants say.
    fn wanted(&self, task: &str, principal: &str, route: &str) -> Option<Wanted> {
        let settings = self.0.settings();
        let of_route = |issuer: &str| {
            let known = settings.config.issuers.get(issuer);
            known.is_some_and(|i| matches!(&i.kind, IssuerKind::Gateway { route: r, .. } if r == route))
        };
        let limit = self.0.tasks.borrow().get(task).and_then(|task| task.limit.clone());
        if let Some(limit) = limit {
            return limit.into_iter().find(|wanted| of_route(&wanted.issuer));
        }
        let mut mine = settings.config.grants.iter().filter(|grant| {
            grant.principal == principal && grant.approval == Approval::Auto && of_route(&grant.what.issuer)
        });
        let first = mine.next()?.what.clone();
        let same = mine.filter(|grant| grant.what.issuer == first.issuer && grant.what.resources == first.resources);
        let scopes = same.flat_map(|grant| grant.what.scopes.iter()).chain(first.scopes.iter()).cloned();
        Some(Wanted { scopes: ScopeSet::new(scopes), ..first.clone() })
    }
}

impl Backend for GatewayBackend {
    type Peer = Caller;

    fn port(&self) -> Option<u16> {
        self.0.gateway_port.get()
    }

    fn admit(&self, token: TokenHash) -> Result<Rc<Pass>> {
        let leases = self.0.leases.borrow();
        let live = leases.get(token).ok_or_else(|| self.gone(token))?;
        live.lease.check(sys::now()).map_err(unusable)?;
        self.pass(live)
    }

    fn holder(&self, token: TokenHash) -> Option<Holder> {
        let leases = self.0.leases.borrow();
        match leases.get(token) {
            Some(live) => Some(holder(&live.lease, self.0.kind_of(&live.lease.principal))),
            None => leases.gone(token).map(|gone| holder(&gone.lease, self.0.kind_of(&gone.lease.principal))),
        }
    }

    async fn admit_caller(&self, caller: &Caller, route: &str) -> Result<Rc<Pass>> {
        let state = &self.0;
        caller.recheck()?;
        let identity = state.identify(caller, None)?;
        let Some(task) = identity.task else {
            return Err(Error::new(
                Code::TokenMissing,
                "no hallpass token came with the request, and its process is in no task",
            )
            .hint("start the tool with `hallpass exec --grant ISSUER:SCOPE -- COMMAND`"));
        };
        let what = self.wanted(&task, &identity.principal, route).ok_or_else(|| {
            Error::new(Code::NoGrant, format!("the task was not opened for {route}")).hint(format!(
                "hallpass exec --grant {route}:SCOPE -- COMMAND; `hallpass route show {route}` lists scopes"
            ))
        })?;
        let order = Order {
            principal: identity.principal,
            task: Some(task),
            what,
            ttl: Some(super::handler::task::DEFAULT_TTL),
            uses: None,
            rate: None,
            wait: None,
            reason: None,
        };
        let minted = mint::fill(state, caller, order).await?;
        let leases = state.leases.borrow();
        let live = leases.by_id(&minted.lease).ok_or_else(|| unusable(Unusable::Ended))?;
        self.pass(live)
    }

    fn unknown(&self, text: &[u8], caller: Option<&Caller>) {
        self.0.decoy_used(text, caller);
    }

    fn spend(&self, pass: &Pass) -> Result<()> {
        self.0.audit_ready()?;
        self.0.spend(&pass.holder.lease).map_err(spent)
    }

    fn retry_after(&self, pass: &Pass) -> Option<Duration> {
        let now = sys::now();
        let leases = self.0.leases.borrow();
        let live = leases.by_id(&pass.holder.lease)?;
        // Asked of a copy: looking does not count.
        match live.lease.rate?.admit(&mut live.window.clone(), now) {
            Err(Unusable::TooFast { retry_after }) => Some(retry_after),
            _ => None,
        }
    }

    async fn credential(&self, pass: &Pass) -> Result<Secret> {
        let store = self.0.store.borrow().clone();
        let secret = store.get(&pass.credential).await?;
        self.0.touch_credential(&pass.credential, sys::now().wall_ms);
        Ok(secret)
    }

    async fn hand_over(&self, token: TokenHash, tool: &str, url: &str) -> Result<HandedOver> {
        let state = &self.0;
        state.audit_ready()?;
        let lease = self.lease(token)?;
        let entry = helper::entry_of_endpoint(state, tool, url)?;
        if lease.what != entry.want {
            return Err(Error::new(
                Code::OutsideScope,
                format!("this token is for {}, and {tool} gets {} here", lease.what, entry.want),
            )
            .hint(format!("hallpass exec --helper {tool}:NAME -- COMMAND takes one for it")));
        }
        state.spend(&lease.id).map_err(spent)?;
        let secret = release::read(state, &entry.want.issuer).await?;
        // It may have ended, and its principal have been disabled, while the store was read.
        self.lease(token)?;
        let order = Order {
            principal: lease.principal.clone(),
            task: lease.task.clone(),
            what: lease.what.clone(),
            ttl: None,
            uses: None,
            rate: None,
            wait: None,
            reason: None,
        };
        state.record(release::record(state, &order).lease(&lease.id))?;
        Ok(HandedOver { secret, username: entry.username, expires_ms: lease.deadline.wall_ms })
    }

    fn record(&self, holder: Option<&Holder>, outcome: &Outcome<'_>) {
        let (principal, kind) = holder.map_or((UNKNOWN, Kind::Unknown), |holder| (&holder.principal, holder.kind));
        let decision = if outcome.code.is_none() { Decision::Allowed } else { Decision::Denied };
        let mut record = Record::new("gateway.request", principal, kind)
            .decision(decision)
            .route(outcome.route)
            .method(Some(outcome.method))
            .path(Some(outcome.path))
            .status(Some(outcome.status))
            .scopes(outcome.scope.map(ToString::to_string))
            .resources(outcome.resource.map(ToString::to_string));
        if let Some(holder) = holder {
            record = record.lease(&holder.lease).task(holder.task.as_deref()).issuer(&holder.issuer);
        }
        if let Some(code) = outcome.code {
            record = record.code(code);
        }
        if let Some(detail) = outcome.detail {
            record = record.detail(detail);
        }
        self.0.record_soon(record);
    }
}

impl Upstreams for Gateway<GatewayBackend> {
    fn set_routes(&self, catalogue: Catalogue) {
        self.set_catalogue(catalogue);
    }

    fn close(&self, issuer: &str) {
        self.forget(issuer);
    }

    fn call<'a>(&'a self, call: Call<'a>) -> Called<'a> {
        Box::pin(self.call(call.name, call.base_url, call.allow_private, call.request))
    }
}

fn holder(lease: &Lease, kind: Kind) -> Holder {
    Holder {
        lease: lease.id.clone(),
        principal: lease.principal.clone(),
        kind,
        task: lease.task.clone(),
        issuer: lease.what.issuer.clone(),
    }
}

fn spent(error: SpendError) -> Error {
    match error {
        SpendError::Unusable(why) => unusable(why),
        SpendError::State(error) => error,
    }
}

fn unusable(why: Unusable) -> Error {
    let code = match why {
        Unusable::Ended => Code::TokenRevoked,
        Unusable::Expired => Code::TokenExpired,
        Unusable::UsedUp => Code::TokenUsedUp,
        Unusable::TooFast { .. } => Code::RateLimited,
    };
    let hint = match why {
        Unusable::TooFast { .. } => "wait, as Retry-After says",
        _ => "mint a new one: `hallpass mint`, or start the tool with `hallpass exec`",
    };
    Error::new(code, why.to_string()).hint(hint)
}
