//! One connection of HTTP/1.1, for the API socket and the gateway alike.
//!
//! Owns the order: a head, its answer, the next head. There is no task and no parser in between: whoever handles a
//! request reads its body straight off the connection, and is dropped with the client that leaves.

use std::{
    cell::RefCell,
    future::{Future, poll_fn},
    pin::pin,
    rc::Rc,
    task::Poll,
    time::Duration,
};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body::Body;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

pub use super::stream::Raw;
use super::{
    reply::{Asked, Reply, Sent},
    request_body::RequestBody,
    stream::{Heard, Stream},
};
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
    /// The most header lines.
    pub max_headers: usize,
    /// The largest body, in bytes; `None` for any size (it is streamed).
    pub max_body: Option<u64>,
}

/// Serves one connection until it closes. `handler` gets each request, or, for a head that could be read in two ways
/// or broke a limit, the error to answer with (the connection closes after it).
///
/// Dropped with the connection: the handler's future and the answer's body, so a client that leaves
/// cancels what was done for it. When `shutdown` is cancelled the answer under way is finished and the
/// connection closes. After an answer with status 101, and only then, it gives the connection back.
pub async fn serve_http1<S, H, F, B>(
    io: S,
    limits: Limits,
    handler: H,
    shutdown: CancellationToken,
) -> Option<Raw<S>>
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
    H: Fn(Result<Request<RequestBody>, Error>) -> F,
    F: Future<Output = Response<B>>,
    B: Body<Data = Bytes> + Unpin,
{
    let stream = Rc::new(RefCell::new(Stream::new(io, limits)));
    loop {
        let begun = tokio::select! {
            begun = poll_fn(|cx| stream.borrow_mut().poll_begin(cx)) => begun,
            () = shutdown.cancelled() => false,
        };
        if !begun {
            return None;
        }
        // Boxed: what handles a request would otherwise count for connections that say nothing.
        match Box::pin(converse(&stream, &handler, &shutdown)).await {
            Then::Rest => {}
            Then::Over => return None,
            Then::Leave => return Some(Raw(stream)),
        }
    }
}

/// What becomes of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    /// It says nothing for the moment, and nothing is under way.
    Rest,
    /// It is over.
    Over,
    /// It leaves HTTP.
    Leave,
}

/// Serves requests until the connection is over, or rests.
async fn converse<S, H, F, B>(stream: &Rc<RefCell<Stream<S>>>, handler: &H, shutdown: &CancellationToken) -> Then
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
    H: Fn(Result<Request<RequestBody>, Error>) -> F,
    F: Future<Output = Response<B>>,
    B: Body<Data = Bytes> + Unpin,
{
    let mut stop = pin!(shutdown.cancelled());
    loop {
        let heard = poll_fn(|cx| match stream.borrow_mut().poll_head(cx) {
            Poll::Pending => stop.as_mut().poll(cx).map(|()| Heard::End),
            heard => heard,
        })
        .await;
        let mut asked = Asked { head_only: false, old: false, keeps: false };
        let request = match heard {
            Heard::Silence => return Then::Rest,
            Heard::End => return Then::Over,
            Heard::Fault(fault) => Err(Error::from(fault)),
            Heard::Head(request, head) => {
                asked = Asked { head_only: *request.method() == Method::HEAD, old: head.old, keeps: head.keeps };
                let body = stream.borrow().body().map(|turn| RequestBody::new(Rc::clone(stream) as _, turn));
                Ok(request.map(|()| body.unwrap_or_default()))
            }
        };
        let refused = request.is_err();
        let response = {
            let mut answer = pin!(handler(request));
            poll_fn(|cx| match answer.as_mut().poll(cx) {
                Poll::Pending => stream.borrow_mut().poll_left(cx).map(|()| None),
                Poll::Ready(response) => Poll::Ready(Some(response)),
            })
            .await
        };
        // A client that leaves takes its request with it.
        let Some(response) = response else { return Then::Over };
        let leaves = response.status() == StatusCode::SWITCHING_PROTOCOLS;
        let mut reply = {
            let mut stream = stream.borrow_mut();
            // A body that nobody will read is in the way of the next head, unless all of it is here.
            let in_the_way = !stream.is_body_held() && !stream.skip_body();
            asked.keeps &= !in_the_way && !shutdown.is_cancelled();
            Reply::begin(response, &mut asked, stream.out())
        };
        let sent = poll_fn(|cx| reply.poll_send(stream, cx)).await;
        // Its body may be the one that reads the request's.
        drop(reply);
        match sent {
            // It left, or takes nothing more.
            Err(_) => return Then::Over,
            Ok(Sent::Whole) if leaves => return Then::Leave,
            Ok(Sent::Whole) if asked.keeps && poll_fn(|cx| stream.borrow_mut().poll_next(cx)).await => {}
            Ok(Sent::Whole | Sent::Last) => {
                let may_write = refused || stream.borrow().body().is_some();
                poll_fn(|cx| stream.borrow_mut().poll_close(cx, may_write)).await;
                return Then::Over;
            }
        }
    }
}

#[cfg(test)]
mod tests;
