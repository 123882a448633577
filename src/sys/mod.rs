//! The operating system: the only `unsafe`, the only `cfg(target_os)`.

pub mod memory;

use std::path::{Path, PathBuf};

/// This process's uid.
pub fn uid() -> u32 {
    rustix::process::getuid().as_raw()
}

/// The home folder: `$HOME`, else from the user database.
pub fn home() -> Option<PathBuf> {
    std::env::home_dir()
}

/// True for a real folder (no link) that belongs to `uid`.
pub fn is_own_dir(path: &Path, uid: u32) -> bool {
    use std::os::unix::fs::MetadataExt;
    path.symlink_metadata().is_ok_and(|m| m.is_dir() && m.uid() == uid)
}
