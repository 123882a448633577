//! The issuers that revoke a key when they are shown it: `data/revoke/*.toml`.
//!
//! Owns the table and how a request is made of an entry. It sends nothing; the daemon does, through the gateway's
//! client.

use std::sync::LazyLock;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, header};
use include_dir::{Dir, include_dir};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::{detect::rule, secret::Secret};

static FILES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/data/revoke");
static TABLE: LazyLock<Vec<Api>> = LazyLock::new(|| {
    let texts = FILES.files().filter(|file| file.path().extension().is_some_and(|ending| ending == "toml"));
    texts.filter_map(|file| toml::from_str(file.contents_utf8()?).ok()).collect()
});

/// One issuer's way; `data/revoke/README.md` says what each member means.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Api {
    /// The rules whose keys it takes.
    pub kinds: Vec<String>,
    /// The method.
    pub method: String,
    /// The issuer's own host.
    pub base_url: String,
    /// The path below it.
    pub path: String,
    /// A self-hosted server has it too.
    #[serde(default)]
    pub own_host: bool,
    /// Where the key goes.
    pub token: Vec<Place>,
    /// The statuses that mean that it is done.
    pub success: Vec<u16>,
    /// The member of the answer that must be true.
    pub confirm: Option<String>,
    /// What else ends with it.
    pub effect: String,
    /// Where it is documented.
    pub source: String,
}

/// Where a key goes in the request.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// `Authorization: Bearer`.
    Bearer,
    /// A header of this name.
    Header(String),
    /// A member of a form body.
    Form(String),
    /// The only element of a list in a JSON body.
    JsonList(String),
}

/// The way for keys of this kind.
pub fn of_kind(kind: &str) -> Option<&'static Api> {
    TABLE.iter().find(|api| api.kinds.iter().any(|known| known == kind))
}

/// The kind that a key has by its shape alone, of those that can be revoked here.
pub fn kind_of(value: &[u8]) -> Option<&'static str> {
    let kinds = TABLE.iter().flat_map(|api| &api.kinds).filter_map(|kind| rule::named(kind));
    let mut fits = kinds.filter(|rule| !rule.words.is_empty() && rule.near.is_empty() && rule.fits(value));
    fits.next().map(|rule| rule.name)
}

impl Api {
    /// The request, with its path for a target; `None` where the key cannot stand in one.
    pub fn request(&self, key: &Secret) -> Option<Request<Bytes>> {
        let text = key.expose_str()?;
        let mut request = Request::builder()
            .method(Method::from_bytes(self.method.as_bytes()).ok()?)
            .uri(self.path.as_str())
            .header(header::ACCEPT, "application/json")
            .header(header::USER_AGENT, concat!("hallpass/", env!("CARGO_PKG_VERSION")))
            .body(Bytes::new())
            .ok()?;
        for place in &self.token {
            match place {
                Place::Bearer => {
                    let value = Zeroizing::new(format!("Bearer {text}"));
                    request.headers_mut().insert(header::AUTHORIZATION, sensitive(&value)?);
                }
                Place::Header(name) => {
                    let name = header::HeaderName::from_bytes(name.as_bytes()).ok()?;
                    request.headers_mut().insert(name, sensitive(text)?);
                }
                Place::Form(member) => {
                    let encoded = percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC);
                    set_body(&mut request, "application/x-www-form-urlencoded", format!("{member}={encoded}"));
                }
                Place::JsonList(member) => {
                    let body = serde_json::to_string(&serde_json::json!({ member.as_str(): [text] })).ok()?;
                    set_body(&mut request, "application/json", body);
                }
            }
        }
        Some(request)
    }

    /// Whether this answer says that the key is revoked.
    pub fn is_done(&self, status: u16, body: &[u8]) -> bool {
        let confirmed = self.confirm.as_ref().is_none_or(|member| {
            let answer: Option<serde_json::Value> = serde_json::from_slice(body).ok();
            answer.is_some_and(|answer| answer.get(member) == Some(&serde_json::Value::Bool(true)))
        });
        self.success.contains(&status) && confirmed
    }
}

fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn set_body(request: &mut Request<Bytes>, media: &'static str, body: String) {
    *request.body_mut() = Bytes::from_owner(Zeroizing::new(body.into_bytes()));
    request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_can_be_read_and_names_rules_that_there_are() {
        let files = FILES.files().filter(|file| file.path().extension().is_some_and(|ending| ending == "toml"));
        for file in files {
            let api: Api = toml::from_str(file.contents_utf8().unwrap()).unwrap_or_else(|e| panic!("{file:?}: {e}"));
            assert!(api.base_url.starts_with("https://") && api.path.starts_with('/'), "{file:?}");
            assert!(!api.token.is_empty() && !api.success.is_empty() && api.source.starts_with("https://"));
            assert!(api.success.iter().all(|status| (200..300).contains(status)), "a redirect revokes nothing");
            for kind in &api.kinds {
                assert!(rule::named(kind).is_some(), "{file:?}: no rule {kind}");
            }
            let request = api.request(&Secret::take_string("k+/".into())).unwrap();
            let whole = format!("{:?}{:?}", request.headers(), request.uri());
            assert!(!whole.contains("k+/"), "a key must not be shown with its request: {whole}");
        }
    }

    #[test]
    fn the_key_goes_where_the_issuer_wants_it() {
        let key = Secret::take_string("a b+c\"".into());
        let of = |kind: &str| of_kind(kind).unwrap().request(&key).unwrap();
        let github = of("github-personal-access-token");
        assert_eq!(&github.body()[..], br#"{"credentials":["a b+c\""]}"#);
        assert!(github.headers().get("authorization").is_none(), "GitHub answers 403 to an authenticated call");
        assert_eq!(&of("google-oauth-access-token").body()[..], b"token=a%20b%2Bc%22");
        let digitalocean = of("digitalocean-oauth-token");
        assert_eq!(&digitalocean.body()[..], b"token=a%20b%2Bc%22");
        assert_eq!(digitalocean.headers()["authorization"], "Bearer a b+c\"");
        assert_eq!(of("gitlab-personal-access-token").headers()["private-token"], "a b+c\"");
        assert!(of_kind("openai-project-key").is_none());
    }

    #[test]
    fn only_the_answer_that_is_documented_counts() {
        let slack = of_kind("slack-bot-token").unwrap();
        assert!(slack.is_done(200, br#"{"ok":true,"revoked":true}"#));
        for body in [&br#"{"ok":false,"error":"invalid_auth"}"#[..], br#"{"ok":true,"revoked":false}"#, b"", b"[]"] {
            assert!(!slack.is_done(200, body));
        }
        let github = of_kind("github-personal-access-token").unwrap();
        assert!(github.is_done(202, b""));
        assert!(![200, 204, 301, 403, 422].into_iter().any(|status| github.is_done(status, b"")));
    }
}
