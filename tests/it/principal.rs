//! Who is asking: claims, assistants by ancestry, the unknown, and what only a human may do.

use std::{fs, process::Command};

use super::{
    support::{Home, MEMORY, own_session, run},
    terminal::Terminal,
};

/// A config in which a caller without a terminal is unknown.
const STRICT: &str = "[store]\nkind = \"memory\"\n";

/// Verbs that change what is allowed, or show a credential.
const MANAGEMENT: &[&str] = &[
    "principal add other --kind agent",
    "principal disable bot",
    "principal remove bot",
    "grant add bot openai:*",
    "grant remove mine",
    "credential add stripe",
    "credential rotate openai",
    "credential rename openai open",
    "credential remove openai",
    "credential reveal openai --yes",
    "route add evil https://evil.example",
    "render add file openai:chat --as bot",
    "render remove file",
    "render renew file",
    "unlock",
];

fn strict() -> Home {
    let mut home = Home::new(STRICT);
    home.start();
    home.human(["credential", "add", "openai"], &super::support::key()).ok();
    home.human_does("principal add bot --kind agent");
    home.human_does("grant add human openai:chat");
    home
}

#[test]
fn with_a_terminal_it_is_the_human_and_without_one_it_is_unknown() {
    let home = strict();
    let you: serde_json::Value = serde_json::from_str(&home.human_does("--json status")).unwrap();
    assert_eq!((&you["you"]["principal"], &you["you"]["named_by"]), (&"human".into(), &"terminal".into()));
    home.human_does("mint openai:chat");
    assert_eq!(home.json("status")["you"]["principal"], "unknown");
    home.fails("mint openai:chat", 4, "unknown_caller");
    home.fails("mint openai:chat --as unknown", 4, "unknown_caller");
}

#[test]
fn a_claim_must_be_registered_and_is_never_the_human() {
    let home = strict();
    let ran = home.line("--json mint openai:chat --as nobody");
    assert_ne!(ran.code(), 0);
    assert!(ran.err().contains("hallpass principal add nobody"), "{}", ran.err());
    let ran = home.line("--json mint openai:chat --as human");
    assert_ne!(ran.code(), 0, "a claim made an unknown caller the human: {}", ran.out());
    home.fails("mint openai:chat --as bot", 4, "no_grant");
}

#[test]
fn only_a_human_manages() {
    let home = strict();
    for line in MANAGEMENT {
        let ran = run(home.command(format!("--json {line}").split(' ')), b"x-not-a-key-x");
        assert_eq!(ran.code(), 4, "{line}: {}{}", ran.out(), ran.err());
        assert!(ran.err().contains("human_only") || ran.err().contains("unknown_caller"), "{line}: {}", ran.err());
    }
    assert_eq!(
        home.json("principal list")["items"].as_array().unwrap().iter().filter(|p| p["name"] == "other").count(),
        0
    );
}

/// A copy of the shell under this name, which runs `hallpass` as its child.
fn shell_named(home: &Home, name: &str) -> std::path::PathBuf {
    let bin = home.path().join("bin");
    fs::create_dir_all(&bin).unwrap();
    let path = bin.join(name);
    fs::copy(fs::canonicalize("/bin/sh").unwrap(), &path).unwrap();
    path
}

/// Runs a command line of ours below a program called so; with a terminal or without.
fn below(home: &Home, name: &str, line: &str, terminal: Option<&Terminal>) -> super::support::Ran {
    let mut command = Command::new(shell_named(home, name));
    // The second command keeps the shell from becoming hallpass itself.
    command.arg("-c").arg(format!("{} {line}; exit $?", env!("CARGO_BIN_EXE_hallpass")));
    command.env_clear().env("HALLPASS_HOME", home.path()).env("HALLPASS_AUTOSTART", "0").env("PATH", "/usr/bin:/bin");
    own_session(&mut command);
    if let Some(terminal) = terminal {
        terminal.control(&mut command);
    }
    run(command, b"x-not-a-key-x")
}

