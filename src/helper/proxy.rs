//! `hallpass helper proxy [USER]`: the value of a `Proxy-Authorization` header, for Claude Code's `proxyAuthHelper`
//! (code.claude.com/docs/en/settings).
//!
//! Owns the scheme: Basic (RFC 7617), or as a bearer where there is no user name. A proxy that was asked and wants
//! another scheme is told nothing.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

use super::{Call, Daemon, Output, Tool, bad};
use crate::{
    api::{helper::HelperRequest, problem::Code},
    error::{Error, Result},
};

/// What the proxy said it wants.
const WANTS: &str = "CLAUDE_CODE_PROXY_AUTHENTICATE";

pub(super) fn answer(call: &Call<'_>, daemon: &mut dyn Daemon) -> Output {
    get(call, daemon).unwrap_or_else(|error| Output::failed(&error))
}

fn get(call: &Call<'_>, daemon: &mut dyn Daemon) -> Result<Output> {
    if call.args.len() > 1 {
        return Err(bad("this takes one user name").hint("hallpass helper proxy --want ISSUER:release USER"));
    }
    let user = call.arg(0).filter(|user| !user.is_empty());
    let scheme = if user.is_some() { "Basic" } else { "Bearer" };
    let wants = (call.env)(WANTS).unwrap_or_default();
    let offered = |word: &str| word.trim().eq_ignore_ascii_case(scheme);
    if !wants.is_empty() && !wants.split([' ', ',']).any(offered) {
        return Err(Error::new(Code::InvalidValue, format!("the proxy does not take {scheme}"))
            .hint("with a user name it is Basic, without one Bearer"));
    }
    let given = daemon.ask(HelperRequest { tool: Tool::Proxy.word().into(), ..HelperRequest::default() })?;
    let secret = given.secret.expose();
    let value = Zeroizing::new(match user {
        Some(user) => STANDARD.encode(Zeroizing::new(format!("{user}:{secret}")).as_bytes()),
        None => secret.to_owned(),
    });
    if !value.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Error::new(Code::InvalidValue, format!("{} does not fit into a header", given.issuer))
            .hint(format!("hallpass credential rotate {}", given.issuer)));
    }
    Ok(Output::line(&Zeroizing::new(format!("{scheme} {}", value.as_str()))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::helper::testing::Fake;

    #[test]
    fn the_value_is_of_the_scheme_that_the_proxy_takes() {
        let run = |args: &[&str], wants: &'static str| {
            let mut fake = Fake::credential(None);
            fake.run_in(Tool::Proxy, args, b"", &move |name| (name == WANTS).then(|| wants.to_owned()))
        };
        let basic = format!("Basic {}\n", STANDARD.encode("jo:S3CRET"));
        assert_eq!(run(&["jo"], "").out.as_str(), basic);
        assert_eq!(run(&["jo"], "Basic realm=\"x\"").out.as_str(), basic);
        assert_eq!(run(&["jo"], "Negotiate, basic realm=x").out.as_str(), basic);
        assert_eq!(run(&[], "").out.as_str(), "Bearer S3CRET\n");
        for (args, wants) in [(&["jo"][..], "Negotiate"), (&[][..], "Basic realm=x"), (&["a", "b"][..], "")] {
            let output = run(args, wants);
            assert!(output.code != 0 && output.out.is_empty() && output.say.is_some(), "{wants}");
        }
        let output = Fake::error(Code::DaemonUnavailable).run(Tool::Proxy, &["jo"], b"");
        assert!(output.code != 0 && output.out.is_empty());
    }
}
