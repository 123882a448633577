//! Waiting until a descriptor can be read or written.

use std::{io, os::fd::OwnedFd};

use tokio::io::{Interest, unix::AsyncFd};

/// Waits for this descriptor from now on. It has to be one that never blocks, or that is told so with each call.
///
/// # Errors
/// The system cannot wait for it: a regular file.
#[allow(unsafe_code)]
pub fn wait_for(end: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: the descriptor is owned by the value that is handed over, and stays open and the same as long as that lives.
    unsafe { AsyncFd::register_with_interest(end, interest) }.map_err(io::Error::from)
}
