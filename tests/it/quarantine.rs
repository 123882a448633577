//! Quarantine end to end: secrets out of files into the store, references that work, and the way back.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use super::{
    canary,
    faults::{started_by, with_file_store},
    support::{Home, MEMORY, Ran, random, run, wait_until},
};

/// A key that is certain: an Anthropic key's form, made at run time.
pub fn anthropic() -> String {
    let body = [random(), random(), random()].concat();
    let key = ["sk-", "ant-", "api03-", &body[..93], "AA"].concat();
    canary::watch(&key);
    key
}

/// A key that is certain, of another kind.
pub fn openai() -> String {
    let key = ["sk-", "proj-", &random()[..20], "T3Blbk", "FJ", &random()[..20]].concat();
    canary::watch(&key);
    key
}

/// What is likely only: a name that says secret, and a random value.
pub fn likely() -> String {
    let key = [&random()[..], "Zq9K", &random()[..8].to_uppercase()].concat();
    canary::watch(&key);
    key
}

/// A folder of files beside the home, removed on drop.
pub struct Project(PathBuf);

impl Project {
    pub fn new() -> Self {
        let path = PathBuf::from(format!("/tmp/hp-project-{}", random()));
        fs::create_dir(&path).unwrap();
        // As the watcher and exec name it.
        Self(path.canonicalize().unwrap())
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn write(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.0.join(name)).unwrap()
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn here(home: &Home, project: &Project, args: &[&str]) -> Command {
    let mut command = home.command(args);
    command.current_dir(project.path());
    command
}

/// A shell script in `exec`; `EXPECT` is there to compare with, so that no value is printed.
fn exec(home: &Home, project: &Project, more: &[&str], script: &str, expect: &str) -> Ran {
    let args = [&["exec"], more, &["--", "/bin/sh", "-c", script]].concat();
    let mut command = here(home, project, &args);
    command.env("EXPECT", expect);
    run(command, b"")
}

/// Takes a file's secrets; the only item of the answer.
fn take(home: &Home, file: &str) -> serde_json::Value {
    home.json(&format!("quarantine --all --yes {file}"))["items"][0].clone()
}

fn id(taken: &serde_json::Value) -> String {
    taken["id"].as_str().unwrap_or_else(|| panic!("nothing was taken: {taken}")).to_owned()
}

#[test]
fn a_dry_run_shows_a_masked_diff_and_touches_nothing() {
    let (home, project, key) = (Home::started(), Project::new(), anthropic());
    let text = format!("# mine\nANTHROPIC_API_KEY={key}\n");
    let file = project.write(".env", &text);
    let before = fs::metadata(&file).unwrap().modified().unwrap();
    let shown = home.does(&format!("quarantine --dry-run {file}"));
    assert!(shown.contains("hallpass:anthropic") && shown.contains("-ANTHROPIC_API_KEY="), "{shown}");
    let plan = home.json(&format!("quarantine --dry-run {file}"));
    assert_eq!(plan["items"][0]["secrets"][0]["credential"], "anthropic", "{plan}");
    assert!(plan["items"][0]["id"].is_null(), "{plan}");
    // Without a terminal nobody can be asked: nothing is done.
    assert_ne!(home.line(&format!("quarantine {file}")).code(), 0);
    assert_eq!(project.read(".env"), text);
    assert_eq!(fs::metadata(&file).unwrap().modified().unwrap(), before);
    assert_eq!(home.json("quarantine list")["items"].as_array().unwrap().len(), 0);
    assert_eq!(home.json("credential list")["items"].as_array().unwrap().len(), 0);
}

#[test]
fn a_reference_becomes_a_token_with_its_base_url_once_a_grant_allows_it() {
    let (home, project, key) = (Home::started(), Project::new(), anthropic());
    let file = project.write(".env", &format!("ANTHROPIC_API_KEY={key}\n"));
    let taken = take(&home, &file);
    assert_eq!(taken["secrets"][0]["route"], "anthropic", "{taken}");
    assert_eq!(project.read(".env"), "ANTHROPIC_API_KEY=hallpass:anthropic\n");
    // Without a grant it is told, and left.
    let left = exec(&home, &project, &[], "echo \"[$ANTHROPIC_API_KEY]\"", "");
    assert_eq!(left.code(), 0, "{}", left.err());
    assert!(left.err().contains("ANTHROPIC_API_KEY gets no value") && left.err().contains("grant add"));
    assert!(!left.out().contains("hp_"), "{}", left.out());
    home.does("grant add human anthropic:messages");
    let ran = exec(&home, &project, &[], "echo $ANTHROPIC_API_KEY $ANTHROPIC_BASE_URL", "");
    let out = ran.ok();
    assert!(out.starts_with("hp_") && out.contains(" http://127.0.0.1:"), "{out}\n{}", ran.err());
    let env = run(here(&home, &project, &["env"]), b"").ok();
    assert!(env.contains("ANTHROPIC_API_KEY") && env.contains("hp_"), "{env}");
}

#[test]
fn a_static_value_is_released_only_by_its_own_grant_and_marked_so() {
    let (home, project) = (Home::started(), Project::new());
    let password = ["pw", &random()[..], "x9Q"].concat();
    canary::watch(&password);
    let url = |password: &str| format!("postgres://app:{password}@db.internal:5432/main?sslmode=require");
    let file = project.write(".env", &format!("DATABASE_URL={}\n", url(&password)));
    let taken = take(&home, &file);
    let name = taken["secrets"][0]["credential"].as_str().unwrap();
    assert_eq!(project.read(".env"), format!("DATABASE_URL={}\n", url(&format!("hallpass%3A{name}"))));
    let same = "test \"$DATABASE_URL\" = \"$EXPECT\" && echo same || echo other";
    assert_eq!(exec(&home, &project, &[], same, &url(&password)).ok(), "other");
    home.does(&format!("grant add human {name}:release"));
    assert_eq!(exec(&home, &project, &[], same, &url(&password)).ok(), "same");
    let lines = home.does("--json audit query --event credential.release");
    assert!(lines.contains("\"static\""), "{lines}");
    // There is no token for it, and no other scope.
    assert_ne!(home.line(&format!("mint {name}:release")).code(), 0);
}

#[test]
fn a_reference_that_hallpass_did_not_write_has_to_be_asked_for() {
    let (home, project, key) = (Home::started(), Project::new(), anthropic());
    home.run(["credential", "add", "anthropic"], &key).ok();
    home.does("grant add human anthropic:messages");
    project.write(".env", "ANTHROPIC_API_KEY=hallpass:anthropic\n");
    let script = "echo \"[$ANTHROPIC_API_KEY]\"";
    let left = exec(&home, &project, &[], script, "");
    assert!(left.err().contains("hallpass did not write this reference"), "{}", left.err());
    assert!(!left.ok().contains("hp_"));
    let asked = exec(&home, &project, &["--grant", "anthropic:messages"], script, "");
    assert!(asked.ok().starts_with("[hp_"));
}

#[test]
fn a_file_that_a_link_leads_to_is_known_by_every_name() {
    let (home, project, elsewhere) = (Home::started(), Project::new(), Project::new());
    let key = anthropic();
    elsewhere.write("real.env", &format!("ANTHROPIC_API_KEY={key}\n"));
    std::os::unix::fs::symlink(elsewhere.path().join("real.env"), project.path().join(".env")).unwrap();
    std::os::unix::fs::symlink(project.path(), elsewhere.path().join("link")).unwrap();
    take(&home, elsewhere.path().join("link/.env").to_str().unwrap());
    assert!(project.path().join(".env").is_symlink(), "the link stays");
    assert_eq!(elsewhere.read("real.env"), "ANTHROPIC_API_KEY=hallpass:anthropic\n");
    home.does("grant add human anthropic:messages");
    assert!(exec(&home, &project, &[], "echo $ANTHROPIC_API_KEY", "").ok().starts_with("hp_"));
}

#[test]
fn the_same_secret_is_one_credential_and_another_of_its_kind_gets_a_number() {
    let (home, project, one, two) = (Home::started(), Project::new(), anthropic(), anthropic());
    let a = project.write(".env", &format!("A={one}\n"));
    let b = project.write("settings.json", &format!("{{\"key\": \"{one}\"}}\n"));
    let c = project.write(".env.local", &format!("A={two}\nB={one}\n"));
    for file in [&a, &b, &c] {
        id(&take(&home, file));
    }
    assert_eq!(project.read(".env"), "A=hallpass:anthropic\n");
    assert_eq!(project.read("settings.json"), "{\"key\": \"hallpass:anthropic\"}\n");
    assert_eq!(project.read(".env.local"), "A=hallpass:anthropic-2\nB=hallpass:anthropic\n");
    assert_eq!(home.json("credential list")["items"].as_array().unwrap().len(), 2);
    // A name that a person gave to another value is passed over.
    let key = openai();
    home.run(["credential", "add", "openai"], &super::support::key()).ok();
    let d = project.write("d.env", &format!("OPENAI_API_KEY={key}\n"));
    assert_eq!(take(&home, &d)["secrets"][0]["credential"], "openai-2");
    assert_eq!(project.read("d.env"), "OPENAI_API_KEY=hallpass:openai-2\n");
}

#[test]
fn a_restore_gives_the_same_bytes_and_mode() {
    let (home, project, key) = (Home::started(), Project::new(), anthropic());
    let text = format!("\u{feff}# tab\there\r\nA='{key}'   # mine\r\n\r\nB=\"{key}\"");
    let file = project.write(".env", &text);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    let id = id(&take(&home, &file));
    assert!(!project.read(".env").contains("sk-"));
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o640);

    let shown = home.json(&format!("quarantine show {id}"));
    assert_eq!((&shown["path"], &shown["state"]), (&file.clone().into(), &"quarantined".into()));
    assert_eq!(home.json("quarantine list")["items"][0]["id"], id.as_str());
    let diff = home.json(&format!("quarantine diff {id}"));
    assert!(diff["diff"].as_str().unwrap().contains("hallpass:anthropic"), "{diff}");
    home.does("quarantine list");
    home.fails(&format!("quarantine purge {id}"), 1, "in_use");

    let done = home.json(&format!("quarantine restore {id}"));
    assert_eq!(done["identical"], true, "{done}");
    assert_eq!(project.read(".env"), text);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o640);
    assert_ne!(home.line(&format!("quarantine restore {id}")).code(), 0, "once");
}

