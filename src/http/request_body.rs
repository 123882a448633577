//! The body of a client's request, read off its connection as it is asked for.
//!
//! Owns nothing of the bytes: whoever asks gets the next piece of what the connection has. Trailers are dropped.

use std::{
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::head::Fault;

/// A connection, as far as the body of its request number `turn` is read off it. Of any other request it gives
/// nothing.
pub(super) trait Source {
    /// The next piece.
    fn poll_data(&self, turn: u64, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Fault>>>;
    /// How many bytes are to come, where that is known.
    fn left(&self, turn: u64) -> Option<u64>;
    /// Nobody will ask any more.
    fn let_go(&self, turn: u64);
    /// Why the body broke off.
    fn fault(&self, turn: u64) -> Option<Fault>;
}

/// The body of a request.
#[derive(Default)]
pub struct RequestBody(Option<(Rc<dyn Source>, u64)>);

/// Why a request's body broke off, for whoever has given the body away.
#[derive(Default)]
pub struct Blame(Option<(Rc<dyn Source>, u64)>);

impl RequestBody {
    pub(super) fn new(source: Rc<dyn Source>, turn: u64) -> Self {
        Self(Some((source, turn)))
    }

    /// Remains when the body is given away.
    pub fn blame(&self) -> Blame {
        Blame(self.0.clone())
    }
}

impl Blame {
    /// What the client did wrong, if anything.
    pub fn fault(&self) -> Option<Fault> {
        let (source, turn) = self.0.as_ref()?;
        source.fault(*turn)
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        let Some((source, turn)) = &self.0 else { return Poll::Ready(None) };
        let polled = source.poll_data(*turn, cx);
        if matches!(polled, Poll::Ready(None)) {
            self.0 = None;
        }
        polled.map_ok(Frame::data)
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(|(source, turn)| source.left(*turn) == Some(0))
    }

    fn size_hint(&self) -> SizeHint {
        match self.0.as_ref().map_or(Some(0), |(source, turn)| source.left(*turn)) {
            Some(left) => SizeHint::with_exact(left),
            None => SizeHint::default(),
        }
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        if let Some((source, turn)) = &self.0 {
            source.let_go(*turn);
        }
    }
}
