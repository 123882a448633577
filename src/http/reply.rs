//! An answer on its way to a client.
//!
//! Owns what is written: the head once, in one piece with as much of the body as is there, and exactly the body that
//! the head announced. What comes later is written when it comes: an event waits for no other.

use std::{
    cell::RefCell,
    io,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode, header};
use http_body::Body;
use tokio::io::{AsyncRead, AsyncWrite};

use super::{date, stream::Stream};

/// As much is put together before it is written.
const PART: usize = 64 * 1024;

/// What the request says about the form of its answer.
#[derive(Clone, Copy)]
pub(super) struct Asked {
    /// It is HEAD, so no body follows.
    pub(super) head_only: bool,
    /// It is HTTP/1.0, which knows no chunks.
    pub(super) old: bool,
    /// The connection may take another request.
    pub(super) keeps: bool,
}

/// An answer of which some is not written yet.
pub(super) struct Reply<B> {
    body: B,
    framing: Framing,
    state: State,
}

/// How its body is framed.
#[derive(Clone, Copy)]
enum Framing {
    /// There is none.
    Nothing,
    /// So many bytes are to come.
    Length(u64),
    Chunked,
    /// It ends with the connection.
    Close,
}

enum State {
    Going,
    Over,
    /// The body broke off: what was announced does not come.
    Broken,
}

/// How an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// The connection can go on.
    Whole,
    /// It cannot: the client was told so, or the body broke off.
    Last,
}

impl<B: Body<Data = Bytes> + Unpin> Reply<B> {
    /// Puts the head into `out`; whether the connection goes on after the answer is said there.
    pub(super) fn begin(response: Response<B>, asked: &mut Asked, out: &mut Vec<u8>) -> Self {
        let (parts, body) = response.into_parts();
        let switches = parts.status == StatusCode::SWITCHING_PROTOCOLS;
        let bodiless = parts.status.is_informational() || parts.status == StatusCode::NO_CONTENT;
        let unsaid = asked.head_only || parts.status == StatusCode::NOT_MODIFIED;
        let framing = match body.size_hint().exact() {
            _ if bodiless || unsaid => Framing::Nothing,
            Some(length) => Framing::Length(length),
            None if asked.old => Framing::Close,
            None => Framing::Chunked,
        };
        asked.keeps &= !says_close(&parts.headers) && !matches!(framing, Framing::Close);

        out.extend_from_slice(b"HTTP/1.1 ");
        out.extend_from_slice(parts.status.as_str().as_bytes());
        out.push(b' ');
        out.extend_from_slice(parts.status.canonical_reason().unwrap_or_default().as_bytes());
        out.extend_from_slice(b"\r\n");
        let mut dated = bodiless;
        for (name, value) in &parts.headers {
            let skipped = *name == header::TRANSFER_ENCODING
                || (*name == header::CONTENT_LENGTH && !unsaid)
                || (*name == header::CONNECTION && !switches);
            if skipped {
                continue;
            }
            dated |= *name == header::DATE;
            push(out, name.as_str(), value.as_bytes());
        }
        match framing {
            Framing::Length(length) => push_length(out, length),
            Framing::Chunked => push(out, "transfer-encoding", b"chunked"),
            // What GET would have said.
            Framing::Nothing if asked.head_only && !parts.headers.contains_key(header::CONTENT_LENGTH) && !bodiless => {
                if let Some(length @ 1..) = body.size_hint().exact() {
                    push_length(out, length);
                }
            }
            Framing::Nothing | Framing::Close => {}
        }
        if !switches {
            match (asked.keeps, asked.old) {
                (false, _) => push(out, "connection", b"close"),
                (true, true) => push(out, "connection", b"keep-alive"),
                (true, false) => {}
            }
        }
        if !dated {
            out.extend_from_slice(b"date: ");
            date::push(out);
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b"\r\n");
        let state = if matches!(framing, Framing::Nothing) { State::Over } else { State::Going };
        Self { body, framing, state }
    }

    /// Writes what there is. Ready once nothing more will come; an error is the client's.
    pub(super) fn poll_send<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        stream: &RefCell<Stream<S>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Sent>> {
        loop {
            let mut waits = false;
            while matches!(self.state, State::Going) && !waits && stream.borrow_mut().out().len() < PART {
                // The body may read the client's request meanwhile, so the stream is not held here.
                match Pin::new(&mut self.body).poll_frame(cx) {
                    Poll::Ready(Some(Ok(frame))) => {
                        if let Ok(data) = frame.into_data() {
                            self.add(&data, stream.borrow_mut().out());
                        }
                    }
                    Poll::Ready(Some(Err(_))) => self.state = State::Broken,
                    Poll::Ready(None) => self.end(stream.borrow_mut().out()),
                    Poll::Pending => waits = true,
                }
            }
            let mut stream = stream.borrow_mut();
            match stream.poll_write(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
            match self.state {
                State::Over => return Poll::Ready(Ok(Sent::Whole)),
                State::Broken => return Poll::Ready(Ok(Sent::Last)),
                State::Going if waits => {
                    let left = stream.poll_left(cx);
                    return left.map(|()| Err(io::ErrorKind::ConnectionAborted.into()));
                }
                State::Going => {}
            }
        }
    }

    fn add(&mut self, data: &[u8], out: &mut Vec<u8>) {
        match &mut self.framing {
            _ if data.is_empty() => {}
            // Never past the length that was said: the rest would be read as another answer.
            Framing::Length(left) => match left.checked_sub(data.len() as u64) {
                Some(less) => {
                    *left = less;
                    out.extend_from_slice(data);
                    if less == 0 {
                        self.state = State::Over;
                    }
                }
                None => self.state = State::Broken,
            },
            Framing::Chunked => {
                push_hex(out, data.len());
                out.extend_from_slice(b"\r\n");
                out.extend_from_slice(data);
                out.extend_from_slice(b"\r\n");
            }
            Framing::Close => out.extend_from_slice(data),
            Framing::Nothing => {}
        }
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        self.state = match self.framing {
            Framing::Length(1..) => State::Broken,
            Framing::Chunked => {
                out.extend_from_slice(b"0\r\n\r\n");
                State::Over
            }
            Framing::Length(0) | Framing::Close | Framing::Nothing => State::Over,
        };
    }
}

fn says_close(headers: &HeaderMap) -> bool {
    headers.get(header::CONNECTION).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"close"))
}

fn push(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.reserve(name.len() + value.len() + 4);
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// A body's length (RFC 9110 section 8.6).
pub fn push_length(out: &mut Vec<u8>, length: u64) {
    use std::io::Write as _;
    // Writing into a Vec cannot fail.
    let _ = write!(out, "content-length: {length}\r\n");
}

/// A chunk's size (RFC 9112 section 7.1).
pub fn push_hex(out: &mut Vec<u8>, size: usize) {
    use std::io::Write as _;
    let _ = write!(out, "{size:x}");
}
