//! Being told what happens in folders: a set of watched folders, each without what is below it.
//!
//! Owns the kernel's interface: inotify(7) itself on Linux, the crate `notify` elsewhere. Linux is not left to
//! `notify`: its stable 8.2 asks for every open and every read of every file, so that a search through a project
//! overflows the queue; 9.0.0-rc.7 can leave them out, but keeps three copies of each path (measured: 7.9 MB
//! for 20,000 folders). Decides nothing: which folders, and what an event means, is `watch`'s.

#[cfg(target_os = "linux")]
mod inotify;
#[cfg(target_os = "linux")]
pub use inotify::Folders;

#[cfg(not(target_os = "linux"))]
mod elsewhere;
#[cfg(not(target_os = "linux"))]
pub use elsewhere::Folders;

use std::{io, path::Path};

/// What happened to a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// A file (or a link) was made, moved here, or closed after writing.
    Written,
    /// A folder was made or moved here.
    Folder,
    /// A watched folder is gone from this path: removed, moved away or unmounted.
    Left,
    /// The kernel's queue was full: anything may have happened anywhere. The path says nothing.
    Lost,
}

/// Why a folder is not watched.
#[derive(Debug)]
pub enum AddError {
    /// There is no such folder: look for it again later.
    Gone,
    /// The limit of the kernel is reached: tell the person [`limit_hint`], and poll.
    Limit,
    /// It cannot be watched (no permission, an odd file system): poll or leave it.
    Other(io::Error),
}

/// What is called with each change, on a thread of its own. It should do no more than queue.
pub trait Listener: Fn(&Path, Change) + Send + 'static {}
impl<F: Fn(&Path, Change) + Send + 'static> Listener for F {}

/// What to do when the kernel refuses to watch more folders.
pub fn limit_hint() -> &'static str {
    if cfg!(target_os = "linux") {
        "raise it with `sudo sysctl fs.inotify.max_user_watches=524288 fs.inotify.max_user_instances=512`"
    } else {
        "watch fewer folders"
    }
}
