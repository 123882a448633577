//! Releasing a credential where nothing can stand in for it: the one way it reaches a command or a tool.
//!
//! Owns the order: decide, wait for a human where the grant says so, read the store, write the record, and only
//! then hand the value out. It needs a grant of the scope `release`, which nothing gives by itself, and the audit
//! marks it as static: what is released does not expire.

use std::rc::Rc;

use super::mint::{self, Order};
use crate::{
    api::problem::Code,
    audit::Decision,
    config::IssuerKind,
    daemon::state::{State, callers::Caller},
    error::{Error, Result},
    policy::RELEASE,
    scope::Wanted,
    secret::Secret,
};

/// The scope that gives the credential itself; the only one of a static issuer.
pub const SCOPE: &str = RELEASE;

/// Whether the issuer has no tokens.
pub fn is_static(state: &State, issuer: &str) -> bool {
    state.settings().config.issuers.get(issuer).is_some_and(|issuer| issuer.kind == IssuerKind::Static)
}

/// Whether the credential itself is asked for. It is never asked for together with something else.
pub fn is_asked(what: &Wanted) -> bool {
    what.scopes.iter().any(|scope| scope.to_string() == SCOPE)
}

/// The error of a `mint` for such an issuer.
pub fn no_token(issuer: &str) -> Error {
    Error::new(Code::InvalidValue, format!("{issuer} has no route, so there is no token for it")).hint(format!(
        "`hallpass exec --grant {issuer}:{SCOPE} -- COMMAND` releases the value where a .env file names it"
    ))
}

/// The error where a token is asked for with the scope of the credential itself.
pub fn no_scope(issuer: &str) -> Error {
    Error::new(Code::InvalidValue, format!("{SCOPE} is no scope of a token: it is {issuer}'s credential itself"))
        .hint(format!("`hallpass route show {issuer}` lists its scopes; a tool's helper may be given {issuer}:{SCOPE}"))
}

/// The credential's value, for a caller that a grant allows it.
pub async fn release(state: &Rc<State>, caller: &Caller, order: &Order) -> Result<Secret> {
    if is_asked(&order.what) && order.what.scopes.len() > 1 {
        return Err(no_scope(&order.what.issuer));
    }
    state.audit_ready()?;
    mint::decide(state, caller, order).await?;
    let credential = state.settings().config.issuers.get(&order.what.issuer).map(|issuer| issuer.credential.clone());
    let credential = credential.ok_or_else(|| no_token(&order.what.issuer))?;
    let store = state.store.borrow().clone();
    let value = store.get(&credential).await?;
    caller.recheck()?;
    state.record(
        mint::record(state, "credential.release", order)
            .evidence(Some(&caller.evidence().summary()))
            .decision(Decision::Allowed)
            .detail("static"),
    )?;
    Ok(value)
}