#[test]
fn a_purge_while_the_reference_stands_needs_force() {
    let (home, project, key) = (Home::started(), Project::new(), anthropic());
    let file = project.write(".env", &format!("A={key}\n"));
    let id = id(&take(&home, &file));
    home.fails(&format!("quarantine purge {id}"), 1, "in_use");
    home.does(&format!("quarantine purge {id} --force"));
    home.fails(&format!("quarantine restore {id}"), 1, "not_found");
    home.fails("quarantine show nothing", 1, "not_found");
    assert_eq!(home.json("credential list")["items"][0]["name"], "anthropic", "the credential stays");
}

#[test]
fn a_file_that_was_changed_since_keeps_its_changes() {
    let (home, project, key) = (Home::started(), Project::new(), anthropic());
    let file = project.write(".env", &format!("A={key}\n"));
    let first = id(&take(&home, &file));
    project.write(".env", "# new\nB=1\nA=hallpass:anthropic\n");
    let done = home.json(&format!("quarantine restore {first}"));
    assert_eq!(done["identical"], false, "{done}");
    assert_eq!(project.read(".env"), format!("# new\nB=1\nA={key}\n"));
    // With its reference gone there is nothing to fill.
    let second = id(&take(&home, &file));
    project.write(".env", "B=1\n");
    let ran = home.line(&format!("quarantine restore {second}"));
    assert_eq!(project.read(".env"), "B=1\n");
    assert!(format!("{}{}", ran.out(), ran.err()).contains("anthropic"), "{}{}", ran.out(), ran.err());
}

