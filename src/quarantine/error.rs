//! What can go wrong, each as the caller's next step. The texts hold nothing of a file's content.

use std::io;

use super::vault::VaultError;
use crate::{api::problem::Code, error::Error};

/// Why a file was left as it is.
#[derive(Debug)]
pub enum TakeError {
    /// It is not what was looked at: look again.
    Changed,
    /// Somebody has it open for writing, or wrote it in this moment: try again later.
    Busy,
    /// The vault is locked: try again when it is open.
    Locked,
    /// It is not there any more.
    Gone,
    /// It belongs to another user: tell its owner.
    NotOurs {
        /// The owner's uid.
        uid: u32,
    },
    /// The file or its folder cannot be written: tell the user; what, in words.
    ReadOnly(&'static str),
    /// It is no regular file, or too large, or its mode, owner or attributes could not be kept; in words.
    Unfit(String),
    /// The file would be read differently afterwards; what would break.
    WouldBreak(&'static str),
    /// The vault has another value under this name: give another one.
    NameTaken(String),
    /// The vault cannot; nothing was changed.
    Vault(String),
    /// The system refused; nothing was changed.
    Io {
        /// What was being done.
        doing: &'static str,
        /// The system's word.
        error: io::Error,
    },
    /// The file was being changed when the system refused. Nothing is lost: the next call or the next start
    /// finishes it or takes it back.
    Unfinished {
        /// What was being done.
        doing: &'static str,
        /// The system's word.
        error: io::Error,
    },
}

/// Why a secret was not put back.
#[derive(Debug)]
pub enum RestoreError {
    /// There is no such item.
    NoSuchItem,
    /// The file was changed since, and it is not clear where the values belong; the credentials' names.
    Changed(Vec<String>),
    /// The file could not be written; as when it was taken.
    File(TakeError),
}

/// Why an item was not forgotten.
#[derive(Debug)]
pub enum PurgeError {
    /// There is no such item.
    NoSuchItem,
    /// Its reference still stands in the file: restore it, or force.
    StillUsed,
    /// The vault is locked.
    Locked,
    /// The vault or the journal cannot.
    Failed(String),
}

impl TakeError {
    pub(super) fn io(doing: &'static str) -> impl Fn(io::Error) -> Self {
        move |error| Self::Io { doing, error }
    }

    /// True where the same call may work a moment later.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Busy | Self::Locked | Self::Changed | Self::Unfinished { .. })
    }
}

impl From<VaultError> for TakeError {
    fn from(error: VaultError) -> Self {
        match error {
            VaultError::Locked => Self::Locked,
            VaultError::Gone => Self::Vault("the store does not have what was just put into it".into()),
            VaultError::Failed(why) => Self::Vault(why),
        }
    }
}

impl From<TakeError> for RestoreError {
    fn from(error: TakeError) -> Self {
        Self::File(error)
    }
}

impl From<VaultError> for RestoreError {
    fn from(error: VaultError) -> Self {
        Self::File(match error {
            VaultError::Gone => TakeError::Vault("the store no longer has the value".into()),
            other => other.into(),
        })
    }
}

impl From<VaultError> for PurgeError {
    fn from(error: VaultError) -> Self {
        match error {
            VaultError::Locked => Self::Locked,
            VaultError::Gone => Self::NoSuchItem,
            VaultError::Failed(why) => Self::Failed(why),
        }
    }
}

impl From<TakeError> for Error {
    fn from(error: TakeError) -> Self {
        use TakeError as E;
        let (code, what, hint) = match error {
            E::Changed => (Code::Io, "the file changed meanwhile".to_owned(), "scan it again"),
            E::Busy => (Code::Io, "another program is writing the file".to_owned(), "close it there, or try again"),
            E::Locked => (Code::StoreLocked, "the store is locked".to_owned(), "`hallpass unlock` opens it"),
            E::Gone => (Code::NotFound, "the file is not there any more".to_owned(), "scan again"),
            E::NotOurs { uid } => (
                Code::Io,
                format!("the file belongs to another user (uid {uid})"),
                "its owner has to quarantine it; hallpass forces nothing",
            ),
            E::ReadOnly(what) => (Code::Io, what.to_owned(), "make it writable if it should be, then try again"),
            E::Unfit(why) => (Code::Io, why, "it was left as it is; take the secret out by hand"),
            E::WouldBreak(what) => {
                (Code::InvalidValue, format!("a reference would break the file: {what}"), "take it out by hand")
            }
            E::NameTaken(name) => {
                (Code::Exists, format!("the credential {name} has another value"), "give the secret another name")
            }
            E::Vault(why) => (Code::StoreUnavailable, why, "the file is as it was; `hallpass doctor` may tell more"),
            E::Io { doing, error } => {
                (Code::Io, format!("{doing}: {error}"), "nothing was changed; mend it and try again")
            }
            E::Unfinished { doing, error } => {
                (Code::Io, format!("{doing}: {error}"), "nothing is lost; it is finished at the next start or attempt")
            }
        };
        Self::new(code, what).hint(hint)
    }
}

impl From<RestoreError> for Error {
    fn from(error: RestoreError) -> Self {
        match error {
            RestoreError::NoSuchItem => no_such_item(),
            RestoreError::Changed(names) => {
                let names = names.join(", ");
                Self::new(Code::InUse, format!("the file changed since; it is not clear where {names} belongs")).hint(
                    "restore a later quarantine of the same file first, or `hallpass credential reveal NAME` and paste it",
                )
            }
            RestoreError::File(error) => error.into(),
        }
    }
}

impl From<PurgeError> for Error {
    fn from(error: PurgeError) -> Self {
        match error {
            PurgeError::NoSuchItem => no_such_item(),
            PurgeError::StillUsed => Self::new(Code::InUse, "the file still has its reference")
                .hint("`hallpass quarantine restore` puts the value back; `--force` forgets how it was written"),
            PurgeError::Locked => TakeError::Locked.into(),
            PurgeError::Failed(why) => Self::new(Code::Io, why).hint("the item is kept; mend it and try again"),
        }
    }
}

fn no_such_item() -> Error {
    Error::new(Code::NotFound, "there is no such item in quarantine, or it was restored already")
        .hint("`hallpass quarantine list` shows them")
}
