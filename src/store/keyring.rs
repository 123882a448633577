//! The `keyring` store: the operating system's.
//!
//! Owns the connection's life: opened by the first call, opened anew after a failure, so a keyring that
//! came later or was restarted is found. A `get` never makes it prompt; only `unlock` does. Values are kept
//! as base64, because KWallet holds text only. All values of hallpass have the service `hallpass`.

use base64::{Engine, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

use super::{
    StoreError,
    backend::{Backend, Ticket},
};
use crate::{
    api::credential::StoreState,
    secret::Secret,
    sys::keyring::{Keyring as Platform, Refusal, refusal},
};

/// The service of every entry; the user is the credential's name.
const SERVICE: &str = "hallpass";

/// The keyring, open or not yet.
#[derive(Default)]
pub(super) struct Keyring {
    open: Option<Platform>,
}

impl Keyring {
    /// Makes the call; over a connection that turns out stale it is made once more over a new one.
    fn with<T>(&mut self, call: impl Fn(&Platform) -> Result<T, Refusal>) -> Result<T, StoreError> {
        if let Some(open) = &self.open {
            match call(open) {
                // The keyring may have been restarted under us.
                Err(Refusal::Unreachable(_)) => self.open = None,
                other => return other.map_err(error),
            }
        }
        let open = Platform::open().map_err(error)?;
        let result = call(&open);
        if !matches!(result, Err(Refusal::Unreachable(_))) {
            self.open = Some(open);
        }
        result.map_err(error)
    }
}

impl Backend for Keyring {
    fn get(&mut self, name: &str) -> Result<Secret, StoreError> {
        let text = self.with(|keyring| {
            if keyring.is_locked(SERVICE, name)? {
                return Err(Refusal::Locked);
            }
            keyring.entry(SERVICE, name)?.get_secret().map(Zeroizing::new).map_err(refusal)
        })?;
        let damaged = || StoreError::Damaged(format!("the entry {name} does not hold what hallpass wrote"));
        STANDARD.decode(text.as_slice()).map(Secret::take).map_err(|_| damaged())
    }

    fn put(&mut self, name: &str, value: &Secret, ticket: &Ticket) -> Result<(), StoreError> {
        let text = Zeroizing::new(STANDARD.encode(value.expose()));
        self.with(|keyring| {
            if keyring.is_locked(SERVICE, name)? || keyring.is_all_locked()? {
                return Err(Refusal::Locked);
            }
            ticket.check().map_err(|_| Refusal::Unreachable("the call was given up"))?;
            keyring.entry(SERVICE, name)?.set_secret(text.as_bytes()).map_err(refusal)
        })
    }

    fn remove(&mut self, name: &str, ticket: &Ticket) -> Result<(), StoreError> {
        self.with(|keyring| {
            if keyring.is_locked(SERVICE, name)? {
                return Err(Refusal::Locked);
            }
            ticket.check().map_err(|_| Refusal::Unreachable("the call was given up"))?;
            keyring.entry(SERVICE, name)?.delete_credential().map_err(refusal)
        })
    }

    fn lock(&mut self) -> Result<(), StoreError> {
        self.with(Platform::lock)
    }

    fn unlock(&mut self, _passphrase: Option<Secret>) -> Result<(), StoreError> {
        self.with(Platform::unlock)
    }

    fn state(&mut self) -> (StoreState, Option<String>) {
        match self.with(Platform::is_all_locked) {
            Ok(false) => (StoreState::Open, None),
            Ok(true) | Err(StoreError::Locked) => {
                (StoreState::Locked, Some("`hallpass unlock` makes the keyring ask for its password".into()))
            }
            Err(error) => (StoreState::Unavailable, Some(error.to_string())),
        }
    }
}

fn error(refusal: Refusal) -> StoreError {
    match refusal {
        Refusal::Locked => StoreError::Locked,
        Refusal::NotFound => StoreError::NotFound,
        Refusal::Unreachable(why) => StoreError::Unavailable(why.into()),
        Refusal::Damaged(what) => StoreError::Damaged(what.into()),
    }
}
