//! Signing in at an authorization server, and what is left of it: a refresh token that is never lost and never used twice.
//!
//! The server here is a stand-in that says what each test needs; the peers' tests run a real one.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    sync::{Arc, Mutex},
};

use super::{
    support::{Home, random, wait_until},
    upstream::{Seen, Upstream},
};

/// An authorization server that gives a new refresh token each time.
struct Server {
    upstream: Upstream,
    tokens: Arc<Mutex<Tokens>>,
}

#[derive(Default)]
struct Tokens {
    /// The refresh token that works.
    now: String,
    /// The one before, where it works until the new one has been used.
    before: Option<String>,
    /// Whether it does.
    has_grace: bool,
    /// How often a token was given for a refresh token.
    refreshed: usize,
    /// Whether one that had been used before came again.
    reused: bool,
    /// What the server calls itself, where not by its address.
    other_name: Option<String>,
}

fn http(status: &str, kind: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}

fn json(status: &str, body: &serde_json::Value) -> String {
    http(status, "application/json", &body.to_string())
}

fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8().unwrap().into_owned()
}

/// A value among these pairs.
pub fn pair(pairs: &str, name: &str) -> String {
    let found = pairs.split('&').find_map(|pair| pair.strip_prefix(&format!("{name}=")));
    decoded(found.unwrap_or_default())
}

/// A value of a form that was sent.
pub fn field(seen: &Seen, name: &str) -> String {
    pair(std::str::from_utf8(&seen.body).unwrap(), name)
}

impl Server {
    fn start() -> Self {
        let tokens: Arc<Mutex<Tokens>> = Arc::default();
        let known = Arc::clone(&tokens);
        let upstream = Upstream::judging(move |seen| Self::judge(seen, &mut known.lock().unwrap()));
        Self { upstream, tokens }
    }

    fn judge(seen: &Seen, tokens: &mut Tokens) -> String {
        let host = seen.head.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
        let own = format!("http://{host}");
        if seen.head.starts_with("GET /.well-known/oauth-authorization-server ") {
            return json(
                "200 OK",
                &serde_json::json!({
                    "issuer": tokens.other_name.as_ref().unwrap_or(&own),
                    "authorization_endpoint": format!("{own}/authorize"), "token_endpoint": format!("{own}/token"),
                    "registration_endpoint": format!("{own}/register"), "revocation_endpoint": format!("{own}/revoke"),
                    "code_challenge_methods_supported": ["S256"], "authorization_response_iss_parameter_supported": true,
                    "token_endpoint_auth_methods_supported": ["none"],
                }),
            );
        }
        if seen.head.starts_with("POST /register ") {
            return json("201 Created", &serde_json::json!({ "client_id": format!("client-{}", random()) }));
        }
        if seen.head.starts_with("POST /revoke ") {
            tokens.now = String::new();
            return http("200 OK", "text/plain", "");
        }
        if !seen.head.starts_with("POST /token ") {
            return http("404 Not Found", "text/html", "<html>");
        }
        let (new, mut scope) = (format!("rt-{}", random()), "a b".to_owned());
        match field(seen, "grant_type").as_str() {
            "authorization_code" => assert!(field(seen, "code_verifier").len() >= 43),
            "refresh_token" => {
                let came = field(seen, "refresh_token");
                if came != tokens.now && Some(&came) != tokens.before.as_ref() {
                    tokens.reused |= !tokens.now.is_empty();
                    return json(
                        "400 Bad Request",
                        &serde_json::json!({ "error": "invalid_grant", "error_description": came }),
                    );
                }
                tokens.refreshed += 1;
                tokens.before = tokens.has_grace.then_some(came);
                scope = field(seen, "scope");
            }
            other => panic!("{other}"),
        }
        tokens.now.clone_from(&new);
        json(
            "200 OK",
            &serde_json::json!({ "access_token": format!("at-{}", random()), "token_type": "Bearer", "expires_in": 600,
                "scope": scope, "refresh_token": new }),
        )
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.upstream.port)
    }
}

/// A daemon with a store that outlives it, and the issuer `app` at this server.
fn home(server: &Server) -> Home {
    let mut home = Home::new("[store]\nkind = \"file\"\n\n[daemon]\nheadless_human = true\n");
    start(&mut home);
    add(&home, "app", server);
    home.does("principal add bot --kind agent");
    home.does("grant add bot app:a,b --ttl 10m");
    home
}

fn start(home: &mut Home) {
    home.start();
    home.run(["unlock"], "correct horse").ok();
}

