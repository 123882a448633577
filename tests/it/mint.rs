//! Tokens: who gets which, for how long, and when they die.

use super::{
    support::{Home, MEMORY, key, wait_until},
    upstream::Upstream,
};

fn home() -> (Home, Upstream, String) {
    let (home, upstream, key) = (Home::started(), Upstream::start(), key());
    home.with_upstream(&upstream, &key);
    (home, upstream, key)
}

#[test]
fn nothing_is_allowed_until_the_named_command_says_so() {
    let (home, upstream, key) = home();
    let problem = home.fails("mint up:read --as bot", 4, "no_grant");
    let hint = problem["hint"].as_str().unwrap();
    let command = &hint[hint.find("hallpass grant add").unwrap_or_else(|| panic!("{hint}"))..];
    home.pasted(command.trim_end_matches('`'));
    let token = home.does("mint up:read --as bot");
    assert!(token.starts_with("hp_"), "{token}");
    assert!(home.works(&token));
    let seen = upstream.seen();
    assert!(seen[0].head.to_ascii_lowercase().contains(&format!("authorization: bearer {}", key.to_ascii_lowercase())));
    assert!(!seen[0].head.contains(&token), "the token stays here");
    // Exactly that and no more.
    home.fails("mint up:write --as bot", 4, "no_grant");
    home.fails("mint up:* --as bot", 4, "no_grant");
    assert_eq!(home.through(&token, "POST /up/v1/things", "", b"{}").status, 403);
    assert_eq!(upstream.count(), 1, "a refused request never reaches the upstream");
}

#[test]
fn never_wins_over_a_grant_that_allows() {
    let (home, ..) = home();
    home.does("grant add bot up:*");
    home.does("mint up:write --as bot");
    home.does("grant add bot up:write --approval never");
    home.fails("mint up:write --as bot", 4, "denied");
    home.fails("mint up:* --as bot", 4, "denied");
    home.does("mint up:read --as bot");
}

#[test]
fn explain_agrees_with_mint() {
    let (home, ..) = home();
    let no = home.json("grant explain bot up:read");
    assert_eq!(no["allowed"], false);
    home.pasted(no["narrowest"].as_str().unwrap());
    let yes = home.json("grant explain bot up:read");
    assert_eq!((&yes["allowed"], yes["grants"].as_array().unwrap().len()), (&true.into(), 1));
    home.does("mint up:read --as bot");
    assert_eq!(home.json("grant explain bot up:write")["allowed"], false);
}

#[test]
fn a_ttl_is_capped_by_the_grant_and_the_answer_says_so() {
    let (home, ..) = home();
    home.does("grant add bot up:read --ttl 60s");
    let minted = home.json("mint up:read --as bot --ttl 1h");
    let seconds = minted["expires_in"].as_u64().unwrap();
    assert!((1..=60).contains(&seconds), "{minted}");
    assert_eq!(minted["token_type"], "Bearer");
}

#[test]
fn a_token_dies_when_its_time_is_up() {
    let (home, ..) = home();
    home.does("grant add bot up:read");
    let token = home.does("mint up:read --as bot --ttl 1s");
    wait_until("it dies", || !home.works(&token));
    let reply = home.through(&token, "GET /up/v1/things", "", b"");
    assert_eq!((reply.status, reply.code().as_str()), (401, "token_expired"));
}

#[test]
fn single_use_is_single_use_also_across_a_kill() {
    let (mut home, upstream, key) = (super::faults::with_file_store(), Upstream::start(), key());
    home.start();
    home.with_upstream(&upstream, &key);
    home.does("grant add bot up:read");
    let once = home.does("mint up:read --as bot --uses 1");
    assert!(home.works(&once));
    let again = home.through(&once, "GET /up/v1/things", "", b"");
    assert_eq!((again.status, again.code().as_str()), (401, "token_used_up"));
    let revoked = home.does("mint up:read --as bot --task other");
    home.run(["lease", "revoke", "--token"], &revoked).ok();
    assert_eq!(home.through(&revoked, "GET /up/v1/models", "", b"").code(), "token_revoked");
    let told: Vec<serde_json::Value> = home
        .does("--json audit query --event gateway.request")
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    for code in ["token_used_up", "token_revoked"] {
        let line = told.iter().find(|line| line["code"] == code).unwrap_or_else(|| panic!("{told:?}"));
        assert_eq!((&line["principal"], line["lease"].is_string()), (&"bot".into(), true), "{line}");
    }
    let twice = home.does("mint up:read --as bot --uses 2");
    assert!(home.works(&twice));
    home.kill();
    home.start();
    assert!(!home.works(&once), "a use that was counted stays counted");
    assert!(home.works(&twice));
    assert!(!home.works(&twice));
}

