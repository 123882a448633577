//! A connection of HTTP/1.1 to an upstream, and the body of an answer that comes over it.
//!
//! Owns the exchange: one request out, one answer in, both under way at the same time where the upstream answers
//! early. Whoever waits for the answer drives it; there is no task to wake. Never lends a connection to two requests,
//! and never keeps one whose last answer was not read to an end that is beyond doubt.
//!
//! An upstream may answer an upload before its end and close. A write then fails while the answer waits to be read:
//! the rest of the upload is dropped, and reading goes on to the answer's end.

use std::{
    future::{Future, poll_fn},
    io,
    mem::MaybeUninit,
    pin::{Pin, pin},
    rc::{Rc, Weak},
    task::{Context, Poll, Waker, ready},
};

use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead as _, AsyncReadExt as _, AsyncWrite as _, ReadBuf},
    time::Instant,
};
use zeroize::Zeroizing;

use super::{
    body::{Cut, IDLE, Through},
    exchange::{Framing, Head, Piece, read_head, write_head},
    kept::{Failure, Io, Kept},
};
use crate::http::timer::Timer;

/// What is read at once; more once a read has filled it.
const PART: usize = 8 * 1024;
const LARGE_PART: usize = 64 * 1024;
/// Interim answers before the real one (RFC 9110 section 15.2).
const MOST_INTERIM: u8 = 8;

/// A connection of HTTP/1.1.
pub(super) struct Link {
    io: TokioIo<Io>,
    /// What has come and was not used yet.
    buffer: BytesMut,
    /// The last read filled all the space it had.
    flows: bool,
    /// The upstream took no more of a request.
    deaf: bool,
    silence: Timer,
    /// When it was used last.
    pub(super) since: Instant,
}

/// A request on its way out.
struct Upload {
    body: Through,
    /// So many bytes of it are left; in chunks where that is not known.
    left: Option<u64>,
    ended: bool,
    /// What is to be written; the first of it holds the key.
    bytes: Zeroizing<Vec<u8>>,
    written: usize,
}

/// Who is to blame for an upload that ends early.
enum Unsent {
    Upstream,
    Client,
}

impl Link {
    /// A connection that nobody has used yet.
    pub(super) fn new(io: Io) -> Self {
        Self {
            io: TokioIo::new(io),
            buffer: BytesMut::new(),
            flows: false,
            deaf: false,
            silence: Timer::default(),
            since: Instant::now(),
        }
    }

    /// Whether it can take a request: nothing came, and the upstream has not closed it.
    pub(super) fn is_usable(&mut self) -> bool {
        self.poll_fill(&mut Context::from_waker(Waker::noop())).is_pending() && self.buffer.is_empty()
    }

    /// Sends a request and waits for the head of its answer.
    pub(super) async fn exchange(
        mut self,
        request: Request<Through>,
        host: &HeaderValue,
        home: &Rc<Kept>,
    ) -> Result<Response<Answer>, Failure> {
        let method = request.method().clone();
        let mut upload = Some(Upload::new(request, host));
        let mut interim = 0;
        let Head { response, framing, keeps } = poll_fn(|cx| {
            self.drive(&mut upload, cx).map_err(|Abandoned| Failure::Broken)?;
            loop {
                match self.poll_head(&method, cx) {
                    Poll::Ready(Ok(head)) if is_interim(&head) && interim < MOST_INTERIM => interim += 1,
                    Poll::Ready(Ok(head)) if is_interim(&head) => return Poll::Ready(Err(Failure::Broken)),
                    Poll::Ready(head) => return Poll::Ready(head),
                    Poll::Pending => return self.silence.poll(cx, IDLE).map(|()| Err(Failure::Slow)),
                }
            }
        })
        .await?;
        self.silence.clear();
        let (link, home) = (Some(self), Rc::downgrade(home));
        let mut coming = Coming { link, home, upload, framing, keeps, next: None, closed: false, fault: false };
        coming.look();
        match coming {
            Coming { fault: true, .. } => Err(Failure::Broken),
            // All of it is here already, as with most answers.
            Coming { link: None, next, .. } => Ok(response.map(|()| Answer::Whole(next))),
            coming => Ok(response.map(|()| Answer::Coming(Box::new(coming)))),
        }
    }

