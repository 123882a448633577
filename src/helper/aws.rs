//! `credential_process = hallpass helper aws [--profile NAME]`
//! (docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html), and the container credentials that an
//! SDK fetches over HTTP (feature-container-credentials.html in the same guide).
//!
//! Owns AWS's JSON. An access key is static: to a process it has no `Expiration`, so an SDK asks once in each. Over HTTP
//! `Token` and `Expiration` have to be there: the first is empty, the second the end of the token it was asked with.

use std::collections::BTreeMap;

use serde_json::json;
use zeroize::Zeroizing;

use super::{Call, Daemon, Output, Tool, bad, endpoint::Given as Handed, one_line};
use crate::{
    api::{
        SecretText,
        helper::{Given, HelperRequest},
        problem::Code,
    },
    error::{Error, Result},
};

pub(super) fn answer(call: &Call<'_>, daemon: &mut dyn Daemon) -> Output {
    get(call, daemon).unwrap_or_else(|error| Output::failed(&error))
}

fn get(call: &Call<'_>, daemon: &mut dyn Daemon) -> Result<Output> {
    let profile = match call.args {
        [] => (call.env)("AWS_PROFILE").unwrap_or_else(|| "default".into()),
        [option, name] if option == "--profile" => name.clone(),
        _ => return Err(bad("this contract takes --profile NAME and nothing else")),
    };
    let url = format!("profile:{profile}");
    let given = daemon.ask(HelperRequest { tool: Tool::Aws.word().into(), url, ..HelperRequest::default() })?;
    if given.kind == Given::Gateway {
        return Err(Error::new(
            Code::InvalidValue,
            format!("AWS signs its requests, and a token of {} cannot", given.issuer),
        )
        .hint(format!("hallpass helper add aws profile:{profile} {}:release --username KEY_ID", given.issuer)));
    }
    if given.kind == Given::Native {
        let (id, secret) = keys(&given.parts, &given.issuer)?;
        return Ok(Output::json(&json!({
            "Version": 1, "AccessKeyId": id, "SecretAccessKey": secret, "SessionToken": given.secret.expose(),
            "Expiration": given.expires_at,
        })));
    }
    let (id, secret, session) = parts(&profile, given.username.as_deref(), given.secret.expose())?;
    let mut answer = json!({ "Version": 1, "AccessKeyId": id, "SecretAccessKey": secret });
    if let (Some(session), Some(members)) = (session, answer.as_object_mut()) {
        members.insert("SessionToken".into(), session.into());
    }
    Ok(Output::json(&answer))
}

/// The answer to an SDK that asked over HTTP.
pub(super) fn container(profile: &str, given: &Handed<'_>) -> Result<Zeroizing<String>> {
    let (id, secret, token) = if given.parts.is_empty() {
        parts(profile, given.username, given.secret)?
    } else {
        let (id, secret) = keys(given.parts, profile)?;
        (id, secret, Some(given.secret))
    };
    let expires = jiff::Timestamp::from_second(given.expires_ms.div_euclid(1000))
        .map_err(|_| Error::internal("a lease ends at no time that can be written"))?;
    let answer = json!({ "AccessKeyId": id, "SecretAccessKey": secret, "Token": token.unwrap_or_default(),
        "Expiration": expires.to_string() });
    Ok(Zeroizing::new(answer.to_string()))
}

/// What the SDKs show of a refusal.
pub(super) fn problem(error: &Error) -> String {
    json!({ "code": error.code.word(), "message": one_line(error) }).to_string()
}

/// Id and secret of what AWS itself issued; the session token is the token.
fn keys<'a>(parts: &'a BTreeMap<String, SecretText>, issuer: &str) -> Result<(&'a str, &'a str)> {
    let part = |name: &str| parts.get(name).map(SecretText::expose);
    part("access_key_id").zip(part("secret_access_key")).ok_or_else(|| {
        Error::new(Code::InvalidValue, format!("AWS signs its requests, and a token of {issuer} cannot"))
            .hint("give the profile's [[helper]] an issuer of the kind aws")
    })
}

