//! Kept connections to one upstream.
//!
//! Owns which connection a request goes over. One of HTTP/1.1 belongs to the request that uses it ([`Link`]); one of
//! HTTP/2 is shared, and is a task of its own; one that is to become a WebSocket is never kept. A request is sent a
//! second time only where not a byte of it was written.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::Duration,
};

use http::{HeaderValue, Request, Response, Uri, header};
use hyper::client::conn::{http1, http2};
use hyper_rustls::MaybeHttpsStream;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{net::TcpStream, time::Instant};
use tower_service::Service;

use super::{
    answer::Answer,
    body::{IDLE, Through},
    link::Link,
    upstream::Bounded,
};

/// How long a kept connection may stay unused.
const KEEP_TIME: Duration = Duration::from_secs(60);
/// How many are kept.
const MOST: usize = 64;
/// How often unused ones are looked at.
const LOOK: Duration = Duration::from_secs(1);

pub(super) type Io = MaybeHttpsStream<TokioIo<TcpStream>>;
type Sender2 = http2::SendRequest<Through>;

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// No connection.
    Connect(Box<dyn std::error::Error + Send + Sync>),
    /// The connection broke.
    Broken,
    /// Nothing came for [`IDLE`].
    Slow,
}

/// Runs what belongs to a connection of HTTP/2 on this thread.
#[derive(Clone, Copy)]
struct Local;

impl<F: Future<Output: 'static> + 'static> hyper::rt::Executor<F> for Local {
    fn execute(&self, task: F) {
        tokio::task::spawn_local(task);
    }
}

/// The connections to one upstream, under one key.
pub(super) struct Kept {
    connector: Bounded,
    base: Uri,
    host: HeaderValue,
    unused: RefCell<Vec<Link>>,
    shared: RefCell<Option<(Sender2, Instant)>>,
    looked_after: Cell<bool>,
}

enum Opened {
    One(Link),
    Shared(Sender2),
}

impl Kept {
    /// For this upstream: scheme and authority of `base` count.
    pub(super) fn new(connector: Bounded, base: Uri) -> Option<Rc<Self>> {
        let host = HeaderValue::from_str(base.authority()?.as_str()).ok()?;
        Some(Rc::new(Self {
            connector,
            base,
            host,
            unused: RefCell::default(),
            shared: RefCell::default(),
            looked_after: Cell::new(false),
        }))
    }

    /// Sends a request and waits for the head of its answer.
    pub(super) async fn send(self: &Rc<Self>, mut request: Request<Through>) -> Result<Response<Answer>, Failure> {
        loop {
            let (opened, fresh) = match self.take() {
                Some(opened) => (opened, false),
                // Boxed, as what is rare below: every request would carry its size around.
                None => (Box::pin(self.open()).await?, true),
            };
            let sender = match opened {
                Opened::One(link) => return link.exchange(request, &self.host, self).await,
                Opened::Shared(sender) => sender,
            };
            match Box::pin(self.send_shared(sender, request)).await {
                // It was closed while nobody used it.
                Err((_, Some(back))) if !fresh => request = back,
                other => return other.map_err(|(failure, _)| failure),
            }
        }
    }

    /// Sends a request that asks to leave HTTP, over a connection of its own.
    pub(super) async fn upgrade(&self, mut request: Request<Through>) -> Result<Response<Answer>, Failure> {
        let io = self.connector.clone().call(self.base.clone()).await.map_err(Failure::Connect)?;
        let builder = http1::Builder::new().writev(false).clone();
        let (mut sender, connection) = builder.handshake(io).await.map_err(|_| Failure::Broken)?;
        tokio::task::spawn_local(connection.with_upgrades());
        let path = std::mem::take(request.uri_mut()).into_parts().path_and_query;
        *request.uri_mut() = path.map_or_else(Uri::default, Uri::from);
        request.headers_mut().insert(header::HOST, self.host.clone());
        match tokio::time::timeout(IDLE, sender.send_request(request)).await {
            Ok(answered) => answered.map(|response| response.map(Answer::Task)).map_err(|_| Failure::Broken),
            Err(_) => Err(Failure::Slow),
        }
    }

    async fn send_shared(&self, mut sender: Sender2, mut request: Request<Through>) -> Sent {
        request.headers_mut().remove(header::HOST);
        let mut parts = self.base.clone().into_parts();
        parts.path_and_query = std::mem::take(request.uri_mut()).into_parts().path_and_query;
        *request.uri_mut() = Uri::from_parts(parts).map_err(|_| (Failure::Broken, None))?;
        match tokio::time::timeout(IDLE, sender.try_send_request(request)).await {
            Ok(answered) => answered
                .map(|response| response.map(Answer::Task))
                // The request comes back where not a byte of it was written.
                .map_err(|mut error| (Failure::Broken, error.take_message())),
            Err(_) => Err((Failure::Slow, None)),
        }
    }

    fn take(&self) -> Option<Opened> {
        if let Some((sender, since)) = &mut *self.shared.borrow_mut()
            && !sender.is_closed()
        {
            *since = Instant::now();
            return Some(Opened::Shared(sender.clone()));
        }
        loop {
            let mut link = self.unused.borrow_mut().pop()?;
            if link.is_usable() {
                return Some(Opened::One(link));
            }
        }
    }

