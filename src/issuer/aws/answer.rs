//! What AWS answers: credentials in XML (STS) or JSON (Roles Anywhere), and error codes.
//!
//! Owns their reading. An element that occurs twice makes an answer unreadable. Must never repeat a text of it.

use bytes::Bytes;
use http::{Response, StatusCode};
use serde_json::Value;

use crate::{
    issuer::{
        Failure, Issued,
        answer::{LONGEST_MS, later, object, unreadable},
        federation::until,
    },
    secret::Secret,
};

/// The name of an access key's id among the parts of what was issued, and of its secret. The session token is the token.
pub(super) const ID: &str = "access_key_id";
/// See [`ID`].
pub(super) const SECRET: &str = "secret_access_key";

/// The credentials of an answer of STS, and what else `judge` finds in it.
pub(super) fn of_sts(
    answer: &Response<Bytes>,
    now_ms: i64,
    judge: impl FnOnce(&str) -> Result<(), String>,
) -> Result<Issued, Failure> {
    let text = std::str::from_utf8(answer.body()).unwrap_or_default();
    if answer.status() != StatusCode::OK {
        return Err(refusal(answer, element(text, "Code").as_deref()));
    }
    let one = |name| element(text, name);
    let found = (one("AccessKeyId"), one("SecretAccessKey"), one("SessionToken"), one("Expiration"));
    let (Some(id), Some(secret), Some(session), ends) = found else {
        return Err(unreadable("it holds no credentials"));
    };
    issued(id, secret, session, ends.as_deref(), now_ms, || judge(text))
}

/// The same of Roles Anywhere's `CreateSession`.
pub(super) fn of_roles_anywhere(answer: &Response<Bytes>, now_ms: i64, role: &str) -> Result<Issued, Failure> {
    if !answer.status().is_success() {
        let kind = object(answer).ok();
        let kind = kind.as_ref().and_then(|members| members.get("__type")).and_then(Value::as_str);
        let header = answer.headers().get("x-amzn-errortype").and_then(|kind| kind.to_str().ok());
        let code = header.or(kind).map(|code| code.split(':').next().unwrap_or(code));
        return Err(refusal(answer, code));
    }
    let members = object(answer)?;
    let sets = members.get("credentialSet").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let [set] = sets else { return Err(unreadable("it holds not one set of credentials")) };
    let text = |name: &str| set.pointer(&format!("/credentials/{name}")).and_then(Value::as_str).map(str::to_owned);
    let found = (text("accessKeyId"), text("secretAccessKey"), text("sessionToken"), text("expiration"));
    let (Some(id), Some(secret), Some(session), ends) = found else {
        return Err(unreadable("it holds no credentials"));
    };
    let of = set.get("roleArn").and_then(Value::as_str);
    issued(id, secret, session, ends.as_deref(), now_ms, || {
        if of.is_none_or(|of| of == role) { Ok(()) } else { Err("it is of another role".into()) }
    })
}

fn issued(
    id: String,
    secret: String,
    session: String,
    ends: Option<&str>,
    now_ms: i64,
    judge: impl FnOnce() -> Result<(), String>,
) -> Result<Issued, Failure> {
    let plain = |text: &str| !text.is_empty() && text.len() <= 16 * 1024 && text.bytes().all(|b| b.is_ascii_graphic());
    if ![&id, &secret, &session].into_iter().all(|text| plain(text)) {
        return Err(unreadable("it holds no credentials"));
    }
    let token = Secret::take_string(session);
    match judge().and_then(|()| until(ends, now_ms)) {
        Ok(ends_ms) => Ok(Issued {
            parts: [(ID.to_owned(), Secret::take_string(id)), (SECRET.to_owned(), Secret::take_string(secret))].into(),
            ..Issued::token(token, ends_ms.min(now_ms.saturating_add(LONGEST_MS)))
        }),
        Err(what) => Err(Failure::Answer { what, token: Some(token) }),
    }
}

/// What a refusal means (STS, "Common Errors" and those of each action).
fn refusal(answer: &Response<Bytes>, code: Option<&str>) -> Failure {
    let status = answer.status();
    match code {
        Some("Throttling" | "ThrottlingException" | "RequestLimitExceeded" | "IDPCommunicationError") => {
            Failure::Later { after: None, status: status.as_u16() }
        }
        Some(
            code @ ("InvalidClientTokenId"
            | "SignatureDoesNotMatch"
            | "IncompleteSignature"
            | "UnrecognizedClientException"
            | "ExpiredToken"
            | "ExpiredTokenException"
            | "RequestExpired"
            | "InvalidIdentityToken"),
        ) => Failure::Credential(code.to_owned()),
        Some(code @ ("AccessDenied" | "AccessDeniedException" | "RegionDisabledException" | "IDPRejectedClaim")) => {
            Failure::Administrator(format!(
                "{code}: the role's trust policy has to allow this caller sts:AssumeRole, and for the owner and the task in \
                 AWS's own records sts:SetSourceIdentity and sts:TagSession"
            ))
        }
        Some("PackedPolicyTooLarge" | "PackedPolicyTooLargeException") => {
            Failure::Narrow("what is asked for is too long for a session policy; ask for less at once".into())
        }
        Some("MalformedPolicyDocument" | "MalformedPolicyDocumentException") => {
            Failure::Narrow("AWS knows no such action or resource".into())
        }
        Some(code @ ("ValidationError" | "ValidationException" | "ResourceNotFoundException" | "NoSuchEntity")) => {
            Failure::Settings(format!("{code}: look at the ARNs and at how long the role may be assumed for"))
        }
        _ => later(answer).unwrap_or_else(|| match status {
            _ if status.is_redirection() => {
                Failure::Settings(format!("it answered {status}; give the URL it leads to"))
            }
            StatusCode::FORBIDDEN => Failure::Administrator(format!("it answered {status}")),
            StatusCode::OK => unreadable("it is no answer of STS"),
            _ => Failure::Settings(format!("it answered {status}, and no reason that is known")),
        }),
    }
}

/// The text of the one element of this name; `None` where there is none, or more than one, or it holds others.
pub(super) fn element(xml: &str, name: &str) -> Option<String> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let (_, rest) = xml.split_once(&open)?;
    let (text, after) = rest.split_once(&close)?;
    if text.contains(['<', '>']) || after.contains(&open) || xml.contains("<!") {
        return None;
    }
    // XML 1.0 section 4.6; the last one last.
    let all = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")];
    Some(all.iter().fold(text.trim().to_owned(), |text, (from, to)| text.replace(from, to)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_element_is_there_once_and_plain() {
        assert_eq!(element("<a><b> x&amp;lt; </b></a>", "b").as_deref(), Some("x&lt;"));
        for odd in ["<a/>", "<b>x", "<b>1</b><b>2</b>", "<b><c>1</c></b>", "<!DOCTYPE x><b>1</b>"] {
            assert_eq!(element(odd, "b"), None, "{odd}");
        }
    }
}