    /// Writes as much of the request as goes; an upload that is over is taken away.
    fn drive(&mut self, upload: &mut Option<Upload>, cx: &mut Context<'_>) -> Result<(), Abandoned> {
        let Some(out) = upload else { return Ok(()) };
        match out.poll_send(&mut self.io, cx) {
            Poll::Pending => return Ok(()),
            Poll::Ready(Ok(())) => {}
            // What it has said before is still to be read.
            Poll::Ready(Err(Unsent::Upstream)) => self.deaf = true,
            Poll::Ready(Err(Unsent::Client)) => return Err(Abandoned),
        }
        *upload = None;
        Ok(())
    }

    fn poll_head(&mut self, method: &Method, cx: &mut Context<'_>) -> Poll<Result<Head, Failure>> {
        loop {
            match read_head(&mut self.buffer, method) {
                Ok(Some(head)) => return Poll::Ready(Ok(head)),
                Ok(None) => {}
                Err(_) => return Poll::Ready(Err(Failure::Broken)),
            }
            match ready!(self.poll_fill(cx)) {
                Ok(1..) => {}
                Ok(0) | Err(_) => return Poll::Ready(Err(Failure::Broken)),
            }
        }
    }

    /// Reads what there is; 0 at the end.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.flows {
            self.buffer.reserve(LARGE_PART);
            let count = ready!(pin!(self.io.read_buf(&mut self.buffer)).poll(cx))?;
            self.flows = count >= LARGE_PART;
            return Poll::Ready(Ok(count));
        }
        let mut space = [MaybeUninit::uninit(); PART];
        let mut space = ReadBuf::uninit(&mut space);
        ready!(Pin::new(&mut self.io).poll_read(cx, &mut space))?;
        self.flows = space.remaining() == 0;
        self.buffer.extend_from_slice(space.filled());
        Poll::Ready(Ok(space.filled().len()))
    }

    /// After a whole exchange: kept for the next one, where nothing speaks against it.
    fn let_go(mut self, home: &Weak<Kept>) {
        if !self.deaf
            && self.buffer.is_empty()
            && let Some(home) = home.upgrade()
        {
            (self.buffer, self.flows) = (BytesMut::new(), false);
            home.put(self);
        }
    }
}

/// The client broke its upload off.
struct Abandoned;

fn is_interim(head: &Head) -> bool {
    let status = head.response.status();
    status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS
}

impl Upload {
    fn new(request: Request<Through>, host: &HeaderValue) -> Self {
        let left = request.body().size_hint().exact();
        let mut bytes = Vec::with_capacity(1024);
        write_head(&request, host, left, &mut bytes);
        let body = request.into_body();
        let ended = left == Some(0) && body.is_end_stream();
        Self { ended, body, left, bytes: Zeroizing::new(bytes), written: 0 }
    }

    fn poll_send(&mut self, io: &mut TokioIo<Io>, cx: &mut Context<'_>) -> Poll<Result<(), Unsent>> {
        loop {
            let mut waits = false;
            // A body that is here already goes with the head, in one write.
            while !self.ended && !waits && self.bytes.len() < LARGE_PART {
                match Pin::new(&mut self.body).poll_frame(cx) {
                    Poll::Ready(Some(Ok(frame))) => self.add(&frame.into_data().unwrap_or_default())?,
                    Poll::Ready(Some(Err(_))) => return Poll::Ready(Err(Unsent::Client)),
                    Poll::Ready(None) => self.end()?,
                    Poll::Pending => waits = true,
                }
            }
            while let Some(rest) = self.bytes.get(self.written..).filter(|rest| !rest.is_empty()) {
                match ready!(Pin::new(&mut *io).poll_write(cx, rest)) {
                    Ok(count @ 1..) => self.written += count,
                    Ok(0) | Err(_) => return Poll::Ready(Err(Unsent::Upstream)),
                }
            }
            self.bytes.clear();
            self.written = 0;
            if self.ended || waits {
                ready!(Pin::new(&mut *io).poll_flush(cx)).map_err(|_| Unsent::Upstream)?;
                return if waits { Poll::Pending } else { Poll::Ready(Ok(())) };
            }
        }
    }

