//! A login: what is left of a person's signing in, and the tokens that it gives (RFC 6749 sections 4.1.3 and 6, RFC 8628
//! section 3.4).
//!
//! Owns the credential that a login is (one text of the store: the refresh token and what belongs to it), and the exchange
//! of it for a token that may do less. A server that gives a new refresh token with each token has its new one stored first.
//! A login is used with the server and the client that it was made with, and with no others.

use bytes::Bytes;
use http::{Response, StatusCode};
use serde::{Deserialize, Serialize};
use zeroize::Zeroize as _;

use super::{ClientAuth, Settings, authorize::Attempt};
use crate::{
    issuer::{
        Call, Draw, Failure, Issued, Next, Order,
        answer::{self, LONGEST_MS, is_bearer, text, unreadable},
        form::Form,
    },
    secret::Secret,
};

/// RFC 8628 section 3.4.
const DEVICE_GRANT: &[u8] = b"urn:ietf:params:oauth:grant-type:device_code";
/// A scope that is no right, but asks for a refresh token (OpenID Connect Core section 11).
pub const OFFLINE: &str = "offline_access";

/// What is kept of it.
#[derive(Serialize, Deserialize)]
pub struct Login {
    /// The token endpoint of the server that it was made with.
    token_url: String,
    /// The client's id there.
    client_id: String,
    /// The client's secret or key, where it has one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    client_secret: String,
    /// What the person agreed to, in the server's words.
    pub scopes: Vec<String>,
    /// What tokens are got with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    /// The only token, where the server gives no other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    access_token: Option<String>,
    /// When that ends, in milliseconds since 1970 (UTC).
    #[serde(default)]
    ends_ms: i64,
}

impl Drop for Login {
    fn drop(&mut self) {
        self.client_secret.zeroize();
        self.refresh_token.zeroize();
        self.access_token.zeroize();
    }
}

/// How a person said yes.
pub enum Proof<'a> {
    /// The code that came with the redirect of this attempt.
    Code(&'a Attempt, &'a Secret),
    /// The code of the device.
    Device(&'a Secret),
}

/// The request that makes a login of it.
pub fn request(
    settings: &Settings,
    secret: &Secret,
    proof: &Proof<'_>,
    resource: Option<&str>,
    draw: &Draw,
) -> Result<Call, Failure> {
    let mut form = Form::default();
    match proof {
        Proof::Code(attempt, code) => {
            form.add("grant_type", b"authorization_code");
            form.add("code", code.expose());
            form.add("redirect_uri", attempt.redirect_uri.as_bytes());
            form.add("code_verifier", attempt.verifier().expose());
        }
        Proof::Device(code) => {
            form.add("grant_type", DEVICE_GRANT);
            form.add("device_code", code.expose());
        }
    }
    if let Some(resource) = resource {
        form.add("resource", resource.as_bytes());
    }
    settings.call(&settings.token_url, form, secret, draw)
}

/// The login, when the server agreed to it.
pub fn read(
    settings: &Settings,
    secret: &Secret,
    asked: &[String],
    answer: &Response<Bytes>,
    draw: &Draw,
) -> Result<Login, Failure> {
    if answer.status() != StatusCode::OK {
        return Err(settings.refusal(answer));
    }
    let members = answer::object(answer)?;
    if !text(&members, "token_type").is_some_and(|kind| kind.eq_ignore_ascii_case("bearer")) {
        return Err(unreadable("it is no bearer token"));
    }
    let token = |name: &str| text(&members, name).filter(|token| is_bearer(token)).map(ToOwned::to_owned);
    let refresh_token = text(&members, "refresh_token").filter(|token| !token.is_empty()).map(ToOwned::to_owned);
    let access_token = token("access_token").ok_or_else(|| unreadable("it holds no token"))?;
    // What is not said is what was asked for (RFC 6749 section 5.1).
    let granted = text(&members, "scope").map(|all| all.split_ascii_whitespace().map(ToOwned::to_owned).collect());
    let life = members.get("expires_in").and_then(serde_json::Value::as_i64).and_then(|life| life.checked_mul(1000));
    let life = life.filter(|life| (1..=LONGEST_MS).contains(life));
    let (access_token, ends_ms) = match (&refresh_token, life) {
        (Some(_), _) => (None, 0),
        (None, Some(life)) => (Some(access_token), draw.now_ms.saturating_add(life)),
        (None, None) => {
            return Err(unreadable("the server gives no refresh token, and does not say when its token ends"));
        }
    };
    Ok(Login {
        token_url: settings.token_url.clone(),
        client_id: settings.client_id.clone(),
        client_secret: secret.expose_str().unwrap_or_default().to_owned(),
        scopes: granted.unwrap_or_else(|| asked.to_vec()),
        refresh_token,
        access_token,
        ends_ms,
    })
}

