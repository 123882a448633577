//! `GOAUTH="hallpass helper go"` (`go help goauth`).
//!
//! Owns Go's blocks: URLs, an empty line, headers, an empty line. Go first calls without a URL, and again with one
//! after the server refused a request without a header. The first call is answered with nothing, so that no token is
//! made for a build that needs none.

use super::{Call, Daemon, Output, Tool, is_not_ours, no_header};
use crate::api::helper::HelperRequest;

pub(super) fn answer(call: &Call<'_>, daemon: &mut dyn Daemon) -> Output {
    // Go takes headers for https only, and anything with a line end in it would be read as lines.
    let Some(asked) = call.arg(0).filter(|url| url.starts_with("https://") && !url.contains(['\n', '\r'])) else {
        return Output::silent();
    };
    let request = HelperRequest { tool: Tool::Go.word().into(), url: asked.to_owned(), ..HelperRequest::default() };
    let given = match daemon.ask(request) {
        Ok(given) => given,
        Err(error) if is_not_ours(&error) => return Output::silent(),
        Err(error) => return Output::failed(&error),
    };
    let Some((name, value)) = super::header(&given) else { return Output::failed(&no_header(&given)) };
    // Go sends the header to all that is below this URL: as much as the config says, where it says https.
    let stem = given.url.as_deref().map(|url| url.trim_end_matches('*').trim_end_matches('/'));
    let prefix = stem.filter(|stem| stem.starts_with("https://")).unwrap_or(asked);
    Output::new(format!("{prefix}\n\n{name}: {}\n\n", value.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{api::problem::Code, helper::testing::Fake};

    #[test]
    fn the_documented_exchange() {
        let mut fake = Fake::token();
        let run = |fake: &mut Fake, args: &[&str]| {
            let output = fake.run(Tool::Go, args, b"");
            (output.out.to_string(), output.say.is_some(), output.code)
        };
        for none in [&[][..], &["http://h/a"], &["https://h/a\n\nX: y"]] {
            assert_eq!(run(&mut fake, none), (String::new(), false, 0));
        }
        assert!(fake.asked.is_empty());
        let said = "https://h/a\n\nAuthorization: Bearer S3CRET\n\n";
        assert_eq!(run(&mut fake, &["https://h/a/b/@v/list"]), (said.into(), false, 0));
        assert_eq!(fake.asked[0].url, "https://h/a/b/@v/list");
        assert_eq!(run(&mut Fake::error(Code::NotFound), &["https://h/x"]), (String::new(), false, 0));
        assert_eq!(run(&mut Fake::error(Code::NoGrant), &["https://h/x"]), (String::new(), true, 1));
    }
}
