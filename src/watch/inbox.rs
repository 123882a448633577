//! What the two threads share: events come in on one, work goes out on the other.
//!
//! Owns what an event means for the roots. Bounded: files that do not fit become "look at this folder", folders
//! that do not fit become "look at everything". The thread that puts in never waits for anything but the lock.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::{
    WatchConfig, Why,
    pending::{Due, Patience, Pending},
    roots::Roots,
};
use crate::sys::folders::Change;

/// How many files go out at once, so that a stop or a new folder does not wait behind thousands.
const BATCH: usize = 64;

/// Where events come in.
pub struct Inbox {
    state: Mutex<State>,
    bell: Condvar,
    limit: usize,
}

/// What is shared.
pub struct State {
    /// What is watched.
    pub roots: Roots,
    /// Files that wait until they are quiet.
    pub pending: Pending,
    /// Folders that left their path; they are forgotten before the others are looked at.
    gone: BTreeSet<PathBuf>,
    /// Paths that came: a new folder, or one that a root waits for.
    came: BTreeSet<PathBuf>,
    /// Folders with too many files to remember.
    crowded: BTreeSet<PathBuf>,
    /// Events were lost.
    lost: bool,
    /// When folders are looked through: crowded ones, or all.
    sweep_at: Option<Instant>,
    order: Option<Order>,
    /// The first file that was written after a rest.
    stirred: Option<PathBuf>,
    /// How many times a set of roots was given, and how many times one was walked through to the end.
    pub asked: u64,
    /// See `asked`.
    pub done: u64,
    longest: Duration,
}

/// What the owner wants.
pub enum Order {
    /// Watch this from now on.
    Reload(Box<WatchConfig>),
    /// End.
    Stop,
}

/// What is to be done now, in this order.
#[derive(Default)]
pub struct Turn {
    /// What the owner wants.
    pub order: Option<Order>,
    /// Folders to forget and their roots to find anew.
    pub gone: BTreeSet<PathBuf>,
    /// Paths to look at: walk the folder, find the root.
    pub came: BTreeSet<PathBuf>,
    /// Folders whose own files are all to be looked at.
    pub crowded: BTreeSet<PathBuf>,
    /// Events were lost: look at everything.
    pub lost: bool,
    /// A file that was written after a rest: it is not due yet, and what a look needs can be made ready.
    pub stirred: Option<PathBuf>,
    /// Files to look at.
    pub due: Vec<Due>,
}

impl Inbox {
    /// Nothing is in it; at most `limit` files and as many folders are remembered.
    pub fn new(roots: Roots, patience: Patience, limit: usize) -> Self {
        let state = State {
            roots,
            pending: Pending::new(patience, limit),
            gone: BTreeSet::new(),
            came: BTreeSet::new(),
            crowded: BTreeSet::new(),
            lost: false,
            sweep_at: None,
            order: None,
            stirred: None,
            asked: 1,
            done: 0,
            longest: patience.longest,
        };
        Self { state: Mutex::new(state), bell: Condvar::new(), limit }
    }

    /// The state, locked.
    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An event. What concerns no root is dropped here.
    pub fn event(&self, path: &Path, change: Change, now: Instant) {
        let mut state = self.lock();
        if state.take(path, change, now, self.limit) {
            self.bell.notify_one();
        }
    }

    /// An order of the owner; a stop is not overtaken.
    pub fn order(&self, order: Order) {
        let mut state = self.lock();
        if !matches!(state.order, Some(Order::Stop)) {
            state.asked += u64::from(matches!(order, Order::Reload(_)));
            state.order = Some(order);
        }
        self.bell.notify_one();
    }

    /// True once the owner wants an end.
    pub fn stopping(&self) -> bool {
        matches!(self.lock().order, Some(Order::Stop))
    }

