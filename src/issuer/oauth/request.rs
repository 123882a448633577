//! What a client sends to its authorization server, and how it proves itself.
//!
//! Owns the request for a token by the client's own right (RFC 6749 section 4.4), and the proofs that go with any request:
//! its secret in the header or in the body (section 2.3.1), a signed assertion (RFC 7523 section 2.2), or none.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderValue, Request, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use serde_json::json;

use super::{ClientAuth, Settings};
use crate::{
    issuer::{Call, Draw, Failure, Order, form::Form, jws, split_url},
    secret::Secret,
};

/// How long an assertion of the client's holds: enough for one request.
const ASSERTION_LIFE: i64 = 60;
/// RFC 7523 section 2.2.
pub(super) const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// What a form leaves as it is; some servers compare an id without decoding it.
const FORM: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'*');

impl Settings {
    /// The request for a token.
    pub(super) fn request(&self, order: &Order<'_>, credential: &Secret, draw: &Draw) -> Result<Call, Failure> {
        let mut form = Form::default();
        form.add("grant_type", b"client_credentials");
        let scopes = self.server_scopes(order.what)?.join(" ");
        if !scopes.is_empty() {
            form.add("scope", scopes.as_bytes());
        }
        if let Some(indicator) = self.indicator(order.what)? {
            form.add("resource", indicator.as_bytes());
        }
        if let Some(details) = self.details(order.what)? {
            form.add("authorization_details", details.to_string().as_bytes());
        }
        self.call(&self.token_url, form, credential, draw)
    }

    /// A form to one of the server's endpoints, with the client's proof.
    pub(super) fn call(&self, url: &str, mut form: Form, credential: &Secret, draw: &Draw) -> Result<Call, Failure> {
        let mut authorization = None;
        match self.auth {
            ClientAuth::ClientSecretBasic => {
                // Each is encoded before the two are joined (RFC 6749 section 2.3.1).
                let encoded = |bytes| percent_encode(bytes, FORM);
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
            ClientAuth::None => form.add("client_id", self.client_id.as_bytes()),
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
            split_url(url).ok_or_else(|| Failure::Settings("one of its URLs is no https URL".into()))?;
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
