//! `credential_process = hallpass helper aws [--profile NAME]`
//! (docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html).
//!
//! Owns AWS's JSON, version 1. An access key is static: it has no `Expiration`, so an SDK asks once in each process.

use serde_json::json;

use super::{Call, Daemon, Output, Tool, bad};
use crate::{
    api::{
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
    // A credential may be `KEY_ID:SECRET` as a whole.
    let (id, secret) = match (&given.username, given.secret.expose().split_once(':')) {
        (Some(id), _) => (id.as_str(), given.secret.expose()),
        (None, Some(both)) => both,
        (None, None) => {
            return Err(Error::new(Code::InvalidValue, "AWS needs the access key's id too").hint(format!(
                "give the [[helper]] for profile:{profile} its `username`, or keep the credential as KEY_ID:SECRET"
            )));
        }
    };
    Ok(Output::json(&json!({ "Version": 1, "AccessKeyId": id, "SecretAccessKey": secret })))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{api::SecretText, helper::testing::Fake};

    #[test]
    fn the_documented_exchange() {
        let mut fake = Fake::credential(Some("ID"));
        let says = "{\"AccessKeyId\":\"ID\",\"SecretAccessKey\":\"S3CRET\",\"Version\":1}\n";
        assert_eq!(fake.run(Tool::Aws, &["--profile", "work"], b"").out.as_str(), says);
        fake.run(Tool::Aws, &[], b"");
        fake.run_in(Tool::Aws, &[], b"", &|_| Some("env".into()));
        let asked: Vec<&str> = fake.asked.iter().map(|request| request.url.as_str()).collect();
        assert_eq!(asked, ["profile:work", "profile:default", "profile:env"]);
        let mut whole = Fake::credential(None);
        assert_eq!(whole.run(Tool::Aws, &[], b"").code, 1);
        whole.says =
            whole.says.map(|given| crate::api::helper::HelperAnswer { secret: SecretText::new("ID:S3CRET"), ..given });
        assert_eq!(whole.run(Tool::Aws, &[], b"").out.as_str(), says);
        for mut fake in [Fake::token(), Fake::error(Code::NotFound), Fake::error(Code::DaemonUnavailable)] {
            let output = fake.run(Tool::Aws, &[], b"");
            assert!(output.code == 1 && output.out.is_empty() && output.say.is_some());
        }
        assert_eq!(fake.run(Tool::Aws, &["--nonsense"], b"").code, 1);
    }
}
