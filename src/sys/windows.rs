//! Windows: nothing is written yet; every answer says so. Never run (README).

use std::{io, os::windows::io::OwnedHandle};

use crate::{
    api::status::Protection,
    principal::Evidence,
    sys::{harden::protection, peer::Caller},
    task::ProcessKey,
};

/// What has no answer here.
pub(super) fn unsupported<T>() -> io::Result<T> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Milliseconds since this process asked first: there is no boot clock without the Windows API.
pub(super) fn boot_ms() -> i64 {
    static FIRST: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    i64::try_from(FIRST.get_or_init(std::time::Instant::now).elapsed().as_millis()).unwrap_or(i64::MAX)
}

/// Not written: the caller derives one from the clocks.
pub(super) fn boot_id() -> Option<i64> {
    None
}

/// Windows has no uids.
pub(super) fn uid() -> u32 {
    0
}

/// The name of the session's user.
pub(super) fn user_name() -> Option<String> {
    std::env::var("USERNAME").ok()
}

/// Only the uid is known.
pub(super) fn evidence(caller: &Caller) -> Evidence {
    Evidence::of_uid(caller.uid)
}

/// Not written.
pub(super) fn key(_pid: i32) -> Option<ProcessKey> {
    None
}

/// Not written.
pub(super) fn open_pidfd(_pid: i32) -> io::Result<OwnedHandle> {
    unsupported()
}

/// Nothing is switched on.
pub(super) fn harden() -> Vec<Protection> {
    vec![protection("not traceable", false, "not written for Windows")]
}

/// Not read on this platform.
pub(super) fn program(_pid: i32) -> Option<String> {
    None
}

/// Not written: nobody knows who has a file open.
#[derive(Debug)]
pub(super) struct Lease;

impl Lease {
    pub(super) fn is_wanted(&self) -> bool {
        false
    }
}

/// Not written.
pub(super) fn lease(_file: std::fs::File, _against_writers: bool) -> io::Result<Option<Lease>> {
    Ok(None)
}

/// The platform's keyring through its store crate; it prompts by itself when it must.
pub(super) mod keyring {
    use keyring_core::{Entry, api::CredentialStoreApi};

    use crate::sys::keyring::{Refusal, refusal};

    /// Where credentials are, in words.
    pub(in crate::sys) const PLACE: &str = "the Credential Manager";

    /// The store.
    pub(in crate::sys) struct Keyring(std::sync::Arc<windows_native_keyring_store::Store>);

    impl Keyring {
        pub(in crate::sys) fn open() -> Result<Self, Refusal> {
            windows_native_keyring_store::Store::new().map(Self).map_err(refusal)
        }

        pub(in crate::sys) fn is_locked(&self, _service: &str, _user: &str) -> Result<bool, Refusal> {
            Ok(false)
        }

        pub(in crate::sys) fn is_all_locked(&self) -> Result<bool, Refusal> {
            Ok(false)
        }

        pub(in crate::sys) fn entry(&self, service: &str, user: &str) -> keyring_core::Result<Entry> {
            self.0.build(service, user, None)
        }

        pub(in crate::sys) fn lock(&self) -> Result<(), Refusal> {
            Ok(())
        }

        pub(in crate::sys) fn unlock(&self) -> Result<(), Refusal> {
            Ok(())
        }
    }

    /// The platform's codes are not told apart.
    pub(in crate::sys) fn failure(_inner: &(dyn std::error::Error + Send + Sync + 'static)) -> Refusal {
        Refusal::Unreachable("the system's keyring refused the call")
    }
}

/// Left to the system on this platform.
pub(super) fn release() {}
