//! Keeping the watched folders in step with the disk.
//!
//! A folder is watched first and read then, so that nothing made in between is missed. Links are followed where
//! they are roots or wanted files, never below a root: a loop of links is never entered.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use super::{
    Why, names,
    volume::{self, Volume},
    worker::Worker,
};
use crate::sys::{folders::AddError, mounts};

/// How many folders that are left alone are remembered, for the status.
const MAX_LEFT_ALONE: usize = 64;

/// What became of a folder that was to be watched.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Watched,
    Polled,
    Unseen,
}

impl Worker {
    /// Walks through all roots and forgets what is not below one any more.
    pub(super) fn everything(&mut self, why: Option<Why>) {
        self.mounts = mounts::mounts();
        if self.mounts.iter().all(|mount| volume::of(&mount.kind) == Volume::Events) {
            self.mounts = Vec::new();
        }
        self.polled.clear();
        self.left_alone.clear();
        self.open();
        if let Some(folders) = &self.folders {
            folders.begin_round();
        }
        let roots = self.inbox.lock().roots.paths();
        for root in roots {
            self.anchor(&root, why);
        }
        if let Some(folders) = &self.folders
            && !self.inbox.stopping()
        {
            folders.end_round();
        }
    }

    /// Something came to this path: a folder, or something that a root waits for.
    pub(super) fn came(&mut self, real: &Path) {
        let (walked, roots) = {
            let state = self.inbox.lock();
            let shown = state.roots.shown(real).unwrap_or_else(|| real.to_path_buf());
            let mut roots = state.roots.below(&shown);
            roots.extend(state.roots.below(real).into_iter().filter(|_| shown != real));
            (state.roots.folder(&shown), roots)
        };
        if walked && real.symlink_metadata().is_ok_and(|metadata| metadata.is_dir()) {
            self.walk(real.to_path_buf(), Some(Why::New));
        }
        for root in roots {
            self.anchor(&root, Some(Why::New));
        }
    }

    /// A folder left its path. Another one may be there already.
    pub(super) fn gone(&mut self, real: &Path) {
        if let Some(folders) = &self.folders {
            folders.remove_below(real);
        }
        for folder in self.polled.folders() {
            if folder.starts_with(real) {
                self.polled.remove(&folder);
            }
        }
        self.came(real);
    }

    /// Finds a root: walks it where it is a folder, watches its folder where it is a file or a link, and the
    /// nearest folder above where it is missing.
    fn anchor(&mut self, root: &Path, why: Option<Why>) {
        // Each turn is one more level that came to be while the one above was being watched.
        for _ in 0..32 {
            if let Ok(real) = root.canonicalize() {
                let is_folder = real.is_dir();
                if let Some(folder) = root.parent()
                    && (!is_folder || real != root)
                {
                    self.watch_above(folder);
                    self.inbox.lock().roots.link(root, &real);
                }
                if is_folder {
                    self.walk(real, why);
                } else {
                    self.linked(root, &real);
                    self.found(root, why);
                }
                return;
            }
            let Some(above) = root.ancestors().skip(1).find(|above| above.is_dir()) else { return };
            self.watch_above(above);
            let next = root.ancestors().find(|path| path.parent() == Some(above));
            if next.is_none_or(|next| next.canonicalize().is_err()) {
                return;
            }
        }
    }

    /// Watches a folder for the sake of what is in it or below it.
    fn watch_above(&mut self, folder: &Path) {
        let Ok(real) = folder.canonicalize() else { return };
        self.inbox.lock().roots.link(folder, &real);
        self.watch(&real);
    }

    /// `shown` is wanted and leads to the file `real`: its folder is watched, too.
    fn linked(&mut self, shown: &Path, real: &Path) {
        if real.parent() == shown.parent() && real == shown {
            return;
        }
        let remembered = self.inbox.lock().roots.link(shown, real);
        if let Some(folder) = real.parent()
            && remembered
        {
            self.watch(folder);
        }
    }

