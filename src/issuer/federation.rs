//! What the kinds of workload identity federation have in common: this device says who asks, signed, and gets a token.
//!
//! Owns the request in JSON, the reading of an access token with its end, and what OAuth's error codes mean here. Sources:
//! RFC 6749 section 5, RFC 7523 section 2.1, RFC 8693 section 2.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, header};
use serde_json::{Map, Value};

use super::{
    Call, Failure, Issued,
    answer::{self, LONGEST_MS, is_bearer, text, unreadable},
    form::Form,
};
use crate::{
    scope::{Wanted, any_resource},
    secret::Secret,
};

/// How long an assertion holds that is used once and at once, in seconds.
pub(super) const ASSERTION_LIFE: i64 = 120;

/// A JSON document to one of the issuer's URLs.
pub(super) fn post_json(
    url: &str,
    allow_private: bool,
    body: &Value,
    headers: &[(HeaderName, HeaderValue)],
) -> Result<Call, Failure> {
    post_below(url, "", allow_private, "application/json", body.to_string().into(), headers)
}

/// A form to one of the issuer's URLs.
pub(super) fn post_form(url: &str, allow_private: bool, form: Form) -> Result<Call, Failure> {
    post_below(url, "", allow_private, "application/x-www-form-urlencoded", form.bytes(), &[])
}

/// A body to a path below one of the issuer's URLs.
pub(super) fn post_below(
    url: &str,
    path: &str,
    allow_private: bool,
    kind: &'static str,
    body: Bytes,
    headers: &[(HeaderName, HeaderValue)],
) -> Result<Call, Failure> {
    let odd = || Failure::Settings("one of its URLs is no https URL".into());
    let (base_url, prefix) = super::split_url(url).ok_or_else(odd)?;
    let whole = if path.is_empty() { prefix.to_owned() } else { format!("{}{path}", prefix.trim_end_matches('/')) };
    let mut request = Request::post(whole)
        .header(header::CONTENT_TYPE, kind)
        .header(header::ACCEPT, "application/json")
        .header(header::USER_AGENT, "hallpass")
        .body(body)
        .map_err(|_| odd())?;
    request.headers_mut().extend(headers.iter().cloned());
    Ok(Call { base_url: base_url.to_owned(), allow_private, request })
}

/// A header with a secret in it.
pub(super) fn sensitive(text: &[u8]) -> Result<HeaderValue, Failure> {
    let value = HeaderValue::from_bytes(text).map_err(|_| Failure::Credential("it fits into no header".into()))?;
    Ok(marked(value))
}

fn marked(mut value: HeaderValue) -> HeaderValue {
    value.set_sensitive(true);
    value
}

/// The access token of an answer, judged by `judge` too.
pub(super) fn access_token(
    answer: &Response<Bytes>,
    now_ms: i64,
    judge: impl FnOnce(&Map<String, Value>) -> Result<(), String>,
) -> Result<Issued, Failure> {
    if answer.status() != StatusCode::OK {
        return Err(refusal(answer));
    }
    let members = answer::object(answer)?;
    let token = text(&members, "access_token").filter(|token| is_bearer(token));
    let token = Secret::take_string(token.ok_or_else(|| unreadable("it holds no token"))?.to_owned());
    let ends = bearer(&members).and_then(|()| judge(&members)).and_then(|()| ends_ms(&members, now_ms));
    match ends {
        Ok(ends_ms) => Ok(Issued::token(token, ends_ms)),
        Err(what) => Err(Failure::Answer { what, token: Some(token) }),
    }
}

fn bearer(members: &Map<String, Value>) -> Result<(), String> {
    // Some leave it out; another kind is said.
    let kind = members.get("token_type");
    let fits = kind.is_none_or(|kind| kind.as_str().is_some_and(|kind| kind.eq_ignore_ascii_case("bearer")));
    if fits { Ok(()) } else { Err("it is no bearer token".into()) }
}

/// When it ends: `expires_in` in seconds from now.
fn ends_ms(members: &Map<String, Value>, now_ms: i64) -> Result<i64, String> {
    let seconds = members.get("expires_in").ok_or("the server does not say when it ends")?.as_i64();
    life(seconds.and_then(|seconds| seconds.checked_mul(1000)), now_ms)
}

/// A life in milliseconds as an end, where it is one.
pub(super) fn life(ms: Option<i64>, now_ms: i64) -> Result<i64, String> {
    match ms {
        Some(ms) if ms > 0 && ms <= LONGEST_MS => Ok(now_ms.saturating_add(ms)),
        _ => Err("its end is in the past, or more than a year away".into()),
    }
}

/// The same from a time as text (RFC 3339).
pub(super) fn until(text: Option<&str>, now_ms: i64) -> Result<i64, String> {
    let ends = text.and_then(|text| text.parse::<jiff::Timestamp>().ok()).map(jiff::Timestamp::as_millisecond);
    life(ends.map(|ends| ends.saturating_sub(now_ms)), now_ms)
}

/// What a refusal means. Only OAuth's own codes are believed; the text beside them is not shown.
pub(super) fn refusal(answer: &Response<Bytes>) -> Failure {
    if let Some(later) = answer::later(answer) {
        return later;
    }
    let status = answer.status();
    if status.is_redirection() {
        return Failure::Settings(format!("it answered {status}; give the URL that it leads to"));
    }
    let members = answer::object(answer).ok();
    let code = members.as_ref().and_then(|members| text(members, "error"));
    match code {
        Some("invalid_grant" | "invalid_token") => Failure::Credential(
            "it does not believe this device's assertion: the uploaded keys, the issuer, the audience or the rule do not \
             fit, or this machine's clock is off"
                .into(),
        ),
        Some("invalid_client" | "unauthorized_client") => {
            Failure::Administrator("it knows no such provider, rule or account for this device".into())
        }
        Some("access_denied" | "invalid_target" | "invalid_scope") => {
            Failure::Administrator("no rule gives this principal that".into())
        }
        Some("invalid_request" | "unsupported_grant_type") => {
            Failure::Settings("it calls the request invalid: look at the ids".into())
        }
        _ => match status {
            StatusCode::UNAUTHORIZED => Failure::Credential(format!("it answered {status}")),
            StatusCode::NOT_FOUND => Failure::Settings(format!("there is nothing at its URL ({status})")),
            _ => Failure::Administrator(format!("it answered {status}, and no reason that OAuth knows")),
        },
    }
}

/// Whether exactly this one scope is wanted, and no resource: what a token may do is decided at the issuer.
pub(super) fn only(what: &Wanted, scope: &str) -> Result<(), Failure> {
    if what.resources != any_resource() {
        return Err(Failure::Narrow(
            "its tokens cannot be narrowed to a resource: the rule at the issuer decides".into(),
        ));
    }
    let mut named = what.scopes.iter().map(ToString::to_string);
    match (named.next(), named.next()) {
        (Some(one), None) if one == scope => Ok(()),
        _ => Err(Failure::Narrow(format!("the one scope of its tokens is {scope}: the rule at the issuer decides"))),
    }
}
