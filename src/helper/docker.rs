//! `docker-credential-hallpass get|store|erase|list` (docker/docker-credential-helpers).
//!
//! Owns Docker's convention: an error's text goes to standard output, where the client reads it, and to standard
//! error for the person; the text for "nothing here" is compared by the client word for word. Nothing is kept.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Call, Daemon, Output, Tool, as_url, bad, is_not_ours, one_line, pair};
use crate::{
    api::{SecretText, helper::HelperRequest, problem::Code},
    error::{Error, Result},
};

/// What the client takes for "nothing here": `credentials.NewErrCredentialsNotFound`.
const NOT_FOUND: &str = "credentials not found in native keychain";
/// What `credentials.NewErrCredentialsMissingServerURL` says.
const NO_SERVER: &str = "no credentials server URL";

/// The user name where the config has none: registries that take a token look at the password only.
const USER: &str = "token";

#[derive(Deserialize)]
struct Stored {
    #[serde(rename = "ServerURL")]
    server: String,
    #[serde(rename = "Username")]
    user: String,
    #[serde(rename = "Secret")]
    secret: SecretText,
}

pub(super) fn answer(call: &Call<'_>, daemon: &mut dyn Daemon) -> Output {
    let told = match call.arg(0) {
        Some("get") => get(call, daemon),
        Some("list") => list(daemon),
        // What `docker logout` forgets, nobody here has.
        Some("erase") => Ok(Output::silent()),
        Some("store") => store(call, daemon),
        Some("version" | "--version" | "-v") => Ok(Output::line("docker-credential-hallpass (hallpass)")),
        _ => Err(bad("Docker says get, store, erase or list").hint("\"credsStore\": \"hallpass\" in config.json")),
    };
    told.unwrap_or_else(|error| Output { say: Some(one_line(&error)), ..Output::line(&one_line(&error)).code(1) })
}

fn get(call: &Call<'_>, daemon: &mut dyn Daemon) -> Result<Output> {
    let server = call.text()?.trim();
    if server.is_empty() {
        return Ok(Output::line(NO_SERVER).code(1));
    }
    let request = HelperRequest { tool: Tool::Docker.word().into(), url: as_url(server), ..HelperRequest::default() };
    let given = match daemon.ask(request) {
        Ok(given) => given,
        Err(error) if is_not_ours(&error) => return Ok(Output::line(NOT_FOUND).code(1)),
        Err(error) => return Err(error),
    };
    let (user, secret) = pair(&given, USER);
    Ok(Output::json(&json!({ "ServerURL": server, "Username": user, "Secret": secret.expose() })))
}

/// `docker login` stores what it tried, also where it came from here a moment ago: that is nothing new to keep.
fn store(call: &Call<'_>, daemon: &mut dyn Daemon) -> Result<Output> {
    let stored: Stored = serde_json::from_str(call.text()?)
        .map_err(|_| bad("Docker sent something other than ServerURL, Username and Secret"))?;
    let url = as_url(&stored.server);
    let given = daemon.ask(HelperRequest { tool: Tool::Docker.word().into(), url, ..HelperRequest::default() });
    match given.map(|given| pair(&given, USER)) {
        Ok((user, secret)) if user == stored.user && secret == stored.secret => Ok(Output::silent()),
        Err(error) if !is_not_ours(&error) => Err(error),
        _ => Err(Error::new(Code::Denied, "hallpass keeps nothing that Docker stores").hint(
            "`docker login` is not needed: hallpass credential add NAME, then hallpass helper add docker https://REGISTRY NAME:release",
        )),
    }
}

