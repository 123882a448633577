//! A connection that has left HTTP.
//!
//! Owns what came behind the request, which is read first; the deadline on writing stays.

use std::{
    cell::RefCell,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::Stream;

/// A connection that has left HTTP.
pub struct Raw<S>(pub(in crate::http) Rc<RefCell<Stream<S>>>);

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Raw<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, space: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let me = &mut *self.0.borrow_mut();
        let here = &mut me.inbox.bytes;
        if here.is_empty() {
            return Pin::new(&mut me.io).poll_read(cx, space);
        }
        // What came behind the request.
        let count = here.len().min(space.remaining());
        space.put_slice(&here.split_to(count));
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Raw<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let me = &mut *self.0.borrow_mut();
        match Pin::new(&mut me.io).poll_write(cx, bytes) {
            Poll::Ready(result) => {
                me.writing.clear();
                Poll::Ready(result)
            }
            Poll::Pending => {
                ready!(me.writing.poll(cx, me.limits.write_time));
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0.borrow_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0.borrow_mut().io).poll_shutdown(cx)
    }
}
