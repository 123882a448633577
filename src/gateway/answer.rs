//! The body of an upstream's answer.
//!
//! Owns where a connection goes at a body's end: home, where nothing speaks against it, else nowhere.

use std::{
    future::poll_fn,
    pin::Pin,
    rc::Weak,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::{
    body::Cut,
    kept::Kept,
    link::Link,
    upload::Upload,
};
use crate::http::framed::{Framed, Piece};

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
    framing: Framed,
    keeps: bool,
    /// The piece after the last one that was given out.
    next: Option<Bytes>,
    /// The upstream says no more.
    closed: bool,
    fault: bool,
}

impl Coming {
    /// What comes over this connection, which goes `home` afterwards where it `keeps`; `upload` is what of the request
    /// is not sent yet.
    pub(super) fn new(link: Link, home: Weak<Kept>, upload: Option<Upload>, framing: Framed, keeps: bool) -> Self {
        Self { link: Some(link), home, upload, framing, keeps, next: None, closed: false, fault: false }
    }

    /// As an answer's body: whole where all of it is here already. `None` where its framing is at fault.
    pub(super) fn begun(mut self) -> Option<Answer> {
        self.look();
        match self {
            Self { fault: true, .. } => None,
            Self { link: None, next, .. } => Some(Answer::Whole(next)),
            coming => Some(Answer::Coming(Box::new(coming))),
        }
    }

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
        match self.framing.take(link.buffer(), self.closed) {
            Ok(Piece::Data(data)) => self.next = Some(data),
            Ok(Piece::Missing) => return,
            Ok(Piece::End) => return self.finish(),
            Err(_) => self.fault = true,
        }
        if matches!(self.framing, Framed::Length(0)) {
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
                Framed::Length(left) => {
                    SizeHint::with_exact(left + coming.next.as_ref().map_or(0, |bytes| bytes.len() as u64))
                }
                Framed::Chunked(_) | Framed::Close => SizeHint::default(),
            },
            Self::Task(incoming) => incoming.size_hint(),
        }
    }
}
