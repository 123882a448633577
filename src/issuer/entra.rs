//! Microsoft Entra: an application's token, proved by the certificate of this device.
//!
//! Owns the assertion, which names the certificate by its hash, and the request. What a token may do are the application's roles at
//! that resource, and nothing narrows them for one token. Sources: RFC 7523 section 2.2; Microsoft's "Application authentication
//! certificate credentials" and "OAuth 2.0 client credentials flow".

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use serde_json::{Map, json};

use super::{
    Credential, Draw, Failure, Issued, Issuer, Limits, Narrowed, Next, Order, Proof, federation, form::Form,
    jws::Algorithm,
};
use crate::{
    policy::RELEASE,
    scope::{Scope, Wanted},
};

/// Which application.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "EntraSettings")]
pub struct Settings {
    /// The directory (tenant) id.
    pub tenant: String,
    /// The application (client) id; this device's certificate is uploaded there.
    pub client_id: String,
    /// Where tokens come from; other clouds have their own.
    #[serde(default = "public", skip_serializing_if = "is_public")]
    pub base_url: String,
    /// The variables that tools read the token from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
    /// The server may be on this machine or in this network, also over plain http.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_private: bool,
    /// The resources, by names of your own: `graph = "https://graph.microsoft.com"`.
    pub scopes: BTreeMap<String, String>,
}

/// The public cloud's.
pub fn public() -> String {
    "https://login.microsoftonline.com".into()
}

fn is_public(url: &String) -> bool {
    *url == public()
}

impl Issuer for Settings {
    fn limits(&self) -> Limits {
        Limits {
            least: None,
            most: None,
            revocable: false,
            scope: Narrowed::Issuer,
            resource: Narrowed::Issuer,
            life: Narrowed::Issuer,
        }
    }

    fn proof(&self) -> Proof {
        Proof::Device
    }

    fn urls(&self) -> Vec<(&'static str, &str)> {
        vec![("base_url", &self.base_url)]
    }

    fn allow_private(&self) -> bool {
        self.allow_private
    }

    fn flaw(&self) -> Option<String> {
        let id = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b));
        let named = |name: &String| name.parse::<Scope>().is_ok() && name != RELEASE && !name.ends_with('*');
        if !id(&self.tenant) || !id(&self.client_id) {
            return Some("tenant and client_id are ids".into());
        }
        let fits = !self.scopes.is_empty() && self.scopes.keys().all(named);
        (!fits).then(|| "scopes names no resource; write graph = \"https://graph.microsoft.com\"".into())
    }

    fn check(&self, what: &Wanted) -> Result<(), Failure> {
        self.resource(what).map(drop)
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
        let resource = self.resource(order.what)?;
        let url = format!("{}/{}/oauth2/v2.0/token", self.base_url.trim_end_matches('/'), self.tenant);
        let mut form = Form::default();
        form.add("grant_type", b"client_credentials");
        form.add("client_id", self.client_id.as_bytes());
        form.add("scope", format!("{}/.default", resource.trim_end_matches('/')).as_bytes());
        form.add("client_assertion_type", b"urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
        form.add("client_assertion", self.assertion(credential, &url, draw)?.as_bytes());
        let call = federation::post_form(&url, self.allow_private, form)?;
        Ok(Next::call(call, |answer, draw| federation::access_token(answer, draw.now_ms, |_| Ok(())).map(Next::Done)))
    }
}

impl Settings {
    /// The one resource of the one scope.
    fn resource(&self, what: &Wanted) -> Result<&str, Failure> {
        let name = what.scopes.iter().next().map(ToString::to_string).unwrap_or_default();
        federation::only(what, &name)?;
        let known = self.scopes.get(&name).map(String::as_str);
        known.ok_or_else(|| Failure::Narrow(format!("the config names no scope {name}")))
    }

    fn assertion(&self, credential: &Credential, audience: &str, draw: &Draw) -> Result<String, Failure> {
        let device = credential.device()?;
        let chain = device
            .chain(Algorithm::RS256, draw.now_ms)
            .map_err(|error| Failure::Credential(format!("{error}; hallpass identity certificate --self-signed")))?;
        let leaf = chain.der.first().map(Vec::as_slice).unwrap_or_default();
        let mut header = Map::new();
        header.insert("x5t#S256".into(), BASE64.encode(digest(&SHA256, leaf)).into());
        let now = draw.now_ms.div_euclid(1000);
        let claims = json!({
            "aud": audience, "iss": self.client_id, "sub": self.client_id, "jti": draw.id(), "iat": now, "nbf": now,
            "exp": now.saturating_add(federation::ASSERTION_LIFE),
        });
        let signer = device.signer(Algorithm::RS256);
        signer.and_then(|signer| signer.jwt(header, &claims)).map_err(|error| Failure::Credential(error.to_string()))
    }
}
