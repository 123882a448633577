//! A connection of HTTP/1.1 to an upstream.
//!
//! Owns the exchange: one request out, one answer in, both under way at the same time where the upstream answers
//! early. Whoever waits for the answer drives it; there is no task to wake. Never lends a connection to two requests,
//! and never keeps one whose last answer was not read to an end that is beyond doubt.
//!
//! An upstream may answer an upload before its end and close. A write then fails while the answer waits to be read:
//! the rest of the upload is dropped, and reading goes on to the answer's end.

use std::{
    future::poll_fn,
    io,
    rc::{Rc, Weak},
    task::{Context, Poll, Waker, ready},
};

use bytes::BytesMut;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::time::Instant;

use super::{
    answer::{Answer, Coming},
    body::{IDLE, Through},
    exchange::{Head, read_head},
    kept::{Failure, Io, Kept},
    upload::{Unsent, Upload},
};
use crate::http::{inbox::Inbox, timer::Timer};

/// Interim answers before the real one (RFC 9110 section 15.2).
const MOST_INTERIM: u8 = 8;

/// A connection of HTTP/1.1.
pub(super) struct Link {
    /// On the heap: a TLS session is a kilobyte, and a connection moves from hand to hand.
    io: Box<TokioIo<Io>>,
    /// What has come and was not used yet.
    inbox: Inbox,
    /// The upstream took no more of a request.
    deaf: bool,
    silence: Timer,
    /// When it was used last.
    pub(super) since: Instant,
}

impl Link {
    /// A connection that nobody has used yet.
    pub(super) fn new(io: Io) -> Self {
        Self {
            io: Box::new(TokioIo::new(io)),
            inbox: Inbox::default(),
            deaf: false,
            silence: Timer::default(),
            since: Instant::now(),
        }
    }

    /// Whether it can take a request: nothing came, and the upstream has not closed it.
    pub(super) fn is_usable(&mut self) -> bool {
        self.poll_fill(&mut Context::from_waker(Waker::noop())).is_pending() && self.inbox.bytes.is_empty()
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
        let coming = Coming::new(self, Rc::downgrade(home), upload, framing, keeps);
        let answer = coming.begun().ok_or(Failure::Broken)?;
        Ok(response.map(|()| answer))
    }

    /// What has come and was not used yet.
    pub(super) fn buffer(&mut self) -> &mut BytesMut {
        &mut self.inbox.bytes
    }

    /// Writes as much of the request as goes; an upload that is over is taken away.
    pub(super) fn drive(&mut self, upload: &mut Option<Upload>, cx: &mut Context<'_>) -> Result<(), Abandoned> {
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
            match read_head(&mut self.inbox.bytes, method) {
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
    pub(super) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.inbox.poll_fill(&mut self.io, cx)
    }

    /// After a whole exchange: kept for the next one, where nothing speaks against it.
    pub(super) fn let_go(mut self, home: &Weak<Kept>) {
        if !self.deaf
            && self.inbox.bytes.is_empty()
            && let Some(home) = home.upgrade()
        {
            self.inbox.clear();
            home.put(self);
        }
    }
}

/// The client broke its upload off.
pub(super) struct Abandoned;

fn is_interim(head: &Head) -> bool {
    let status = head.response.status();
    status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, time::Duration};

    use http_body_util::BodyExt as _;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
        task::{LocalSet, spawn_local},
    };

    use super::*;
    use crate::gateway::upstream::Upstreams;

    /// Asks an upstream that says these pieces to each request, and closes where it is told to; what came of each
    /// of two requests, and over how many connections.
    async fn asked(pieces: &'static [&'static str], closes: bool) -> (Vec<Result<String, &'static str>>, usize) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let count = Rc::new(Cell::new(0));
        let counted = count.clone();
        spawn_local(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                counted.set(counted.get() + 1);
                spawn_local(async move {
                    let mut head = Vec::new();
                    while stream.read_buf(&mut head).await.unwrap_or(0) > 0 {
                        if !head.ends_with(b"\r\n\r\n") {
                            continue;
                        }
                        head.clear();
                        for piece in pieces {
                            let _ = stream.write_all(piece.as_bytes()).await;
                            // So that each is read by itself.
                            tokio::time::sleep(Duration::from_millis(5)).await;
                        }
                        if closes {
                            return;
                        }
                    }
                });
            }
        });
        let (upstreams, mut all) = (Upstreams::default(), Vec::new());
        for _ in 0..2 {
            let mut request = Request::new(Through::empty());
            *request.uri_mut() = format!("{address}/path").parse().unwrap();
            let answer = upstreams.get("t", &address, true, None).unwrap().send(request, false).await;
            all.push(match answer {
                Ok(answer) => match answer.into_body().collect().await {
                    Ok(body) => Ok(String::from_utf8(body.to_bytes().to_vec()).unwrap()),
                    Err(_) => Err("a body that is cut off"),
                },
                Err(Failure::Broken) => Err("no answer"),
                Err(_) => Err("something else"),
            });
        }
        (all, count.get())
    }

    #[tokio::test]
    async fn only_a_connection_beyond_doubt_is_used_again() {
        let test = async {
            for (pieces, closes, result, connections) in [
                (&["HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"][..], false, Ok("ok"), 1),
                (&["HTTP/1.1 200 OK\r\nconte", "nt-length: 2\r\n\r\no", "k"], false, Ok("ok"), 1),
                (&["HTTP/1.1 103 Early\r\nlink: x\r\n\r\n", "HTTP/1.1 204 No\r\n\r\n"], false, Ok(""), 1),
                (
                    &[
                        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
                        "1\r\no\r\n1\r",
                        "\nk\r\n0\r\nx: y\r\n\r\n",
                    ],
                    false,
                    Ok("ok"),
                    1,
                ),
                (&["HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok"], false, Ok("ok"), 2),
                (&["HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok"], false, Ok("ok"), 2),
                (&["HTTP/1.1 200 OK\r\n\r\n", "ok"], true, Ok("ok"), 2),
                // Another answer behind it, which nobody asked for.
                (
                    &["HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil"],
                    false,
                    Ok("ok"),
                    2,
                ),
                (&["HTTP/1.1 204 No\r\ncontent-length: 4\r\n\r\nevil"], false, Ok(""), 2),
                (&["HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok"], true, Err("a body that is cut off"), 2),
                (
                    &["HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", "2\r\nok\r\n"],
                    true,
                    Err("a body that is cut off"),
                    2,
                ),
                (
                    &["HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", "2\r\nok0\r\n\r\n"],
                    false,
                    Err("a body that is cut off"),
                    2,
                ),
                (
                    &["HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\nok"],
                    false,
                    Err("no answer"),
                    2,
                ),
                (&["HTTP/1.1 200 OK\r\ncontent-le"], true, Err("no answer"), 2),
                (&["HTTP/1.1 100 Continue\r\n\r\n"; 10], false, Err("no answer"), 2),
                (&[""], true, Err("no answer"), 2),
            ] {
                let expected = result.map(str::to_owned);
                assert_eq!(asked(pieces, closes).await, (vec![expected.clone(), expected], connections), "{pieces:?}");
            }
        };
        LocalSet::new().run_until(tokio::time::timeout(Duration::from_secs(60), test)).await.unwrap();
    }
}
