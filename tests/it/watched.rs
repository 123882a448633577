//! The watcher within the daemon: what is pasted is taken or told, by the mode of its folder.

use std::fs;

use super::{
    faults::with_file_store,
    quarantine::{Project, anthropic, likely, openai, unlock, with_passphrase},
    support::{Home, MEMORY, wait_until},
};

fn watch(home: &Home, project: &Project, mode: &str) {
    home.does(&format!("watch add --yes --mode {mode} {}", project.path().display()));
    wait_until("all folders are looked through", || home.json("watch list")["ready"] == true);
}

fn findings(home: &Home) -> Vec<serde_json::Value> {
    home.json("findings")["items"].as_array().unwrap().clone()
}

fn notices(home: &Home) -> String {
    let text = |folder: &str| fs::read_to_string(home.path().join(folder).join("notices")).ok();
    text("run").or_else(|| text("state")).or_else(|| text(".")).unwrap_or_default()
}

fn taken(project: &Project, name: &str) {
    wait_until("the key is out of the file", || project.read(name).contains("hallpass:anthropic"));
    assert!(!project.read(name).contains("sk-"));
}

#[test]
fn a_pasted_key_is_taken_out_and_told() {
    let (home, project, key) = (Home::started(), Project::new(), anthropic());
    watch(&home, &project, "quarantine");
    project.write(".env", &format!("A=1\nKEY={key}\n"));
    taken(&project, ".env");
    assert_eq!(project.read(".env"), "A=1\nKEY=hallpass:anthropic\n");
    wait_until("it is told", || notices(&home).contains("hallpass:anthropic"));
    assert!(notices(&home).contains("A pasted secret is in the store"));
    assert_eq!(home.json("quarantine list")["items"].as_array().unwrap().len(), 1);
    assert!(home.does("--json audit query --event quarantine.take").contains("\"hallpass\""));
    assert_eq!(findings(&home), Vec::<serde_json::Value>::new());
    // In a folder that comes later too.
    fs::create_dir_all(project.path().join("new/sub")).unwrap();
    project.write("new/sub/.env", &format!("KEY={}\n", anthropic()));
    taken(&project, "new/sub/.env");
}

