//! File leases (fcntl(2), F_SETLEASE).

use std::{fs::File, io, os::fd::AsRawFd};

/// A lease; given back on drop.
#[derive(Debug)]
pub(in crate::sys) struct Lease {
    file: File,
    kind: i32,
}

/// A lease against writers, or against everybody. `None` where leases cannot be had; an error when somebody
/// has the file open in a conflicting way.
pub(in crate::sys) fn lease(file: File, against_writers: bool) -> io::Result<Option<Lease>> {
    let kind = if against_writers { libc::F_RDLCK } else { libc::F_WRLCK };
    // The usual signal, SIGIO, would end the process when somebody opens the file; SIGURG is ignored by default.
    if control(&file, F_SETSIG, libc::SIGURG).is_err() {
        return Ok(None);
    }
    match control(&file, libc::F_SETLEASE, kind) {
        Ok(_) => Ok(Some(Lease { file, kind })),
        Err(error) if error.raw_os_error() == Some(libc::EAGAIN) => Err(error),
        Err(_) => Ok(None),
    }
}

impl Lease {
    pub(in crate::sys) fn is_wanted(&self) -> bool {
        control(&self.file, libc::F_GETLEASE, 0).map_or(true, |kind| kind != self.kind)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // Closing the file would give it back too; a child that inherited the descriptor must not keep it.
        let _ = control(&self.file, libc::F_SETLEASE, libc::F_UNLCK);
    }
}

/// `F_SETSIG` of <asm-generic/fcntl.h>, which the libc crate has for some targets only.
const F_SETSIG: i32 = 10;

#[allow(unsafe_code)]
fn control(file: &File, command: i32, argument: i32) -> io::Result<i32> {
    loop {
        // SAFETY: the descriptor is open for as long as it is borrowed, and the commands take an int.
        let answer = unsafe { libc::fcntl(file.as_raw_fd(), command, argument) };
        if answer >= 0 {
            return Ok(answer);
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}
