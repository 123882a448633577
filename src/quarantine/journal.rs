//! The journal: what was begun with which file, and how it ended.
//!
//! Owns `journal.jsonl`: one JSON object a line, appended with one write and one fdatasync. `op` says what:
//!
//! | op | says | then |
//! |---|---|---|
//! | `take` | the whole [`Item`]: its secrets are about to go into the vault and out of the file | `taken` or `dropped` |
//! | `restore` | they are about to go back: the [`Restore`] | `restored` or `kept` |
//! | `in_place` | the file is now written in place; the whole new content is in the file beside it | as above |
//! | `taken` `dropped` `restored` `kept` | how the last one ended; `kept` is an item that stays quarantined | |
//! | `forgotten` | nothing is in the vault for it any more | the item leaves the list |
//!
//! A last line without its end was never acted on and is dropped. A line that this version does not understand is
//! kept as it is. What is over is left out when the journal is opened. It never holds a secret.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::item::{Item, Restore, State};
use crate::sys;

/// One line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub(super) enum Record {
    Take { item: Box<Item> },
    Restore { id: String, restore: Restore },
    InPlace { id: String },
    Taken { id: String },
    Dropped { id: String },
    Restored { id: String },
    Kept { id: String },
    Forgotten { id: String },
}

/// An item and what is under way with it.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) item: Item,
    pub(super) step: Step,
    /// The file is being written in place.
    pub(super) in_place: bool,
}

/// Where an entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Taking,
    Taken,
    Restoring(Restore),
    Restored,
}

impl Entry {
    pub(super) fn state(&self) -> State {
        match self.step {
            Step::Taking | Step::Restoring(_) => State::Open,
            Step::Taken => State::Quarantined,
            Step::Restored => State::Restored,
        }
    }
}

/// The journal, open for appending, and what it says.
pub(super) struct Journal {
    file: File,
    length: u64,
    /// An append went wrong and could not be taken back.
    broken: bool,
    pub(super) entries: BTreeMap<String, Entry>,
}

impl Journal {
    /// Reads the journal in the folder, or begins one.
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        let path = folder.join("journal.jsonl");
        let mut file = sys::private_file(&path, true)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let (entries, unknown) = replay(&bytes);
        let compact = compacted(&entries, &unknown)?;
        if compact == bytes {
            // Its own entry in the folder may be new.
            File::open(folder)?.sync_all()?;
        } else {
            sys::durable::replace::<io::Error>(&path, &compact, |read| {
                if read == compact { Ok(()) } else { Err(io::Error::other("the journal reads back differently")) }
            })?;
            file = sys::private_file(&path, true)?;
        }
        let length = file.seek(SeekFrom::End(0))?;
        Ok(Self { file, length, broken: false, entries })
    }

    /// Appends a record, durably when this returns.
    pub(super) fn append(&mut self, record: Record) -> io::Result<()> {
        if self.broken {
            return Err(io::Error::other("an earlier line could not be written; restart hallpass"));
        }
        let line = line(&record)?;
        let written = self.file.write_all(&line).and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            // What is half there must not be believed later.
            self.broken = self.file.set_len(self.length).and_then(|()| self.file.sync_data()).is_err();
            return Err(error);
        }
        self.length += line.len() as u64;
        follow(&mut self.entries, record);
        Ok(())
    }
}

/// The folder's lock, held as long as the file is: one quarantine at a time writes the journal. `None` when
/// another holds it.
pub(super) fn lock(folder: &Path) -> io::Result<Option<File>> {
    use rustix::fs::{FlockOperation, flock};
    let path: PathBuf = folder.join("lock");
    let file = sys::private_file(&path, false)?;
    match rustix::io::retry_on_intr(|| flock(&file, FlockOperation::NonBlockingLockExclusive)) {
        Ok(()) => Ok(Some(file)),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn line(record: &Record) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(record).map_err(io::Error::other)?;
    line.push(b'\n');
    Ok(line)
}

/// What the lines come to, and the lines that this version does not understand.
fn replay(bytes: &[u8]) -> (BTreeMap<String, Entry>, Vec<Vec<u8>>) {
    let (mut entries, mut unknown) = (BTreeMap::new(), Vec::new());
    for line in bytes.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n")) {
        match serde_json::from_slice(line) {
            Ok(record) => follow(&mut entries, record),
            Err(_) => unknown.push(line.to_vec()),
        }
    }
    (entries, unknown)
}

