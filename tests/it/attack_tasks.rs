//! Attacks on tasks and names: ways out of a task, ways to pass for the person, ways to outlive an end.

use std::{
    fs,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Resource, Rlimit, prlimit};

use super::{
    faults::started_by,
    support::{Home, MEMORY, key, wait_until},
    terminal::Terminal,
    upstream::Upstream,
};

#[test]
fn who_works_in_a_narrow_task_cannot_join_a_wide_one() {
    let (home, upstream, key) = (Home::started(), Upstream::start(), key());
    home.with_upstream(&upstream, &key);
    home.does("grant add bot up:read,write");
    let wide = home.does("task start wide --as bot");
    for name in [wide.as_str(), "wide"] {
        let inside = format!(
            "exec --as bot --grant up:read -- {} env --no-project --shell json --task {name} --grant up:write",
            env!("CARGO_BIN_EXE_hallpass")
        );
        let ran = home.line(&inside);
        assert_ne!(ran.code(), 0, "{}", ran.out());
        assert!(!ran.out().contains("hp_"), "{}", ran.out());
    }
    assert!(home.json(&format!("task show {wide}"))["live_leases"] == 0);
}

#[test]
fn an_orphan_that_keeps_a_terminal_is_no_person() {
    let mut home = Home::new("[store]\nkind = \"memory\"\n");
    home.start();
    // The leader of the terminal's session lives; the middle one ends, and with it the ancestry.
    let script = format!(
        "sh -c 'middle=$$; (while kill -0 $middle 2>/dev/null; do :; done; \
         {} principal add evil --kind agent >out 2>&1; echo $? >code.new; mv code.new code) & exit 0'; \
         until [ -e code ]; do :; done",
        env!("CARGO_BIN_EXE_hallpass")
    );
    let terminal = Terminal::open();
    let command = home.command(["version"]);
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", &script]).current_dir(home.path()).env_clear();
    shell.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    super::support::own_session(&mut shell);
    terminal.control(&mut shell);
    let ran = super::support::run(shell, b"");
    assert_eq!(ran.code(), 0, "{}", ran.err());
    let (code, out) = (fs::read_to_string(home.path().join("code")), fs::read_to_string(home.path().join("out")));
    assert_ne!(code.unwrap().trim(), "0", "an orphan passed for the person");
    assert!(out.unwrap().contains("person at a terminal"));
    // And the person still does.
    home.human_does("principal add good --kind agent");
}

/// A person starts `exec` at a terminal; the command in it runs on after the task has ended, in each of these ways.
#[test]
fn who_ends_the_own_task_or_outlives_it_is_no_person() {
    let (mut home, upstream, key) = (Home::started(), Upstream::start(), key());
    home.with_upstream(&upstream, &key);
    home.does("grant add bot up:read");
    let hallpass = env!("CARGO_BIN_EXE_hallpass");
    let over = format!("until {hallpass} --json task show $HALLPASS_TASK | grep -q 'ended_at.*Z'; do :; done");
    let attempts = format!(
        "{hallpass} grant add bot up:write; {hallpass} principal add evil --kind agent; {hallpass} mint up:read; \
         {hallpass} mint up:read --as bot; {hallpass} exec --as bot --grant up:read -- echo hp_in; \
         {hallpass} grant explain up:read"
    );
    let ends = format!("{hallpass} task end $HALLPASS_TASK >ended");
    let wait = "echo over >over; until [ -e go ]; do :; done";
    for (ttl, script) in [("1h", format!("{ends}; {attempts}")), ("1s", format!("{over}; {attempts}"))] {
        let args = ["exec", "--as", "bot", "--ttl", ttl, "--grant", "up:read", "--", "sh", "-c", &script];
        let ran = home.human(args, "");
        assert!(!ran.out().contains("hp_") && !ran.out().contains("may have"), "{}{}", ran.out(), ran.err());
        assert_eq!(ran.err().matches("has ended").count(), 4, "{}", ran.err());
    }
    // The daemon is killed and comes back meanwhile; afterwards the process is forgotten.
    let script = format!("{ends}; {wait}; {attempts}");
    let args = ["exec", "--as", "bot", "--grant", "up:read", "--", "sh", "-c", &script];
    let terminal = Terminal::open();
    let mut command = home.command(args);
    terminal.control(&mut command);
    let asked = std::thread::spawn(move || super::support::run(command, b""));
    wait_until("its task is over", || home.path().join("over").exists());
    home.kill();
    home.start();
    fs::write(home.path().join("go"), "").unwrap();
    let ran = asked.join().unwrap();
    assert!(!ran.out().contains("hp_"), "{}{}", ran.out(), ran.err());
    assert_eq!(ran.err().matches("has ended").count(), 4, "{}", ran.err());
    assert_eq!(home.json("principal list")["items"].as_array().unwrap().len(), 1);
    home.human_does("principal add good --kind agent");
}