impl Login {
    /// Reads what rests in the store.
    pub fn open(settings: &Settings, credential: &Secret) -> Result<Self, Failure> {
        let found: Option<Self> = serde_json::from_slice(credential.expose()).ok();
        let found = found.ok_or_else(|| Failure::Login("its credential is no login".into()))?;
        if found.token_url != settings.token_url || found.client_id != settings.client_id {
            return Err(Failure::Login("the login was made with another server or another client".into()));
        }
        Ok(found)
    }

    /// What rests in the store.
    pub fn credential(&self) -> Result<Secret, Failure> {
        let bytes = serde_json::to_vec(self).map_err(|_| unreadable("a login that cannot be written"))?;
        Ok(Secret::take(bytes))
    }

    /// Whether tokens can be got without a person again and again.
    pub fn renews(&self) -> bool {
        self.refresh_token.is_some()
    }

    /// What the client proves itself with.
    pub fn client_secret(&self) -> Secret {
        Secret::take_string(self.client_secret.clone())
    }

    /// Whether this is the login's own token, which does not end with a lease.
    pub fn is_own(&self, token: &Secret) -> bool {
        self.access_token.as_ref().is_some_and(|own| own.as_bytes() == token.expose())
    }

    /// The request that ends the login at its server (RFC 7009), where it has an endpoint for it.
    pub fn revoke(&self, settings: &Settings, draw: &Draw) -> Result<Option<Call>, Failure> {
        let Some(url) = &settings.revocation_url else { return Ok(None) };
        let (token, hint): (_, &[u8]) = match (&self.refresh_token, &self.access_token) {
            (Some(token), _) => (token, b"refresh_token"),
            (None, Some(token)) => (token, b"access_token"),
            (None, None) => return Ok(None),
        };
        let mut form = Form::default();
        form.add("token", token.as_bytes());
        form.add("token_type_hint", hint);
        settings.call(url, form, &self.client_secret(), draw).map(Some)
    }
}

/// Mints from a login.
pub(super) fn mint<'a>(
    settings: &'a Settings,
    order: Order<'a>,
    credential: &Secret,
    draw: &Draw,
) -> Result<Next<'a, Issued>, Failure> {
    let login = Login::open(settings, credential)?;
    let asked = settings.server_scopes(order.what)?;
    if let Some(more) = asked.iter().find(|scope| !login.scopes.contains(scope)) {
        return Err(Failure::Login(format!("the login is not for {}", crate::principal::printable(more))));
    }
    let Some(refresh_token) = &login.refresh_token else { return only_token(&login, &asked, draw).map(Next::Done) };
    let mut form = Form::default();
    form.add("grant_type", b"refresh_token");
    form.add("refresh_token", refresh_token.as_bytes());
    if !asked.is_empty() {
        form.add("scope", asked.join(" ").as_bytes());
    }
    if let Some(indicator) = settings.indicator(order.what)? {
        form.add("resource", indicator.as_bytes());
    }
    let call = settings.call(&settings.token_url, form, &login.client_secret(), draw)?;
    Ok(Next::call(call, move |answer, draw| refreshed(settings, &order, login, answer, draw)))
}

/// The one token of a login that has no other: handed out as it is, or not at all.
fn only_token(login: &Login, asked: &[String], draw: &Draw) -> Result<Issued, Failure> {
    let token = login.access_token.as_ref().filter(|_| login.ends_ms > draw.now_ms);
    let token =
        token.ok_or_else(|| Failure::Login("its token has ended, and the server gave none to renew it".into()))?;
    let mut rights: Vec<&String> = login.scopes.iter().filter(|scope| *scope != OFFLINE).collect();
    rights.sort_unstable();
    if !asked.is_empty() && !rights.iter().copied().eq(asked) {
        return Err(Failure::Narrow(
            "the server gave one token for all that was agreed to, and no way to narrow it; ask for exactly that"
                .into(),
        ));
    }
    Ok(Issued::token(Secret::take_string(token.clone()), login.ends_ms))
}

/// What came of a refresh token.
fn refreshed<'a>(
    settings: &Settings,
    order: &Order<'_>,
    mut login: Login,
    answer: &Response<Bytes>,
    draw: &Draw,
) -> Result<Next<'a, Issued>, Failure> {
    if answer.status() != StatusCode::OK {
        return Err(settings.refusal(answer));
    }
    let members = answer::object(answer)?;
    let issued = settings.issued(order, &members, Some(&login.scopes), draw).map(Next::Done);
    match text(&members, "refresh_token").filter(|new| !new.is_empty()) {
        Some(new) if login.refresh_token.as_deref() != Some(new) => {
            login.refresh_token = Some(new.to_owned());
            Ok(Next::Rotated { credential: login.credential()?, then: Box::new(issued) })
        }
        _ => issued,
    }
}

