//! What a server says of its own token (RFC 7662).
//!
//! Owns the question, and the proof that a token which was revoked is over.

use bytes::Bytes;
use http::{Response, StatusCode};
use serde_json::Value;

use super::Settings;
use crate::{
    issuer::{
        Call, Draw, Failure, Inspection, Next,
        answer::{self, text, unreadable},
        form::Form,
    },
    secret::Secret,
};

/// The question, where the server takes one.
pub(super) fn request(
    settings: &Settings,
    token: &Secret,
    secret: &Secret,
    draw: &Draw,
) -> Result<Option<Call>, Failure> {
    let Some(url) = &settings.introspection_url else { return Ok(None) };
    let mut form = Form::default();
    form.add("token", token.expose());
    form.add("token_type_hint", b"access_token");
    settings.call(url, form, secret, draw).map(Some)
}

/// Its answer.
pub(super) fn read(answer: &Response<Bytes>) -> Result<Inspection, Failure> {
    if let Some(later) = answer::later(answer) {
        return Err(later);
    }
    if answer.status() != StatusCode::OK {
        return Err(Failure::Administrator(format!(
            "it does not say what a token is worth ({})",
            answer.status().as_u16()
        )));
    }
    let members = answer::object(answer)?;
    let active =
        members.get("active").and_then(Value::as_bool).ok_or_else(|| unreadable("it does not say `active`"))?;
    let audience = match members.get("aud") {
        Some(Value::String(one)) => vec![one.clone()],
        Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).map(ToOwned::to_owned).collect(),
        _ => Vec::new(),
    };
    let ends = members.get("exp").and_then(Value::as_i64).and_then(|exp| exp.checked_mul(1000));
    Ok(Inspection { active, scope: text(&members, "scope").map(ToOwned::to_owned), audience, ends_ms: ends })
}

/// Whether a token that the server says it has revoked is over: by its own word, where it gives it. A server that takes no
/// such question of this client has said all that it will.
pub(super) fn is_over<'a>(
    settings: &'a Settings,
    token: &Secret,
    secret: &Secret,
    draw: &Draw,
) -> Result<Next<'a, bool>, Failure> {
    let Some(call) = request(settings, token, secret, draw)? else { return Ok(Next::Done(true)) };
    Ok(Next::call(call, |answer, _| match read(answer) {
        Ok(said) => Ok(Next::Done(!said.active)),
        Err(Failure::Administrator(_)) => Ok(Next::Done(true)),
        Err(failure) => Err(failure),
    }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::issuer::{
        Credential, Issuer as _,
        oauth::{
            ClientAuth,
            tests::{DRAW, answer, fields, settings},
        },
    };

    #[test]
    fn revoked_is_what_the_server_says_is_not_active() {
        let settings = Settings {
            introspection_url: Some("https://as/introspect".into()),
            ..settings(ClientAuth::ClientSecretBasic)
        };
        let (credential, token) = (Credential::Stored(Secret::take(b"s".to_vec())), Secret::take(b"t".to_vec()));
        let end = |revoked: u16, body: serde_json::Value, status: u16| {
            let Ok(Some(Next::Call(first))) = settings.revoke(&token, &credential, &DRAW) else { panic!("no call") };
            match (first.then)(&answer(revoked, &json!({})), &DRAW).unwrap() {
                Next::Call(second) => {
                    assert_eq!(fields(&second.call)["token"], "t");
                    let Ok(Next::Done(over)) = (second.then)(&answer(status, &body), &DRAW) else { panic!("no end") };
                    over
                }
                Next::Done(over) => over,
                Next::Rotated { .. } => panic!("nothing was exchanged"),
            }
        };
        assert!(end(200, json!({ "active": false }), 200));
        assert!(!end(200, json!({ "active": true }), 200), "what is still active is tried again");
        assert!(end(200, json!({}), 403), "not everybody may ask");
        assert!(!end(503, json!({}), 200));
    }

    #[test]
    fn an_inspection_is_read_strictly() {
        let said = read(&answer(200, &json!({ "active": true, "scope": "a b", "aud": ["x", "y"], "exp": 7 }))).unwrap();
        assert_eq!((said.active, said.audience.len(), said.ends_ms), (true, 2, Some(7000)));
        for odd in [json!({}), json!({ "active": "true" }), json!([])] {
            assert!(matches!(read(&answer(200, &odd)), Err(Failure::Answer { .. })), "{odd}");
        }
    }
}
