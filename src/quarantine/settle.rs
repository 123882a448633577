//! Finishing or taking back what was begun and not ended.
//!
//! Owns the judgement on a file that is found after a crash: the old one, the new one, half of each, or something
//! else that somebody wrote since. Nothing is removed from the vault unless the secret is seen in the file.

use zeroize::Zeroizing;

use super::{
    Quarantine,
    edit::apply,
    error::TakeError,
    in_place::overwrite,
    item::{Change, Hole, Item, Restore},
    journal::{Entry, Record, Step},
    place::{Look, Place, There},
    raw_name,
    restore::standing,
    vault::VaultError,
    write::{WriteError, beside, put_back, tidy},
};
/// What became of an item that was left open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// The item.
    pub item: Item,
    /// How it ended.
    pub outcome: Outcome,
}

/// How an open item ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The file has its references: it is in quarantine.
    Taken,
    /// The file has its secrets, and the vault is as before.
    Dropped,
    /// The file was changed by somebody else. The vault keeps what it was given; the names that are new in it.
    Overtaken(Vec<String>),
    /// The file has its secrets again.
    Restored,
    /// It was not restored and is still in quarantine.
    Kept,
    /// Not yet: why.
    Open(String),
}

/// Which content a file has.
enum Found {
    Old,
    New,
    Other,
}

impl Quarantine {
    /// Settles every open item. To be called again when the vault was locked; every take and restore does.
    pub fn settle(&mut self) -> Vec<Settled> {
        let open = |entry: &&Entry| entry.step != Step::Taken;
        let entries: Vec<Entry> = self.journal.entries.values().filter(open).cloned().collect();
        let mut all = Vec::new();
        for Entry { item, step, in_place } in entries {
            let outcome = match step {
                Step::Taken => continue,
                Step::Restored => {
                    self.forget(&item.id);
                    continue;
                }
                Step::Taking => self.settle_take(&item, in_place),
                Step::Restoring(restore) => self.settle_restore(&item, &restore, in_place),
            };
            let outcome = outcome.unwrap_or_else(|error| Outcome::Open(crate::error::Error::from(error).detail));
            all.push(Settled { item, outcome });
        }
        all
    }

    fn settle_take(&mut self, item: &Item, in_place: bool) -> Result<Outcome, TakeError> {
        let rebuild = |quarantine: &Self, new: &[u8]| {
            let raw = quarantine.vault.get(&raw_name(&item.id))?;
            Ok(with_secrets(&item.holes, new, raw.expose()))
        };
        match self.find(item, &item.change, in_place, rebuild)? {
            Found::New => {
                self.append(Record::Taken { id: item.id.clone() })?;
                Ok(Outcome::Taken)
            }
            Found::Old => Ok(self.drop_take(item, true)),
            // It was taken out and the file saved again since.
            Found::Other if self.refers(item)? => {
                self.append(Record::Taken { id: item.id.clone() })?;
                Ok(Outcome::Taken)
            }
            Found::Other => Ok(self.drop_take(item, false)),
        }
    }

    fn settle_restore(&mut self, item: &Item, restore: &Restore, in_place: bool) -> Result<Outcome, TakeError> {
        let Restore { change, holes } = restore;
        let rebuild = |_: &Self, new: &[u8]| {
            let texts = holes.iter().filter_map(|index| item.holes.get(*index)).map(|hole| hole.replacement.as_slice());
            Ok(apply(new, change.after.spans().zip(texts)).map(|edited| edited.bytes))
        };
        match self.find(item, change, in_place, rebuild)? {
            Found::New => {
                self.append(Record::Restored { id: item.id.clone() })?;
                self.forget(&item.id);
                Ok(Outcome::Restored)
            }
            Found::Old | Found::Other => {
                self.append(Record::Kept { id: item.id.clone() })?;
                Ok(Outcome::Kept)
            }
        }
    }

