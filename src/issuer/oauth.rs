//! OAuth 2.0 client credentials (RFC 6749 section 4.4): a token from an authorization server.
//!
//! Owns the three ways a client proves itself (its secret in the header or in the body, section 2.3.1; a signed
//! assertion, RFC 7523 section 2.2), the resource indicator (RFC 8707) and the revocation (RFC 7009).

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{
    Call, Credential, Draw, Failure, Issued, Issuer, Limits, Narrowed, Next, Order,
    answer::{self, LONGEST_MS, is_bearer, text, unreadable},
    form::Form,
    jws,
};
use crate::{
    policy::RELEASE,
    scope::{Scope, Wanted, any_resource},
    secret::Secret,
};

/// How long an assertion of the client's holds: enough for one request.
const ASSERTION_LIFE: i64 = 60;
/// RFC 7523 section 2.2.
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Where the tokens come from, and who asks for them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The token endpoint's URL.
    pub token_url: String,
    /// The client's id. Its secret, or its private key in PEM, is the credential.
    pub client_id: String,
    /// How the client proves itself.
    #[serde(default)]
    pub auth: ClientAuth,
    /// The revocation endpoint's URL (RFC 7009); without it a token lives to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revocation_url: Option<String>,
    /// The audience of the client's assertions: the authorization server's issuer identifier. The token endpoint's
    /// URL where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    /// The id of the key that signs assertions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kid: Option<String>,
    /// The resource indicator (RFC 8707), such as `https://api.acme.dev/{resource}`; `{resource}` is what is asked for.
    /// Without the word, one indicator for every token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// The server's own words for each scope, with spaces between several. Without any, a scope is sent as it is.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub scopes: BTreeMap<String, String>,
    /// An answer without a scope is taken for what was asked, as RFC 6749 section 5.1 has it. Some servers leave it out
    /// when they gave nothing of it, so that without this such an answer is refused.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub trust_omitted_scope: bool,
    /// The variables that tools read the token from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
    /// The server may be on this machine or in this network, also over plain http.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_private: bool,
}

/// How a client proves itself; the words of OAuth's registry of `token_endpoint_auth_method`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuth {
    /// Its secret in the `Authorization` header.
    #[default]
    ClientSecretBasic,
    /// Its secret in the body.
    ClientSecretPost,
    /// An assertion that its private key signed.
    PrivateKeyJwt,
}

impl Issuer for Settings {
    fn limits(&self) -> Limits {
        Limits {
            least: None,
            most: None,
            revocable: self.revocation_url.is_some(),
            scope: Narrowed::Token,
            resource: if self.resource.as_ref().is_some_and(|template| template.contains("{resource}")) {
                Narrowed::Token
            } else {
                Narrowed::Issuer
            },
            life: Narrowed::Issuer,
        }
    }

    fn urls(&self) -> Vec<(&'static str, &str)> {
        let revocation = self.revocation_url.iter().map(|url| ("revocation_url", url.as_str()));
        std::iter::once(("token_url", self.token_url.as_str())).chain(revocation).collect()
    }

    fn allow_private(&self) -> bool {
        self.allow_private
    }

    fn flaw(&self) -> Option<String> {
        let named = |name: &String| name.parse::<Scope>().is_ok() && name != RELEASE && !name.ends_with('*');
        let odd = !self.scopes.keys().all(named);
        odd.then(|| "a name under scopes is no scope; write it like contacts:read".into())
    }

    fn check(&self, what: &Wanted) -> Result<(), Failure> {
        self.server_scopes(what)?;
        self.indicator(what).map(drop)
    }

    fn scopes(&self) -> Vec<Scope> {
        self.scopes.keys().filter_map(|name| name.parse().ok()).collect()
    }

    fn variables(&self) -> &[String] {
        &self.env
    }

    fn mint<'a>(
        &'a self,
        order: Order<'a>,
        credential: &'a Credential,
        draw: &Draw,
    ) -> Result<Next<'a, Issued>, Failure> {
        let call = self.request(&order, credential.stored()?, draw)?;
        Ok(Next::call(call, move |answer, draw| self.read(&order, answer, draw).map(Next::Done)))
    }

    fn revoke<'a>(
        &'a self,
        token: &'a Secret,
        credential: &'a Credential,
        draw: &Draw,
    ) -> Result<Option<Next<'a, bool>>, Failure> {
        let Some(url) = &self.revocation_url else { return Ok(None) };
        let mut form = Form::default();
        form.add("token", token.expose());
        form.add("token_type_hint", b"access_token");
        let call = self.call(url, form, credential.stored()?, draw)?;
        // Also for a token that the server does not know (RFC 7009 section 2.2).
        Ok(Some(Next::call(call, |answer, _| Ok(Next::Done(answer.status() == StatusCode::OK)))))
    }
}

