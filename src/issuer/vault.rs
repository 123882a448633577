//! OpenBao and HashiCorp Vault: a token with fewer policies, or a dynamic secret with its lease.
//!
//! Owns the login by an assertion of this device, the creation of a token or a secret after it, and what ends it: the login's
//! own token, whose end takes along what was made with it; for a stored token the accessor or the lease. Source: openbao 2.6.2
//! `website/content/docs/api` (`auth/jwt`, `auth/token`, `system/leases`).

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{
    Call, Credential, Draw, Failure, Issued, Issuer, Limits, Narrowed, Next, Order, Proof,
    answer::{self, text, unreadable},
    federation::{self, sensitive},
    jws::Algorithm,
};
use crate::{
    scope::{Scope, Wanted, any_resource},
    secret::Secret,
};

/// The scope of a dynamic secret: the role behind its path decides.
const SECRET: &str = "secret";

/// Which server, how it is entered, and what is made there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "VaultSettings")]
pub struct Settings {
    /// The server.
    pub base_url: String,
    /// The namespace, where it is not the root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The role that this device logs in to by an assertion; without one the credential is a token of the server's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login_role: Option<String>,
    /// Where the login method is mounted.
    #[serde(default = "jwt", skip_serializing_if = "is_jwt")]
    pub login_mount: String,
    /// The audience that the login role asks for.
    #[serde(default = "audience", skip_serializing_if = "is_audience")]
    pub audience: String,
    /// The token role that tokens are made with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_role: Option<String>,
    /// The path of a dynamic secret, such as `database/creds/readonly`; without one tokens are made, with the policies that
    /// are asked for as scopes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// Which member of a dynamic secret is the token; the others are its parts.
    #[serde(default = "password", skip_serializing_if = "is_password")]
    pub field: String,
    /// How this device's assertions are signed.
    #[serde(default = "super::assertion::es256", skip_serializing_if = "super::assertion::is_es256")]
    pub alg: Algorithm,
    /// The variables that tools read the token from.
    #[serde(default = "variables", skip_serializing_if = "is_usual")]
    pub env: Vec<String>,
    /// The server may be on this machine or in this network, also over plain http.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_private: bool,
}

/// The variable that Vault's and OpenBao's tools read a token from.
pub fn variables() -> Vec<String> {
    vec!["VAULT_TOKEN".into()]
}

fn is_usual(names: &Vec<String>) -> bool {
    *names == variables()
}

/// The usual mount.
pub fn jwt() -> String {
    "jwt".into()
}

fn is_jwt(text: &String) -> bool {
    *text == jwt()
}

/// The usual audience.
pub fn audience() -> String {
    "vault".into()
}

fn is_audience(text: &String) -> bool {
    *text == audience()
}

/// What a database's secret has.
pub fn password() -> String {
    "password".into()
}

fn is_password(text: &String) -> bool {
    *text == password()
}

impl Issuer for Settings {
    fn limits(&self) -> Limits {
        let by = if self.secret.is_some() { Narrowed::Issuer } else { Narrowed::Token };
        Limits { least: None, most: None, revocable: true, scope: by, resource: Narrowed::Issuer, life: by }
    }

    fn proof(&self) -> Proof {
        if self.login_role.is_some() { Proof::Device } else { Proof::Stored }
    }

    fn urls(&self) -> Vec<(&'static str, &str)> {
        vec![("base_url", &self.base_url)]
    }

    fn allow_private(&self) -> bool {
        self.allow_private
    }

    fn flaw(&self) -> Option<String> {
        let path = |text: &String| {
            let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._/".contains(&b);
            !text.is_empty() && text.bytes().all(plain) && text.split('/').all(|part| !part.is_empty() && part != "..")
        };
        let all = [Some(&self.login_mount), self.token_role.as_ref(), self.secret.as_ref()];
        let odd = !all.into_iter().flatten().all(path);
        odd.then(|| "login_mount, token_role and secret are paths without a slash at either end".into())
    }

    fn check(&self, what: &Wanted) -> Result<(), Failure> {
        if self.secret.is_some() { federation::only(what, SECRET) } else { policies(what).map(drop) }
    }

    fn scopes(&self) -> Vec<Scope> {
        if self.secret.is_some() { SECRET.parse().into_iter().collect() } else { Vec::new() }
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
        let Some(role) = &self.login_role else { return self.make(order, credential.stored()?.clone(), false) };
        let jwt = credential.assertion(&order, &self.audience, federation::ASSERTION_LIFE, self.alg, draw)?;
        let path = format!("/v1/auth/{}/login", self.login_mount);
        let call = self.call(Method::POST, &path, None, Some(&json!({ "role": role, "jwt": jwt })))?;
        Ok(Next::call(call, move |answer, _| {
            let auth = auth(answer)?;
            self.make(order, token(&auth)?, true)
        }))
    }

