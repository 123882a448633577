//! Rich authorization requests (RFC 9396): what is asked for where a scope is too coarse.
//!
//! Owns the text of the config that becomes the request's array.

use serde_json::Value;

use super::Settings;
use crate::{
    issuer::Failure,
    scope::{Wanted, any_resource},
    strict_json,
};

impl Settings {
    /// The details for what is wanted, where the config has some.
    pub(super) fn details(&self, what: &Wanted) -> Result<Option<Value>, Failure> {
        let Some(text) = &self.authorization_details else { return Ok(None) };
        let mut named = what.resources.iter().map(ToString::to_string);
        let resource = match (named.next(), named.next()) {
            _ if !text.contains("{resource}") => String::new(),
            (Some(one), None) if !one.ends_with('*') && what.resources != any_resource() => one,
            _ => return Err(Failure::Narrow("each of its tokens is for one resource; name it: @RESOURCE".into())),
        };
        let details = read(text, &resource);
        details.map(Some).ok_or_else(|| Failure::Settings("its authorization_details cannot be read".into()))
    }
}

/// The array, with the resource in its place. A resource has no character that JSON would have to escape.
pub(super) fn read(text: &str, resource: &str) -> Option<Value> {
    let details = strict_json::parse(text.replace("{resource}", resource).as_bytes()).ok()?;
    let typed = |one: &Value| one.get("type").is_some_and(Value::is_string);
    details.as_array().is_some_and(|all| !all.is_empty() && all.iter().all(typed)).then_some(details)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::{
        issuer::{
            Order,
            oauth::{
                ClientAuth,
                tests::{DRAW, answer, fields, settings},
            },
            tests::nobody,
        },
        secret::Secret,
    };

    #[test]
    fn what_is_granted_is_what_was_asked_to_the_letter() {
        let text = r#"[{"type":"repository","identifier":"{resource}","actions":["read"]}]"#;
        let settings = Settings {
            authorization_details: Some(text.into()),
            resource: None,
            ..settings(ClientAuth::ClientSecretBasic)
        };
        let what: Wanted = "x:a@acme/web".parse().unwrap();
        let order = Order { what: &what, ttl: Duration::from_secs(60), who: nobody() };
        let asked = json!([{ "type": "repository", "identifier": "acme/web", "actions": ["read"] }]);
        let call = settings.request(&order, &Secret::take(b"s".to_vec()), &DRAW).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&fields(&call)["authorization_details"]).unwrap(), asked);
        let read = |details: Value| {
            let body = json!({ "access_token": "t", "token_type": "Bearer", "expires_in": 60, "scope": "a", "authorization_details": details });
            settings.read(&order, &answer(200, &body), &DRAW)
        };
        assert!(read(asked.clone()).is_ok());
        let wider = json!([{ "type": "repository", "identifier": "acme/web", "actions": ["read", "write"] }]);
        for odd in [wider, json!([]), Value::Null, json!("x")] {
            assert!(matches!(read(odd), Err(Failure::Answer { token: Some(_), .. })));
        }
        for odd in ["x:a", "x:a@b,c", "x:a@b/*"] {
            assert!(matches!(settings.details(&odd.parse().unwrap()), Err(Failure::Narrow(_))), "{odd}");
        }
        for odd in ["", "[]", "{}", "[1]", r#"[{"type":1}]"#, r#"[{"type":"a","type":"b"}]"#] {
            assert!(super::read(odd, "r").is_none(), "{odd}");
        }
    }
}
