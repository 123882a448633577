//! `git-credential-hallpass get|store|erase|capability` (git-credential(1), gitcredentials(7)).
//!
//! Owns git's `key=value` lines. `get` answers with `authtype` and `ephemeral` where git can take them, so that no
//! other helper in the chain keeps what was given; `store` keeps nothing, and `erase` ends the token's lease. Where
//! the config says nothing, nothing is said, and git goes on to the next helper. Where it does and the answer is no,
//! `quit=1` stops git: another helper, or the person at the prompt, would give something wider than what was refused.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

use super::{Call, Daemon, Output, Tool, bad, is_not_ours, one_line, pair};
use crate::{
    api::{
        SecretText,
        helper::{Given, HelperAnswer, HelperRequest},
        problem::Code,
    },
    error::{Error, Result},
    token,
};

/// The longest line that git itself takes.
const MAX_LINE: usize = 65_535;
/// The user name where neither the config nor the URL has one. GitHub and GitLab look at the password only.
const USER: &str = "x-access-token";
/// The user name of an entry that says how its credential is sent.
const BEARER: &str = "Bearer:";

/// What git says of a credential.
#[derive(Default)]
struct Described<'a> {
    protocol: Option<&'a str>,
    host: Option<&'a str>,
    path: Option<&'a str>,
    username: Option<&'a str>,
    password: Option<&'a str>,
    credential: Option<&'a str>,
    authtype: Option<&'a str>,
    takes_authtype: bool,
}

pub(super) fn answer(call: &Call<'_>, daemon: &mut dyn Daemon) -> Output {
    match call.arg(0) {
        Some("get") => match call.text().and_then(parse) {
            Ok(asked) => get(&asked, daemon),
            Err(error) => Output::failed(&error),
        },
        Some("erase") => {
            let told = call.text().and_then(parse).and_then(|asked| erase(&asked, daemon));
            told.map_or_else(|error| Output::failed(&error), |()| Output::silent())
        }
        Some("capability") => Output::new("version 0\ncapability authtype\n"),
        // gitcredentials(7): "If a helper does not support the requested operation, it should silently ignore it."
        Some(_) => Output::silent(),
        None => {
            Output::failed(&bad("git says get, store or erase").hint("git config credential.helper hallpass")).code(2)
        }
    }
}

fn get(asked: &Described<'_>, daemon: &mut dyn Daemon) -> Output {
    let (Some(protocol), Some(host)) = (asked.protocol, asked.host) else { return Output::silent() };
    let path = repository(asked.path.unwrap_or_default());
    let request = HelperRequest {
        tool: Tool::Git.word().into(),
        url: format!("{protocol}://{host}/{path}"),
        username: asked.username.map(str::to_owned),
        resource: (!path.is_empty()).then(|| path.to_owned()),
        ..HelperRequest::default()
    };
    match daemon.ask(request).and_then(|given| write(&given, asked.takes_authtype)) {
        Ok(text) => Output::new(text),
        Err(error) if is_not_ours(&error) => Output::silent(),
        // It could not be asked, so nobody knows whether it is ours.
        Err(error) if error.exit_code() == 3 => Output::failed(&error),
        Err(error) => Output { say: Some(one_line(&error)), ..Output::new("quit=1\n").code(1) },
    }
}

/// `acme/web` of `/acme/web.git/info/lfs`.
fn repository(path: &str) -> &str {
    let path = path.trim_matches('/');
    let mut end = 0;
    for part in path.split('/') {
        end += part.len();
        if part.len() > 4 && part.ends_with(".git") {
            return path.get(..end - 4).unwrap_or(path);
        }
        end += 1;
    }
    path
}

