//! `lock` and `unlock`: the store.

use std::rc::Rc;

use crate::{
    api::credential::{StoreStatus, Unlock},
    audit::{Decision, Record},
    daemon::state::{State, callers::Caller},
    error::Result,
    secret::Secret,
};

/// Forgets every credential in memory and locks the store. Anyone of this user may: it only takes
/// away.
pub async fn lock(state: &Rc<State>, caller: &Caller) -> Result<StoreStatus> {
    let identity = state.identify(caller, None)?;
    let store = state.store.borrow().clone();
    store.lock().await?;
    state.record_after(Record::new("store.lock", &identity.principal, identity.kind).decision(Decision::Done));
    Ok(store.status().await)
}

/// Opens it again.
pub async fn unlock(state: &Rc<State>, caller: &Caller, request: Unlock) -> Result<StoreStatus> {
    let identity = state.human_only(caller, "unlocking the store")?;
    let passphrase = request.passphrase.map(|text| Secret::take_string(text.expose().to_owned()));
    let store = state.store.borrow().clone();
    store.unlock(passphrase).await?;
    state.record_after(Record::new("store.unlock", &identity.principal, identity.kind).decision(Decision::Done));
    Ok(store.status().await)
}
