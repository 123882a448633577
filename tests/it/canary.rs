//! The canary: every key that a test makes must be found in no output, file, environment or core
//! (promise 1).

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Mutex,
};

use base64::Engine;

use super::{
    support::{Home, MEMORY, Ran, key, wait_until},
    upstream::Upstream,
};

/// All keys that were made in this run.
static KEYS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Watches for this key from now on.
pub fn watch(key: &str) {
    KEYS.lock().unwrap().push(key.to_owned());
}

/// Looks at what a command printed. Every command of every test comes past here.
pub fn note(ran: &Ran) {
    let keys = KEYS.lock().unwrap().clone();
    for key in keys {
        for (stream, bytes) in [("output", &ran.0.stdout), ("error", &ran.0.stderr)] {
            if let Some(form) = found(bytes, &key) {
                // `credential reveal` is the one command that may.
                assert!(*REVEALED.lock().unwrap() == key, "a key was printed ({form}) on standard {stream}");
            }
        }
    }
}

/// The key that may be printed, because a test reveals it.
static REVEALED: Mutex<String> = Mutex::new(String::new());

fn forms(key: &str) -> Vec<(&'static str, Vec<u8>)> {
    let hex: String = key.bytes().map(|b| format!("{b:02x}")).collect();
    let url = key.replace('/', "%2F").replace('+', "%2B");
    // Base64 of the middle in each of its three alignments, without the ends that neighbours change.
    let engine = base64::engine::general_purpose::STANDARD_NO_PAD;
    let aligned = (0..3).map(|skip| ("base64", engine.encode(&key.as_bytes()[skip..skip + 27]).into_bytes()));
    let mut all = vec![
        ("raw", key.as_bytes().to_vec()),
        ("hexadecimal", hex.to_uppercase().into_bytes()),
        ("hexadecimal", hex.into_bytes()),
        ("url-encoded", url.to_lowercase().into_bytes()),
        ("url-encoded", url.into_bytes()),
        ("JSON", key.replace('/', "\\/").into_bytes()),
        ("reversed", key.bytes().rev().collect()),
    ];
    all.extend(aligned);
    all
}

fn found(bytes: &[u8], key: &str) -> Option<&'static str> {
    let text = |form: &[u8]| bytes.windows(form.len()).any(|window| window == form);
    // Cheap first: most outputs are short.
    forms(key).into_iter().find(|(_, form)| bytes.len() >= form.len() && text(form)).map(|(name, _)| name)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            all.extend(files(&entry.path()));
        } else if kind.is_file() {
            all.push(entry.path());
        }
    }
    all
}

pub fn assert_nowhere(home: &Home, key: &str) {
    let all = files(home.path());
    assert!(all.len() > 3, "there is nothing to search");
    for path in all {
        let bytes = fs::read(&path).unwrap();
        assert_eq!(found(&bytes, key), None, "{} holds the key", path.display());
    }
    if let Some(pid) = home.pid() {
        for name in ["environ", "cmdline"] {
            let bytes = fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
            assert_eq!(found(&bytes, key), None, "the daemon's {name} holds the key");
        }
    }
}

#[test]
fn the_search_finds_each_form() {
    let key = key();
    for (name, form) in forms(&key) {
        let mut around = b"before".to_vec();
        around.extend(&form);
        around.extend(b"after");
        assert!(found(&around, &key).is_some(), "{name}");
    }
    assert_eq!(found(b"nothing of the kind is in this text, however long it may be", &key), None);
}

fn everything(home: &Home, key: &str) {
    let upstream = Upstream::start();
    home.with_upstream(&upstream, key);
    home.does("grant add bot up:*");
    let token = home.does("mint up:read --as bot");
    assert!(home.works(&token));
    assert!(upstream.seen()[0].head.contains(key), "the upstream gets the key");
    // Each of these could repeat what it was given.
    home.run(["credential", "add", "up"], key);
    home.run(["credential", "add", "Bad Name"], key);
    home.run(["credential", "rotate", "up"], key).ok();
    for (method, path) in [("POST", "/v1/credentials"), ("POST", "/v1/mint"), ("POST", "/v1/credentials/up/rotate")] {
        for body in
            [format!("{{\"name\":\"x\",\"value\":{{\"a\":\"{key}\"}}}}"), format!("{{\"{key}\":1}}"), key.into()]
        {
            let reply = home.api(method, path, &body);
            assert_eq!(found(&reply.body, key), None, "{path}: {}", reply.text());
        }
    }
    let reply = home.through(key, "GET /up/v1/things", "", b"");
    assert_eq!((reply.status, found(&reply.body, key)), (401, None));
    let reply = home.through(&token, &format!("GET /up/v1/things?key={key}"), "", b"");
    assert_eq!(found(&reply.body, key), None);
    let child = home.does("exec --as bot --grant up:read -- env");
    assert!(child.contains("UP_KEY=hp_"), "{child}");
    home.does("--json status");
    home.does("--json audit tail -n 100");
    home.does("--json credential show up");
    home.does("audit verify");
}

#[test]
fn a_key_is_found_nowhere_with_the_memory_store() {
    let (home, key) = (Home::started(), key());
    everything(&home, &key);
    assert_nowhere(&home, &key);
}

#[test]
fn a_key_is_found_nowhere_with_the_file_store_and_after_an_abort() {
    let (mut home, key) = (super::faults::with_file_store(), key());
    home.start();
    everything(&home, &key);
    assert_nowhere(&home, &key);
    home.signal(rustix::process::Signal::ABORT);
    assert_eq!(home.ended(), None, "it ended by the signal");
    assert_nowhere(&home, &key);
    let core = files(home.path()).into_iter().find(|path| path.to_string_lossy().contains("core"));
    assert_eq!(core, None);
}

#[test]
fn reveal_is_the_one_way_and_is_recorded() {
    let home = Home::new(MEMORY);
    let mut home = home;
    home.start();
    let key = key();
    home.run(["credential", "add", "openai"], &key).ok();
    REVEALED.lock().unwrap().clone_from(&key);
    assert_eq!(home.does("credential reveal openai --yes --reason test"), key);
    wait_until("the record", || {
        home.does("--json audit query --event credential.reveal").contains("credential.reveal")
    });
    assert_nowhere(&home, &key);
}
