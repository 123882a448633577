//! Helpers that are asked over HTTP, below a part of the path that no route can take.
//!
//! Owns the way from such a request to what the daemon is asked, and the answer in the tool's own shape, refusals
//! included. The guard has let the request through before. Nothing here goes to an upstream.

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use zeroize::Zeroizing;

use super::{
    Backend,
    answer::Answer,
    body::Through,
    canonical::{CanonicalTarget, decode_form, pairs},
    catalogue::Auth,
    headers::ERROR_HEADER,
    token_place::{self, Presented},
};
use crate::{
    api::problem::Code,
    error::Error,
    helper::endpoint::{Endpoint, Given, RESERVED, of_tool},
    token::TokenHash,
};

/// Whether the path is one of these, whatever else is said in it.
pub(super) fn is_one(target: &CanonicalTarget) -> bool {
    target.segment(0).is_some_and(|first| first == RESERVED)
}

/// The endpoint that the path names.
pub(super) fn find(target: &CanonicalTarget) -> Result<&'static Endpoint, Error> {
    let tool = target.segment(1).unwrap_or_default();
    of_tool(&tool).ok_or_else(|| {
        let tools: Vec<&str> = crate::helper::endpoint::all().iter().map(|one| one.tool.as_str()).collect();
        Error::new(Code::NotFound, "no helper is asked at this address")
            .hint(format!("there are addresses for: {}", tools.join(", ")))
    })
}

/// Whose token came, and what it gets.
pub(super) async fn serve<B: Backend, T>(
    backend: &B,
    peer: Option<&B::Peer>,
    endpoint: &Endpoint,
    request: &Request<T>,
    target: &CanonicalTarget,
    token: &mut Option<TokenHash>,
) -> Result<Zeroizing<String>, Error> {
    if request.method() != Method::GET {
        return Err(Error::new(Code::MethodNotAllowed, "a helper's address is asked with GET"));
    }
    let own = Auth::Header { name: endpoint.header.clone(), prefix: String::new() };
    let presented = token_place::find(request.headers(), None, &own, &mut |text| backend.unknown(text, peer))?;
    let Presented::Token(hash) = presented else {
        let name = &endpoint.header;
        return Err(Error::new(Code::TokenMissing, format!("no hallpass token came in the header {name}"))
            .hint(format!("hallpass exec --helper {}:NAME -- COMMAND", endpoint.tool)));
    };
    *token = Some(hash);
    let decoded = |text: &str| String::from_utf8_lossy(&decode_form(text)).into_owned();
    let query: Vec<(String, String)> = target
        .query()
        .map(|query| pairs(query).map(|(name, value)| (decoded(name), decoded(value))).collect())
        .unwrap_or_default();
    let rest: Vec<String> = (2..target.len()).filter_map(|at| Some(target.segment(at)?.into_owned())).collect();
    let question = endpoint.question(&rest, &query)?;
    let handed = backend.hand_over(hash, &endpoint.tool, &question.url).await?;
    let secret = handed.secret.expose_str().ok_or_else(|| {
        Error::new(Code::InvalidValue, "the credential is not text, which no contract here takes")
            .hint("hallpass credential list; rotate it")
    })?;
    endpoint.answer(&question, &Given { secret, username: handed.username.as_deref(), expires_ms: handed.expires_ms })
}

/// The answer on the wire.
pub(super) fn respond(
    endpoint: &Endpoint,
    outcome: Result<Zeroizing<String>, &Error>,
) -> Response<Through<Answer>> {
    let (status, body) = match &outcome {
        Ok(text) => (StatusCode::OK, Bytes::copy_from_slice(text.as_bytes())),
        Err(error) => {
            let status = error.code.status();
            let text = endpoint.problem(status, error);
            (StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), Bytes::from(text))
        }
    };
    let mut response = Response::new(Through::whole(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Err(error) = outcome {
        headers.insert(ERROR_HEADER, HeaderValue::from_static(error.code.word()));
    }
    response
}
