//! Looking through single folders: those with too many new files to remember, and those without events.

use std::{fs, path::Path, time::Instant};

use super::{Why, names, volume::Volume, worker::Worker};
use crate::sys::folders::AddError;

impl Worker {
    /// Looks at the files of one folder, not at what is below it.
    pub(super) fn files_of(&mut self, folder: &Path, why: Why) {
        let Ok(entries) = fs::read_dir(folder) else { return };
        for entry in entries.flatten() {
            if self.inbox.stopping() {
                return;
            }
            let Ok(kind) = entry.file_type() else { continue };
            if !kind.is_dir() {
                self.file(&entry.path(), kind.is_symlink(), Some(why));
            }
        }
    }

    /// One round over the folders without events, when it is time. As far as the kernel has room again, they are
    /// watched.
    pub(super) fn poll(&mut self) {
        let began = Instant::now();
        if self.polled.next().is_none_or(|at| at > began) {
            return;
        }
        let mut room = true;
        for folder in self.polled.folders() {
            if self.inbox.stopping() {
                return;
            }
            let mut over = false;
            if room && self.volume(&folder) != Volume::Silent {
                match self.ask(&folder, false) {
                    Ok(()) | Err(AddError::Gone) => over = true,
                    Err(AddError::Limit) => room = false,
                    Err(AddError::Other(_)) => {}
                }
            }
            // After the watch: what happened since the last round, up to the first event.
            self.poll_one(&folder);
            if over {
                self.polled.remove(&folder);
            }
        }
        self.polled.round(began, Instant::now());
    }

    fn poll_one(&mut self, folder: &Path) {
        let Ok(entries) = fs::read_dir(folder) else { return };
        for entry in entries.flatten() {
            let Ok(kind) = entry.file_type() else { continue };
            if !kind.is_dir()
                && !names::is_candidate(&entry.file_name())
                && !self.inbox.lock().roots.leads(&entry.path())
            {
                continue;
            }
            let Ok(metadata) = entry.metadata() else { continue };
            if !self.polled.changed(&entry.path(), &metadata) {
                continue;
            }
            if kind.is_dir() {
                self.came(&entry.path());
            } else {
                self.file(&entry.path(), kind.is_symlink(), Some(Why::Sweep));
            }
        }
    }
}
