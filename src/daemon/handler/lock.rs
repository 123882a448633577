//! `lock` and `unlock`: the store.

use std::rc::Rc;

use crate::{
    api::{
        credential::{StoreKind, StoreStatus, Unlock},
        problem::Code,
    },
    audit::{Decision, Record},
    daemon::{
        renderer,
        state::{State, callers::Caller},
    },
    error::{Error, Result},
    secret::Secret,
    store::StoreError,
};

/// Forgets every credential in memory and locks the store. Anyone of this user may: it only takes
/// away.
pub async fn lock(state: &Rc<State>, caller: &Caller) -> Result<StoreStatus> {
    let identity = state.identify(caller, None)?;
    let store = state.store.borrow().clone();
    store.lock().await?;
    renderer::lock(state).await;
    state.record_after(Record::new("store.lock", &identity.principal, identity.kind).decision(Decision::Done));
    Ok(store.status().await)
}

/// Opens it again.
pub async fn unlock(state: &Rc<State>, caller: &Caller, request: Unlock) -> Result<StoreStatus> {
    let identity = state.human_only(caller, "unlocking the store")?;
    let passphrase = request.passphrase.map(|text| Secret::take_string(text.expose().to_owned()));
    let store = state.store.borrow().clone();
    store.unlock(passphrase).await.map_err(|error| match (error, state.settings().config.store.kind) {
        // To say "unlock it" would lead in a circle.
        (StoreError::Locked, StoreKind::Keyring) => Error::new(
            Code::StoreLocked,
            "the keyring is still locked: its own prompt was not answered, or there is none",
        )
        .hint("unlock it with your desktop's password manager (Seahorse, KWalletManager), or log in again"),
        (error, _) => error.into(),
    })?;
    state.record_after(Record::new("store.unlock", &identity.principal, identity.kind).decision(Decision::Done));
    // What waited for the store goes on.
    state.renders.changed();
    let resumed = Rc::clone(state);
    tokio::task::spawn_local(async move {
        if let Err(error) = super::quarantine::resume(&resumed).await {
            tracing::error!("a quarantine that was cut off is not finished yet: {error}");
        }
        resumed.watcher.unlocked();
    });
    Ok(store.status().await)
}