    fn walk(&mut self, start: PathBuf, why: Option<Why>) {
        let mut stack = vec![start];
        while let Some(folder) = stack.pop() {
            if self.inbox.stopping() {
                return;
            }
            let (shown, is_root, searched) = {
                let roots = &self.inbox.lock().roots;
                let shown = roots.shown(&folder).unwrap_or_else(|| folder.clone());
                if !roots.folder(&shown) {
                    continue;
                }
                let (is_root, searched) = (roots.is_root(&shown), roots.searched(&shown));
                (shown, is_root, searched)
            };
            if !is_root && is_cache(&folder) {
                continue;
            }
            let outcome = self.watch(&folder);
            if outcome == Outcome::Unseen {
                continue;
            }
            // After the watch: a `.git` that comes later raises an event.
            if searched && folder.join(".git").symlink_metadata().is_ok() {
                self.inbox.lock().roots.add_project(&shown);
            }
            let Ok(entries) = fs::read_dir(&folder) else { continue };
            for entry in entries.flatten() {
                let Ok(kind) = entry.file_type() else { continue };
                if outcome == Outcome::Polled
                    && (kind.is_dir() || names::is_candidate(&entry.file_name()))
                    && let Ok(metadata) = entry.metadata()
                {
                    self.polled.changed(&entry.path(), &metadata);
                }
                if kind.is_dir() {
                    if !names::is_ignored(&entry.file_name()) || self.inbox.lock().roots.leads(&entry.path()) {
                        stack.push(entry.path());
                    }
                } else if names::is_candidate(&entry.file_name()) {
                    self.file(&entry.path(), kind.is_symlink(), why);
                }
            }
        }
    }

    /// Something that is no folder was met: handed on if it is wanted.
    pub(super) fn file(&mut self, real: &Path, is_link: bool, why: Option<Why>) {
        let shown = {
            let roots = &self.inbox.lock().roots;
            let shown = roots.shown(real).unwrap_or_else(|| real.to_path_buf());
            if roots.file(&shown).is_none() {
                return;
            }
            shown
        };
        if is_link
            && let Ok(target) = real.canonicalize()
            && target.is_file()
        {
            self.linked(&shown, &target);
        }
        self.found(&shown, why);
    }

    fn watch(&mut self, folder: &Path) -> Outcome {
        let silent = match self.volume(folder) {
            Volume::Network => {
                if self.left_alone.len() < MAX_LEFT_ALONE {
                    self.left_alone.insert(folder.to_path_buf());
                }
                return Outcome::Unseen;
            }
            Volume::Silent => true,
            Volume::Events => false,
        };
        match self.ask(folder, silent) {
            Ok(()) => Outcome::Watched,
            Err(AddError::Gone) => Outcome::Unseen,
            Err(AddError::Limit | AddError::Other(_)) => {
                if self.polled.add(folder, !silent, Instant::now()) {
                    Outcome::Polled
                } else {
                    Outcome::Unseen
                }
            }
        }
    }

    /// Asks the kernel for events, as far as it is any use.
    pub(super) fn ask(&self, folder: &Path, silent: bool) -> Result<(), AddError> {
        match &self.folders {
            Some(folders) if !silent => folders.add(folder, self.config.max_folders),
            _ => Err(AddError::Limit),
        }
    }

    /// How the file system of this folder is watched.
    pub(super) fn volume(&self, folder: &Path) -> Volume {
        mounts::kind_at(&self.mounts, folder).map_or(Volume::Events, volume::of)
    }
}

/// True for a folder that says of itself that it can be made again: a cache (bford.info/cachedir) or a Python
/// virtual environment (PEP 405).
fn is_cache(folder: &Path) -> bool {
    ["CACHEDIR.TAG", "pyvenv.cfg"].iter().any(|name| folder.join(name).symlink_metadata().is_ok())
}
