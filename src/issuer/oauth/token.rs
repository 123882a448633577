//! What an authorization server answers, and what that is worth.
//!
//! Owns the comparison of a token with what was asked for, and the next step that follows from a refusal. Only OAuth's own
//! words are believed of a refusal; the text beside them is not shown.

use bytes::Bytes;
use http::{Response, StatusCode};
use serde_json::{Map, Value};

use super::{Flow, Settings, login::OFFLINE};
use crate::{
    issuer::{
        Draw, Failure, Issued, Order,
        answer::{self, LONGEST_MS, is_bearer, text, unreadable},
    },
    secret::Secret,
};

impl Settings {
    /// What came of the request for a token.
    pub(super) fn read(&self, order: &Order<'_>, answer: &Response<Bytes>, draw: &Draw) -> Result<Issued, Failure> {
        if answer.status() != StatusCode::OK {
            return Err(self.refusal(answer));
        }
        let members = answer::object(answer)?;
        self.issued(order, &members, None, draw)
    }

    /// The token among these members, if it is exactly what was asked. `agreed` is what the person of a login agreed to.
    pub(super) fn issued(
        &self,
        order: &Order<'_>,
        members: &Map<String, Value>,
        agreed: Option<&[String]>,
        draw: &Draw,
    ) -> Result<Issued, Failure> {
        let token = text(members, "access_token").filter(|token| is_bearer(token));
        let token = Secret::take_string(token.ok_or_else(|| unreadable("it holds no token"))?.to_owned());
        match self.judge(order, members, agreed, draw) {
            Ok(ends_ms) => Ok(Issued::token(token, ends_ms)),
            Err(what) => Err(Failure::Answer { what, token: Some(token) }),
        }
    }

    /// When the token ends, if the answer is exactly what was asked.
    fn judge(
        &self,
        order: &Order<'_>,
        members: &Map<String, Value>,
        agreed: Option<&[String]>,
        draw: &Draw,
    ) -> Result<i64, String> {
        let kind = if self.dpop { "DPoP" } else { "Bearer" };
        if !text(members, "token_type").is_some_and(|said| said.eq_ignore_ascii_case(kind)) {
            return Err(format!("it is no {} token", kind.replace("Bearer", "bearer")));
        }
        let said = members.get("scope");
        let asked = self.server_scopes(order.what).unwrap_or_default();
        // Nothing was asked for, or all that was agreed to: then what is left out is that (RFC 6749 sections 5.1 and 6).
        let is_all = asked.is_empty() || agreed.is_some_and(|all| rights(all).all(|one| asked.contains(one)));
        if said.is_none() && !self.trust_omitted_scope && !is_all {
            return Err(
                "the server does not say what it may do; trust_omitted_scope takes that for what was asked".into()
            );
        }
        if let Some(granted) = said {
            let granted = granted.as_str().ok_or("its scope cannot be read")?;
            let got: Vec<&str> = granted.split_ascii_whitespace().filter(|one| *one != OFFLINE).collect();
            // Who asks for nothing gets what the server gives by itself; of a login, what the person agreed to.
            let ceiling = if asked.is_empty() { agreed.unwrap_or_default() } else { asked.as_slice() };
            if !ceiling.is_empty() && got.iter().any(|one| !ceiling.iter().any(|known| known == one)) {
                return Err("it may do more than was asked".into());
            }
            if asked.iter().any(|one| !got.contains(&one.as_str())) {
                return Err("it may do less than was asked: the server dropped a scope".into());
            }
        }
        // Section 7 of RFC 9396: what was granted is in the answer, and may be less or more than what was asked.
        if let Some(details) = self.details(order.what).unwrap_or_default()
            && members.get("authorization_details") != Some(&details)
        {
            return Err("its authorization details are not the ones that were asked for".into());
        }
        let life = match members.get("expires_in") {
            Some(Value::String(digits)) => digits.parse().ok(),
            Some(number) => number.as_i64(),
            None => return Err("the server does not say when it ends".into()),
        };
        match life.and_then(|life: i64| life.checked_mul(1000)) {
            Some(life) if life > 0 && life <= LONGEST_MS => Ok(draw.now_ms.saturating_add(life)),
            _ => Err("its end is in the past, or more than a year away".into()),
        }
    }

    /// What a refusal means. Only OAuth's own codes are believed; the text beside them is not shown.
    pub(super) fn refusal(&self, answer: &Response<Bytes>) -> Failure {
        if let Some(later) = answer::later(answer) {
            return later;
        }
        let status = answer.status();
        if status.is_redirection() {
            return Failure::Settings(format!("the token endpoint answered {status}; give the URL that it leads to"));
        }
        let members = answer::object(answer).ok();
        let code = members.as_ref().and_then(|members| text(members, "error"));
        // RFC 6749 section 5.2, RFC 8707 section 2.
        match code {
            Some("invalid_client") => Failure::Credential("invalid_client".into()),
            Some("invalid_grant") if self.flow == Flow::Login => {
                Failure::Login("the server does not accept the login, or not any more (invalid_grant)".into())
            }
            // RFC 8628 section 3.5.
            Some("expired_token") => Failure::Login("the code was not entered in time (expired_token)".into()),
            Some("unauthorized_client") => {
                Failure::Administrator("the client may not ask for tokens in this way (unauthorized_client)".into())
            }
            Some("access_denied") => Failure::Administrator("access_denied".into()),
            Some("invalid_scope") => Failure::Administrator(
                "this client has not all of the scopes that were asked for (invalid_scope)".into(),
            ),
            Some("invalid_target") => Failure::Administrator("it has no such resource (invalid_target)".into()),
            Some("unsupported_grant_type") => {
                Failure::Settings("the server gives no tokens in this way (unsupported_grant_type)".into())
            }
            Some("invalid_request") => {
                Failure::Settings("the server calls the request invalid (invalid_request)".into())
            }
            _ if status == StatusCode::UNAUTHORIZED => Failure::Credential(format!("it answered {status}")),
            _ if status == StatusCode::NOT_FOUND => Failure::Settings(format!("there is no such endpoint ({status})")),
            _ => Failure::Administrator(format!("it answered {status}, and no reason that OAuth knows")),
        }
    }
}

/// What of a login's scopes is a right to something.
fn rights(all: &[String]) -> impl Iterator<Item = &String> {
    all.iter().filter(|scope| *scope != OFFLINE)
}
