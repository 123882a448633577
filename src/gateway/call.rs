//! One request to an issuer's own API, over the same guarded way to the upstreams as every other.
//!
//! Owns nothing of what is asked; it follows no redirect, and its connection is used for nothing else.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Limited};

use super::{Backend, Gateway, body::Through, kept::Failure, upstream};
use crate::{api::problem::Code, error::Error};

/// The whole of it; a person waits for it.
const TIME: Duration = Duration::from_secs(30);
/// The most of an answer that is read, in bytes.
const MAX_ANSWER: usize = 64 * 1024;

impl<B: Backend> Gateway<B> {
    /// Sends the request, whose URI is a path below `base_url`; the answer. `name` keeps its
    /// connections apart from all others.
    ///
    /// # Errors
    /// The base URL is not allowed; it cannot be reached, or gave no answer in time. Whether the request was
    /// carried out is then not known.
    pub async fn call(
        &self,
        name: &str,
        base_url: &str,
        allow_private: bool,
        request: Request<Bytes>,
    ) -> Result<Response<Bytes>, Error> {
        let upstream = self.upstreams.get(name, base_url, allow_private, self.backend.port())?;
        self.upstreams.forget(name);
        let (mut parts, body) = request.into_parts();
        parts.uri = upstream.base.join(parts.uri.path(), parts.uri.query().map(str::as_bytes))?;
        let host = upstream.base.authority.host();
        let exchange = async {
            let request = Request::from_parts(parts, Through::whole(body));
            let answer = upstream.send(request, false).await.map_err(|failure| match failure {
                Failure::Slow => Error::new(Code::UpstreamTimeout, format!("{host} gave no answer")),
                Failure::Broken => Error::new(Code::UpstreamUnreachable, format!("{host} closed the connection")),
                Failure::Connect(error) => upstream::failure(&*error, host),
            })?;
            let (parts, body) = answer.into_parts();
            // An answer that is too long or breaks off says no more than its head.
            let body = Limited::new(body, MAX_ANSWER).collect().await;
            Ok(Response::from_parts(parts, body.map(http_body_util::Collected::to_bytes).unwrap_or_default()))
        };
        let late = |_| Error::new(Code::UpstreamTimeout, format!("{host} gave no answer within 30 seconds"));
        tokio::time::timeout(TIME, exchange).await.map_err(late)?
    }
}
