//! Bodies on their way through: streamed as they come, or collected whole under a bound.
//!
//! Owns the idle limits of both directions and the cut when a lease ends. Never buffers a streamed
//! body: one frame in, one frame out, so an event passes at once and a slow reader holds the sender.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::{
    api::problem::Code,
    error::Error,
    http::{head::Fault, request_body::RequestBody, timer::Timer},
    policy::bounds::{BodyError, MAX_BODY},
};

/// How long a body may stand still, in either direction: models think for minutes between events.
pub(super) const IDLE: Duration = Duration::from_secs(600);

/// A body that passes through, or one that hallpass holds whole.
pub(super) enum Through<I = RequestBody> {
    Whole(Option<Bytes>),
    Stream(Box<Stream<I>>),
}

/// A body that is passed on as it comes.
pub(super) struct Stream<I> {
    inner: I,
    idle: Timer,
    ended: CancellationToken,
    end: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
}

/// Why a body was cut off.
#[derive(Debug, thiserror::Error)]
pub(super) enum Cut {
    #[error("the body stood still for too long")]
    Idle,
    #[error("the lease has ended")]
    Ended,
    #[error("the other side broke off")]
    Broken,
}

impl<I: Body<Data = Bytes> + Unpin> Through<I> {
    pub(super) fn whole(bytes: Bytes) -> Self {
        Self::Whole(Some(bytes).filter(|bytes| !bytes.is_empty()))
    }

    pub(super) fn empty() -> Self {
        Self::Whole(None)
    }

    /// Passes a body on until `ended`.
    pub(super) fn stream(inner: I, ended: CancellationToken) -> Self {
        if inner.is_end_stream() {
            return Self::empty();
        }
        Self::Stream(Box::new(Stream { inner, idle: Timer::default(), ended, end: None }))
    }
}

impl<I: Body<Data = Bytes> + Unpin> Body for Through<I> {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        match self.get_mut() {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Stream(stream) => stream.poll(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_none(),
            Self::Stream(stream) => stream.inner.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Stream(stream) => stream.inner.size_hint(),
        }
    }
}

impl<I: Body<Data = Bytes> + Unpin> Stream<I> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        if self.ended.is_cancelled() {
            return Poll::Ready(Some(Err(Cut::Ended)));
        }
        loop {
            match Pin::new(&mut self.inner).poll_frame(cx) {
                Poll::Ready(frame) => {
                    self.idle.clear();
                    match frame {
                        // Trailers could carry what the headers may not.
                        Some(Ok(frame)) if !frame.is_data() => {}
                        Some(Ok(frame)) => return Poll::Ready(Some(Ok(frame))),
                        Some(Err(_)) => return Poll::Ready(Some(Err(Cut::Broken))),
                        None => return Poll::Ready(None),
                    }
                }
                Poll::Pending => {
                    let ended = &self.ended;
                    let end = self.end.get_or_insert_with(|| Box::pin(ended.clone().cancelled_owned()));
                    if end.as_mut().poll(cx).is_ready() {
                        return Poll::Ready(Some(Err(Cut::Ended)));
                    }
                    return self.idle.poll(cx, IDLE).map(|()| Some(Err(Cut::Idle)));
                }
            }
        }
    }
}

/// Reads a whole body of at most [`MAX_BODY`] bytes.
pub(super) async fn collect(mut body: RequestBody) -> Result<Bytes, Error> {
    let too_large = || refused(BodyError::TooLarge);
    if body.size_hint().lower() > MAX_BODY as u64 {
        return Err(too_large());
    }
    let mut whole = BytesMut::new();
    while let Some(frame) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let frame = frame.map_err(|fault: Fault| Error::from(fault))?;
        if let Some(data) = frame.data_ref() {
            if whole.len() + data.len() > MAX_BODY {
                return Err(too_large());
            }
            whole.extend_from_slice(data);
        }
    }
    Ok(whole.freeze())
}

/// Refuses bodies that are not plain JSON: another encoding would be read differently upstream.
pub(super) fn require_plain_json(headers: &http::HeaderMap) -> Result<(), Error> {
    let mut encodings = headers.get_all(http::header::CONTENT_ENCODING).iter();
    if let Some(encoding) = encodings.find(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Err(refused(BodyError::Encoded(
            String::from_utf8_lossy(encoding.as_bytes()).chars().take(40).collect(),
        )));
    }
    let mut types = headers.get_all(http::header::CONTENT_TYPE).iter();
    let (Some(one), None) = (types.next(), types.next()) else {
        return Err(refused(BodyError::Unclear("not exactly one Content-Type".into())));
    };
    let text = one.to_str().unwrap_or_default().to_ascii_lowercase();
    let mut parts = text.split(';').map(str::trim);
    let json =
        parts.next().is_some_and(|kind| kind == "application/json" || kind == "application/graphql-response+json");
    // UTF-7, UTF-16 and Shift_JIS would hide members from us. A reader that takes a space around the `=`, or the
    // `charset*` of RFC 2231, must find nothing else either.
    let plain = parts.all(|parameter| {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        !name.trim_start().starts_with("charset")
            || (name == "charset" && matches!(value.trim_matches('"'), "utf-8" | "utf8"))
    });
    if json && plain {
        Ok(())
    } else {
        Err(refused(BodyError::Unclear("its Content-Type is not application/json in UTF-8".into())))
    }
}

/// A body's refusal as the client sees it.
pub(super) fn refused(why: BodyError) -> Error {
    Error::new(Code::OutsideBounds, why.to_string())
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn only_plain_json_is_judged() {
        let judge = |pairs: &[(&'static str, &'static str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
            }
            require_plain_json(&headers).is_ok()
        };
        assert!(judge(&[("content-type", "application/json")]));
        assert!(judge(&[("content-type", "Application/JSON; charset=UTF-8"), ("content-encoding", "identity")]));
        assert!(!judge(&[]));
        assert!(!judge(&[("content-type", "text/plain")]));
        assert!(judge(&[("content-type", "application/json; charset=\"utf-8\"; v=2")]));
        for hidden in [
            "application/json; charset=utf-16",
            "application/json; charset =utf-7",
            "application/json; charset= utf-7",
            "application/json; charset*=us-ascii''utf-7",
            "application/json; charset*0=utf; charset*1=-7",
            "application/json; charset=utf-8; charset=utf-7",
            "application/json; x=\"; charset=utf-7\"",
            "application/json;charset",
        ] {
            assert!(!judge(&[("content-type", hidden)]), "{hidden}");
        }
        assert!(!judge(&[("content-type", "application/json"), ("content-type", "application/json")]));
        assert!(!judge(&[("content-type", "application/json"), ("content-encoding", "gzip")]));
    }
}
