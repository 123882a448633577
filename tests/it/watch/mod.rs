//! The watcher on a real file system, with the real kernel's events.

mod folders;
mod idle;
mod limits;
mod saves;

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    time::{Duration, Instant},
};

use hallpass::watch::{Mode, Root, Seen, Watch, WatchConfig, WatchStatus};

/// How long a condition may take on a busy machine.
const DEADLINE: Duration = Duration::from_secs(120);

/// A home with a watcher on it.
pub struct Scene {
    pub home: tempfile::TempDir,
    pub watch: Watch,
    pub seen: Receiver<Seen>,
}

impl Scene {
    /// Watches `project` in a new home.
    pub fn project() -> Self {
        Self::with(|home| {
            std::fs::create_dir(home.join("project")).unwrap();
            WatchConfig::new(vec![Root::folder(home.join("project"), Mode::Quarantine)])
        })
    }

    /// Watches what the function says of a new home.
    pub fn with(config: impl FnOnce(&Path) -> WatchConfig) -> Self {
        let home = tempfile::tempdir().unwrap();
        // The path may lead through links (macOS); then what is seen would have another name.
        let config = config(&home.path().canonicalize().unwrap());
        let (put, seen) = channel();
        let watch = Watch::start(config, move |file| drop(put.send(file))).unwrap();
        let scene = Self { home, watch, seen };
        scene.status(|status| status.ready);
        scene
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.home.path().canonicalize().unwrap().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// Waits until the watcher is in this state.
    pub fn status(&self, is: impl Fn(&WatchStatus) -> bool) -> WatchStatus {
        let end = Instant::now() + DEADLINE;
        loop {
            let status = self.watch.status();
            if is(&status) {
                return status;
            }
            assert!(Instant::now() < end, "{status:?}");
            std::thread::yield_now();
        }
    }

    /// Waits until this file is seen; others may be seen before.
    pub fn sees(&self, name: &str) -> Seen {
        let path = self.path(name);
        let end = Instant::now() + DEADLINE;
        let mut others = Vec::new();
        loop {
            match self.seen.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(file) if file.path == path => return file,
                Ok(file) => others.push(file.path),
                Err(_) => panic!("{path:?} was not seen, but {others:?}; {:?}", self.watch.status()),
            }
        }
    }

    /// Waits until all of these are seen and gives back what else was.
    pub fn sees_all(&self, mut wanted: HashSet<PathBuf>) -> Vec<Seen> {
        let end = Instant::now() + 2 * DEADLINE;
        let mut others = Vec::new();
        while !wanted.is_empty() {
            match self.seen.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(file) if wanted.remove(&file.path) => {}
                Ok(file) => others.push(file),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    panic!(
                        "{} were not seen, such as {:?}; {:?}",
                        wanted.len(),
                        wanted.iter().next(),
                        self.watch.status()
                    );
                }
            }
        }
        others
    }

    /// Writes a mark and waits for it; nothing below these paths may be seen before.
    pub fn mark_without(&self, mark: &str, never: &[&str]) {
        self.write(mark, "MARK=1\n");
        let (mark, never) = (self.path(mark), never.iter().map(|name| self.path(name)).collect::<Vec<_>>());
        loop {
            let seen = self.seen.recv_timeout(DEADLINE).unwrap().path;
            assert!(!never.iter().any(|path| seen.starts_with(path)), "{seen:?}");
            if seen == mark {
                return;
            }
        }
    }
}