impl Settings {
    fn request(&self, order: &Order<'_>, credential: &Secret, draw: &Draw) -> Result<Call, Failure> {
        let mut form = Form::default();
        form.add("grant_type", b"client_credentials");
        let scopes = self.server_scopes(order.what)?.join(" ");
        if !scopes.is_empty() {
            form.add("scope", scopes.as_bytes());
        }
        if let Some(indicator) = self.indicator(order.what)? {
            form.add("resource", indicator.as_bytes());
        }
        self.call(&self.token_url, form, credential, draw)
    }

    fn read(&self, order: &Order<'_>, answer: &Response<Bytes>, draw: &Draw) -> Result<Issued, Failure> {
        if answer.status() != StatusCode::OK {
            return Err(self.refusal(answer));
        }
        let members = answer::object(answer)?;
        let token = text(&members, "access_token").filter(|token| is_bearer(token));
        let token = Secret::take_string(token.ok_or_else(|| unreadable("it holds no token"))?.to_owned());
        match self.judge(order, &members, draw) {
            Ok(ends_ms) => Ok(Issued::token(token, ends_ms)),
            Err(what) => Err(Failure::Answer { what, token: Some(token) }),
        }
    }

    /// The scopes in the server's words.
    fn server_scopes(&self, what: &Wanted) -> Result<Vec<String>, Failure> {
        let mut all = Vec::new();
        for scope in what.scopes.iter() {
            let name = scope.to_string();
            if name.ends_with('*') {
                return Err(Failure::Narrow(format!("{name} is no scope of an OAuth server; name them one by one")));
            }
            match self.scopes.get(&name) {
                Some(words) => all.extend(words.split_ascii_whitespace().map(ToOwned::to_owned)),
                None if self.scopes.is_empty() => all.push(name),
                None => return Err(Failure::Narrow(format!("the config names no scope {name}"))),
            }
        }
        all.sort_unstable();
        all.dedup();
        Ok(all)
    }

    /// The resource indicator, where there is one.
    fn indicator(&self, what: &Wanted) -> Result<Option<String>, Failure> {
        let every = what.resources == any_resource();
        match &self.resource {
            Some(template) if template.contains("{resource}") => {
                let mut named = what.resources.iter().map(ToString::to_string);
                match (named.next(), named.next()) {
                    (Some(one), None) if !one.ends_with('*') => Ok(Some(template.replace("{resource}", &one))),
                    _ => Err(Failure::Narrow("each of its tokens is for one resource; name it: @RESOURCE".into())),
                }
            }
            fixed if every => Ok(fixed.clone()),
            _ => Err(Failure::Narrow(
                "its tokens cannot be narrowed to a resource: the config has no `resource` for it".into(),
            )),
        }
    }

