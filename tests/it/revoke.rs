//! `hallpass revoke-upstream` against a strict stand-in for the issuer.

use crate::{
    canary,
    support::{Home, MEMORY, random},
    upstream::{Seen, Upstream},
};
use hallpass::detect::check;

/// A made-up token in GitHub's format, checksum included.
pub fn github_token() -> String {
    let body = ["ghp", "_", &random()[..30]].concat();
    let token = format!("{body}{}", check::seal("base62-crc32", body.as_bytes()).unwrap());
    canary::watch(&token);
    token
}

/// GitHub's `POST /credentials/revoke`, as <https://docs.github.com/en/rest/credentials/revoke> has it: nothing but
/// `credentials`, a list of up to 1000 texts, is taken (else 422); an authenticated call gets 403; 202 is success.
fn github(seen: &Seen) -> String {
    let head = seen.head.to_ascii_lowercase();
    let list = serde_json::from_slice::<serde_json::Value>(&seen.body).ok().filter(|body| {
        let texts =
            |list: &Vec<serde_json::Value>| (1..=1000).contains(&list.len()) && list.iter().all(|v| v.is_string());
        let only = body.as_object().is_some_and(|members| members.len() == 1);
        only && body["credentials"].as_array().is_some_and(texts)
    });
    let status = if !head.starts_with("post /credentials/revoke http/1.1\r\n") {
        "404 Not Found"
    } else if head.contains("\r\nauthorization:") {
        "403 Forbidden"
    } else if !head.contains("\r\ncontent-type: application/json\r\n")
        || !head.contains("\r\nuser-agent: ")
        || list.is_none()
    {
        "422 Unprocessable Entity"
    } else {
        "202 Accepted"
    };
    format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{{}}")
}

/// A home whose credential `github` is a key of this upstream.
fn home(upstream: &Upstream) -> Home {
    let mut home = Home::new(&format!(
        r#"{MEMORY}
[issuers.github]
kind = "gateway"
route = "ghe"
credential = "github"

[[routes]]
name = "ghe"
base_url = "http://127.0.0.1:{}"
source = "the test"
auth = {{ kind = "bearer" }}
allow_private = true
[[routes.scope]]
name = "read"
description = "reading"
allow = ["GET /{{rest...}}"]
example = []
counter = []
"#,
        upstream.port
    ));
    home.start();
    home
}

fn quarantined(home: &Home) -> String {
    let token = github_token();
    let file = home.path().join("work.env");
    std::fs::write(&file, format!("GITHUB_TOKEN={token}\n")).unwrap();
    let text = home.ok(["quarantine", file.to_str().unwrap(), "--yes"]);
    assert!(text.contains("hallpass revoke-upstream github"), "{text}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "GITHUB_TOKEN=hallpass:github\n");
    token
}

#[test]
fn a_quarantined_key_is_revoked_where_it_belongs_and_its_tokens_end() {
    let upstream = Upstream::judging(github);
    let home = home(&upstream);
    let token = quarantined(&home);
    assert_eq!(home.json("credential show github")["kind"], "github-personal-access-token");
    home.does("grant add human github:read");
    let lease = home.does("mint github:read");

    // Nothing is sent before a person agreed.
    let plan = home.json("revoke-upstream github --dry-run");
    assert_eq!(plan["request"], format!("POST http://127.0.0.1:{}/credentials/revoke", upstream.port));
    let unasked = home.line("revoke-upstream github");
    assert!(unasked.code() == 2 && unasked.err().contains("cannot be undone"), "{}", unasked.err());
    assert_eq!(upstream.count(), 0);

    let done = home.json("revoke-upstream github --yes");
    assert_eq!((&done["leases_ended"], upstream.count()), (&1.into(), 1));
    let body: serde_json::Value = serde_json::from_slice(&upstream.seen()[0].body).unwrap();
    assert_eq!(body["credentials"], serde_json::json!([token]));
    assert!(home.json("credential show github")["revoked_at"].is_string());
    assert!(home.does("credential show github").contains("revoked at its issuer"));
    assert_eq!(home.through(&lease, "GET /ghe/x", "", b"").status, 401);
    let audit = home.does("audit query --event credential.revoke_upstream");
    assert!(audit.contains("allowed") && audit.contains("done") && audit.contains("202"), "{audit}");
    assert!(!audit.contains(&token) && !home.log().contains(&token));

    // Another value is another matter.
    home.run(["credential", "rotate", "github"], &github_token()).ok();
    assert!(home.json("credential show github")["revoked_at"].is_null());
}

#[test]
fn what_the_issuer_does_not_confirm_is_not_marked() {
    for answer in [
        "HTTP/1.1 422 Unprocessable Entity\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
        "HTTP/1.1 307 Temporary Redirect\r\nlocation: /elsewhere\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
    ] {
        let upstream = Upstream::answering(answer.into());
        let home = home(&upstream);
        let token = quarantined(&home);
        let problem = home.fails("revoke-upstream github --yes", 1, "upstream_unreachable");
        assert!(problem["hint"].as_str().unwrap().contains("https://github.com/settings/tokens"), "{problem}");
        assert!(!problem.to_string().contains(&token));
        assert_eq!(upstream.count(), 1, "a redirect must not be followed");
        assert!(home.json("credential show github")["revoked_at"].is_null());
    }
}

#[test]
fn a_key_goes_nowhere_but_to_its_issuer() {
    let upstream = Upstream::judging(github);
    let home = home(&upstream);
    quarantined(&home);
    // The value is no longer what it was found to be.
    home.run(["credential", "rotate", "github"], "another thing altogether").ok();
    home.fails("revoke-upstream github --yes", 1, "invalid_value");
    // Whose key this is, nobody knows.
    home.run(["credential", "add", "other"], "another thing altogether").ok();
    home.fails("revoke-upstream other --yes", 1, "invalid_value");
    home.fails("revoke-upstream nothing --yes", 1, "not_found");
    assert_eq!(upstream.count(), 0);
}

#[test]
fn without_an_api_the_page_is_told() {
    let home = Home::started();
    let key = ["sk_", "live_", &random()].concat();
    canary::watch(&key);
    let file = home.path().join("pay.env");
    std::fs::write(&file, format!("STRIPE_KEY={key}\n")).unwrap();
    home.ok(["quarantine", file.to_str().unwrap(), "--yes"]);
    let problem = home.fails("revoke-upstream stripe --yes", 1, "invalid_value");
    assert!(problem["hint"].as_str().unwrap().contains("https://dashboard.stripe.com/apikeys"), "{problem}");
}

/// The form of GitHub's tokens is the same on GitHub Enterprise Server: which of the two it is, a person says.
#[test]
fn a_key_that_may_be_a_servers_of_ones_own_goes_only_where_it_is_named() {
    let upstream = Upstream::judging(github);
    let home = Home::started();
    quarantined(&home);
    let plan = home.json("revoke-upstream github --dry-run");
    assert_eq!(plan["assumed"], "https://api.github.com", "{plan}");
    let problem = home.fails("revoke-upstream github --yes", 1, "invalid_value");
    assert!(problem["hint"].as_str().unwrap().contains("--base-url https://api.github.com"), "{problem}");
    for wrong in ["ftp://x", "https://u:p@x"] {
        home.fails(&format!("revoke-upstream github --yes --base-url {wrong}"), 1, "invalid_value");
    }
    assert!(home.json("credential show github")["revoked_at"].is_null());
    home.does(&format!("revoke-upstream github --yes --base-url http://127.0.0.1:{}", upstream.port));
    assert_eq!(upstream.count(), 1);
    assert!(home.json("credential show github")["revoked_at"].is_string());
}
