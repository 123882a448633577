//! WebSocket upgrades (RFC 6455), forwarded over HTTP/1.1.
//!
//! Owns what counts as a proper upgrade request, and the copying after the 101. Every other upgrade
//! (h2c above all) is refused: behind one, nothing would be judged any more.

use http::{HeaderMap, HeaderValue, Method, Request, Response, header};
use http_body::Body;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use crate::{api::problem::Code, error::Error};

/// True for a WebSocket upgrade, false for an ordinary request; any other upgrade is an error.
pub(super) fn is_asked_for<T: Body>(request: &Request<T>) -> Result<bool, Error> {
    let headers = request.headers();
    if !headers.contains_key(header::UPGRADE) && !headers.contains_key("http2-settings") {
        return Ok(false);
    }
    let named =
        headers.get_all(header::CONNECTION).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    let connection = named.map(<[u8]>::trim_ascii).any(|word| word.eq_ignore_ascii_case(b"upgrade"));
    let one = |name: &str| {
        let mut values = headers.get_all(name).iter();
        values.next().filter(|_| values.next().is_none()).map(HeaderValue::as_bytes)
    };
    let proper = *request.method() == Method::GET
        && connection
        && request.body().is_end_stream()
        && one("upgrade").is_some_and(|value| value.eq_ignore_ascii_case(b"websocket"))
        && one("sec-websocket-key").is_some_and(|value| value.len() == 24)
        && one("sec-websocket-version") == Some(b"13")
        && !headers.contains_key("http2-settings");
    if proper {
        return Ok(true);
    }
    Err(Error::new(
        Code::BadRequest,
        "the gateway forwards no upgrade but a proper WebSocket one (RFC 6455 section 4.1)",
    )
    .hint("with curl, add --http1.1"))
}

/// Puts the two headers of this hop back that the filter took out.
pub(super) fn mark(headers: &mut HeaderMap) {
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
}

/// True when the upstream agreed to exactly that.
pub(super) fn is_agreed<T>(response: &Response<T>) -> bool {
    response.headers().get(header::UPGRADE).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

/// The upstream's side of a WebSocket, which the client's connection is to be joined to.
pub(super) struct Agreed {
    /// Its connection.
    pub(super) upstream: OnUpgrade,
    /// The end of the lease.
    pub(super) ended: CancellationToken,
}

/// Copies both ways until either side closes or the lease ends.
pub(super) async fn join<S: AsyncRead + AsyncWrite + Unpin>(mut client: S, Agreed { upstream, ended }: Agreed) {
    let copy = async {
        let mut upstream = TokioIo::new(upstream.await?);
        // How it ends is the two sides' own business; both are closed when this returns.
        let _ = tokio::io::copy_bidirectional(&mut client, &mut upstream).await;
        Ok::<_, hyper::Error>(())
    };
    tokio::select! {
        _ = copy => {}
        () = ended.cancelled() => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_a_websocket() {
        let judge = |method: &str, pairs: &[(&str, &str)]| {
            let mut request = Request::builder().method(method).uri("/x");
            for (name, value) in pairs {
                request = request.header(*name, *value);
            }
            is_asked_for(&request.body(crate::http::request_body::RequestBody::default()).unwrap()).ok()
        };
        let good = [
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "WebSocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ];
        assert_eq!(judge("GET", &good), Some(true));
        assert_eq!(judge("GET", &[]), Some(false));
        assert_eq!(judge("POST", &good), None);
        for skip in 0..good.len() {
            let part: Vec<_> =
                good.iter().enumerate().filter(|(index, _)| *index != skip).map(|(_, pair)| *pair).collect();
            assert_ne!(judge("GET", &part), Some(true));
        }
        assert_eq!(
            judge(
                "GET",
                &[("connection", "Upgrade, HTTP2-Settings"), ("upgrade", "h2c"), ("http2-settings", "AAMAAABk")]
            ),
            None
        );
        assert_eq!(judge("GET", &[("http2-settings", "AAMAAABk")]), None);
        assert_eq!(judge("GET", &[&good[..], &[("upgrade", "h2c")]].concat()), None);
    }
}