/// The places that the config names, as Docker names them: the host alone, where there is no path.
fn list(daemon: &mut dyn Daemon) -> Result<Output> {
    let entries = daemon.entries()?;
    let own = entries.iter().filter(|entry| entry.tool == Tool::Docker.word());
    let servers: Map<String, Value> = own
        .map(|entry| {
            let url = entry.url.trim_end_matches('*').trim_end_matches('/');
            let server = url.strip_prefix("https://").filter(|rest| !rest.contains('/')).unwrap_or(&entry.url);
            (server.to_owned(), Value::from(entry.username.as_deref().unwrap_or(USER)))
        })
        .collect();
    Ok(Output::json(&Value::Object(servers)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{api::helper::Helper, helper::testing::Fake};

    fn run(fake: &mut Fake, action: &str, input: &str) -> Output {
        fake.run(Tool::Docker, &[action], input.as_bytes())
    }

    #[test]
    fn get_gives_a_user_and_a_secret() {
        let mut fake = Fake::credential(Some("me"));
        let output = run(&mut fake, "get", "https://index.docker.io/v1/\n");
        assert_eq!(
            output.out.as_str(),
            "{\"Secret\":\"S3CRET\",\"ServerURL\":\"https://index.docker.io/v1/\",\"Username\":\"me\"}\n"
        );
        run(&mut fake, "get", "ghcr.io");
        let asked: Vec<&str> = fake.asked.iter().map(|request| request.url.as_str()).collect();
        assert_eq!(asked, ["https://index.docker.io/v1/", "https://ghcr.io"]);
    }

    #[test]
    fn nothing_here_is_the_exact_text_and_says_nothing_else() {
        let output = run(&mut Fake::error(Code::NotFound), "get", "ghcr.io");
        assert_eq!((output.out.trim(), output.say, output.code), (NOT_FOUND, None, 1));
        let output = run(&mut Fake::token(), "get", " \n");
        assert_eq!((output.out.trim(), output.code), (NO_SERVER, 1));
    }

    #[test]
    fn an_error_is_where_docker_reads_it_and_where_a_person_does() {
        for (mut fake, action) in [
            (Fake::error(Code::NoGrant), "get"),
            (Fake::error(Code::DaemonUnavailable), "get"),
            (Fake::error(Code::DaemonUnavailable), "list"),
            (Fake::token(), "store"),
            (Fake::token(), "nonsense"),
        ] {
            let output = run(&mut fake, action, "ghcr.io");
            assert_eq!((output.out.trim(), output.code), (output.say.as_deref().unwrap(), 1));
            assert!(!output.out.contains(NOT_FOUND) && !output.out.contains("S3CRET"));
        }
        assert_eq!(run(&mut Fake::token(), "get", &"a".repeat(super::super::MAX_INPUT + 1)).code, 1);
    }

    #[test]
    fn store_takes_back_what_was_given_and_nothing_new() {
        let stored =
            |secret: &str| format!("{{\"ServerURL\":\"ghcr.io\",\"Username\":\"me\",\"Secret\":\"{secret}\"}}");
        let mut fake = Fake::credential(Some("me"));
        let output = run(&mut fake, "store", &stored("S3CRET"));
        assert_eq!((output.out.as_str(), output.code), ("", 0));
        let output = run(&mut fake, "store", &stored("another"));
        assert!(output.code == 1 && output.out.contains("docker login") && !output.out.contains("another"));
        let output = run(&mut Fake::error(Code::NotFound), "store", &stored("another"));
        assert!(output.code == 1 && output.out.contains("docker login"));
        assert_eq!(run(&mut fake, "store", "{").code, 1);
    }

    #[test]
    fn erase_is_silent_and_list_names_the_places() {
        let mut fake = Fake::token();
        let output = run(&mut fake, "erase", "ghcr.io");
        assert_eq!((output.out.as_str(), output.code, fake.asked.len()), ("", 0, 0));
        let entry = |tool: &str, url: &str, user: Option<&str>| Helper {
            tool: tool.into(),
            url: url.into(),
            want: "a:release".parse().unwrap(),
            username: user.map(str::to_owned),
        };
        fake.entries = vec![
            entry("docker", "https://ghcr.io", Some("me")),
            entry("docker", "https://index.docker.io/v1/", None),
            entry("git", "https://github.com", None),
        ];
        let listed = "{\"ghcr.io\":\"me\",\"https://index.docker.io/v1/\":\"token\"}";
        assert_eq!(run(&mut fake, "list", "").out.trim(), listed);
    }
}
