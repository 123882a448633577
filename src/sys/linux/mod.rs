//! Linux.

pub(super) mod keyring;
mod lease;
mod procfs;
mod protect;
mod socket;
mod text;
mod user;

pub(super) use lease::{Lease, lease};
pub(super) use procfs::{evidence, key, program};
pub(super) use protect::harden;
pub(super) use socket::{caller_of, open_pidfd};
pub(super) use text::release;
pub(super) use user::{uid, user_name};

use rustix::time::{ClockId, clock_gettime};

/// Opens a folder whose path may hold no link at all (openat2(2)).
pub(super) fn open_folder(path: &std::path::Path) -> rustix::io::Result<std::os::fd::OwnedFd> {
    use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
    openat2(CWD, path, OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty(), ResolveFlags::NO_SYMLINKS)
}

/// Milliseconds since boot, suspend included.
pub(super) fn boot_ms() -> i64 {
    let time = clock_gettime(ClockId::Boottime);
    time.tv_sec.saturating_mul(1000).saturating_add(time.tv_nsec / 1_000_000)
}

/// The first 64 bits of the kernel's boot id (random(4)).
pub(super) fn boot_id() -> Option<i64> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let hex: String = text.chars().filter(char::is_ascii_hexdigit).take(16).collect();
    u64::from_str_radix(&hex, 16).ok().map(u64::cast_signed)
}