    /// Waits for work, without a limit where none is known and `timer` is `None`. `not_before`: when folders
    /// may be looked through again.
    pub fn wait(&self, timer: Option<Instant>, not_before: Instant) -> Turn {
        let mut state = self.lock();
        loop {
            let now = Instant::now();
            let timer_is_due = timer.is_some_and(|at| at <= now);
            let turn = state.turn(now, not_before);
            if timer_is_due || !turn.is_empty() {
                return turn;
            }
            let sweep = state.sweep_at.map(|at| at.max(not_before));
            let wake = [timer, state.pending.next(), sweep].into_iter().flatten().min();
            state = match wake {
                None => self.bell.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(at) => {
                    let left = at.saturating_duration_since(now);
                    self.bell.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }
}

impl Turn {
    fn is_empty(&self) -> bool {
        self.order.is_none()
            && !self.lost
            && self.stirred.is_none()
            && self.gone.is_empty()
            && self.came.is_empty()
            && self.crowded.is_empty()
            && self.due.is_empty()
    }
}

impl State {
    /// A wanted file was seen outside of an event. True where the waiting thread has to be woken.
    pub fn note(&mut self, path: &Path, why: Why, now: Instant, limit: usize) -> bool {
        let was_idle = self.pending.is_empty();
        if self.pending.note(path, why, now) {
            return was_idle;
        }
        if let Some(folder) = path.parent() {
            self.crowded.insert(folder.to_path_buf());
            self.sweep_at.get_or_insert(now + self.longest);
        }
        self.bound(now, limit);
        true
    }

    /// True where the waiting thread has to be woken.
    fn take(&mut self, path: &Path, change: Change, now: Instant, limit: usize) -> bool {
        if change == Change::Lost {
            self.lose(now);
            return true;
        }
        // Folders are kept under the path that the kernel knows, files under the one by which they are wanted.
        let shown = self.roots.shown(path);
        let wanted = shown.as_deref().unwrap_or(path);
        let is_git = path.file_name().is_some_and(|name| name == ".git");
        match change {
            Change::Written | Change::Folder if is_git => match path.parent() {
                Some(folder) if wanted.parent().is_some_and(|folder| self.roots.searched(folder)) => {
                    self.came.insert(folder.to_path_buf())
                }
                _ => return false,
            },
            Change::Written => {
                let woken = self.roots.file(wanted).is_some() && self.note(wanted, Why::Event, now, limit);
                if woken {
                    self.stirred = Some(wanted.to_path_buf());
                }
                // Also a link that takes the place of a root, or of a folder above one.
                if !self.roots.leads(wanted) {
                    return woken;
                }
                self.came.insert(path.to_path_buf())
            }
            Change::Folder if self.roots.folder(wanted) || self.roots.leads(wanted) => {
                self.came.insert(path.to_path_buf())
            }
            Change::Left if self.roots.folder(wanted) || self.roots.leads(wanted) => {
                self.came.remove(path);
                self.gone.insert(path.to_path_buf())
            }
            _ => return false,
        };
        self.bound(now, limit);
        true
    }

    /// Forgets single folders in favour of everything, where they are too many.
    fn bound(&mut self, now: Instant, limit: usize) {
        if self.gone.len() + self.came.len() + self.crowded.len() > limit {
            self.lose(now);
        }
    }

    fn lose(&mut self, now: Instant) {
        self.gone.clear();
        self.came.clear();
        self.crowded.clear();
        self.lost = true;
        // In a storm the longest patience, so that one look serves many losses.
        self.sweep_at.get_or_insert(now + self.longest);
    }

    fn turn(&mut self, now: Instant, not_before: Instant) -> Turn {
        let (mut lost, mut crowded) = (false, BTreeSet::new());
        if self.sweep_at.is_some_and(|at| at.max(not_before) <= now) {
            self.sweep_at = None;
            lost = std::mem::take(&mut self.lost);
            crowded = std::mem::take(&mut self.crowded);
        }
        Turn {
            order: self.order.take(),
            gone: std::mem::take(&mut self.gone),
            came: std::mem::take(&mut self.came),
            crowded,
            lost,
            stirred: self.stirred.take(),
            due: self.pending.due(now, BATCH),
        }
    }
}
