//! The `file` store: one age file (age-encryption.org/v1) that the public `age` tool reads.
//!
//! Owns when the file is read and replaced. Never overwrites a file that it could not read, that changed
//! since it was read, or that has gone; never keeps a plaintext outside [`Secret`]s.

use std::{collections::BTreeMap, io, path::PathBuf};

use super::{
    StoreError,
    backend::{Backend, Ticket},
};
use crate::{
    api::credential::StoreState,
    config::StoreConfig,
    paths::Paths,
    secret::Secret,
    sys::durable::{self, Stamp},
};

mod seal;

use seal::{Form, Key};

/// The largest file that is read: tens of thousands of credentials.
const MOST: u64 = 16 << 20;

/// Where the file is and what opens it.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    /// The file.
    pub(super) path: PathBuf,
    /// The folder of ours that it is in; `None` where the user chose the place.
    folder: Option<PathBuf>,
    identity: Option<PathBuf>,
    work: u8,
}

impl Settings {
    pub(super) fn new(config: &StoreConfig, paths: &Paths) -> Self {
        let folder = config.file.is_none().then(|| paths.data_dir.clone());
        let path = config.file.clone().unwrap_or_else(|| paths.store_file());
        Self { path, folder, identity: config.identity.clone(), work: seal::WORK }
    }
}

/// The file, open or locked.
pub(super) struct File {
    settings: Settings,
    open: Option<Open>,
    /// The user locked it: an identity file does not open it again by itself.
    locked: bool,
}

struct Open {
    key: Key,
    form: Form,
    /// `None` while there is no file yet.
    stamp: Option<Stamp>,
    values: BTreeMap<String, Secret>,
}

impl File {
    pub(super) fn new(settings: Settings) -> Self {
        Self { settings, open: None, locked: false }
    }

    /// Opens it where that needs nobody, and reads it again when somebody else has changed it.
    fn open(&mut self) -> Result<&mut Open, StoreError> {
        let now = durable::stamp(&self.settings.path).map_err(|error| self.io("read", &error))?;
        let fresh = match self.open.take() {
            Some(open) if open.stamp == now => open,
            Some(open) if now.is_none() => {
                let gone = format!("{} has gone; put it back, or lock and unlock to begin anew", self.path());
                self.open = Some(open);
                return Err(StoreError::Unavailable(gone));
            }
            // Its key may have changed as well: then it is locked.
            Some(open) => self.read(open.key).inspect_err(|error| self.locked |= wrong_key(error))?,
            None => match &self.settings.identity {
                Some(identity) if !self.locked => self.read(Key::of_identity(identity)?)?,
                _ => return Err(StoreError::Locked),
            },
        };
        Ok(self.open.insert(fresh))
    }

    fn read(&self, key: Key) -> Result<Open, StoreError> {
        match durable::read_regular(&self.settings.path, MOST) {
            Ok((sealed, stamp)) => {
                let (values, form) = seal::open(&sealed, &key)?;
                Ok(Open { key, form, stamp: Some(stamp), values })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Ok(Open { key, form: Form::Armoured, stamp: None, values: BTreeMap::new() })
            }
            Err(error) => Err(self.io("read", &error)),
        }
    }

    /// Applies a change to a copy of the values, writes it, and only then to the values in memory.
    fn change(
        &mut self,
        ticket: &Ticket,
        edit: impl FnOnce(&mut BTreeMap<String, Secret>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let (path, work) = (self.settings.path.clone(), self.settings.work);
        let open = self.open()?;
        let mut values = open.values.clone();
        edit(&mut values)?;
        let sealed = seal::seal(&values, &open.key, open.form, work)?;
        let expected = open.stamp;
        if let Some(folder) = &self.settings.folder {
            crate::sys::private_dir(folder).map_err(|error| StoreError::Io(error.detail))?;
        }
        let written = durable::replace::<Failed>(&path, &sealed, |read| {
            let open = self.open.as_ref().ok_or(StoreError::Locked)?;
            let (back, _) = seal::open(read, &open.key)?;
            if !same(&back, &values) {
                return Err(StoreError::Io("the new file reads back differently".into()).into());
            }
            if durable::stamp(&path)? != expected {
                return Err(StoreError::Io("somebody else changed the file meanwhile; try again".into()).into());
            }
            Ok(ticket.check()?)
        });
        let stamp = written.map_err(|failed| match failed {
            Failed::Store(error) => error,
            Failed::Io(error) => self.io("write", &error),
        })?;
        if let Some(open) = &mut self.open {
            open.values = values;
            open.stamp = Some(stamp);
        }
        Ok(())
    }

    fn path(&self) -> std::path::Display<'_> {
        self.settings.path.display()
    }

    fn io(&self, what: &str, error: &io::Error) -> StoreError {
        let why = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "the disk is full".into(),
            io::ErrorKind::ReadOnlyFilesystem => "the file system is read-only".into(),
            io::ErrorKind::PermissionDenied => "permission denied".into(),
            io::ErrorKind::NotFound => "its folder does not exist".into(),
            _ => error.to_string(),
        };
        StoreError::Io(format!("cannot {what} {}: {why}", self.path()))
    }
}

impl Backend for File {
    fn get(&mut self, name: &str) -> Result<Secret, StoreError> {
        self.open()?.values.get(name).cloned().ok_or(StoreError::NotFound)
    }

    fn put(&mut self, name: &str, value: &Secret, ticket: &Ticket) -> Result<(), StoreError> {
        self.change(ticket, |values| {
            values.insert(name.into(), value.clone());
            Ok(())
        })
    }

    fn remove(&mut self, name: &str, ticket: &Ticket) -> Result<(), StoreError> {
        self.change(ticket, |values| values.remove(name).map(drop).ok_or(StoreError::NotFound))
    }

    fn rename(&mut self, from: &str, to: &str, ticket: &Ticket) -> Result<(), StoreError> {
        let values = &self.open()?.values;
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
        self.open = None;
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
        let open = self.read(key)?;
        let is_new = open.stamp.is_none();
        self.open = Some(open);
        self.locked = false;
        if is_new {
            // Now, so that this passphrase is the file's from here on.
            self.change(&Ticket::default(), |_| Ok(())).inspect_err(|_| self.open = None)?;
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
            Err(error) if wrong_key(&error) => (StoreState::Locked, Some(error.to_string())),
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

fn wrong_key(error: &StoreError) -> bool {
    matches!(error, StoreError::WrongPassphrase)
}

fn same(one: &BTreeMap<String, Secret>, other: &BTreeMap<String, Secret>) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(a, b)| a.0 == b.0 && a.1.expose() == b.1.expose())
}

#[cfg(test)]
mod tests;
