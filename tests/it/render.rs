//! Rendered files end to end: kept filled, never in parts, and gone when their token may not be there any more.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use super::{
    canary,
    helper::with_static,
    support::{Home, PATIENCE, key, random, slow, wait_until},
    upstream::Upstream,
};

/// A home with the route `up`, and the agent `bot`, which may read there for so long.
fn with_up(ttl: &str) -> (Home, Upstream) {
    let (home, upstream) = (Home::started(), Upstream::start());
    home.with_upstream(&upstream, &key());
    home.does(&format!("grant add bot up:read --ttl {ttl}"));
    (home, upstream)
}

fn file(home: &Home, name: &str) -> PathBuf {
    home.path().join("run/rendered").join(name)
}

fn text(path: &Path) -> Option<String> {
    fs::read_to_string(path).ok()
}

fn shown(home: &Home, name: &str) -> serde_json::Value {
    home.json(&format!("render show {name}"))
}

fn mode(path: &Path) -> u32 {
    path.symlink_metadata().unwrap().permissions().mode() & 0o777
}

#[test]
fn a_file_is_written_before_its_token_ends_and_never_in_parts() {
    let (home, _upstream) = with_up("8s");
    let path = file(&home, "npm");
    assert_eq!(home.does("render add npm up:read --as bot"), path.to_str().unwrap());
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
    let first = text(&path).unwrap();
    assert!(home.works(&first));
    // Through two renewals a reader always finds a whole token that works.
    let mut seen = vec![first];
    wait_until("it is renewed twice", || {
        let now = text(&path).expect("there is a file at every moment");
        assert_eq!(now.len(), hallpass::token::LENGTH, "{now}");
        if seen.last() != Some(&now) {
            assert!(home.works(&now));
            assert!(home.works(seen.last().unwrap()), "who read the file just before is not cut off");
            seen.push(now);
        }
        seen.len() == 3
    });
    let left: Vec<_> = fs::read_dir(path.parent().unwrap()).unwrap().flatten().map(|e| e.file_name()).collect();
    assert_eq!(left, ["npm"], "nothing lies beside it");
    let audit = home.does("--json audit query --principal bot");
    assert!(audit.matches("\"render:npm\"").count() >= 3, "{audit}");

    let status = home.json("status");
    assert_eq!((&status["rendered"]["files"], &status["rendered"]["failing"]), (&1.into(), &0.into()));
    let folder = fs::metadata(path.parent().unwrap()).unwrap();
    let memory = fs::metadata("/dev/shm").map(|shm| std::os::unix::fs::MetadataExt::dev(&shm)).ok();
    if memory != Some(std::os::unix::fs::MetadataExt::dev(&folder)) {
        assert_eq!(status["rendered"]["in_memory"], false);
        assert!(home.does("status").contains("on a disk and not in memory"));
    }

    home.does("render remove npm");
    assert!(!path.exists());
    assert!(seen.iter().all(|token| !home.works(token)));
    home.fails("render show npm", 1, "not_found");
}

#[test]
fn what_is_in_it_is_said_in_the_config() {
    let (home, _upstream) = with_up("1h");
    home.does("render add vars up:read --as bot --format env");
    let vars = text(&file(&home, "vars")).unwrap();
    let port = home.port();
    let token = vars.lines().next().unwrap().strip_prefix("UP_KEY=").unwrap();
    assert!(home.works(token), "{vars}");
    assert_eq!(vars.lines().nth(1), Some(&*format!("UP_BASE=http://127.0.0.1:{port}/up")));
    home.ok([
        "render",
        "add",
        "npmrc",
        "up:read",
        "--as",
        "bot",
        "--line",
        "//{host}/:_authToken={token}",
        "--line",
        "a=b",
    ]);
    let npmrc = text(&file(&home, "npmrc")).unwrap();
    assert!(
        npmrc.starts_with(&format!("//127.0.0.1:{port}/up/:_authToken=hp_")) && npmrc.ends_with("\na=b\n"),
        "{npmrc}"
    );
    home.fails("render add odd up:read --as bot --line A={tokn}", 1, "config");
    home.fails("render add odd up:read --as nobody", 1, "not_found");
    home.fails("render add odd up:nonsense --as bot", 1, "invalid_value");
    home.fails("render add ../odd up:read --as bot", 1, "config");
    home.fails("render add vars up:read --as bot", 1, "exists");
    assert!(!file(&home, "odd").exists());
    // Written by hand, and taken back by hand.
    let config = home.path().join("config.toml");
    let before = text(&config).unwrap();
    fs::write(&config, format!("{before}\n[[render]]\nname = \"by-hand\"\nwant = \"up:read\"\nas = \"bot\"\n"))
        .unwrap();
    home.signal(rustix::process::Signal::HUP);
    wait_until("the file by hand", || file(&home, "by-hand").exists());
    fs::write(&config, before).unwrap();
    home.signal(rustix::process::Signal::HUP);
    wait_until("it is gone", || !file(&home, "by-hand").exists());
}

