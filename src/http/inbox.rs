//! What has come over a connection and was not used yet.
//!
//! Owns how much is read at once: little into a buffer that exists for the moment only, so that a silent connection
//! holds none, and much while a body flows.

use std::{
    future::Future as _,
    io,
    mem::MaybeUninit,
    pin::{Pin, pin},
    task::{Context, Poll, ready},
};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt as _, ReadBuf};

/// What is read at once; more once a read has filled it.
const PART: usize = 8 * 1024;
const LARGE_PART: usize = 64 * 1024;

/// The bytes that were read and not used.
#[derive(Debug, Default)]
pub struct Inbox {
    /// They.
    pub bytes: BytesMut,
    /// The last read filled all the space it had.
    flows: bool,
}

impl Inbox {
    /// Reads what there is; 0 at the end.
    pub fn poll_fill<S: AsyncRead + Unpin>(&mut self, io: &mut S, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.flows {
            self.bytes.reserve(LARGE_PART);
            let count = ready!(pin!(io.read_buf(&mut self.bytes)).poll(cx))?;
            self.flows = count >= LARGE_PART;
            return Poll::Ready(Ok(count));
        }
        let mut space = [MaybeUninit::uninit(); PART];
        let mut space = ReadBuf::uninit(&mut space);
        ready!(Pin::new(io).poll_read(cx, &mut space))?;
        self.flows = space.remaining() == 0;
        self.bytes.extend_from_slice(space.filled());
        Poll::Ready(Ok(space.filled().len()))
    }

    /// Gives the memory back.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}
