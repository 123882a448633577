//! A connection to a client, with every head inspected and every wait bounded.
//!
//! Owns the position in the stream: which bytes are head, which are body, where the next head
//! begins. hyper is given a head only once it is whole and inspected, so it can neither be held by
//! half of one nor read bytes as a head that were not judged as one. hyper's own header timer is not
//! used: it counts the idle time of a kept connection too.
//!
//! Past 400 lines: reading, writing and the deadlines are one state machine, and a second file would only hide
//! half of its states.

use std::{
    collections::VecDeque,
    io,
    mem::MaybeUninit,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

pub use super::serve::{Limits, serve_http1};
use super::{
    chunks::Chunks,
    head::{Fault, Framing, inspect},
    timer::Timer,
};

/// What stands in for a head that was refused: hyper keeps the order of answers, and closes after it.
const STAND_IN: &[u8] = b"GET / HTTP/1.1\r\nhost: refused\r\nconnection: close\r\n\r\n";
/// How long, and how much, is read and thrown away so that a client that still writes sees the answer.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 4 * 1024 * 1024;
/// A kept connection that says nothing for so long is taken back from hyper, whose buffers are large. Short, so
/// that thousands of clients that come one after the other use the same memory; to begin again costs microseconds.
const REST: Duration = Duration::from_millis(10);
/// The longest time between two looks whether an answer is done, which begin at [`REST`] and double.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// What the stream and the service behind hyper tell each other.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// One for each head that hyper was given: whether it leaves HTTP, or why it was refused.
    verdicts: Mutex<VecDeque<Result<bool, Fault>>>,
    /// Requests whose answer is not finished.
    busy: AtomicUsize,
    /// The service has answered 101: what follows is no HTTP.
    raw: AtomicBool,
    /// Nothing is under way in either direction, and hyper was told that the stream has ended.
    resting: AtomicBool,
}