    /// When the token ends, if the answer is exactly what was asked.
    fn judge(&self, order: &Order<'_>, members: &Map<String, Value>, draw: &Draw) -> Result<i64, String> {
        if !text(members, "token_type").is_some_and(|kind| kind.eq_ignore_ascii_case("bearer")) {
            return Err("it is no bearer token".into());
        }
        let said = members.get("scope");
        if said.is_none() && !self.trust_omitted_scope {
            return Err(
                "the server does not say what it may do; trust_omitted_scope takes that for what was asked".into()
            );
        }
        if let Some(granted) = said {
            let granted = granted.as_str().ok_or("its scope cannot be read")?;
            let asked = self.server_scopes(order.what).unwrap_or_default();
            let got: Vec<&str> = granted.split_ascii_whitespace().collect();
            if got.iter().any(|one| !asked.iter().any(|known| known == one)) {
                return Err("it may do more than was asked".into());
            }
            if asked.iter().any(|one| !got.contains(&one.as_str())) {
                return Err("it may do less than was asked: the server dropped a scope".into());
            }
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
    fn refusal(&self, answer: &Response<Bytes>) -> Failure {
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
            Some("unauthorized_client") => Failure::Administrator(
                "the client may not ask for tokens by its credentials (unauthorized_client)".into(),
            ),
            Some("access_denied") => Failure::Administrator("access_denied".into()),
            Some("invalid_scope") => Failure::Administrator(
                "this client has not all of the scopes that were asked for (invalid_scope)".into(),
            ),
            Some("invalid_target") => Failure::Administrator("it has no such resource (invalid_target)".into()),
            Some("unsupported_grant_type") => {
                Failure::Settings("the server gives no tokens for client credentials (unsupported_grant_type)".into())
            }
            Some("invalid_request") => {
                Failure::Settings("the server calls the request invalid (invalid_request)".into())
            }
            _ if status == StatusCode::UNAUTHORIZED => Failure::Credential(format!("it answered {status}")),
            _ if status == StatusCode::NOT_FOUND => {
                Failure::Settings(format!("there is no token endpoint at its token_url ({status})"))
            }
            _ => Failure::Administrator(format!("it answered {status}, and no reason that OAuth knows")),
        }
    }

    /// A form to one of the server's endpoints, with the client's proof.
    fn call(&self, url: &str, mut form: Form, credential: &Secret, draw: &Draw) -> Result<Call, Failure> {
        let mut authorization = None;
        match self.auth {
            ClientAuth::ClientSecretBasic => {
                // Each is encoded before the two are joined (RFC 6749 section 2.3.1).
                let encoded = |bytes| percent_encode(bytes, NON_ALPHANUMERIC);
                let pair = format!("{}:{}", encoded(self.client_id.as_bytes()), encoded(credential.expose()));
                let value = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(pair)));
                let mut value = value.map_err(|_| Failure::Settings("its client_id fits into no header".into()))?;
                value.set_sensitive(true);
                authorization = Some(value);
            }
            ClientAuth::ClientSecretPost => {
                form.add("client_id", self.client_id.as_bytes());
                form.add("client_secret", credential.expose());
            }
            ClientAuth::PrivateKeyJwt => {
                let now = draw.now_ms.div_euclid(1000);
                let claims = json!({
                    "iss": self.client_id, "sub": self.client_id,
                    "aud": self.audience.as_ref().unwrap_or(&self.token_url),
                    "iat": now, "exp": now.saturating_add(ASSERTION_LIFE), "jti": draw.id(),
                });
                let assertion = jws::sign(credential.expose(), self.kid.as_deref(), &claims)
                    .map_err(|error| Failure::Credential(error.to_string()))?;
                form.add("client_id", self.client_id.as_bytes());
                form.add("client_assertion_type", ASSERTION_TYPE.as_bytes());
                form.add("client_assertion", assertion.as_bytes());
            }
        }
        let (base_url, path) =
            super::split_url(url).ok_or_else(|| Failure::Settings("one of its URLs is no https URL".into()))?;
        let mut request = Request::post(path)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(header::ACCEPT, "application/json")
            .body(form.bytes())
            .map_err(|_| Failure::Settings("one of its URLs has an odd path".into()))?;
        if let Some(value) = authorization {
            request.headers_mut().insert(header::AUTHORIZATION, value);
        }
        Ok(Call { base_url: base_url.to_owned(), allow_private: self.allow_private, request })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::issuer::{jws::tests::{new_key, verified}, tests::nobody};

    const DRAW: Draw = Draw { now_ms: 1_000_000_500, nonce: [7; 16] };

    fn settings(auth: ClientAuth) -> Settings {
        Settings {
            token_url: "https://auth.acme.dev/oauth/token".into(),
            client_id: "my app".into(),
            auth,
            revocation_url: Some("https://auth.acme.dev/oauth/revoke".into()),
            audience: None,
            kid: Some("k1".into()),
            resource: Some("https://api.acme.dev/{resource}".into()),
            scopes: BTreeMap::new(),
            trust_omitted_scope: false,
            env: vec![],
            allow_private: false,
        }
    }

    fn fields(call: &Call) -> BTreeMap<String, String> {
        let body = std::str::from_utf8(call.request.body()).unwrap();
        let decoded = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8().unwrap().into_owned();
        body.split('&').map(|pair| pair.split_once('=').unwrap()).map(|(k, v)| (decoded(k), decoded(v))).collect()
    }

    fn answer(status: u16, body: &Value) -> Response<Bytes> {
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
        let read =
            |body: Value| settings(ClientAuth::ClientSecretBasic).read(&order(&what), &answer(200, &body), &DRAW);
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
        assert!(
            named.check(&"crm:read".parse().unwrap()).is_ok() && named.check(&"crm:write".parse().unwrap()).is_err()
        );
        assert_eq!(named.server_scopes(&"crm:read".parse().unwrap()).unwrap(), ["https://x/read", "offline"]);
    }
}
