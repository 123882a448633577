//! `cargo-credential-hallpass --cargo-plugin`: Cargo's credential provider protocol, version 1
//! (doc.rust-lang.org/cargo/reference/credential-provider-protocol.html).
//!
//! Owns the JSON lines: one from us first, then one for each request. What Cargo is about to do and to which crate
//! becomes the operation and the resource, so that a token to publish one crate is not one to publish another. What is
//! not ours is `url-not-supported`, which sends Cargo to its next provider.

use serde::Deserialize;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{Daemon, MAX_INPUT, Tool, is_not_ours, one_line, unix};
use crate::{
    api::helper::{Given, HelperAnswer, HelperRequest},
    error::{Error, Result},
};

/// What is said first.
pub const HELLO: &str = "{\"v\":[1]}";

#[derive(Deserialize)]
struct Request {
    v: u32,
    kind: String,
    #[serde(default)]
    operation: Option<String>,
    #[serde(default)]
    name: Option<String>,
    registry: Registry,
    #[serde(default)]
    args: Vec<String>,
}

#[derive(Deserialize)]
struct Registry {
    #[serde(rename = "index-url")]
    index_url: String,
}

/// The answer to one line, and the line for standard error.
pub fn answer(line: &[u8], daemon: &mut dyn Daemon) -> (Zeroizing<String>, Option<String>) {
    let told = match read(line) {
        Ok(request) => perform(&request, daemon),
        Err(error) => Err(error),
    };
    let (value, say) = match told {
        Ok(value) => (value, None),
        Err(error) => {
            let line = one_line(&error);
            (json!({ "Err": { "kind": "other", "message": line, "caused-by": [] } }), Some(line))
        }
    };
    (Zeroizing::new(value.to_string()), say)
}

fn read(line: &[u8]) -> Result<Request> {
    if line.len() > MAX_INPUT {
        return Err(super::bad(format!("Cargo sent a line of more than {} KiB", MAX_INPUT / 1024)));
    }
    let request: Request =
        serde_json::from_slice(line).map_err(|_| super::bad("Cargo sent a line that is no request of version 1"))?;
    if request.v != 1 {
        return Err(super::bad(format!("Cargo speaks version {} of the protocol, and this is version 1", request.v)));
    }
    Ok(request)
}

fn perform(request: &Request, daemon: &mut dyn Daemon) -> Result<Value> {
    match request.kind.as_str() {
        "get" => {}
        // Nothing is kept, so there is nothing to log out of.
        "logout" => return Ok(json!({ "Err": { "kind": "not-found" } })),
        _ => return Ok(json!({ "Err": { "kind": "operation-not-supported" } })),
    }
    let url = &request.registry.index_url;
    let url = url.strip_prefix("sparse+").or_else(|| url.strip_prefix("registry+")).unwrap_or(url);
    let asked = HelperRequest {
        tool: Tool::Cargo.word().into(),
        url: url.to_owned(),
        operation: request.operation.clone(),
        resource: request.name.clone(),
        ..HelperRequest::default()
    };
    daemon.options(&request.args);
    match daemon.ask(asked) {
        Ok(given) => give(&given),
        Err(error) if is_not_ours(&error) => Ok(json!({ "Err": { "kind": "url-not-supported" } })),
        Err(error) => Err(error),
    }
}

/// Cargo sends the text as the whole value of `Authorization`: a registry's own token stands there bare.
fn give(given: &HelperAnswer) -> Result<Value> {
    let shaped = super::header(given).map(|(_, value)| value);
    let token = match given.kind {
        Given::Gateway | Given::Native => shaped.ok_or_else(|| super::no_header(given))?,
        Given::Static => Zeroizing::new(given.secret.expose().to_owned()),
    };
    if token.bytes().any(|b| b.is_ascii_control()) {
        return Err(Error { hint: None, ..super::no_header(given) });
    }
    // It is for this operation and crate: Cargo asks again for another. A credential is not kept even in Cargo's
    // memory, so that each use is decided and on record.
    let mut ok = json!({ "kind": "get", "token": token.as_str(), "cache": "never", "operation_independent": false });
    if let (Some(at), Some(members)) = (unix(given), ok.as_object_mut()) {
        members.insert("cache".into(), "expires".into());
        members.insert("expiration".into(), at.into());
    }
    Ok(json!({ "Ok": ok }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{api::problem::Code, helper::testing::Fake};

    fn say(fake: &mut Fake, line: &str) -> (Value, Option<String>) {
        let (out, say) = answer(line.as_bytes(), fake);
        (serde_json::from_str(&out).unwrap(), say)
    }

    const READ: &str = r#"{"v":1,"registry":{"index-url":"sparse+https://h/i/","name":"my","headers":["WWW-Authenticate: Cargo"]},"kind":"get","operation":"read","args":[]}"#;
    const PUBLISH: &str = r#"{"v":1,"kind":"get","operation":"publish","name":"sample","vers":"0.1.0","cksum":"00","registry":{"index-url":"sparse+https://h/i/"},"args":["--want","x:publish"]}"#;

    #[test]
    fn a_token_goes_as_the_header_and_with_its_end() {
        let (answer, say) = say(&mut Fake::token(), READ);
        assert_eq!(say, None);
        let expected = json!({ "Ok": { "kind": "get", "token": "Bearer S3CRET", "cache": "expires",
            "expiration": 1_767_323_045, "operation_independent": false } });
        assert_eq!(answer, expected);
    }

    #[test]
    fn a_credential_goes_bare_and_is_never_kept() {
        let (answer, _) = say(&mut Fake::credential(None), READ);
        assert_eq!((answer["Ok"]["token"].as_str(), answer["Ok"]["cache"].as_str()), (Some("S3CRET"), Some("never")));
    }

    #[test]
    fn operation_and_crate_are_told_and_arguments_come_with_the_request() {
        let mut fake = Fake::token();
        assert_eq!(say(&mut fake, PUBLISH).1, None);
        assert_eq!(fake.options, ["--want", "x:publish"]);
        let asked = &fake.asked[0];
        assert_eq!((asked.tool.as_str(), asked.url.as_str()), ("cargo", "https://h/i/"));
        assert_eq!((asked.operation.as_deref(), asked.resource.as_deref()), (Some("publish"), Some("sample")));
    }

    #[test]
    fn each_error_has_its_kind() {
        let kind = |code, line: &str| say(&mut Fake::error(code), line).0["Err"]["kind"].as_str().unwrap().to_owned();
        assert_eq!(kind(Code::NotFound, READ), "url-not-supported");
        assert_eq!(kind(Code::NoGrant, READ), "other");
        assert_eq!(kind(Code::DaemonUnavailable, READ), "other");
        assert_eq!(kind(Code::NoGrant, &READ.replace("\"get\"", "\"login\"")), "operation-not-supported");
        assert_eq!(kind(Code::NoGrant, &READ.replace("\"get\"", "\"logout\"")), "not-found");
        assert_eq!(kind(Code::NoGrant, &READ.replace("\"get\"", "\"from-the-future\"")), "operation-not-supported");
        let (answer, line) = say(&mut Fake::error(Code::NoGrant), READ);
        assert_eq!(answer["Err"]["message"].as_str(), line.as_deref());
        for odd in ["", "{", "[]", "{\"v\":1}", &READ.replace("\"v\":1", "\"v\":2"), &"x".repeat(MAX_INPUT + 1)] {
            let (answer, line) = say(&mut Fake::token(), odd);
            assert_eq!(answer["Err"]["kind"], "other");
            assert!(line.is_some_and(|line| line.len() < 200));
        }
    }
}
