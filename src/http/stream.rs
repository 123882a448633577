//! A connection to a client, with every head judged and every wait bounded.
//!
//! Owns the position in the stream: which bytes are head, which are body, where the next head begins. Whoever asks
//! for a head or for a piece of a body reads; there is no task in between.

mod body;
mod raw;

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use http::Request;
use tokio::io::{AsyncRead, AsyncWrite};

use super::{
    head::{Fault, Head, read},
    inbox::Inbox,
    serve::Limits,
    timer::Timer,
};
use body::Body;
pub use raw::Raw;

/// How long, and how much, is read and thrown away so that a client that still writes sees the answer.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 4 * 1024 * 1024;
/// A kept connection that says nothing for so long holds no buffer any more. Short, so that thousands of clients that
/// come one after the other use the same memory; to begin again costs microseconds.
const REST: Duration = Duration::from_millis(10);

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

/// What came in place of a head.
#[expect(clippy::large_enum_variant, reason = "there is one at a time, and it is taken apart where it comes from")]
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
        self.body = Body::of(&head, self.limits.max_body);
        self.turn += 1;
        self.fault = None;
        Heard::Head(request, head)
    }

    /// Ready when the client leaves while it waits for an answer. What it sends meanwhile is kept, up to a point.
    pub(super) fn poll_left(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // What of a body is not read yet stands before the end; another task may be reading it.
        if let Some(body) = &mut self.body {
            body.waiting = Some(cx.waker().clone());
            return Poll::Pending;
        }
        if !self.inbox.bytes.is_empty() {
            return Poll::Pending;
        }
        match ready!(self.poll_fill(cx)) {
            Ok(1..) => Poll::Pending,
            Ok(0) | Err(_) => Poll::Ready(()),
        }
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
