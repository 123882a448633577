//! `hallpass helper bazel get`: the credential helper of Bazel, which uv and others speak too
//! (github.com/EngFlow/credential-helper-spec).
//!
//! Owns its JSON: a URI in, headers and their end out. A URI that is nobody's gets no headers.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Call, Daemon, Output, Tool, bad, is_not_ours, no_header};
use crate::{api::helper::HelperRequest, error::Result};

#[derive(Deserialize)]
struct Request {
    uri: String,
}

pub(super) fn answer(call: &Call<'_>, daemon: &mut dyn Daemon) -> Output {
    if call.arg(0) != Some("get") {
        return Output::failed(&bad("this contract has `get` and nothing else")).code(2);
    }
    get(call, daemon).map_or_else(|error| Output::failed(&error), |value| Output::json(&value))
}

fn get(call: &Call<'_>, daemon: &mut dyn Daemon) -> Result<Value> {
    let request: Request =
        serde_json::from_str(call.text()?).map_err(|_| bad("the tool sent something other than {\"uri\": URI}"))?;
    let request = HelperRequest { tool: Tool::Bazel.word().into(), url: request.uri, ..HelperRequest::default() };
    let given = match daemon.ask(request) {
        Ok(given) => given,
        Err(error) if is_not_ours(&error) => return Ok(json!({ "headers": {} })),
        Err(error) => return Err(error),
    };
    let (name, value) = super::header(&given).ok_or_else(|| no_header(&given))?;
    let mut answer = json!({ "headers": { name: [value.as_str()] } });
    if let (Some(at), Some(members)) = (given.expires_at, answer.as_object_mut()) {
        members.insert("expires".into(), at.into());
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{api::problem::Code, helper::testing::Fake};

    #[test]
    fn the_documented_exchange() {
        let run = |fake: &mut Fake, args: &[&str], input: &str| {
            let output = fake.run(Tool::Bazel, args, input.as_bytes());
            (output.out.to_string(), output.say.is_some(), output.code)
        };
        let asks = "{\"uri\":\"https://h/a/b\"}";
        let says = "{\"expires\":\"2026-01-02T03:04:05Z\",\"headers\":{\"Authorization\":[\"Bearer S3CRET\"]}}\n";
        assert_eq!(run(&mut Fake::token(), &["get"], asks), (says.into(), false, 0));
        let bare = "{\"headers\":{\"Authorization\":[\"Bearer S3CRET\"]}}\n";
        assert_eq!(run(&mut Fake::credential(None), &["get"], asks), (bare.into(), false, 0));
        assert_eq!(run(&mut Fake::error(Code::NotFound), &["get"], asks), ("{\"headers\":{}}\n".into(), false, 0));
        assert_eq!(run(&mut Fake::error(Code::NoGrant), &["get"], asks), (String::new(), true, 1));
        for odd in ["", "{}", "[", &"a".repeat(super::super::MAX_INPUT + 1)] {
            assert_eq!(run(&mut Fake::token(), &["get"], odd), (String::new(), true, 1));
        }
        assert_eq!(run(&mut Fake::token(), &["put"], asks).2, 2);
    }
}
