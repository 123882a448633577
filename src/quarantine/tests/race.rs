//! Others write the same file at the same time.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

const SAVES: usize = 400;

/// An editor saves `SAVES` versions while quarantine takes out what it finds. No save may be lost: the last
/// version is in the file at the end, and what was taken of it is in the vault.
fn editor_against_quarantine(save: impl Fn(&Path, &str) + Send + Sync) -> usize {
    let mut home = Home::new();
    let path = home.file(b"");
    let done = AtomicBool::new(false);
    let mut taken = 0;
    std::thread::scope(|threads| {
        threads.spawn(|| {
            for version in 0..SAVES {
                save(&path, &format!("VERSION={version}\nKEY={SECRET}\nEND={version}\n"));
            }
            done.store(true, Ordering::Release);
        });
        loop {
            let last = done.load(Ordering::Acquire);
            let bytes = fs::read(&path).unwrap();
            let take = take_of(&path, &bytes, &[(SECRET, "key")]);
            match home.quarantine.take(&take) {
                Ok(_) => taken += 1,
                Err(TakeError::Busy | TakeError::Changed | TakeError::WouldBreak(_)) => {}
                Err(other) => panic!("{other:?}"),
            }
            if last {
                break;
            }
        }
    });
    let version = SAVES - 1;
    assert_eq!(fs::read_to_string(&path).unwrap(), format!("VERSION={version}\nKEY=hallpass:key\nEND={version}\n"));
    assert_eq!(home.vault.value("key").unwrap(), SECRET.as_bytes());
    assert!(home.quarantine.list().iter().all(|(_, state)| *state == State::Quarantined));
    assert_eq!(fs::read_dir(home.folder.path()).unwrap().count(), 2);
    taken
}

#[test]
fn an_editor_that_saves_by_rename_loses_nothing() {
    let taken = editor_against_quarantine(|path, text| {
        let new = path.with_file_name(".env.editor");
        fs::write(&new, text).unwrap();
        fs::rename(new, path).unwrap();
    });
    assert!(taken > 0);
}

#[test]
fn an_editor_that_truncates_and_writes_loses_nothing() {
    let taken = editor_against_quarantine(|path, text| fs::write(path, text).unwrap());
    assert!(taken > 0);
}

#[test]
fn two_daemons_take_the_same_file_once_and_neither_loses_it() {
    for _ in 0..50 {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".env");
        fs::write(&path, format!("A={SECRET}\n")).unwrap();
        let take_one = |name: &'static str| {
            let (path, home) = (path.clone(), folder.path().join(name));
            move || {
                fs::create_dir(&home).unwrap();
                let vault = MemoryVault::default();
                let mut quarantine = open(&home, &vault).unwrap();
                let bytes = format!("A={SECRET}\n").into_bytes();
                let result = quarantine.take(&take_of(&path, &bytes, &[(SECRET, "key")]));
                let has = vault.value("key").is_some_and(|value| value == SECRET.as_bytes());
                (result.map(drop), has, quarantine.list().len())
            }
        };
        let (one, two) = (std::thread::spawn(take_one("one")), std::thread::spawn(take_one("two")));
        let results = [one.join().unwrap(), two.join().unwrap()];
        let text = fs::read_to_string(&path).unwrap();
        assert!(text == "A=hallpass:key\n" || text == format!("A={SECRET}\n"), "{text}");
        if text.contains("hallpass:") {
            assert!(results.iter().any(|(result, has, items)| result.is_ok() && *has && *items == 1), "{results:?}");
        }
        for (result, ..) in &results {
            assert!(matches!(result, Ok(()) | Err(TakeError::Busy | TakeError::Changed)), "{result:?}");
        }
        let names = fs::read_dir(folder.path()).unwrap().flatten();
        assert!(!names.into_iter().any(|entry| entry.file_name().to_string_lossy().starts_with(BESIDE)));
    }
}

#[test]
fn a_fifo_that_comes_in_between_is_not_waited_for_and_stays() {
    let mut home = Home::new();
    let content = format!("KEY={SECRET}\n");
    let path = home.file(content.as_bytes());
    let (fifo, file) = (home.folder.path().join("fifo"), home.folder.path().join("file"));
    let done = AtomicBool::new(false);
    let take = take(&path, &[(SECRET, "key")]);
    std::thread::scope(|threads| {
        threads.spawn(|| {
            for _ in 0..SAVES {
                let _ = rustix::fs::mknodat(
                    rustix::fs::CWD,
                    &fifo,
                    rustix::fs::FileType::Fifo,
                    rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
                    0,
                );
                fs::rename(&fifo, &path).unwrap();
                fs::write(&file, &content).unwrap();
                fs::rename(&file, &path).unwrap();
            }
            done.store(true, Ordering::Release);
        });
        while !done.load(Ordering::Acquire) {
            match home.quarantine.take(&take) {
                Ok(_) | Err(TakeError::Busy | TakeError::Changed | TakeError::Unfit(_)) => {}
                Err(other) => panic!("{other:?}"),
            }
        }
    });
    let text = fs::read_to_string(&path).unwrap();
    assert!(text == content || text == "KEY=hallpass:key\n", "{text}");
    assert!(home.quarantine.list().iter().all(|(_, state)| *state == State::Quarantined));
    assert_eq!(fs::read_dir(home.folder.path()).unwrap().count(), 2);
}