/// Id, secret and session token. A credential may be `KEY_ID:SECRET` as a whole, or `KEY_ID:SECRET:SESSION_TOKEN` for
/// what AWS gave for a while (Claude Code's `awsCredentialExport` takes nothing else).
fn parts<'a>(profile: &str, username: Option<&'a str>, secret: &'a str) -> Result<(&'a str, &'a str, Option<&'a str>)> {
    let session = |rest: &'a str| rest.split_once(':').map_or((rest, None), |(secret, token)| (secret, Some(token)));
    let (id, (secret, token)) = match (username, secret.split_once(':')) {
        (Some(id), _) => (id, session(secret)),
        (None, Some((id, rest))) => (id, session(rest)),
        (None, None) => {
            return Err(Error::new(Code::InvalidValue, "AWS needs the access key's id too").hint(format!(
                "give the [[helper]] for profile:{profile} its `username`, or keep the credential as KEY_ID:SECRET"
            )));
        }
    };
    Ok((id, secret, token.filter(|token| !token.is_empty())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::helper::testing::Fake;

    #[test]
    fn the_documented_exchange() {
        let mut fake = Fake::credential(Some("ID"));
        let says = "{\"AccessKeyId\":\"ID\",\"SecretAccessKey\":\"S3CRET\",\"Version\":1}\n";
        assert_eq!(fake.run(Tool::Aws, &["--profile", "work"], b"").out.as_str(), says);
        fake.run(Tool::Aws, &[], b"");
        fake.run_in(Tool::Aws, &[], b"", &|_| Some("env".into()));
        let asked: Vec<&str> = fake.asked.iter().map(|request| request.url.as_str()).collect();
        assert_eq!(asked, ["profile:work", "profile:default", "profile:env"]);
        let mut role = Fake::token();
        role.says = role.says.map(|given| crate::api::helper::HelperAnswer {
            kind: Given::Native,
            parts: [("access_key_id", "ASIA"), ("secret_access_key", "K")]
                .map(|(name, text)| (name.to_owned(), SecretText::new(text)))
                .into(),
            ..given
        });
        assert_eq!(
            role.run(Tool::Aws, &[], b"").out.as_str(),
            "{\"AccessKeyId\":\"ASIA\",\"Expiration\":\"2026-01-02T03:04:05Z\",\"SecretAccessKey\":\"K\",\"SessionToken\":\"S3CRET\",\"Version\":1}\n"
        );
        let mut whole = Fake::credential(None);
        assert_eq!(whole.run(Tool::Aws, &[], b"").code, 1);
        whole.says =
            whole.says.map(|given| crate::api::helper::HelperAnswer { secret: SecretText::new("ID:S3CRET"), ..given });
        assert_eq!(whole.run(Tool::Aws, &[], b"").out.as_str(), says);
        let lent = "{\"AccessKeyId\":\"ID\",\"SecretAccessKey\":\"S\",\"SessionToken\":\"T/+=\",\"Version\":1}\n";
        whole.says =
            whole.says.map(|given| crate::api::helper::HelperAnswer { secret: SecretText::new("ID:S:T/+="), ..given });
        assert_eq!(whole.run(Tool::Aws, &[], b"").out.as_str(), lent);
        for mut fake in [Fake::token(), Fake::error(Code::NotFound), Fake::error(Code::DaemonUnavailable)] {
            let output = fake.run(Tool::Aws, &[], b"");
            assert!(output.code == 1 && output.out.is_empty() && output.say.is_some());
        }
        assert_eq!(fake.run(Tool::Aws, &["--nonsense"], b"").code, 1);
    }

    #[test]
    fn over_http_the_members_that_the_sdks_insist_on() {
        let none = BTreeMap::new();
        let given = |username, secret| Handed { secret, username, expires_ms: 1_767_323_045_999, parts: &none };
        let says = r#"{"AccessKeyId":"ID","Expiration":"2026-01-02T03:04:05Z","SecretAccessKey":"S","Token":""}"#;
        assert_eq!(container("work", &given(Some("ID"), "S")).unwrap().as_str(), says);
        assert_eq!(container("work", &given(None, "ID:S")).unwrap().as_str(), says);
        let lent = container("work", &given(None, "ID:S:T")).unwrap();
        assert!(lent.contains(r#""SecretAccessKey":"S","Token":"T""#), "{}", lent.as_str());
        assert!(container("work", &given(None, "S")).unwrap_err().hint.unwrap().contains("profile:work"));
        let parts = [("access_key_id", "ASIA"), ("secret_access_key", "K")];
        let parts = parts.map(|(name, text)| (name.to_owned(), SecretText::new(text))).into();
        let native = Handed { parts: &parts, ..given(None, "SESSION") };
        assert_eq!(
            container("work", &native).unwrap().as_str(),
            r#"{"AccessKeyId":"ASIA","Expiration":"2026-01-02T03:04:05Z","SecretAccessKey":"K","Token":"SESSION"}"#
        );
        assert_eq!(problem(&bad("no").hint("do")), r#"{"code":"bad_request","message":"hallpass: no; do"}"#);
    }
}
