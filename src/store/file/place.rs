//! Where the file is, and reading it whole.

use std::{collections::BTreeMap, io, path::PathBuf};

use super::seal::{self, Form, Key};
use crate::{
    config::StoreConfig,
    paths::Paths,
    secret::Secret,
    store::StoreError,
    sys::durable::{self, Stamp},
};

/// The largest file that is read: tens of thousands of credentials.
const MOST: u64 = 16 << 20;

/// Where the file is and what opens it.
#[derive(Clone, Debug)]
pub(in crate::store) struct Settings {
    /// The file.
    pub(in crate::store) path: PathBuf,
    /// The folder of ours that it is in; `None` where the user chose the place.
    pub(super) folder: Option<PathBuf>,
    pub(super) identity: Option<PathBuf>,
    /// The scrypt work factor of what is written.
    pub(super) work: u8,
}

impl Settings {
    pub(in crate::store) fn new(config: &StoreConfig, paths: &Paths) -> Self {
        let folder = config.file.is_none().then(|| paths.data_dir.clone());
        let path = config.file.clone().unwrap_or_else(|| paths.store_file());
        Self { path, folder, identity: config.identity.clone(), work: seal::WORK }
    }

    /// Reads and opens it; a file that is not there has no values yet.
    pub(super) fn read(&self, key: &Key) -> Result<Content, StoreError> {
        match durable::read_regular(&self.path, MOST) {
            Ok((sealed, stamp)) => {
                let (values, form) = seal::open(&sealed, key)?;
                Ok(Content { form, stamp: Some(stamp), values })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Ok(Content { form: Form::Armoured, stamp: None, values: BTreeMap::new() })
            }
            Err(error) => Err(self.io("read", &error)),
        }
    }

    /// What the system refused, in words.
    pub(super) fn io(&self, what: &str, error: &io::Error) -> StoreError {
        let why = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "the disk is full".into(),
            io::ErrorKind::ReadOnlyFilesystem => "the file system is read-only".into(),
            io::ErrorKind::PermissionDenied => "permission denied".into(),
            io::ErrorKind::NotFound => "its folder does not exist".into(),
            _ => error.to_string(),
        };
        StoreError::Io(format!("cannot {what} {}: {why}", self.path.display()))
    }
}

/// What was read, and the state of the file it was read from (`None` while there is no file yet).
pub(super) struct Content {
    pub(super) form: Form,
    pub(super) stamp: Option<Stamp>,
    pub(super) values: BTreeMap<String, Secret>,
}
