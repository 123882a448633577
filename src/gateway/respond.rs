//! hallpass's own answers at the gateway.
//!
//! Owns their form: a problem document (RFC 9457) that also has the `error` member which the OpenAI
//! and Anthropic SDKs print, under a header that tells it from an answer of the upstream.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use serde::Serialize;

use super::{answer::Answer, body::Through, headers::ERROR_HEADER};
use crate::{
    api::problem::{Code, Problem},
    error::Error,
};

#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    problem: &'a Problem,
    error: Inner<'a>,
}

#[derive(Serialize)]
struct Inner<'a> {
    message: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    code: &'static str,
}

/// An error as an answer.
pub(super) fn problem(error: Error, retry_after: Option<Duration>) -> Response<Through<Answer>> {
    let problem = Problem::from(error);
    let message = match &problem.hint {
        Some(hint) => format!("hallpass: {} ({hint})", problem.detail),
        None => format!("hallpass: {}", problem.detail),
    };
    let code = problem.code.word();
    let document = Document { problem: &problem, error: Inner { message: &message, kind: "hallpass_error", code } };
    let body = serde_json::to_vec(&document).unwrap_or_default();
    let mut response = Response::new(Through::whole(Bytes::from(body)));
    *response.status_mut() = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(ERROR_HEADER, HeaderValue::from_static(code));
    if problem.status == 401 {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"hallpass\""));
    }
    if problem.code == Code::RateLimited {
        let seconds = retry_after.map_or(1, |wait| wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1);
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_and_sdks_can_both_read_it() {
        let error = Error::new(Code::RateLimited, "too many").hint("wait");
        let response = problem(error, Some(Duration::from_millis(1200)));
        assert_eq!(response.status(), 429);
        assert_eq!(response.headers().get(ERROR_HEADER).unwrap(), "rate_limited");
        assert_eq!(response.headers().get("retry-after").unwrap(), "2");
        let Through::Whole(Some(body)) = response.into_body() else { panic!("no body") };
        let value: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(value["code"], "rate_limited");
        assert_eq!(value["error"]["message"], "hallpass: too many (wait)");
        assert_eq!(value["type"], "urn:hallpass:error:rate_limited");
    }
}
