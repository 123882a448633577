//! The file as people write it: read, refused with a place, edited with its comments kept.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
};

use super::*;
use crate::{
    api::{grant::AddGrant, route::AddRoute},
    policy::{
        Approval,
        bounds::{Bound, Bounds},
    },
};

const WHOLE: &str = r#"# my config
[store]
kind = "file"
file = "keys.age"   # beside this file
cache = "1m"

[gateway]
port = 7171

[approval]
timeout = "90s"

# the work key
[issuers.openai]
kind = "gateway"
route = "openai"
credential = "openai-work"

[issuers.lab]
kind = "gateway"
route = "lab"
credential = "lab"
base_url = "http://127.0.0.1:9000"

[[grants]]
id = "chat"
principal = "claude-code"
issuer = "openai"
scopes = ["chat", "embeddings"]
max_ttl = "30m"
approval = "ask"
rate = "60/min"
[grants.body]
model = { one-of = ["small"] }
max_tokens = [{ max = 1000 }]

# everything below is for the lab

# the lab's reader
[[grants]]
principal = "bot"
issuer = "elsewhere"
scopes = ["read"]
resources = ["acme/*"]

[[routes]]
name = "lab"
base_url = "http://127.0.0.1:9000"
source = "me"
auth = { kind = "bearer" }
allow_private = true
[[routes.scope]]
name = "read"
description = "reading"
allow = ["GET /{rest...}"]
example = []
counter = []

[[assistants]]
principal = "my-bot"
process = ["mybot"]
source = "me"
# the end
"#;

fn parsed(text: &str) -> Result<Config> {
    Config::parse(text, Path::new("/c/config.toml"))
}

fn grant(what: &str) -> AddGrant {
    AddGrant {
        principal: "codex".into(),
        what: what.parse().unwrap(),
        max_ttl_seconds: None,
        approval: Approval::Ask,
        body: Bounds::one("model", Bound::OneOf(vec!["a".into()])).and(&Bounds::one("n", Bound::Max(2.0))),
        rate: Some("5/s".parse().unwrap()),
    }
}

#[test]
fn a_whole_file_and_an_empty_one() {
    let config = parsed(WHOLE).unwrap();
    assert_eq!(config.store.kind, StoreKind::File);
    assert_eq!(config.store.file.as_deref(), Some(Path::new("/c/keys.age")));
    assert_eq!((config.gateway_port, config.approval_timeout.as_secs()), (Some(7171), 90));
    assert_eq!(config.issuers["openai"].credential.as_deref(), Some("openai-work"));
    assert_eq!((config.grants[0].id.as_str(), config.grants[1].id.as_str()), ("chat", "grant_line_2"));
    assert_eq!(config.grants[0].bounds.members().count(), 2);
    assert_eq!(config.grants[0].what.to_string(), "openai:chat,embeddings");
    assert_eq!(config.grants[1].max_ttl, DEFAULT_MAX_TTL);
    assert_eq!((config.routes.len(), config.assistants.len()), (1, 1));
    assert!(config.warnings[0].contains("elsewhere"), "{:?}", config.warnings);
    assert_eq!(config.warnings.len(), 1);
    let none = parsed("").unwrap();
    assert_eq!((none.store, none.autostart), (StoreConfig::default(), true));
    assert_eq!(Config::load(Path::new("/nowhere/config.toml")).unwrap().store.kind, StoreKind::Keyring);
}

