//! macOS: what is not written answers that it is unsupported. Never run (README).

use std::{
    io,
    os::fd::{BorrowedFd, OwnedFd},
};

use crate::{
    api::status::Protection,
    principal::Evidence,
    sys::{harden::protection, peer::Caller},
    task::ProcessKey,
};

/// Milliseconds of the monotonic clock, which on macOS runs through sleep only in its raw form; a token
/// may therefore live longer by the time the machine slept.
pub(super) fn boot_ms() -> i64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    time.tv_sec.saturating_mul(1000).saturating_add(time.tv_nsec / 1_000_000)
}

/// Not written: the caller derives one from the clocks.
pub(super) fn boot_id() -> Option<i64> {
    None
}

/// This process's uid.
pub(super) fn uid() -> u32 {
    rustix::process::getuid().as_raw()
}

/// Not written: `$USER` is used.
pub(super) fn user_name() -> Option<String> {
    None
}

/// The peer's uid (getpeereid(3)); macOS has no pidfd.
#[allow(unsafe_code)]
pub(super) fn caller_of(fd: BorrowedFd<'_>) -> io::Result<Caller> {
    use std::os::fd::AsRawFd;
    let (mut uid, mut gid) = (u32::MAX, u32::MAX);
    // SAFETY: both pointers are valid for the call and the descriptor is open for as long as it is borrowed.
    let code = unsafe { libc::getpeereid(fd.as_raw_fd(), &raw mut uid, &raw mut gid) };
    if code == 0 { Ok(Caller { uid, pid: 0, pidfd: None }) } else { Err(io::Error::last_os_error()) }
}

/// Not written: only the uid is known.
pub(super) fn evidence(caller: &Caller) -> Evidence {
    Evidence::of_uid(caller.uid)
}

/// Not written.
pub(super) fn key(_pid: i32) -> Option<ProcessKey> {
    None
}

/// macOS has no pidfd.
pub(super) fn open_pidfd(_pid: i32) -> io::Result<OwnedFd> {
    Err(io::ErrorKind::Unsupported.into())
}

/// No core dumps; the rest is not written.
pub(super) fn harden() -> Vec<Protection> {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let core = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }).is_ok();
    vec![
        protection("no core dumps", core, "RLIMIT_CORE 0"),
        protection("not traceable", false, "not written for macOS; System Integrity Protection and signing decide"),
        protection("pinned callers", false, "macOS has no pidfd"),
    ]
}

/// Only a link in the last step is refused.
pub(super) fn open_folder(_path: &std::path::Path) -> rustix::io::Result<OwnedFd> {
    Err(rustix::io::Errno::NOSYS)
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
    pub(in crate::sys) const PLACE: &str = "the login keychain";

    /// The store.
    pub(in crate::sys) struct Keyring(std::sync::Arc<apple_native_keyring_store::keychain::Store>);

    impl Keyring {
        pub(in crate::sys) fn open() -> Result<Self, Refusal> {
            apple_native_keyring_store::keychain::Store::new().map(Self).map_err(refusal)
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
