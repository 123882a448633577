//! Tokens that an issuer's own server mints: honest about what they are, and gone when their lease is.
//!
//! The server here is a stand-in that says what each test needs, faults above all; the peers' tests run a real one.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
};

use super::{
    support::{Home, MEMORY, key, random, wait_until},
    upstream::{Seen, Upstream},
};

/// An authorization server: tokens by client credentials (RFC 6749), revocation (RFC 7009).
struct Server {
    upstream: Upstream,
    revoked: Arc<Mutex<HashSet<String>>>,
}

fn http(status: &str, kind: &str, more: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\n{more}content-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}

fn json(body: &serde_json::Value) -> String {
    http("200 OK", "application/json", "", &body.to_string())
}

fn field(seen: &Seen, name: &str) -> String {
    let body = String::from_utf8(seen.body.clone()).unwrap();
    let pair = body.split('&').find_map(|pair| pair.strip_prefix(&format!("{name}="))).unwrap_or_default();
    percent_encoding::percent_decode_str(pair).decode_utf8().unwrap().into_owned()
}

impl Server {
    /// Tokens of this life, with this scope or the one that was asked for; what `fault` answers goes first.
    fn start(
        life: u64,
        scope: Option<&'static str>,
        fault: impl Fn(&Seen) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        let revoked: Arc<Mutex<HashSet<String>>> = Arc::default();
        let gone = Arc::clone(&revoked);
        let upstream = Upstream::judging(move |seen| {
            if let Some(answer) = fault(seen) {
                return answer;
            }
            if seen.head.starts_with("POST /revoke ") {
                gone.lock().unwrap().insert(field(seen, "token"));
                return http("200 OK", "text/plain", "", "");
            }
            assert!(seen.head.starts_with("POST /token "), "{}", seen.head);
            assert_eq!(field(seen, "grant_type"), "client_credentials");
            let mut body = serde_json::json!({ "access_token": format!("at-{}", random()), "token_type": "Bearer", "expires_in": life });
            body["scope"] = scope.map_or_else(|| field(seen, "scope").into(), Into::into);
            json(&body)
        });
        Self { upstream, revoked }
    }

    fn minted(&self) -> usize {
        self.upstream.seen().iter().filter(|seen| seen.head.starts_with("POST /token ")).count()
    }

    fn is_revoked(&self, token: &str) -> bool {
        self.revoked.lock().unwrap().contains(token)
    }
}

/// The issuer `crm` at this server, and `bot`, who may have `a` and `b`.
fn with_issuer(home: &Home, server: &Server, more: &str) -> String {
    let secret = key();
    home.run(["credential", "add", "crm"], &secret).ok();
    home.does(&format!(
        "issuer add oauth crm --token-url http://127.0.0.1:{0}/token --client-id me --allow-private {more}",
        server.upstream.port
    ));
    home.does("principal add bot --kind agent");
    home.does("grant add bot crm:a,b --ttl 10m");
    secret
}

fn revocable(server: &Server) -> String {
    format!("--revocation-url http://127.0.0.1:{}/revoke --env CRM_TOKEN", server.upstream.port)
}

fn started(server: &Server, more: &str) -> (Home, String) {
    let home = Home::started();
    let secret = with_issuer(&home, server, more);
    (home, secret)
}

#[test]
fn the_issuers_own_token_is_handed_out_and_revoked_with_its_lease() {
    let server = Server::start(3600, Some("b a"), |_| None);
    let (home, secret) = started(&server, &revocable(&server));
    let minted = home.json("mint crm:a,b --as bot --ttl 60s");
    let token = minted["access_token"].as_str().unwrap().to_owned();
    assert!(token.starts_with("at-") && minted["issued_token_type"] == "urn:ietf:params:oauth:token-type:access_token");
    assert!(minted["expires_in"].as_u64().unwrap() <= 60);
    assert!(minted["upstream_expires_at"].as_str().is_some(), "the server's token lives for an hour: {minted}");
    assert_eq!(minted["revocable"], true);
    let asked = server.upstream.seen().remove(0);
    assert_eq!(field(&asked, "scope"), "a b");
    assert!(!String::from_utf8(asked.body).unwrap().contains(&secret), "the secret goes in the header");
    home.does(&format!("lease revoke {}", minted["lease"].as_str().unwrap()));
    wait_until("the token is revoked at its server", || server.is_revoked(&token));
    let audit = home.does("audit query --event issuer.revoke --json");
    assert!(audit.contains("\"revoked\"") && !audit.contains(&token), "{audit}");
}

