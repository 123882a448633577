//! A connection of HTTP/1.1 to an upstream, and the body of an answer that comes over it.
//!
//! Owns the polling: whoever waits for something of the connection drives it. What comes out of it is then polled
//! with no waker, because nothing but the driving can bring it. Never lends a connection to two requests.

use std::{
    future::Future,
    pin::Pin,
    rc::{Rc, Weak},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
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
    pub(super) driver: Driver,
    pub(super) silence: Timer,
    /// When it was used last.
    pub(super) since: Instant,
}

/// A connection's own work, and who is woken for it.
pub(super) struct Driver {
    /// `None` once it is over.
    connection: Option<Connection>,
    gate: Arc<Gate>,
    /// Through the gate.
    waker: Waker,
}

/// hyper wakes whoever drives a connection when a part of its answer is taken. The one that takes it here is the
/// one that drives, and looks by itself: without the gate each request would be polled once more for nothing.
struct Gate {
    to: Mutex<Waker>,
    shut: AtomicBool,
}

impl Wake for Gate {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.shut.load(Ordering::Relaxed) {
            self.to.lock().unwrap_or_else(PoisonError::into_inner).wake_by_ref();
        }
    }
}

impl Driver {
    fn new(connection: Connection) -> Self {
        let gate = Arc::new(Gate { to: Mutex::new(Waker::noop().clone()), shut: AtomicBool::new(false) });
        Self { connection: Some(connection), waker: gate.clone().into(), gate }
    }

    /// Lets the connection read and write; drops it when it is over, which settles what waits for it.
    pub(super) fn drive(&mut self, cx: &mut Context<'_>) {
        let Some(open) = &mut self.connection else { return };
        self.gate.to.lock().unwrap_or_else(PoisonError::into_inner).clone_from(cx.waker());
        if open.as_mut().poll(&mut Context::from_waker(&self.waker)).is_ready() {
            self.connection = None;
        }
    }

    /// Takes a part of the answer.
    fn take<T>(&self, take: impl FnOnce(&mut Context<'_>) -> T) -> T {
        self.gate.shut.store(true, Ordering::Relaxed);
        let taken = take(&mut Context::from_waker(Waker::noop()));
        self.gate.shut.store(false, Ordering::Relaxed);
        taken
    }

    /// The connection, for a task of its own.
    pub(super) fn into_connection(self) -> Option<Connection> {
        self.connection
    }
}

impl Link {
    /// A connection that nobody has used yet.
    pub(super) fn new(sender: http1::SendRequest<Through>, connection: Connection) -> Self {
        Self { sender, driver: Driver::new(connection), silence: Timer::default(), since: Instant::now() }
    }

    /// Looks at what has come, and tells whether it can take a request.
    pub(super) fn is_usable(&mut self) -> bool {
        self.driver.drive(&mut Context::from_waker(Waker::noop()));
        self.was_usable()
    }

    /// The same as of when it was driven last.
    pub(super) fn was_usable(&self) -> bool {
        self.driver.connection.is_some() && self.sender.is_ready()
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
        let body = &mut me.body;
        let mut polled = link.driver.take(|quiet| Pin::new(&mut *body).poll_frame(quiet));
        if polled.is_pending() {
            link.driver.drive(cx);
            polled = link.driver.take(|quiet| Pin::new(body).poll_frame(quiet));
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