/// Whether this kind of client keeps a secret.
pub fn has_secret(auth: ClientAuth) -> bool {
    auth != ClientAuth::None
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};

    use super::*;
    use crate::{
        issuer::{
            oauth::tests::{DRAW, answer, fields, settings},
            tests::nobody,
        },
        scope::Wanted,
    };

    fn public() -> Settings {
        Settings { flow: super::super::Flow::Login, resource: None, ..settings(ClientAuth::None) }
    }

    fn login(more: Value) -> Login {
        let mut body = json!({ "access_token": "at", "token_type": "Bearer", "expires_in": 60, "scope": "a b" });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        read(&public(), &Secret::take(Vec::new()), &["a".into(), "b".into()], &answer(200, &body), &DRAW).unwrap()
    }

    fn order(what: &Wanted) -> Order<'_> {
        Order { what, ttl: Duration::from_secs(60), who: nobody() }
    }

    #[test]
    fn a_refresh_asks_for_less_and_the_new_one_comes_before_the_token() {
        let (settings, what) = (public(), "x:a".parse::<Wanted>().unwrap());
        let credential = login(json!({ "refresh_token": "r1" })).credential().unwrap();
        let Ok(Next::Call(step)) = mint(&settings, order(&what), &credential, &DRAW) else { panic!("no call") };
        let said = fields(&step.call);
        assert_eq!((said["refresh_token"].as_str(), said["scope"].as_str()), ("r1", "a"));
        let body = json!({ "access_token": "t", "token_type": "Bearer", "expires_in": 60, "scope": "a", "refresh_token": "r2" });
        let Ok(Next::Rotated { credential, then }) = (step.then)(&answer(200, &body), &DRAW) else { panic!("kept") };
        assert!(matches!(*then, Ok(Next::Done(issued)) if issued.token.expose() == b"t"));
        let Ok(Next::Call(step)) = mint(&settings, order(&what), &credential, &DRAW) else { panic!("no call") };
        assert_eq!(fields(&step.call)["refresh_token"], "r2");
        // A token that is refused does not lose the new refresh token.
        let wide = json!({ "access_token": "t", "token_type": "Bearer", "expires_in": 60, "scope": "a b", "refresh_token": "r3" });
        let Ok(Next::Rotated { then, .. }) = (step.then)(&answer(200, &wide), &DRAW) else { panic!("lost") };
        assert!(matches!(*then, Err(Failure::Answer { token: Some(_), .. })));
    }

    #[test]
    fn what_ended_or_was_never_agreed_to_is_a_new_login() {
        let (settings, what) = (public(), "x:a".parse::<Wanted>().unwrap());
        let credential = login(json!({ "refresh_token": "r1" })).credential().unwrap();
        let Ok(Next::Call(step)) = mint(&settings, order(&what), &credential, &DRAW) else { panic!("no call") };
        let gone = (step.then)(&answer(400, &json!({ "error": "invalid_grant" })), &DRAW);
        assert!(matches!(gone, Err(Failure::Login(_))));
        let more = "x:a,c".parse::<Wanted>().unwrap();
        assert!(
            matches!(mint(&settings, order(&more), &credential, &DRAW), Err(Failure::Login(what)) if what.contains('c'))
        );
        for other in [
            Settings { token_url: "https://evil/token".into(), ..public() },
            Settings { client_id: "other".into(), ..public() },
        ] {
            assert!(matches!(mint(&other, order(&what), &credential, &DRAW), Err(Failure::Login(_))));
        }
        assert!(matches!(Login::open(&settings, &Secret::take(b"hunter2".to_vec())), Err(Failure::Login(_))));
    }

    #[test]
    fn a_login_with_one_token_gives_exactly_that() {
        let (settings, what) = (public(), "x:a,b".parse::<Wanted>().unwrap());
        let login = login(json!({ "scope": "b a offline_access" }));
        let credential = login.credential().unwrap();
        let Ok(Next::Done(issued)) = mint(&settings, order(&what), &credential, &DRAW) else { panic!("none") };
        assert!(login.is_own(&issued.token) && issued.ends_ms == DRAW.now_ms + 60_000);
        let less = "x:a".parse::<Wanted>().unwrap();
        assert!(matches!(mint(&settings, order(&less), &credential, &DRAW), Err(Failure::Narrow(_))));
        let late = Draw { now_ms: DRAW.now_ms + 60_000, ..DRAW };
        assert!(matches!(mint(&settings, order(&what), &credential, &late), Err(Failure::Login(_))));
    }
}
