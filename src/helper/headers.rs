//! `hallpass helper headers [URL]`: one JSON object of HTTP headers, for clients that run a command to get them
//! (`headersHelper`, `http_headers_helper`, `otelHeadersHelper`).

use serde_json::json;

use super::{Call, Daemon, Output, Tool, bad, no_header};
use crate::api::helper::HelperRequest;

pub(super) fn answer(call: &Call<'_>, daemon: &mut dyn Daemon) -> Output {
    if call.args.len() > 1 {
        return Output::failed(&bad("this takes one URL").hint("hallpass helper headers --want ISSUER:SCOPE")).code(2);
    }
    let url = call.arg(0).unwrap_or_default().to_owned();
    let request = HelperRequest { tool: Tool::Headers.word().into(), url, ..HelperRequest::default() };
    let given = daemon.ask(request);
    let header = given.and_then(|given| super::header(&given).ok_or_else(|| no_header(&given)));
    match header {
        Ok((name, value)) => Output::json(&json!({ name: value.as_str() })),
        Err(error) => Output::failed(&error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api::{
            helper::{Header, HelperAnswer},
            problem::Code,
        },
        helper::testing::Fake,
    };

    #[test]
    fn the_header_is_the_one_the_api_reads() {
        let mut fake = Fake::token();
        let run = |fake: &mut Fake| fake.run(Tool::Headers, &["https://h/mcp"], b"");
        assert_eq!(run(&mut fake).out.as_str(), "{\"Authorization\":\"Bearer S3CRET\"}\n");
        assert_eq!(fake.asked[0].url, "https://h/mcp");
        let with = |header| Fake::new(Fake::token().says.map(|given| HelperAnswer { header, ..given }));
        let own = |name: &str, base64| Some(Header { name: name.into(), prefix: String::new(), base64 });
        assert_eq!(run(&mut with(own("x-api-key", false))).out.as_str(), "{\"x-api-key\":\"S3CRET\"}\n");
        assert_eq!(run(&mut with(own("a", true))).out.as_str(), "{\"a\":\"UzNDUkVU\"}\n");
        assert_eq!(run(&mut with(None)).code, 1);
        let output = run(&mut Fake::error(Code::NotFound));
        assert!(output.code == 1 && output.out.is_empty() && output.say.is_some());
        assert_eq!(fake.run(Tool::Headers, &["a", "b"], b"").code, 2);
    }
}
