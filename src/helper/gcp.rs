//! `hallpass helper gcp`: Google's executable-sourced credentials (google.aip.dev/auth/4117; google-auth's
//! `pluggable.py`).
//!
//! Owns Google's JSON, version 1. What goes out is the subject token for Google's token exchange, not an access token.
//! Clients merge standard error into standard output, so nothing is ever said there, and an error is a JSON answer
//! with exit code 0.

use serde_json::{Value, json};

use super::{Call, Daemon, Output, Tool, one_line};
use crate::{
    api::{
        helper::{Given, HelperRequest},
        problem::Code,
    },
    error::{Error, Result},
};

/// The kind where the configuration says none.
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
/// The kinds of subject token that the exchange takes, and the member each is in.
const TYPES: [(&str, &str); 3] = [
    (JWT, "id_token"),
    ("urn:ietf:params:oauth:token-type:id_token", "id_token"),
    ("urn:ietf:params:oauth:token-type:saml2", "saml_response"),
];
pub(super) fn answer(call: &Call<'_>, daemon: &mut dyn Daemon) -> Output {
    let told = get(call, daemon).unwrap_or_else(
        |error| json!({ "version": 1, "success": false, "code": error.code.word(), "message": one_line(&error) }),
    );
    Output::json(&told)
}

fn get(call: &Call<'_>, daemon: &mut dyn Daemon) -> Result<Value> {
    let audience = (call.env)("GOOGLE_EXTERNAL_ACCOUNT_AUDIENCE").unwrap_or_else(|| "unknown".into());
    let kind = (call.env)("GOOGLE_EXTERNAL_ACCOUNT_TOKEN_TYPE").unwrap_or_else(|| JWT.into());
    let (kind, member) = TYPES
        .into_iter()
        .find(|(known, _)| *known == kind)
        .ok_or_else(|| super::bad("this kind of subject token is not known here"))?;
    let url = format!("audience:{audience}");
    let given = daemon.ask(HelperRequest { tool: Tool::Gcp.word().into(), url, ..HelperRequest::default() })?;
    if given.kind == Given::Gateway {
        return Err(Error::new(Code::InvalidValue, "Google's token exchange takes no hallpass token")
            .hint(format!("want {}:release", given.issuer)));
    }
    // google-auth reads `expiration_time` only where it keeps the answer in a file, and then refuses one without it:
    // a credential is not for files.
    Ok(json!({ "version": 1, "success": true, "token_type": kind, member: given.secret.expose() }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::helper::testing::Fake;

    #[test]
    fn the_documented_exchange() {
        let env = |name: &str| match name {
            "GOOGLE_EXTERNAL_ACCOUNT_AUDIENCE" => Some("//iam.googleapis.com/projects/1/x".to_owned()),
            "GOOGLE_EXTERNAL_ACCOUNT_TOKEN_TYPE" => Some(TYPES[1].0.to_owned()),
            _ => None,
        };
        let run = |fake: &mut Fake| {
            let output = fake.run_in(Tool::Gcp, &[], b"", &env);
            assert_eq!((output.say, output.code), (None, 0), "standard error would be read as JSON");
            serde_json::from_str::<Value>(&output.out).unwrap()
        };
        let mut fake = Fake::credential(None);
        let said = run(&mut fake);
        assert_eq!((&said["success"], &said["id_token"]), (&true.into(), &"S3CRET".into()));
        assert_eq!((&said["token_type"], &said["version"]), (&TYPES[1].0.into(), &1.into()));
        assert_eq!(fake.asked[0].url, "audience://iam.googleapis.com/projects/1/x");
        for mut fake in [Fake::token(), Fake::error(Code::NoGrant), Fake::error(Code::DaemonUnavailable)] {
            let said = run(&mut fake);
            assert_eq!(said["success"], false);
            assert!(said["code"].is_string() && said["message"].as_str().unwrap().starts_with("hallpass: "));
        }
    }
}
