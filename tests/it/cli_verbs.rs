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
