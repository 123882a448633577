//! `hallpass helper key`: the credential itself on one line, for a tool that takes a key from a command and knows no more
//! than that (`auth.command`, `!command`, `$(command)`, `cmd:`).

use super::{Call, Daemon, Output, Tool, bad};
use crate::api::helper::HelperRequest;

pub(super) fn answer(call: &Call<'_>, daemon: &mut dyn Daemon) -> Output {
    if !call.args.is_empty() {
        return Output::failed(&bad("this takes no arguments").hint("hallpass helper key --want ISSUER:release"))
            .code(2);
    }
    match daemon.ask(HelperRequest { tool: Tool::Key.word().into(), ..HelperRequest::default() }) {
        Ok(given) => Output::line(given.secret.expose().trim_end_matches(['\r', '\n'])),
        Err(error) => Output::failed(&error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{api::problem::Code, helper::testing::Fake};

    #[test]
    fn one_line_or_an_error() {
        assert_eq!(Fake::credential(None).run(Tool::Key, &[], b"").out.as_str(), "S3CRET\n");
        assert_eq!(Fake::credential(None).run(Tool::Key, &["get"], b"").code, 2);
        for code in [Code::NoGrant, Code::DaemonUnavailable, Code::StoreLocked] {
            let output = Fake::error(code).run(Tool::Key, &[], b"");
            assert!(output.code == 1 && output.out.is_empty() && output.say.is_some());
        }
    }
}
