//! Bursts and limits. (Events that the kernel lost: in `watch` itself, where its reader can be stopped.)

use std::{
    collections::HashSet,
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::channel,
    },
    time::Instant,
};

use hallpass::watch::{Mode, Root, Seen, Watch, WatchConfig, Why};

use super::{DEADLINE, Scene};

/// Makes `count` files in 50 folders of the project, one in ten of which is wanted; gives back those.
fn burst(scene: &Scene, count: usize) -> HashSet<std::path::PathBuf> {
    let mut wanted = HashSet::new();
    for n in 0..count {
        let folder = scene.path(&format!("project/d{}", n % 50));
        if n < 50 {
            fs::create_dir_all(&folder).unwrap();
        }
        let (name, is_wanted) = if n % 10 == 0 { (format!("{n}.env"), true) } else { (format!("{n}.js"), false) };
        fs::write(folder.join(&name), "A=1\n").unwrap();
        if is_wanted {
            wanted.insert(folder.join(name));
        }
    }
    wanted
}

#[test]
fn none_of_60_000_creations_in_a_burst_is_missed() {
    let scene = Scene::project();
    let wanted = burst(&scene, 60_000);
    assert_eq!(wanted.len(), 6_000);
    let others = scene.sees_all(wanted);
    assert!(others.iter().all(|seen| seen.path.extension().is_some_and(|ending| ending == "env")));
}

#[test]
fn a_full_queue_of_files_becomes_a_look_at_their_folders() {
    let scene = Scene::with(|home| {
        fs::create_dir(home.join("project")).unwrap();
        let mut config = WatchConfig::new(vec![Root::folder(home.join("project"), Mode::Quarantine)]);
        config.max_pending = 60;
        config
    });
    let wanted = burst(&scene, 5_000);
    scene.sees_all(wanted);
}

#[test]
fn too_many_folders_become_a_look_at_everything_and_it_is_counted() {
    let home = tempfile::tempdir().unwrap();
    let root = home.path().canonicalize().unwrap();
    let mut config = WatchConfig::new(vec![Root::folder(&root, Mode::Quarantine)]);
    config.max_pending = 5;
    let (put, seen) = channel();
    let (stopped, is_stopped) = channel();
    let (go, wait) = channel::<()>();
    let hold = Arc::new(AtomicBool::new(false));
    let holds = Arc::clone(&hold);
    let sink = move |file: Seen| {
        if holds.swap(false, Ordering::SeqCst) {
            let _ = stopped.send(());
            let _ = wait.recv();
        }
        drop(put.send(file));
    };
    let scene = Scene { watch: Watch::start(config, sink).unwrap(), seen, home };
    scene.status(|status| status.ready);
    // While a file is handed out nothing else is, so that new folders gather behind it. How soon their events are
    // read is up to the machine: again, until there were more than fit at once.
    let end = Instant::now() + DEADLINE;
    let mut made = 0;
    while scene.watch.status().rescans == 0 {
        assert!(Instant::now() < end, "{:?}", scene.watch.status());
        hold.store(true, Ordering::SeqCst);
        scene.write(".env", "A=1\n");
        is_stopped.recv_timeout(DEADLINE).unwrap();
        let mut wanted = HashSet::from([scene.path(".env")]);
        for _ in 0..200 {
            fs::create_dir(scene.path(&format!("d{made}"))).unwrap();
            scene.write(&format!("d{made}/.env"), "A=1\n");
            wanted.insert(scene.path(&format!("d{made}/.env")));
            made += 1;
        }
        go.send(()).unwrap();
        scene.sees_all(wanted);
    }
    let status = scene.status(|status| status.folders == made + 1);
    assert_eq!(status.degraded, None);
    // It watches on as before.
    scene.write("d0/.env", "A=2\n");
    scene.sees_all(HashSet::from([scene.path("d0/.env")]));
}

#[test]
fn at_the_limit_the_rest_is_looked_at_in_turn_and_it_says_so() {
    let scene = Scene::with(|home| {
        for name in ["a", "b/c", "d"] {
            fs::create_dir_all(home.join("project").join(name)).unwrap();
        }
        let mut config = WatchConfig::new(vec![Root::folder(home.join("project"), Mode::Quarantine)]);
        config.max_folders = 2;
        config.poll_every = std::time::Duration::from_millis(20);
        config
    });
    let status = scene.watch.status();
    assert_eq!((status.folders, status.polling.len()), (2, 3), "{status:?}");
    let said = status.degraded.unwrap();
    assert!(said.contains("2 folders are watched, 3 are looked at in turn"), "{said}");
    for name in ["a", "b", "b/c", "d"] {
        scene.write(&format!("project/{name}/.env"), "A=1\n");
        scene.sees(&format!("project/{name}/.env"));
        scene.write(&format!("project/{name}/.env"), "A=2\n");
        scene.sees(&format!("project/{name}/.env"));
    }
    // A new folder inside one that is polled.
    for folder in &status.polling {
        fs::create_dir(folder.join("new")).unwrap();
        fs::write(folder.join("new/.env"), "A=1\n").unwrap();
    }
    let wanted = status.polling.iter().map(|folder| folder.join("new/.env")).collect();
    scene.sees_all(wanted);
    // Room again: what is removed makes place, and in the end nothing is polled.
    let mut config = WatchConfig::new(vec![Root::folder(scene.path("project"), Mode::Quarantine)]);
    config.max_folders = 100;
    scene.watch.reload(config);
    let status = scene.status(|status| status.ready);
    assert_eq!((status.degraded, status.polling.len(), status.folders), (None, 0, 8));
}

#[test]
fn folders_that_made_room_are_taken_by_those_that_wait() {
    let scene = Scene::with(|home| {
        for n in 0..6 {
            fs::create_dir_all(home.join(format!("project/d{n}"))).unwrap();
        }
        let mut config = WatchConfig::new(vec![Root::folder(home.join("project"), Mode::Quarantine)]);
        config.max_folders = 4;
        config.poll_every = std::time::Duration::from_millis(20);
        config
    });
    let polling = scene.watch.status().polling;
    assert_eq!(polling.len(), 3);
    for n in 0..6 {
        let folder = scene.path(&format!("project/d{n}"));
        if !polling.contains(&folder) {
            fs::remove_dir(folder).unwrap();
        }
    }
    let status = scene.status(|status| status.polling.is_empty());
    assert_eq!((status.folders, status.degraded), (4, None));
    for folder in polling {
        fs::write(folder.join(".env"), "A=1\n").unwrap();
        scene.sees_all(HashSet::from([folder.join(".env")]));
    }
}

#[test]
fn a_slow_receiver_loses_nothing() {
    let home = tempfile::tempdir().unwrap();
    let root = home.path().canonicalize().unwrap();
    let (put, seen) = channel();
    let mut config = WatchConfig::new(vec![Root::folder(&root, Mode::Quarantine)]);
    config.max_pending = 100;
    let (go, wait) = channel::<()>();
    let watch = Watch::start(config, move |file| {
        let _ = wait.recv();
        drop(put.send(file));
    })
    .unwrap();
    while !watch.status().ready {
        std::thread::yield_now();
    }
    let mut wanted: HashSet<_> = (0..1000).map(|n| root.join(format!("{n}.env"))).collect();
    for path in &wanted {
        fs::write(path, "A=1\n").unwrap();
    }
    drop(go);
    while !wanted.is_empty() {
        let file = seen.recv_timeout(DEADLINE).unwrap();
        assert!(matches!(file.why, Why::Event | Why::Sweep | Why::Overflow));
        wanted.remove(&file.path);
    }
    watch.stop();
}
