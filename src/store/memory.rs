//! The `memory` store: the daemon's memory, gone when it stops. For tests and the demo.

use std::collections::BTreeMap;

use super::{
    StoreError,
    backend::{Backend, Ticket},
};
use crate::{api::credential::StoreState, secret::Secret};

/// A map.
#[derive(Default)]
pub(super) struct Memory {
    values: BTreeMap<String, Secret>,
    locked: bool,
}

impl Memory {
    fn open(&mut self) -> Result<&mut BTreeMap<String, Secret>, StoreError> {
        if self.locked { Err(StoreError::Locked) } else { Ok(&mut self.values) }
    }
}

impl Backend for Memory {
    fn get(&mut self, name: &str) -> Result<Secret, StoreError> {
        self.open()?.get(name).cloned().ok_or(StoreError::NotFound)
    }

    fn put(&mut self, name: &str, value: &Secret, ticket: &Ticket) -> Result<(), StoreError> {
        ticket.check()?;
        self.open()?.insert(name.into(), value.clone());
        Ok(())
    }

    fn remove(&mut self, name: &str, ticket: &Ticket) -> Result<(), StoreError> {
        ticket.check()?;
        self.open()?.remove(name).map(drop).ok_or(StoreError::NotFound)
    }

    fn lock(&mut self) -> Result<(), StoreError> {
        self.locked = true;
        Ok(())
    }

    fn unlock(&mut self, _passphrase: Option<Secret>) -> Result<(), StoreError> {
        self.locked = false;
        Ok(())
    }

    fn state(&mut self) -> (StoreState, Option<String>) {
        if self.locked { (StoreState::Locked, None) } else { (StoreState::Open, None) }
    }
}
