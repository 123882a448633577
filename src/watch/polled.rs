//! Folders that raise no events: what was seen in them last time.
//!
//! The last resort where the kernel's limit is reached or a file system is silent. Bounded; keeps two numbers
//! for each file, nothing of its contents.

use std::{
    collections::{BTreeMap, HashMap},
    hash::{BuildHasher, RandomState},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// How many folders are polled at most.
pub const MAX_FOLDERS: usize = 1024;
/// How many files in them are remembered at most.
const MAX_FILES: usize = 65_536;

/// The folders that are polled.
pub struct Polled {
    // With whether it is polled because of a limit.
    folders: BTreeMap<PathBuf, bool>,
    // A keyed hash of the path, and one of its state.
    seen: HashMap<u64, u64>,
    hasher: RandomState,
    at_limit: usize,
    left_out: usize,
    every: Duration,
    next: Option<Instant>,
}

impl Polled {
    /// None yet; `every` is the time between two rounds, longer where a round takes long.
    pub fn new(every: Duration) -> Self {
        Self {
            folders: BTreeMap::new(),
            seen: HashMap::new(),
            hasher: RandomState::new(),
            at_limit: 0,
            left_out: 0,
            every,
            next: None,
        }
    }

    /// Polls the folder from now on; false where there are too many. `at_limit`: it would be watched if the kernel
    /// had room.
    pub fn add(&mut self, folder: &Path, at_limit: bool, now: Instant) -> bool {
        if self.folders.contains_key(folder) {
            return true;
        }
        if self.folders.len() >= MAX_FOLDERS {
            self.left_out += 1;
            return false;
        }
        self.folders.insert(folder.to_path_buf(), at_limit);
        self.at_limit += usize::from(at_limit);
        self.next.get_or_insert(now + self.every);
        true
    }

    /// Does not poll it any more.
    pub fn remove(&mut self, folder: &Path) {
        let was = self.folders.remove(folder);
        self.at_limit -= usize::from(was == Some(true));
        if self.folders.is_empty() {
            self.clear();
        }
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.folders.clear();
        self.seen = HashMap::new();
        (self.at_limit, self.left_out) = (0, 0);
        self.next = None;
    }

    /// When the next round is; `None` as long as nothing is polled.
    pub fn next(&self) -> Option<Instant> {
        self.next
    }

    /// A round began and ended. A machine that is busy with it gets more time between two.
    pub fn round(&mut self, began: Instant, ended: Instant) {
        let pause = self.every.max(ended.saturating_duration_since(began) * 20);
        self.next = (!self.folders.is_empty()).then(|| ended + pause);
    }

    /// The folders, in order.
    pub fn folders(&self) -> Vec<PathBuf> {
        self.folders.keys().cloned().collect()
    }

    /// How many are polled only because a limit is reached.
    pub fn at_limit(&self) -> usize {
        self.at_limit
    }

    /// How many folders are neither watched nor polled.
    pub fn left_out(&self) -> usize {
        self.left_out
    }

    /// True where the entry is new or its state is another one than last time.
    pub fn changed(&mut self, path: &Path, metadata: &std::fs::Metadata) -> bool {
        #[cfg(unix)]
        let state = {
            use std::os::unix::fs::MetadataExt;
            // A folder's times change with each file in it; its inode tells whether it is another one.
            let times = (metadata.mtime(), metadata.mtime_nsec(), metadata.ctime(), metadata.ctime_nsec());
            (metadata.ino(), if metadata.is_dir() { None } else { Some((metadata.size(), times)) })
        };
        #[cfg(not(unix))]
        let state = (metadata.len(), if metadata.is_dir() { None } else { metadata.modified().ok() });
        let (path, state) = (self.hasher.hash_one(path), self.hasher.hash_one(state));
        if self.seen.len() >= MAX_FILES && !self.seen.contains_key(&path) {
            // Looked at each time: slower, and nothing is missed.
            return true;
        }
        self.seen.insert(path, state) != Some(state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_timer_only_while_something_is_polled() {
        let (t, every) = (Instant::now(), Duration::from_secs(2));
        let mut polled = Polled::new(every);
        assert_eq!(polled.next(), None);
        assert!(polled.add(Path::new("/a"), true, t));
        assert_eq!(polled.next(), Some(t + every));
        polled.round(t, t + Duration::from_secs(1));
        assert_eq!(polled.next(), Some(t + Duration::from_secs(21)), "a slow round is paid for with a pause");
        polled.remove(Path::new("/a"));
        assert_eq!(polled.next(), None);
    }

    #[test]
    fn it_is_bounded_and_counts_what_it_leaves_out() {
        let (t, mut polled) = (Instant::now(), Polled::new(Duration::from_secs(2)));
        for n in 0..MAX_FOLDERS + 3 {
            assert_eq!(polled.add(&PathBuf::from(format!("/{n}")), true, t), n < MAX_FOLDERS);
        }
        assert_eq!((polled.folders().len(), polled.left_out()), (MAX_FOLDERS, 3));
    }

    #[test]
    fn changes() {
        let home = tempfile::tempdir().unwrap();
        let (file, mut polled) = (home.path().join(".env"), Polled::new(Duration::from_secs(2)));
        let mut changed = |path: &Path| polled.changed(path, &path.symlink_metadata().unwrap());
        std::fs::write(&file, "A=1").unwrap();
        assert_eq!([changed(&file), changed(&file)], [true, false]);
        std::fs::write(home.path().join("new"), "A=22").unwrap();
        std::fs::rename(home.path().join("new"), &file).unwrap();
        assert_eq!([changed(&file), changed(&file)], [true, false]);
        assert_eq!([changed(home.path()), changed(home.path())], [true, false]);
    }
}
