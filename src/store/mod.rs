//! The store: where credentials rest.
//!
//! Owns one worker thread that makes every call, the deadline of each call, and the cache. A store that
//! hangs costs its caller the deadline and nobody else anything: the thread is given up and another one
//! goes on. Never falls back from one kind of store to another: stale values would come back. Values are
//! [`Secret`]s on both sides.

use std::{sync::Arc, time::Duration};

use crate::{
    api::credential::{StoreKind, StoreState, StoreStatus},
    config::StoreConfig,
    paths::Paths,
    secret::Secret,
};

mod backend;
mod cache;
mod error;
mod file;
mod keyring;
mod memory;
mod worker;

pub use error::StoreError;
use worker::{Answer, Call, Pool};

/// How long a call may take in which the user may have to type a password into the keyring's prompt.
const PROMPT_DEADLINE: Duration = Duration::from_secs(60);

/// The chosen store. Clones share it; its thread ends with the last one.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    pool: Pool,
    kind: StoreKind,
    place: String,
    deadline: Duration,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Store({}: {})", self.inner.kind, self.inner.place)
    }
}

impl Store {
    /// Starts the worker. The store itself is opened by the first call, so a store that is not there yet
    /// is found later.
    pub fn start(config: &StoreConfig, paths: &Paths) -> Self {
        let (make, place): (worker::Make, String) = match config.kind {
            StoreKind::Memory => {
                (Box::new(|| Box::new(memory::Memory::default())), "the daemon's memory, gone when it stops".into())
            }
            StoreKind::File => {
                let settings = file::Settings::new(config, paths);
                let place = settings.path.display().to_string();
                (Box::new(move || Box::new(file::File::new(settings.clone()))), place)
            }
            StoreKind::Keyring => {
                (Box::new(|| Box::new(keyring::Keyring::default())), crate::sys::keyring::PLACE.into())
            }
        };
        Self::over(make, place, config)
    }

    fn over(make: worker::Make, place: String, config: &StoreConfig) -> Self {
        let pool = Pool::start(make, config.cache);
        Self { inner: Arc::new(Inner { pool, kind: config.kind, place, deadline: config.deadline }) }
    }

    /// Which one it is.
    pub fn kind(&self) -> StoreKind {
        self.inner.kind
    }

    /// The value of a credential. From the cache it costs a lock and no thread.
    pub async fn get(&self, name: &str) -> Result<Secret, StoreError> {
        if let Some(value) = self.inner.pool.cached(name) {
            return Ok(value);
        }
        // Boxed, as what is rare: every request at the gateway would carry its size around.
        Box::pin(self.read(name)).await
    }

    /// The value of a credential as it rests now: never from the cache.
    pub async fn read(&self, name: &str) -> Result<Secret, StoreError> {
        match self.call(Call::Get(name.into())).await? {
            Answer::Value(value) => Ok(value),
            _ => Err(StoreError::NotFound),
        }
    }

    /// Stores a value, durably when this returns; an old one is replaced.
    pub async fn put(&self, name: &str, value: Secret) -> Result<(), StoreError> {
        self.put_all(vec![(name.into(), value)]).await
    }

    /// Stores several within one deadline, in one write where the store is a file. Where it fails, some of them may
    /// have been stored.
    pub async fn put_all(&self, values: Vec<(String, Secret)>) -> Result<(), StoreError> {
        self.call(Call::Put(values)).await.map(drop)
    }

    /// Removes a value.
    pub async fn remove(&self, name: &str) -> Result<(), StoreError> {
        self.call(Call::Remove(name.into())).await.map(drop)
    }

    /// Gives a value another name; at every moment at least one name has it. An interrupted call can be
    /// repeated. Another value under the new name is not replaced.
    pub async fn rename(&self, from: &str, to: &str) -> Result<(), StoreError> {
        self.call(Call::Rename(from.into(), to.into())).await.map(drop)
    }

    /// Forgets every value in memory, at once, and locks the store where it can be locked.
    pub async fn lock(&self) -> Result<(), StoreError> {
        self.inner.pool.clear_cache();
        self.call(Call::Lock).await.map(drop)
    }

    /// Opens the store: a `file` store by its passphrase, a keyring by its own prompt, for which the user
    /// has a minute.
    pub async fn unlock(&self, passphrase: Option<Secret>) -> Result<(), StoreError> {
        let deadline = self.inner.deadline.max(PROMPT_DEADLINE);
        self.inner.pool.call(Call::Unlock(passphrase), deadline).await.map(drop)
    }

    /// The store's state, within the deadline: while the worker is busy, what was last known.
    pub async fn status(&self) -> StoreStatus {
        let (state, detail) = if self.inner.pool.is_busy() {
            let (state, detail) = self.inner.pool.last_known();
            (state, detail.or_else(|| Some("busy with another call; this is what was last known".into())))
        } else {
            match self.call(Call::State).await {
                Ok(Answer::State(state, detail)) => (state, detail),
                Ok(_) => self.inner.pool.last_known(),
                Err(error) => {
                    let (last, _) = self.inner.pool.last_known();
                    let state = if error == StoreError::Timeout { last } else { StoreState::Unavailable };
                    (state, Some(error.to_string()))
                }
            }
        };
        StoreStatus { kind: self.inner.kind, state, place: self.inner.place.clone(), detail }
    }

    async fn call(&self, call: Call) -> Result<Answer, StoreError> {
        self.inner.pool.call(call, self.inner.deadline).await
    }
}

#[cfg(test)]
mod tests;