    fn revoke<'a>(
        &'a self,
        handle: &'a Secret,
        credential: &'a Credential,
        _: &Draw,
    ) -> Result<Option<Next<'a, bool>>, Failure> {
        let (kind, what) = handle.expose_str().and_then(|text| text.split_once(' ')).unwrap_or_default();
        let call = match kind {
            "login" => self.call(Method::POST, "/v1/auth/token/revoke-self", Some(what.as_bytes()), None)?,
            "accessor" => {
                let body = json!({ "accessor": what });
                let own = credential.stored()?.expose();
                self.call(Method::POST, "/v1/auth/token/revoke-accessor", Some(own), Some(&body))?
            }
            _ => {
                let body = json!({ "lease_id": what });
                self.call(Method::POST, "/v1/sys/leases/revoke", Some(credential.stored()?.expose()), Some(&body))?
            }
        };
        let own = kind == "login";
        Ok(Some(Next::call(call, move |answer, _| {
            // A token that revokes itself and is refused does not work any more.
            let gone = own && answer.status() == StatusCode::FORBIDDEN;
            Ok(Next::Done(gone || matches!(answer.status(), StatusCode::NO_CONTENT | StatusCode::OK)))
        })))
    }
}

impl Settings {
    /// Makes the token or the secret, with a token that may. That of a login ends with what was made.
    fn make<'a>(&'a self, order: Order<'a>, with: Secret, login: bool) -> Result<Next<'a, Issued>, Failure> {
        let handle = login.then(|| Secret::take([b"login ", with.expose()].concat()));
        if let Some(path) = &self.secret {
            let call = self.call(Method::GET, &format!("/v1/{path}"), Some(with.expose()), None)?;
            return Ok(Next::call(call, move |answer, draw| self.secret_of(answer, draw, handle).map(Next::Done)));
        }
        let seconds = order.ttl.as_secs().max(1);
        let body = json!({
            "policies": policies(order.what)?, "ttl": format!("{seconds}s"), "explicit_max_ttl": format!("{seconds}s"),
            "no_default_policy": true, "renewable": false, "display_name": "hallpass",
            "meta": { "owner": order.who.owner, "principal": order.who.principal,
                "task": order.who.task.clone().unwrap_or_default() },
        });
        let role = self.token_role.as_ref().map(|role| format!("/{role}")).unwrap_or_default();
        let call =
            self.call(Method::POST, &format!("/v1/auth/token/create{role}"), Some(with.expose()), Some(&body))?;
        Ok(Next::call(call, move |answer, draw| {
            let auth = auth(answer)?;
            let token = token(&auth)?;
            let accessor = text(&auth, "accessor").map(|text| Secret::take_string(format!("accessor {text}")));
            let handle = handle.or(accessor).ok_or_else(|| unreadable("it has no accessor"))?;
            match judge(&auth, order.what).and_then(|()| ends(&auth, draw)) {
                Ok(ends_ms) => Ok(Next::Done(Issued { handle: Some(handle), ..Issued::token(token, ends_ms) })),
                Err(what) => Err(Failure::Answer { what, token: Some(handle) }),
            }
        }))
    }

    /// A dynamic secret: one member is the token, the others are its parts.
    fn secret_of(&self, answer: &Response<Bytes>, draw: &Draw, login: Option<Secret>) -> Result<Issued, Failure> {
        if answer.status() != StatusCode::OK {
            return Err(refusal(answer));
        }
        let members = answer::object(answer)?;
        let lease = text(&members, "lease_id").map(|text| Secret::take_string(format!("lease {text}")));
        let handle = login.or(lease).ok_or_else(|| unreadable("it has no lease"))?;
        let mut parts: BTreeMap<String, Secret> = BTreeMap::new();
        for (name, value) in members.get("data").and_then(Value::as_object).into_iter().flatten() {
            if let Some(text) = value.as_str() {
                parts.insert(name.clone(), Secret::take_string(text.to_owned()));
            }
        }
        match (parts.remove(&self.field), ends(&members, draw)) {
            (Some(token), Ok(ends_ms)) => Ok(Issued { parts, handle: Some(handle), ..Issued::token(token, ends_ms) }),
            (None, _) => Err(Failure::Answer { what: format!("it has no member {}", self.field), token: Some(handle) }),
            (_, Err(what)) => Err(Failure::Answer { what, token: Some(handle) }),
        }
    }