#[test]
fn what_a_person_puts_back_stays_and_is_listed() {
    let (mut home, project, key) = (with_file_store(), Project::new(), anthropic());
    home.start();
    watch(&home, &project, "quarantine");
    let text = format!("KEY={key}\n");
    let file = project.write(".env", &text);
    taken(&project, ".env");
    let id = home.json("quarantine list")["items"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(home.json(&format!("quarantine restore {id}"))["identical"], true);
    let listed = |home: &Home| findings(home).iter().any(|one| one["note"].as_str().unwrap().contains("put back"));
    wait_until("it is listed", || listed(&home));
    assert_eq!(project.read(".env"), text);
    // Another key in the same file is none of it.
    project.write(".env", &format!("{text}OTHER={}\n", anthropic()));
    wait_until("the other is taken", || project.read(".env").contains("OTHER=hallpass:anthropic"));
    assert!(project.read(".env").starts_with(&text), "the first stays");
    // Over a restart, too.
    home.kill();
    home.start();
    wait_until("it is listed again", || listed(&home));
    assert!(project.read(".env").starts_with(&text));
    // Until a person asks.
    home.does(&format!("quarantine --yes {file}"));
    assert!(!project.read(".env").contains(&key));
}

#[test]
fn what_is_allowed_to_stay_is_left() {
    let (home, project, key, file_key) = (Home::started(), Project::new(), anthropic(), anthropic());
    project.write(".hallpass-allow.toml", "[[allow]]\npath = \"allowed.env\"\nreason = \"a test\"\n");
    watch(&home, &project, "quarantine");
    let allowed = format!("KEY={file_key}\n");
    project.write("allowed.env", &allowed);
    let kept = format!("# hallpass:allow made up for a test\nKEY={key}\n");
    let file = project.write(".env", &format!("{kept}OTHER={}\n", anthropic()));
    wait_until("the other is taken", || project.read(".env").contains("OTHER=hallpass:anthropic"));
    home.does(&format!("quarantine --yes {file} {}/allowed.env", project.path().display()));
    assert!(project.read(".env").starts_with(&kept));
    assert_eq!(project.read("allowed.env"), allowed);
    assert_eq!(findings(&home), Vec::<serde_json::Value>::new());
}

#[test]
fn what_is_likely_is_listed_until_it_is_gone() {
    let (home, project) = (Home::started(), Project::new());
    watch(&home, &project, "quarantine");
    let text = format!("SESSION_SECRET={}\n", likely());
    let file = project.write(".env", &text);
    wait_until("it is listed", || findings(&home).len() == 1);
    let one = findings(&home).remove(0);
    assert_eq!((&one["class"], &one["path"]), (&"likely".into(), &file.into()), "{one}");
    assert!(one["note"].as_str().unwrap().contains("not certain"), "{one}");
    assert_eq!(project.read(".env"), text);
    assert!(home.does("findings").contains("SESSION_SECRET"));
    project.write(".env", "SESSION_SECRET=\n");
    wait_until("it is gone", || findings(&home).is_empty());
    project.write(".env", &text);
    wait_until("it is back", || findings(&home).len() == 1);
    fs::remove_file(project.path().join(".env")).unwrap();
    wait_until("it is gone with its file", || findings(&home).is_empty());
}

#[test]
fn notify_touches_nothing_until_the_mode_is_another() {
    let (home, project, key) = (Home::started(), Project::new(), anthropic());
    watch(&home, &project, "notify");
    let text = format!("KEY={key}\n");
    project.write(".env", &text);
    wait_until("it is listed", || findings(&home).len() == 1);
    assert!(findings(&home)[0]["note"].as_str().unwrap().contains("notify"));
    wait_until("it is told", || notices(&home).contains("A secret lies in a file"));
    assert_eq!(project.read(".env"), text);
    watch(&home, &project, "quarantine");
    taken(&project, ".env");
    wait_until("nothing is left", || findings(&home).is_empty());
    watch(&home, &project, "off");
    let text = format!("KEY={}\n", anthropic());
    project.write(".env", &text);
    home.does("watch list");
    assert_eq!(home.json("watch list")["folders"], 0);
    assert_eq!(project.read(".env"), text);
}

#[test]
fn the_config_keeps_its_comments_and_the_list_says_what_is_watched() {
    let mut home = Home::new(&format!("# my own words\n{MEMORY}\n[watch] # here\nplaces = \"off\" # for now\n"));
    home.start();
    let project = Project::new();
    watch(&home, &project, "quarantine");
    home.does("watch places notify --yes");
    let config = fs::read_to_string(home.path().join("config.toml")).unwrap();
    for part in ["# my own words", "[watch] # here", "# for now", "places = \"notify\"", "mode = \"quarantine\""] {
        assert!(config.contains(part), "{part}:\n{config}");
    }
    let listed = home.json("watch list");
    assert_eq!(listed["roots"][0]["path"], project.path().to_str().unwrap(), "{listed}");
    // How many more there are depends on the tools of whoever runs this.
    assert!(listed["places"] == "notify" && listed["folders"].as_u64() >= Some(1), "{listed}");
    assert!(home.does("watch list").contains("places of assistants"));
    home.does(&format!("watch remove {}", project.path().display()));
    assert_eq!(home.json("watch list")["roots"].as_array().unwrap().len(), 0);
    home.fails(&format!("watch remove {}", project.path().display()), 1, "not_found");
    home.fails("watch add --yes /nowhere/at/all", 1, "not_found");
    let config = fs::read_to_string(home.path().join("config.toml")).unwrap();
    assert!(config.contains("# my own words") && !config.contains("[[watch.root]]"), "{config}");
    // Nobody watches now.
    let text = format!("KEY={}\n", anthropic());
    project.write(".env", &text);
    home.does("watch list");
    assert_eq!(project.read(".env"), text);
}

#[test]
fn what_was_pasted_while_the_daemon_was_down_is_taken_at_its_start() {
    let (mut home, project) = (with_file_store(), Project::new());
    home.start();
    watch(&home, &project, "quarantine");
    home.kill();
    project.write(".env", &format!("KEY={}\n", anthropic()));
    home.start();
    taken(&project, ".env");
}

#[test]
fn a_tool_that_writes_it_back_is_left_after_three_rounds() {
    let (home, project, key) = (Home::started(), Project::new(), anthropic());
    watch(&home, &project, "quarantine");
    let text = format!("KEY={key}\n");
    for _ in 0..3 {
        project.write(".env", &text);
        taken(&project, ".env");
    }
    project.write(".env", &text);
    wait_until("it says that it stops", || notices(&home).contains("A secret keeps coming back"));
    assert!(findings(&home)[0]["note"].as_str().unwrap().contains("3 times"));
    assert_eq!(project.read(".env"), text);
    // A person's word begins it anew.
    home.does(&format!("quarantine --yes {}/.env", project.path().display()));
    taken(&project, ".env");
    project.write(".env", &text);
    taken(&project, ".env");
}

#[test]
fn a_hangup_reads_the_watch_table_again() {
    let (home, project) = (Home::started(), Project::new());
    let config = home.path().join("config.toml");
    let root = format!("[[watch.root]]\npath = \"{}\"\nmode = \"quarantine\"\n", project.path().display());
    fs::write(&config, format!("{MEMORY}\n{root}")).unwrap();
    home.signal(rustix::process::Signal::HUP);
    project.write(".env", &format!("KEY={}\n", anthropic()));
    taken(&project, ".env");
    // The take writes its issuer into the config; what is written over it meanwhile would be lost.
    wait_until("the take is finished", || fs::read_to_string(&config).unwrap().contains("[issuers"));
    // One that is wrong changes nothing, and says where.
    for (bad, line) in [("mode = \"sometimes\"", 9), ("mode = \"notify\"\nmore = 1", 10), ("mode = 3", 9)] {
        fs::write(&config, format!("{MEMORY}\n{}", root.replace("mode = \"quarantine\"", bad))).unwrap();
        let before = home.log().len();
        home.signal(rustix::process::Signal::HUP);
        wait_until("it is said", || home.log()[before..].contains("the config stays as it was"));
        let log = home.log()[before..].to_owned();
        assert!(log.contains(&format!("line {line}")) || log.contains(&format!(":{line}:")), "{bad}: {log}");
        assert_eq!(home.json("watch list")["roots"][0]["mode"], "quarantine", "{bad}");
    }
    project.write("b.env", &format!("KEY={}\n", anthropic()));
    taken(&project, "b.env");
}

#[test]
fn what_waits_for_a_locked_store_is_taken_once_it_is_open() {
    let (mut home, project, key) = (with_passphrase(), Project::new(), anthropic());
    home.start();
    unlock(&home);
    watch(&home, &project, "quarantine");
    home.does("lock");
    let text = format!("KEY={key}\n");
    project.write(".env", &text);
    wait_until("it is told", || notices(&home).contains("could not be taken out"));
    let one = findings(&home).remove(0);
    assert!(one["note"].as_str().unwrap().contains("locked"), "{one}");
    // Another file does not wait for the first.
    project.write("b.env", &format!("SESSION_SECRET={}\n", likely()));
    wait_until("the other is looked at", || findings(&home).len() == 2);
    assert_eq!(project.read(".env"), text);
    // Locked over a restart, too.
    home.kill();
    home.start();
    wait_until("it is seen again", || findings(&home).iter().any(|one| one["class"] == "certain"));
    unlock(&home);
    taken(&project, ".env");
    wait_until("only the likely one is left", || findings(&home).len() == 1);
}

#[test]
fn a_whole_disk_or_home_is_refused_before_anything_is_looked_at() {
    let home = Home::started();
    let above = home.path().parent().unwrap().to_str().unwrap().to_owned();
    for path in ["/", "/proc"] {
        let problem = home.fails(&format!("watch add --yes {path}"), 1, "invalid_value");
        assert!(problem["hint"].as_str().unwrap().contains("your projects"), "{problem}");
    }
    // The daemon says so itself, whoever asks.
    let body = r#"{"path": "/", "mode": "notify"}"#;
    assert_eq!(home.api("POST", "/v1/watch", body).status, 422);
    assert_eq!(home.json("watch list")["roots"].as_array().unwrap().len(), 0);
    home.does(&format!("watch add --mode off {above}"));
    home.does("watch add --mode off /");
}

/// The memory of the daemon's pages that are there, in kB, by the member of /proc/PID/status.
#[cfg(target_os = "linux")]
fn memory(home: &Home, member: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", home.pid().unwrap())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(member)?.strip_prefix(':')).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
#[cfg(target_os = "linux")]
fn what_a_look_took_of_memory_is_given_back_once_it_is_quiet() {
    const FEW: u64 = 4 * 1024;
    let (home, project) = (Home::started(), Project::new());
    watch(&home, &project, "notify");
    let before = memory(&home, "VmRSS");
    let text: String = (0..20).map(|n| format!("KEY_{n}={}\nTOKEN_{n}={}\n", anthropic(), openai())).collect();
    project.write(".env", &text);
    wait_until("the keys are found", || findings(&home).len() == 40);
    let most = memory(&home, "VmHWM");
    assert!(most > before + FEW, "a look takes {most} kB, of {before} before: this test would see nothing");
    wait_until("the memory is given back", || memory(&home, "VmRSS") < before + FEW);
}
