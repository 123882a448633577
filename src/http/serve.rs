//! One connection through hyper, for the API socket and the gateway alike.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body::{Body, Frame, SizeHint};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use super::timed_io::{Shared, TimedIo};
use crate::error::Error;

/// How much and how long a client may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// From a head's first byte to its last.
    pub head_time: Duration,
    /// Without a byte of a body that is being waited for.
    pub body_time: Duration,
    /// Without a request.
    pub idle_time: Duration,
    /// Without a byte of an answer being taken.
    pub write_time: Duration,
    /// The largest head, in bytes.
    pub max_head: usize,
    /// The most header lines; at most 100, which is hyper's own limit.
    pub max_headers: usize,
    /// The largest body, in bytes; `None` for any size (it is streamed).
    pub max_body: Option<u64>,
}

/// Serves one connection until it closes. `handler` gets each request, or, for a head that could be
/// read in two ways or broke a limit, the error to answer with (the connection closes after it).
///
/// Dropped with the connection: the handler's future and the answer's body, so a client that leaves
/// cancels what was done for it. When `shutdown` is cancelled the answer under way is finished and the
/// connection closes. An answer with status 101 leaves HTTP; `hyper::upgrade::on` gives the stream.
pub async fn serve_http1<S, H, F, B>(io: S, limits: Limits, handler: H, shutdown: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    H: Fn(Result<Request<Incoming>, Error>) -> F,
    F: Future<Output = Response<B>>,
    B: Body<Data = Bytes> + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let shared = Arc::new(Shared::default());
    let mut io = TimedIo::new(io, limits, shared.clone());
    loop {
        let begun = tokio::select! {
            begun = io.first_bytes() => begun,
            () = shutdown.cancelled() => false,
        };
        if !begun {
            return;
        }
        // Boxed: hyper's state and buffers would otherwise count for connections that say nothing.
        let rested = Box::pin(converse(io, shared.clone(), &handler, &shutdown)).await;
        let Some(rested) = rested else { return };
        io = rested;
    }
}

/// Serves requests until the connection is over, or rests; then gives the stream back.
async fn converse<S, H, F, B>(
    io: TimedIo<S>,
    shared: Arc<Shared>,
    handler: &H,
    shutdown: &CancellationToken,
) -> Option<TimedIo<S>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    H: Fn(Result<Request<Incoming>, Error>) -> F,
    F: Future<Output = Response<B>>,
    B: Body<Data = Bytes> + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let service = service_fn(|request| {
        let verdict = shared.next_verdict();
        let (leaves, asked) = match verdict {
            Some(Ok(leaves)) => (leaves, Ok(request)),
            Some(Err(fault)) => (true, Err(fault.into())),
            None => (true, Err(Error::internal("a request came that was not inspected"))),
        };
        // Boxed: hyper moves what it gets about, and this is large.
        let answer = Box::pin(handler(asked));
        let shared = shared.clone();
        async move {
            let mut response = answer.await;
            if response.status() == StatusCode::SWITCHING_PROTOCOLS {
                shared.leave_http();
            } else if leaves {
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(response.map(|body| Tracked { body, shared }))
        }
    });
    let mut builder = http1::Builder::new();
    // One piece: for heads and answers of this size the kernel takes longer over a list of pieces than a copy takes.
    builder.header_read_timeout(None).half_close(false).keep_alive(true).writev(false);
    let mut connection = builder.serve_connection(TokioIo::new(io), service).with_upgrades();
    // The error is the client's: it left, or was too slow. Requests are on record by themselves.
    tokio::select! {
        biased;
        _ = &mut connection => {}
        () = shutdown.cancelled() => {
            Pin::new(&mut connection).graceful_shutdown();
            let _ = connection.await;
            return None;
        }
    }
    let parts = connection.into_parts().filter(|_| shared.take_rest())?;
    Some(parts.io.into_inner())
}

/// An answer's body that tells the stream when it is done.
struct Tracked<B> {
    body: B,
    shared: Arc<Shared>,
}

impl<B> Drop for Tracked<B> {
    fn drop(&mut self) {
        self.shared.answered();
    }
}

impl<B: Body + Unpin> Body for Tracked<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::Full;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

    use super::*;

    const LIMITS: Limits = Limits {
        head_time: Duration::from_secs(20),
        body_time: Duration::from_secs(20),
        idle_time: Duration::from_secs(20),
        write_time: Duration::from_secs(20),
        max_head: 4096,
        max_headers: 10,
        max_body: None,
    };

    async fn answer(request: Result<Request<Incoming>, Error>) -> Response<Full<Bytes>> {
        Response::new(Full::new(Bytes::from(request.unwrap().uri().path().to_owned())))
    }

    async fn ask(client: &mut DuplexStream, paths: &[&str]) {
        let text: String = paths.iter().map(|path| format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")).collect();
        client.write_all(text.as_bytes()).await.unwrap();
    }

    async fn answers(client: &mut DuplexStream, last: &str) -> String {
        let mut text = Vec::new();
        while !text.ends_with(last.as_bytes()) {
            assert!(client.read_buf(&mut text).await.unwrap() > 0);
        }
        String::from_utf8(text).unwrap()
    }

    #[tokio::test]
    async fn a_silent_connection_rests_and_goes_on() {
        let (mut client, far) = tokio::io::duplex(4096);
        let (shared, shutdown) = (Arc::new(Shared::default()), CancellationToken::new());
        let mut io = TimedIo::new(far, LIMITS, shared.clone());
        let all = async {
            for turn in ["/one", "/two", "/three"] {
                // Two at once: the second waits in the stream's buffer while the first is answered.
                ask(&mut client, &["/first", turn]).await;
                assert!(io.first_bytes().await);
                let served = converse(io, shared.clone(), &answer, &shutdown);
                let (rested, text) = tokio::join!(served, answers(&mut client, turn));
                assert_eq!(text.matches("200 OK").count(), 2);
                io = rested.unwrap();
            }
            drop(client);
            assert!(!io.first_bytes().await);
        };
        tokio::time::timeout(Duration::from_secs(20), all).await.unwrap();
    }

    #[tokio::test]
    async fn no_request_is_lost_whenever_it_comes() {
        let (mut client, far) = tokio::io::duplex(4096);
        let served = serve_http1(far, LIMITS, answer, CancellationToken::new());
        let asked = async {
            // Around the moment at which the connection begins to rest.
            for turn in 0..60 {
                let path = format!("/{turn}");
                ask(&mut client, &[&path]).await;
                assert!(answers(&mut client, &path).await.contains("200 OK"));
                tokio::time::sleep(Duration::from_micros(9_000 + turn * 50)).await;
            }
            drop(client);
        };
        let both = async { tokio::join!(served, asked) };
        tokio::time::timeout(Duration::from_secs(20), both).await.unwrap();
    }
}
