//! Signing in from a machine without a browser (RFC 8628): a code that a person enters elsewhere.
//!
//! Owns the request that starts it, the reading of its answer, and how often the server is asked whether it is done.

use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};

use super::Settings;
use crate::{
    issuer::{
        Call, Draw, Failure,
        answer::{self, text, unreadable},
        form::Form,
        split_url,
    },
    secret::Secret,
};

/// How often the server is asked, where it does not say (section 3.2).
const INTERVAL: Duration = Duration::from_secs(5);
/// What is added whenever it says that this is too often (section 3.5).
pub const SLOWER: Duration = Duration::from_secs(5);
/// The longest that a code is waited for.
const LONGEST: Duration = Duration::from_secs(1800);

/// What a person needs, and what the server is asked with meanwhile.
pub struct Started {
    /// What the server is asked with.
    pub device_code: Secret,
    /// What the person enters.
    pub user_code: String,
    /// Where.
    pub verification_uri: String,
    /// The same with the code in it, where the server has such an address.
    pub complete: Option<String>,
    /// For how long it can be entered.
    pub life: Duration,
    /// How often the server may be asked.
    pub interval: Duration,
}

/// What the server says while nobody has entered the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// Ask again.
    Pending,
    /// Ask again, more slowly from now on.
    SlowDown,
}

/// The request that starts it.
pub fn request(
    settings: &Settings,
    secret: &Secret,
    scopes: &[String],
    resource: Option<&str>,
    draw: &Draw,
) -> Result<Call, Failure> {
    let url = settings.device_url.as_ref();
    let url = url.ok_or_else(|| Failure::Settings("it has no device_url to sign in at without a browser".into()))?;
    let mut form = Form::default();
    if !scopes.is_empty() {
        form.add("scope", scopes.join(" ").as_bytes());
    }
    if let Some(resource) = resource {
        form.add("resource", resource.as_bytes());
    }
    if matches!(settings.auth, super::ClientAuth::ClientSecretBasic) {
        // Section 3.1: it is in the body also where the client proves itself by its header.
        form.add("client_id", settings.client_id.as_bytes());
    }
    settings.call(url, form, secret, draw)
}

/// What came of it.
pub fn started(settings: &Settings, answer: &Response<Bytes>) -> Result<Started, Failure> {
    if answer.status() != StatusCode::OK {
        return Err(settings.refusal(answer));
    }
    let members = answer::object(answer)?;
    let word = |name: &str| text(&members, name).filter(|text| !text.is_empty() && text.len() <= 1024);
    let device_code = word("device_code").ok_or_else(|| unreadable("it holds no device code"))?;
    let user_code = word("user_code").ok_or_else(|| unreadable("it holds no code for the user"))?;
    // Google's name for it came before the RFC's.
    let uri = word("verification_uri").or_else(|| word("verification_url")).filter(|uri| is_page(uri));
    let seconds = |name: &str| members.get(name).and_then(serde_json::Value::as_u64).map(Duration::from_secs);
    Ok(Started {
        device_code: Secret::take_string(device_code.to_owned()),
        user_code: user_code.to_owned(),
        verification_uri: uri.ok_or_else(|| unreadable("it says not where to enter the code"))?.to_owned(),
        complete: word("verification_uri_complete").filter(|uri| is_page(uri)).map(ToOwned::to_owned),
        life: seconds("expires_in").unwrap_or(LONGEST).min(LONGEST),
        interval: seconds("interval").unwrap_or(INTERVAL).clamp(Duration::from_secs(1), Duration::from_secs(60)),
    })
}

/// Whether the answer to a question for the token is that nobody has entered the code yet.
pub fn waiting(answer: &Response<Bytes>) -> Option<Waiting> {
    if answer.status().is_success() {
        return None;
    }
    match text(&answer::object(answer).ok()?, "error")? {
        "authorization_pending" => Some(Waiting::Pending),
        "slow_down" => Some(Waiting::SlowDown),
        _ => None,
    }
}

/// Whether it is an address that a browser should open.
fn is_page(uri: &str) -> bool {
    let plain = uri.split(['?', '#']).next().unwrap_or_default();
    (uri.starts_with("https://") || uri.starts_with("http://"))
        && uri.bytes().all(|byte| byte.is_ascii_graphic())
        && split_url(plain).is_some()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::issuer::oauth::tests::{DRAW, answer, fields, settings};

    #[test]
    fn it_starts_with_what_is_asked_and_an_answer_that_a_person_can_use() {
        let settings =
            Settings { device_url: Some("https://as/device".into()), ..settings(super::super::ClientAuth::None) };
        let call = request(&settings, &Secret::take(Vec::new()), &["a".into()], Some("https://h/mcp"), &DRAW).unwrap();
        let said = fields(&call);
        assert_eq!((said["client_id"].as_str(), said["scope"].as_str()), ("my app", "a"));
        assert_eq!(said["resource"], "https://h/mcp");
        let good =
            json!({ "device_code": "d", "user_code": "AB-CD", "verification_uri": "https://as/go", "expires_in": 60 });
        let read = |body: &serde_json::Value| started(&settings, &answer(200, body));
        let found = read(&good).unwrap();
        assert_eq!((found.user_code.as_str(), found.interval, found.life.as_secs()), ("AB-CD", INTERVAL, 60));
        for (name, value) in [
            ("device_code", json!("")),
            ("user_code", json!(7)),
            ("verification_uri", json!("javascript:alert(1)")),
            ("verification_uri", json!("https://as/a b")),
        ] {
            let mut odd = good.clone();
            odd[name] = value;
            assert!(matches!(read(&odd), Err(Failure::Answer { .. })), "{odd}");
        }
    }

    #[test]
    fn only_two_words_mean_that_it_goes_on() {
        let said = |code: &str| waiting(&answer(400, &json!({ "error": code })));
        assert_eq!(said("authorization_pending"), Some(Waiting::Pending));
        assert_eq!(said("slow_down"), Some(Waiting::SlowDown));
        assert_eq!(said("expired_token"), None);
        assert_eq!(waiting(&answer(200, &json!({ "error": "slow_down" }))), None);
    }
}