/// A home with a file store that a passphrase opens.
pub fn with_passphrase() -> Home {
    Home::new("[store]\nkind = \"file\"\n\n[daemon]\nheadless_human = true\n")
}

/// Opens the store of [`with_passphrase`].
pub fn unlock(home: &Home) {
    run(home.command(["unlock", "--fd", "0"]), b"correct horse battery staple\n").ok();
}

#[test]
fn with_the_store_locked_nothing_is_changed_and_it_works_once_it_is_open() {
    let (mut home, project, key) = (with_passphrase(), Project::new(), anthropic());
    home.start();
    unlock(&home);
    home.does("lock");
    let text = format!("A={key}\n");
    let file = project.write(".env", &text);
    home.does(&format!("quarantine --dry-run {file}"));
    let ran = home.line(&format!("quarantine --yes {file}"));
    assert_eq!(ran.code(), 1, "{}", ran.out());
    assert!(ran.out().contains("the store is locked") && ran.out().contains("hallpass unlock"), "{}", ran.out());
    assert_eq!(project.read(".env"), text);
    unlock(&home);
    id(&take(&home, &file));
    assert_eq!(project.read(".env"), "A=hallpass:anthropic\n");
}

#[test]
fn what_a_kill_cut_off_is_completed_by_the_next_start() {
    let (mut home, project, key) = (with_file_store(), Project::new(), anthropic());
    home.start();
    let file = project.write(".env", &format!("ANTHROPIC_API_KEY={key}\n"));
    let config = fs::read(home.path().join("config.toml")).unwrap();
    let id = id(&take(&home, &file));
    home.kill();
    // As if it had been killed before any of what follows the rename: no metadata, no issuer, no reference.
    fs::write(home.path().join("config.toml"), config).unwrap();
    for name in ["state.db", "state.db-wal", "state.db-shm"] {
        for folder in [home.path().to_path_buf(), home.path().join("state")] {
            let _ = fs::remove_file(folder.join(name));
        }
    }
    home.start();
    wait_until("the metadata is there again", || {
        home.json("credential list")["items"].as_array().unwrap().iter().any(|item| item["name"] == "anthropic")
    });
    home.does("grant add human anthropic:messages");
    assert!(exec(&home, &project, &[], "echo $ANTHROPIC_API_KEY", "").ok().starts_with("hp_"));
    assert_eq!(home.json(&format!("quarantine restore {id}"))["identical"], true);
}

