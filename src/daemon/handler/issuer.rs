//! `issuer`: how credentials become tokens.

use std::{rc::Rc, time::Duration};

use super::{credential, mint::Order, native, new_name, not_found, rfc3339};
use crate::{
    api::{
        Done, List,
        issuer::{AddIssuer, Issuer, Narrows, TestIssuer, Tested},
        problem::Code,
    },
    audit::{Decision, Record},
    config::{self, IssuerKind},
    daemon::state::{State, callers::Caller},
    error::{Error, Result},
    issuer::{Native, Proof},
    policy::RELEASE,
    task::EndReason,
};

/// How long a token is asked for that only shows that there is one.
const TRIED: Duration = Duration::from_secs(60);

/// All of them, by name.
pub fn list(state: &State) -> List<Issuer> {
    let settings = state.settings();
    List { items: settings.config.issuers.iter().map(|(name, issuer)| wire(state, name, issuer)).collect() }
}

/// One.
pub fn show(state: &State, name: &str) -> Result<Issuer> {
    let settings = state.settings();
    let issuer = settings.config.issuers.get(name);
    issuer.map(|issuer| wire(state, name, issuer)).ok_or_else(|| not_found("issuer", name, "hallpass issuer list"))
}

/// Adds one that mints at its own server to the config.
pub fn add(state: &Rc<State>, caller: &Caller, request: AddIssuer) -> Result<Issuer> {
    let identity = state.human_only(caller, "adding an issuer")?;
    new_name("issuer", &request.name)?;
    let native = request.settings;
    let of = match (native.issuer().proof(), request.credential) {
        (Proof::Stored, of) => Some(of.unwrap_or_else(|| request.name.clone())),
        (Proof::Device, None) => None,
        (Proof::Device, Some(_)) => {
            return Err(Error::new(
                Code::InvalidValue,
                "it is proved by this device's identity, and takes no credential",
            )
            .hint("hallpass identity show"));
        }
    };
    match &of {
        // It comes when somebody has signed in.
        Some(_) if native.issuer().rotates() => {}
        Some(of) => drop(credential::find(state, of)?),
        None => {}
    }
    if let Native::OAuth(settings) = &native
        && let Some(of) = &settings.client_credential
    {
        credential::find(state, of)?;
    }
    state.audit_ready()?;
    let detail = format!("{} at {}", native.word(), native.host());
    let issuer = config::Issuer { kind: IssuerKind::Native(Box::new(native)), credential: of };
    let path = state.paths.config();
    // A credential without a route was given an issuer that only releases it. This one is what it is for.
    let released = state.settings().config.issuers.get(&request.name).is_some_and(|old| old.kind == IssuerKind::Static);
    if released {
        config::edit::remove_issuer(&path, &request.name)?;
    }
    config::edit::add_issuer(&path, &request.name, &issuer)?;
    state.reload()?;
    state.record_after(
        Record::new("issuer.add", &identity.principal, identity.kind)
            .issuer(&request.name)
            .decision(Decision::Done)
            .detail(&detail),
    );
    show(state, &request.name)
}

/// Mints one token, which nobody gets.
pub async fn test(state: &Rc<State>, caller: &Caller, request: TestIssuer) -> Result<Tested> {
    let identity = state.human_only(caller, "trying an issuer")?;
    let name = request.what.issuer.clone();
    super::grant::known_scopes(state, &request.what)?;
    let native = native::of(state, &name).ok_or_else(|| {
        Error::new(Code::InvalidValue, format!("{name} has no server of its own that mints"))
            .hint(format!("hallpass mint {name}:SCOPE tries it"))
    })?;
    let order = Order {
        principal: identity.principal.clone(),
        task: None,
        what: request.what,
        ttl: Some(TRIED),
        uses: None,
        rate: None,
        wait: None,
        reason: None,
    };
    let tried = native::try_out(state, &order, native).await;
    let decision = if tried.is_ok() { Decision::Done } else { Decision::Denied };
    state.record_after(Record::new("issuer.test", &identity.principal, identity.kind).issuer(&name).decision(decision));
    let (ends_ms, revoked) = tried?;
    Ok(Tested { what: order.what.to_string(), expires_at: rfc3339(ends_ms), revoked })
}

/// Removes one, and ends its leases; the credential stays.
pub async fn remove(state: &Rc<State>, caller: &Caller, name: &str) -> Result<Done> {
    let identity = state.human_only(caller, "removing an issuer")?;
    show(state, name)?;
    let leases = state.leases.borrow().ids(|lease| lease.what.issuer == name);
    state.end_leases(leases, EndReason::GrantGone)?;
    // While its settings are there: what is to be revoked at its server is revoked by them.
    for lease in state.held_of(name)? {
        if !native::end(state, &lease).await.unwrap_or(false) {
            return Err(Error::new(Code::InUse, format!("a token of {name} is not revoked at its server yet"))
                .hint(format!("it is tried again by itself; then hallpass issuer remove {name}")));
        }
    }
    config::edit::remove_issuer(&state.paths.config(), name)?;
    state.forget_connections(name);
    state.reload()?;
    state.record_after(
        Record::new("issuer.remove", &identity.principal, identity.kind).issuer(name).decision(Decision::Done),
    );
    Ok(Done { done: true })
}

fn wire(state: &State, name: &str, issuer: &config::Issuer) -> Issuer {
    let settings = state.settings();
    let plain = Issuer {
        name: name.to_owned(),
        kind: issuer.kind.word().to_owned(),
        credential: issuer.credential.clone(),
        route: None,
        host: None,
        scopes: vec![RELEASE.to_owned()],
        env: Vec::new(),
        least_seconds: None,
        most_seconds: None,
        revocable: false,
        narrows: None,
    };
    match &issuer.kind {
        IssuerKind::Static => plain,
        IssuerKind::Gateway { route, .. } => {
            let of = settings.catalogue.get(route);
            Issuer {
                route: Some(route.clone()),
                scopes: of.map(|of| of.scopes.iter().map(|one| one.name.to_string()).collect()).unwrap_or_default(),
                env: of.map(|of| of.key_env.clone()).unwrap_or_default(),
                most_seconds: Some(config::MAX_TTL.as_secs()),
                revocable: true,
                ..plain
            }
        }
        IssuerKind::Native(native) => {
            let limits = native.issuer().limits();
            Issuer {
                host: Some(native.host()),
                scopes: native.issuer().scopes().iter().map(ToString::to_string).collect(),
                env: native.issuer().variables().to_vec(),
                least_seconds: limits.least.map(|least| least.as_secs()),
                most_seconds: limits.most.map(|most| most.as_secs()),
                revocable: limits.revocable,
                narrows: Some(Narrows { scope: limits.scope, resource: limits.resource, life: limits.life }),
                ..plain
            }
        }
    }
}
