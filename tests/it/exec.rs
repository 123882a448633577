//! `exec`: the command runs as if hallpass were not there, without the real keys, and its tokens end
//! with it (promise 4).

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    process::{Child, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};

use super::{
    support::{Home, Ran, key, random, run, wait_until},
    upstream::Upstream,
};

fn home() -> (Home, Upstream) {
    let (home, upstream) = (Home::started(), Upstream::start());
    home.with_upstream(&upstream, &key());
    home.does("grant add bot up:*");
    (home, upstream)
}

fn exec(home: &Home, script: &str, input: &[u8]) -> Ran {
    run(home.command(["exec", "--as", "bot", "--grant", "up:*", "--", "/bin/sh", "-c", script]), input)
}

fn spawn(home: &Home, script: &str) -> Child {
    let mut command = home.command(["exec", "--as", "bot", "--grant", "up:*", "--", "/bin/sh", "-c", script]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn signal(pid: u32, signal: Signal) {
    let _ = kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), signal);
}

/// The first line that a child prints.
fn first_line(child: &mut Child) -> String {
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    line.trim().to_owned()
}

#[test]
fn the_exit_code_is_the_commands() {
    let (home, _upstream) = home();
    for (script, code) in
        [("exit 0", 0), ("exit 3", 3), ("exit 255", 255), ("kill -TERM $$", 143), ("kill -KILL $$", 137)]
    {
        assert_eq!(exec(&home, script, b"").code(), code, "{script}");
    }
    let ran = home.line("exec --as bot --grant up:* -- no-such-program-anywhere");
    assert_eq!(ran.code(), 127, "{}", ran.err());
    let ran = home.line("exec --as bot --grant up:* -- /etc/passwd");
    assert_eq!(ran.code(), 126, "{}", ran.err());
    wait_until("no task is left", || home.json("status")["open_tasks"] == 0);
}

#[test]
fn input_and_output_are_the_commands_byte_for_byte() {
    let (home, _upstream) = home();
    let input: Vec<u8> = (0..32 * 1024).flat_map(|_| hallpass::sys::random::<32>().unwrap()).collect();
    let ran = exec(&home, "cat", &input);
    assert_eq!(ran.code(), 0);
    assert!(ran.0.stdout == input, "{} of {} bytes", ran.0.stdout.len(), input.len());
    let ran = exec(&home, "cat >&2", &input);
    assert!(ran.0.stderr == input);
    let ran = exec(&home, "echo \"$#\" \"$0\"", b"");
    assert_eq!(ran.out(), "0 /bin/sh\n");
}

#[test]
fn the_command_gets_a_token_and_no_real_key() {
    let (home, upstream) = home();
    let real = ["sk", "-", "proj-", &random()].concat();
    let mut command = home.command(["exec", "--as", "bot", "--grant", "up:*", "--keep", "GITHUB_TOKEN", "--", "env"]);
    for name in ["UP_KEY", "OPENAI_API_KEY", "STRIPE_API_KEY", "ANTHROPIC_API_KEY", "GITHUB_TOKEN"] {
        command.env(name, &real);
    }
    command.env("HARMLESS", "stays");
    let out = run(command, b"").ok();
    let value = |name: &str| out.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('=')).map(str::to_owned);
    for name in ["OPENAI_API_KEY", "STRIPE_API_KEY", "ANTHROPIC_API_KEY"] {
        assert_eq!(value(name), None, "{name}");
    }
    assert_eq!(value("GITHUB_TOKEN"), Some(real), "kept on demand");
    assert_eq!(value("HARMLESS").as_deref(), Some("stays"));
    let token = value("UP_KEY").unwrap();
    assert!(token.starts_with("hp_"));
    assert_eq!(value("UP_BASE").unwrap(), format!("http://127.0.0.1:{}/up", home.port()));
    assert!(value("HALLPASS_TASK").unwrap().starts_with("task_"));
    wait_until("the token died with the command", || !home.works(&token));
    assert_eq!(upstream.count(), 0);
}

#[test]
fn the_token_works_while_the_command_runs() {
    let (home, _upstream) = home();
    let mut child = spawn(&home, "echo $UP_KEY; read line");
    let token = first_line(&mut child);
    assert!(home.works(&token));
    child.stdin.take().unwrap().write_all(b"go\n").unwrap();
    child.wait().unwrap();
    wait_until("the token is dead", || !home.works(&token));
    assert_eq!(home.through(&token, "GET /up/x", "", b"").code(), "token_revoked");
}

#[test]
fn a_task_ends_when_exec_is_killed() {
    let (home, _upstream) = home();
    let mut child = spawn(&home, "echo $UP_KEY; exec sleep 1000");
    let token = first_line(&mut child);
    assert!(home.works(&token));
    child.kill().unwrap();
    child.wait().unwrap();
    wait_until("the token is dead", || !home.works(&token));
    wait_until("the task has ended", || home.json("status")["open_tasks"] == 0);
}

