//! Putting the secrets back.

use std::ops::Range;

use super::{
    Quarantine,
    edit::{Print, apply},
    error::{RestoreError, TakeError},
    item::{Hole, Item, Restore},
    journal::{Record, Step},
    place::{Look, Place},
    raw_name,
    reference::stands_at,
    take::journal_error,
    write::{self, WriteError},
};
use crate::secret::Secret;

/// What a restore did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// The item, which is no longer in quarantine.
    pub item: Item,
    /// The file has the very bytes that it had.
    pub exact: bool,
    /// Credentials whose reference is no longer in the file: there was no place for them. They are still in the
    /// vault under their names.
    pub without_place: Vec<String>,
}

impl Quarantine {
    /// Puts the secrets of an item back into its file. A file that was not changed since has its bytes again; in
    /// one that was, each value goes where its reference stands. Mode and owner stay; the time of change is now,
    /// which editors rely on.
    ///
    /// # Errors
    /// The file is as it was, but for [`TakeError::Unfinished`].
    pub fn restore(&mut self, id: &str) -> Result<Restored, RestoreError> {
        self.settle();
        let (item, place, look, raw) = self.taken(id)?;
        let exact = item.change.after.fits(&look.bytes);
        let (there, without_place) = if exact {
            (item.holes.iter().enumerate().map(|(index, hole)| (index, hole.new_span())).collect(), Vec::new())
        } else {
            places(&item.holes, &look.bytes).map_err(RestoreError::Changed)?
        };
        // A tool's setting is one thing: half of it back would be a file that does not work.
        if item.adopted.is_some() && !without_place.is_empty() {
            return Err(RestoreError::Changed(without_place));
        }
        let filled = there.iter().map(|(index, _)| *index).collect();
        let mut edits = Vec::with_capacity(there.len());
        for (index, span) in there {
            edits.push((span, raw_of(&item.holes, index, raw.expose()).ok_or_else(wrong_length)?));
        }
        self.put_back(&item, &place, &look, (filled, true), edits)?;
        Ok(Restored { item, exact, without_place })
    }

    /// Puts the secrets of an item back by other edits than those that took them out: the file was written anew since.
    /// `thought` is given the file as it is and what was kept behind the secrets, and says what becomes of which bytes.
    ///
    /// # Errors
    /// As [`Self::restore`]; nothing is touched where `thought` has no answer.
    pub fn restore_by(
        &mut self,
        id: &str,
        thought: impl FnOnce(&Item, &[u8], &[u8]) -> Option<Vec<(Range<usize>, Vec<u8>)>>,
    ) -> Result<Restored, RestoreError> {
        self.settle();
        let (item, place, look, raw) = self.taken(id)?;
        let held: usize = item.holes.iter().map(|hole| hole.old_span().len()).sum();
        let kept = raw.expose().get(held..).filter(|kept| !kept.is_empty());
        let changed = || RestoreError::Changed(names(&item.holes));
        let new = kept.and_then(|kept| thought(&item, &look.bytes, kept)).ok_or_else(changed)?;
        let new: Vec<_> = new.into_iter().map(|(span, text)| (span, zeroize::Zeroizing::new(text))).collect();
        let edits = new.iter().map(|(span, text)| (span.clone(), text.as_slice())).collect();
        // From the journal such edits could not be finished in a file that is half written.
        self.put_back(&item, &place, &look, ((0..item.holes.len()).collect(), false), edits)?;
        Ok(Restored { item, exact: false, without_place: Vec::new() })
    }

    /// An item that is in quarantine, its file as it is, and what the vault has of it.
    fn taken(&self, id: &str) -> Result<(Item, Place, Look, Secret), RestoreError> {
        let entry = self.journal.entries.get(id).ok_or(RestoreError::NoSuchItem)?;
        if entry.step != Step::Taken {
            // What is open cannot be settled now: most likely the vault is locked.
            return Err(TakeError::Locked.into());
        }
        let item = entry.item.clone();
        let place = Place::at(item.target.clone())?;
        let look = place.look()?;
        let raw = self.vault.get(&raw_name(id))?;
        Ok((item, place, look, raw))
    }

