//! A connection to a client, with every head judged and every wait bounded.
//!
//! Owns the position in the stream: which bytes are head, which are body, where the next head begins. Whoever asks
//! for a head or for a piece of a body reads; there is no task in between.

use std::{
    cell::RefCell,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use bytes::Bytes;
use http::Request;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{
    chunks::Chunks,
    framed::{Framed, Piece},
    head::{Fault, Framing, Head, read},
    inbox::Inbox,
    request_body::Source,
    serve::Limits,
    timer::Timer,
};

/// How long, and how much, is read and thrown away so that a client that still writes sees the answer.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 4 * 1024 * 1024;
/// A kept connection that says nothing for so long holds no buffer any more. Short, so that thousands of clients that
/// come one after the other use the same memory; to begin again costs microseconds.
const REST: Duration = Duration::from_millis(10);
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// A connection to a client.
pub(super) struct Stream<S> {
    io: S,
    limits: Limits,
    inbox: Inbox,
    looked: Looked,
    /// Which request it is, counted from 1: the body of one that is over must not read another's.
    turn: u64,
    body: Option<Body>,
    /// What the client did wrong in its body.
    fault: Option<Fault>,
    /// What is to be written, and how much of it was.
    out: Vec<u8>,
    written: usize,
    reading: Timer,
    writing: Timer,
    /// The client writes no more.
    ended: bool,
    lingered: usize,
    shut: bool,
}

/// How far a head was looked at.
#[derive(Default)]
struct Looked {
    /// Where the line begins that is being read.
    line: usize,
    /// Where to go on.
    seen: usize,
    lines: usize,
}

/// A body that is not over.
struct Body {
    framed: Framed,
    /// The client waits for a word before it sends it.
    waits: bool,
    /// Somebody may still read it.
    held: bool,
    /// Waits until it is over.
    waiting: Option<Waker>,
}

/// What came in place of a head.
pub(super) enum Heard {
    Head(Request<()>, Head),
    /// It is refused.
    Fault(Fault),
    /// Nothing, for a while.
    Silence,
    /// The client is gone.
    End,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Stream<S> {
    pub(super) fn new(io: S, limits: Limits) -> Self {
        Self {
            io,
            limits,
            inbox: Inbox::default(),
            looked: Looked::default(),
            turn: 0,
            body: None,
            fault: None,
            out: Vec::new(),
            written: 0,
            reading: Timer::default(),
            writing: Timer::default(),
            ended: false,
            lingered: 0,
            shut: false,
        }
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let polled = self.inbox.poll_fill(&mut self.io, cx);
        self.ended |= matches!(polled, Poll::Ready(Ok(0)));
        polled
    }

    /// Waits for a client's first bytes, or its first after a rest; false where it left or said nothing in time.
    /// Until then a connection holds no buffer.
    pub(super) fn poll_begin(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        match self.poll_fill(cx) {
            Poll::Ready(result) => {
                self.reading.clear();
                Poll::Ready(result.is_ok_and(|count| count > 0))
            }
            Poll::Pending => self.reading.poll(cx, self.limits.idle_time).map(|()| false),
        }
    }

    /// The next head, once it is whole.
    pub(super) fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Heard> {
        loop {
            if let Some(heard) = self.look() {
                self.reading.clear();
                return Poll::Ready(heard);
            }
            let begun = !self.inbox.bytes.is_empty();
            match self.poll_fill(cx) {
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Heard::End),
                Poll::Ready(Ok(_)) if begun => {}
                Poll::Ready(Ok(_)) => self.reading.clear(),
                Poll::Pending if begun => {
                    ready!(self.reading.poll(cx, self.limits.head_time));
                    return Poll::Ready(Heard::Fault(Fault::Slow));
                }
                Poll::Pending => {
                    ready!(self.reading.poll(cx, REST.min(self.limits.idle_time)));
                    self.rest();
                    return Poll::Ready(Heard::Silence);
                }
            }
        }
    }

    /// Lets go of what a silent connection need not hold.
    fn rest(&mut self) {
        self.inbox.clear();
        self.out = Vec::new();
    }

    /// Looks for the end of a head and judges it.
    fn look(&mut self) -> Option<Heard> {
        let bytes = &self.inbox.bytes;
        let Looked { mut line, mut seen, mut lines } = std::mem::take(&mut self.looked);
        while let Some(offset) = bytes.get(seen..).and_then(|rest| memchr::memchr(b'\n', rest)) {
            let end = seen + offset;
            let text = bytes.get(line..end).unwrap_or_default();
            if text.last() != Some(&b'\r') {
                return Some(Heard::Fault(Fault::Ambiguous("a line that does not end in CR LF")));
            }
            (line, seen) = (end + 1, end + 1);
            if text.len() == 1 {
                return Some(self.judge(end + 1, lines));
            }
            lines += 1;
        }
        if bytes.len() > self.limits.max_head {
            return Some(Heard::Fault(Fault::TooLarge("the head is too long")));
        }
        self.looked = Looked { line, seen: bytes.len(), lines };
        None
    }

    fn judge(&mut self, end: usize, lines: usize) -> Heard {
        if end > self.limits.max_head {
            return Heard::Fault(Fault::TooLarge("the head is too long"));
        }
        let text = self.inbox.bytes.split_to(end).freeze();
        let (request, head) = match read(&text, lines, self.limits.max_headers, self.limits.max_body) {
            Ok(read) => read,
            Err(fault) => return Heard::Fault(fault),
        };
        let framed = match head.framing {
            Framing::Length(0) => None,
            Framing::Length(length) => Some(Framed::Length(length)),
            Framing::Chunked => Some(Framed::Chunked(Chunks::new(self.limits.max_body))),
        };
        self.body = framed.map(|framed| Body { framed, waits: head.waits, held: true, waiting: None });
        self.turn += 1;
        self.fault = None;
        Heard::Head(request, head)
    }

    /// The number of the request under way, where it has a body that is not over.
    pub(super) fn body(&self) -> Option<u64> {
        self.body.is_some().then_some(self.turn)
    }

    /// Ready when the client leaves while it waits for an answer. What it sends meanwhile is kept, up to a point.
    pub(super) fn poll_left(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // What of a body is not read yet stands before the end.
        if self.body.is_some() || !self.inbox.bytes.is_empty() {
            return Poll::Pending;
        }
        match ready!(self.poll_fill(cx)) {
            Ok(1..) => Poll::Pending,
            Ok(0) | Err(_) => Poll::Ready(()),
        }
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
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        match &mut self.body {
            Some(body) if body.held && self.fault.is_none() => {
                body.waiting = Some(cx.waker().clone());
                Poll::Pending
            }
            _ => Poll::Ready(self.skip_body()),
        }
    }

    /// Throws the rest of a body away that nobody will read, where all of it is here; false where it is not.
    pub(super) fn skip_body(&mut self) -> bool {
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
    pub(super) fn is_body_held(&self) -> bool {
        self.body.as_ref().is_some_and(|body| body.held)
    }

    /// What is to be written goes here.
    pub(super) fn out(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    /// Writes all of it.
    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(rest) = self.out.get(self.written..).filter(|rest| !rest.is_empty()) {
            match Pin::new(&mut self.io).poll_write(cx, rest) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(count)) => {
                    self.written += count;
                    self.writing.clear();
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    ready!(self.writing.poll(cx, self.limits.write_time));
                    return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
                }
            }
        }
        self.out.clear();
        self.written = 0;
        Pin::new(&mut self.io).poll_flush(cx)
    }

    /// Closes our side; where the client may still be writing, reads on for a moment, because closing a socket with
    /// unread bytes would take the answer away from it.
    pub(super) fn poll_close(&mut self, cx: &mut Context<'_>, may_write: bool) -> Poll<()> {
        if !self.shut {
            let closed = ready!(Pin::new(&mut self.io).poll_shutdown(cx));
            self.shut = true;
            self.reading.clear();
            if closed.is_err() {
                return Poll::Ready(());
            }
        }
        if self.ended || (!may_write && self.inbox.bytes.is_empty()) {
            return Poll::Ready(());
        }
        while self.lingered < LINGER_BYTES {
            self.inbox.bytes.clear();
            match self.poll_fill(cx) {
                Poll::Ready(Ok(0) | Err(_)) => break,
                Poll::Ready(Ok(count)) => self.lingered += count,
                Poll::Pending => {
                    ready!(self.reading.poll(cx, LINGER));
                    break;
                }
            }
        }
        Poll::Ready(())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Source for RefCell<Stream<S>> {
    fn poll_data(&self, turn: u64, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Fault>>> {
        let mut stream = self.borrow_mut();
        if stream.turn == turn { stream.poll_data(cx) } else { Poll::Ready(None) }
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

/// A connection that has left HTTP.
pub struct Raw<S>(pub(super) Rc<RefCell<Stream<S>>>);

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
