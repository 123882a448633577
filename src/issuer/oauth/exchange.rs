//! A token in exchange for another one (RFC 8693): the same server gives one that may do less, or that another server takes.
//!
//! Owns the step that follows on the first token, whichever flow that came by, and what is believed of the answer. The first
//! token never leaves the daemon.

use bytes::Bytes;
use http::{Response, StatusCode};
use serde::{Deserialize, Serialize};

use super::Settings;
use crate::{
    issuer::{
        Call, Draw, Failure, Issued, Next, Order, Step,
        answer::{self, text, unreadable},
        form::Form,
    },
    secret::Secret,
};

/// Section 2.1.
const GRANT: &[u8] = b"urn:ietf:params:oauth:grant-type:token-exchange";
/// Section 3.
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
/// Section 3: some servers say of an access token only what it is made of.
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

/// How a token is exchanged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Exchange {
    /// The logical name of the service that the new token is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    /// The kind of token that is wanted; an access token where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested_token_type: Option<String>,
}

/// What follows on a first token: its exchange, where these settings say so.
pub(super) fn after<'a>(
    settings: &'a Settings,
    order: Order<'a>,
    secret: Secret,
    next: Next<'a, Issued>,
    draw: &Draw,
) -> Result<Next<'a, Issued>, Failure> {
    let Some(exchange) = &settings.exchange else { return Ok(next) };
    Ok(match next {
        Next::Done(subject) => {
            let call = request(settings, exchange, &order, &subject, &secret, draw)?;
            Next::call(call, move |answer, draw| read(settings, exchange, &order, answer, draw).map(Next::Done))
        }
        Next::Call(step) => {
            let Step { call, then } = *step;
            Next::call(call, move |answer, draw| {
                then(answer, draw).and_then(|next| after(settings, order, secret, next, draw))
            })
        }
        Next::Rotated { credential, then } => {
            let then = then.and_then(|next| after(settings, order, secret, next, draw));
            Next::Rotated { credential, then: Box::new(then) }
        }
    })
}

fn request(
    settings: &Settings,
    exchange: &Exchange,
    order: &Order<'_>,
    subject: &Issued,
    secret: &Secret,
    draw: &Draw,
) -> Result<Call, Failure> {
    let mut form = Form::default();
    form.add("grant_type", GRANT);
    form.add("subject_token", subject.token.expose());
    form.add("subject_token_type", ACCESS_TOKEN.as_bytes());
    form.add("requested_token_type", exchange.wanted().as_bytes());
    if let Some(audience) = &exchange.audience {
        form.add("audience", audience.as_bytes());
    }
    let scopes = settings.server_scopes(order.what)?.join(" ");
    if !scopes.is_empty() {
        form.add("scope", scopes.as_bytes());
    }
    if let Some(indicator) = settings.indicator(order.what)? {
        form.add("resource", indicator.as_bytes());
    }
    if let Some(details) = settings.details(order.what)? {
        form.add("authorization_details", details.to_string().as_bytes());
    }
    settings.call(&settings.token_url, form, secret, draw)
}

fn read(
    settings: &Settings,
    exchange: &Exchange,
    order: &Order<'_>,
    answer: &Response<Bytes>,
    draw: &Draw,
) -> Result<Issued, Failure> {
    if answer.status() != StatusCode::OK {
        return Err(settings.refusal(answer));
    }
    let members = answer::object(answer)?;
    // Section 2.2.1: required, and the only thing that says what was issued.
    let kind = text(&members, "issued_token_type").unwrap_or_default();
    let fits = kind == exchange.wanted() || kind == JWT && exchange.wanted() == ACCESS_TOKEN;
    match settings.issued(order, &members, None, draw) {
        Ok(issued) if fits => Ok(issued),
        Ok(issued) => Err(Failure::Answer {
            what: "it is another kind of token than was asked for".into(),
            token: Some(issued.token),
        }),
        Err(Failure::Answer { token: None, .. }) if !fits => {
            Err(unreadable("it does not say which kind of token it is"))
        }
        Err(failure) => Err(failure),
    }
}

impl Exchange {
    fn wanted(&self) -> &str {
        self.requested_token_type.as_deref().unwrap_or(ACCESS_TOKEN)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::{
        issuer::{
            Credential, Issuer as _,
            oauth::tests::{DRAW, answer, fields, settings},
            tests::nobody,
        },
        scope::Wanted,
    };

    #[test]
    fn the_first_token_is_exchanged_and_only_the_second_one_comes_out() {
        let exchange = Some(Exchange { audience: Some("billing".into()), ..Exchange::default() });
        let settings = Settings { exchange, ..settings(super::super::ClientAuth::ClientSecretBasic) };
        let what: Wanted = "x:a@r".parse().unwrap();
        let order = Order { what: &what, ttl: Duration::from_secs(60), who: nobody() };
        let credential = Credential::Stored(Secret::take(b"s".to_vec()));
        let token = |token: &str, more: serde_json::Value| {
            let mut body = json!({ "access_token": token, "token_type": "Bearer", "expires_in": 60, "scope": "a" });
            body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            answer(200, &body)
        };
        let second = |body: &Response<Bytes>| {
            let Ok(Next::Call(first)) = settings.mint(order, &credential, &DRAW) else { panic!("no call") };
            let Ok(Next::Call(step)) = (first.then)(&token("one", json!({})), &DRAW) else { panic!("no exchange") };
            let said = fields(&step.call);
            assert_eq!((said["subject_token"].as_str(), said["scope"].as_str()), ("one", "a"));
            assert_eq!((said["audience"].as_str(), said["resource"].as_str()), ("billing", "https://api.acme.dev/r"));
            (step.then)(body, &DRAW)
        };
        let good = token("two", json!({ "issued_token_type": ACCESS_TOKEN }));
        assert!(matches!(second(&good), Ok(Next::Done(issued)) if issued.token.expose() == b"two"));
        for odd in [
            token("two", json!({})),
            token("two", json!({ "issued_token_type": "urn:ietf:params:oauth:token-type:saml2" })),
            token("two", json!({ "issued_token_type": ACCESS_TOKEN, "scope": "a b" })),
            token("two", json!({ "issued_token_type": ACCESS_TOKEN, "token_type": "N_A" })),
        ] {
            assert!(matches!(second(&odd), Err(Failure::Answer { token: Some(_), .. })));
        }
        assert!(matches!(second(&answer(400, &json!({ "error": "invalid_target" }))), Err(Failure::Administrator(_))));
    }
}
