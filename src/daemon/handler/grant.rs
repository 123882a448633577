//! `grant`: the lines of policy, and the answer to "would this be allowed, and by which line?".

use std::{rc::Rc, time::Duration};

use super::{not_found, release};
use crate::{
    api::{
        Done, List,
        grant::{AddGrant, Explain, Explanation, Grant},
        problem::Code,
    },
    audit::{Decision, Record},
    config,
    daemon::state::{State, callers::Caller},
    error::{Error, Result},
    gateway::catalogue::Catalogue,
    policy::{self, Approval, Denial, Verdict},
    scope::{Contains, Wanted},
};

/// All of them, in the config's order.
pub fn list(state: &State) -> List<Grant> {
    List { items: state.settings().config.grants.iter().map(wire).collect() }
}

/// Adds one to the config.
pub fn add(state: &Rc<State>, caller: &Caller, request: AddGrant) -> Result<Grant> {
    let identity = state.human_only(caller, "adding a grant")?;
    // An assistant may be given something before it was ever seen.
    match state.settings().rules.iter().find(|rule| rule.principal == request.principal) {
        Some(rule) => state.see_assistant(&rule.principal, rule.kind)?,
        None => state.registered(&request.principal)?,
    };
    known_scopes(state, &request.what)?;
    if request.max_ttl_seconds.is_some_and(|ttl| ttl == 0 || ttl > config::MAX_TTL.as_secs()) {
        let most = human_time(config::MAX_TTL);
        return Err(Error::new(
            Code::InvalidValue,
            format!("a grant's tokens live for at most {most}, and not for 0s"),
        )
        .hint(format!("--ttl {most}; longer work mints again")));
    }
    state.audit_ready()?;
    let id = format!("grant-{:08x}", u32::from_le_bytes(state.random()?));
    let line = format!("{id}: {} for {}", request.what, request.principal);
    config::edit::add_grant(&state.paths.config(), &request, &id)?;
    state.reload()?;
    state.record_after(
        Record::new("grant.add", &identity.principal, identity.kind).decision(Decision::Done).detail(&line),
    );
    let settings = state.settings();
    let added = settings.config.grants.iter().find(|grant| grant.id == id);
    added.map(wire).ok_or_else(|| Error::internal("the grant was written and is not in the config"))
}

/// Removes one, and ends the leases that no other grant allows.
pub fn remove(state: &Rc<State>, caller: &Caller, id: &str) -> Result<Done> {
    let identity = state.human_only(caller, "removing a grant")?;
    if !state.settings().config.grants.iter().any(|grant| grant.id == id) {
        return Err(not_found("grant", id, "hallpass grant list"));
    }
    config::edit::remove_grant(&state.paths.config(), id)?;
    state.reload()?;
    state.record_after(
        Record::new("grant.remove", &identity.principal, identity.kind).decision(Decision::Done).detail(id),
    );
    Ok(Done { done: true })
}

/// Says whether it would be allowed, by which grants, and what the narrowest grant would be.
pub fn explain(state: &State, caller: &Caller, request: Explain) -> Result<Explanation> {
    let (principal, task) = match request.principal {
        Some(name) => (name, None),
        None => {
            let identity = state.identify(caller, None)?;
            (identity.principal, identity.task)
        }
    };
    known_scopes(state, &request.what)?;
    let settings = state.settings();
    let tasks = state.tasks.borrow();
    let task = task.map(|id| tasks.get(&id).ok_or_else(|| super::task::ended(&id))).transpose()?;
    let asked = policy::Request { principal: principal.clone(), what: request.what.clone(), ttl: None };
    let by_id =
        |ids: &[String]| settings.config.grants.iter().filter(|g| ids.contains(&g.id)).map(wire).collect::<Vec<_>>();
    Ok(match policy::decide(&settings.config.grants, &asked, task) {
        Verdict::Allowed(terms) => Explanation {
            allowed: terms.approval == Approval::Auto,
            approval: Some(terms.approval),
            grants: by_id(&terms.grants),
            reason: match terms.approval {
                Approval::Ask => "it is allowed once a person approves it".into(),
                _ => format!("it is allowed, for at most {}", human_time(terms.ttl)),
            },
            narrowest: None,
            principal,
        },
        Verdict::Denied(denial) => Explanation {
            allowed: false,
            approval: None,
            grants: match &denial {
                Denial::Never { grant, .. } => by_id(std::slice::from_ref(grant)),
                _ => Vec::new(),
            },
            reason: denial.to_string(),
            narrowest: would_allow(&principal, &request.what, &denial),
            principal,
        },
    })
}

