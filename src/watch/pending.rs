//! Files that were written and wait until their writer is done.
//!
//! Pure; time is passed in. A path is due once it was quiet for a while, or at the latest some time after its
//! first event. Bounded: what does not fit is refused, and the caller looks at the whole folder instead.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use super::Why;

/// How long to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Nothing happened to the file for this long.
    pub quiet: Duration,
    /// At most this long after the first event.
    pub longest: Duration,
}

/// A file that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// The file.
    pub path: PathBuf,
    /// Why it is looked at.
    pub why: Why,
    /// When the first event came.
    pub first: Instant,
}

/// The files that wait.
#[derive(Debug)]
pub struct Pending {
    patience: Patience,
    limit: usize,
    files: HashMap<Arc<Path>, Times>,
    // One entry for each file: when to look whether it is due.
    queue: BinaryHeap<Reverse<(Instant, Arc<Path>)>>,
}

#[derive(Debug)]
struct Times {
    first: Instant,
    last: Instant,
    why: Why,
}

impl Pending {
    /// Nothing waits yet; at most `limit` files may.
    pub fn new(patience: Patience, limit: usize) -> Self {
        Self { patience, limit, files: HashMap::new(), queue: BinaryHeap::new() }
    }

    /// Something happened to a file. `false`: there is no room for it.
    #[must_use]
    pub fn note(&mut self, path: &Path, why: Why, now: Instant) -> bool {
        if let Some(times) = self.files.get_mut(path) {
            times.last = now;
            return true;
        }
        if self.files.len() >= self.limit {
            return false;
        }
        let path: Arc<Path> = path.into();
        self.queue.push(Reverse((now + self.patience.quiet, Arc::clone(&path))));
        self.files.insert(path, Times { first: now, last: now, why });
        true
    }

    /// True when nothing waits.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// When to ask for what is due again.
    pub fn next(&self) -> Option<Instant> {
        self.queue.peek().map(|Reverse((at, _))| *at)
    }

    /// Takes out what is due, at most `max` files.
    pub fn due(&mut self, now: Instant, max: usize) -> Vec<Due> {
        let mut due = Vec::new();
        while due.len() < max && self.next().is_some_and(|at| at <= now) {
            let Some(Reverse((_, path))) = self.queue.pop() else { break };
            let Some(times) = self.files.get(&path) else { continue };
            let at = (times.last + self.patience.quiet).min(times.first + self.patience.longest);
            if at > now {
                self.queue.push(Reverse((at, path)));
                continue;
            }
            due.push(Due { path: path.to_path_buf(), why: times.why, first: times.first });
            self.files.remove(&path);
        }
        if self.files.is_empty() {
            // A burst leaves nothing behind.
            self.files.shrink_to(64);
            self.queue.shrink_to(64);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUIET: Duration = Duration::from_millis(15);
    const LONGEST: Duration = Duration::from_millis(250);

    fn pending(limit: usize) -> Pending {
        Pending::new(Patience { quiet: QUIET, longest: LONGEST }, limit)
    }

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn one_write_is_due_after_the_quiet_time_and_once() {
        let (mut pending, t) = (pending(10), Instant::now());
        assert_eq!(pending.next(), None);
        assert!(pending.note(Path::new("a"), Why::Event, t));
        assert_eq!(pending.next(), Some(t + QUIET));
        assert_eq!(pending.due(t + ms(14), 10), []);
        let due = pending.due(t + QUIET, 10);
        assert_eq!(due, [Due { path: "a".into(), why: Why::Event, first: t }]);
        assert_eq!((pending.due(t + ms(999), 10), pending.next()), (vec![], None));
    }

    #[test]
    fn a_file_that_is_written_on_and_on_is_due_in_the_end() {
        let (mut pending, t) = (pending(10), Instant::now());
        for n in 0..=30 {
            let now = t + ms(n * 10);
            let due = pending.due(now, 10);
            if !due.is_empty() {
                assert_eq!((now, due[0].first), (t + LONGEST, t));
                return;
            }
            assert!(pending.note(Path::new("a"), Why::Event, now));
        }
        panic!("it was never due");
    }

    #[test]
    fn files_do_not_wait_for_one_another() {
        let (mut pending, t) = (pending(10), Instant::now());
        assert!(pending.note(Path::new("a"), Why::Event, t));
        assert!(pending.note(Path::new("b"), Why::Event, t + ms(10)));
        assert!(pending.note(Path::new("b"), Why::Event, t + ms(14)));
        assert_eq!(pending.due(t + ms(15), 10).len(), 1);
        assert_eq!(pending.due(t + ms(28), 10).len(), 0);
        assert_eq!(pending.due(t + ms(29), 10)[0].path, Path::new("b"));
    }

    #[test]
    fn it_is_bounded_and_a_known_file_always_fits() {
        let (mut pending, t) = (pending(2), Instant::now());
        assert!(pending.note(Path::new("a"), Why::Event, t));
        assert!(pending.note(Path::new("b"), Why::Event, t));
        assert!(!pending.note(Path::new("c"), Why::Event, t));
        assert!(pending.note(Path::new("a"), Why::Event, t));
        assert_eq!(pending.due(t + ms(20), 1).len(), 1, "only as many as were asked for");
        assert!(pending.note(Path::new("c"), Why::Event, t + ms(20)));
    }
}
