//! Logins: those that are under way, and the one that is exchanged at a time.
//!
//! Owns what is remembered between the start of an attempt and its end, and the turn of each credential that is replaced by
//! its use. What survives a restart is the credential itself.

use std::{
    cell::RefCell,
    collections::{HashMap, HashSet},
    sync::{Arc, Weak},
};

use tokio::sync::{Mutex, OwnedMutexGuard, watch};
use tokio_util::sync::CancellationToken;

use crate::{
    api::login::{Challenged, LoggedIn},
    error::Result,
};

/// The end of an attempt, once it is there.
pub type End = Option<Result<LoggedIn>>;

/// All of them.
#[derive(Default)]
pub struct Logins {
    open: RefCell<HashMap<String, Attempt>>,
    turns: RefCell<HashMap<String, Weak<Mutex<()>>>>,
    settled: RefCell<HashSet<String>>,
    challenges: RefCell<HashMap<String, Challenged>>,
}

/// One that is under way, or has just ended.
struct Attempt {
    id: String,
    end: watch::Receiver<End>,
    stop: CancellationToken,
}

impl Logins {
    /// Begins one; an earlier one of this issuer is given up.
    pub fn begin(&self, issuer: &str, id: &str, end: watch::Receiver<End>, stop: CancellationToken) {
        let attempt = Attempt { id: id.to_owned(), end, stop };
        if let Some(old) = self.open.borrow_mut().insert(issuer.to_owned(), attempt) {
            old.stop.cancel();
        }
    }

    /// Where the end of this attempt will be.
    pub fn end(&self, issuer: &str, id: &str) -> Option<watch::Receiver<End>> {
        self.open.borrow().get(issuer).filter(|attempt| attempt.id == id).map(|attempt| attempt.end.clone())
    }

    /// Its end was told to whoever asked.
    pub fn forget(&self, issuer: &str, id: &str) {
        self.open.borrow_mut().retain(|name, attempt| name != issuer || attempt.id != id);
    }

    /// Waits until nobody else uses a credential that its use replaces.
    pub async fn turn(&self, credential: &str) -> OwnedMutexGuard<()> {
        let turn = {
            let mut turns = self.turns.borrow_mut();
            turns.retain(|_, turn| turn.strong_count() > 0);
            match turns.get(credential).and_then(Weak::upgrade) {
                Some(turn) => turn,
                None => {
                    let turn = Arc::new(Mutex::new(()));
                    turns.insert(credential.to_owned(), Arc::downgrade(&turn));
                    turn
                }
            }
        };
        turn.lock_owned().await
    }

    /// Whether it is known that no exchange of this credential was cut off.
    pub fn is_settled(&self, credential: &str) -> bool {
        self.settled.borrow().contains(credential)
    }

    /// It is known now, or no more.
    pub fn set_settled(&self, credential: &str, settled: bool) {
        let mut all = self.settled.borrow_mut();
        if settled {
            all.insert(credential.to_owned())
        } else {
            all.remove(credential)
        };
    }

    /// What an MCP server asked for when it was last reached.
    pub fn challenge(&self, server: &str) -> Option<Challenged> {
        self.challenges.borrow().get(server).cloned()
    }

    /// It asked for this.
    pub fn set_challenge(&self, server: &str, challenge: Challenged) {
        self.challenges.borrow_mut().insert(server.to_owned(), challenge);
    }
}
