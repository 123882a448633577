//! A connection whose writes may fail without hiding what the other side said before.
//!
//! Owns one case: an upstream answers an upload before its end and closes. A write then fails while the answer
//! waits to be read, and hyper gives the whole connection up. Here such a write is said to have worked; reading
//! goes on to the answer's end, or to the error that tells that none came.

use std::{
    io::{ErrorKind, IoSlice, Result},
    pin::Pin,
    task::{Context, Poll},
};

use hyper::rt::{Read, ReadBufCursor, Write};

/// A connection that is heard out.
pub(super) struct HeardOut<T> {
    inner: T,
    /// The other side takes no more.
    gone: bool,
}

impl<T> HeardOut<T> {
    /// Over this connection.
    pub(super) fn new(inner: T) -> Self {
        Self { inner, gone: false }
    }

    fn forgiven(&mut self, polled: Poll<Result<usize>>, all: usize) -> Poll<Result<usize>> {
        match polled {
            Poll::Ready(Err(error)) if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => {
                self.gone = true;
                Poll::Ready(Ok(all))
            }
            polled => polled,
        }
    }
}

impl<T: Read + Unpin> Read for HeardOut<T> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, space: ReadBufCursor<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_read(cx, space)
    }
}

impl<T: Write + Unpin> Write for HeardOut<T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        let me = self.get_mut();
        if me.gone {
            return Poll::Ready(Ok(bytes.len()));
        }
        let polled = Pin::new(&mut me.inner).poll_write(cx, bytes);
        me.forgiven(polled, bytes.len())
    }

    fn poll_write_vectored(self: Pin<&mut Self>, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<Result<usize>> {
        let (me, all) = (self.get_mut(), slices.iter().map(|slice| slice.len()).sum());
        if me.gone {
            return Poll::Ready(Ok(all));
        }
        let polled = Pin::new(&mut me.inner).poll_write_vectored(cx, slices);
        me.forgiven(polled, all)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let me = self.get_mut();
        if me.gone { Poll::Ready(Ok(())) } else { Pin::new(&mut me.inner).poll_flush(cx) }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let me = self.get_mut();
        if me.gone { Poll::Ready(Ok(())) } else { Pin::new(&mut me.inner).poll_shutdown(cx) }
    }
}
