//! `lease`: the record of each token, and its early end.

use std::rc::Rc;

use super::{not_found, rfc3339, task};
use crate::{
    api::{
        List, MAX_ROWS,
        lease::{Lease as Wire, Revoke, Revoked},
        problem::Code,
    },
    daemon::state::{State, callers::Caller},
    error::{Error, Result},
    lease::Lease,
    sys,
    task::EndReason,
    token,
};

/// The newest ones.
pub fn list(state: &State) -> Result<List<Wire>> {
    let items = state.db.leases(MAX_ROWS)?.iter().map(|lease| wire(state, lease)).collect();
    Ok(List { items })
}

/// One.
pub fn show(state: &State, id: &str) -> Result<Wire> {
    Ok(wire(state, &find(state, id)?))
}

/// Ends one and all that was narrowed from it.
pub fn revoke(state: &Rc<State>, caller: &Caller, id: &str) -> Result<Revoked> {
    let lease = find(state, id)?;
    let identity = state.identify(caller, None)?;
    task::may_touch(&identity, &lease.principal, lease.task.as_deref())?;
    Ok(Revoked { leases: state.end_leases(vec![id.to_owned()], EndReason::Revoked)? })
}

/// Ends the lease of a token: whoever holds a token may end it. A token that is not known is no error
/// (RFC 7009 section 2.2): what the caller wants is the case already.
pub fn revoke_token(state: &Rc<State>, request: Revoke) -> Result<Revoked> {
    let hash = token::check(request.token.expose().trim().as_bytes())
        .map_err(|e| Error::new(Code::TokenInvalid, e.to_string()).hint("give a whole hallpass token"))?;
    let id = state.leases.borrow().get(hash).map(|live| live.lease.id.clone());
    Ok(Revoked { leases: state.end_leases(id.into_iter().collect(), EndReason::Revoked)? })
}

fn find(state: &State, id: &str) -> Result<Lease> {
    state.db.lease(id)?.ok_or_else(|| not_found("lease", id, "hallpass lease list"))
}

fn wire(state: &State, lease: &Lease) -> Wire {
    let live = state.leases.borrow().by_id(&lease.id).is_some_and(|live| live.lease.check(sys::now()).is_ok());
    Wire {
        id: lease.id.clone(),
        live,
        task: lease.task.clone(),
        principal: lease.principal.clone(),
        issuer: lease.what.issuer.clone(),
        scopes: lease.what.scopes.clone(),
        resources: lease.what.resources.clone(),
        body: lease.bounds.clone(),
        issued_at: rfc3339(lease.deadline.from_wall_ms),
        expires_at: rfc3339(lease.deadline.wall_ms),
        upstream_expires_at: lease.outlived_until_ms().map(rfc3339),
        revocable: lease.is_revocable(),
        uses_left: lease.uses_left,
        rate: lease.rate,
        parent: lease.parent.clone(),
        grants: lease.grants.clone(),
        ended_at: lease.ended.as_ref().map(|ended| rfc3339(ended.at_ms)),
        end_reason: lease.ended.as_ref().map(|ended| ended.reason),
    }
}