    /// Looks at the file, finishes a writing in place, and removes the file beside.
    fn find(
        &self,
        item: &Item,
        change: &Change,
        in_place: bool,
        rebuild: impl FnOnce(&Self, &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>, VaultError>,
    ) -> Result<Found, TakeError> {
        let place = match Place::at(item.target.clone()) {
            Ok(place) => place,
            Err(TakeError::Gone | TakeError::Changed) => return Ok(Found::Other),
            Err(error) => return Err(error),
        };
        let name = beside(&item.id);
        let reading = |error| TakeError::Unfinished { doing: "reading the file", error };
        let file = place.there(&place.name).map_err(reading)?.file();
        let other = place.there(&name).map_err(reading)?;
        let nothing = matches!(other, There::Nothing);
        let other = other.file();
        let found = match (&file, &other) {
            (Some(file), _) if file.is_before(change) => Found::Old,
            (Some(file), Some(other)) if in_place && change.after.fits(&other.bytes) => {
                // A locked vault must not leave a file in halves when it can be seen that it is whole.
                let old = if change.after.fits(&file.bytes) { None } else { rebuild(self, &other.bytes)? };
                if change.after.fits(&file.bytes) {
                    Found::New
                } else if is_mix(&file.bytes, old.as_ref().map(|old| old.as_slice()), &other.bytes) {
                    finish(&place, &other.bytes)?;
                    Found::New
                } else {
                    Found::Other
                }
            }
            (Some(file), _) if change.after.fits(&file.bytes) => {
                let ours = |other: &Look| other.is_before(change) || change.after.fits(&other.bytes);
                if other.as_ref().map_or(nothing, ours) {
                    Found::New
                } else {
                    // It displaced what somebody put there in that very moment.
                    put_back(&place, &name, file.stamp.inode).map_err(as_take_error)?;
                    Found::Other
                }
            }
            _ => Found::Other,
        };
        tidy(&place, &name).map_err(as_take_error)?;
        Ok(found)
    }

    /// Ends a take that did not happen. Where the file was seen with its secrets in it, the vault is made as it
    /// was; what cannot be removed now stays open.
    pub(super) fn drop_take(&mut self, item: &Item, seen: bool) -> Outcome {
        let outcome = if seen {
            let used = |name: &str| {
                let others = self.journal.entries.values().filter(|entry| entry.item.id != item.id);
                others.flat_map(|entry| &entry.item.holes).any(|hole| hole.credential == name)
            };
            let raw = raw_name(&item.id);
            let names = item.added.iter().map(String::as_str).filter(|name| !used(name)).chain([raw.as_str()]);
            for name in names {
                if let Err(VaultError::Locked | VaultError::Failed(_)) = self.vault.remove(name) {
                    return Outcome::Open("the store cannot be reached".into());
                }
            }
            Outcome::Dropped
        } else {
            // The credentials hold the values; the bytes as they stood are of no use any more.
            if let Err(VaultError::Locked | VaultError::Failed(_)) = self.vault.remove(&raw_name(&item.id)) {
                return Outcome::Open("the store cannot be reached".into());
            }
            Outcome::Overtaken(item.added.clone())
        };
        match self.append(Record::Dropped { id: item.id.clone() }) {
            Ok(()) => outcome,
            Err(_) => Outcome::Open("the journal cannot be written".into()),
        }
    }

    /// Removes what the vault has for an item whose file has its secrets again; later when it cannot now.
    pub(super) fn forget(&mut self, id: &str) {
        if let Ok(()) | Err(VaultError::Gone) = self.vault.remove(&raw_name(id)) {
            let _ = self.append(Record::Forgotten { id: id.to_owned() });
        }
    }

    /// True when a reference of the item stands in its file, and the vault has what belongs there.
    fn refers(&self, item: &Item) -> Result<bool, TakeError> {
        let Ok(place) = Place::at(item.target.clone()) else { return Ok(false) };
        let Ok(Some(look)) = place.read(&place.name) else { return Ok(false) };
        if item.holes.iter().all(|hole| standing(&look.bytes, &hole.replacement).is_empty()) {
            return Ok(false);
        }
        match self.vault.get(&raw_name(&item.id)) {
            Ok(_) => Ok(true),
            Err(VaultError::Gone) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn append(&mut self, record: Record) -> Result<(), TakeError> {
        self.journal.append(record).map_err(super::take::journal_error)
    }
}

/// The new content with the secrets in it again.
pub(super) fn with_secrets(holes: &[Hole], new: &[u8], raw: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut from = 0;
    let mut edits = Vec::with_capacity(holes.len());
    for hole in holes {
        let to = from + hole.old_span().len();
        edits.push((hole.new_span(), raw.get(from..to)?));
        from = to;
    }
    apply(new, edits).map(|edited| edited.bytes)
}

/// True when a writing of `new` over `old` that was cut short may have left this: every byte is of the one or of
/// the other, or was never written.
fn is_mix(bytes: &[u8], old: Option<&[u8]>, new: &[u8]) -> bool {
    let Some(old) = old else { return false };
    let between = old.len().min(new.len())..=old.len().max(new.len());
    between.contains(&bytes.len())
        && bytes
            .iter()
            .enumerate()
            .all(|(at, byte)| new.get(at) == Some(byte) || old.get(at) == Some(byte) || (*byte == 0 && at >= old.len()))
}

fn finish(place: &Place, new: &[u8]) -> Result<(), TakeError> {
    let unfinished = |error| TakeError::Unfinished { doing: "finishing the file", error };
    let mut file = place.open(&place.name, true).map_err(unfinished)?.ok_or(TakeError::Gone)?;
    overwrite(&mut file, new).map_err(unfinished)
}

fn as_take_error(error: WriteError) -> TakeError {
    match error {
        WriteError::Before(error) => error,
        WriteError::Unfinished(doing, error) => TakeError::Unfinished { doing, error },
    }
}
