//! The watched folders where there is no inotify: the crate `notify`.

use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use notify::{
    Config, Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher,
    event::{CreateKind, ModifyKind, RemoveKind, RenameMode},
};

use super::{AddError, Change, Listener};

/// A set of watched folders.
pub struct Folders {
    state: Mutex<State>,
}

struct State {
    watcher: RecommendedWatcher,
    // With the round in which it was added last.
    paths: HashMap<PathBuf, u32>,
    round: u32,
}

impl Folders {
    /// An empty set and its thread.
    pub fn new(listener: impl Listener) -> io::Result<Self> {
        let handler = move |event: notify::Result<Event>| match event {
            Ok(event) if event.need_rescan() => listener(Path::new(""), Change::Lost),
            Ok(event) => {
                for path in &event.paths {
                    for change in changes(&event.kind) {
                        listener(path, *change);
                    }
                }
            }
            Err(_) => listener(Path::new(""), Change::Lost),
        };
        let watcher = RecommendedWatcher::new(handler, Config::default()).map_err(io::Error::other)?;
        Ok(Self { state: Mutex::new(State { watcher, paths: HashMap::new(), round: 0 }) })
    }

    /// Watches the folder, once, if no more than `max` are watched then.
    pub fn add(&self, path: &Path, max: usize) -> Result<(), AddError> {
        let mut state = self.lock();
        let round = state.round;
        if let Some(known) = state.paths.get_mut(path) {
            *known = round;
            return Ok(());
        }
        if state.paths.len() >= max {
            return Err(AddError::Limit);
        }
        state.watcher.watch(path, RecursiveMode::NonRecursive).map_err(|error| match error.kind {
            notify::ErrorKind::PathNotFound => AddError::Gone,
            notify::ErrorKind::MaxFilesWatch => AddError::Limit,
            _ => AddError::Other(io::Error::other(error)),
        })?;
        state.paths.insert(path.to_path_buf(), round);
        Ok(())
    }

    /// Forgets the folder and all that is below it.
    pub fn remove_below(&self, path: &Path) {
        self.drop_where(|watched, _, _| watched.starts_with(path));
    }

    /// Begins a round: what is not added again until [`Folders::end_round`] is forgotten by it.
    pub fn begin_round(&self) {
        let mut state = self.lock();
        state.round = state.round.wrapping_add(1);
    }

    /// Ends a round.
    pub fn end_round(&self) {
        self.drop_where(|_, added, round| added != round);
    }

    /// How many are watched.
    pub fn count(&self) -> usize {
        self.lock().paths.len()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn drop_where(&self, matches: impl Fn(&Path, u32, u32) -> bool) {
        let mut state = self.lock();
        let State { watcher, paths, round } = &mut *state;
        paths.retain(|path, added| {
            let gone = matches(path, *added, *round);
            if gone {
                // It fails for a folder that is not there any more: the same in the end.
                let _ = watcher.unwatch(path);
            }
            !gone
        });
    }
}

/// What an event may mean. Some systems do not say whether it was a file, or whether it came or went: then all of it.
fn changes(kind: &EventKind) -> &'static [Change] {
    match kind {
        EventKind::Create(CreateKind::Folder) => &[Change::Folder],
        EventKind::Create(CreateKind::File) | EventKind::Modify(ModifyKind::Data(_)) => &[Change::Written],
        EventKind::Create(_) | EventKind::Modify(ModifyKind::Name(RenameMode::To)) => {
            &[Change::Written, Change::Folder]
        }
        EventKind::Remove(RemoveKind::File) | EventKind::Access(_) | EventKind::Modify(ModifyKind::Metadata(_)) => &[],
        EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(RenameMode::From)) => &[Change::Left],
        _ => &[Change::Left, Change::Written, Change::Folder],
    }
}
