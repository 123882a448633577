//! Peer credentials and pidfds.

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
};

use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::sys::peer::Caller;

/// `SO_PEERPIDFD`, Linux 6.5 (asm-generic/socket.h); the same number on every architecture that Rust
/// has but parisc and sparc, where the kernel then answers ENOPROTOOPT or EINVAL.
const SO_PEERPIDFD: libc::c_int = 77;

/// Reads the peer's credentials and pins it.
pub(in crate::sys) fn caller_of(fd: BorrowedFd<'_>) -> io::Result<Caller> {
    // Not rustix's wrapper: its pid cannot be 0, but the kernel gives 0 for a peer in another pid namespace.
    let peer: libc::ucred = option(fd, libc::SO_PEERCRED, libc::ucred { pid: 0, uid: u32::MAX, gid: u32::MAX })?;
    let pidfd = match option(fd, SO_PEERPIDFD, -1) {
        Ok(raw) if raw >= 0 => Some(own(raw)),
        // Older than 6.5: the pid may have been reused since connect, but no later than now.
        Err(error) if error.raw_os_error() == Some(libc::ENOPROTOOPT) => open_pidfd(peer.pid).ok(),
        // EINVAL or ESRCH: the peer has gone and was reaped. Its pid may be another's by now.
        Ok(_) | Err(_) => return Ok(Caller { uid: peer.uid, pid: 0, pidfd: None }),
    };
    Ok(Caller { uid: peer.uid, pid: peer.pid, pidfd })
}

/// A descriptor that becomes readable when the process ends.
pub(in crate::sys) fn open_pidfd(pid: i32) -> io::Result<OwnedFd> {
    let pid = (pid > 0).then(|| Pid::from_raw(pid)).flatten().ok_or(io::ErrorKind::NotFound)?;
    pidfd_open(pid, PidfdFlags::empty()).map_err(|errno| match errno {
        rustix::io::Errno::SRCH => io::ErrorKind::NotFound.into(),
        rustix::io::Errno::NOSYS => io::ErrorKind::Unsupported.into(),
        other => other.into(),
    })
}

/// Types that `getsockopt` may fill with any bytes.
trait Plain: Copy {}
impl Plain for libc::c_int {}
impl Plain for libc::ucred {}

#[allow(unsafe_code)]
fn option<T: Plain>(fd: BorrowedFd<'_>, name: libc::c_int, mut value: T) -> io::Result<T> {
    let mut len = libc::socklen_t::try_from(size_of::<T>()).map_err(io::Error::other)?;
    // SAFETY: `value` is `len` bytes long and every bit pattern is a valid `T` (`Plain`); the descriptor is
    // open for as long as it is borrowed.
    let code = unsafe {
        libc::getsockopt(fd.as_raw_fd(), libc::SOL_SOCKET, name, (&raw mut value).cast::<libc::c_void>(), &raw mut len)
    };
    if code == 0 { Ok(value) } else { Err(io::Error::last_os_error()) }
}

#[allow(unsafe_code)]
fn own(raw: libc::c_int) -> OwnedFd {
    // SAFETY: the kernel has just made this descriptor (close-on-exec) for us, and nobody else has it.
    unsafe { OwnedFd::from_raw_fd(raw) }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;
    use crate::sys::process::has_ended;

    #[test]
    fn a_pidfd_tells_the_end_of_a_child() {
        let mut child = std::process::Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
        let pidfd = open_pidfd(child.id() as i32).unwrap();
        assert!(!has_ended(pidfd.as_fd()));
        drop(child.stdin.take());
        child.wait().unwrap();
        assert!(has_ended(pidfd.as_fd()));
        assert_eq!(open_pidfd(child.id() as i32).unwrap_err().kind(), io::ErrorKind::NotFound);
        for odd in [0, -1, i32::MIN] {
            assert_eq!(open_pidfd(odd).unwrap_err().kind(), io::ErrorKind::NotFound);
        }
    }
}