#[test]
fn exec_gives_the_token_a_variable_and_the_task_takes_it_along() {
    let server = Server::start(3600, None, |_| None);
    let (home, _) = started(&server, &revocable(&server));
    let token = home.does("exec --as bot --grant crm:a -- printenv CRM_TOKEN");
    assert!(token.starts_with("at-"), "{token}");
    wait_until("it is revoked when the command has ended", || server.is_revoked(&token));
    // Where no variable is named, the command would hold a token and not know of it.
    home.does("issuer remove crm");
    home.does(&format!(
        "issuer add oauth crm --token-url http://127.0.0.1:{}/token --client-id me --allow-private",
        server.upstream.port
    ));
    home.fails("exec --as bot --grant crm:a -- true", 1, "invalid_value");
}

#[test]
fn a_rendered_file_holds_the_issuers_own_token_and_the_one_before_is_revoked() {
    let server = Server::start(6, None, |_| None);
    let (home, _) = started(&server, &revocable(&server));
    let path = home.does("render add crm crm:a --as bot --format env");
    let held = || std::fs::read_to_string(&path).unwrap().trim_end().strip_prefix("CRM_TOKEN=").unwrap().to_owned();
    let first = held();
    assert!(first.starts_with("at-"), "{first}");
    assert_eq!(home.json("render show crm")["state"], "ready");
    wait_until("it is renewed before it ends", || held() != first);
    wait_until("the one before is revoked", || server.is_revoked(&first));
    assert!(!server.is_revoked(&held()));
    let last = held();
    home.does("render remove crm");
    wait_until("the last one is revoked", || server.is_revoked(&last));
    let audit = home.does("--json audit query --event mint");
    assert!(audit.contains("\"bot\"") && !audit.contains(&first), "{audit}");
}

#[test]
fn what_is_not_exactly_what_was_asked_is_revoked_and_not_handed_out() {
    for scope in ["a sudo", "b", ""] {
        let server = Server::start(3600, Some(scope), |_| None);
        let (home, _) = started(&server, &revocable(&server));
        let problem = home.fails("mint crm:a --as bot", 1, "upstream_refused");
        assert!(!problem.to_string().contains("sudo"), "{problem}");
        assert_eq!(server.revoked.lock().unwrap().len(), 1, "{scope:?}: what came is revoked before the answer");
        assert_eq!(home.json("lease list")["items"].as_array().unwrap().len(), 0);
    }
}

#[test]
fn a_server_that_cannot_revoke_is_said_to() {
    let server = Server::start(3600, None, |_| None);
    let (home, _) = started(&server, "");
    let minted = home.json("mint crm:a --as bot --ttl 60s");
    assert_eq!(minted["revocable"], false);
    assert!(minted["upstream_expires_at"].as_str().unwrap() > minted["expires_at"].as_str().unwrap());
    assert!(home.does("issuer show crm").contains("a token lives to its end"));
    // A lease that ends with the server's own token outlives nothing.
    let short = Server::start(30, None, |_| None);
    let (home, _) = started(&short, "");
    let minted = home.json("mint crm:a --as bot --ttl 60s");
    assert!(minted["expires_in"].as_u64().unwrap() <= 30 && minted["upstream_expires_at"].is_null(), "{minted}");
}

#[test]
fn what_was_to_be_revoked_is_revoked_after_a_restart() {
    let down = Arc::new(std::sync::atomic::AtomicBool::new(true));
    let is_down = Arc::clone(&down);
    let server = Server::start(3600, None, move |seen| {
        let refuse = seen.head.starts_with("POST /revoke ") && is_down.load(std::sync::atomic::Ordering::SeqCst);
        refuse.then(|| http("503 Service Unavailable", "text/plain", "", ""))
    });
    let passphrase = "correct horse";
    let mut home = Home::new("[store]\nkind = \"file\"\n\n[daemon]\nheadless_human = true\n");
    home.start();
    home.run(["unlock"], passphrase).ok();
    with_issuer(&home, &server, &revocable(&server));
    let minted = home.json("mint crm:a --as bot --ttl 60s");
    let token = minted["access_token"].as_str().unwrap().to_owned();
    let state = std::fs::read(home.path().join("state/state.db")).unwrap_or_default();
    assert!(!state.windows(token.len()).any(|part| part == token.as_bytes()), "the token is sealed");
    home.does(&format!("lease revoke {}", minted["lease"].as_str().unwrap()));
    wait_until("the server was asked once", || {
        server.upstream.seen().iter().any(|seen| seen.head.starts_with("POST /revoke "))
    });
    home.kill();
    assert!(!server.is_revoked(&token));
    down.store(false, std::sync::atomic::Ordering::SeqCst);
    home.start();
    home.run(["unlock"], passphrase).ok();
    wait_until("it is revoked by the next daemon", || server.is_revoked(&token));
}

