//! A connection of HTTP/1.1 to an upstream, and the body of an answer that comes over it.
//!
//! Owns the polling: whoever waits for something of the connection drives it. What comes out of it is then polled
//! with no waker, because nothing but the driving can bring it. Never lends a connection to two requests.

use std::{
    future::Future,
    pin::Pin,
    rc::{Rc, Weak},
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::{body::Incoming, client::conn::http1};
use tokio::time::Instant;

use super::{body::Through, kept::Kept};
use crate::http::timer::Timer;

type Connection = Pin<Box<dyn Future<Output = hyper::Result<()>>>>;

/// A connection of HTTP/1.1.
pub(super) struct Link {
    pub(super) sender: http1::SendRequest<Through>,
    /// `None` once it is over.
    pub(super) connection: Option<Connection>,
    pub(super) silence: Timer,
    /// When it was used last.
    pub(super) since: Instant,
}

/// Lets a connection read and write; drops it when it is over, which settles what waits for it.
pub(super) fn drive(connection: &mut Option<Connection>, cx: &mut Context<'_>) {
    if let Some(open) = connection
        && open.as_mut().poll(cx).is_ready()
    {
        *connection = None;
    }
}

impl Link {
    /// A connection that nobody has used yet.
    pub(super) fn new(sender: http1::SendRequest<Through>, connection: Connection) -> Self {
        Self { sender, connection: Some(connection), silence: Timer::default(), since: Instant::now() }
    }

    /// Looks at what has come, and tells whether it can take a request.
    pub(super) fn is_usable(&mut self) -> bool {
        drive(&mut self.connection, &mut Context::from_waker(Waker::noop()));
        self.connection.is_some() && self.sender.is_ready()
    }
}

/// The body of an upstream's answer.
pub(super) struct Answer {
    body: Incoming,
    /// Its connection, where this body drives it, and where that goes afterwards.
    link: Option<(Link, Weak<Kept>)>,
}

impl Answer {
    /// Of this connection, which goes to `home` afterwards.
    pub(super) fn new(body: Incoming, link: Link, home: &Rc<Kept>) -> Self {
        let mut answer = Self { body, link: Some((link, Rc::downgrade(home))) };
        if answer.body.is_end_stream() {
            answer.let_go();
        }
        answer
    }

    /// Of a connection that is a task of its own.
    pub(super) fn of_task(body: Incoming) -> Self {
        Self { body, link: None }
    }

    /// Gives the connection back at the end.
    fn let_go(&mut self) {
        if let Some((link, home)) = self.link.take()
            && let Some(home) = home.upgrade()
        {
            home.put(link);
        }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let me = self.get_mut();
        let Some((link, _)) = &mut me.link else { return Pin::new(&mut me.body).poll_frame(cx) };
        let mut quiet = Context::from_waker(Waker::noop());
        let mut polled = Pin::new(&mut me.body).poll_frame(&mut quiet);
        if polled.is_pending() {
            drive(&mut link.connection, cx);
            polled = Pin::new(&mut me.body).poll_frame(&mut quiet);
        }
        if matches!(polled, Poll::Ready(None)) || me.body.is_end_stream() {
            me.let_go();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
