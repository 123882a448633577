//! Rendered files, as far as the daemon remembers them: which token is in which, and why one is not renewed.
//!
//! Owns the record and the bell that wakes the renderer. Nothing of it outlives the daemon: a file is made again at the
//! start. The tokens themselves are not kept.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    time::Duration,
};

use tokio::sync::{Mutex, Notify};

use crate::{
    api::render::Render,
    clock::{Deadline, Moment},
    error::Error,
};

/// What the ids of their tasks begin with; the rest is the file's name.
pub const TASK: &str = "render:";

/// All of them.
#[derive(Default)]
pub struct Renders {
    files: RefCell<BTreeMap<String, File>>,
    bell: Notify,
    again: Cell<bool>,
    /// Held while files are looked after: by the renderer, or by who just changed one.
    pub turn: Mutex<()>,
}

/// One file.
#[derive(Clone, Debug)]
pub struct File {
    /// What the config said when it was made.
    pub render: Render,
    /// What is in it; `None` where there is no file.
    pub content: Option<Content>,
    /// Why there is nothing fresh in it.
    pub problem: Option<Error>,
    /// When to try again, where that may help by itself.
    pub again: Option<Deadline>,
    /// A person ended its lease or task: it stays away until somebody asks for it.
    pub off: bool,
}

/// What is in a file.
#[derive(Clone, Debug)]
pub enum Content {
    /// A token.
    Token {
        /// Its lease.
        lease: String,
        /// When that ends.
        deadline: Deadline,
    },
    /// The credential itself.
    Credential,
}

impl File {
    /// Nothing yet.
    pub fn new(render: Render) -> Self {
        Self { render, content: None, problem: None, again: None, off: false }
    }

    /// The lease of its token.
    pub fn lease(&self) -> Option<&str> {
        match &self.content {
            Some(Content::Token { lease, .. }) => Some(lease),
            _ => None,
        }
    }

    /// How long until it has to be looked at: nothing left means now, `None` that time changes nothing.
    pub fn due(&self, now: Moment) -> Option<Duration> {
        let retry = self.again.map(|again| again.remaining(now));
        let content = match &self.content {
            // A token that could not be renewed is looked at when it ends.
            Some(Content::Token { deadline, .. }) if self.problem.is_some() => Some(deadline.remaining(now)),
            // As a lease is shared until 80 % of its life are over.
            Some(Content::Token { deadline, .. }) => {
                Some(deadline.remaining(now).saturating_sub(deadline.length() / 5))
            }
            _ => None,
        };
        retry.into_iter().chain(content).min()
    }
}

impl Renders {
    /// What is known of one.
    pub fn get(&self, name: &str) -> Option<File> {
        self.files.borrow().get(name).cloned()
    }

    /// Remembers one.
    pub fn put(&self, file: File) {
        self.files.borrow_mut().insert(file.render.name.clone(), file);
    }

    /// Forgets one.
    pub fn forget(&self, name: &str) -> Option<File> {
        self.files.borrow_mut().remove(name)
    }

    /// Their names.
    pub fn names(&self) -> Vec<String> {
        self.files.borrow().keys().cloned().collect()
    }

    /// Something that decides over them has changed: grants, principals, the store.
    pub fn changed(&self) {
        self.again.set(true);
        self.bell.notify_one();
    }

    /// These leases have ended.
    pub fn ended(&self, leases: &[String]) {
        let mine = |file: &File| file.lease().is_some_and(|lease| leases.iter().any(|ended| ended == lease));
        if self.files.borrow().values().any(mine) {
            self.bell.notify_one();
        }
    }

    /// Whether something has changed since this was asked last.
    pub fn take_changed(&self) -> bool {
        self.again.replace(false)
    }

    /// Waits until something happens.
    pub async fn rung(&self) {
        self.bell.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clock::BootId, render::Format};

    fn at(ms: i64) -> Moment {
        Moment { wall_ms: ms, boot_ms: ms, boot: BootId(1) }
    }

    #[test]
    fn a_file_is_due_at_80_percent_and_a_failing_one_when_its_token_ends() {
        let render = Render {
            name: "a".into(),
            want: None,
            helper: None,
            principal: "bot".into(),
            format: Format::Raw,
            template: None,
            ttl_seconds: None,
        };
        let mut file = File::new(render);
        assert_eq!(file.due(at(0)), None);
        let deadline = Deadline::after(at(0), Duration::from_secs(100));
        file.content = Some(Content::Token { lease: "l".into(), deadline });
        assert_eq!(file.due(at(10_000)), Some(Duration::from_secs(70)));
        assert_eq!(file.due(at(90_000)), Some(Duration::ZERO));
        // The wall clock may be set as anyone likes.
        assert_eq!(file.due(Moment { wall_ms: 9_000_000, ..at(10_000) }), Some(Duration::from_secs(70)));
        file.problem = Some(Error::internal("x"));
        assert_eq!(file.due(at(90_000)), Some(Duration::from_secs(10)));
        file.again = Some(Deadline::after(at(90_000), Duration::from_secs(5)));
        assert_eq!(file.due(at(90_000)), Some(Duration::from_secs(5)));
        file = File { content: Some(Content::Credential), again: None, ..file };
        assert_eq!(file.due(at(90_000)), None);
    }
}