#[test]
fn fifty_at_once_cannot_use_a_single_use_twice() {
    let (home, upstream, _) = home();
    home.does("grant add bot up:read");
    let token = home.does("mint up:read --as bot --uses 1");
    let passed = std::thread::scope(|scope| {
        let all: Vec<_> = (0..50).map(|_| scope.spawn(|| home.works(&token))).collect();
        all.into_iter().filter(|_| true).map(|one| one.join().unwrap()).filter(|passed| *passed).count()
    });
    assert_eq!((passed, upstream.count()), (1, 1));
}

#[test]
fn a_rate_is_held_and_the_client_told_when_to_come_back() {
    let (home, ..) = home();
    home.does("grant add bot up:read --rate 3/min");
    let token = home.does("mint up:read --as bot");
    let replies: Vec<_> = (0..6).map(|_| home.through(&token, "GET /up/v1/things", "", b"")).collect();
    let passed = replies.iter().filter(|reply| reply.status == 200).count();
    assert_eq!(passed, 3, "{replies:?}");
    let refused = replies.last().unwrap();
    assert_eq!((refused.status, refused.code().as_str()), (429, "rate_limited"));
    let seconds: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&seconds));
    // Another token of the same grant has a rate of its own.
    let other = home.does("mint up:read --as bot");
    assert!(home.works(&other));
    assert_eq!(home.line("mint up:read --as bot --rate 0/min").code(), 2);
}

#[test]
fn identical_requests_of_one_task_share_one_lease() {
    let (home, ..) = home();
    home.does("grant add bot up:read,write");
    let task = home.does("task start triage --as bot");
    let mint = format!("mint up:read --as bot --task {task}");
    let first = home.json(&mint);
    let second = home.json(&mint);
    assert_eq!(first["access_token"], second["access_token"]);
    assert_eq!((&first["shared"], &second["shared"]), (&false.into(), &true.into()));
    assert_ne!(home.json(&format!("{mint} --ttl 30s"))["lease"], first["lease"]);
    assert_ne!(home.json(&format!("mint up:write --as bot --task {task}"))["lease"], first["lease"]);
    let other = home.does("task start other --as bot");
    assert_ne!(home.json(&format!("mint up:read --as bot --task {other}"))["lease"], first["lease"]);
    home.does(&format!("lease revoke {}", first["lease"].as_str().unwrap()));
    let third = home.json(&mint);
    assert_ne!(third["lease"], first["lease"], "a dead one is not shared");
}

#[test]
fn an_old_lease_is_not_shared_any_more_while_it_still_works() {
    let (home, ..) = home();
    home.does("grant add bot up:read");
    let task = home.does("task start triage --as bot");
    let mint = format!("mint up:read --as bot --task {task} --ttl 15s");
    let first = home.json(&mint);
    let mut next = home.json(&mint);
    assert_eq!(next["lease"], first["lease"]);
    wait_until("another lease", || {
        next = home.json(&mint);
        next["lease"] != first["lease"]
    });
    assert!(home.works(first["access_token"].as_str().unwrap()), "at 80 % of its time, not at its end");
}

