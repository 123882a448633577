//! Processes: their names for good, their ancestry, their end.
//!
//! Owns turning a caller into evidence. Never names a principal from it: `principal.rs` does.

use std::io;
#[cfg(unix)]
use std::os::fd::BorrowedFd;

use super::{
    peer::{Caller, Pin},
    platform,
};
use crate::{principal::Evidence, task::ProcessKey};

/// How many ancestors are looked at.
pub const MAX_DEPTH: usize = 32;

/// The caller and its ancestors, nearest first, at most [`MAX_DEPTH`] of them. The chain is empty when the
/// caller has ended or the platform shows no processes: nothing is then claimed about it but its uid.
pub fn evidence(caller: &Caller) -> Evidence {
    platform::evidence(caller)
}

/// Names the process that has this pid now for good; `None` when there is none or it has ended.
pub fn key(pid: i32) -> Option<ProcessKey> {
    platform::key(pid)
}

/// The program the process runs now, as a label to compare; `None` when it cannot be told. It changes
/// when the process becomes another program (execve(2)).
pub fn program(pid: i32) -> Option<String> {
    platform::program(pid)
}

/// A descriptor that becomes readable when the process ends (pidfd_open(2)). `NotFound` when there is no
/// such process, `Unsupported` where the platform has none.
pub fn open_pidfd(pid: i32) -> io::Result<Pin> {
    platform::open_pidfd(pid)
}

/// A pidfd that a task can wait on: readable once the process has ended.
#[cfg(unix)]
#[allow(unsafe_code)]
pub fn watch(pidfd: Pin) -> io::Result<tokio::io::unix::AsyncFd<Pin>> {
    // SAFETY: the descriptor is owned by the value that is registered, so it is open as long as the
    // registration lasts and nothing else closes it.
    unsafe { tokio::io::unix::AsyncFd::register_with_interest(pidfd, tokio::io::Interest::READABLE) }
        .map_err(io::Error::from)
}

/// True once the process of this pidfd has ended, reaped or not.
#[cfg(unix)]
pub fn has_ended(pidfd: BorrowedFd<'_>) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let mut fds = [PollFd::from_borrowed_fd(pidfd, PollFlags::IN)];
    loop {
        match poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })) {
            Ok(ready) => return ready > 0,
            Err(rustix::io::Errno::INTR) => {}
            // It cannot be told, so it does not count as running.
            Err(_) => return true,
        }
    }
}
