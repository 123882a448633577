//! `keyring get SERVICE [USER]`, as pip and uv call it (jaraco/keyring's command line).
//!
//! Owns its convention: the password on one line, or with `--mode creds` the user name on a line before it; nothing
//! and exit code 1 where there is none. Nothing can be set or deleted.

use super::{Call, Daemon, Output, Tool, as_url, bad, is_not_ours, pair};
use crate::{
    api::{helper::HelperRequest, problem::Code},
    error::Error,
};

pub(super) fn answer(call: &Call<'_>, daemon: &mut dyn Daemon) -> Output {
    let mut words = Vec::new();
    let mut both = false;
    let mut args = call.args.iter().map(String::as_str);
    while let Some(arg) = args.next() {
        match arg {
            "--mode" => both = args.next() == Some("creds"),
            _ if arg.starts_with("--mode=") => both = arg == "--mode=creds",
            _ => words.push(arg),
        }
    }
    match words.as_slice() {
        ["get", service] => get(service, None, both, daemon),
        ["get", service, user] => get(service, Some(user), both, daemon),
        ["set" | "del", ..] => Output::failed(
            &Error::new(Code::Denied, "hallpass keeps nothing that is set here")
                .hint("hallpass credential add NAME, then hallpass helper add keyring https://HOST NAME:release"),
        ),
        _ => Output::failed(&bad("this contract is `get SERVICE [USER]`, with or without --mode creds")).code(2),
    }
}

fn get(service: &str, user: Option<&str>, both: bool, daemon: &mut dyn Daemon) -> Output {
    let request = HelperRequest {
        tool: Tool::Keyring.word().into(),
        url: as_url(service),
        username: user.map(str::to_owned),
        ..HelperRequest::default()
    };
    match daemon.ask(request) {
        Ok(given) => {
            let (name, secret) = pair(&given, user.unwrap_or("__token__"));
            let first = if both { format!("{name}\n") } else { String::new() };
            Output::new(format!("{first}{}\n", secret.expose()))
        }
        Err(error) if is_not_ours(&error) => Output::silent().code(1),
        Err(error) => Output::failed(&error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::helper::testing::Fake;

    #[test]
    fn as_pip_and_uv_call_it() {
        let run = |fake: &mut Fake, line: &str| {
            let args: Vec<&str> = line.split(' ').collect();
            let output = fake.run(Tool::Keyring, &args, b"");
            (output.out.to_string(), output.say.is_some(), output.code)
        };
        let mut fake = Fake::credential(None);
        assert_eq!(run(&mut fake, "get https://pypi.acme.dev/simple me"), ("S3CRET\n".into(), false, 0));
        assert_eq!(run(&mut fake, "get pypi.acme.dev me"), ("S3CRET\n".into(), false, 0));
        assert_eq!(run(&mut fake, "--mode creds get pypi.acme.dev"), ("__token__\nS3CRET\n".into(), false, 0));
        let asked: Vec<&str> = fake.asked.iter().map(|request| request.url.as_str()).collect();
        assert_eq!(asked, ["https://pypi.acme.dev/simple", "https://pypi.acme.dev", "https://pypi.acme.dev"]);
        assert_eq!(run(&mut Fake::credential(Some("own")), "get h --mode=creds"), ("own\nS3CRET\n".into(), false, 0));
        assert_eq!(run(&mut Fake::error(Code::NotFound), "get h me"), (String::new(), false, 1));
        assert_eq!(run(&mut Fake::error(Code::NoGrant), "get h me"), (String::new(), true, 1));
        assert_eq!(run(&mut Fake::token(), "set h me"), (String::new(), true, 1));
        assert_eq!(run(&mut Fake::token(), "list"), (String::new(), true, 2));
    }
}
