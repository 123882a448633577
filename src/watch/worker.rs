//! The thread that keeps the watched folders in step with the disk and hands files out.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use super::{
    Seen, WatchConfig, WatchStatus, Why,
    inbox::{Inbox, Order},
    polled::Polled,
    roots::{Mode, Roots},
};
use crate::sys::{
    folders::{Folders, limit_hint},
    mounts::Mount,
};

/// The thread's state.
pub struct Worker {
    pub(super) inbox: Arc<Inbox>,
    pub(super) config: WatchConfig,
    /// `None` where the kernel gives no queue: everything is polled then.
    pub(super) folders: Option<Folders>,
    pub(super) polled: Polled,
    /// Empty where no mount needs a second thought.
    pub(super) mounts: Vec<Mount>,
    pub(super) left_alone: BTreeSet<PathBuf>,
    status: Arc<Mutex<WatchStatus>>,
    sink: Box<dyn Fn(Seen) + Send>,
    stirred: Box<dyn Fn(&Path) + Send>,
    no_queue: Option<String>,
    rescans: u64,
    turns: u64,
}

impl Worker {
    /// Not running yet.
    pub fn new(
        inbox: Arc<Inbox>,
        status: Arc<Mutex<WatchStatus>>,
        config: WatchConfig,
        sink: Box<dyn Fn(Seen) + Send>,
        stirred: Box<dyn Fn(&Path) + Send>,
    ) -> Self {
        let polled = Polled::new(config.poll_every);
        let (mounts, left_alone) = (Vec::new(), BTreeSet::new());
        let (folders, no_queue) = (None, None);
        Self {
            inbox,
            config,
            folders,
            polled,
            mounts,
            left_alone,
            status,
            sink,
            stirred,
            no_queue,
            rescans: 0,
            turns: 0,
        }
    }

    /// Runs until the owner wants an end.
    pub fn run(mut self) {
        let existing = self.config.existing.then_some(Why::Sweep);
        self.everything(existing);
        self.finish(1);
        let mut not_before = Instant::now();
        loop {
            self.publish();
            let turn = self.inbox.wait(self.polled.next(), not_before);
            self.turns += 1;
            match turn.order {
                None => {}
                Some(Order::Stop) => return,
                Some(Order::Reload(config)) => self.reload(*config),
            }
            if let Some(path) = turn.stirred {
                (self.stirred)(&path);
            }
            for path in turn.gone {
                self.gone(&path);
            }
            for path in turn.came {
                self.came(&path);
            }
            if turn.lost || !turn.crowded.is_empty() {
                let began = Instant::now();
                for folder in turn.crowded {
                    self.files_of(&folder, Why::Sweep);
                }
                if turn.lost {
                    self.rescans += 1;
                    self.everything(Some(Why::Overflow));
                }
                // A storm that goes on may not take more than a third of a processor.
                let ended = Instant::now();
                not_before = ended + (ended - began) * 2;
            }
            for due in turn.due {
                let mode = self.inbox.lock().roots.file(&due.path);
                if let Some(mode) = mode {
                    self.hand(due.path, mode, due.why, due.first);
                }
            }
            self.poll();
        }
    }

    /// Asks the kernel for a queue of events, if there is none yet.
    pub(super) fn open(&mut self) {
        if self.folders.is_some() {
            return;
        }
        let listener = Arc::clone(&self.inbox);
        match Folders::new(move |path: &Path, change| listener.event(path, change, Instant::now())) {
            Ok(folders) => (self.folders, self.no_queue) = (Some(folders), None),
            Err(error) => self.no_queue = Some(format!("the system gives no events ({error}); {}", limit_hint())),
        }
    }

    /// A file is there and wanted by its name. What lies in a new folder may still be written, so it waits; what
    /// a sweep finds is handed out at once, so that a sweep needs no room.
    pub(super) fn found(&mut self, path: &Path, why: Option<Why>) {
        let Some(why) = why else { return };
        let now = Instant::now();
        let mode = {
            let mut state = self.inbox.lock();
            let Some(mode) = state.roots.file(path) else { return };
            if why == Why::New {
                // The thread that would have to be woken is this one.
                let _ = state.note(path, why, now, self.config.max_pending);
                return;
            }
            mode
        };
        self.hand(path.to_path_buf(), mode, why, now);
    }

    fn hand(&self, path: PathBuf, mode: Mode, why: Why, written: Instant) {
        (self.sink)(Seen { path, mode, why, written });
    }

    fn reload(&mut self, config: WatchConfig) {
        let asked = {
            let mut state = self.inbox.lock();
            state.roots = Roots::new(config.roots.clone());
            state.asked
        };
        self.config = config;
        let existing = self.config.existing.then_some(Why::Sweep);
        self.everything(existing);
        self.finish(asked);
    }

    fn finish(&self, asked: u64) {
        self.publish();
        self.inbox.lock().done = asked;
    }

    fn publish(&self) {
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        status.folders = self.folders.as_ref().map_or(0, Folders::count);
        status.rescans = self.rescans;
        status.turns = self.turns;
        status.polling = self.polled.folders();
        status.left_alone = self.left_alone.iter().cloned().collect();
        status.degraded = self.degraded(status.folders);
    }

    fn degraded(&self, watched: usize) -> Option<String> {
        if self.no_queue.is_some() {
            return self.no_queue.clone();
        }
        let (polled, left_out) = (self.polled.at_limit(), self.polled.left_out());
        if polled + left_out == 0 {
            return None;
        }
        let limit = if watched >= self.config.max_folders {
            format!("at most {} folders are watched", self.config.max_folders)
        } else {
            format!("the system's limit is reached; {}", limit_hint())
        };
        let rest = if left_out == 0 { String::new() } else { format!(" and {left_out} are not looked at") };
        Some(format!("{watched} folders are watched, {polled} are looked at in turn{rest}: {limit}"))
    }
}
