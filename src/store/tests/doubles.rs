//! Stores that hang or panic on demand.

use std::sync::{Condvar, Mutex};

use super::{
    super::backend::{Backend, Ticket},
    *,
};

/// A store whose calls wait while the gate is closed, and that counts its reads.
#[derive(Default)]
pub(super) struct Gate {
    closed: Mutex<bool>,
    moved: Condvar,
    reads: Mutex<usize>,
}

impl Gate {
    pub(super) fn set(&self, closed: bool) {
        *self.closed.lock().unwrap() = closed;
        self.moved.notify_all();
    }

    fn pass(&self) {
        let mut closed = self.closed.lock().unwrap();
        while *closed {
            closed = self.moved.wait(closed).unwrap();
        }
    }

    pub(super) fn reads(&self) -> usize {
        *self.reads.lock().unwrap()
    }
}

pub(super) struct Gated(pub(super) Arc<Gate>, pub(super) memory::Memory);

impl Backend for Gated {
    fn get(&mut self, name: &str) -> Result<Secret, StoreError> {
        *self.0.reads.lock().unwrap() += 1;
        self.0.pass();
        self.1.get(name)
    }
    fn put(&mut self, name: &str, value: &Secret, ticket: &Ticket) -> Result<(), StoreError> {
        self.0.pass();
        self.1.put(name, value, ticket)
    }
    fn remove(&mut self, name: &str, ticket: &Ticket) -> Result<(), StoreError> {
        self.1.remove(name, ticket)
    }
    fn lock(&mut self) -> Result<(), StoreError> {
        self.1.lock()
    }
    fn unlock(&mut self, passphrase: Option<Secret>) -> Result<(), StoreError> {
        self.0.pass();
        self.1.unlock(passphrase)
    }
    fn state(&mut self) -> (StoreState, Option<String>) {
        self.1.state()
    }
}

/// A store crate that panics, as keyring's does on a poisoned lock.
pub(super) struct Panics(pub(super) memory::Memory);

impl Backend for Panics {
    fn get(&mut self, _name: &str) -> Result<Secret, StoreError> {
        panic!("on purpose")
    }
    fn put(&mut self, name: &str, value: &Secret, ticket: &Ticket) -> Result<(), StoreError> {
        self.0.put(name, value, ticket)
    }
    fn remove(&mut self, name: &str, ticket: &Ticket) -> Result<(), StoreError> {
        self.0.remove(name, ticket)
    }
    fn lock(&mut self) -> Result<(), StoreError> {
        self.0.lock()
    }
    fn unlock(&mut self, passphrase: Option<Secret>) -> Result<(), StoreError> {
        self.0.unlock(passphrase)
    }
    fn state(&mut self) -> (StoreState, Option<String>) {
        self.0.state()
    }
}
