//! The `file` store: one age file (age-encryption.org/v1) that the public `age` tool reads.
//!
//! Owns when the file is read and replaced. Never overwrites a file that it could not read, that changed
//! since it was read, or that has gone; never keeps a plaintext outside [`Secret`]s.

use std::{collections::BTreeMap, io};

use super::{
    StoreError,
    backend::{Backend, Ticket},
};
use crate::{api::credential::StoreState, secret::Secret, sys::durable};

mod place;
mod seal;

use place::Content;
pub(super) use place::Settings;
use seal::Key;

/// The file, open or locked.
pub(super) struct File {
    settings: Settings,
    /// What opens it, while it is unlocked. Kept when a read fails, so that a disk that comes back is enough.
    key: Option<Key>,
    content: Option<Content>,
    /// The user locked it: an identity file does not open it again by itself.
    locked: bool,
}

impl File {
    pub(super) fn new(settings: Settings) -> Self {
        Self { settings, key: None, content: None, locked: false }
    }

    /// Opens it where that needs nobody, and reads it again when somebody else has changed it.
    fn open(&mut self) -> Result<(&Key, &mut Content), StoreError> {
        if self.key.is_none() {
            match &self.settings.identity {
                Some(identity) if !self.locked => self.key = Some(Key::of_identity(identity)?),
                _ => return Err(StoreError::Locked),
            }
        }
        let key = self.key.as_ref().ok_or(StoreError::Locked)?;
        let now = durable::stamp(&self.settings.path).map_err(|error| self.settings.io("read", &error))?;
        match &self.content {
            Some(content) if content.stamp == now => {}
            Some(_) if now.is_none() => {
                let gone = "has gone; put it back, or lock and unlock the store to begin anew";
                return Err(StoreError::Unavailable(format!("{} {gone}", self.settings.path.display())));
            }
            _ => match self.settings.read(key) {
                Ok(content) => self.content = Some(content),
                // Somebody gave it another passphrase: it is locked for us.
                Err(StoreError::WrongPassphrase) if self.settings.identity.is_none() => {
                    self.forget();
                    return Err(StoreError::Locked);
                }
                Err(error) => return Err(error),
            },
        }
        match (&self.key, &mut self.content) {
            (Some(key), Some(content)) => Ok((key, content)),
            _ => Err(StoreError::Locked),
        }
    }

    fn forget(&mut self) {
        self.key = None;
        self.content = None;
    }

    /// Applies a change to a copy of the values, writes it, and only then to the values in memory.
    fn change(
        &mut self,
        ticket: &Ticket,
        edit: impl FnOnce(&mut BTreeMap<String, Secret>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let settings = self.settings.clone();
        let (key, content) = self.open()?;
        let mut values = content.values.clone();
        edit(&mut values)?;
        let sealed = seal::seal(&values, key, content.form, settings.work)?;
        if let Some(folder) = &settings.folder {
            crate::sys::private_dir(folder).map_err(|error| StoreError::Io(error.detail))?;
        }
        let written = durable::replace::<Failed>(&settings.path, &sealed, |read| {
            if !same(&seal::open(read, key)?.0, &values) {
                return Err(StoreError::Io("the new file reads back differently".into()).into());
            }
            if durable::stamp(&settings.path)? != content.stamp {
                return Err(StoreError::Io("somebody else changed the file meanwhile; try again".into()).into());
            }
            Ok(ticket.check()?)
        });
        let stamp = written.map_err(|failed| match failed {
            Failed::Store(error) => error,
            Failed::Io(error) => settings.io("write", &error),
        })?;
        content.values = values;
        content.stamp = Some(stamp);
        Ok(())
    }
}

impl Backend for File {
    fn get(&mut self, name: &str) -> Result<Secret, StoreError> {
        self.open()?.1.values.get(name).cloned().ok_or(StoreError::NotFound)
    }

    fn put(&mut self, name: &str, value: &Secret, ticket: &Ticket) -> Result<(), StoreError> {
        self.put_all(&[(name.to_owned(), value.clone())], ticket)
    }

    /// In one write: with a passphrase each takes a part of a second.
    fn put_all(&mut self, values: &[(String, Secret)], ticket: &Ticket) -> Result<(), StoreError> {
        self.change(ticket, |all| {
            all.extend(values.iter().cloned());
            Ok(())
        })
    }

    fn remove(&mut self, name: &str, ticket: &Ticket) -> Result<(), StoreError> {
        self.change(ticket, |values| values.remove(name).map(drop).ok_or(StoreError::NotFound))
    }

    fn rename(&mut self, from: &str, to: &str, ticket: &Ticket) -> Result<(), StoreError> {
        let values = &self.open()?.1.values;
        match (values.get(from), values.get(to)) {
            (None, None) => return Err(StoreError::NotFound),
            // Done by a call whose answer was lost.
            (None, Some(_)) => return Ok(()),
            (Some(_), _) if from == to => return Ok(()),
            (Some(value), Some(there)) if value.expose() != there.expose() => {
                return Err(StoreError::Io(format!("{to} holds another value already")));
            }
            _ => {}
        }
        // One write has both, so there is no moment without the value.
        self.change(ticket, |values| {
            let value = values.remove(from).ok_or(StoreError::NotFound)?;
            values.insert(to.into(), value);
            Ok(())
        })
    }

    fn lock(&mut self) -> Result<(), StoreError> {
        self.forget();
        self.locked = true;
        Ok(())
    }

    fn unlock(&mut self, passphrase: Option<Secret>) -> Result<(), StoreError> {
        let key = match (&self.settings.identity, passphrase) {
            (Some(identity), _) => Key::of_identity(identity)?,
            (None, Some(passphrase)) if !passphrase.is_empty() => Key::of_passphrase(passphrase)?,
            (None, Some(_)) => return Err(StoreError::WrongPassphrase),
            (None, None) => return self.open().map(drop),
        };
        // Read even when it is open: a wrong passphrase must not look like the right one.
        let content = self.settings.read(&key)?;
        let is_new = content.stamp.is_none();
        (self.key, self.content, self.locked) = (Some(key), Some(content), false);
        if is_new {
            // Now, so that this passphrase is the file's from here on.
            self.change(&Ticket::default(), |_| Ok(())).inspect_err(|_| self.forget())?;
        }
        Ok(())
    }

    fn state(&mut self) -> (StoreState, Option<String>) {
        let exists = self.settings.path.symlink_metadata().is_ok();
        match self.open() {
            Ok(_) => (StoreState::Open, None),
            Err(StoreError::Locked) if exists => (StoreState::Locked, None),
            Err(StoreError::Locked) => {
                (StoreState::Locked, Some("there is no file yet; `hallpass unlock` makes it with a passphrase".into()))
            }
            Err(error @ StoreError::WrongPassphrase) => (StoreState::Locked, Some(error.to_string())),
            Err(error) => (StoreState::Unavailable, Some(error.to_string())),
        }
    }
}

/// Both kinds of failure inside a replacement.
enum Failed {
    Store(StoreError),
    Io(io::Error),
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

fn same(one: &BTreeMap<String, Secret>, other: &BTreeMap<String, Secret>) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(a, b)| a.0 == b.0 && a.1.expose() == b.1.expose())
}

#[cfg(test)]
mod tests;