    fn call(&self, method: Method, path: &str, token: Option<&[u8]>, body: Option<&Value>) -> Result<Call, Failure> {
        let odd = || Failure::Settings("its base_url is no https URL".into());
        let (base, prefix) = super::split_url(self.base_url.trim_end_matches('/')).ok_or_else(odd)?;
        let body = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", prefix.trim_end_matches('/')))
            .header(header::CONTENT_TYPE, "application/json")
            // A proxy of theirs may demand it, against requests that a web page made.
            .header("x-vault-request", "true")
            .body(body)
            .map_err(|_| odd())?;
        if let Some(token) = token {
            request.headers_mut().insert(HeaderName::from_static("x-vault-token"), sensitive(token)?);
        }
        if let Some(namespace) = &self.namespace {
            let value = HeaderValue::from_str(namespace).map_err(|_| Failure::Settings("namespace is none".into()))?;
            request.headers_mut().insert(HeaderName::from_static("x-vault-namespace"), value);
        }
        Ok(Call { base_url: base.to_owned(), allow_private: self.allow_private, request })
    }
}

/// The `auth` of an answer.
fn auth(answer: &Response<Bytes>) -> Result<Map<String, Value>, Failure> {
    if answer.status() != StatusCode::OK {
        return Err(refusal(answer));
    }
    match answer::object(answer)?.remove("auth") {
        Some(Value::Object(auth)) => Ok(auth),
        _ => Err(unreadable("it holds no token")),
    }
}

fn token(auth: &Map<String, Value>) -> Result<Secret, Failure> {
    let token = text(auth, "client_token").filter(|token| answer::is_bearer(token));
    token.map(|token| Secret::take_string(token.to_owned())).ok_or_else(|| unreadable("it holds no token"))
}

/// Whether it has exactly the policies that were asked for.
fn judge(auth: &Map<String, Value>, what: &Wanted) -> Result<(), String> {
    let asked = policies(what).map_err(|_| "it cannot be compared with what was asked".to_owned())?;
    let got = auth.get("token_policies").or_else(|| auth.get("policies")).and_then(Value::as_array);
    let got: Vec<&str> = got.ok_or("it does not say what it may do")?.iter().filter_map(Value::as_str).collect();
    if got.iter().any(|one| !asked.iter().any(|known| known == one)) {
        return Err("it may do more than was asked".into());
    }
    if asked.iter().any(|one| !got.contains(&one.as_str())) {
        return Err("it may do less than was asked".into());
    }
    Ok(())
}

fn ends(members: &Map<String, Value>, draw: &Draw) -> Result<i64, String> {
    let seconds = members.get("lease_duration").and_then(Value::as_i64);
    federation::life(seconds.and_then(|seconds| seconds.checked_mul(1000)), draw.now_ms)
}

/// The policies: what is asked for, one by one.
fn policies(what: &Wanted) -> Result<Vec<String>, Failure> {
    if what.resources != any_resource() {
        return Err(Failure::Narrow("a policy says what it is about; its tokens take no resource".into()));
    }
    let name = |scope: &Scope| {
        let text = scope.to_string();
        let plain = !text.ends_with('*') && !text.contains(':') && text != "root" && text == text.to_ascii_lowercase();
        if plain { Ok(text) } else { Err(Failure::Narrow(format!("{text} is no policy to ask for; name it as it is"))) }
    };
    what.scopes.iter().map(name).collect()
}

fn refusal(answer: &Response<Bytes>) -> Failure {
    if let Some(later) = answer::later(answer) {
        return later;
    }
    match answer.status() {
        status if status.is_redirection() => {
            Failure::Settings(format!("it answered {status}; give the active server's URL"))
        }
        StatusCode::BAD_REQUEST => Failure::Administrator(
            "it refused: the login role does not take this device's assertion, or a policy is not to be had".into(),
        ),
        StatusCode::FORBIDDEN => {
            Failure::Credential("it answered 403: the token may not do that, or works no more".into())
        }
        StatusCode::NOT_FOUND => Failure::Settings("there is nothing at that path".into()),
        status => Failure::Administrator(format!("it answered {status}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_named_one_by_one_and_compared() {
        let what: Wanted = "bao:reader,writer".parse().unwrap();
        assert_eq!(policies(&what).unwrap(), ["reader", "writer"]);
        for odd in ["bao:*", "bao:a:b", "bao:root", "bao:Reader", "bao:reader@x"] {
            assert!(matches!(policies(&odd.parse().unwrap()), Err(Failure::Narrow(_))), "{odd}");
        }
        let said = |list: Value| judge(json!({ "token_policies": list }).as_object().unwrap(), &what);
        assert!(said(json!(["writer", "reader"])).is_ok());
        for odd in [json!(["reader"]), json!(["reader", "writer", "default"]), json!([]), Value::Null] {
            assert!(said(odd.clone()).is_err(), "{odd}");
        }
    }
}
