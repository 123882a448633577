//! The watcher: which files to look at because somebody wrote them.
//!
//! Owns two threads. One drains the kernel's queue and does nothing else; the other keeps the watched folders in
//! step with the disk and hands out files once their writers are done. It never writes to a watched file, never
//! keeps contents, and sleeps without a timer while nothing happens. What a file holds, and what to do about it,
//! is the receiver's.
//!
//! Folders are watched, never files, because a save by rename replaces the file (inotify(7)); each folder by
//! itself, because one recursive watch on a project takes in `node_modules`.

mod inbox;
mod look;
pub mod names;
mod pending;
mod polled;
mod roots;
mod rounds;
pub mod volume;
mod walk;
pub mod wide;
mod worker;

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use inbox::{Inbox, Order};
pub use pending::Patience;
pub use roots::{Mode, Root, Roots};
pub use rounds::{Rounds, Verdict};

/// What to watch, and the bounds.
#[derive(Clone, Debug)]
pub struct WatchConfig {
    /// What is watched.
    pub roots: Vec<Root>,
    /// Hand out every wanted file that is there at the beginning, too.
    pub existing: bool,
    /// How long a file has to be quiet. Read once, at the start.
    pub patience: Patience,
    /// How many folders may be watched, so that other programs have some left of the kernel's limit.
    pub max_folders: usize,
    /// How many files may wait; more become "look at the folder". Read once, at the start.
    pub max_pending: usize,
    /// How often folders without events are looked at. Read once, at the start.
    pub poll_every: Duration,
}

impl WatchConfig {
    /// These roots, with the usual bounds.
    pub fn new(roots: Vec<Root>) -> Self {
        Self {
            roots,
            existing: false,
            patience: Patience { quiet: Duration::from_millis(15), longest: Duration::from_millis(250) },
            max_folders: 100_000,
            max_pending: 4096,
            poll_every: Duration::from_secs(2),
        }
    }
}

/// A file to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The file, under the name by which it is wanted: for one that a link leads to, the link's. It may be gone.
    pub path: PathBuf,
    /// What is done about findings in it.
    pub mode: Mode,
    /// Why.
    pub why: Why,
    /// When the first event came, or when it was found.
    pub written: Instant,
}

/// Why a file is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Why {
    /// It was written.
    Event,
    /// Its folder was looked through: at the start, after too many events in it, or in turn where there are no
    /// events.
    Sweep,
    /// It lies in a folder that is new.
    New,
    /// The kernel lost events, so everything was looked through.
    Overflow,
}

/// How the watcher is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WatchStatus {
    /// True once all roots were walked through.
    pub ready: bool,
    /// How many folders are watched.
    pub folders: usize,
    /// How many projects were found by themselves.
    pub projects: usize,
    /// What is wrong and what helps, for the person.
    pub degraded: Option<String>,
    /// Folders that are looked at in turn.
    pub polling: Vec<PathBuf>,
    /// Folders on network file systems, which are left alone.
    pub left_alone: Vec<PathBuf>,
    /// How many times everything was looked through because events were lost.
    pub rescans: u64,
    /// How many times the working thread woke up.
    pub turns: u64,
}

/// The running watcher; it ends when this is dropped.
pub struct Watch {
    inbox: Arc<Inbox>,
    status: Arc<Mutex<WatchStatus>>,
    worker: Option<JoinHandle<()>>,
}

impl Watch {
    /// Starts watching. `sink` is called on the watcher's thread, one file at a time; while it works, events are
    /// still taken in, but no file is handed out. It must come back for the watcher to end.
    pub fn start(config: WatchConfig, sink: impl Fn(Seen) + Send + 'static) -> io::Result<Self> {
        Self::start_and_stir(config, sink, |_| ())
    }

    /// The same; `stirred` is called with the first file that is written after a rest, while that one is still waited
    /// for, so that what a look needs can be made ready meanwhile.
    pub fn start_and_stir(
        config: WatchConfig,
        sink: impl Fn(Seen) + Send + 'static,
        stirred: impl Fn(&Path) + Send + 'static,
    ) -> io::Result<Self> {
        let roots = Roots::new(config.roots.clone());
        let inbox = Arc::new(Inbox::new(roots, config.patience, config.max_pending));
        let status = Arc::new(Mutex::new(WatchStatus::default()));
        let (sink, stirred) = (Box::new(sink), Box::new(stirred));
        let worker = worker::Worker::new(Arc::clone(&inbox), Arc::clone(&status), config, sink, stirred);
        let worker = std::thread::Builder::new()
            .name("hallpass-watch".into())
            .stack_size(512 * 1024)
            .spawn(move || worker.run())?;
        Ok(Self { inbox, status, worker: Some(worker) })
    }

    /// Watches this from now on. Returns at once; [`WatchStatus::ready`] says when it is done.
    pub fn reload(&self, config: WatchConfig) {
        self.inbox.order(Order::Reload(Box::new(config)));
    }

    /// How it is.
    pub fn status(&self) -> WatchStatus {
        // First, because what is told is put there before it is said to be done.
        let (ready, projects) = {
            let state = self.inbox.lock();
            (state.asked == state.done, state.roots.found())
        };
        let status = self.status.lock().unwrap_or_else(PoisonError::into_inner).clone();
        WatchStatus { ready, projects, ..status }
    }

    /// Ends it and waits for its threads.
    pub fn stop(self) {}
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.inbox.order(Order::Stop);
        if let Some(worker) = self.worker.take() {
            let _ = worker.join();
        }
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::{fs, sync::mpsc::channel};

    use super::*;

    /// The thread that reads the kernel's queue is kept from it by the lock, until the queue is full.
    #[test]
    fn what_was_written_while_the_kernel_lost_events_is_handed_out() {
        let limit = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap_or_default();
        let Ok(limit @ 0..=100_000) = limit.trim().parse::<usize>() else { return };
        let home = tempfile::tempdir().unwrap();
        let root = home.path().canonicalize().unwrap();
        let (put, seen) = channel();
        let config = WatchConfig::new(vec![Root::folder(&root, Mode::Notify)]);
        let watch = Watch::start(config, move |file| drop(put.send(file))).unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        while !watch.status().ready {
            assert!(Instant::now() < deadline);
            std::thread::yield_now();
        }
        let missed = root.join("deep/new/.env");
        {
            let _held = watch.inbox.lock();
            // Each raises two events; some 2,000 are read before the reader is stopped.
            for n in 0..limit / 2 + 3_000 {
                fs::write(root.join(format!("{n}.js")), "").unwrap();
            }
            fs::create_dir_all(root.join("deep/new")).unwrap();
            fs::write(&missed, "A=1\n").unwrap();
        }
        let file = seen.recv_timeout(Duration::from_secs(60)).unwrap();
        assert_eq!((file.path.as_path(), file.why), (missed.as_path(), Why::Overflow));
        // It is watched from then on.
        fs::write(&missed, "A=2\n").unwrap();
        assert_eq!(seen.recv_timeout(Duration::from_secs(60)).unwrap().why, Why::Event);
        let status = watch.status();
        assert_eq!((status.rescans, status.folders, status.degraded), (1, 3, None));
    }
}
