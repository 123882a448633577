//! A request on its way to an upstream, over HTTP/1.1.
//!
//! Owns what is written: the head once, and exactly the body that it announced. Holds no more than a part of a body.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::{HeaderValue, Request};
use http_body::Body as _;
use tokio::io::AsyncWrite;
use zeroize::Zeroizing;

use super::{body::Through, exchange::write_head};
use crate::http::reply::push_hex;

/// As much is put together before it is written.
const PART: usize = 64 * 1024;

/// A request on its way out.
pub(super) struct Upload {
    body: Through,
    /// So many bytes of it are to come; in chunks where that is not known.
    left: Option<u64>,
    ended: bool,
    /// What is to be written; the first of it holds the key.
    bytes: Zeroizing<Vec<u8>>,
    written: usize,
}

/// About as much as a head takes, and a short body with it: what is set aside is wiped, byte by byte.
fn room(request: &Request<Through>, left: Option<u64>) -> usize {
    let lines: usize = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    let target = request.uri().path_and_query().map_or(1, |target| target.as_str().len());
    let body = left.and_then(|left| usize::try_from(left).ok()).filter(|left| *left < 4096).unwrap_or_default();
    96 + target + lines + body
}

/// Who is to blame for an upload that ends early.
pub(super) enum Unsent {
    /// The upstream takes no more.
    Upstream,
    /// Its body broke off, or is not as long as was said.
    Client,
}

impl Upload {
    /// This request, none of it sent yet.
    pub(super) fn new(request: Request<Through>, host: &HeaderValue) -> Self {
        let left = request.body().size_hint().exact();
        let mut bytes = Vec::with_capacity(room(&request, left));
        write_head(&request, host, left, &mut bytes);
        let body = request.into_body();
        let ended = left == Some(0) && body.is_end_stream();
        Self { ended, body, left, bytes: Zeroizing::new(bytes), written: 0 }
    }

    /// Writes what goes; ready once all of it is written, or no more will be.
    pub(super) fn poll_send<S: AsyncWrite + Unpin>(
        &mut self,
        io: &mut S,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Unsent>> {
        loop {
            let mut waits = false;
            // A body that is here already goes with the head, in one write.
            while !self.ended && !waits && self.bytes.len() < PART {
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
                push_hex(&mut self.bytes, data.len());
                self.bytes.extend_from_slice(b"\r\n");
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
