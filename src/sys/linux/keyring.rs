//! The Secret Service (freedesktop.org, draft 0.2): gnome-keyring, KWallet, KeePassXC.
//!
//! The keyring crate unlocks whatever it finds locked, and that prompts. So a second connection asks first.

use std::collections::HashMap;

use keyring_core::{Entry, api::CredentialStoreApi};
use secret_service::{
    EncryptionType, Error,
    blocking::{Collection, SecretService},
};

use crate::sys::keyring::Refusal;

/// Where credentials are, in words.
pub(in crate::sys) const PLACE: &str = "the Secret Service on the session bus, default collection";

const NO_SERVICE: &str = "no Secret Service on the session bus; start gnome-keyring, KWallet or KeePassXC";
const FAILED: &str = "the Secret Service refused the call or has gone";
const NO_COLLECTION: &str = "the Secret Service has no default collection yet; `hallpass unlock` makes one";

/// The connections.
pub(in crate::sys) struct Keyring {
    entries: std::sync::Arc<zbus_secret_service_keyring_store::Store>,
    // No value goes over this one, so it needs no encrypted session.
    ask: SecretService<'static>,
}

impl Keyring {
    pub(in crate::sys) fn open() -> Result<Self, Refusal> {
        let ask = SecretService::connect(EncryptionType::Plain).map_err(classify)?;
        let entries = zbus_secret_service_keyring_store::Store::new().map_err(crate::sys::keyring::refusal)?;
        Ok(Self { entries, ask })
    }

    pub(in crate::sys) fn is_locked(&self, service: &str, user: &str) -> Result<bool, Refusal> {
        let found =
            self.ask.search_items(HashMap::from([("service", service), ("username", user)])).map_err(classify)?;
        if !found.locked.is_empty() {
            return Ok(true);
        }
        // A locked KWallet finds nothing at all, and that must not look like an entry that is not there.
        Ok(found.unlocked.is_empty() && self.is_all_locked()?)
    }

    pub(in crate::sys) fn is_all_locked(&self) -> Result<bool, Refusal> {
        self.collection()?.is_locked().map_err(classify)
    }

    pub(in crate::sys) fn entry(&self, service: &str, user: &str) -> keyring_core::Result<Entry> {
        let label = format!("{service}: {user}");
        self.entries.build(service, user, Some(&HashMap::from([("label", label.as_str())])))
    }

    pub(in crate::sys) fn lock(&self) -> Result<(), Refusal> {
        let collection = self.collection()?;
        if collection.is_locked().map_err(classify)? {
            return Ok(());
        }
        collection.lock().map_err(classify)
    }

    pub(in crate::sys) fn unlock(&self) -> Result<(), Refusal> {
        match self.ask.get_default_collection() {
            // The password of the new collection is asked for by the service's own prompt.
            Err(Error::NoResult) => {
                self.ask.create_collection("Default keyring", "default").map(drop).map_err(classify)
            }
            Ok(collection) if collection.is_locked().map_err(classify)? => collection.unlock().map_err(classify),
            Ok(_) => Ok(()),
            Err(error) => Err(classify(error)),
        }
    }

    fn collection(&self) -> Result<Collection<'_>, Refusal> {
        self.ask.get_default_collection().map_err(classify)
    }
}

/// What a failure of the keyring crate was, from the error inside it.
pub(in crate::sys) fn failure(inner: &(dyn std::error::Error + Send + Sync + 'static)) -> Refusal {
    match inner.downcast_ref::<Error>() {
        Some(error) => by_kind(error),
        None => Refusal::Unreachable(FAILED),
    }
}

fn classify(error: Error) -> Refusal {
    by_kind(&error)
}

fn by_kind(error: &Error) -> Refusal {
    match error {
        Error::Locked | Error::Prompt => Refusal::Locked,
        Error::NoResult => Refusal::Unreachable(NO_COLLECTION),
        Error::Unavailable => Refusal::Unreachable(NO_SERVICE),
        // The text is looked at, never passed on. The names are the specification's and D-Bus's.
        other => {
            let text = other.to_string();
            let has = |name: &str| text.contains(name);
            if has("org.freedesktop.Secret.Error.IsLocked") {
                Refusal::Locked
            } else if has("ServiceUnknown") || has("NameHasNoOwner") || has("Spawn.") {
                Refusal::Unreachable(NO_SERVICE)
            } else {
                Refusal::Unreachable(FAILED)
            }
        }
    }
}
