//! Who is at the other end of a local socket.
//!
//! Owns reading the peer's uid, pid and pidfd from the kernel. Never judges them.

use std::io;
#[cfg(unix)]
use std::os::fd::{AsFd, BorrowedFd};

use super::platform;

/// What pins a process: a file descriptor that refers to it and to no later process with its pid.
#[cfg(unix)]
pub type Pin = std::os::fd::OwnedFd;
/// What pins a process: a handle.
#[cfg(windows)]
pub type Pin = std::os::windows::io::OwnedHandle;

/// The peer of a connected local socket, as the kernel recorded it at `connect`.
#[derive(Debug)]
pub struct Caller {
    /// Its effective uid.
    pub uid: u32,
    /// Its pid; 0 where the kernel cannot name it (another pid namespace, a platform without it).
    pub pid: i32,
    /// Pins it, where the kernel can: while it is held, a pid that was reused can be told.
    pub pidfd: Option<Pin>,
}

impl Caller {
    /// Reads the peer of a connected Unix socket. An error means that the descriptor is no such socket,
    /// and the connection must be refused.
    #[cfg(unix)]
    pub fn of(fd: BorrowedFd<'_>) -> io::Result<Self> {
        platform::caller_of(fd)
    }

    /// Not written for this platform: always `Unsupported`.
    #[cfg(windows)]
    pub fn of<T>(_pipe: T) -> io::Result<Self> {
        platform::unsupported()
    }

    /// True while the process runs. Without a pidfd it is the best that can be known from the pid; a
    /// caller without a pid is never alive.
    pub fn is_alive(&self) -> bool {
        #[cfg(unix)]
        if let Some(pidfd) = &self.pidfd {
            return !super::process::has_ended(pidfd.as_fd());
        }
        super::process::key(self.pid).is_some()
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn both_ends_of_a_pair_are_this_process() {
        let (one, other) = UnixStream::pair().unwrap();
        for end in [&one, &other] {
            let caller = Caller::of(end.as_fd()).unwrap();
            assert_eq!((caller.uid, caller.pid), (crate::sys::uid(), std::process::id() as i32));
            assert!(caller.is_alive());
        }
    }

    #[test]
    fn a_descriptor_that_is_no_socket_is_an_error() {
        let file = std::fs::File::open("/dev/null").unwrap();
        assert!(Caller::of(file.as_fd()).is_err());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_peer_that_ended_is_not_alive_even_before_it_is_reaped() {
        use std::process::{Command, Stdio};
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("s");
        let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let program = "import socket,sys;s=socket.socket(socket.AF_UNIX);s.connect(sys.argv[1]);sys.stdin.read()";
        let mut child = match Command::new("python3").args(["-c", program]).arg(&socket).stdin(Stdio::piped()).spawn() {
            Ok(child) => child,
            Err(_) => return eprintln!("skipped: no python3 to connect from another process"),
        };
        let (stream, _) = listener.accept().unwrap();
        let caller = Caller::of(stream.as_fd()).unwrap();
        assert_eq!(caller.pid, child.id() as i32);
        assert!(caller.pidfd.is_some() && caller.is_alive());
        drop(child.stdin.take());
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while caller.is_alive() {
            assert!(std::time::Instant::now() < deadline, "it closed its stdin and must end");
            std::thread::yield_now();
        }
        // Asked only now: the kernel has no pidfd for a peer that is gone, and that is no missing feature.
        let late = Caller::of(stream.as_fd()).unwrap();
        assert!(!late.is_alive());
        child.wait().unwrap();
        assert!(!Caller::of(stream.as_fd()).unwrap().is_alive());
    }
}
