//! Where quarantined values go.
//!
//! Owns the few calls that quarantine makes of a store, blocking, and their errors as the next step.

use crate::{
    api::credential::StoreKind,
    secret::Secret,
    store::{Store, StoreError},
};

/// Keeps values by name. What `put` has returned from is durable.
pub trait Vault {
    /// Stores a value, replacing an old one.
    fn put(&self, name: &str, value: &Secret) -> Result<(), VaultError>;
    /// Stores several. Where it fails some may have been stored.
    fn put_all(&self, values: &[(String, Secret)]) -> Result<(), VaultError> {
        values.iter().try_for_each(|(name, value)| self.put(name, value))
    }
    /// The value as it rests now, never from a cache: a file loses its secret because of this answer.
    fn get(&self, name: &str) -> Result<Secret, VaultError>;
    /// Removes a value; [`VaultError::Gone`] when there is none.
    fn remove(&self, name: &str) -> Result<(), VaultError>;
}

/// Why a vault did not do it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VaultError {
    /// It is locked or did not answer: try again when it is open.
    Locked,
    /// It has no such value.
    Gone,
    /// It cannot; the text holds no value.
    Failed(String),
}

/// So many values a keyring is given within one deadline: it needs some milliseconds for each.
const AT_ONCE: usize = 250;

/// The store as a vault. Only for a thread that is not part of a runtime: every call blocks it.
pub struct StoreVault {
    store: Store,
    runtime: tokio::runtime::Runtime,
}

impl StoreVault {
    /// A vault over the store.
    ///
    /// # Errors
    /// The system has no resources for a timer.
    pub fn new(store: Store) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        Ok(Self { store, runtime })
    }
}

impl Vault for StoreVault {
    fn put(&self, name: &str, value: &Secret) -> Result<(), VaultError> {
        self.runtime.block_on(self.store.put(name, value.clone())).map_err(VaultError::from)
    }

    fn put_all(&self, values: &[(String, Secret)]) -> Result<(), VaultError> {
        let put = |some: &[(String, Secret)]| self.runtime.block_on(self.store.put_all(some.to_vec()));
        // A file is written anew each time, whatever of it is new.
        let at_once = if self.store.kind() == StoreKind::Keyring { AT_ONCE } else { values.len().max(1) };
        values.chunks(at_once).try_for_each(|some| put(some).map_err(VaultError::from))
    }

    fn get(&self, name: &str) -> Result<Secret, VaultError> {
        self.runtime.block_on(self.store.read(name)).map_err(VaultError::from)
    }

    fn remove(&self, name: &str) -> Result<(), VaultError> {
        self.runtime.block_on(self.store.remove(name)).map_err(VaultError::from)
    }
}

impl From<StoreError> for VaultError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Locked | StoreError::Timeout | StoreError::Unavailable(_) | StoreError::WrongPassphrase => {
                Self::Locked
            }
            StoreError::NotFound => Self::Gone,
            StoreError::Damaged(_) | StoreError::Io(_) => Self::Failed(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{path::Path, time::Duration};

    use super::*;
    use crate::{api::credential::StoreKind, config::StoreConfig, paths::Paths};

    #[test]
    fn the_store_is_a_vault() {
        let config = StoreConfig {
            kind: StoreKind::Memory,
            cache: Duration::from_secs(60),
            deadline: Duration::from_secs(10),
            ..StoreConfig::default()
        };
        let vault = StoreVault::new(Store::start(&config, &Paths::under(Path::new("/nowhere"), None))).unwrap();
        assert_eq!(vault.get("quarantine/a").err(), Some(VaultError::Gone));
        vault.put("quarantine/a", &Secret::take(b"\xff\x00".to_vec())).unwrap();
        assert_eq!(vault.get("quarantine/a").unwrap().expose(), b"\xff\x00");
        vault.runtime.block_on(vault.store.lock()).unwrap();
        assert_eq!(vault.get("quarantine/a").err(), Some(VaultError::Locked));
        vault.runtime.block_on(vault.store.unlock(None)).unwrap();
        vault.remove("quarantine/a").unwrap();
        assert_eq!(vault.remove("quarantine/a"), Err(VaultError::Gone));
    }
}

#[cfg(test)]
pub(super) mod memory {
    //! A vault in memory that can be locked after so many calls.

    use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

    use super::*;

    #[derive(Clone, Default)]
    pub(in crate::quarantine) struct MemoryVault(pub(in crate::quarantine) Rc<RefCell<Inner>>);

    #[derive(Default)]
    pub(in crate::quarantine) struct Inner {
        pub(in crate::quarantine) values: BTreeMap<String, Secret>,
        /// How many more calls are answered; all where nothing is said.
        pub(in crate::quarantine) calls_left: Option<usize>,
    }

    impl MemoryVault {
        fn call<T>(
            &self,
            act: impl FnOnce(&mut BTreeMap<String, Secret>) -> Result<T, VaultError>,
        ) -> Result<T, VaultError> {
            let mut inner = self.0.borrow_mut();
            match &mut inner.calls_left {
                Some(0) => return Err(VaultError::Locked),
                Some(left) => *left -= 1,
                None => {}
            }
            act(&mut inner.values)
        }

        pub(in crate::quarantine) fn value(&self, name: &str) -> Option<Vec<u8>> {
            self.0.borrow().values.get(name).map(|value| value.expose().to_vec())
        }
    }

    impl Vault for MemoryVault {
        fn put(&self, name: &str, value: &Secret) -> Result<(), VaultError> {
            self.call(|values| {
                values.insert(name.into(), value.clone());
                Ok(())
            })
        }

        fn get(&self, name: &str) -> Result<Secret, VaultError> {
            self.call(|values| values.get(name).cloned().ok_or(VaultError::Gone))
        }

        fn remove(&self, name: &str) -> Result<(), VaultError> {
            self.call(|values| values.remove(name).map(drop).ok_or(VaultError::Gone))
        }
    }
}
