//! `hallpass mcp serve`: an agent asks, gets handles, and never a token.

use std::process::Stdio;

use serde_json::{Value, json};

use super::{
    mcp::Peer,
    support::{Home, key, own_session, wait_until},
    terminal::Terminal,
    upstream::Upstream,
};

const TOOLS: [&str; 5] = ["end_task", "hand_over", "list_access", "request_access", "revoke_lease"];

/// A home with the upstream `up`, whose agent `bot` may read there and, asking a person, write.
fn home(upstream: &Upstream, config: &str) -> Home {
    let mut home = Home::new(config);
    home.start();
    home.human_does(&format!(
        "route add up http://127.0.0.1:{} --allow-private --key-env UP_KEY --base-url-env UP_BASE",
        upstream.port
    ));
    home.human(["credential", "add", "up"], &key()).ok();
    home.human_does("principal add bot --kind agent");
    home.human_does("grant add bot up:read --ttl 1h");
    home.human_does("grant add bot up:write --ttl 1h --approval ask");
    home
}

const PLAIN: &str = "[store]\nkind = \"memory\"\n";

fn served(home: &Home) -> Peer {
    let mut peer = Peer::start(home, "serve --as bot");
    let hello = peer.hello();
    assert_eq!(hello["result"]["capabilities"]["tools"], json!({}), "{hello}");
    peer
}

/// Calls a tool; its structured answer, or its error's text.
fn tool(peer: &mut Peer, name: &str, arguments: Value) -> Result<Value, String> {
    let answer = peer.call(7, "tools/call", json!({ "name": name, "arguments": arguments }));
    let result = &answer["result"];
    let text = result["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned();
    assert!(!answer.to_string().contains("hp_"), "a token came out: {answer}");
    match result["isError"].as_bool() {
        Some(true) => Err(text),
        _ => Ok(result["structuredContent"].clone()),
    }
}

fn exec(home: &Home, lease: &str, script: &str) -> (i32, String) {
    let ran = home.run(["exec", "--lease", lease, "--", "sh", "-c", script], "");
    (ran.code(), ran.out().trim().to_owned())
}

/// Whether the token behind this handle gets through.
fn works(home: &Home, lease: &str, request: &str) -> u16 {
    let (code, token) = exec(home, lease, "printf %s \"$UP_KEY\"");
    if code != 0 {
        return 0;
    }
    home.through(&token, request, "", b"").status
}

#[test]
fn the_tools_say_what_they_do() {
    let upstream = Upstream::start();
    let home = home(&upstream, PLAIN);
    let mut peer = served(&home);
    let list = peer.call(1, "tools/list", json!({}));
    let tools = list["result"]["tools"].as_array().unwrap();
    let mut names: Vec<&str> = tools.iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, TOOLS);
    for tool in tools {
        let name = tool["name"].as_str().unwrap();
        assert_eq!(tool["annotations"]["readOnlyHint"], name == "list_access", "{name}");
        assert_eq!(tool["outputSchema"]["type"], "object", "{name}");
        assert!(tool["description"].as_str().unwrap().len() > 40 && tool["annotations"]["title"].is_string(), "{name}");
        let destroys = ["revoke_lease", "end_task"].contains(&name);
        assert!(tool["annotations"]["destructiveHint"].as_bool().unwrap_or(false) == destroys, "{name}");
    }
    let asked = tools.iter().find(|tool| tool["name"] == "request_access").unwrap();
    assert_eq!(asked["inputSchema"]["required"], json!(["want", "reason"]));
    assert_eq!(peer.end(), 0);
}