#[test]
fn every_error_has_its_place_and_what_to_write_instead() {
    let grant = "[[grants]]\nprincipal = \"bot\"\nissuer = \"x\"\nscopes = [\"a\"]\n";
    let issuer = "[issuers.a]\nkind = \"gateway\"\nroute = \"r\"\ncredential = \"c\"\n";
    for (text, place, says) in [
        ("[stor]\n".into(), ":1:2:", "store"),
        ("[store]\nknid = \"file\"\n".into(), ":2:1:", "did you mean `kind`"),
        ("[store]\nkind = \"vault\"\n".into(), ":2:8: kind:", "keyring, file, memory"),
        ("[store]\ncache = \"2h\"\n".into(), ":2:9: cache:", "between 0s and 1h"),
        ("[gateway]\nport = 80\n".into(), ":2:8: port:", "1024"),
        ("[gateway]\nport = \"x\"\n".into(), ":2:8: port:", "must be a whole number"),
        ("[gateway\n".into(), ":1:", ""),
        ("a = \n".into(), ":1:", ""),
        (format!("{grant}approval = \"yes\"\n"), ":5:12: approval:", "auto, ask, never"),
        (format!("{grant}max_ttl = \"25h\"\n"), ":5:11: max_ttl:", "between 1s and 1d"),
        (format!("{grant}rate = \"often\"\n"), ":5:8: rate:", "60/min"),
        (format!("{grant}resources = [\"a//b\"]\n"), ":5:14: resources:", "a part that is empty"),
        (format!("{grant}resources = []\n"), ":5:13: resources:", "empty"),
        (format!("{grant}prinicpal = \"x\"\n"), ":5:1:", "did you mean `principal`"),
        (format!("{grant}id = \"g\"\n{grant}id = \"g\"\n"), ":10:6: id:", "another grant"),
        (grant.replace("bot", "unknown"), ":2:13: principal:", "no grants"),
        (grant.replace("bot", "Bot!"), ":2:13: principal:", "no name"),
        ("[[grants]]\nprincipal = \"bot\"\n".into(), ":1:", "is missing"),
        (format!("{grant}[grants.body]\nm = {{ least = 1 }}\n"), ":6:", "one-of"),
        (issuer.replace("gateway", "oauth"), ":2:8: kind:", "gateway"),
        (format!("{issuer}base_url = \"http://x\"\n"), ":5:12: base_url:", "https"),
        (format!("{issuer}base_url = \"https://u:p@x\"\n"), ":5:12: base_url:", "nothing else"),
        (format!("{issuer}{issuer}"), ":5:", "duplicate"),
        ("[[assistants]]\nprincipal = \"a\"\nsource = \"s\"\n".into(), ":1:", "match nothing"),
        ("[[assistants]]\nprincipal = \"human\"\nprocess = [\"a\"]\nsource = \"s\"\n".into(), ":1:", "neither human"),
    ] {
        let error = parsed(&text).expect_err(&text);
        let all = format!("{} {}", error.detail, error.hint.unwrap());
        assert_eq!(error.code, Code::Config);
        assert!(all.contains(place) && all.contains(says), "{text}\n{all}");
    }
}

#[test]
fn no_error_repeats_a_value() {
    let canaries =
        [["hp_", &"a1B2".repeat(12)].concat(), ["sk-", "ant-", &"a1B2".repeat(9)].concat(), "Qa1B2z".repeat(6)];
    let issuer = "[issuers.a]\nkind = \"gateway\"\nroute = \"r\"\n";
    for canary in canaries {
        for text in [
            canary.clone(),
            format!("{canary} = 1"),
            format!("[{canary}]\nx = 1"),
            format!("[issuers.{canary}]\nkind = \"x\""),
            format!("key = \"{canary}\""),
            format!("[store]\nkind = \"{canary}\""),
            format!("[store]\nkey = \"{canary}\""),
            format!("[store]\nkind = \"{canary}"),
            format!("[store]\ncache = \"{canary}\""),
            format!("[gateway]\nport = \"{canary}\""),
            format!("[daemon]\nautostart = \"{canary}\""),
            format!("{issuer}credential = \"{canary}\""),
            format!("{issuer}credential = \"c\"\nbase_url = \"{canary}\""),
            format!("{issuer}credential = \"c\"\nbase_url = \"https://{canary}@x\""),
            format!("[[grants]]\nprincipal = \"p\"\nissuer = \"i\"\nscopes = [\"{canary}!\"]"),
            format!("[[grants]]\nprincipal = \"p\"\nissuer = \"i\"\nscopes = \"{canary}\""),
            format!("[[grants]]\nprincipal = \"p\"\nissuer = \"i\"\nscopes = [\"a\"]\nrate = \"{canary}\""),
            format!("[[grants]]\nprincipal = \"p\"\nissuer = \"i\"\nscopes = [\"a\"]\nbody = \"{canary}\""),
            format!("[[grants]]\nprincipal = \"p\"\nissuer = \"i\"\nscopes = [\"a\"]\nbody = {{ m = \"{canary}\" }}"),
            format!("[[routes]]\nname = \"{canary}!\""),
            format!("[[routes]]\nname = \"r\"\nbase_url = \"https://x\"\nsource = \"s\"\nauth = \"{canary}\""),
        ] {
            let error = parsed(&text).expect_err(&text);
            assert!(!format!("{error:?}").contains("a1B2"), "{text}\n{error:?}");
        }
    }
}