#[test]
fn what_a_person_removed_stays_removed_over_a_restart() {
    let (mut home, project, key) = (with_file_store(), Project::new(), anthropic());
    home.start();
    let id = id(&take(&home, &project.write(".env", &format!("A={key}\n"))));
    let problem = home.fails("credential remove anthropic", 1, "in_use");
    assert!(problem["hint"].as_str().unwrap().contains(&id), "{problem}");
    home.does(&format!("quarantine purge --force {id}"));
    home.does("credential remove anthropic");
    assert_eq!(home.json("credential list")["items"].as_array().unwrap().len(), 0);
    home.kill();
    home.start();
    // The start's own look at the quarantine is over when this answers: both are done on one thread, in turn.
    home.does("quarantine list");
    assert_eq!(home.json("credential list")["items"].as_array().unwrap().len(), 0);
}

#[test]
fn two_takes_of_one_file_at_once_are_one() {
    let (home, project, key) = (Home::started(), Project::new(), anthropic());
    let file = project.write(".env", &format!("A={key}\n"));
    std::thread::scope(|scope| {
        let run = || home.line(&format!("--json quarantine --yes {file}"));
        let (a, b) = (scope.spawn(run), scope.spawn(run));
        let codes = (a.join().unwrap().code(), b.join().unwrap().code());
        assert_eq!(codes, (0, 0));
    });
    assert_eq!(project.read(".env"), "A=hallpass:anthropic\n");
    assert_eq!(home.json("quarantine list")["items"].as_array().unwrap().len(), 1);
}

