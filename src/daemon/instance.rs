//! The lock that makes a daemon the only one on its socket.
//!
//! Owns the lock file. Whoever holds the lock may remove a socket that is left over, because no live
//! daemon can have it; nobody else may (a probe followed by an unlink races).

use std::{fs::File, fs::TryLockError, io::Write, path::Path};

use crate::{
    api::problem::Code,
    error::{Error, Result},
    sys,
};

/// Held as long as the daemon runs; the kernel lets it go when the process ends, however it ends.
pub struct Instance {
    _lock: File,
}

impl Instance {
    /// Takes the lock, or says who has it.
    pub fn take(path: &Path) -> Result<Self> {
        let mut lock = sys::private_file(path, true).map_err(|e| {
            Error::new(Code::Io, format!("the lock {} cannot be opened: {e}", path.display()))
                .hint("make the folder writable, or point HALLPASS_SOCKET at another one")
        })?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let holder = std::fs::read_to_string(path).unwrap_or_default();
                let pid: String = holder.chars().take_while(char::is_ascii_digit).take(10).collect();
                return Err(Error::new(
                    Code::AlreadyRunning,
                    format!("a hallpass daemon runs here already (pid {pid})"),
                )
                .hint("`hallpass status` talks to it; stop it first to start another"));
            }
            Err(TryLockError::Error(e)) => {
                return Err(Error::new(Code::Io, format!("the lock {} cannot be taken: {e}", path.display()))
                    .hint("the file system of the socket's folder must support locks"));
            }
        }
        // Only a hint for people; the lock itself is what counts.
        let _ = lock.set_len(0).and_then(|()| writeln!(lock, "{}", std::process::id()));
        Ok(Self { _lock: lock })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_told_who_the_first_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("daemon.lock");
        let first = Instance::take(&path).unwrap();
        let Err(error) = Instance::take(&path) else { panic!("two instances") };
        assert_eq!(error.code, Code::AlreadyRunning);
        assert!(error.to_string().contains(&std::process::id().to_string()));
        drop(first);
        Instance::take(&path).unwrap();
    }
}
