//! Quarantine: secrets out of files and into the vault, and back.
//!
//! Owns the order in which that happens, so that at every moment the secret is in the file or in the vault, and
//! the file is the old one or the new one: journal → vault → read back → new file beside the old → look again →
//! exchange → sync → journal. Blocking; one thread calls it. It decides nothing of what is a secret
//! (`detect` does) and never writes a secret into its journal, a diff or an error.
//!
//! A symlink is followed and kept. A file with several names, or one that is a mount by itself, is written in
//! place under the journal, because a rename would leave the old content under the other name or is not allowed.
//! What belongs to another user, is read-only or is open for writing elsewhere is left alone and reported.

mod attributes;
mod diff;
mod edit;
mod error;
mod in_place;
mod item;
mod journal;
mod place;
mod purge;
mod reference;
mod restore;
mod settle;
mod take;
#[cfg(test)]
mod tests;
mod vault;
mod write;

use std::{fs::File, path::Path};

pub use diff::{hide, mask};
pub use error::{PurgeError, RestoreError, TakeError};
pub use item::{Adopted, Hole, Item, State};
pub use reference::{ENV_FILES, in_url, is_env_file, parse_reference, reference};
pub use restore::Restored;
pub use settle::{Outcome, Settled};
pub use take::{Expected, Replacement, Take};
pub use vault::{StoreVault, Vault, VaultError};
pub use write::{BESIDE, is_beside};

use crate::{
    api::problem::Code,
    clock::Moment,
    error::{Error, Result},
    sys,
};
use journal::Journal;

/// The quarantine of one state folder.
pub struct Quarantine {
    vault: Box<dyn Vault>,
    now: fn() -> Moment,
    journal: Journal,
    _lock: File,
}

impl Quarantine {
    /// Opens the quarantine in this folder, making it where it is missing, and settles what an earlier run left
    /// open: each such item with how it ended. What cannot be settled yet (a locked vault) stays open.
    ///
    /// # Errors
    /// The folder is another user's, or another quarantine has it open, or the disk refuses.
    pub fn open(folder: &Path, vault: Box<dyn Vault>, now: fn() -> Moment) -> Result<(Self, Vec<Settled>)> {
        sys::private_dir(folder)?;
        let refused = |error: std::io::Error| {
            Error::new(Code::Io, format!("the journal in {} cannot be used: {error}", folder.display()))
                .hint("mend what is said; nothing is quarantined until then")
        };
        let lock = journal::lock(folder).map_err(refused)?.ok_or_else(|| {
            Error::new(Code::InUse, format!("another hallpass uses the quarantine in {}", folder.display()))
                .hint("`hallpass status` shows the daemon that does")
        })?;
        let journal = Journal::open(folder).map_err(refused)?;
        let mut quarantine = Self { vault, now, journal, _lock: lock };
        let settled = quarantine.settle();
        Ok((quarantine, settled))
    }

    /// What is in quarantine, oldest first, with its state.
    pub fn list(&self) -> Vec<(&Item, State)> {
        let mut items: Vec<_> = self.journal.entries.values().map(|entry| (&entry.item, entry.state())).collect();
        items.sort_by(|(a, _), (b, _)| (a.taken_ms, &a.id).cmp(&(b.taken_ms, &b.id)));
        items
    }

    /// One item.
    pub fn show(&self, id: &str) -> Option<(&Item, State)> {
        self.journal.entries.get(id).map(|entry| (&entry.item, entry.state()))
    }
}

/// The name in the vault of an item's bytes as they stood in the file.
fn raw_name(id: &str) -> String {
    format!("quarantine/{id}")
}
