//! What it costs while nothing happens, and with many folders. Each in a process of its own, so that no other
//! test's threads and memory are counted.

use std::{collections::BTreeMap, fs, process::Command, time::Duration};

use hallpass::watch::{Mode, Root, WatchConfig};

use super::Scene;

/// Set in the process that measures.
const ALONE: &str = "HALLPASS_TEST_ALONE";

/// Runs this test again, alone; true in the process that was started so.
fn alone(test: &str) -> bool {
    if std::env::var_os(ALONE).is_some() {
        return true;
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    let output = command.args(["--exact", test, "--nocapture"]).env(ALONE, "1").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
    println!("{text}");
    false
}

/// How often each thread of the watcher gave up the processor by itself (proc(5)).
fn switches() -> BTreeMap<String, u64> {
    let mut found = BTreeMap::new();
    for task in fs::read_dir("/proc/self/task").unwrap().flatten() {
        let name = fs::read_to_string(task.path().join("comm")).unwrap().trim().to_owned();
        if name.starts_with("hallpass-") {
            let status = fs::read_to_string(task.path().join("status")).unwrap();
            let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
            found.insert(name, line.unwrap().trim().parse().unwrap());
        }
    }
    found
}

/// Memory of its own (proc(5)): not the pages of the program file, which a debug build has many of.
fn memory_kb() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn no_thread_wakes_up_while_nothing_happens() {
    if !alone("watch::idle::no_thread_wakes_up_while_nothing_happens") {
        return;
    }
    let scene = Scene::project();
    // It has worked before: what is left of that must not tick.
    scene.write("project/.env", "A=1\n");
    scene.sees("project/.env");
    scene.status(|status| status.turns > 0);
    // Both threads have gone to sleep once nothing was counted for a while.
    let mut before = switches();
    while scene.seen.recv_timeout(Duration::from_millis(50)).is_err() {
        let now = switches();
        if now == before {
            break;
        }
        before = now;
    }
    let turns = scene.watch.status().turns;
    assert_eq!(before.len(), 2, "{before:?}");
    assert!(scene.seen.recv_timeout(Duration::from_secs(2)).is_err(), "nothing was written");
    assert_eq!((switches(), scene.watch.status().turns), (before.clone(), turns));
    // And reading what is watched wakes nobody either.
    for _ in 0..1000 {
        fs::read(scene.path("project/.env")).unwrap();
    }
    assert!(scene.seen.recv_timeout(Duration::from_millis(100)).is_err());
    assert_eq!(switches(), before);
}

#[test]
fn twenty_thousand_folders_take_at_most_6_mb() {
    if !alone("watch::idle::twenty_thousand_folders_take_at_most_6_mb") {
        return;
    }
    // Making them takes a minute on a busy disk.
    let home = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let root = home.path().canonicalize().unwrap().join("person/projects/company/service-backend");
    for outer in 0..200 {
        for inner in 0..99 {
            fs::create_dir_all(root.join(format!("module-{outer}/component-{inner}"))).unwrap();
        }
    }
    let before = memory_kb();
    let began = std::time::Instant::now();
    let scene = Scene::with(|_| WatchConfig::new(vec![Root::folder(&root, Mode::Quarantine)]));
    let took = began.elapsed();
    let status = scene.watch.status();
    assert_eq!((status.folders, status.degraded), (20_001, None));
    let more = memory_kb() - before;
    println!("20,001 folders: {more} KB more, walked in {took:?}");
    assert!(more < 6 * 1024, "{more} KB");
    // Everything is looked through again without growing.
    scene.watch.reload(WatchConfig::new(vec![Root::folder(&root, Mode::Quarantine)]));
    scene.status(|status| status.ready);
    assert!(memory_kb() - before < 6 * 1024);
    let deep = root.join("module-150/component-50/.env");
    fs::write(&deep, "A=1\n").unwrap();
    assert_eq!(scene.seen.recv_timeout(super::DEADLINE).unwrap().path, deep);
}