fn write(given: &HelperAnswer, authtype: bool) -> Result<String> {
    let (user, password) = pair(given, USER);
    let secret = password.expose();
    if secret.contains(['\n', '\r', '\0']) || user.contains(['\n', '\r', '\0']) || secret.len() + 32 > MAX_LINE {
        return Err(Error::new(Code::InvalidValue, format!("{} has a line end in it, or is too long", given.issuer))
            .hint(format!("hallpass credential rotate {}", given.issuer)));
    }
    // No user name of Basic has a colon (RFC 7617): one that ends in it is the scheme.
    let by_scheme = user == BEARER;
    let bearer = by_scheme || given.kind == Given::Gateway && given.username.is_none();
    let user = if by_scheme { USER } else { user.as_str() };
    let mut text = match (authtype, bearer) {
        (true, true) => format!("capability[]=authtype\nauthtype=Bearer\ncredential={secret}\nephemeral=1\n"),
        (true, false) => {
            let basic = Zeroizing::new(STANDARD.encode(Zeroizing::new(format!("{user}:{secret}")).as_bytes()));
            let basic = basic.as_str();
            format!("capability[]=authtype\nauthtype=Basic\ncredential={basic}\nephemeral=1\n")
        }
        (false, _) => format!("username={user}\npassword={secret}\n"),
    };
    if let Some(at) = super::unix(given) {
        text.push_str(&format!("password_expiry_utc={at}\n"));
    }
    Ok(text)
}

/// git erases what the server refused: a token of ours ends, and anything else is not ours to forget.
fn erase(asked: &Described<'_>, daemon: &mut dyn Daemon) -> Result<()> {
    let decoded = asked.credential.filter(|_| asked.authtype.is_some_and(|kind| kind.eq_ignore_ascii_case("basic")));
    let decoded = decoded.and_then(|text| STANDARD.decode(text).ok()).map(Zeroizing::new);
    let basic = decoded.as_ref().and_then(|bytes| core::str::from_utf8(bytes).ok()).and_then(|t| t.split_once(':'));
    let secrets = [asked.password, asked.credential, basic.map(|(_, password)| password)];
    for secret in secrets.into_iter().flatten().filter(|text| token::check(text.as_bytes()).is_ok()) {
        daemon.end(SecretText::new(secret))?;
    }
    Ok(())
}

