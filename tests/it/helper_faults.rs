//! Every helper in every situation that a tool may put it in: a table of calls against a table of troubles. Each gets
//! its answer in time, in its tool's own convention, with one line on standard error that says what to do.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use super::{
    helper::{GIT, program, with_static},
    support::{Home, Ran, own_session, run},
};

/// The shortest time that a tool gives its helper is Bazel's, ten seconds.
const LIMIT: Duration = Duration::from_secs(5);

/// A call as its tool makes it, `%` being where options of ours go, and what it sends.
struct Call {
    line: &'static str,
    input: &'static str,
    /// How the tool is told that it gets nothing.
    refusal: Refusal,
}

#[derive(Clone, Copy, PartialEq)]
enum Refusal {
    /// An exit code and nothing on standard output.
    Silent,
    /// git stops asking where it is told `quit=1`; where nobody knows whose it is, nothing is said.
    Quit,
    /// The text is on standard output, where Docker reads it, and on standard error.
    Both,
    /// Google's JSON, exit code 0 and no standard error, which it would read too.
    Json,
    /// Cargo's JSON line after the greeting; the exit code is not looked at.
    Line,
}

const CARGO: &str = "{\"v\":1,\"registry\":{\"index-url\":\"sparse+https://code.example/x\"},\"kind\":\"get\",\"operation\":\"read\",\"args\":[]}\n";

const CALLS: [Call; 13] = [
    Call { line: "git % get", input: GIT, refusal: Refusal::Quit },
    Call { line: "docker % get", input: "code.example/x", refusal: Refusal::Both },
    Call { line: "docker % list", input: "", refusal: Refusal::Both },
    Call { line: "terraform % get code.example", input: "", refusal: Refusal::Silent },
    Call { line: "go % https://code.example/x", input: "", refusal: Refusal::Silent },
    Call { line: "bazel % get", input: "{\"uri\":\"https://code.example/x\"}", refusal: Refusal::Silent },
    Call { line: "keyring % get https://code.example/ me", input: "", refusal: Refusal::Silent },
    Call { line: "kubectl % https://code.example", input: "", refusal: Refusal::Silent },
    Call { line: "aws % --profile work", input: "", refusal: Refusal::Silent },
    Call { line: "gcp %", input: "", refusal: Refusal::Json },
    Call { line: "headers % https://code.example", input: "", refusal: Refusal::Silent },
    Call { line: "npm % code.example", input: "", refusal: Refusal::Silent },
    Call { line: "cargo % --cargo-plugin", input: CARGO, refusal: Refusal::Line },
];

impl Call {
    fn words(&self, options: &str) -> Vec<String> {
        let line = format!("helper {}", self.line.replace('%', options));
        line.split_whitespace().map(str::to_owned).collect()
    }

    fn run(&self, what: &str, command: Command) -> Ran {
        let started = Instant::now();
        let ran = run(command, self.input.as_bytes());
        let at = format!("{what}, {}: {}{}", self.line, ran.out(), ran.err());
        assert!(started.elapsed() < LIMIT, "{at} after {:?}", started.elapsed());
        assert!(!ran.err().contains("panicked") && ran.err().lines().count() <= 1, "{at}");
        ran
    }

    fn plain(&self, what: &str, home: &Home, options: &str) -> Ran {
        self.run(what, home.command(self.words(options)))
    }

    fn gets(&self, what: &str, ran: &Ran, secret: &str) {
        let at = format!("{what}, {}: {}{}", self.line, ran.out(), ran.err());
        let got =
            if self.line.ends_with("list") { ran.out().contains("code.example") } else { ran.out().contains(secret) };
        assert!(got && ran.err().is_empty() && ran.code() == 0, "{at}");
    }

    fn refused(&self, what: &str, ran: &Ran, says: &str) {
        let (out, err) = (ran.out(), ran.err());
        let at = format!("{what}, {}: {out}{err}", self.line);
        let line = err.starts_with("hallpass: ") && err.contains(says);
        let told = match self.refusal {
            Refusal::Silent => out.is_empty() && line && ran.code() != 0,
            Refusal::Quit => (out.is_empty() || out == "quit=1\n") && line && ran.code() != 0,
            Refusal::Both => out == err && line && ran.code() != 0,
            Refusal::Json => {
                let said: serde_json::Value = serde_json::from_str(&out).expect(&at);
                let message = said["message"].as_str().unwrap();
                said["success"] == false && message.contains(says) && err.is_empty() && ran.code() == 0
            }
            Refusal::Line => {
                let last: serde_json::Value = serde_json::from_str(out.lines().last().unwrap()).expect(&at);
                out.starts_with("{\"v\":[1]}\n") && last["Err"]["kind"].is_string() && out.contains(says)
            }
        };
        assert!(told, "{at}");
    }
}

/// Whether the call needs nothing of the daemon that a grant or the store could refuse.
fn lists(call: &Call) -> bool {
    call.line.ends_with("list")
}

#[test]
fn what_cannot_be_given_is_told_as_each_tool_expects() {
    let (mut home, _) = with_static();
    home.does("helper add * https://code.example/* vault:release");
    for (what, options, says) in [
        ("no grant", "--want vault:release", "hallpass grant add human 'vault:release"),
        ("a wrong option", "--want nonsense", "ISSUER:SCOPE"),
        ("no such issuer", "--want gone:release", "there is no issuer"),
    ] {
        for call in CALLS.iter().filter(|call| !lists(call) || options.contains("nonsense")) {
            call.refused(what, &call.plain(what, &home, options), says);
        }
    }
    home.kill();
    for call in &CALLS {
        call.refused("no daemon", &call.plain("no daemon", &home, "--want vault:release"), "hallpass service install");
    }
    let mut locked = super::faults::with_file_store();
    locked.start();
    locked.run(["credential", "add", "vault"], "value").ok();
    locked.does("helper add * https://code.example/* vault:release");
    locked.does("grant add human vault:release");
    locked.does("lock");
    std::fs::rename(locked.path().join("identity.txt"), locked.path().join("away.txt")).unwrap();
    for call in CALLS.iter().filter(|call| !lists(call)) {
        call.refused(
            "a locked store",
            &call.plain("a locked store", &locked, "--want vault:release"),
            "hallpass unlock",
        );
    }
}