    async fn open(self: &Rc<Self>) -> Result<Opened, Failure> {
        let io = self.connector.clone().call(self.base.clone()).await.map_err(Failure::Connect)?;
        if speaks_http2(&io) {
            let mut builder = http2::Builder::new(Local);
            builder.timer(TokioTimer::new());
            let (sender, connection) = builder.handshake(io).await.map_err(|_| Failure::Broken)?;
            tokio::task::spawn_local(connection);
            *self.shared.borrow_mut() = Some((sender.clone(), Instant::now()));
            self.look_after();
            return Ok(Opened::Shared(sender));
        }
        Ok(Opened::One(Link::new(io)))
    }

    #[cfg(test)]
    pub(super) fn has_unused(&self) -> bool {
        !self.unused.borrow().is_empty()
    }

    /// Keeps a connection whose answer was read to its end.
    pub(super) fn put(self: &Rc<Self>, mut link: Link) {
        if self.unused.borrow().len() < MOST {
            link.since = Instant::now();
            self.unused.borrow_mut().push(link);
            self.look_after();
        }
    }

    /// Closes connections that were not used for long, or whose upstream has closed them.
    fn look_after(self: &Rc<Self>) {
        if self.looked_after.replace(true) {
            return;
        }
        let kept = Rc::downgrade(self);
        tokio::task::spawn_local(async move {
            loop {
                tokio::time::sleep(LOOK).await;
                let Some(kept) = kept.upgrade() else { return };
                let old = |since: &Instant| since.elapsed() >= KEEP_TIME;
                kept.unused.borrow_mut().retain_mut(|link| !old(&link.since) && link.is_usable());
                kept.shared.borrow_mut().take_if(|(sender, since)| sender.is_closed() || old(since));
                if kept.unused.borrow().is_empty() && kept.shared.borrow().is_none() {
                    kept.looked_after.set(false);
                    return;
                }
            }
        });
    }
}

/// What TLS has agreed on; asked of the stream alone, where hyper-util's `connected` also asks the kernel for both
/// addresses.
fn speaks_http2(io: &Io) -> bool {
    match io {
        MaybeHttpsStream::Http(_) => false,
        MaybeHttpsStream::Https(tls) => tls.inner().get_ref().1.alpn_protocol() == Some(b"h2"),
    }
}

type Sent = Result<Response<Answer>, (Failure, Option<Request<Through>>)>;

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
        task::LocalSet,
    };

    use super::*;
    use crate::gateway::upstream::Upstreams;

    const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

    const HALF: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\no";

    /// An upstream that answers `each` requests on a connection and then closes it; tells how many it had.
    async fn upstream(each: usize) -> (String, Rc<Cell<usize>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let count = Rc::new(Cell::new(0));
        let counted = count.clone();
        tokio::task::spawn_local(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                counted.set(counted.get() + 1);
                tokio::task::spawn_local(async move {
                    for _ in 0..each {
                        let mut head = Vec::new();
                        while !head.ends_with(b"\r\n\r\n") {
                            if stream.read_buf(&mut head).await.unwrap_or(0) == 0 {
                                return;
                            }
                        }
                        let half = head.windows(5).any(|five| five == b"/half");
                        let _ = stream.write_all(if half { HALF } else { ANSWER }).await;
                    }
                });
            }
        });
        (address, count)
    }

    async fn ask(address: &str, upstreams: &Upstreams) -> Response<Answer> {
        ask_for("path", address, upstreams).await
    }

    async fn ask_for(path: &str, address: &str, upstreams: &Upstreams) -> Response<Answer> {
        let mut request = Request::new(Through::empty());
        *request.uri_mut() = format!("{address}/{path}").parse().unwrap();
        upstreams.get("t", address, true, None).unwrap().send(request, false).await.unwrap()
    }

    #[tokio::test]
    async fn one_connection_serves_one_request_after_the_other() {
        let test = async {
            let ((address, count), upstreams) = (upstream(100).await, Upstreams::default());
            for _ in 0..5 {
                assert_eq!(ask(&address, &upstreams).await.into_body().collect().await.unwrap().to_bytes(), "ok");
            }
            assert_eq!(count.get(), 1);
            // Nobody read it, but it came whole: nothing of it can meet the next request.
            drop(ask(&address, &upstreams).await);
            assert_eq!(ask(&address, &upstreams).await.into_body().collect().await.unwrap().to_bytes(), "ok");
            assert_eq!(count.get(), 1);
            // This one's rest could: neither while it is waited for nor afterwards may its connection serve another.
            let half = ask_for("half", &address, &upstreams).await;
            assert_eq!(ask(&address, &upstreams).await.into_body().collect().await.unwrap().to_bytes(), "ok");
            assert_eq!(count.get(), 2);
            drop(half);
            assert_eq!(ask(&address, &upstreams).await.into_body().collect().await.unwrap().to_bytes(), "ok");
            assert_eq!(count.get(), 2);
        };
        LocalSet::new().run_until(tokio::time::timeout(Duration::from_secs(20), test)).await.unwrap();
    }

    #[tokio::test]
    async fn what_the_upstream_closed_is_not_used_again() {
        let test = async {
            let ((address, count), upstreams) = (upstream(1).await, Upstreams::default());
            for turn in 1..=3 {
                let answer = ask(&address, &upstreams).await.into_body().collect().await.unwrap();
                assert_eq!(answer.to_bytes(), "ok");
                assert_eq!(count.get(), turn);
                // Until the end of the stream was seen, which the connection's keeper looks for too.
                let upstream = upstreams.get("t", &address, true, None).unwrap();
                while upstream.has_unused() {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
        };
        LocalSet::new().run_until(tokio::time::timeout(Duration::from_secs(20), test)).await.unwrap();
    }
}