#[test]
fn an_agent_asks_hands_over_and_ends() {
    let upstream = Upstream::start();
    let home = home(&upstream, PLAIN);
    let mut peer = served(&home);
    let may = tool(&mut peer, "list_access", json!({})).unwrap();
    assert_eq!((&may["principal"], &may["holds"]), (&json!("bot"), &json!([])));
    assert_eq!((&may["may_have"][0]["want"], &may["may_have"][1]["approval"]), (&json!("up:read"), &json!("ask")));

    // What nobody granted stays refused, with the command that a person would run.
    let refused = tool(&mut peer, "request_access", json!({"want": "up:admin", "reason": "x"})).unwrap_err();
    assert!(refused.contains("what to do") || refused.contains("what a person can do"), "{refused}");
    home.human_does("principal add other --kind agent");
    let mut other = Peer::start(&home, "serve --as other");
    other.hello();
    let refused = tool(&mut other, "request_access", json!({"want": "up:read", "reason": "to read"})).unwrap_err();
    assert!(refused.contains("no_grant") && refused.contains("hallpass grant add other 'up:read'"), "{refused}");
    assert!(home.json("grant list")["items"].as_array().unwrap().iter().all(|grant| grant["principal"] != "other"));
    for (asked, says) in [
        (json!({"want": "up:release", "reason": "x"}), "the key itself"),
        (json!({"want": "up", "reason": "x"}), "list_access"),
        (json!({"want": "up:read", "reason": " "}), "needs a reason"),
    ] {
        let error = tool(&mut peer, "request_access", asked).unwrap_err();
        assert!(error.contains(says), "{error}");
    }

    let handle = tool(&mut peer, "request_access", json!({"want": "up:read", "reason": "to read things"})).unwrap();
    let lease = handle["lease"].as_str().unwrap().to_owned();
    assert_eq!(handle["variables"], json!(["UP_BASE", "UP_KEY"]));
    assert_eq!(handle["run"], format!("hallpass exec --lease {lease} -- COMMAND"));
    assert_eq!((works(&home, &lease, "GET /up/v1/things"), works(&home, &lease, "POST /up/v1/things")), (200, 403));
    assert_eq!(exec(&home, &lease, "exit 7").0, 7);
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &home.path().join("run/leases").join(&lease).metadata().unwrap().permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);

    // A sub-agent gets less, and it ends with what it was made from.
    let wide = tool(&mut peer, "hand_over", json!({"lease": lease, "want": "up:write"})).unwrap_err();
    assert!(wide.contains("widening"), "{wide}");
    let child = tool(&mut peer, "hand_over", json!({"lease": lease, "uses": 1, "ttl_seconds": 60})).unwrap();
    let child = child["lease"].as_str().unwrap().to_owned();
    let holds = tool(&mut peer, "list_access", json!({})).unwrap();
    let held = holds["holds"].as_array().unwrap();
    assert!(held.len() == 2 && held.iter().any(|one| one["narrowed_from"] == lease.as_str()), "{holds}");
    assert_eq!((works(&home, &child, "GET /up/a"), works(&home, &child, "GET /up/a")), (200, 401));
    let again = tool(&mut peer, "hand_over", json!({ "lease": lease })).unwrap();
    let again = again["lease"].as_str().unwrap().to_owned();
    let ended = tool(&mut peer, "revoke_lease", json!({ "lease": lease })).unwrap();
    assert!(ended["leases"].as_array().unwrap().contains(&json!(again)), "{ended}");
    assert_eq!((works(&home, &lease, "GET /up/a"), works(&home, &again, "GET /up/a")), (0, 0));

    let handle = tool(&mut peer, "request_access", json!({"want": "up:read", "reason": "more"})).unwrap();
    let lease = handle["lease"].as_str().unwrap().to_owned();
    let (_, token) = exec(&home, &lease, "printf %s \"$UP_KEY\"");
    assert!(home.works(&token));
    tool(&mut peer, "end_task", json!({})).unwrap();
    assert!(!home.works(&token) && !home.path().join("run/leases").join(&lease).exists());
    // The next request opens another task.
    tool(&mut peer, "request_access", json!({"want": "up:read", "reason": "again"})).unwrap();
    assert_eq!(peer.end(), 0);
    assert_eq!(std::fs::read_dir(home.path().join("run/leases")).unwrap().count(), 0);
}

#[test]
fn tokens_die_with_the_server_killed_or_not() {
    let upstream = Upstream::start();
    let home = home(&upstream, PLAIN);
    let mut peer = served(&home);
    let handle = tool(&mut peer, "request_access", json!({"want": "up:read", "reason": "to read"})).unwrap();
    let lease = handle["lease"].as_str().unwrap().to_owned();
    let (_, token) = exec(&home, &lease, "printf %s \"$UP_KEY\"");
    assert!(home.works(&token));
    peer.child.kill().unwrap();
    wait_until("its token is dead", || !home.works(&token));
    // What it left behind goes when the next one starts.
    let mut next = served(&home);
    wait_until("the file is gone", || !home.path().join("run/leases").join(&lease).exists());
    assert!(tool(&mut next, "list_access", json!({})).unwrap()["holds"].as_array().unwrap().is_empty());
}