/// A home in which every call of the table gets its credential.
fn giving() -> (Home, String) {
    let (home, secret) = with_static();
    for (tool, place) in [
        ("*", "https://code.example/*"),
        ("docker", "https://code.example/x"),
        ("kubectl", "cluster:https://code.example"),
        ("aws", "profile:work --username KEYID"),
        ("gcp", "audience:here"),
    ] {
        let (place, more) = place.split_once(' ').unwrap_or((place, ""));
        home.does(format!("helper add {tool} {place} vault:release {more}").trim());
    }
    home.does("grant add human vault:release");
    (home, secret)
}

/// What Google's client sets.
fn google(command: &mut Command) {
    command.env("GOOGLE_EXTERNAL_ACCOUNT_AUDIENCE", "here");
    command.env("GOOGLE_EXTERNAL_ACCOUNT_TOKEN_TYPE", "urn:ietf:params:oauth:token-type:jwt");
}

#[test]
fn a_scrubbed_environment_an_odd_home_and_another_folder_change_nothing() {
    let (home, secret) = giving();
    let gone = home.path().join("gone");
    let odd_homes = ["", "relative/path", "/nonexistent", "/dev/null", "/root/../root/", gone.to_str().unwrap()];
    for call in &CALLS {
        let words = call.words("");
        let bare = |set: &[(&str, &str)]| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_hallpass"));
            command.args(&words).env_clear().env("HALLPASS_HOME", home.path()).current_dir("/");
            google(&mut command);
            own_session(&mut command);
            command.envs(set.iter().copied());
            command
        };
        call.gets("a cleared environment", &call.run("a cleared environment", bare(&[])), &secret);
        for odd in odd_homes {
            let what = format!("HOME={odd:?}");
            call.gets(&what, &call.run(&what, bare(&[("HOME", odd)])), &secret);
        }
        let what = "XDG_RUNTIME_DIR of nobody";
        call.gets(what, &call.run(what, bare(&[("XDG_RUNTIME_DIR", "/nonexistent")])), &secret);
        // A folder that is gone by the time the helper runs.
        std::fs::create_dir_all(&gone).unwrap();
        let mut shell =
            program(&home, "/bin/sh", &["-c", "rmdir \"$PWD\"; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_hallpass")]);
        shell.args(&words).current_dir(&gone);
        google(&mut shell);
        call.gets("a folder that is gone", &call.run("a folder that is gone", shell), &secret);
    }
}

#[test]
fn ten_at_once_of_each_all_get_theirs() {
    let (home, secret) = giving();
    for call in &CALLS {
        std::thread::scope(|scope| {
            let one = || {
                let mut command = home.command(call.words(""));
                google(&mut command);
                call.gets("ten at once", &call.run("ten at once", command), &secret);
            };
            (0..10).for_each(|_| drop(scope.spawn(one)));
        });
    }
}

#[test]
fn odd_input_gets_an_answer_too() {
    let (home, secret) = giving();
    let huge = "a".repeat(1024 * 1024 + 1);
    for more in ["git store", "git erase", "docker store", "docker erase", "terraform store code.example"] {
        let call = Call { line: more, input: "", refusal: Refusal::Silent };
        for input in [huge.as_bytes(), b"", b"\xff\xfe\x00"] {
            let started = Instant::now();
            let ran = run(home.command(call.words("")), input);
            assert!(started.elapsed() < LIMIT && ran.err().lines().count() <= 1, "{more}: {}{}", ran.out(), ran.err());
        }
    }
    for call in &CALLS {
        let started = Instant::now();
        let mut command = home.command(call.words(""));
        google(&mut command);
        let ran = run(command, huge.as_bytes());
        let at = format!("1 MB, {}: {:.300}{:.300}", call.line, ran.out(), ran.err());
        assert!(started.elapsed() < LIMIT && ran.err().len() < 300 && ran.out().len() < 1000, "{at}");
        assert!(ran.err().lines().count() <= 1 && !ran.out().contains("aaaa"), "{at}");
        if call.input.is_empty() {
            // What is not read is no trouble.
            call.gets("1 MB", &ran, &secret);
        } else {
            assert!(call.refusal == Refusal::Line || (ran.code() != 0 && !ran.out().contains(&secret)), "{at}");
        }
        // A closed standard input, as some tools leave it.
        let mut shell = program(&home, "/bin/sh", &["-c", "exec \"$0\" \"$@\" <&-", env!("CARGO_BIN_EXE_hallpass")]);
        shell.args(call.words(""));
        google(&mut shell);
        let ran = call.run("closed", shell);
        assert!(!ran.err().contains("descriptor"), "{}: {}", call.line, ran.err());
        if call.input.is_empty() {
            call.gets("closed", &ran, &secret);
        }
    }
    for wrong in [
        "git",
        "bazel",
        "terraform",
        "keyring",
        "docker",
        "cargo",
        "npm",
        "aws --nonsense",
        "kubectl a b c",
        "headers a b c",
    ] {
        let call = Call { line: wrong, input: "", refusal: Refusal::Silent };
        let ran = call.plain("wrong arguments", &home, "");
        assert!(ran.code() != 0 && ran.err().lines().count() == 1, "{wrong}: {}{}", ran.out(), ran.err());
    }
}
