//! Signing in by a browser: the authorization code with PKCE (RFC 6749 section 4.1, RFC 7636) on this machine's loopback
//! address (RFC 8252).
//!
//! Owns the address that the browser opens, and the judgement on the redirect that comes back: its `state` must be this
//! attempt's, its `iss` this server's (RFC 9207). Nothing of a redirect is believed, errors included, before both are.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use ring::digest;
use subtle::ConstantTimeEq as _;

use super::Settings;
use crate::{
    issuer::{Failure, form::Form},
    secret::Secret,
};

/// The path of the redirect, on 127.0.0.1 and whichever port is free (RFC 8252 section 7.3).
pub const REDIRECT_PATH: &str = "/callback";

/// One attempt to sign in: what its redirect is recognised by.
pub struct Attempt {
    /// Where the browser is sent back to.
    pub redirect_uri: String,
    state: String,
    verifier: Secret,
}

/// Why a redirect brought no code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is not for this attempt: it is as if it had not come.
    Foreign,
    /// It comes from another server than the one that was asked.
    Server,
    /// The person, or the server, said no. One of OAuth's words, where it is one.
    Denied(Option<&'static str>),
    /// It holds neither a code nor an error.
    Empty,
}

impl Attempt {
    /// A new one.
    pub fn new(redirect_uri: String, state: [u8; 32], verifier: [u8; 32]) -> Self {
        let verifier = Secret::take_string(BASE64.encode(verifier));
        Self { redirect_uri, state: BASE64.encode(state), verifier }
    }

    /// The address that the browser opens. `resource` is the one of RFC 8707.
    pub fn url(&self, settings: &Settings, scopes: &[String], resource: Option<&str>) -> Result<String, Failure> {
        let endpoint = settings.authorization_url.as_ref();
        let endpoint = endpoint.ok_or_else(|| Failure::Settings("it has no authorization_url to sign in at".into()))?;
        let challenge = BASE64.encode(digest::digest(&digest::SHA256, self.verifier.expose()));
        let mut form = Form::default();
        form.add("response_type", b"code");
        form.add("client_id", settings.client_id.as_bytes());
        form.add("redirect_uri", self.redirect_uri.as_bytes());
        form.add("state", self.state.as_bytes());
        form.add("code_challenge", challenge.as_bytes());
        form.add("code_challenge_method", b"S256");
        if !scopes.is_empty() {
            form.add("scope", scopes.join(" ").as_bytes());
        }
        if let Some(resource) = resource {
            form.add("resource", resource.as_bytes());
        }
        if scopes.iter().any(|scope| scope == "offline_access") {
            // Without it no refresh token is given (OpenID Connect Core section 11).
            form.add("prompt", b"consent");
        }
        let join = if endpoint.contains('?') { '&' } else { '?' };
        Ok(format!("{endpoint}{join}{}", form.text()))
    }