    fn add(&mut self, data: &[u8]) -> Result<(), Unsent> {
        match &mut self.left {
            _ if data.is_empty() => {}
            Some(left) => {
                // Never past the length that was said: the rest would be read as another request.
                *left = left.checked_sub(data.len() as u64).ok_or(Unsent::Client)?;
                self.bytes.extend_from_slice(data);
            }
            None => {
                self.bytes.extend_from_slice(format!("{:x}\r\n", data.len()).as_bytes());
                self.bytes.extend_from_slice(data);
                self.bytes.extend_from_slice(b"\r\n");
            }
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), Unsent> {
        match self.left {
            None => self.bytes.extend_from_slice(b"0\r\n\r\n"),
            Some(0) => {}
            Some(_) => return Err(Unsent::Client),
        }
        self.ended = true;
        Ok(())
    }
}

/// The body of an upstream's answer.
pub(super) enum Answer {
    /// It came with its head.
    Whole(Option<Bytes>),
    /// It is read off its connection.
    Coming(Box<Coming>),
    /// Of a connection that is a task of its own.
    Task(Incoming),
}

/// A body that is read off its connection.
pub(super) struct Coming {
    /// `None` once the body is at its end.
    link: Option<Link>,
    /// Where the connection goes afterwards.
    home: Weak<Kept>,
    /// What of the request is not sent yet.
    upload: Option<Upload>,
    framing: Framing,
    keeps: bool,
    /// The piece after the last one that was given out.
    next: Option<Bytes>,
    /// The upstream says no more.
    closed: bool,
    fault: bool,
}

impl Coming {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Cut>>> {
        loop {
            if let Some(data) = self.next.take() {
                self.look();
                return Poll::Ready(Some(Ok(data)));
            }
            if self.fault {
                return Poll::Ready(Some(Err(Cut::Broken)));
            }
            let Some(link) = &mut self.link else { return Poll::Ready(None) };
            if link.drive(&mut self.upload, cx).is_err() {
                self.fault = true;
                continue;
            }
            match ready!(link.poll_fill(cx)) {
                Ok(count) => self.closed = count == 0,
                Err(_) => self.fault = true,
            }
            self.look();
        }
    }

    /// Takes the next piece out of what has come. Beforehand, so that the end is known with the last piece.
    fn look(&mut self) {
        let Some(link) = self.link.as_mut().filter(|_| !self.fault) else { return };
        match self.framing.take(&mut link.buffer, self.closed) {
            Ok(Piece::Data(data)) => self.next = Some(data),
            Ok(Piece::Missing) => return,
            Ok(Piece::End) => return self.finish(),
            Err(_) => self.fault = true,
        }
        if matches!(self.framing, Framing::Length(0)) {
            self.finish();
        }
    }

    fn finish(&mut self) {
        let Some(mut link) = self.link.take().filter(|_| self.keeps) else { return };
        let home = std::mem::take(&mut self.home);
        match self.upload.take() {
            None => link.let_go(&home),
            // The answer came early; the upstream still takes the rest.
            Some(upload) => {
                let mut upload = Some(upload);
                tokio::task::spawn_local(async move {
                    let rest = poll_fn(|cx| match link.drive(&mut upload, cx) {
                        Ok(()) if upload.is_some() => Poll::Pending,
                        driven => Poll::Ready(driven),
                    });
                    if rest.await.is_ok() {
                        link.let_go(&home);
                    }
                });
            }
        }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        match self.get_mut() {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Coming(coming) => coming.poll(cx).map_ok(Frame::data),
            Self::Task(incoming) => Pin::new(incoming).poll_frame(cx).map_err(|_| Cut::Broken),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_none(),
            Self::Coming(coming) => coming.link.is_none() && coming.next.is_none() && !coming.fault,
            Self::Task(incoming) => incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Coming(coming) => match coming.framing {
                Framing::Length(left) => {
                    SizeHint::with_exact(left + coming.next.as_ref().map_or(0, |bytes| bytes.len() as u64))
                }
                Framing::Chunked(_) | Framing::Close => SizeHint::default(),
            },
            Self::Task(incoming) => incoming.size_hint(),
        }
    }
}
