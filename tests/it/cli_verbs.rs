//! Exit codes, errors and output that scripts rely on.

use crate::support::Home;

#[test]
fn exit_codes_and_errors_are_stable() {
    let home = Home::new("[store]\nkind = \"memory\"\n");
    let down = home.run(["mint", "openai:chat"], "");
    assert_eq!(down.code(), 3, "{}", down.err());
    assert!(down.err().starts_with("error: ") && down.err().contains("\nhint: "), "{}", down.err());
    assert_eq!(home.run(["mint"], "").code(), 2);
    assert_eq!(home.run(["mint", "openai"], "").code(), 2);
    let json = home.run(["--json", "status"], "");
    let problem: serde_json::Value = serde_json::from_str(&json.err()).unwrap();
    assert_eq!((json.code(), &problem["code"]), (3, &"daemon_unavailable".into()));
    assert!(json.out().is_empty());
}

#[test]
fn a_value_never_comes_from_argv_and_an_empty_one_is_refused() {
    let home = Home::started();
    assert_eq!(home.run(["credential", "add", "openai", "value"], "").code(), 2);
    assert_eq!(home.run(["credential", "add", "openai"], "\n").code(), 1);
    home.run(["credential", "add", "openai"], "a canary value\n").ok();
    assert_eq!(home.ok(["credential", "reveal", "openai", "--yes"]), "a canary value");
    assert!(!home.ok(["--json", "credential", "show", "openai"]).contains("canary"));
}

#[test]
fn mint_prints_the_token_and_nothing_else() {
    let home = Home::started();
    home.run(["credential", "add", "openai"], "a canary value\n").ok();
    let denied = home.run(["mint", "openai:chat"], "");
    assert_eq!(denied.code(), 4, "{}", denied.err());
    assert!(denied.err().contains("hallpass grant add"), "{}", denied.err());
    home.ok(["grant", "add", "human", "openai:chat"]);
    let token = home.run(["mint", "openai:chat"], "").ok();
    assert!(token.starts_with("hp_") && token.lines().count() == 1);
    let child = home.run(["mint", "openai:chat", "--parent", "--uses", "1"], &token).ok();
    assert_ne!(child, token);
    home.run(["lease", "revoke", "--token"], &token).ok();
    assert_eq!(home.ok(["lease", "list"]), "no live tokens");
    assert!(home.json("lease list")["items"].as_array().unwrap().is_empty());
    assert_eq!(home.json("lease list --all")["items"].as_array().unwrap().len(), 2);
    assert!(home.ok(["audit", "query", "--event", "mint"]).contains("openai:chat"));
    home.ok(["audit", "verify"]);
}

#[test]
fn a_mistake_on_the_command_line_is_a_problem_document_with_json() {
    let home = Home::new("");
    let ran = home.run(["--json", "lease", "list", "--nonsense"], "");
    assert_eq!((ran.code(), ran.out()), (2, String::new()));
    let problem: serde_json::Value = serde_json::from_str(&ran.err()).unwrap();
    assert_eq!(problem["code"], "usage");
    assert!(problem["detail"].as_str().unwrap().contains("--nonsense"), "{problem}");
    assert!(home.run(["lease", "list", "--nonsense"], "").err().contains("Usage: hallpass lease list"));
}

#[test]
fn a_task_is_named_by_its_title_too() {
    let home = Home::started();
    let id = home.ok(["task", "start", "triage 42"]);
    assert!(home.ok(["task", "show", "triage 42"]).contains(&id));
    assert!(home.ok(["task", "end", "triage 42"]).contains("has ended"));
    let gone = home.run(["task", "end", "triage 42"], "");
    assert_eq!(gone.code(), 1);
    assert!(gone.err().contains("no open task \"triage 42\""), "{}", gone.err());
    assert!(home.ok(["task", "show", &id]).contains("revoked"));
}

#[test]
fn a_token_that_is_given_again_is_called_that() {
    let home = Home::started();
    home.run(["credential", "add", "openai"], "a canary value\n").ok();
    home.ok(["grant", "add", "human", "openai:chat", "--ttl", "5m"]);
    let mint = ["mint", "openai:chat", "--ttl", "15m", "--task", "t"];
    let (first, second) = (home.run(mint, ""), home.run(mint, ""));
    assert!(first.err().contains("15 min was asked for"), "{}", first.err());
    assert_eq!(first.out(), second.out());
    assert!(second.err().contains("the same token as before"), "{}", second.err());
}

/// The keyring is looked at before a key is typed for it.
#[test]
fn setup_says_that_there_is_no_keyring_before_it_asks_for_a_key() {
    let mut home = Home::new("");
    let terminal = crate::terminal::Terminal::open();
    let mut setup = home.command(["setup", "--store", "keyring", "--no-service", "--route", "openai"]);
    setup.env("HALLPASS_AUTOSTART", "1");
    terminal.control(&mut setup);
    let ran = crate::support::run(setup, b"sk-typed-for-nothing\n");
    if let Ok(status) = serde_json::from_str::<serde_json::Value>(&home.run(["--json", "status"], "").out()) {
        home.also_kill(i32::try_from(status["pid"].as_i64().unwrap()).unwrap());
    }
    assert_eq!(ran.code(), 1, "{}{}", ran.out(), ran.err());
    assert!(ran.err().contains("hallpass setup --store file"), "{}", ran.err());
    assert!(!ran.err().contains("value of") && !ran.err().contains("may have"), "{}", ran.err());
}
