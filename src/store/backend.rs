//! What every store can do. The worker thread is the only caller.

use std::sync::atomic::{AtomicBool, Ordering};

use super::StoreError;
use crate::{api::credential::StoreState, secret::Secret};

/// One kind of store. Calls may block; the worker holds the deadline.
pub(super) trait Backend: Send {
    /// The value.
    fn get(&mut self, name: &str) -> Result<Secret, StoreError>;
    /// Stores the value durably, replacing an old one.
    fn put(&mut self, name: &str, value: &Secret, ticket: &Ticket) -> Result<(), StoreError>;
    /// Stores several, in order. Where it fails some may have been stored.
    fn put_all(&mut self, values: &[(String, Secret)], ticket: &Ticket) -> Result<(), StoreError> {
        values.iter().try_for_each(|(name, value)| self.put(name, value, ticket))
    }
    /// Removes it; `NotFound` when there was none.
    fn remove(&mut self, name: &str, ticket: &Ticket) -> Result<(), StoreError>;
    /// Locks it and forgets what opens it.
    fn lock(&mut self) -> Result<(), StoreError>;
    /// Opens it; may ask the user by a prompt of its own.
    fn unlock(&mut self, passphrase: Option<Secret>) -> Result<(), StoreError>;
    /// Its state and what is to be said of it. Must not prompt and must not wait for the user.
    fn state(&mut self) -> (StoreState, Option<String>);

    /// Gives a value another name. At every moment at least one of the two names has it. Another value
    /// under the new name is never replaced; the same value is, so that an interrupted call can be repeated.
    fn rename(&mut self, from: &str, to: &str, ticket: &Ticket) -> Result<(), StoreError> {
        let value = match self.get(from) {
            Err(StoreError::NotFound) if from != to => return self.get(to).map(drop),
            other => other?,
        };
        if from == to {
            return Ok(());
        }
        match self.get(to) {
            Ok(there) if there.expose() == value.expose() => {}
            Ok(_) => return Err(StoreError::Io(format!("{to} holds another value already"))),
            Err(StoreError::NotFound) => self.put(to, &value, ticket)?,
            Err(error) => return Err(error),
        }
        if self.get(to)?.expose() != value.expose() {
            return Err(StoreError::Damaged(format!("{to} was written but reads back differently; {from} is kept")));
        }
        self.remove(from, ticket)
    }
}

/// Tells a call whether somebody still waits for it.
#[derive(Debug, Default)]
pub(super) struct Ticket(AtomicBool);

impl Ticket {
    /// The caller went away.
    pub(super) fn cancel(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// The last look before a change that cannot be taken back: a call that came unstuck after its
    /// deadline must not overwrite what was done since.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        if self.0.load(Ordering::Acquire) { Err(StoreError::Timeout) } else { Ok(()) }
    }
}
