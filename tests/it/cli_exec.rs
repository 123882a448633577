//! `hallpass exec` and `demo` with the real binary and a real daemon.

use crate::support::{Home, wait_until};

const CONFIG: &str = r#"[store]
kind = "memory"

[daemon]
headless_human = true

[[routes]]
name = "notes"
base_url = "http://127.0.0.1:9"
source = "this test"
auth = { kind = "bearer" }
key_env = ["NOTES_KEY"]
base_url_env = [{ name = "NOTES_URL" }]
allow_private = true

[[routes.scope]]
name = "read"
description = "read notes"
allow = ["GET /notes"]
example = ["GET /notes"]
counter = ["DELETE /notes"]
"#;

fn ready() -> Home {
    let mut home = Home::new(CONFIG);
    home.start();
    home.run(["credential", "add", "notes"], "a canary value\n").ok();
    home.ok(["grant", "add", "human", "notes:read"]);
    home
}

fn exec(script: &str) -> [&str; 7] {
    ["exec", "--grant", "notes:read", "--", "sh", "-c", script]
}

#[test]
fn the_child_has_a_token_and_not_the_key_and_its_exit_code_is_ours() {
    let home = ready();
    let mut command = home.command(exec("echo $NOTES_KEY $NOTES_URL; exit 7"));
    let out = command.env("NOTES_KEY", "a real key").env("OPENAI_API_KEY", "another").output().unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    assert_eq!(out.status.code(), Some(7));
    assert!(text.starts_with("hp_") && text.contains(" http://127.0.0.1:"), "{text}");
    let env = home.command(exec("env")).env("OPENAI_API_KEY", "another").output().unwrap();
    assert!(!String::from_utf8(env.stdout).unwrap().contains("OPENAI_API_KEY"));
    assert_eq!(home.run(exec("kill -TERM $$"), "").code(), 143);
    assert_eq!(home.run(["exec", "--grant", "notes:read", "--", "no-such-program"], "").code(), 127);
    assert_eq!(home.ok(exec("cat; true")), "");
    assert_eq!(home.run(exec("cat"), "byte for byte\n\n").out(), "byte for byte\n\n");
    assert_eq!(home.ok(["task", "list"]), "no open tasks; `hallpass task start TITLE` starts one");
}

#[test]
fn a_signal_to_exec_alone_reaches_the_command_once() {
    let home = ready();
    let file = home.path().join("signals");
    let script = format!(
        "trap 'echo usr1 >> {0}' USR1; trap 'echo term >> {0}; exit 9' TERM; echo up > {0}; while :; do sleep 0.05; done",
        file.display()
    );
    let mut child = home.command(exec(&script)).stderr(std::process::Stdio::null()).spawn().unwrap();
    let seen = || std::fs::read_to_string(&file).unwrap_or_default();
    let send = |signal| {
        let pid = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    };
    wait_until("the command is up", || seen() == "up\n");
    send(rustix::process::Signal::USR1);
    wait_until("the first signal", || seen().contains("usr1"));
    send(rustix::process::Signal::TERM);
    assert_eq!(child.wait().unwrap().code(), Some(9));
    assert_eq!(seen(), "up\nusr1\nterm\n");
}

#[test]
fn the_task_ends_with_its_last_process_and_when_exec_is_killed() {
    let home = ready();
    let ran = home.run(exec("sleep 0.5 & exit 3"), "");
    assert_eq!(ran.code(), 3);
    assert!(ran.err().contains("still running: "), "{}", ran.err());
    let mut child = home.command(exec("exec sleep 60")).spawn().unwrap();
    wait_until("the task is open", || home.ok(["task", "list"]).contains("task_"));
    child.kill().unwrap();
    child.wait().unwrap();
    wait_until("the task ended", || home.ok(["task", "list"]).starts_with("no open tasks"));
}

#[test]
fn the_demo_is_so_and_leaves_nothing_behind() {
    let home = Home::new("");
    let ran = home.run(["demo"], "");
    let text = ran.ok();
    assert!(text.contains("All of it is so"), "{text}");
    assert!(text.lines().count() <= 24 && text.lines().all(|line| line.chars().count() <= 80), "{text}");
    assert!(!text.contains('\u{1b}'));
}
