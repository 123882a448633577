//! A terminal of its own for a command: what makes it a human's (a pseudo-terminal, pty(7)).

use std::{
    ffi::OsStr,
    fs::File,
    os::{
        fd::{AsRawFd, FromRawFd, OwnedFd},
        unix::process::CommandExt,
    },
    process::Command,
};

use super::support::{Home, Ran, run};

/// A pseudo-terminal; both ends close on drop.
pub struct Terminal {
    _master: OwnedFd,
    slave: File,
}

impl Terminal {
    /// Opens one.
    #[allow(unsafe_code)]
    pub fn open() -> Self {
        let (mut master, mut slave) = (-1, -1);
        let null = std::ptr::null_mut();
        // SAFETY: both results are written before they are used; the rest may be null (openpty(3)).
        let done = unsafe { libc::openpty(&raw mut master, &raw mut slave, null, null.cast(), null.cast()) };
        assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
        // SAFETY: openpty gave both to us and nothing else has them.
        unsafe { Self { _master: OwnedFd::from_raw_fd(master), slave: File::from_raw_fd(slave) } }
    }

    /// Makes this terminal the controlling one of the command's own session.
    #[allow(unsafe_code)]
    pub fn control(&self, command: &mut Command) {
        let fd = self.slave.try_clone().unwrap();
        // The session is made by `own_session`, which runs before.
        // SAFETY: ioctl(2) may be called between fork and exec.
        unsafe {
            command.pre_exec(move || match libc::ioctl(fd.as_raw_fd(), libc::TIOCSCTTY, 0) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            });
        }
    }
}

impl Home {
    /// Runs the binary as a human would: in a session of its own with a terminal.
    pub fn human<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>, input: &str) -> Ran {
        let terminal = Terminal::open();
        let mut command = self.command(args);
        terminal.control(&mut command);
        run(command, input.as_bytes())
    }

    /// Runs a command line as a human; it must work.
    pub fn human_does(&self, line: &str) -> String {
        self.human(line.split_whitespace(), "").ok()
    }
}