/// Whoever opens and ends tasks for as long as it lives costs one descriptor and not one for each.
#[test]
fn a_process_that_opens_tasks_without_end_is_watched_once() {
    use std::io::{Read, Write};
    let home = Home::started();
    home.does("principal add bot --kind agent");
    let descriptors = || fs::read_dir(format!("/proc/{}/fd", home.pid().unwrap())).unwrap().count();
    let mut socket = std::os::unix::net::UnixStream::connect(home.socket()).unwrap();
    let mut ask = |path: &str, body: &str| -> serde_json::Value {
        write!(
            socket,
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut reply = Vec::new();
        let mut part = [0; 4096];
        loop {
            let read = socket.read(&mut part).unwrap();
            reply.extend_from_slice(&part[..read]);
            let text = String::from_utf8_lossy(&reply);
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            assert!(head.starts_with("HTTP/1.1 200"), "{text}");
            if let Ok(json) = serde_json::from_str(body) {
                return json;
            }
        }
    };
    let before = descriptors();
    for round in 0..50 {
        let task = ask("/v1/tasks", &format!("{{\"title\":\"{round}\",\"as\":\"bot\",\"bind\":true}}"));
        ask(&format!("/v1/tasks/{}/end", task["id"].as_str().unwrap()), "{}");
    }
    assert!(descriptors() < before + 10, "{before} descriptors, then {}", descriptors());
}

#[test]
fn a_lease_ends_by_itself_when_its_time_is_up() {
    let (home, upstream, key) = (Home::started(), Upstream::start(), key());
    home.with_upstream(&upstream, &key);
    home.does("grant add bot up:read");
    let minted = home.json("mint up:read --as bot --ttl 1s");
    let lease = minted["lease"].as_str().unwrap();
    // Ended, not only past: what runs on it is cut, and the database does not take it for alive.
    wait_until("the lease is ended", || home.json(&format!("lease show {lease}"))["end_reason"] == "expired");
    let reply = home.through(minted["access_token"].as_str().unwrap(), "GET /up/v1/things", "", b"");
    assert_eq!(reply.code(), "token_expired");
}

#[test]
fn a_task_that_ends_while_the_disk_is_full_takes_all_its_tokens_with_it_and_stays_ended() {
    let (mut home, upstream, key) = (Home::new(MEMORY), Upstream::start(), key());
    started_by(&mut home, "trap '' XFSZ; exec \"$0\" daemon");
    home.with_upstream(&upstream, &key);
    home.does("grant add bot up:read");
    let task = home.does("task start triage --as bot");
    let tokens: Vec<String> =
        (0..6).map(|n| home.does(&format!("mint up:read --as bot --task {task} --uses {}", n + 10))).collect();
    let pid = Pid::from_raw(i32::try_from(home.pid().unwrap()).unwrap());
    let old = prlimit(pid, Resource::Fsize, Rlimit { current: Some(0), maximum: None }).unwrap();
    assert_ne!(home.line(&format!("task end {task}")).code(), 0);
    prlimit(pid, Resource::Fsize, old).unwrap();
    for token in &tokens {
        assert!(!home.works(token), "a token outlived its task");
    }
    // Anything that is handed out is written after the end that could not be.
    home.does("mint up:read --as bot");
    home.kill();
    home.start();
    assert_eq!(home.json(&format!("task show {task}"))["end_reason"], "revoked");
}

#[test]
fn a_thousand_wishes_cost_nothing() {
    let home = Home::started();
    let want: Vec<String> =
        (0..4000).map(|n| format!("{{\"issuer\":\"up\",\"scopes\":[\"s{n}\"],\"resources\":[\"*\"]}}")).collect();
    let start = Instant::now();
    let reply = home.api("POST", "/v1/env", &format!("{{\"want\":[{}],\"bind\":false}}", want.join(",")));
    assert!(reply.text().contains("may name"), "{}", reply.text());
    assert_eq!((reply.status, reply.code().as_str()), (422, "invalid_value"), "{}", reply.text());
    let reply = home.api("POST", "/v1/tasks", &format!("{{\"title\":\"x\",\"limit\":[{}]}}", want.join(",")));
    assert_ne!(reply.status, 200);
    assert!(start.elapsed() < Duration::from_secs(10));
}
