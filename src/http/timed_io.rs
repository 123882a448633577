//! stub
use std::{future::Future, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use crate::error::Error;

/// How much and how long a client may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// From a head's first byte to its last.
    pub head_time: Duration,
    /// Without a byte of a body that is being read.
    pub body_time: Duration,
    /// Without a request.
    pub idle_time: Duration,
    /// Without a byte of an answer being taken.
    pub write_time: Duration,
    /// The largest head, in bytes.
    pub max_head: usize,
    /// The most header lines.
    pub max_headers: usize,
    /// The largest body, in bytes; `None` for any size (it is streamed).
    pub max_body: Option<u64>,
}

/// Serves one connection. `handler` gets each request, or, for a head that could be read in two ways
/// or broke a limit, the error to answer with (the connection closes after it).
pub async fn serve_http1<S, H, F, B>(io: S, limits: Limits, handler: H, shutdown: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    H: Fn(Result<Request<Incoming>, Error>) -> F,
    F: Future<Output = Response<B>>,
    B: Body<Data = Bytes> + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let _ = (io, limits, handler, shutdown);
}