#[test]
fn it_goes_with_its_grant_its_owner_and_its_lease() {
    let (home, _upstream) = with_up("1h");
    let path = file(&home, "a");
    home.does("render add a up:read --as bot");
    let gone = |what: &str| wait_until(what, || !path.exists() && shown(&home, "a")["state"] == "missing");
    let back = |what: &str| wait_until(what, || text(&path).is_some_and(|token| home.works(&token)));

    let grant = home.json("grant list")["items"][0]["id"].as_str().unwrap().to_owned();
    home.does(&format!("grant remove {grant}"));
    gone("without a grant");
    let one = shown(&home, "a");
    assert_eq!(one["hint"], "hallpass grant add bot 'up:read'", "{one}");
    assert!(home.does("render list").contains("hallpass grant add bot 'up:read'"));
    assert!(home.does("status").contains("1 without a fresh token"));
    home.does("grant add bot up:read");
    back("with a grant again");

    home.does("principal disable bot");
    gone("its owner is disabled");
    assert_eq!(shown(&home, "a")["hint"], "hallpass principal enable bot");
    home.does("principal enable bot");
    back("its owner is enabled");

    for end in ["lease revoke", "task end"] {
        let id =
            if end == "task end" { "render:a".into() } else { shown(&home, "a")["lease"].as_str().unwrap().to_owned() };
        let token = text(&path).unwrap();
        home.does(&format!("{end} {id}"));
        gone(end);
        assert!(!home.works(&token));
        // What a person ended does not come back because something else changed.
        home.does("grant add bot up:write");
        home.does("render list");
        assert!(!path.exists(), "{end}");
        assert_eq!(shown(&home, "a")["hint"], "hallpass render renew a");
        home.does("render renew a");
        back(end);
        let write =
            home.json("grant list")["items"].as_array().unwrap().last().unwrap()["id"].as_str().unwrap().to_owned();
        home.does(&format!("grant remove {write}"));
    }
    fs::remove_file(&path).unwrap();
    assert_eq!(shown(&home, "a")["problem"], "somebody removed the file");
    home.does("render renew a");
    back("it was removed");
}