/// What follows a take must not be done once for each secret: the config was written anew for every one of them, and
/// the daemon served nobody meanwhile.
#[test]
fn two_thousand_secrets_of_one_file_keep_nobody_waiting() {
    let (home, project) = (Home::started(), Project::new());
    let key = |n: usize| {
        let body = random() + &random() + &random();
        ["sk-", "ant-", "api03-", &format!("{n:05}"), &body[..88], "AA"].concat()
    };
    let text: String = (0..2_000).map(|n| format!("A{n}={}\n", key(n))).collect();
    let file = project.write(".env", &text);
    let begun = Instant::now();
    let output = home.command(["--json", "quarantine", "--yes", &file]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let taken: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(begun.elapsed() < Duration::from_secs(40), "{:?}", begun.elapsed());
    let after: Vec<String> = project.read(".env").lines().map(ToOwned::to_owned).collect();
    assert_eq!((after[0].as_str(), after[1_999].as_str()), ("A0=hallpass:anthropic", "A1999=hallpass:anthropic-2000"));
    assert_eq!(home.json("status")["credentials"], 2_000);
    home.json(&format!("quarantine restore {}", id(&taken["items"][0])));
    assert!(project.read(".env") == text);
}

#[test]
fn two_restores_and_a_purge_at_once_are_one() {
    let (home, project, key) = (Home::started(), Project::new(), anthropic());
    let text = format!("A={key}\n");
    let file = project.write(".env", &text);
    for _ in 0..5 {
        let id = id(&take(&home, &file));
        let codes: Vec<i32> = std::thread::scope(|scope| {
            let run = |verb: String| home.line(&verb).code();
            let verbs = [
                format!("quarantine restore {id}"),
                format!("quarantine restore {id}"),
                format!("quarantine purge {id}"),
            ];
            let all: Vec<_> = verbs.into_iter().map(|verb| scope.spawn(move || run(verb))).collect();
            all.into_iter().map(|one| one.join().unwrap()).collect()
        });
        assert_eq!(codes.iter().take(2).filter(|code| **code == 0).count(), 1, "{codes:?}");
        assert_eq!(project.read(".env"), text);
    }
    assert_eq!(fs::read_dir(project.path()).unwrap().count(), 1, "nothing is left beside it");
}

#[test]
fn a_name_that_is_no_text_is_left_and_the_others_are_taken() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt};
    let (home, project, key) = (Home::started(), Project::new(), anthropic());
    let odd = project.path().join(OsStr::from_bytes(b"a\xff.env"));
    fs::write(&odd, format!("A={key}\n")).unwrap();
    let long = "n".repeat(240);
    for name in [".env", "a b'$(x).env", "two\nlines.env", &long] {
        project.write(&format!("{name}.env"), &format!("A={key}\n"));
    }
    let ran = run(here(&home, &project, &["quarantine", "--yes", "."]), b"");
    assert_eq!(ran.code(), 1, "{}{}", ran.out(), ran.err());
    assert!(ran.err().contains("its name is not UTF-8"), "{}", ran.err());
    assert_eq!(fs::read_to_string(&odd).unwrap(), format!("A={key}\n"));
    for name in [".env", "a b'$(x).env", "two\nlines.env", &long] {
        assert_eq!(project.read(&format!("{name}.env")), "A=hallpass:anthropic\n", "{name:?}");
    }
}

