//! `npm-token-hallpass-REGISTRY`, as pnpm calls its `tokenHelper` (pnpm.io/npmrc): a program without arguments, run by a
//! shell, whose standard output is sent as it is.
//!
//! Owns that text: the whole value of `Authorization`, which pnpm 9 sends as it comes and later ones know by its scheme.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

use super::{Call, Daemon, Output, Tool, as_url, bad, no_header};
use crate::api::helper::HelperRequest;

pub(super) fn answer(call: &Call<'_>, daemon: &mut dyn Daemon) -> Output {
    let [registry] = call.args else {
        return Output::failed(&bad("this needs the registry that it is for, such as npm.example.com")).code(2);
    };
    let request = HelperRequest { tool: Tool::Npm.word().into(), url: as_url(registry), ..HelperRequest::default() };
    let given = match daemon.ask(request) {
        Ok(given) => given,
        Err(error) => return Output::failed(&error),
    };
    let secret = given.secret.expose();
    if secret.bytes().any(|byte| byte.is_ascii_control()) {
        return Output::failed(&no_header(&given));
    }
    let value = match &given.username {
        None => Zeroizing::new(format!("Bearer {secret}")),
        Some(user) => {
            let pair = Zeroizing::new(format!("{user}:{secret}"));
            Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes())))
        }
    };
    Output::line(&value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{api::problem::Code, helper::testing::Fake};

    #[test]
    fn what_comes_out_is_the_header_s_value() {
        let mut fake = Fake::token();
        let output = fake.run(Tool::Npm, &["npm.example.com/a"], b"");
        assert_eq!((output.out.as_str(), output.code), ("Bearer S3CRET\n", 0));
        assert_eq!(fake.asked[0].url, "https://npm.example.com/a");
        let output = Fake::credential(Some("jo")).run(Tool::Npm, &["h"], b"");
        assert_eq!(output.out.trim(), format!("Basic {}", STANDARD.encode("jo:S3CRET")));
        // There is no other helper to go on with, so that nothing at all is an error too.
        for mut fake in [Fake::error(Code::NotFound), Fake::error(Code::NoGrant)] {
            let output = fake.run(Tool::Npm, &["h"], b"");
            assert_eq!((output.out.as_str(), output.say.is_some(), output.code), ("", true, 1));
        }
        assert_eq!(Fake::token().run(Tool::Npm, &[], b"").code, 2);
    }
}