#[test]
fn every_edit_keeps_what_was_there() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.toml");
    fs::write(&path, WHOLE).unwrap();
    let text = || fs::read_to_string(&path).unwrap();
    let load = || Config::load(&path).unwrap();

    edit::add_grant(&path, &grant("openai:chat"), "g1").unwrap();
    let block = text().find("\n[[grants]]\nid = \"g1\"").expect("the grant stands with the others");
    assert!(text()[block..].contains("[[routes]]") && WHOLE.starts_with(&text()[..block]), "{}", text());
    let added = load().grants.pop().unwrap();
    assert_eq!((added.id.as_str(), added.approval, added.max_ttl), ("g1", Approval::Ask, DEFAULT_MAX_TTL));
    assert_eq!(added.bounds, grant("openai:chat").body);
    assert_eq!(edit::add_grant(&path, &grant("openai:chat"), "g2").unwrap_err().code, Code::Exists);
    edit::remove_grant(&path, "g1").unwrap();
    assert_eq!(text(), WHOLE);
    assert_eq!(edit::remove_grant(&path, "g1").unwrap_err().code, Code::NotFound);

    edit::remove_grant(&path, "grant_line_2").unwrap();
    assert!(!text().contains("the lab's reader") && text().contains("# everything below is for the lab"), "{}", text());
    fs::write(&path, WHOLE).unwrap();

    let kind = IssuerKind::Gateway { route: "groq".into(), base_url: Some("https://api.example.com/v1".into()) };
    edit::add_issuer(&path, "groq", &Issuer { kind: kind.clone(), credential: Some("openai-work".into()) }).unwrap();
    assert_eq!(load().issuers["groq"].kind, kind);
    edit::rename_issuer_credential(&path, "openai-work", "openai-home").unwrap();
    assert!(["openai", "groq"].iter().all(|name| load().issuers[*name].credential.as_deref() == Some("openai-home")));
    edit::remove_issuer(&path, "groq").unwrap();
    assert_eq!(edit::remove_issuer(&path, "groq").unwrap_err().code, Code::NotFound);

    edit::set_gateway_port(&path, 7272).unwrap();
    edit::set_store(&path, &StoreConfig { kind: StoreKind::Memory, ..load().store }).unwrap();
    assert!(text().contains("file = \"keys.age\"   # beside this file"), "{}", text());
    assert_eq!((load().gateway_port, load().store.kind), (Some(7272), StoreKind::Memory));

    let route = AddRoute {
        name: "mine".into(),
        base_url: "https://api.example.com".into(),
        auth: Some("header:X-Key".into()),
        scopes: vec!["read=GET /v1/{rest...}".into(), "read=HEAD /v1/{rest...}".into()],
        key_env: vec!["MINE_KEY".into()],
        base_url_env: vec!["MINE_URL".into()],
        allow_private: false,
    };
    edit::add_route(&path, &route).unwrap();
    edit::add_route(&path, &AddRoute { name: "all".into(), auth: None, scopes: vec![], ..route.clone() }).unwrap();
    let routes = load().routes;
    assert_eq!((routes.len(), routes[1].scopes[0].allow.len(), routes[2].scopes.len()), (3, 2, 2));
    assert!(edit::add_route(&path, &AddRoute { name: "bad".into(), auth: Some("cookie".into()), ..route }).is_err());
    edit::remove_route(&path, "mine").unwrap();
    edit::remove_route(&path, "all").unwrap();
    for comment in WHOLE.lines().filter(|line| line.contains('#')) {
        assert!(text().contains(comment), "{comment} is gone");
    }
}

#[test]
fn a_first_edit_makes_the_file_and_says_what_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("new/config.toml");
    edit::set_gateway_port(&path, 7171).unwrap();
    edit::add_grant(&path, &grant("openai:chat@acme/*"), "g1").unwrap();
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.starts_with("# The config of hallpass"), "{text}");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "something was left behind");
}

#[test]
fn an_edit_that_would_break_the_file_changes_nothing_and_a_link_is_followed() {
    let dir = tempfile::tempdir().unwrap();
    let (path, real) = (dir.path().join("config.toml"), dir.path().join("dotfiles.toml"));
    fs::write(&real, "[gateway]\nport = 7171\n").unwrap();
    symlink(&real, &path).unwrap();
    assert_eq!(edit::set_gateway_port(&path, 80).unwrap_err().code, Code::Config);
    assert_eq!(fs::read_to_string(&real).unwrap(), "[gateway]\nport = 7171\n");
    edit::set_gateway_port(&path, 7272).unwrap();
    assert!(path.symlink_metadata().unwrap().is_symlink());
    assert_eq!(Config::load(&real).unwrap().gateway_port, Some(7272));
    fs::write(&real, "[gateway\n").unwrap();
    assert!(edit::set_gateway_port(&path, 7373).is_err());
    assert_eq!(fs::read_to_string(&real).unwrap(), "[gateway\n");
    fs::remove_file(&real).unwrap();
    assert!(edit::set_gateway_port(&path, 7373).unwrap_err().detail.contains("link"));
}

#[test]
fn edits_at_once_are_all_kept() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.toml");
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let path = &path;
            scope.spawn(move || {
                for n in 0..5 {
                    let id = format!("g{thread}-{n}");
                    edit::add_grant(path, &grant(&format!("openai:s{thread}:n{n}")), &id).unwrap();
                }
            });
        }
    });
    assert_eq!(Config::load(&path).unwrap().grants.len(), 20);
}

#[test]
fn inline_lists_can_be_edited_too() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.toml");
    fs::write(&path, "grants = [{ principal = \"p\", issuer = \"i\", scopes = [\"a\"] }] # mine\n").unwrap();
    edit::add_grant(&path, &grant("openai:chat"), "g1").unwrap();
    edit::remove_grant(&path, "grant_line_1").unwrap();
    assert_eq!(Config::load(&path).unwrap().grants[0].id, "g1");
    assert!(fs::read_to_string(&path).unwrap().contains("# mine"));
}