#[test]
fn an_assistant_is_named_by_its_process_and_manages_nothing() {
    let home = strict();
    let terminal = Terminal::open();
    for terminal in [None, Some(&terminal)] {
        let ran = below(&home, "claude", "--json status", terminal);
        let status: serde_json::Value = serde_json::from_str(&ran.ok()).unwrap();
        assert_eq!(status["you"]["principal"], "claude-code", "{status}");
        assert_eq!((&status["you"]["kind"], &status["you"]["named_by"]), (&"assistant".into(), &"ancestry".into()));
        for line in MANAGEMENT.iter().copied().chain(["grant add claude-code openai:*"]) {
            let ran = below(&home, "claude", &format!("--json {line}"), terminal);
            assert_eq!(ran.code(), 4, "{line}: {}{}", ran.out(), ran.err());
            assert!(ran.err().contains("human_only"), "{line}: {}", ran.err());
        }
        // A claim does not hide the assistant.
        let ran = below(&home, "claude", "--json mint openai:chat --as bot", terminal);
        assert_eq!(ran.code(), 4);
        assert!(ran.err().contains("claude-code"), "{}", ran.err());
    }
    home.human_does("grant add claude-code openai:chat");
    let token = below(&home, "claude", "mint openai:chat", None).ok();
    assert!(token.starts_with("hp_"));
    let audit = home.does("--json audit query --principal claude-code");
    assert!(audit.contains("\"assistant\"") && audit.contains("claude["), "{audit}");
}

#[test]
fn an_assistant_that_a_human_starts_works_under_its_own_name() {
    let home = strict();
    home.human_does("grant add claude-code openai:chat");
    let claude = shell_named(&home, "claude");
    let script = format!("{} --json status", env!("CARGO_BIN_EXE_hallpass"));
    let args = ["exec", "--grant", "openai:chat", "--", claude.to_str().unwrap(), "-c", &script];
    let status: serde_json::Value = serde_json::from_str(&home.human(args, "").ok()).unwrap();
    assert_eq!(status["you"]["principal"], "claude-code", "{status}");
    // What the human may do is not what the assistant may.
    let args = ["--json", "exec", "--grant", "openai:embeddings", "--", claude.to_str().unwrap(), "-c", "true"];
    assert_eq!(home.human(args, "").code(), 4);
}

#[test]
fn headless_human_is_a_choice_of_the_config() {
    let mut home = Home::new(MEMORY);
    home.start();
    assert_eq!(home.json("status")["you"]["principal"], "human");
    let ran = below(&home, "claude", "--json grant add claude-code openai:*", None);
    assert!(ran.err().contains("human_only"), "also then an assistant is no human: {}", ran.err());
}

#[test]
fn a_principal_is_listed_shown_and_removed() {
    let home = Home::started();
    home.does("principal add bot --kind agent --description triage");
    assert_eq!(home.json("principal show bot")["kind"], "agent");
    home.fails("principal add bot --kind agent", 1, "exists");
    home.fails("principal add Bot! --kind agent", 1, "invalid_value");
    home.does("principal remove bot");
    home.fails("principal show bot", 1, "not_found");
}

/// A program that has connected becomes another one: what it is now never connected.
#[test]
#[allow(unsafe_code)]
fn a_program_that_changed_after_it_connected_gets_nothing() {
    use std::{
        io::{Read, Write},
        os::{fd::AsRawFd, unix::net::UnixStream, unix::process::CommandExt},
    };
    let home = strict();
    let body = "{\"what\":{\"issuer\":\"openai\",\"scopes\":[\"chat\"],\"resources\":[\"*\"]}}";
    for (path, body) in [("mint", body), ("principals", "{\"name\":\"evil\",\"kind\":\"agent\"}")] {
        let request = format!(
            "POST /v1/{path} HTTP/1.1\r\nHost: hallpass\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let terminal = Terminal::open();
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", "printf %s \"$ASK\" >&9; head -c 12 <&9"]).env("ASK", request);
        own_session(&mut shell);
        terminal.control(&mut shell);
        let socket = home.socket();
        // SAFETY: the child takes no lock that another thread could have held, but the allocator's, which fork(2) of
        // this libc leaves usable.
        unsafe {
            shell.pre_exec(move || {
                let mut stream = UnixStream::connect(&socket)?;
                // The answer says that the daemon has seen who connected.
                stream.write_all(b"GET /v1/ping HTTP/1.1\r\nHost: hallpass\r\n\r\n")?;
                let (mut seen, mut part) = (Vec::new(), [0; 512]);
                while !seen.ends_with(b"}") {
                    let read = stream.read(&mut part)?;
                    seen.extend_from_slice(part.get(..read).unwrap_or_default());
                }
                match libc::dup2(stream.as_raw_fd(), 9) {
                    9 => Ok(()),
                    _ => Err(std::io::Error::last_os_error()),
                }
            });
        }
        assert_eq!(run(shell, b"").out(), "HTTP/1.1 403", "{path}");
    }
    assert_eq!(home.json("principal list")["items"].as_array().unwrap().len(), 1);
    assert!(home.json("lease list")["items"].as_array().unwrap().is_empty());
}