    /// The code that a redirect brought, by the query of its address.
    pub fn code(&self, settings: &Settings, query: &str) -> Result<Secret, Refusal> {
        let mut found: [Option<String>; 4] = [const { None }; 4];
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let Some(at) = ["state", "iss", "error", "code"].iter().position(|known| *known == name) else { continue };
            let value = value.replace('+', " ");
            let value = percent_encoding::percent_decode_str(&value).decode_utf8().map_err(|_| Refusal::Foreign)?;
            match found.get_mut(at) {
                Some(place @ None) => *place = Some(value.into_owned()),
                // Twice: two readers would see two answers (RFC 6749 section 3.1).
                _ => return Err(Refusal::Foreign),
            }
        }
        let [state, iss, error, code] = found;
        if !bool::from(state.unwrap_or_default().as_bytes().ct_eq(self.state.as_bytes())) {
            return Err(Refusal::Foreign);
        }
        match (&iss, &settings.issuer) {
            (Some(iss), Some(own)) if iss == own => {}
            (Some(_), _) => return Err(Refusal::Server),
            (None, _) if settings.names_itself => return Err(Refusal::Server),
            (None, _) => {}
        }
        if let Some(error) = error {
            let known = ["access_denied", "invalid_scope", "invalid_target", "unauthorized_client", "server_error"];
            return Err(Refusal::Denied(known.into_iter().find(|word| *word == error)));
        }
        code.filter(|code| !code.is_empty()).map(Secret::take_string).ok_or(Refusal::Empty)
    }

    /// What proves that this attempt asked for the code.
    pub fn verifier(&self) -> &Secret {
        &self.verifier
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::issuer::oauth::tests::settings;

    fn attempt() -> Attempt {
        Attempt::new("http://127.0.0.1:4711/callback".into(), [1; 32], [2; 32])
    }

    fn server(names_itself: bool) -> Settings {
        Settings {
            issuer: Some("https://as/t".into()),
            authorization_url: Some("https://as/authorize?tenant=1".into()),
            names_itself,
            ..settings(super::super::ClientAuth::None)
        }
    }

    #[test]
    fn the_address_says_who_asks_for_what_and_keeps_the_verifier() {
        let attempt = attempt();
        let url = attempt.url(&server(true), &["a".into(), "b".into()], Some("https://h/mcp")).unwrap();
        // RFC 7636 appendix B's way, with this verifier.
        let verifier = attempt.verifier().expose_str().unwrap();
        let challenge = BASE64.encode(digest::digest(&digest::SHA256, verifier.as_bytes()));
        assert!(url.starts_with("https://as/authorize?tenant=1&response_type=code&client_id=my%20app"), "{url}");
        for part in [&format!("code_challenge={challenge}"), "scope=a%20b", "resource=https%3A%2F%2Fh%2Fmcp", "S256"] {
            assert!(url.contains(part), "{part} in {url}");
        }
        assert!(!url.contains(verifier) && verifier.len() >= 43);
    }

    #[test]
    fn a_redirect_counts_only_for_this_attempt_and_from_this_server() {
        let attempt = attempt();
        let state = BASE64.encode([1; 32]);
        let own = "iss=https%3A%2F%2Fas%2Ft";
        let code = |strict: bool, query: &str| {
            attempt.code(&server(strict), query).map(|code| code.expose_str().unwrap().to_owned())
        };
        assert_eq!(code(true, &format!("code=c&state={state}&{own}")), Ok("c".into()));
        assert_eq!(code(false, &format!("code=c&state={state}")), Ok("c".into()));
        assert_eq!(code(false, &format!("code=c&state={state}&{own}")), Ok("c".into()));
        for (strict, query, refusal) in [
            (true, format!("code=c&state={state}"), Refusal::Server),
            (true, format!("code=c&state={state}&{own}%2F"), Refusal::Server),
            (false, format!("code=c&state={state}&iss=https%3A%2F%2Fevil"), Refusal::Server),
            (false, format!("error=access_denied&state={state}&iss=https%3A%2F%2Fevil"), Refusal::Server),
            (false, "code=c&state=other".to_owned(), Refusal::Foreign),
            (false, "code=c".to_owned(), Refusal::Foreign),
            (false, format!("code=c&state={state}&state=x"), Refusal::Foreign),
            (false, format!("code=c&code=d&state={state}"), Refusal::Foreign),
            (false, format!("error=access_denied&state={state}"), Refusal::Denied(Some("access_denied"))),
            (false, format!("error=hunter2&state={state}&code=c"), Refusal::Denied(None)),
            (false, format!("state={state}"), Refusal::Empty),
            (false, String::new(), Refusal::Foreign),
        ] {
            assert_eq!(code(strict, &query), Err(refusal), "{query}");
        }
    }

    #[test]
    fn without_a_named_issuer_a_redirect_that_names_one_is_not_believed() {
        let unnamed = Settings { issuer: None, ..server(false) };
        let query = format!("code=c&state={}&iss=https%3A%2F%2Fas", BASE64.encode([1; 32]));
        assert_eq!(attempt().code(&unnamed, &query).unwrap_err(), Refusal::Server);
    }
}