impl Shared {
    pub(super) fn next_verdict(&self) -> Option<Result<bool, Fault>> {
        self.verdicts.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    pub(super) fn answered(&self) {
        self.busy.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn leave_http(&self) {
        self.raw.store(true, Ordering::Relaxed);
    }

    /// Whether the stream rests; it goes on with [`TimedIo::first_bytes`].
    pub(super) fn take_rest(&self) -> bool {
        self.resting.swap(false, Ordering::Relaxed)
    }

    fn push(&self, verdict: Result<bool, Fault>) {
        self.busy.fetch_add(1, Ordering::Relaxed);
        self.verdicts.lock().unwrap_or_else(PoisonError::into_inner).push_back(verdict);
    }
}

/// A connection to a client.
pub(super) struct TimedIo<S> {
    inner: S,
    limits: Limits,
    shared: Arc<Shared>,
    phase: Phase,
    /// Bytes that were read and not yet passed on.
    buffer: Vec<u8>,
    reading: Timer,
    writing: Timer,
    /// Until the next look whether the answer under way is done.
    pause: Duration,
    lingered: usize,
    shut: bool,
}

enum Phase {
    /// Collecting a head; `line` is where the line that is being read begins, `seen` how far we looked.
    Head { line: usize, seen: usize },
    /// Passing a head on.
    Passing { left: usize, then: Next },
    /// Passing a body of known length on.
    Length(u64),
    /// Passing a chunked body on.
    Chunked(Chunks),
    /// The request asked to leave HTTP, and the answer is not known yet: nothing more is passed on.
    Held,
    /// After a refused head: what comes is thrown away.
    Dead,
}

enum Next {
    Body(Framing),
    Held,
    Dead,
}

impl<S: AsyncRead + AsyncWrite + Unpin> TimedIo<S> {
    pub(super) fn new(inner: S, limits: Limits, shared: Arc<Shared>) -> Self {
        Self {
            inner,
            limits,
            shared,
            phase: Phase::Head { line: 0, seen: 0 },
            buffer: Vec::new(),
            reading: Timer::default(),
            writing: Timer::default(),
            pause: REST,
            lingered: 0,
            shut: false,
        }
    }

    /// Waits for a client's first bytes, or its first after a rest; false where it left or said nothing in
    /// time. Until then a connection holds no buffer.
    pub(super) async fn first_bytes(&mut self) -> bool {
        std::future::poll_fn(|cx| match self.fill(cx) {
            Poll::Ready(result) => Poll::Ready(result.is_ok_and(|count| count > 0)),
            Poll::Pending => self.reading.poll(cx, self.limits.idle_time).map(|()| false),
        })
        .await
    }

    /// Reads what there is into the buffer; 0 at the end.
    fn fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut space = [MaybeUninit::<u8>::uninit(); 8 * 1024];
        let mut space = ReadBuf::uninit(&mut space);
        ready!(Pin::new(&mut self.inner).poll_read(cx, &mut space))?;
        self.buffer.extend_from_slice(space.filled());
        Poll::Ready(Ok(space.filled().len()))
    }

    /// Passes on at most `most` bytes of the buffer.
    fn hand_out(&mut self, most: usize, out: &mut ReadBuf<'_>) -> usize {
        let count = most.min(self.buffer.len()).min(out.remaining());
        out.put_slice(self.buffer.get(..count).unwrap_or_default());
        self.buffer.drain(..count);
        if self.buffer.is_empty() && self.buffer.capacity() > 16 * 1024 {
            self.buffer = Vec::new();
        }
        count
    }

    /// Looks for the end of a head in the buffer and judges it.
    fn look(&mut self, mut line: usize, mut seen: usize) -> Option<Phase> {
        while let Some(offset) = self.buffer.get(seen..).and_then(|rest| memchr::memchr(b'\n', rest)) {
            let end = seen + offset;
            let text = self.buffer.get(line..end).unwrap_or_default();
            if text.last() != Some(&b'\r') {
                return Some(self.refuse(Fault::Ambiguous("a line that does not end in CR LF")));
            }
            (line, seen) = (end + 1, end + 1);
            if text.len() == 1 {
                return Some(self.judge(end + 1));
            }
        }
        if self.buffer.len() > self.limits.max_head {
            return Some(self.refuse(Fault::TooLarge("the head is too long")));
        }
        self.phase = Phase::Head { line, seen: self.buffer.len() };
        None
    }

    fn judge(&mut self, end: usize) -> Phase {
        if end > self.limits.max_head {
            return self.refuse(Fault::TooLarge("the head is too long"));
        }
        let head = self.buffer.get(..end).unwrap_or_default();
        match inspect(head, self.limits.max_headers, self.limits.max_body) {
            Ok(head) => {
                self.shared.push(Ok(head.leaves));
                let then = if head.leaves { Next::Held } else { Next::Body(head.framing) };
                Phase::Passing { left: end, then }
            }
            Err(fault) => self.refuse(fault),
        }
    }

    fn refuse(&mut self, fault: Fault) -> Phase {
        self.buffer = STAND_IN.to_vec();
        self.shared.push(Err(fault));
        Phase::Passing { left: STAND_IN.len(), then: Next::Dead }
    }

    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        loop {
            if let Phase::Head { line, seen } = self.phase
                && let Some(next) = self.look(line, seen)
            {
                self.phase = next;
                self.reading.clear();
                self.pause = REST;
                return Poll::Ready(Ok(true));
            }
            let begun = !self.buffer.is_empty();
            match self.fill(cx) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Ok(false)),
                Poll::Ready(Ok(_)) if !begun => self.reading.clear(),
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending if begun => {
                    ready!(self.reading.poll(cx, self.limits.head_time));
                    self.phase = self.refuse(Fault::Slow);
                    return Poll::Ready(Ok(true));
                }
                Poll::Pending if self.shared.busy.load(Ordering::Relaxed) == 0 => {
                    // While the client takes no answer, hyper still holds a part of it.
                    let rests = !self.writing.is_running();
                    let limit = if rests { REST.min(self.limits.idle_time) } else { self.limits.idle_time };
                    ready!(self.reading.poll(cx, limit));
                    if rests {
                        self.rest();
                    }
                    return Poll::Ready(Ok(false));
                }
                Poll::Pending => {
                    // hyper does not read again when the answer is done, but only when it is woken.
                    while self.reading.poll(cx, self.pause).is_ready() {
                        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
                        self.reading.clear();
                    }
                    return Poll::Pending;
                }
            }
        }
    }

    /// Lets go of what a silent connection need not hold. No head is unanswered and none has begun, so hyper
    /// has no byte that it was given and did not use; and a byte that comes now waits in the socket.
    fn rest(&mut self) {
        self.buffer = Vec::new();
        self.shared.resting.store(true, Ordering::Relaxed);
    }

    /// Waits for bytes of a body.
    fn poll_body(&mut self, cx: &mut Context<'_>, out: Option<(&mut ReadBuf<'_>, u64)>) -> Poll<io::Result<usize>> {
        let polled = match out {
            None => self.fill(cx),
            Some((out, left)) if out.remaining() as u64 <= left => {
                let before = out.filled().len();
                Pin::new(&mut self.inner).poll_read(cx, out).map_ok(|()| out.filled().len() - before)
            }
            Some((out, left)) => {
                let left = usize::try_from(left).unwrap_or(usize::MAX);
                let mut part = ReadBuf::new(out.initialize_unfilled_to(left));
                let polled = Pin::new(&mut self.inner).poll_read(cx, &mut part);
                let count = part.filled().len();
                out.advance(count);
                polled.map_ok(|()| count)
            }
        };
        match polled {
            Poll::Ready(result) => {
                self.reading.clear();
                Poll::Ready(result)
            }
            Poll::Pending => {
                ready!(self.reading.poll(cx, self.limits.body_time));
                Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the body stopped coming")))
            }
        }
    }

    fn after_head(&mut self, then: Next) -> Phase {
        match then {
            Next::Body(Framing::Length(length)) => Phase::Length(length),
            Next::Body(Framing::Chunked) => Phase::Chunked(Chunks::new(self.limits.max_body)),
            Next::Held => Phase::Held,
            Next::Dead => Phase::Dead,
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for TimedIo<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let me = self.get_mut();
        if out.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        loop {
            match std::mem::replace(&mut me.phase, Phase::Dead) {
                Phase::Head { line, seen } => {
                    me.phase = Phase::Head { line, seen };
                    if !ready!(me.poll_head(cx))? {
                        return Poll::Ready(Ok(()));
                    }
                }
                Phase::Passing { left, then } => {
                    let left = left - me.hand_out(left, out);
                    me.phase = if left > 0 { Phase::Passing { left, then } } else { me.after_head(then) };
                    return Poll::Ready(Ok(()));
                }
                Phase::Length(0) => me.phase = Phase::Head { line: 0, seen: 0 },
                Phase::Length(left) => {
                    me.phase = Phase::Length(left);
                    let count = if me.buffer.is_empty() {
                        ready!(me.poll_body(cx, Some((out, left))))?
                    } else {
                        me.hand_out(usize::try_from(left).unwrap_or(usize::MAX), out)
                    };
                    me.phase = Phase::Length(left.saturating_sub(count as u64));
                    return Poll::Ready(Ok(()));
                }
                Phase::Chunked(chunks) if chunks.is_done() => me.phase = Phase::Head { line: 0, seen: 0 },
                Phase::Chunked(mut chunks) => {
                    if me.buffer.is_empty() {
                        match me.poll_body(cx, None) {
                            Poll::Ready(Ok(0)) => return Poll::Ready(Ok(())),
                            Poll::Ready(Ok(_)) => {}
                            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                            Poll::Pending => {
                                me.phase = Phase::Chunked(chunks);
                                return Poll::Pending;
                            }
                        }
                    }
                    let most = me.buffer.len().min(out.remaining());
                    let count = chunks
                        .feed(me.buffer.get(..most).unwrap_or_default())
                        .map_err(|fault| io::Error::new(io::ErrorKind::InvalidData, fault))?;
                    me.hand_out(count, out);
                    me.phase = Phase::Chunked(chunks);
                    return Poll::Ready(Ok(()));
                }
                Phase::Held if me.shared.raw.load(Ordering::Relaxed) => {
                    me.phase = Phase::Held;
                    if me.buffer.is_empty() {
                        return Pin::new(&mut me.inner).poll_read(cx, out);
                    }
                    me.hand_out(usize::MAX, out);
                    return Poll::Ready(Ok(()));
                }
                Phase::Held => {
                    me.phase = Phase::Held;
                    if me.buffer.len() > me.limits.max_head {
                        return Poll::Pending;
                    }
                    if ready!(me.fill(cx))? == 0 {
                        return Poll::Ready(Ok(()));
                    }
                }
                Phase::Dead => {
                    me.buffer.clear();
                    if ready!(me.fill(cx))? == 0 {
                        return Poll::Ready(Ok(()));
                    }
                }
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> TimedIo<S> {
    fn written(&mut self, cx: &mut Context<'_>, polled: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match polled {
            Poll::Ready(result) => {
                self.writing.clear();
                Poll::Ready(result)
            }
            Poll::Pending => {
                ready!(self.writing.poll(cx, self.limits.write_time));
                Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client stopped reading")))
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for TimedIo<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let me = self.get_mut();
        let polled = Pin::new(&mut me.inner).poll_write(cx, bytes);
        me.written(cx, polled)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let me = self.get_mut();
        let polled = Pin::new(&mut me.inner).poll_write_vectored(cx, slices);
        me.written(cx, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(cx)
    }

    /// Closes our side; where the client may still be writing, reads on for a moment, because closing
    /// a socket with unread bytes would take the answer away from it.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let me = self.get_mut();
        if me.shared.resting.load(Ordering::Relaxed) {
            return Poll::Ready(Ok(()));
        }
        if !me.shut {
            ready!(Pin::new(&mut me.inner).poll_shutdown(cx))?;
            me.shut = true;
            me.reading.clear();
        }
        if matches!(me.phase, Phase::Head { .. }) && me.buffer.is_empty() {
            return Poll::Ready(Ok(()));
        }
        while me.lingered < LINGER_BYTES {
            me.buffer.clear();
            match me.fill(cx) {
                Poll::Ready(Ok(0) | Err(_)) => break,
                Poll::Ready(Ok(count)) => me.lingered += count,
                Poll::Pending => {
                    ready!(me.reading.poll(cx, LINGER));
                    break;
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}