#[test]
fn identical_requests_of_a_task_ask_the_server_once() {
    let server = Server::start(3600, None, |_| None);
    let (home, _) = started(&server, &revocable(&server));
    let task = home.json("task start triage --as bot")["id"].as_str().unwrap().to_owned();
    let line = format!("mint crm:a --task {task}");
    let tokens: Vec<String> = std::thread::scope(|scope| {
        let all: Vec<_> = (0..10).map(|_| scope.spawn(|| home.does(&line))).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert!(tokens.iter().all(|token| *token == tokens[0]));
    assert_eq!(server.minted(), 1);
    home.does(&format!("task end {task}"));
    wait_until("it is revoked with the task", || server.is_revoked(&tokens[0]));
}

#[test]
fn a_servers_faults_are_said_with_the_next_step_and_without_its_text() {
    let leak = "client_secret=hunter2";
    let long = "x".repeat(100_000);
    let problem = format!("{{\"error\":\"invalid_client\",\"error_description\":\"{leak}\"}}");
    let redirect = "location: https://elsewhere.example/token\r\n";
    for (answer, code) in [
        (http("401 Unauthorized", "application/json", "", &problem), "upstream_refused"),
        (http("400 Bad Request", "application/json", "", &problem.replace("client\"", "scope\"")), "upstream_refused"),
        (http("200 OK", "text/html", "", &format!("<html>{leak}</html>")), "upstream_refused"),
        (http("200 OK", "application/json", "", "{\"access_token\":\"a\",\"access_token\":\"b\"}"), "upstream_refused"),
        (http("200 OK", "application/json", "", &format!("{{\"access_token\":\"{long}\"}}")), "upstream_refused"),
        (http("307 Temporary Redirect", "text/plain", redirect, ""), "config"),
        (http("404 Not Found", "text/plain", "", leak), "config"),
        (http("503 Service Unavailable", "text/plain", "retry-after: 600\r\n", leak), "upstream_unreachable"),
        (
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n{\"access_token\"".into(),
            "upstream_refused",
        ),
        ("not HTTP at all\r\n\r\n".into(), "upstream_unreachable"),
    ] {
        let said = answer.clone();
        let server = Server::start(3600, None, move |_| Some(said.clone()));
        let (home, secret) = started(&server, "");
        let problem = home.fails("mint crm:a --as bot", 1, code);
        assert!(problem["hint"].as_str().is_some_and(|hint| !hint.is_empty()), "{answer}: {problem}");
        for never in ["hunter2", "elsewhere", secret.as_str()] {
            assert!(!problem.to_string().contains(never), "{answer}: {problem}");
        }
    }
}

#[test]
fn a_server_that_asks_for_rest_gets_it() {
    let server =
        Server::start(3600, None, |_| Some(http("429 Too Many Requests", "text/plain", "retry-after: 600\r\n", "")));
    let (home, _) = started(&server, "");
    for _ in 0..5 {
        let problem = home.fails("mint crm:a --as bot", 1, "upstream_unreachable");
        assert!(problem["hint"].as_str().unwrap().contains(" s"), "{problem}");
    }
    assert_eq!(server.minted(), 1, "asked once, and left alone for the time that it named");
    let busy = Server::start(3600, None, |_| Some(http("503 Service Unavailable", "text/plain", "", "")));
    let (home, _) = started(&busy, "");
    home.fails("mint crm:a --as bot", 1, "upstream_unreachable");
    assert_eq!(busy.minted(), 3);
}

#[test]
fn the_credential_of_an_issuer_that_mints_is_never_released() {
    let server = Server::start(3600, None, |_| None);
    let (home, _) = started(&server, "");
    home.fails("grant add bot crm:release", 1, "invalid_value");
    home.fails("mint crm:release --as bot", 1, "invalid_value");
    home.fails("mint crm:* --as bot", 1, "invalid_value");
    home.fails("mint crm:a --as bot --uses 1", 1, "invalid_value");
    assert_eq!(server.upstream.count(), 0);
}

#[test]
fn a_github_app_names_repositories_and_permissions() {
    // Strict, by GitHub's OpenAPI description (npm @octokit/openapi 23.0.2): apps/create-installation-access-token and
    // apps/revoke-installation-access-token.
    let revoked: Arc<Mutex<Vec<String>>> = Arc::default();
    let gone = Arc::clone(&revoked);
    let github = Upstream::judging(move |seen| {
        let head = seen.head.to_ascii_lowercase();
        assert!(head.contains("user-agent: ") && head.contains("accept: application/vnd.github+json"), "{head}");
        if seen.head.starts_with("DELETE /installation/token ") {
            gone.lock().unwrap().push(seen.head.clone());
            return "HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n".into();
        }
        assert!(seen.head.starts_with("POST /app/installations/42/access_tokens "), "{}", seen.head);
        let body: serde_json::Value = serde_json::from_slice(&seen.body).unwrap();
        assert_eq!(body, serde_json::json!({ "repositories": ["web"], "permissions": { "issues": "read" } }));
        let ends = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(3600);
        let answer = serde_json::json!({ "token": format!("ghs_1_{}", random()), "expires_at": ends.to_string(),
            "permissions": { "issues": "read", "metadata": "read" }, "repository_selection": "selected",
            "repositories": [{ "full_name": "acme/web" }] });
        http("201 Created", "application/json", "", &answer.to_string())
    });
    let home = Home::started();
    home.run(["credential", "add", "gh"], &rsa_key()).ok();
    home.does(&format!(
        "issuer add github-app gh --client-id Iv1.x --installation-id 42 --base-url http://127.0.0.1:{} --allow-private",
        github.port
    ));
    home.does("principal add bot --kind agent");
    home.does("grant add bot gh:issues:read@acme/*");
    home.fails("mint gh:issues:read --as bot", 1, "invalid_value");
    home.fails("mint gh:issues:read@acme/* --as bot", 1, "invalid_value");
    home.fails("grant add bot gh:sudo:write@acme/*", 1, "invalid_value");
    assert_eq!(github.count(), 0, "what GitHub would take for everything is never sent");
    let token = home.does("exec --as bot --grant gh:issues:read@acme/web -- printenv GITHUB_TOKEN");
    assert!(token.starts_with("ghs_1_"));
    wait_until("it is revoked", || revoked.lock().unwrap().iter().any(|head| head.contains(&token)));
}

/// A new RSA key in the form that GitHub gives Apps theirs.
fn rsa_key() -> String {
    let made = std::process::Command::new("openssl").args(["genrsa", "-traditional", "2048"]).output().unwrap();
    assert!(made.status.success());
    String::from_utf8(made.stdout).unwrap()
}

#[test]
fn the_config_says_where_an_issuer_is_wrong() {
    let base = "[issuers.crm]\ncredential = \"crm\"\n";
    for (text, part) in [
        ("kind = \"oauth\"\n", "needs a table"),
        (
            "kind = \"oauth\"\nroute = \"openai\"\n[issuers.crm.oauth]\ntoken_url = \"https://a.b/t\"\nclient_id = \"x\"\n",
            "its own kind",
        ),
        ("kind = \"static\"\n[issuers.crm.oauth]\ntoken_url = \"https://a.b/t\"\nclient_id = \"x\"\n", "its own kind"),
        ("kind = \"oauth\"\n[issuers.crm.oauth]\ntoken_url = \"http://a.b/t\"\nclient_id = \"x\"\n", "https"),
        (
            "kind = \"oauth\"\n[issuers.crm.oauth]\ntoken_url = \"https://a.b/t\"\nclient_id = \"x\"\nenv = [\"A B\"]\n",
            "variable",
        ),
        (
            "kind = \"oauth\"\n[issuers.crm.oauth]\ntoken_url = \"https://a.b/t\"\nclient_id = \"x\"\nsecret = \"y\"\n",
            "secret",
        ),
        ("kind = \"saml\"\n", "kind is"),
    ] {
        let home = Home::new(&format!("{MEMORY}\n{base}{text}"));
        let ran = home.line("daemon");
        assert_eq!(ran.code(), 1, "{text}: {}", ran.err());
        assert!(ran.err().contains(part) && ran.err().contains("config.toml:"), "{text}: {}", ran.err());
    }
}
