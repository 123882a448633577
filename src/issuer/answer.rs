//! Reading an issuer's answer: strict JSON, statuses and times.
//!
//! Owns what is common to all kinds. A member that occurs twice, at any depth, makes an answer unreadable: two readers
//! would see two answers. Must never repeat a value of it.

use std::time::Duration;

use bytes::Bytes;
use http::{Response, header};
use serde_json::{Map, Value};

use super::Failure;
use crate::strict_json;

/// The longest life of a token that still counts as short, in milliseconds: beyond it something is wrong with the
/// answer, or with the server.
pub(super) const LONGEST_MS: i64 = 366 * 24 * 3600 * 1000;
/// The longest wait that a server's `Retry-After` may ask for and be followed.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// The members of the answer's JSON object.
pub(super) fn object(answer: &Response<Bytes>) -> Result<Map<String, Value>, Failure> {
    let kind = answer.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if kind != "application/json" && !kind.ends_with("+json") {
        return Err(unreadable("it is no JSON"));
    }
    match strict_json::parse(answer.body()).ok() {
        Some(Value::Object(members)) => Ok(members),
        Some(_) => Err(unreadable("it is no JSON object")),
        None => Err(unreadable("it is no JSON that reads in one way only")),
    }
}

/// A text member.
pub(super) fn text<'a>(members: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    members.get(name).and_then(Value::as_str)
}

/// The failure of an answer that cannot be read.
pub(super) fn unreadable(what: &str) -> Failure {
    Failure::Answer { what: what.into(), token: None }
}

/// The failure of a status that says to come again, if it is one.
pub(super) fn later(answer: &Response<Bytes>) -> Option<Failure> {
    let status = answer.status().as_u16();
    (status == 429 || status >= 500).then(|| Failure::Later { after: retry_after(answer), status })
}

/// `Retry-After` in seconds (RFC 9110 section 10.2.3); its form as a date is left alone.
fn retry_after(answer: &Response<Bytes>) -> Option<Duration> {
    let text = answer.headers().get(header::RETRY_AFTER)?.to_str().ok()?;
    text.trim().parse().ok().map(|seconds| Duration::from_secs(seconds).min(LONGEST_WAIT))
}

/// Whether a text is one that HTTP's `Authorization` can carry as a bearer token (RFC 6750 section 2.1).
pub(super) fn is_bearer(token: &str) -> bool {
    let body = token.trim_end_matches('=');
    !body.is_empty()
        && token.len() <= 16 * 1024
        && body.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~+/".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(kind: &str, body: &str) -> Response<Bytes> {
        Response::builder().header("content-type", kind).body(Bytes::copy_from_slice(body.as_bytes())).unwrap()
    }

    #[test]
    fn only_an_object_that_reads_in_one_way() {
        assert!(object(&answer("application/json; charset=utf-8", "{\"a\":1}")).is_ok());
        assert!(object(&answer("application/problem+json", "{\"a\":1}")).is_ok());
        for (kind, body) in [
            ("text/html", "{\"a\":1}"),
            ("application/json", "<html>"),
            ("application/json", "[1]"),
            ("application/json", "{\"a\":1,\"a\":2}"),
            ("application/json", "{\"x\":{\"a\":1,\"a\":2}}"),
            ("application/json", "{\"a\":1} trailing"),
            ("application/json", ""),
        ] {
            assert!(matches!(object(&answer(kind, body)), Err(Failure::Answer { .. })), "{kind} {body}");
        }
    }

    #[test]
    fn busy_servers_are_asked_again_later() {
        let at = |status: u16, wait: &str| {
            later(&Response::builder().status(status).header("retry-after", wait).body(Bytes::new()).unwrap())
        };
        assert!(matches!(at(429, "7"), Some(Failure::Later { after: Some(wait), status: 429 }) if wait.as_secs() == 7));
        assert!(matches!(at(503, "soon"), Some(Failure::Later { after: None, .. })));
        assert!(matches!(at(500, "99999999"), Some(Failure::Later { after: Some(wait), .. }) if wait == LONGEST_WAIT));
        assert!(at(400, "1").is_none());
    }

    #[test]
    fn a_token_is_one_word() {
        assert!(is_bearer("abc.DEF-1_2~+/=="));
        for odd in ["", "=", "a b", "a\r\nb", "ä", "a\"b"] {
            assert!(!is_bearer(odd), "{odd:?}");
        }
    }
}