#[test]
fn fifty_identical_requests_at_once_make_one_lease() {
    let (home, ..) = home();
    home.does("grant add bot up:read");
    let task = home.does("task start triage --as bot");
    let body = format!(r#"{{"what":{{"issuer":"up","scopes":["read"]}},"as":"bot","task":"{task}"}}"#);
    let mut leases = std::thread::scope(|scope| {
        let all: Vec<_> = (0..50).map(|_| scope.spawn(|| home.api("POST", "/v1/mint", &body))).collect();
        all.into_iter().map(|one| one.join().unwrap().json()["lease"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    });
    leases.sort_unstable();
    leases.dedup();
    assert_eq!(leases.len(), 1);
}

#[test]
fn what_ends_a_token() {
    let (home, ..) = home();
    home.does("grant add bot up:read");
    let dies = |token: &str, how: &str| {
        assert!(home.works(token), "before: {how}");
        home.does(how);
        let reply = home.through(token, "GET /up/v1/things", "", b"");
        assert_eq!((reply.status, reply.code().as_str()), (401, "token_revoked"), "{how}");
    };
    let minted = home.json("mint up:read --as bot");
    dies(minted["access_token"].as_str().unwrap(), &format!("lease revoke {}", minted["lease"].as_str().unwrap()));

    let task = home.does("task start triage --as bot");
    let token = home.does(&format!("mint up:read --as bot --task {task}"));
    dies(&token, &format!("task end {task}"));
    home.fails(&format!("mint up:read --as bot --task {task}"), 4, "task_ended");

    let token = home.does("mint up:read --as bot");
    let grant = home.json("grant list")["items"][0]["id"].as_str().unwrap().to_owned();
    dies(&token, &format!("grant remove {grant}"));
    home.fails("mint up:read --as bot", 4, "no_grant");

    home.does("grant add bot up:read");
    let token = home.does("mint up:read --as bot");
    dies(&token, "principal disable bot");
    home.fails("mint up:read --as bot", 4, "denied");
    home.does("principal enable bot");
    assert!(!home.works(&token), "what ended does not come back");

    let token = home.does("mint up:read --as bot");
    dies(&token, "credential remove up");
}

#[test]
fn the_holder_of_a_token_may_end_it() {
    let (home, ..) = home();
    home.does("grant add bot up:read");
    let token = home.does("mint up:read --as bot");
    home.run(["lease", "revoke", "--token"], &token).ok();
    assert!(!home.works(&token));
}

#[test]
fn a_rotated_key_is_used_at_once() {
    let (home, upstream, old) = home();
    home.does("grant add bot up:read");
    let token = home.does("mint up:read --as bot");
    assert!(home.works(&token));
    let new = key();
    home.run(["credential", "rotate", "up"], &new).ok();
    assert!(home.works(&token));
    let seen = upstream.seen();
    assert!(seen[0].head.contains(&old) && seen[1].head.contains(&new) && !seen[1].head.contains(&old));
}

#[test]
fn leases_survive_kill_9_and_revoked_ones_stay_revoked() {
    let (mut home, upstream, key) = (super::faults::with_file_store(), Upstream::start(), key());
    home.start();
    home.with_upstream(&upstream, &key);
    home.does("grant add bot up:read");
    let kept = home.does("mint up:read --as bot");
    let revoked = home.json("mint up:read --as bot");
    home.does(&format!("lease revoke {}", revoked["lease"].as_str().unwrap()));
    home.kill();
    home.start();
    assert!(home.works(&kept), "it survives, with its credential");
    assert!(upstream.seen()[0].head.contains(&key));
    assert!(!home.works(revoked["access_token"].as_str().unwrap()), "it stays revoked");
    let state = std::fs::read(home.path().join("state/state.db")).unwrap_or_default();
    let text = String::from_utf8_lossy(&state);
    assert!(!text.contains(&kept[3..]), "the state holds hashes only");
}

#[test]
fn a_damaged_token_is_told_from_an_unknown_one() {
    let (home, ..) = home();
    home.does("grant add bot up:read");
    let token = home.does("mint up:read --as bot");
    let mut damaged = token.clone();
    let last = damaged.pop().unwrap();
    damaged.push(if last == 'a' { 'b' } else { 'a' });
    for bad in
        [damaged.as_str(), "hp_", "hp_short", &token[..token.len() - 1], &format!("{token}a"), &token.to_uppercase()]
    {
        let reply = home.through(bad, "GET /up/v1/things", "", b"");
        assert_eq!(reply.status, 401, "{bad}: {}", reply.text());
        assert!(!reply.text().contains(bad) || bad == "hp_", "a token is not repeated");
    }
}

#[test]
fn what_an_issuer_does_not_have_is_refused_before_a_grant_is_looked_at() {
    let mut home = Home::new(MEMORY);
    home.start();
    let problem = home.line("--json mint nothing:read");
    assert!([1, 4].contains(&problem.code()), "{}", problem.err());
    home.fails("mint openai:", 1, "invalid_value");
    assert_eq!(home.line("mint openai:chat --ttl soon").code(), 2);
}