fn add(home: &Home, name: &str, server: &Server) {
    home.does(&format!(
        "issuer add oauth {name} --issuer {} --login --scope a=a --scope b=b --allow-private",
        server.url()
    ));
}

/// Starts to sign in; the attempt's id and the address to open.
fn begin(home: &Home, name: &str) -> (String, String) {
    let started = home.api("POST", &format!("/v1/issuers/{name}/login"), "{}").json();
    (started["id"].as_str().unwrap().to_owned(), started["url"].as_str().unwrap().to_owned())
}

/// What the browser of a person brings back: a code, from the server.
fn agreed(url: &str, server: &Server) -> String {
    let query = url.split_once('?').unwrap().1;
    assert_eq!((pair(query, "code_challenge_method").as_str(), pair(query, "scope").as_str()), ("S256", "a b"));
    format!(
        "code=c-{}&state={}&iss={}",
        random(),
        pair(query, "state"),
        server.url().replace(':', "%3A").replace('/', "%2F")
    )
}

/// Sends a redirect's query to where the attempt listens, under this host; the status.
pub fn redirect(url: &str, query: &str, host: Option<&str>) -> u16 {
    let to = pair(url.split_once('?').unwrap().1, "redirect_uri");
    let (own, path) = to.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut stream = TcpStream::connect(own).unwrap();
    let host = host.unwrap_or(own);
    write!(stream, "GET /{path}?{query} HTTP/1.1\r\nHost: {host}\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(!answer.contains("c-") && answer.contains("no-store"), "{answer}");
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

fn sign_in(home: &Home, name: &str, server: &Server) {
    let (id, url) = begin(home, name);
    assert_eq!(redirect(&url, &agreed(&url, server), None), 200);
    let done = home.api("POST", &format!("/v1/issuers/{name}/login/{id}"), "null");
    assert_eq!(done.status, 200, "{}", done.text());
    assert_eq!(done.json()["renews"], true);
}

#[test]
fn a_sign_in_leaves_a_login_that_gives_less_than_was_agreed_to() {
    let server = Server::start();
    let home = home(&server);
    let problem = home.fails("mint app:a --as bot", 1, "not_found");
    assert!(problem["hint"].as_str().unwrap().contains("hallpass issuer login app"), "{problem}");
    sign_in(&home, "app", &server);
    let minted = home.json("mint app:a --as bot");
    assert!(minted["access_token"].as_str().unwrap().starts_with("at-"));
    // RFC 7009 lets a server end the login with a token: without --revoke-access-tokens that is not risked.
    assert_eq!(minted["revocable"], false);
    assert_eq!(home.json("credential show app")["source"], "login");
    assert_eq!(home.json("issuer logout app")["revoked"], true);
    assert!(server.tokens.lock().unwrap().now.is_empty());
    home.fails("mint app:a --as bot", 1, "not_found");
    home.fails("issuer logout app", 1, "not_found");
    let audit = home.does("audit query --json");
    assert!(audit.contains("issuer.login") && audit.contains("issuer.logout") && !audit.contains("rt-"), "{audit}");
}

#[test]
fn only_the_answer_to_this_attempt_from_this_server_counts() {
    let server = Server::start();
    let home = home(&server);
    let (id, url) = begin(&home, "app");
    let good = agreed(&url, &server);
    let state = pair(url.split_once('?').unwrap().1, "state");
    // A page that guesses, and a page elsewhere whose name leads here: nothing of it counts, and the attempt goes on.
    assert_eq!(redirect(&url, "code=c-x&state=guessed", None), 400);
    assert_eq!(redirect(&url, &good, Some("evil.example.com")), 404);
    assert_eq!(redirect(&url, &good, None), 200);
    assert_eq!(home.api("POST", &format!("/v1/issuers/app/login/{id}"), "null").status, 200);
    for (query, code) in [
        ("code=c-x&state={}&iss=https%3A%2F%2Fevil".to_owned(), "upstream_refused"),
        ("code=c-x&state={}".to_owned(), "upstream_refused"),
        (format!("error=access_denied&state={{}}&iss={}", server.url()), "approval_denied"),
    ] {
        let before = server.upstream.seen().len();
        let (id, url) = begin(&home, "app");
        let state = pair(url.split_once('?').unwrap().1, "state");
        assert_eq!(redirect(&url, &query.replace("{}", &state), None), 400);
        let end = home.api("POST", &format!("/v1/issuers/app/login/{id}"), "null");
        assert_eq!(end.json()["code"], code, "{query}: {}", end.text());
        assert_eq!(server.upstream.seen().len(), before, "no code was sent anywhere");
    }
    assert_ne!(state, pair(begin(&home, "app").1.split_once('?').unwrap().1, "state"));
    home.does("mint app:a --as bot");
}

#[test]
fn ten_at_once_use_each_refresh_token_once() {
    let server = Server::start();
    let home = home(&server);
    sign_in(&home, "app", &server);
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..10).map(|_| scope.spawn(|| home.does("mint app:a --as bot"))).collect();
        let tokens: std::collections::HashSet<_> = all.into_iter().map(|one| one.join().unwrap()).collect();
        assert_eq!(tokens.len(), 10);
    });
    let tokens = server.tokens.lock().unwrap();
    assert_eq!((tokens.refreshed, tokens.reused), (10, false));
}

