//! Approval: a person at another terminal, never the one who asks (promise 10).

use std::{
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use super::{
    support::{Home, Ran, key, run, wait_until},
    terminal::Terminal,
};

fn home() -> Home {
    let mut home = Home::new("[store]\nkind = \"memory\"\n");
    home.start();
    home.human(["credential", "add", "openai"], &key()).ok();
    home.human_does("principal add bot --kind agent");
    home.human_does("grant add bot openai:chat --approval ask");
    home
}

fn ask(home: &Home, wait: &str) -> Child {
    let mut command = home.command(["--json", "mint", "openai:chat", "--as", "bot", "--wait", wait]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn end(child: Child) -> Ran {
    Ran(child.wait_with_output().unwrap())
}

/// The id of the one request that waits.
fn waiting(home: &Home) -> String {
    let mut id = None;
    wait_until("a request waits", || {
        let list = home.api("GET", "/v1/approvals", "").json();
        id = list["items"][0]["id"].as_str().map(str::to_owned);
        id.is_some()
    });
    id.unwrap()
}

fn none_waits(home: &Home) -> bool {
    home.api("GET", "/v1/approvals", "").json()["items"].as_array().unwrap().is_empty()
}

#[test]
fn a_person_at_another_terminal_approves() {
    let home = home();
    let asker = ask(&home, "60s");
    let id = waiting(&home);
    home.human_does(&format!("approve {id}"));
    let ran = end(asker);
    assert_eq!(ran.code(), 0, "{}", ran.err());
    assert!(ran.out().contains("hp_"));
    assert!(none_waits(&home));
    let audit = home.does("--json audit query --event approval");
    assert!(audit.contains("approval.ask") && audit.contains("approval.approve"), "{audit}");
}

#[test]
fn a_denial_holds_for_the_next_request_too() {
    let home = home();
    let asker = ask(&home, "60s");
    home.human_does(&format!("deny {}", waiting(&home)));
    let ran = end(asker);
    assert_eq!(ran.code(), 4);
    assert!(ran.err().contains("approval_denied"), "{}", ran.err());
    let start = Instant::now();
    home.fails("mint openai:chat --as bot --wait 60s", 4, "approval_denied");
    assert!(start.elapsed() < Duration::from_secs(10), "nobody is asked again");
}

#[test]
fn nobody_there_means_no() {
    let home = home();
    home.fails("mint openai:chat --as bot --wait 1s", 4, "approval_timeout");
    assert!(none_waits(&home));
}

#[test]
fn a_request_is_withdrawn_when_its_asker_is_gone() {
    let home = home();
    let mut asker = ask(&home, "60s");
    let id = waiting(&home);
    asker.kill().unwrap();
    asker.wait().unwrap();
    wait_until("it is withdrawn", || none_waits(&home));
    let ran = home.human(["--json", "approve", &id], "");
    assert_ne!(ran.code(), 0);
    assert!(home.json("lease list")["items"].as_array().unwrap().is_empty());
}

#[test]
fn without_a_terminal_nobody_approves() {
    let home = home();
    let asker = ask(&home, "60s");
    let id = waiting(&home);
    for line in [format!("approve {id}"), format!("deny {id}")] {
        let ran = home.line(&format!("--json {line}"));
        assert_eq!(ran.code(), 4, "{}", ran.out());
    }
    assert!(!none_waits(&home));
    home.human_does(&format!("deny {id}"));
    end(asker);
}

#[test]
fn the_asker_its_children_and_its_session_cannot_approve() {
    let home = home();
    home.human_does("grant add human openai:chat --approval ask");
    let hallpass = env!("CARGO_BIN_EXE_hallpass");
    let terminal = Terminal::open();
    // A shell with a terminal asks in the background and approves in the foreground: the same session.
    let script = format!(
        "{hallpass} --json mint openai:chat --wait 5s & \
         while :; do id=$({hallpass} --json approvals | tr -d ' \\n\"' | sed -n 's/.*id:\\(ask_[A-Za-z0-9]*\\).*/\\1/p'); \
         [ -n \"$id\" ] && break; done; \
         {hallpass} --json approve $id; echo approve=$?; wait $!; echo mint=$?"
    );
    let command = home.command([""]);
    // The same hermetic environment, another program.
    let mut shell = std::process::Command::new("/bin/sh");
    shell.arg("-c").arg(script).env_clear().envs(command.get_envs().filter_map(|(n, v)| Some((n, v?))));
    shell.current_dir(home.path());
    super::support::own_session(&mut shell);
    terminal.control(&mut shell);
    let ran = run(shell, b"");
    assert!(ran.out().contains("approve=4") && ran.out().contains("mint=4"), "{}{}", ran.out(), ran.err());
    assert!(ran.err().contains("human_only"), "{}", ran.err());
}
