//! Credentials that are replaced by their use: refresh tokens.
//!
//! Owns the order of writes. The new one rests under a name of its own, and was read back, before the old one is touched;
//! what was cut off there is finished at the next use. So at every moment the newest one that was received is in the store.

use crate::{
    api::problem::Code,
    daemon::state::State,
    error::{Error, Result},
    secret::Secret,
    store::{Store, StoreError},
};

/// Where the new one rests while it is made the credential; no credential's name has a slash.
fn next(name: &str) -> String {
    format!("next/{name}")
}

/// The credential as it is now. Whoever calls holds its turn.
pub async fn read(state: &State, name: &str) -> Result<Secret> {
    let store = state.store.borrow().clone();
    if !state.logins.is_settled(name) {
        match store.read(&next(name)).await {
            Ok(newer) => settle(state, name, &newer).await?,
            Err(StoreError::NotFound) => {}
            Err(error) => return Err(error.into()),
        }
        state.logins.set_settled(name, true);
    }
    Ok(store.get(name).await?)
}

/// Replaces it. Whoever calls holds its turn.
pub async fn replace(state: &State, name: &str, value: &Secret) -> Result<()> {
    let store = state.store.borrow().clone();
    state.logins.set_settled(name, false);
    checked(&store, &next(name), value).await?;
    settle(state, name, value).await?;
    state.logins.set_settled(name, true);
    Ok(())
}

async fn settle(state: &State, name: &str, value: &Secret) -> Result<()> {
    let store = state.store.borrow().clone();
    checked(&store, name, value).await?;
    match store.remove(&next(name)).await {
        Ok(()) | Err(StoreError::NotFound) => Ok(()),
        Err(error) => Err(Error::from(error)),
    }
}

/// Stores it, and reads it back from where it rests.
async fn checked(store: &Store, name: &str, value: &Secret) -> Result<()> {
    store.put(name, value.clone()).await?;
    if store.read(name).await?.expose() == value.expose() {
        return Ok(());
    }
    Err(Error::new(Code::StoreUnavailable, "the store gave back another value than it was given")
        .hint("`hallpass doctor` looks at the store"))
}