#[test]
fn what_was_received_survives_a_kill() {
    let server = Server::start();
    let mut home = home(&server);
    sign_in(&home, "app", &server);
    // Whoever has a token can be sure that the next refresh token rests in the store.
    for _ in 0..3 {
        home.does("mint app:a --as bot");
        home.kill();
        start(&mut home);
    }
    home.does("mint app:a --as bot");
    assert!(!server.tokens.lock().unwrap().reused);
    // Killed as soon as the server has answered: the old one or the new one is there, whole, and a server that takes the old
    // one until the new one was used gives the next token.
    server.tokens.lock().unwrap().has_grace = true;
    for round in 0..8 {
        let before = server.tokens.lock().unwrap().refreshed;
        let mut mint = home.command(["mint", "app:a", "--as", "bot"]).spawn().unwrap();
        wait_until("the server has answered", || server.tokens.lock().unwrap().refreshed > before);
        for _ in 0..round * 200 {
            std::thread::yield_now();
        }
        home.kill();
        let _ = mint.wait();
        start(&mut home);
        home.does("mint app:a --as bot");
    }
}

#[test]
fn a_login_that_the_server_ended_is_a_new_sign_in() {
    let server = Server::start();
    let home = home(&server);
    sign_in(&home, "app", &server);
    server.tokens.lock().unwrap().now = "another".into();
    let problem = home.fails("mint app:a --as bot", 1, "upstream_refused");
    assert!(problem["hint"].as_str().unwrap().contains("hallpass issuer login app"), "{problem}");
    assert!(!problem.to_string().contains("rt-"), "{problem}");
    sign_in(&home, "app", &server);
    home.does("mint app:a --as bot");
}

#[test]
fn a_registration_is_used_with_the_server_that_gave_it_only() {
    let (one, two) = (Server::start(), Server::start());
    let home = home(&one);
    let registered =
        |server: &Server| server.upstream.seen().iter().filter(|seen| seen.head.starts_with("POST /register ")).count();
    add(&home, "same", &one);
    assert_eq!(registered(&one), 1, "a second issuer at the same server is the same client");
    add(&home, "other", &two);
    assert_eq!(registered(&two), 1);
    let config = std::fs::read_to_string(home.path().join("config.toml")).unwrap();
    let parsed: toml::Table = config.parse().unwrap();
    let id = |name: &str| parsed["issuers"][name]["oauth"]["client_id"].clone();
    assert!(id("app") == id("same") && id("same") != id("other"), "{config}");
    // Each issuer's tables stand together.
    let heads: Vec<_> = config.lines().filter(|line| line.starts_with("[issuers.")).collect();
    for name in ["app", "same", "other"] {
        let at = heads.iter().position(|head| *head == format!("[issuers.{name}]")).unwrap();
        assert_eq!(heads[at + 1], format!("[issuers.{name}.oauth]"), "{config}");
    }
}

#[test]
fn a_server_that_calls_itself_something_else_is_not_believed() {
    let server = Server::start();
    let home = home(&server);
    server.tokens.lock().unwrap().other_name = Some(format!("{}/", server.url()));
    let before = std::fs::read(home.path().join("config.toml")).unwrap();
    let line = format!("issuer add oauth odd --issuer {} --login --allow-private", server.url());
    home.fails(&line, 1, "upstream_refused");
    assert_eq!(std::fs::read(home.path().join("config.toml")).unwrap(), before);
    // Nor is one that publishes nothing.
    let silent = Upstream::answering(http("404 Not Found", "text/html", "<html>"));
    home.fails(
        &format!("issuer add oauth odd --issuer http://127.0.0.1:{} --login --allow-private", silent.port),
        1,
        "not_found",
    );
    // Nor one in this network where the config does not allow that.
    let seen = server.upstream.seen().len();
    assert_ne!(home.line(&format!("issuer add oauth odd --issuer {} --login", server.url())).code(), 0);
    assert_eq!(server.upstream.seen().len(), seen, "it was not even asked");
}
