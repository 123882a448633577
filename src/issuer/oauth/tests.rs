//! Client credentials, from the request to the judgement.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::Response;
use serde_json::{Value, json};

use super::{request::ASSERTION_TYPE, *};
use crate::issuer::{
    Call,
    jws::tests::{new_key, verified},
    tests::nobody,
};

pub(super) const DRAW: Draw = Draw { now_ms: 1_000_000_500, nonce: [7; 16] };

pub(super) fn settings(auth: ClientAuth) -> Settings {
    Settings {
        token_url: "https://auth.acme.dev/oauth/token".into(),
        client_id: "my app".into(),
        auth,
        revocation_url: Some("https://auth.acme.dev/oauth/revoke".into()),
        kid: Some("k1".into()),
        resource: Some("https://api.acme.dev/{resource}".into()),
        ..Settings::default()
    }
}

pub(super) fn fields(call: &Call) -> BTreeMap<String, String> {
    let body = std::str::from_utf8(call.request.body()).unwrap();
    let decoded = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8().unwrap().into_owned();
    body.split('&').map(|pair| pair.split_once('=').unwrap()).map(|(k, v)| (decoded(k), decoded(v))).collect()
}

pub(super) fn answer(status: u16, body: &Value) -> Response<Bytes> {
    let body = Bytes::from(body.to_string());
    Response::builder().status(status).header("content-type", "application/json").body(body).unwrap()
}

fn order(what: &Wanted) -> Order<'_> {
    Order { what, ttl: Duration::from_secs(60), who: nobody() }
}

#[test]
fn the_request_says_what_is_asked_and_who_asks() {
    let what: Wanted = "crm:contacts:read,notes:read@acme/web".parse().unwrap();
    let secret = Secret::take(b"s&cret:1".to_vec());
    let call = settings(ClientAuth::ClientSecretBasic).request(&order(&what), &secret, &DRAW).unwrap();
    assert_eq!((call.base_url.as_str(), call.request.uri().path()), ("https://auth.acme.dev", "/oauth/token"));
    let basic = call.request.headers()["authorization"].to_str().unwrap().strip_prefix("Basic ").unwrap();
    assert_eq!(STANDARD.decode(basic).unwrap(), b"my%20app:s%26cret%3A1");
    let said = fields(&call);
    assert_eq!(said["scope"], "contacts:read notes:read");
    assert_eq!(
        (said["resource"].as_str(), said["grant_type"].as_str()),
        ("https://api.acme.dev/acme/web", "client_credentials")
    );
    assert!(!said.contains_key("client_secret"));

    let said = fields(&settings(ClientAuth::ClientSecretPost).request(&order(&what), &secret, &DRAW).unwrap());
    assert_eq!((said["client_id"].as_str(), said["client_secret"].as_str()), ("my app", "s&cret:1"));
}

#[test]
fn an_assertion_is_for_this_server_and_this_minute() {
    let what: Wanted = "crm:contacts:read@a".parse().unwrap();
    let (pem, public) = new_key();
    let call = settings(ClientAuth::PrivateKeyJwt).request(&order(&what), &Secret::take(pem), &DRAW).unwrap();
    let said = fields(&call);
    let (header, claims) = verified(&said["client_assertion"], &public);
    assert_eq!((&header["kid"], &said["client_assertion_type"]), (&json!("k1"), &ASSERTION_TYPE.to_owned()));
    let wanted = json!({ "iss": "my app", "sub": "my app", "aud": "https://auth.acme.dev/oauth/token",
        "iat": 1_000_000, "exp": 1_000_060, "jti": "07".repeat(16) });
    assert_eq!(claims, wanted);
    let bad = settings(ClientAuth::PrivateKeyJwt).request(&order(&what), &Secret::take(b"x".to_vec()), &DRAW);
    assert!(matches!(bad, Err(Failure::Credential(_))));
}

fn without(body: &Value, name: &str) -> Value {
    let mut body = body.clone();
    body.as_object_mut().unwrap().remove(name);
    body
}