    fn put_back(
        &mut self,
        item: &Item,
        place: &Place,
        look: &Look,
        (holes, may_be_in_place): (Vec<usize>, bool),
        edits: Vec<(Range<usize>, &[u8])>,
    ) -> Result<(), RestoreError> {
        let edited = apply(&look.bytes, edits).ok_or_else(|| RestoreError::Changed(names(&item.holes)))?;
        let change = look.change(Print::of(&look.bytes, &[]), Print::of(&edited.bytes, &edited.spans));
        let name = || item.id.clone();
        self.journal
            .append(Record::Restore { id: name(), restore: Restore { change, holes } })
            .map_err(journal_error)?;
        let mut in_place = || match may_be_in_place {
            true => self.journal.append(Record::InPlace { id: name() }),
            false => Err(std::io::Error::other("it has several names or is a mount, and its tool wrote it anew")),
        };
        match write::replace(place, &item.id, look, &edited.bytes, &mut in_place) {
            Ok(()) => {}
            Err(WriteError::Before(error)) => {
                // Where even this fails, the next call finds out from the file.
                let _ = self.journal.append(Record::Kept { id: name() });
                return Err(error.into());
            }
            Err(WriteError::Unfinished(doing, error)) => return Err(TakeError::Unfinished { doing, error }.into()),
        }
        let finished = self.journal.append(Record::Restored { id: name() });
        finished.map_err(|error| TakeError::Unfinished { doing: "writing the journal", error })?;
        self.forget(&item.id);
        Ok(())
    }
}

fn wrong_length() -> RestoreError {
    RestoreError::File(TakeError::Vault("the store has another value than it was given".into()))
}

/// The bytes of one hole as they stood in the file, out of all of them.
fn raw_of<'a>(holes: &[Hole], index: usize, raw: &'a [u8]) -> Option<&'a [u8]> {
    let start: usize = holes.get(..index)?.iter().map(|hole| hole.old_span().len()).sum();
    raw.get(start..start + holes.get(index)?.old_span().len())
}

fn names(holes: &[Hole]) -> Vec<String> {
    let mut names: Vec<_> = holes.iter().map(|hole| hole.credential.clone()).collect();
    names.sort();
    names.dedup();
    names
}

type Places = (Vec<(usize, Range<usize>)>, Vec<String>);

/// Where each hole's replacement stands now, and whose stands nowhere. An error names those for which there are
/// more or fewer places than holes, and all when there is no place at all.
pub(super) fn places(holes: &[Hole], bytes: &[u8]) -> Result<Places, Vec<String>> {
    let mut texts: std::collections::BTreeMap<&[u8], Vec<usize>> = std::collections::BTreeMap::new();
    for (index, hole) in holes.iter().enumerate() {
        texts.entry(&hole.replacement).or_default().push(index);
    }
    let (mut found, mut nowhere, mut unclear) = (Vec::new(), Vec::new(), Vec::new());
    for (text, indexes) in texts {
        let of = |list: &mut Vec<String>| {
            list.extend(indexes.first().and_then(|index| holes.get(*index)).map(|hole| hole.credential.clone()));
        };
        let spans = standing(bytes, text);
        if spans.is_empty() {
            of(&mut nowhere);
        } else if spans.len() == indexes.len() {
            found.extend(indexes.into_iter().zip(spans));
        } else {
            of(&mut unclear);
        }
    }
    if !unclear.is_empty() {
        return Err(unclear);
    }
    if found.is_empty() {
        return Err(nowhere);
    }
    found.sort_by_key(|(_, span)| span.start);
    Ok((found, nowhere))
}

/// Where a replacement stands.
pub(super) fn standing(bytes: &[u8], text: &[u8]) -> Vec<Range<usize>> {
    let Some(first) = text.first() else { return Vec::new() };
    let mut spans = Vec::new();
    let mut from = 0;
    while let Some(next) = bytes.get(from..).and_then(|rest| rest.iter().position(|byte| byte == first)) {
        let at = from + next;
        if stands_at(bytes, at, text) {
            spans.push(at..at + text.len());
            from = at + text.len();
        } else {
            from = at + 1;
        }
    }
    spans
}
