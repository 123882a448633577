//! The body of the request under way.
//!
//! Owns who may read it, and what becomes of the rest that nobody reads. It is read as it is asked for, by whoever asks.

use std::{
    cell::RefCell,
    task::{Context, Poll, Waker, ready},
};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};

use super::Stream;
use crate::http::{
    chunks::Chunks,
    framed::{Framed, Piece},
    head::{Fault, Framing, Head},
    request_body::Source,
};

/// The word that a client may wait for before it sends a body.
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// A body that is not over.
pub(super) struct Body {
    framed: Framed,
    /// The client waits for a word before it sends it.
    waits: bool,
    /// Somebody may still read it.
    held: bool,
    /// Waits until it is over.
    pub(super) waiting: Option<Waker>,
}

impl Body {
    /// What a head announces.
    pub(super) fn of(head: &Head, max: Option<u64>) -> Option<Self> {
        let framed = match head.framing {
            Framing::Length(0) => return None,
            Framing::Length(length) => Framed::Length(length),
            Framing::Chunked => Framed::Chunked(Chunks::new(max)),
        };
        Some(Self { framed, waits: head.waits, held: true, waiting: None })
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Stream<S> {
    /// The number of the request under way, where it has a body that is not over.
    pub(in crate::http) fn body(&self) -> Option<u64> {
        self.body.is_some().then_some(self.turn)
    }

    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Fault>>> {
        let broken = |me: &mut Self, fault: Fault| {
            me.fault = Some(fault.clone());
            Poll::Ready(Some(Err(fault)))
        };
        loop {
            if let Some(fault) = &self.fault {
                return Poll::Ready(Some(Err(fault.clone())));
            }
            let Some(body) = &mut self.body else { return Poll::Ready(None) };
            match body.framed.take(&mut self.inbox.bytes, self.ended) {
                Ok(Piece::Data(data)) => {
                    body.waits = false;
                    if matches!(body.framed, Framed::Length(0)) {
                        self.body_is_over();
                    }
                    return Poll::Ready(Some(Ok(data)));
                }
                Ok(Piece::End) => {
                    self.body_is_over();
                    return Poll::Ready(None);
                }
                Ok(Piece::Missing) => {}
                Err(fault) => return broken(self, fault),
            }
            if std::mem::take(&mut body.waits) && self.inbox.bytes.is_empty() && self.out.is_empty() {
                self.out.extend_from_slice(CONTINUE);
                // What does not go now goes with the answer; and so does an error.
                let _ = self.poll_write(cx);
            }
            match self.poll_fill(cx) {
                Poll::Ready(Ok(_)) => self.reading.clear(),
                Poll::Ready(Err(_)) => return broken(self, Fault::Cut),
                Poll::Pending => {
                    ready!(self.reading.poll(cx, self.limits.body_time));
                    return broken(self, Fault::Stopped);
                }
            }
        }
    }

    fn body_is_over(&mut self) {
        if let Some(Body { waiting: Some(waker), .. }) = self.body.take() {
            waker.wake();
        }
    }

    /// Whether the next head comes next, once nobody reads a body any more; false where the rest of one is in the way.
    pub(in crate::http) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        match &mut self.body {
            Some(body) if body.held && self.fault.is_none() => {
                body.waiting = Some(cx.waker().clone());
                Poll::Pending
            }
            _ => Poll::Ready(self.skip_body()),
        }
    }

    /// Throws the rest of a body away that nobody will read, where all of it is here; false where it is not.
    pub(in crate::http) fn skip_body(&mut self) -> bool {
        loop {
            let Some(body) = self.body.as_mut() else { return true };
            if body.held || body.waits || self.fault.is_some() {
                return false;
            }
            match body.framed.take(&mut self.inbox.bytes, self.ended) {
                Ok(Piece::Data(_)) => {}
                Ok(Piece::End) => self.body = None,
                Ok(Piece::Missing) | Err(_) => return false,
            }
        }
    }

    /// Whether somebody still reads the body.
    pub(in crate::http) fn is_body_held(&self) -> bool {
        self.body.as_ref().is_some_and(|body| body.held)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Source for RefCell<Stream<S>> {
    fn poll_data(&self, turn: u64, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Fault>>> {
        let mut stream = self.borrow_mut();
        if stream.turn == turn { stream.poll_data(cx) } else { Poll::Ready(None) }
    }

    fn take_whole(&self, turn: u64) -> Option<Bytes> {
        let mut stream = self.borrow_mut();
        let Some(Body { framed: Framed::Length(length), .. }) = stream.body else { return None };
        let length = usize::try_from(length).ok().filter(|length| *length <= stream.inbox.bytes.len())?;
        if stream.turn != turn {
            return None;
        }
        stream.body_is_over();
        Some(stream.inbox.bytes.split_to(length).freeze())
    }

    fn left(&self, turn: u64) -> Option<u64> {
        let stream = self.borrow();
        match stream.body.as_ref().filter(|_| stream.turn == turn).map(|body| &body.framed) {
            None => Some(0),
            Some(Framed::Length(left)) => Some(*left),
            Some(Framed::Chunked(_) | Framed::Close) => None,
        }
    }

    fn let_go(&self, turn: u64) {
        let mut stream = self.borrow_mut();
        let of_this = stream.turn == turn;
        if let Some(body) = stream.body.as_mut().filter(|_| of_this) {
            body.held = false;
            if let Some(waker) = body.waiting.take() {
                waker.wake();
            }
        }
    }

    fn fault(&self, turn: u64) -> Option<Fault> {
        let stream = self.borrow();
        stream.fault.clone().filter(|_| stream.turn == turn)
    }
}
