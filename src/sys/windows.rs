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