/// The exact command that would allow it, where there is one.
pub fn would_allow(principal: &str, what: &Wanted, denial: &Denial) -> Option<String> {
    match denial {
        Denial::NoGrant { .. } => Some(format!("hallpass grant add {principal} '{what}'")),
        Denial::Never { grant, .. } => Some(format!("hallpass grant remove {grant}")),
        Denial::OutsideTask { .. } => Some(format!("hallpass exec --grant '{what}' -- COMMAND")),
        Denial::Unknown | Denial::TaskEnded { .. } => None,
    }
}

/// Refuses a scope that no preset of the issuer's route has: it would allow nothing, and is a typing
/// mistake.
pub fn known_scopes(state: &State, what: &Wanted) -> Result<()> {
    let settings = state.settings();
    let Some(issuer) = settings.config.issuers.get(&what.issuer) else {
        let known: Vec<&str> = settings.config.issuers.keys().map(String::as_str).collect();
        let hint = match settings.catalogue.get(&what.issuer) {
            Some(_) => format!("hallpass credential add {}", what.issuer),
            None if known.is_empty() => "hallpass credential add NAME makes one".into(),
            None => format!("the issuers are: {}", known.join(", ")),
        };
        return Err(not_found("issuer", &what.issuer, &hint));
    };
    let scopes = match &issuer.kind {
        config::IssuerKind::Gateway { route, .. } => scopes_of(&settings.catalogue, route),
        config::IssuerKind::Static => Vec::new(),
        config::IssuerKind::Native(native) => native.issuer().scopes(),
    };
    let native = matches!(issuer.kind, config::IssuerKind::Native(_));
    if native && release::is_asked(what) {
        return Err(release::no_scope(&what.issuer));
    }
    if native && scopes.is_empty() && !what.scopes.is_empty() {
        return Ok(());
    }
    // What signs requests for tokens is never handed out itself.
    let own = (!native).then(|| release::SCOPE.parse().ok()).flatten();
    let scopes: Vec<_> = scopes.into_iter().chain(own).collect();
    let odd =
        what.scopes.iter().find(|scope| !scopes.iter().any(|preset| scope.contains(preset) || preset.contains(scope)));
    match odd {
        None if !what.scopes.is_empty() => Ok(()),
        None => Err(Error::new(Code::InvalidValue, "no scope was named").hint(known_hint(&scopes))),
        Some(scope) => {
            Err(Error::new(Code::InvalidValue, format!("{} has no scope {scope}", what.issuer))
                .hint(known_hint(&scopes)))
        }
    }
}

fn known_hint(scopes: &[crate::scope::Scope]) -> String {
    let names: Vec<String> = scopes.iter().map(ToString::to_string).collect();
    format!("its scopes are: {}", names.join(", "))
}

fn scopes_of(catalogue: &Catalogue, route: &str) -> Vec<crate::scope::Scope> {
    catalogue
        .get(route)
        .map(|route| route.scopes.iter().map(|preset| preset.name.clone()).collect())
        .unwrap_or_default()
}

/// A grant on the wire.
pub fn wire(grant: &policy::Grant) -> Grant {
    Grant {
        id: grant.id.clone(),
        principal: grant.principal.clone(),
        issuer: grant.what.issuer.clone(),
        scopes: grant.what.scopes.clone(),
        resources: grant.what.resources.clone(),
        max_ttl_seconds: grant.max_ttl.as_secs(),
        approval: grant.approval,
        body: grant.bounds.clone(),
        rate: grant.rate,
    }
}

/// A length of time for people: `15m`, `1h30m`.
pub fn human_time(time: Duration) -> String {
    let (hours, minutes, seconds) = (time.as_secs() / 3600, time.as_secs() / 60 % 60, time.as_secs() % 60);
    let part = |n: u64, unit: &str| if n == 0 { String::new() } else { format!("{n}{unit}") };
    let text = [part(hours, "h"), part(minutes, "m"), part(seconds, "s")].concat();
    if text.is_empty() { "0s".into() } else { text }
}