#[test]
fn a_scope_that_is_left_out_is_trusted_only_where_the_config_says_so() {
    let what: Wanted = "crm:a@r".parse().unwrap();
    let body = json!({ "access_token": "t", "token_type": "Bearer", "expires_in": 60 });
    let read = |trust_omitted_scope| {
        let settings = Settings { trust_omitted_scope, ..settings(ClientAuth::ClientSecretBasic) };
        settings.read(&order(&what), &answer(200, &body), &DRAW).is_ok()
    };
    assert!(read(true) && !read(false));
}

#[test]
fn exactly_what_was_asked_is_a_token_and_nothing_else() {
    let what: Wanted = "crm:a,b@r".parse().unwrap();
    let read = |body: Value| settings(ClientAuth::ClientSecretBasic).read(&order(&what), &answer(200, &body), &DRAW);
    let good = json!({ "access_token": "t", "token_type": "bearer", "expires_in": 60, "scope": "b a" });
    let with = |name: &str, value: Value| {
        let mut body = good.clone();
        body[name] = value;
        body
    };
    let issued = read(good.clone()).unwrap();
    assert_eq!((issued.token.expose(), issued.ends_ms), (&b"t"[..], 1_000_060_500));
    assert!(read(with("expires_in", json!("60"))).is_ok());
    for (odd, came) in [
        (with("scope", json!("a b admin")), true),
        (with("scope", json!("a")), true),
        (with("scope", json!(7)), true),
        (without(&good, "scope"), true),
        (with("expires_in", json!(0)), true),
        (with("expires_in", json!(-5)), true),
        (with("expires_in", json!(400 * 24 * 3600)), true),
        (with("expires_in", json!(i64::MAX)), true),
        (with("expires_in", Value::Null), true),
        (with("token_type", json!("mac")), true),
        (with("access_token", json!("two words")), false),
        (with("access_token", Value::Null), false),
        (json!([]), false),
    ] {
        let Err(Failure::Answer { token, what }) = read(odd.clone()) else { panic!("{odd}") };
        assert_eq!(token.is_some(), came, "{odd}: what came is revoked");
        assert!(!what.contains("admin"), "{what}");
    }
}

#[test]
fn a_refusal_says_whose_turn_it_is_and_repeats_nothing() {
    let of = |status: u16, code: &str| {
        let body = json!({ "error": code, "error_description": "client_secret=hunter2" });
        let failure = settings(ClientAuth::ClientSecretBasic).refusal(&answer(status, &body));
        let shown = format!("{:?}", failure.explain("crm", "auth.acme.dev"));
        assert!(!shown.contains("hunter2"), "{shown}");
        failure
    };
    assert!(matches!(of(401, "invalid_client"), Failure::Credential(_)));
    assert!(matches!(of(400, "invalid_client"), Failure::Credential(_)));
    assert!(matches!(of(400, "invalid_scope"), Failure::Administrator(_)));
    assert!(matches!(of(400, "hunter2"), Failure::Administrator(_)));
    assert!(matches!(of(302, ""), Failure::Settings(_)));
    assert!(matches!(of(404, ""), Failure::Settings(_)));
    assert!(matches!(of(503, "temporarily_unavailable"), Failure::Later { .. }));
    assert!(matches!(of(429, ""), Failure::Later { .. }));
}

#[test]
fn what_cannot_be_said_is_refused_before_it_is_sent() {
    let settings = settings(ClientAuth::ClientSecretBasic);
    for odd in ["crm:*@r", "crm:a:*@r", "crm:a", "crm:a@x/*", "crm:a@x,y"] {
        assert!(matches!(settings.check(&odd.parse().unwrap()), Err(Failure::Narrow(_))), "{odd}");
    }
    let plain = Settings { resource: None, ..settings };
    assert!(plain.check(&"crm:a".parse().unwrap()).is_ok());
    assert!(matches!(plain.check(&"crm:a@r".parse().unwrap()), Err(Failure::Narrow(_))));
    let named = Settings { scopes: BTreeMap::from([("read".into(), "https://x/read offline".into())]), ..plain };
    assert!(named.check(&"crm:read".parse().unwrap()).is_ok() && named.check(&"crm:write".parse().unwrap()).is_err());
    assert_eq!(named.server_scopes(&"crm:read".parse().unwrap()).unwrap(), ["https://x/read", "offline"]);
}
