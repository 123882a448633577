//! `terraform-credentials-hallpass [ARGS] get|store|forget HOST`
//! (developer.hashicorp.com/terraform/internals/credentials-helpers).
//!
//! Owns Terraform's JSON: `{"token": ...}`, or `{}` where there is none. `store` is refused, `forget` has nothing to
//! forget.

use serde_json::json;

use super::{Call, Daemon, Output, Tool, as_url, bad, is_not_ours};
use crate::{
    api::{helper::HelperRequest, problem::Code},
    error::Error,
};

pub(super) fn answer(call: &Call<'_>, daemon: &mut dyn Daemon) -> Output {
    match (call.arg(0), call.arg(1)) {
        (Some("get"), Some(host)) if call.args.len() == 2 => {
            let url = as_url(host);
            match daemon.ask(HelperRequest { tool: Tool::Terraform.word().into(), url, ..HelperRequest::default() }) {
                Ok(given) => Output::json(&json!({ "token": given.secret.expose() })),
                Err(error) if is_not_ours(&error) => Output::line("{}"),
                Err(error) => Output::failed(&error),
            }
        }
        (Some("store"), Some(_)) => Output::failed(
            &Error::new(Code::Denied, "hallpass keeps nothing that Terraform stores")
                .hint("`terraform login` is not needed: hallpass helper add terraform https://HOST ISSUER:release"),
        ),
        (Some("forget"), Some(_)) => Output::silent(),
        _ => Output::failed(&bad("Terraform says get, store or forget, and a host")).code(2),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::helper::testing::Fake;

    #[test]
    fn the_documented_exchange() {
        let run = |fake: &mut Fake, args: &[&str], input: &str| {
            let output = fake.run(Tool::Terraform, args, input.as_bytes());
            (output.out.to_string(), output.say.is_some(), output.code)
        };
        let mut fake = Fake::token();
        assert_eq!(run(&mut fake, &["get", "app.terraform.io"], ""), ("{\"token\":\"S3CRET\"}\n".into(), false, 0));
        assert_eq!(fake.asked[0].url, "https://app.terraform.io");
        assert_eq!(run(&mut fake, &["store", "h"], "{\"token\":\"x\"}"), (String::new(), true, 1));
        assert_eq!(run(&mut fake, &["forget", "h"], ""), (String::new(), false, 0));
        assert_eq!(run(&mut fake, &["get"], ""), (String::new(), true, 2));
        assert_eq!(run(&mut Fake::error(Code::NotFound), &["get", "h"], ""), ("{}\n".into(), false, 0));
        assert_eq!(run(&mut Fake::error(Code::NoGrant), &["get", "h"], ""), (String::new(), true, 1));
    }
}