fn follow(entries: &mut BTreeMap<String, Entry>, record: Record) {
    let mut step = |id: String, step: Step| {
        if let Some(entry) = entries.get_mut(&id) {
            entry.step = step;
            entry.in_place = false;
        }
    };
    match record {
        Record::Take { item } => {
            entries.insert(item.id.clone(), Entry { item: *item, step: Step::Taking, in_place: false });
        }
        Record::Restore { id, restore } => step(id, Step::Restoring(restore)),
        Record::Taken { id } | Record::Kept { id } => step(id, Step::Taken),
        Record::Restored { id } => step(id, Step::Restored),
        Record::InPlace { id } => {
            if let Some(entry) = entries.get_mut(&id) {
                entry.in_place = true;
            }
        }
        Record::Dropped { id } | Record::Forgotten { id } => {
            entries.remove(&id);
        }
    }
}

/// The shortest journal that says the same.
fn compacted(entries: &BTreeMap<String, Entry>, unknown: &[Vec<u8>]) -> io::Result<Vec<u8>> {
    let mut bytes = unknown.concat();
    for (id, entry) in entries {
        let id = || id.clone();
        bytes.extend(line(&Record::Take { item: Box::new(entry.item.clone()) })?);
        match &entry.step {
            Step::Taking => {}
            Step::Taken => bytes.extend(line(&Record::Taken { id: id() })?),
            Step::Restored => bytes.extend(line(&Record::Restored { id: id() })?),
            Step::Restoring(restore) => {
                bytes.extend(line(&Record::Taken { id: id() })?);
                bytes.extend(line(&Record::Restore { id: id(), restore: restore.clone() })?);
            }
        }
        if entry.in_place {
            bytes.extend(line(&Record::InPlace { id: id() })?);
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::{super::edit::Print, *};

    fn item(id: &str) -> Item {
        let print = Print::of(b"x", &[]);
        let change = super::super::item::Change { inode: 2, modified_ns: 3, before: print.clone(), after: print };
        let path =
            PathBuf::from(<std::ffi::OsString as std::os::unix::ffi::OsStringExt>::from_vec(b"/a/\xff".to_vec()));
        Item {
            id: id.into(),
            path: path.clone(),
            target: path,
            taken_ms: 5,
            holes: vec![],
            adopted: None,
            added: vec![],
            change,
        }
    }

    #[test]
    fn it_says_the_same_after_a_torn_end_and_leaves_out_what_is_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.jsonl");
        let mut journal = Journal::open(folder.path()).unwrap();
        for id in ["a", "b", "c"] {
            journal.append(Record::Take { item: Box::new(item(id)) }).unwrap();
        }
        journal.append(Record::Taken { id: "a".into() }).unwrap();
        journal.append(Record::Dropped { id: "b".into() }).unwrap();
        drop(journal);
        let mut bytes = std::fs::read(&path).unwrap();
        let whole = bytes.len();
        bytes.extend_from_slice(b"{\"op\":\"later_version\"}\n{\"op\":\"taken\",\"id\":\"c");
        std::fs::write(&path, &bytes).unwrap();
        for _ in 0..2 {
            let journal = Journal::open(folder.path()).unwrap();
            let states: Vec<_> = journal.entries.iter().map(|(id, entry)| (id.as_str(), entry.state())).collect();
            assert_eq!(states, [("a", State::Quarantined), ("c", State::Open)]);
            assert_eq!(journal.entries["a"].item, item("a"));
        }
        let bytes = std::fs::read(&path).unwrap();
        assert!(bytes.len() < whole && bytes.starts_with(b"{\"op\":\"later_version\"}\n{"));
        assert!(bytes.ends_with(b"}\n"));
    }
}
