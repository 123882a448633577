//! Delegation: a child is never wider, longer or in another task than its parent (promise 3).

use super::{
    support::{Home, key},
    upstream::Upstream,
};

fn narrow(home: &Home, parent: &str, line: &str) -> super::support::Ran {
    home.run(format!("--json mint {line} --parent").split(' '), parent)
}

fn child(home: &Home, parent: &str, line: &str) -> serde_json::Value {
    serde_json::from_str(&narrow(home, parent, line).ok()).unwrap()
}

#[test]
fn a_child_is_never_wider_and_dies_with_its_parent() {
    let (home, upstream, key) = (Home::started(), Upstream::start(), key());
    home.with_upstream(&upstream, &key);
    home.does("grant add bot up:read,write");
    let task = home.does("task start triage --as bot");
    let other = home.does("task start other --as bot");
    let parent = home.json(&format!("mint up:read --as bot --task {task} --ttl 5m"));
    let token = parent["access_token"].as_str().unwrap();

    let one = child(&home, token, "up:read --as bot --ttl 1m");
    let one_token = one["access_token"].as_str().unwrap();
    assert!(home.works(one_token));
    let lease = home.json(&format!("lease show {}", one["lease"].as_str().unwrap()));
    assert_eq!((&lease["parent"], &lease["task"]), (&parent["lease"], &task.clone().into()));

    for (line, code) in [
        ("up:write --as bot", "widening"),
        ("up:* --as bot", "widening"),
        ("up:read,write --as bot", "widening"),
        ("openai:chat --as bot", "widening"),
        (&*format!("up:read --as bot --task {other}"), "widening"),
    ] {
        let ran = narrow(&home, token, line);
        assert_eq!(ran.code(), 4, "{line}: {}{}", ran.out(), ran.err());
        assert!(ran.err().contains(code), "{line}: {}", ran.err());
    }
    // Longer than the parent: refused, or cut to the parent's own end.
    let ran = narrow(&home, token, "up:read --as bot --ttl 1h");
    if ran.code() == 0 {
        let long: serde_json::Value = serde_json::from_str(&ran.out()).unwrap();
        // The two clocks are read apart: a few milliseconds are no longer life.
        let end = |minted: &serde_json::Value| {
            minted["expires_at"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_millisecond()
        };
        assert!(end(&long) <= end(&parent) + 100, "{long} outlives {parent}");
    } else {
        assert!(ran.err().contains("widening"), "{}", ran.err());
    }

    let two = child(&home, one_token, "up:read --as bot --ttl 30s");
    let two_token = two["access_token"].as_str().unwrap();
    assert!(home.works(two_token));
    home.does(&format!("lease revoke {}", parent["lease"].as_str().unwrap()));
    for dead in [token, one_token, two_token] {
        let reply = home.through(dead, "GET /up/v1/things", "", b"");
        assert_eq!((reply.status, reply.code().as_str()), (401, "token_revoked"));
        assert_ne!(narrow(&home, dead, "up:read --as bot").code(), 0, "a dead token gives no child");
    }
}

#[test]
fn a_child_cannot_have_more_uses_than_its_parent() {
    let (home, upstream, key) = (Home::started(), Upstream::start(), key());
    home.with_upstream(&upstream, &key);
    home.does("grant add bot up:read");
    let parent = home.does("mint up:read --as bot --uses 2");
    let mut passed = 0;
    for _ in 0..3 {
        let ran = narrow(&home, &parent, "up:read --as bot --uses 2");
        if ran.code() == 0 {
            let token = serde_json::from_str::<serde_json::Value>(&ran.out()).unwrap();
            let token = token["access_token"].as_str().unwrap().to_owned();
            passed += (0..3).filter(|_| home.works(&token)).count();
        }
    }
    passed += (0..3).filter(|_| home.works(&parent)).count();
    assert!(passed <= 2, "{passed} requests passed with a token of two uses");
    assert_eq!(upstream.count(), passed);
}

#[test]
fn a_child_keeps_the_parents_bounds() {
    let (home, upstream, key) = (Home::started(), Upstream::start(), key());
    home.with_upstream(&upstream, &key);
    home.does("grant add bot up:write --body model=one-of:small");
    let parent = home.does("mint up:write --as bot");
    let child = child(&home, &parent, "up:write --as bot");
    let token = child["access_token"].as_str().unwrap();
    let post =
        |body: &[u8]| home.through(token, "POST /up/v1/things", "Content-Type: application/json\r\n", body).status;
    assert_eq!(post(br#"{"model":"large"}"#), 403);
    assert_eq!(post(br#"{"model":"small"}"#), 200);
}