/// The one request that waits.
fn waiting(home: &Home) -> Value {
    let mut found = Value::Null;
    wait_until("a request waits", || {
        found = home.api("GET", "/v1/approvals", "").json()["items"][0].clone();
        !found.is_null()
    });
    found
}

#[test]
fn what_needs_a_person_waits_for_one_who_is_not_the_asker() {
    let upstream = Upstream::start();
    let home = home(&upstream, PLAIN);
    // The assistant: a shell with a terminal that starts the server, and then tries to approve by itself.
    let hallpass = env!("CARGO_BIN_EXE_hallpass");
    let script = format!(
        "({hallpass} mcp serve --as bot; :) & exec 0</dev/null; \
         mkfifo go; {hallpass} --json approve \"$(cat go)\" >tried 2>&1; echo $? >code; wait"
    );
    let plain = home.command(["x"]);
    let mut shell = std::process::Command::new("/bin/sh");
    // A background command of sh has no standard input: it is given the client's by another descriptor.
    let script = script.replace("serve --as bot;", "serve --as bot <&3;");
    shell.arg("-c").arg(format!("exec 3<&0; {script}")).env_clear();
    shell.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?)))).current_dir(home.path());
    own_session(&mut shell);
    let terminal = Terminal::open();
    terminal.control(&mut shell);
    let mut peer = Peer::of(&mut shell, &home);
    peer.hello();
    let reason = "the ticket says so, approved by your boss \u{1b}[2J";
    let ask = json!({"want": "up:write", "reason": reason, "wait_seconds": 60});
    peer.send(&json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "request_access", "arguments": ask}}));
    let request = waiting(&home);
    let id = request["id"].as_str().unwrap().to_owned();
    // It is shown as the asker's words, made harmless.
    let shown = home.human(["approvals"], "").ok();
    assert!(shown.contains("reason, in its own words") && !shown.contains('\u{1b}'), "{shown}");
    assert!(request["reason"].as_str().unwrap().starts_with("the ticket says so"));
    // Other tools go on meanwhile.
    assert_eq!(tool(&mut peer, "list_access", json!({})).unwrap()["principal"], "bot");
    // The asker's own session cannot approve it.
    let go = home.path().join("go");
    wait_until("it waits to try", || go.exists());
    std::fs::write(go, &id).unwrap();
    let code = home.path().join("code");
    wait_until("it tried", || std::fs::read_to_string(&code).is_ok_and(|text| text.ends_with('\n')));
    assert_eq!(std::fs::read_to_string(&code).unwrap().trim(), "4");
    let tried = std::fs::read_to_string(home.path().join("tried")).unwrap();
    assert!(tried.contains("human_only"), "{tried}");
    assert_eq!(waiting(&home)["id"], id.as_str(), "it still waits");
    // A person at another terminal can.
    home.human_does(&format!("approve {id}"));
    let answer = peer.next();
    assert_eq!(
        (&answer["id"], &answer["result"]["structuredContent"]["want"]),
        (&json!(1), &json!("up:write")),
        "{answer}"
    );
    // And one that is denied is told so.
    let ask = json!({"want": "up:write@a", "reason": "more", "wait_seconds": 60});
    peer.send(&json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "request_access", "arguments": ask}}));
    home.human_does(&format!("deny {}", waiting(&home)["id"].as_str().unwrap()));
    let answer = peer.next();
    assert!(answer["result"]["isError"] == true && answer.to_string().contains("approval_denied"), "{answer}");
}

#[test]
fn without_a_name_or_a_daemon_the_tools_say_what_to_do() {
    let home = Home::new(PLAIN);
    let mut peer = Peer::start(&home, "serve");
    peer.hello();
    let error = tool(&mut peer, "list_access", json!({})).unwrap_err();
    assert!(error.contains("daemon") && error.contains("hallpass"), "{error}");
    assert_eq!(peer.end(), 0);
    let mut home = home;
    home.start();
    let mut peer = Peer::start(&home, "serve");
    peer.hello();
    let error = tool(&mut peer, "list_access", json!({})).unwrap_err();
    assert!(error.contains("unknown_caller"), "{error}");
    // One that is closed at once ends well.
    let mut early = home.command(["mcp", "serve"]);
    assert!(early.stdin(Stdio::null()).stdout(Stdio::null()).status().unwrap().success());
}
