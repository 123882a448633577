//! `principal`: who may ask, and who owns them.

use std::rc::Rc;

use super::{new_name, not_found, rfc3339};
use crate::{
    api::{
        Done, List,
        principal::{AddPrincipal, Principal},
        problem::Code,
    },
    audit::{Decision, Record},
    config,
    daemon::state::{State, callers::Caller, names::PrincipalRecord},
    error::{Error, Result},
    principal::Kind,
    sys,
    task::EndReason,
};

/// All of them.
pub fn list(state: &State) -> List<Principal> {
    List { items: state.names.borrow().principals().map(wire).collect() }
}

/// One.
pub fn show(state: &State, name: &str) -> Result<Principal> {
    Ok(wire(&find(state, name)?))
}

/// Registers a new one.
pub fn add(state: &Rc<State>, caller: &Caller, request: AddPrincipal) -> Result<Principal> {
    let identity = state.human_only(caller, "registering a principal")?;
    new_name("principal", &request.name)?;
    if request.kind == Kind::Unknown || request.kind == Kind::Human {
        return Err(Error::new(
            Code::InvalidValue,
            "a principal of your own is an assistant, an agent, an mcp-server or a service",
        )
        .hint("hallpass principal add NAME --kind agent"));
    }
    if state.names.borrow().principal(&request.name).is_some() {
        return Err(Error::new(Code::Exists, format!("there is a principal {:?} already", request.name))
            .hint("hallpass principal list"));
    }
    let record = PrincipalRecord {
        name: request.name,
        kind: request.kind,
        owner: request.owner.unwrap_or_else(sys::user_name),
        description: request.description,
        disabled: false,
        created_ms: sys::now().wall_ms,
        last_seen_ms: None,
    };
    state.audit_ready()?;
    state.put_principal(record.clone())?;
    state.record_after(
        Record::new("principal.add", &identity.principal, identity.kind).decision(Decision::Done).detail(&record.name),
    );
    Ok(wire(&record))
}

/// Disables one and ends what it holds.
pub fn disable(state: &Rc<State>, caller: &Caller, name: &str) -> Result<Principal> {
    let identity = state.human_only(caller, "disabling a principal")?;
    let mut record = find(state, name)?;
    record.disabled = true;
    state.put_principal(record.clone())?;
    end_all(state, name)?;
    state.record_after(
        Record::new("principal.disable", &identity.principal, identity.kind).decision(Decision::Done).detail(name),
    );
    Ok(wire(&record))
}

/// Lets one ask again; what it held stays ended.
pub fn enable(state: &Rc<State>, caller: &Caller, name: &str) -> Result<Principal> {
    let identity = state.human_only(caller, "enabling a principal")?;
    let mut record = find(state, name)?;
    record.disabled = false;
    state.audit_ready()?;
    state.put_principal(record.clone())?;
    state.record_after(
        Record::new("principal.enable", &identity.principal, identity.kind).decision(Decision::Done).detail(name),
    );
    Ok(wire(&record))
}

/// Removes one with its grants, and ends what it holds.
pub fn remove(state: &Rc<State>, caller: &Caller, name: &str) -> Result<Done> {
    let identity = state.human_only(caller, "removing a principal")?;
    find(state, name)?;
    let settings = state.settings();
    let comes_back = settings.rules.iter().any(|rule| rule.principal == name);
    if comes_back && settings.config.grants.iter().any(|grant| grant.principal == name) {
        // It is registered again when it is next seen, and would have its grants again.
        return Err(Error::new(Code::InUse, format!("{name} is named by its process, and has grants"))
            .hint(format!("`hallpass principal disable {name}`, or remove its grants first")));
    }
    end_all(state, name)?;
    // With it go its grants: another principal of that name must not find them.
    // From the last to the first: one without an id is named by its place in the file.
    for grant in settings.config.grants.iter().rev().filter(|grant| grant.principal == name) {
        config::edit::remove_grant(&state.paths.config(), &grant.id)?;
    }
    state.reload()?;
    state.forget_principal(name)?;
    state.record_after(
        Record::new("principal.remove", &identity.principal, identity.kind).decision(Decision::Done).detail(name),
    );
    Ok(Done { done: true })
}

fn end_all(state: &State, name: &str) -> Result<()> {
    let tasks: Vec<String> =
        state.tasks.borrow().iter().filter(|task| task.principal == name).map(|task| task.id.clone()).collect();
    for task in tasks {
        state.end_task(&task, EndReason::PrincipalDisabled)?;
    }
    let leases = state.leases.borrow().ids(|lease| lease.principal == name);
    state.end_leases(leases, EndReason::PrincipalDisabled).map(drop)
}

fn find(state: &State, name: &str) -> Result<PrincipalRecord> {
    let hint = "hallpass principal list";
    state.names.borrow().principal(name).cloned().ok_or_else(|| not_found("principal", name, hint))
}

fn wire(record: &PrincipalRecord) -> Principal {
    Principal {
        name: record.name.clone(),
        kind: record.kind,
        owner: record.owner.clone(),
        description: record.description.clone(),
        disabled: record.disabled,
        created_at: rfc3339(record.created_ms),
        last_seen_at: record.last_seen_ms.map(rfc3339),
    }
}
