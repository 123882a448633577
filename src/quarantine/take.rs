//! Taking the secrets of one file.

use std::{
    collections::BTreeMap,
    io,
    ops::Range,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use super::{
    Quarantine, diff,
    edit::{self, Edited, Print},
    error::TakeError,
    item::{Adopted, Hole, Item},
    journal::Record,
    place::{Look, Place},
    raw_name,
    restore::standing,
    vault::VaultError,
    write::{self, WriteError},
};
use crate::{detect::kind::FileKind, secret::Secret, sys};

/// What is to be taken out of one file, all of it together.
#[derive(Debug)]
pub struct Take {
    /// The file; links are followed.
    pub path: PathBuf,
    /// In the order of the file, not overlapping.
    pub replacements: Vec<Replacement>,
    /// What the file was when the spans were found.
    pub expected: Expected,
    /// What is adopted by it. The replaced spans are then parts of the file and not values: only that the
    /// file still parses is checked here.
    pub adopted: Option<Adopted>,
    /// What else is kept in the vault for the way back, behind the bytes as they stood; it may be empty.
    pub kept: Secret,
}

/// One secret and what is put in its place.
#[derive(Debug)]
pub struct Replacement {
    /// Its bytes in the file, without quotes.
    pub span: Range<usize>,
    /// The credential that has or gets its value.
    pub credential: String,
    /// What the bytes mean: decoded.
    pub value: Secret,
    /// What stands there instead ([`super::reference`], or a decoy).
    pub text: Vec<u8>,
    /// The key that it is the value of, where it is known.
    pub key: Option<String>,
    /// What it is: the rule's name.
    pub kind: String,
    /// Its keyed hash.
    pub fingerprint: String,
}

/// A file as it was when it was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expected([u8; 32]);

impl Expected {
    /// The file with these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

/// A take that was thought through: nothing is touched yet.
pub(super) struct Plan {
    pub(super) place: Place,
    pub(super) look: Look,
    pub(super) edited: Edited,
    pub(super) holes: Vec<Hole>,
}

impl Quarantine {
    /// Takes the secrets out of the file. When this returns, they are in the vault and the references in the
    /// file, durably.
    ///
    /// # Errors
    /// The file is as it was, but for [`TakeError::Unfinished`].
    pub fn take(&mut self, take: &Take) -> Result<Item, TakeError> {
        self.settle();
        let Plan { place, look, edited, holes } = plan(take)?;
        let item = Item {
            id: self.new_id()?,
            path: take.path.clone(),
            target: place.path.clone(),
            taken_ms: (self.now)().wall_ms,
            added: self.missing(take)?,
            adopted: take.adopted.clone(),
            change: look.change(Print::of(&look.bytes, &spans(take)), Print::of(&edited.bytes, &[])),
            holes,
        };
        let id = item.id.clone();
        self.journal.append(Record::Take { item: Box::new(item.clone()) }).map_err(journal_error)?;
        let done = self.put(&id, take, &look).map_err(WriteError::Before).and_then(|()| {
            let mut in_place = || self.journal.append(Record::InPlace { id: id.clone() });
            write::replace(&place, &id, &look, &edited.bytes, &mut in_place)
        });
        match done {
            Ok(()) => {
                // The file is as it should be; what is not in the journal is found out from the file.
                let finished = self.journal.append(Record::Taken { id });
                finished.map_err(|error| TakeError::Unfinished { doing: "writing the journal", error })?;
                Ok(item)
            }
            Err(WriteError::Before(error)) => {
                let seen = still_there(&place, &look, &item.holes);
                self.drop_take(&item, seen);
                Err(error)
            }
            Err(WriteError::Unfinished(doing, error)) => Err(TakeError::Unfinished { doing, error }),
        }
    }

    /// What [`Self::take`] would do, as a diff with every value masked. Nothing is touched.
    ///
    /// # Errors
    /// As [`Self::take`] would end, as far as it can be known without touching anything.
    pub fn plan(take: &Take) -> Result<String, TakeError> {
        let Plan { place, look, edited, holes } = plan(take)?;
        Ok(diff::masked(&place.path, (&look.bytes, &holes), &edited.bytes))
    }

    /// The names that the vault does not have; an error when it has one with another value.
    fn missing(&self, take: &Take) -> Result<Vec<String>, TakeError> {
        let mut values: BTreeMap<&str, &Secret> = BTreeMap::new();
        for replacement in &take.replacements {
            let (name, value) = (replacement.credential.as_str(), &replacement.value);
            if values.insert(name, value).is_some_and(|other| other.expose() != value.expose()) {
                return Err(TakeError::NameTaken(name.to_owned()));
            }
        }
        let mut missing = Vec::new();
        for (name, value) in values {
            match self.vault.get(name) {
                Ok(there) if there.expose() == value.expose() => {}
                Ok(_) => return Err(TakeError::NameTaken(name.to_owned())),
                Err(VaultError::Gone) => missing.push(name.to_owned()),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(missing)
    }

    /// Puts the values and the bytes as they stood into the vault, and reads them back.
    fn put(&self, id: &str, take: &Take, look: &Look) -> Result<(), TakeError> {
        // Room for all of it: a vector that grows leaves its old memory as it is.
        let room = take.replacements.iter().map(|one| one.span.len()).sum::<usize>() + take.kept.len();
        let mut raw = Vec::with_capacity(room);
        let mut values: BTreeMap<String, Secret> = BTreeMap::new();
        for replacement in &take.replacements {
            raw.extend_from_slice(look.bytes.get(replacement.span.clone()).unwrap_or_default());
            values.insert(replacement.credential.clone(), replacement.value.clone());
        }
        raw.extend_from_slice(take.kept.expose());
        values.insert(raw_name(id), Secret::take(raw));
        let mut new = Vec::new();
        for (name, value) in values {
            match self.vault.get(&name) {
                Ok(there) if there.expose() == value.expose() => {}
                Ok(_) => return Err(TakeError::NameTaken(name)),
                Err(VaultError::Gone) => new.push((name, value)),
                Err(error) => return Err(error.into()),
            }
        }
        self.vault.put_all(&new)?;
        for (name, value) in &new {
            if self.vault.get(name)?.expose() != value.expose() {
                return Err(TakeError::Vault("the store gave back another value than it was given".into()));
            }
        }
        Ok(())
    }

    fn new_id(&self) -> Result<String, TakeError> {
        loop {
            let id = edit::hex(&sys::random::<5>().map_err(TakeError::io("choosing a name"))?);
            if !self.journal.entries.contains_key(&id) {
                return Ok(id);
            }
        }
    }
}

/// Looks at the file and thinks the take through.
fn plan(take: &Take) -> Result<Plan, TakeError> {
    let place = Place::find(&take.path)?;
    let look = place.look()?;
    if Expected::of(&look.bytes) != take.expected {
        return Err(TakeError::Changed);
    }
    let spans = spans(take);
    let edits = take.replacements.iter().map(|replacement| (replacement.span.clone(), replacement.text.as_slice()));
    let edited = edit::apply(&look.bytes, edits).filter(|_| !spans.is_empty());
    let edited = edited.ok_or(TakeError::WouldBreak("the places of its secrets are not in order"))?;
    match take.adopted {
        None => edit::check(kind(&take.path), (&look.bytes, &spans), (&edited.bytes, &edited.spans)),
        Some(_) => edit::parses(kind(&take.path), &look.bytes, &edited.bytes),
    }
    .map_err(TakeError::WouldBreak)?;
    let holes = take.replacements.iter().zip(&edited.spans).map(|(replacement, new)| Hole {
        start: replacement.span.start,
        end: replacement.span.end,
        at: new.start,
        credential: replacement.credential.clone(),
        key: replacement.key.clone(),
        kind: replacement.kind.clone(),
        fingerprint: replacement.fingerprint.clone(),
        replacement: replacement.text.clone(),
        mask: diff::mask(replacement.value.expose()),
    });
    let holes = holes.collect();
    Ok(Plan { place, look, edited, holes })
}

/// True when every secret can be seen in the file, wherever it stands by now.
fn still_there(place: &Place, look: &Look, holes: &[Hole]) -> bool {
    const FEW: usize = 64;
    let Ok(Some(now)) = place.read(&place.name) else { return false };
    if now.bytes == look.bytes {
        return true;
    }
    let values = holes.iter().filter_map(|hole| look.bytes.get(hole.old_span()));
    holes.len() <= FEW && values.into_iter().all(|value| !standing(&now.bytes, value).is_empty())
}

fn spans(take: &Take) -> Vec<Range<usize>> {
    take.replacements.iter().map(|replacement| replacement.span.clone()).collect()
}

/// The kind of a file by the name that the user knows it by.
pub(super) fn kind(path: &Path) -> FileKind {
    FileKind::of(&path.to_string_lossy())
}

/// What an error of the journal is called.
pub(super) fn journal_error(error: io::Error) -> TakeError {
    TakeError::Io { doing: "writing the journal", error }
}
