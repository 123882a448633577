//! What can go wrong with a store, each as the caller's next step.
//!
//! Never carries text of a foreign error that could hold a value: keyring and serde errors do, so they
//! are mapped where they arise, to words of ours.

use crate::{api::problem::Code, error::Error};

/// Why the store did not do it. The texts are ours and hold no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreError {
    /// It is locked: unlock it and try again.
    Locked,
    /// It cannot be reached now: mend what is said, nothing was changed.
    Unavailable(String),
    /// It did not answer in time. A change may still happen; read before trying again.
    Timeout,
    /// It has no such credential.
    NotFound,
    /// The passphrase or the identity does not open it: try another.
    WrongPassphrase,
    /// What it holds cannot be understood. It is left as it is: restore it from a copy.
    Damaged(String),
    /// The disk refused. The old contents are kept.
    Io(String),
}

impl std::fmt::Display for StoreError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Locked => f.write_str("the store is locked"),
            Self::Unavailable(why) => write!(f, "the store cannot be reached: {why}"),
            Self::Timeout => f.write_str("the store did not answer in time"),
            Self::NotFound => f.write_str("the store has no such credential"),
            Self::WrongPassphrase => f.write_str("the passphrase or the identity does not open the store"),
            Self::Damaged(what) => write!(f, "the store is damaged: {what}"),
            Self::Io(why) => write!(f, "the store could not be read or written: {why}"),
        }
    }
}

impl std::error::Error for StoreError {}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        let (code, hint) = match &error {
            StoreError::Locked => (Code::StoreLocked, "`hallpass unlock` opens it"),
            StoreError::Unavailable(_) => (Code::StoreUnavailable, "`hallpass doctor` says what is in the way"),
            StoreError::Timeout => {
                (Code::StoreTimeout, "look for a password prompt of the keyring on the screen, then try again")
            }
            StoreError::NotFound => (Code::NotFound, "`hallpass credential list` shows what there is"),
            StoreError::WrongPassphrase => (Code::WrongPassphrase, "`hallpass unlock` asks again"),
            StoreError::Damaged(_) => {
                (Code::StoreUnavailable, "it is left untouched; restore it from a copy, or move it away")
            }
            StoreError::Io(_) => (Code::Io, "the old contents are kept; mend the disk and try again"),
        };
        Self::new(code, error.to_string()).hint(hint)
    }
}