/// Reads the lines up to the first empty one. `wwwauth[]` and what is not known are not looked at.
fn parse(text: &str) -> Result<Described<'_>> {
    let mut asked = Described::default();
    for line in text.split('\n').take_while(|line| !line.is_empty()) {
        if line.len() > MAX_LINE {
            return Err(bad("git sent a line of more than 65535 bytes"));
        }
        let (key, value) = line.split_once('=').ok_or_else(|| bad("git sent a line without `=`"))?;
        if value.contains(['\0', '\r']) {
            return Err(bad("git sent a value with a NUL or a carriage return in it"));
        }
        match key {
            "protocol" => asked.protocol = Some(value),
            "host" => asked.host = Some(value).filter(|host| !host.is_empty()),
            "path" => asked.path = Some(value),
            "username" => asked.username = Some(value),
            "password" => asked.password = Some(value),
            "credential" => asked.credential = Some(value),
            "authtype" => asked.authtype = Some(value),
            "capability[]" => asked.takes_authtype |= value == "authtype",
            _ => {}
        }
    }
    Ok(asked)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{helper::testing::Fake, token::Token};

    const ASKS: &str = "capability[]=authtype\ncapability[]=state\nprotocol=https\nhost=h:8443\npath=acme/web.git\nwwwauth[]=Basic realm=\"x\"\n\n";

    fn get(fake: &mut Fake, input: &str) -> Output {
        fake.run(Tool::Git, &["get"], input.as_bytes())
    }

    #[test]
    fn a_git_that_takes_authtype_gets_what_no_other_helper_keeps() {
        let mut fake = Fake::token();
        let output = get(&mut fake, ASKS);
        let expected =
            "capability[]=authtype\nauthtype=Bearer\ncredential=S3CRET\nephemeral=1\npassword_expiry_utc=1767323045\n";
        assert_eq!((output.out.as_str(), output.say, output.code), (expected, None, 0));
        let asked = &fake.asked[0];
        assert_eq!((asked.url.as_str(), asked.resource.as_deref()), ("https://h:8443/acme/web", Some("acme/web")));
        let output = get(&mut Fake::credential(Some("Bearer:")), ASKS);
        assert!(output.out.contains("authtype=Bearer\ncredential=S3CRET\n"), "{}", output.out.as_str());
        let output = get(&mut Fake::credential(Some("me")), ASKS);
        let basic = STANDARD.encode("me:S3CRET");
        assert_eq!(
            output.out.as_str(),
            format!("capability[]=authtype\nauthtype=Basic\ncredential={basic}\nephemeral=1\n")
        );
    }

    #[test]
    fn an_older_git_gets_a_user_and_a_password() {
        let plain = "protocol=https\nhost=h\n";
        assert_eq!(
            get(&mut Fake::token(), plain).out.as_str(),
            "username=x-access-token\npassword=S3CRET\npassword_expiry_utc=1767323045\n"
        );
        assert_eq!(get(&mut Fake::credential(Some("me")), plain).out.as_str(), "username=me\npassword=S3CRET\n");
    }

    #[test]
    fn silence_quit_and_a_line_each_where_they_belong() {
        let said = |code| {
            let output = get(&mut Fake::error(code), ASKS);
            (output.out.to_string(), output.say, output.code)
        };
        let line = Some("hallpass: it went wrong; do this".to_owned());
        assert_eq!(said(Code::NotFound), (String::new(), None, 0));
        assert_eq!(said(Code::DaemonUnavailable), (String::new(), line.clone(), 1));
        assert_eq!(said(Code::NoGrant), ("quit=1\n".into(), line.clone(), 1));
        assert_eq!(said(Code::StoreLocked), ("quit=1\n".into(), line, 1));
    }

    #[test]
    fn store_keeps_nothing_and_erase_ends_only_what_is_ours() {
        let mut fake = Fake::token();
        let token = Token::from_entropy([7; 32]);
        let token = token.expose();
        let run = |fake: &mut Fake, action: &str, text: &str| {
            let output = fake.run(Tool::Git, &[action], text.as_bytes());
            assert_eq!((output.out.as_str(), &output.say, output.code), ("", &None, 0));
        };
        run(&mut fake, "store", &format!("protocol=https\nhost=h\nusername=a\npassword={token}\n"));
        run(&mut fake, "erase", "protocol=https\nhost=h\nusername=a\npassword=not-ours\n");
        run(&mut fake, "nonsense", "x");
        assert!(fake.asked.is_empty() && fake.ended.is_empty());
        run(&mut fake, "erase", &format!("protocol=https\nhost=h\npassword={token}\n"));
        run(&mut fake, "erase", &format!("host=h\nauthtype=Bearer\ncredential={token}\n"));
        let basic = STANDARD.encode(format!("u:{token}"));
        run(&mut fake, "erase", &format!("host=h\nauthtype=Basic\ncredential={basic}\n"));
        assert_eq!(fake.ended, [token, token, token]);
    }

    #[test]
    fn hostile_lines_are_refused_and_ask_for_nothing() {
        let mut fake = Fake::token();
        for text in [
            format!("protocol=https\nhost={}\n", "a".repeat(MAX_LINE)),
            "a".repeat(super::super::MAX_INPUT + 1),
            "protocol=https\nhost=h\0.evil\n".into(),
            "protocol=https\nhost=h\r\n".into(),
            "no equals sign\n".into(),
        ] {
            let output = get(&mut fake, &text);
            assert_eq!((output.out.as_str(), output.code), ("", 1));
            assert!(output.say.is_some_and(|line| line.len() < 200 && !line.contains('\n')));
        }
        assert_eq!(fake.run(Tool::Git, &["get"], b"host=\xff\n").code, 1);
        for text in ["", "protocol=https\n", "protocol=cert\npath=/x\n", "\nprotocol=https\nhost=h\n"] {
            assert_eq!((get(&mut fake, text).out.as_str(), get(&mut fake, text).code), ("", 0), "{text:?}");
        }
        assert!(fake.asked.is_empty());
        let mut fake = Fake::credential(None);
        fake.says = fake.says.map(|given| HelperAnswer { secret: SecretText::new("a\nhost=evil"), ..given });
        assert_eq!(get(&mut fake, ASKS).out.as_str(), "quit=1\n");
    }

    #[test]
    fn a_path_names_a_repository() {
        for (path, named) in [
            ("acme/web.git", "acme/web"),
            ("/acme/web.git/info/lfs", "acme/web"),
            ("acme/web/", "acme/web"),
            ("acme/.git", "acme/.git"),
            ("", ""),
            ("a/b.git/c.git", "a/b"),
        ] {
            assert_eq!(repository(path), named);
        }
    }
}