#[test]
fn a_task_ends_when_the_command_is_killed() {
    let (home, _upstream) = home();
    let mut child = spawn(&home, "echo $UP_KEY $$; exec sleep 1000");
    let line = first_line(&mut child);
    let (token, pid) = line.split_once(' ').unwrap();
    assert!(home.works(token));
    signal(pid.parse().unwrap(), Signal::KILL);
    assert_eq!(child.wait().unwrap().code(), Some(137));
    wait_until("the token is dead", || !home.works(token));
}

#[test]
fn signals_are_passed_on_once() {
    let (home, _upstream) = home();
    let script = "n=0; trap 'n=$((n+1)); echo USR1 $n' USR1; trap 'echo HUP' HUP; trap 'echo TERM $n; exit 5' TERM; \
                  echo ready; while :; do sleep 0.05; done";
    let mut child = spawn(&home, script);
    let pid = child.id();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = || {
        let mut text = String::new();
        out.read_line(&mut text).unwrap();
        text.trim().to_owned()
    };
    assert_eq!(line(), "ready");
    signal(pid, Signal::USR1);
    assert_eq!(line(), "USR1 1");
    // What nohup(1) ignores stays ignored below it: no shell can trap that.
    if hallpass::sys::tree::ignored_signals() & 1 == 0 {
        signal(pid, Signal::HUP);
        assert_eq!(line(), "HUP");
    }
    signal(pid, Signal::USR1);
    assert_eq!(line(), "USR1 2");
    signal(pid, Signal::TERM);
    assert_eq!(line(), "TERM 2");
    assert_eq!(child.wait().unwrap().code(), Some(5));
}

#[test]
fn what_the_command_left_in_its_session_is_waited_for() {
    let (home, _upstream) = home();
    let done = home.path().join("done");
    fs::write(home.path().join("hold"), "").unwrap();
    let script =
        "(while [ -e hold ]; do sleep 0.02; done; echo x > done) >/dev/null 2>&1 </dev/null & echo $UP_KEY; exit 4";
    let mut child = spawn(&home, script);
    let token = first_line(&mut child);
    // The command has ended, its leftover has not.
    let mut note = [0; 200];
    let n = child.stderr.as_mut().unwrap().read(&mut note).unwrap();
    assert!(String::from_utf8_lossy(&note[..n]).contains("still running"));
    assert!(home.works(&token));
    assert!(child.try_wait().unwrap().is_none());
    fs::remove_file(home.path().join("hold")).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(4));
    assert!(done.exists());
    wait_until("the token is dead", || !home.works(&token));
}

#[test]
fn what_left_the_session_is_not_waited_for() {
    if std::process::Command::new("setsid").arg("true").status().is_err() {
        return super::support::skipped("setsid is not installed");
    }
    let (home, _upstream) = home();
    let script = "setsid sh -c 'echo $$ > pid; exec sleep 1000' >/dev/null 2>&1 </dev/null & \
                  while [ ! -s pid ]; do sleep 0.02; done; echo $UP_KEY";
    let ran = exec(&home, script, b"");
    let pid: u32 = fs::read_to_string(home.path().join("pid")).unwrap().trim().parse().unwrap();
    assert!(std::path::Path::new(&format!("/proc/{pid}")).exists(), "it runs on");
    let token = ran.ok();
    wait_until("without its token", || !home.works(&token));
    signal(pid, Signal::KILL);
}

#[test]
fn inside_a_task_the_principal_is_the_tasks_and_its_limit_holds() {
    let (home, _upstream) = home();
    let hallpass = env!("CARGO_BIN_EXE_hallpass");
    let script = format!(
        "{hallpass} --json status; {hallpass} --json mint up:read --as human >/dev/null; {hallpass} grant add bot openai:chat"
    );
    let mut command = home.command(["exec", "--as", "bot", "--grant", "up:read", "--", "/bin/sh", "-c", &script]);
    command.env("HALLPASS_AUTOSTART", "0");
    let ran = run(command, b"");
    let status: serde_json::Value = serde_json::from_str(&ran.out()).unwrap_or_else(|e| panic!("{e}: {}", ran.out()));
    assert_eq!((&status["you"]["principal"], &status["you"]["named_by"]), (&"bot".into(), &"task".into()));
    assert_eq!(ran.code(), 4, "a task manages nothing: {}", ran.err());
    let script = format!("{hallpass} --json mint up:write");
    let ran = run(home.command(["exec", "--as", "bot", "--grant", "up:read", "--", "/bin/sh", "-c", &script]), b"");
    assert_eq!(ran.code(), 4, "the task was opened for less: {}", ran.out());
}