#[test]
fn a_path_that_cannot_be_is_refused_and_left() {
    let (home, project, key) = (Home::started(), Project::new(), anthropic());
    let reply = home.api("POST", "/v1/quarantine", "{\"paths\": [\"a/.env\"]}");
    assert_eq!((reply.status, reply.code().as_str()), (422, "invalid_value"), "{}", reply.text());
    let ran = home.line("quarantine --yes /nowhere/.env");
    assert_ne!(ran.code(), 0, "{}{}", ran.out(), ran.err());

    let fifo = project.path().join(".env.fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let body = serde_json::json!({ "paths": [fifo, "/nowhere/.env"] }).to_string();
    let reply = home.api("POST", "/v1/quarantine", &body).json();
    for item in reply["items"].as_array().unwrap() {
        assert!(item["error"].is_string() && item["id"].is_null(), "{item}");
    }
    // UTF-16: a reference in ASCII would break it.
    let wide: Vec<u8> =
        [0xff, 0xfe].into_iter().chain(format!("A={key}\r\n").encode_utf16().flat_map(u16::to_le_bytes)).collect();
    let file = project.path().join("wide.env");
    fs::write(&file, &wide).unwrap();
    home.line(&format!("quarantine --yes {}", file.display()));
    assert_eq!(fs::read(&file).unwrap(), wide);
    // Relative on the command line is from the current folder, also for a read-only file.
    let text = format!("A={key}\n");
    let file = project.write("locked.env", &text);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o400)).unwrap();
    let ran = run(here(&home, &project, &["quarantine", "--yes", "locked.env"]), b"");
    assert_eq!(ran.code(), 1, "{}{}", ran.out(), ran.err());
    assert!(ran.out().contains("read-only"), "{}", ran.out());
    assert_eq!(project.read("locked.env"), text);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o400);
}

#[test]
fn a_caller_that_is_not_the_person_is_refused() {
    let (mut home, project, key) =
        (Home::new(&MEMORY.replace("headless_human = true", "")), Project::new(), anthropic());
    home.start();
    let text = format!("A={key}\n");
    let file = project.write(".env", &text);
    let ran = home.line(&format!("quarantine --yes {file}"));
    assert_ne!(ran.code(), 0);
    for line in [format!("watch add --yes {file}"), "watch places quarantine --yes".into()] {
        assert_ne!(home.line(&line).code(), 0, "{line}");
    }
    assert_eq!(project.read(".env"), text);
}

#[test]
fn the_secret_is_in_no_file_of_ours_but_the_store() {
    // The file store is encrypted: the secret's bytes are in none at all.
    let (mut home, project, key) = (with_file_store(), Project::new(), anthropic());
    started_by(&mut home, "RUST_LOG=trace exec \"$0\" daemon");
    let file = project.write(".env", &format!("A={key}\n"));
    let first = id(&take(&home, &file));
    home.does(&format!("quarantine diff {first}"));
    home.does("--json audit tail -n 100");
    canary::assert_nowhere(&home, &key);
    home.does(&format!("quarantine restore {first}"));
    canary::assert_nowhere(&home, &key);
    home.does("audit verify");
}

#[test]
fn one_command_grants_what_a_file_needs() {
    let (home, project) = (Home::started(), Project::new());
    let database = format!("postgres://app:{}@db.example.com/app", random());
    let file = project.write(".env", &format!("A={}\nDATABASE_URL={database}\n", anthropic()));
    let done = home.does(&format!("quarantine --all --yes {file}"));
    let grant = done.lines().find_map(|line| line.split_once("hallpass grant add ")).expect(&done).1.to_owned();
    let show = || exec(&home, &project, &[], "echo \"$A $DATABASE_URL\"", "");
    assert!(
        show().err().lines().any(|line| line == format!("hallpass: hallpass grant add {grant}")),
        "{}",
        show().err()
    );
    home.pasted(&format!("hallpass grant add {grant}"));
    let out = show().ok();
    assert!(out.starts_with("hp_") && out.trim_end().ends_with(&database), "{out}");
}
