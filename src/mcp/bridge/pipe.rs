//! The client's ends of standard input and output, without a thread between.
//!
//! Owns the waiting. Whether an end blocks is a mark on what all processes share that have it open: it is never set
//! there. A pipe is opened anew for ourselves, and a socket is told with each call. What is neither has no such end.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
};

use rustix::{
    fs::{FileType, Mode, OFlags, fstat, open},
    io::Errno,
    net::{RecvFlags, SendFlags},
};
use tokio::io::{Interest, unix::AsyncFd};

use crate::sys;

/// One end.
pub struct Pipe {
    end: AsyncFd<OwnedFd>,
    is_socket: bool,
}

impl Pipe {
    /// The end that is read; `None` where it cannot be waited for. Needs a runtime.
    pub fn reading(input: &OwnedFd) -> Option<Self> {
        Self::new(input, OFlags::RDONLY, Interest::READABLE)
    }

    /// The end that is written.
    pub fn writing(output: &OwnedFd) -> Option<Self> {
        Self::new(output, OFlags::WRONLY, Interest::WRITABLE)
    }

    fn new(end: &OwnedFd, way: OFlags, interest: Interest) -> Option<Self> {
        use std::os::fd::AsRawFd as _;
        let kind = FileType::from_raw_mode(fstat(end).ok()?.st_mode);
        let own = match kind {
            FileType::Fifo => {
                let path = format!("/proc/self/fd/{}", end.as_raw_fd());
                open(path, way | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY, Mode::empty()).ok()?
            }
            FileType::Socket => end.try_clone().ok()?,
            _ => return None,
        };
        let end = sys::ready::wait_for(own, interest).ok()?;
        Some(Self { end, is_socket: kind == FileType::Socket })
    }

    /// Waits until something has come; nothing at the end. May be given up while it waits.
    pub async fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        self.end
            .async_io(Interest::READABLE, |end| {
                Ok(match self.is_socket {
                    true => rustix::net::recv(end, &mut *into, RecvFlags::DONTWAIT)?.0,
                    false => rustix::io::read(end, &mut *into)?,
                })
            })
            .await
    }

    /// Writes all of it.
    pub async fn write(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let written = self
                .end
                .async_io(Interest::WRITABLE, |end| {
                    let written = match self.is_socket {
                        true => rustix::net::send(end.as_fd(), bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL),
                        false => rustix::io::write(end, bytes),
                    };
                    match written {
                        Err(Errno::INTR) => Ok(0),
                        other => Ok(other?),
                    }
                })
                .await?;
            bytes = bytes.get(written..).unwrap_or_default();
        }
        Ok(())
    }
}
