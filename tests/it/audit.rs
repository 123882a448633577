//! The audit log: complete, per kind, without values, and it shows when it was changed (promise 11).

use std::{fs, path::PathBuf};

use super::{
    support::{Home, key},
    upstream::Upstream,
};

fn worked() -> (Home, String) {
    let (home, upstream) = (Home::started(), Upstream::start());
    home.with_upstream(&upstream, &key());
    home.does("grant add bot up:read");
    let token = home.does("mint up:read --as bot");
    for n in 0..5 {
        home.through(&token, &format!("GET /up/v1/things?secret=query{n}"), "", b"");
    }
    home.through(&token, "POST /up/v1/things", "", b"{}");
    home.fails("mint up:write --as bot", 4, "no_grant");
    (home, token)
}

fn streams(home: &Home) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> = fs::read_dir(home.path().join("state/audit"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "jsonl"))
        .collect();
    all.sort();
    all
}

#[test]
fn each_thing_is_on_record_once_without_values() {
    let (home, token) = worked();
    home.does("audit verify");
    let all: Vec<serde_json::Value> =
        home.does("--json audit query").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let count = |event: &str| all.iter().filter(|entry| entry["event"] == event).count();
    assert_eq!(count("gateway.request"), 6, "{all:#?}");
    assert_eq!(count("mint"), 2);
    let text = format!("{all:?}");
    assert!(!text.contains("query0") && !text.contains("secret="), "no query string");
    assert!(!text.contains(&token) && !text.contains(&token[3..20]), "no token");
    for path in streams(&home) {
        let kind = path.file_name().unwrap().to_string_lossy().split(['.', '-']).next().unwrap().to_owned();
        for line in fs::read_to_string(&path).unwrap().lines() {
            let entry: serde_json::Value = serde_json::from_str(line).unwrap();
            assert!(entry["kind"].as_str().unwrap().starts_with(&kind), "{line} in {}", path.display());
        }
    }
    let bot = home.does("--json audit query --principal bot --event gateway");
    assert_eq!(bot.lines().count(), 6);
    let denied = bot.lines().find(|line| line.contains("POST")).unwrap();
    assert!(denied.contains("denied") && denied.contains("outside_scope"), "{denied}");
}

#[test]
fn tampering_shows() {
    let (mut home, _) = worked();
    home.kill();
    let path = streams(&home).into_iter().max_by_key(|path| fs::metadata(path).unwrap().len()).unwrap();
    let good = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = good.lines().collect();
    assert!(lines.len() >= 4, "{good}");
    let join = |lines: &[&str]| lines.join("\n") + "\n";
    let changed = good.replacen("GET", "PUT", 1);
    let mut swapped = lines.clone();
    swapped.swap(1, 2);
    let mut without = lines.clone();
    without.remove(1);
    let mut doubled = lines.clone();
    doubled.insert(1, lines[1]);
    home.does("audit verify");
    for (what, text) in [
        ("changed", changed),
        ("reordered", join(&swapped)),
        ("removed", join(&without)),
        ("doubled", join(&doubled)),
        ("first line removed", join(&lines[1..])),
        ("bytes in between", format!("{}garbage\n{}", join(&lines[..2]), join(&lines[2..]))),
    ] {
        assert_ne!(text, good, "{what}");
        fs::write(&path, text).unwrap();
        let ran = home.line("audit verify");
        assert_eq!(ran.code(), 1, "{what}: {}{}", ran.out(), ran.err());
    }
    fs::write(&path, good).unwrap();
    home.does("audit verify");
}

#[test]
fn a_torn_last_line_is_mended_at_the_next_start() {
    let (mut home, _) = worked();
    home.kill();
    let path = streams(&home).into_iter().max_by_key(|path| fs::metadata(path).unwrap().len()).unwrap();
    let good = fs::read(&path).unwrap();
    fs::write(&path, &good[..good.len() - 20]).unwrap();
    home.start();
    home.fails("mint up:write --as bot", 4, "no_grant");
    assert!(home.does("--json audit query --event mint").lines().count() >= 1);
    assert!(home.ping());
}
