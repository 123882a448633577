//! The platform's keyring.
//!
//! Owns the connection to it and asking it whether it is locked without making it prompt. Never carries a
//! value in an error: keyring errors do, so only what kind of error it was leaves this module.

use keyring_core::Entry;

use super::platform;

/// Where credentials are, in words.
pub const PLACE: &str = platform::keyring::PLACE;

/// Why the keyring did not do it. The texts are fixed ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is locked, or the user dismissed its prompt.
    Locked,
    /// There is no such entry.
    NotFound,
    /// It cannot be reached, or the connection is stale.
    Unreachable(&'static str),
    /// It answers, but not with what was asked for.
    Damaged(&'static str),
}

/// An open keyring. Calls may block for as long as the keyring likes.
pub struct Keyring(platform::keyring::Keyring);

impl Keyring {
    /// Connects. Prompts nobody.
    pub fn open() -> Result<Self, Refusal> {
        platform::keyring::Keyring::open().map(Self)
    }

    /// True when using this entry would make the keyring prompt.
    pub fn is_locked(&self, service: &str, user: &str) -> Result<bool, Refusal> {
        self.0.is_locked(service, user)
    }

    /// True when new entries cannot be made without a prompt.
    pub fn is_all_locked(&self) -> Result<bool, Refusal> {
        self.0.is_all_locked()
    }

    /// The entry, whether it is there or not.
    pub fn entry(&self, service: &str, user: &str) -> Result<Entry, Refusal> {
        self.0.entry(service, user).map_err(refusal)
    }

    /// Locks it, where it can be locked.
    pub fn lock(&self) -> Result<(), Refusal> {
        self.0.lock()
    }

    /// Opens it by its own prompt; waits for the user.
    pub fn unlock(&self) -> Result<(), Refusal> {
        self.0.unlock()
    }
}

/// What kind of error it was. The error itself may hold the value, so nothing of its text is kept.
pub fn refusal(error: keyring_core::Error) -> Refusal {
    use keyring_core::Error as E;
    match error {
        E::NoEntry => Refusal::NotFound,
        E::NoStorageAccess(_) => Refusal::Locked,
        E::PlatformFailure(inner) => platform::keyring::failure(inner.as_ref()),
        E::BadEncoding(_) | E::BadDataFormat(..) => Refusal::Damaged("the entry does not hold what hallpass wrote"),
        E::BadStoreFormat(_) => Refusal::Damaged("the keyring's own format is damaged"),
        E::Ambiguous(_) => Refusal::Damaged("two entries have the same name; remove one with the keyring's own tool"),
        E::TooLong(..) => Refusal::Damaged("the value is longer than this keyring takes"),
        _ => Refusal::Unreachable("the keyring does not support the call"),
    }
}