#[test]
fn it_goes_with_the_daemon_and_is_made_again() {
    // The store that keeps its credentials over a restart.
    let (mut home, upstream) = (super::faults::with_file_store(), Upstream::start());
    home.start();
    home.with_upstream(&upstream, &key());
    home.does("grant add bot up:read");
    let path = file(&home, "a");
    home.does("render add a up:read --as bot");
    let first = text(&path).unwrap();
    home.signal(rustix::process::Signal::TERM);
    home.ended();
    assert!(!path.exists());
    home.start();
    wait_until("a file", || text(&path).is_some_and(|token| token != first && home.works(&token)));
    assert!(!home.works(&first));

    let second = text(&path).unwrap();
    home.kill();
    assert_eq!(text(&path).as_ref(), Some(&second), "nobody was there to remove it");
    fs::write(path.with_file_name("left"), "x").unwrap();
    fs::set_permissions(path.with_file_name("left"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(path.with_file_name("Somebody's"), "x").unwrap();
    home.start();
    wait_until("another", || text(&path).is_some_and(|token| token != second && home.works(&token)));
    assert!(!home.works(&second) && !path.with_file_name("left").exists());
    assert!(path.with_file_name("Somebody's").exists(), "what is not ours stays");
}

#[test]
fn nobody_is_asked_where_nobody_is() {
    let (home, _upstream) = with_up("1h");
    home.does("principal add careful --kind agent");
    home.does("grant add careful up:read --approval ask");
    let said = home.does("render add b up:read --as careful");
    assert!(
        said.contains("asks a person each time") && said.contains("hallpass grant add careful 'up:read'"),
        "{said}"
    );
    assert!(!file(&home, "b").exists());
    assert_eq!(home.json("status")["waiting_approvals"], 0);
    // On record once, however often it is looked at.
    for _ in 0..3 {
        home.does("grant add bot up:write");
        let write =
            home.json("grant list")["items"].as_array().unwrap().last().unwrap()["id"].as_str().unwrap().to_owned();
        home.does(&format!("grant remove {write}"));
    }
    let audit = home.does("--json audit query --principal careful");
    assert_eq!(audit.matches("\"render:b\"").count(), 1, "{audit}");
}

#[test]
fn what_cannot_be_written_leaves_the_old_file_until_its_token_ends() {
    let (home, _upstream) = with_up("4s");
    let path = file(&home, "a");
    home.does("render add a up:read --as bot");
    let first = text(&path).unwrap();
    // As a full disk would: nothing can be written beside it.
    fs::create_dir(path.with_file_name(".a.new")).unwrap();
    wait_until("it is not renewed", || {
        let one = shown(&home, "a");
        one["state"] == "stale" || one["state"] == "missing"
    });
    let kept = text(&path);
    assert!(kept.is_none_or(|text| text == first));
    wait_until("it is gone with its token", || !path.exists());
    assert!(!home.works(&first));
    let one = shown(&home, "a");
    assert!(one["problem"].as_str().unwrap().contains("cannot be written"), "{one}");
    fs::remove_dir(path.with_file_name(".a.new")).unwrap();
    home.does("render renew a");
    assert!(home.works(&text(&path).unwrap()));
}

#[test]
fn a_credential_is_in_it_only_by_a_grant_of_release() {
    let (home, secret) = with_static();
    home.does("principal add bot --kind agent");
    let path = file(&home, "db");
    let said = home.does("render add db vault:release --as bot");
    assert!(!path.exists() && said.contains("hallpass grant add bot 'vault:release'"), "{said}");
    home.does("grant add bot vault:*");
    assert_eq!(shown(&home, "db")["state"], "missing", "no star gives the credential itself");
    home.does("grant add bot vault:release");
    wait_until("the credential", || text(&path).as_ref() == Some(&secret));
    let one = shown(&home, "db");
    assert_eq!((&one["state"], &one["expires_at"]), (&"static".into(), &serde_json::Value::Null), "{one}");
    let audit = home.does("--json audit query --principal bot");
    let line = audit.lines().find(|line| line.contains("credential.release")).unwrap_or_else(|| panic!("{audit}"));
    assert!(line.contains("\"static\"") && line.contains("render:db") && !line.contains(&secret), "{line}");

    let other = format!("pw-{}", random());
    home.run(["credential", "rotate", "vault"], &other).ok();
    wait_until("the new value", || text(&path).as_ref() == Some(&other));
    let grants = home.json("grant list");
    let id = grants["items"].as_array().unwrap().iter().find(|grant| grant["scopes"].to_string().contains("release"));
    home.does(&format!("grant remove {}", id.unwrap()["id"].as_str().unwrap()));
    wait_until("no grant, no file", || !path.exists());
}

#[test]
fn a_locked_store_takes_what_it_gave() {
    let mut home = super::faults::with_file_store();
    home.start();
    let secret = format!("pw-{}", random());
    home.run(["credential", "add", "vault"], &secret).ok();
    home.does("render add db vault:release --as human");
    home.does("grant add human vault:release");
    wait_until("the credential", || text(&file(&home, "db")).as_ref() == Some(&secret));
    home.does("lock");
    assert!(!file(&home, "db").exists());
    assert_eq!(shown(&home, "db")["hint"], "hallpass unlock");
    home.does("unlock");
    wait_until("it is back", || text(&file(&home, "db")).as_ref() == Some(&secret));
}

#[test]
fn the_key_is_not_in_it_and_scan_finds_nothing() {
    let (home, upstream, real) = (Home::started(), Upstream::start(), key());
    home.with_upstream(&upstream, &real);
    home.does("grant add bot up:read");
    home.does("render add vars up:read --as bot --format env");
    let folder = file(&home, "vars");
    // Its exit code would say so.
    home.does(&format!("scan {}", folder.parent().unwrap().display()));
    canary::assert_nowhere(&home, &real);
}

/// How often the daemon's threads gave up the processor by themselves (proc(5)).
fn switches(pid: u32) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten();
    let of = |task: fs::DirEntry| {
        let status = fs::read_to_string(task.path().join("status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:").map(str::to_owned));
        line.and_then(|line| line.trim().parse::<u64>().ok()).unwrap_or_default()
    };
    tasks.map(of).sum()
}

#[test]
fn nothing_wakes_up_where_nothing_is_to_be_renewed() {
    if !slow() {
        return;
    }
    let (home, _upstream) = with_up("1h");
    home.does("render add a up:read --as bot");
    home.does("render remove a");
    home.does("render add b up:read --as bot --ttl 1h");
    home.does("principal disable bot");
    let pid = home.pid().unwrap();
    // What follows on activity (the audit log's sync, memory given back) is over after a quarter of a minute.
    let (mut count, mut since, until) = (switches(pid), Instant::now(), Instant::now() + 3 * PATIENCE);
    while since.elapsed() < Duration::from_secs(7) {
        let now = switches(pid);
        if now != count {
            (count, since) = (now, Instant::now());
        }
        assert!(Instant::now() < until, "it never rests");
        std::thread::park_timeout(Duration::from_millis(50));
    }
}
