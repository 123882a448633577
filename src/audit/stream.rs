//! One stream's files: append, keep what could not be written, mend, rotate.
//!
//! Owns the promise that the file always ends with a whole line, that lines reach it in the order of
//! the chain, and that nothing is dropped without a line that says so.
//!
//! Past 400 lines: the open file, the chain and the lines that wait are one state, and each change of one is a
//! change of the others.

use std::{
    collections::VecDeque,
    fs::{self, File},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use super::{
    Decision, Record,
    files::{copy, create_new, file_name, open_append, open_read, private_dir, read_end, rotated},
    line::{self, Head, Line},
};
use crate::principal::Kind;

/// What a stream may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// A file this large is rotated.
    pub(super) file_bytes: u64,
    /// The most lines kept in memory while they cannot be written.
    pub(super) pending_lines: usize,
    /// The most bytes of them.
    pub(super) pending_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { file_bytes: 64 * 1024 * 1024, pending_lines: 1000, pending_bytes: 1024 * 1024 }
    }
}

/// After so many records, or so many milliseconds, the file's place is looked at again.
const LOOK_EVERY: (u32, u64) = (64, 1000);

/// As much is held at the most: well within the room that is set aside, so that it will fit.
const HELD: usize = 16 * 1024;

/// One kind's stream.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) kind: Kind,
    dir: PathBuf,
    limits: Limits,
    open: Option<Open>,
    /// The newest line made, written or kept.
    made: Option<Head>,
    /// The newest line in the file.
    written: Option<Head>,
    /// The newest line as `heads.json` had it at start-up.
    known: Option<Head>,
    /// Lines that are made and will be written in one piece, up to `made`.
    held: Vec<u8>,
    /// What could not be written: whole lines, and the last one's head.
    pending: VecDeque<(Vec<u8>, Head)>,
    pending_bytes: usize,
    /// Records that did not fit into `pending`.
    lost: u64,
    error: Option<io::Error>,
    dirty: bool,
}

/// How much room is set aside, in bytes: some two hundred lines.
const RESERVE: u64 = 64 * 1024;

#[derive(Debug)]
struct Open {
    file: File,
    device: u64,
    inode: u64,
    /// Up to here the file holds whole lines.
    length: u64,
    /// Up to here the disk has room set aside for lines to come.
    reserved: u64,
    /// Something may stand after `length`.
    torn: bool,
    unlooked: u32,
    looked_ms: i64,
}

impl Stream {
    pub(super) fn new(dir: &Path, kind: Kind, known: Option<Head>, limits: Limits) -> Self {
        Self {
            kind,
            dir: dir.into(),
            limits,
            open: None,
            made: None,
            written: None,
            known,
            held: Vec::new(),
            pending: VecDeque::new(),
            pending_bytes: 0,
            lost: 0,
            error: None,
            dirty: false,
        }
    }

    pub(super) fn exists(&self) -> bool {
        self.path().symlink_metadata().is_ok()
    }

    pub(super) fn error(&self) -> Option<String> {
        self.error.as_ref().map(super::describe)
    }

    pub(super) fn written(&self) -> Option<&Head> {
        self.written.as_ref().filter(|head| head.seq > 0)
    }

    /// Makes one record's line, which [`Stream::let_go`] writes.
    pub(super) fn hold(&mut self, record: &Record<'_>, now_ms: i64, buffer: &mut Line) -> io::Result<()> {
        let usable = self.error.is_none() && self.pending.is_empty();
        let Some(head) = self.made.clone().filter(|_| usable && self.open.is_some()) else {
            return self.record(record, now_ms, buffer);
        };
        if self.held.is_empty()
            && let Err(e) = self.look(now_ms, buffer)
        {
            self.error = Some(e);
            return self.record(record, now_ms, buffer);
        }
        self.made = Some(buffer.write(record, now_ms, &head));
        self.held.extend_from_slice(buffer.bytes());
        if self.held.len() < HELD { Ok(()) } else { self.let_go() }
    }

    /// Writes the lines that are held; those that cannot be are kept like any other.
    pub(super) fn let_go(&mut self) -> io::Result<()> {
        if self.held.is_empty() {
            return Ok(());
        }
        let mut held = std::mem::take(&mut self.held);
        match self.append(&held) {
            Ok(()) => {
                self.written.clone_from(&self.made);
                held.clear();
                self.held = held;
                Ok(())
            }
            Err(e) => {
                self.pending_bytes += held.len();
                self.pending.extend(self.made.clone().map(|head| (held, head)));
                self.error = Some(copy(&e));
                Err(e)
            }
        }
    }

    /// Puts one record into the file, or, with an error, into memory.
    pub(super) fn record(&mut self, record: &Record<'_>, now_ms: i64, buffer: &mut Line) -> io::Result<()> {
        // What this fails with is the error of the stream from here on.
        let _ = self.let_go();
        if self.error.is_none() && self.pending.is_empty() {
            match self.look(now_ms, buffer) {
                Ok(()) => {}
                Err(e) => self.error = Some(e),
            }
        }
        if self.error.is_none() && self.pending.is_empty() {
            let next = match &self.made {
                Some(head) => buffer.write(record, now_ms, head),
                None => buffer.write(record, now_ms, &line::genesis(self.kind)),
            };
            match self.append(buffer.bytes()) {
                Ok(()) => {
                    self.made = Some(next.clone());
                    self.written = Some(next);
                    return Ok(());
                }
                Err(e) => self.error = Some(e),
            }
        }
        // Without a head (the file could not even be opened) no line can be chained.
        let fits = self.pending.len() < self.limits.pending_lines && self.pending_bytes < self.limits.pending_bytes;
        match &self.made {
            Some(head) if fits => {
                let next = buffer.write(record, now_ms, head);
                self.pending_bytes += buffer.bytes().len();
                self.pending.push_back((buffer.bytes().to_vec(), next.clone()));
                self.made = Some(next);
            }
            _ => self.lost += 1,
        }
        Err(self.error.as_ref().map_or_else(|| io::Error::other("lines are waiting"), copy))
    }

    /// Writes what was kept, in order; clears the error once all of it is written.
    pub(super) fn flush(&mut self, now_ms: i64, buffer: &mut Line) -> io::Result<()> {
        let _ = self.let_go();
        if self.error.is_none() && self.pending.is_empty() {
            return Ok(());
        }
        match self.try_flush(now_ms, buffer) {
            Ok(()) => {
                self.error = None;
                Ok(())
            }
            Err(e) => {
                self.error = Some(copy(&e));
                Err(e)
            }
        }
    }

    fn try_flush(&mut self, now_ms: i64, buffer: &mut Line) -> io::Result<()> {
        if self.is_elsewhere() {
            self.open = None;
        }
        self.ensure_open(now_ms, buffer)?;
        self.mend_tail()?;
        while let Some((bytes, head)) = self.pending.front().cloned() {
            self.append(&bytes)?;
            self.pending_bytes = self.pending_bytes.saturating_sub(bytes.len());
            self.written = Some(head);
            self.pending.pop_front();
        }
        if self.lost > 0 {
            let detail = format!("{} records could not be kept while the log could not be written", self.lost);
            self.lost = 0;
            self.note("stream.lost", Decision::Failed, &detail, now_ms, buffer)?;
        }
        self.reserve()
    }

    /// Brings it to disk, if anything was written.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        self.let_go()?;
        if let (true, Some(open)) = (self.dirty, &self.open) {
            open.file.sync_data()?;
            self.dirty = false;
        }
        Ok(())
    }

    /// Opens the file if it is not open, and mends what a crash left.
    pub(super) fn ensure_open(&mut self, now_ms: i64, buffer: &mut Line) -> io::Result<()> {
        if self.open.is_some() {
            return Ok(());
        }
        let opened = self.try_open(now_ms, buffer);
        self.error = opened.as_ref().err().map(copy);
        opened
    }

    fn try_open(&mut self, now_ms: i64, buffer: &mut Line) -> io::Result<()> {
        private_dir(&self.dir).map_err(|e| io::Error::other(e.detail))?.map_or(Ok(()), Err)?;
        let file = open_append(&self.path())?;
        let metadata = file.metadata()?;
        let end = read_end(&file, metadata.len())?;
        let mut notes: Vec<(&'static str, String)> = Vec::new();
        let mut length = metadata.len();
        if end.torn > 0 {
            if end.torn_is_whole {
                (&file).write_all(b"\n")?;
                length += 1;
                notes.push(("stream.recovered", "the last line lacked its end, which was added".into()));
            } else {
                let aside = self.move_aside(&file, length - end.torn, end.torn, now_ms)?;
                length -= end.torn;
                notes.push(("stream.recovered", format!("{} bytes of a torn line were moved to {aside}", end.torn)));
            }
        }
        let mut found = end.head;
        if found.is_none() {
            found = self.last_rotated()?;
        }
        let mut head = found.clone().unwrap_or_else(|| line::genesis(self.kind));
        // After our own reopening, `made` is where the chain goes on; at start-up `known` is the most
        // that is on record elsewhere.
        let expected = self.written.clone().or_else(|| self.known.clone());
        let lacking =
            |expected: &Head| expected.seq > head.seq || (expected.seq == head.seq && expected.hash != head.hash);
        if let Some(expected) = expected.filter(lacking) {
            let detail = format!(
                "the file ended at line {}, and line {} with hash {} was the last on record",
                head.seq, expected.seq, expected.hash
            );
            let event = if found.is_none() { "stream.started" } else { "stream.cut" };
            notes.push((event, detail));
            // The chain goes on from what was on record, so that the break stays visible for good.
            head = expected;
        }
        if length == 0 {
            // A new file's name must outlive a power cut too; where that fails, the lines themselves may not.
            let _ = File::open(&self.dir).and_then(|dir| dir.sync_all());
        }
        self.open = Some(Open {
            device: metadata.dev(),
            inode: metadata.ino(),
            file,
            length,
            reserved: 0,
            torn: false,
            unlooked: 0,
            looked_ms: now_ms,
        });
        self.written = Some(head.clone());
        if self.pending.is_empty() {
            self.made = Some(head);
        }
        while let Some((bytes, head)) = self.pending.front().cloned() {
            self.append(&bytes)?;
            self.pending_bytes = self.pending_bytes.saturating_sub(bytes.len());
            self.written = Some(head);
            self.pending.pop_front();
        }
        let mut outcome = Ok(());
        for (event, detail) in notes {
            let noted = self.note(event, Decision::Done, &detail, now_ms, buffer);
            outcome = outcome.and(noted);
        }
        outcome
    }

    /// Opens, rotates, or starts anew where the file was moved or deleted under us.
    fn look(&mut self, now_ms: i64, buffer: &mut Line) -> io::Result<()> {
        let (every, ms) = LOOK_EVERY;
        let Some(open) = &mut self.open else { return self.ensure_open(now_ms, buffer) };
        open.unlooked += 1;
        if open.length >= self.limits.file_bytes {
            self.rotate()?;
            return self.ensure_open(now_ms, buffer);
        }
        if open.unlooked < every && now_ms.abs_diff(open.looked_ms) < ms {
            return Ok(());
        }
        open.unlooked = 0;
        open.looked_ms = now_ms;
        if !self.is_elsewhere() {
            return Ok(());
        }
        self.open = None;
        self.ensure_open(now_ms, buffer)
    }

    /// The file that is open is no longer the one in its place.
    fn is_elsewhere(&self) -> bool {
        let Some(open) = &self.open else { return false };
        let there = self.path().symlink_metadata();
        !there.is_ok_and(|m| (m.dev(), m.ino()) == (open.device, open.inode))
    }

    fn rotate(&mut self) -> io::Result<()> {
        self.sync()?;
        let next = rotated(&self.dir, self.kind)?.last().map_or(1, |(number, _)| number + 1);
        fs::rename(self.path(), self.dir.join(format!("{}.{next}", file_name(self.kind))))?;
        self.open = None;
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.mend_tail()?;
        let Some(open) = &mut self.open else { return Err(io::Error::other("the stream is not open")) };
        let written = loop {
            match (&open.file).write(bytes) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        match written {
            Ok(n) if n == bytes.len() => {
                open.length += n as u64;
                self.dirty = true;
                // This line is written, whatever comes of the room for the next ones.
                self.error = self.reserve().err();
                Ok(())
            }
            Ok(_) => {
                // Half a line: take it back, now or before the next line.
                open.torn = true;
                let _ = self.mend_tail();
                Err(io::Error::new(io::ErrorKind::StorageFull, "only a part of a line could be written"))
            }
            Err(e) => Err(e),
        }
    }

    /// Keeps room set aside behind the last line: a disk that fills up is noticed here, while the lines of what
    /// is under way still fit, and not by the first line that does not.
    fn reserve(&mut self) -> io::Result<()> {
        let Some(open) = &mut self.open else { return Ok(()) };
        if open.reserved < open.length + RESERVE / 2 {
            open.reserved = match crate::sys::reserve(&open.file, open.length, RESERVE)? {
                true => open.length + RESERVE,
                false => u64::MAX,
            };
        }
        Ok(())
    }

    fn mend_tail(&mut self) -> io::Result<()> {
        if let Some(open) = self.open.as_mut().filter(|open| open.torn) {
            open.file.set_len(open.length)?;
            open.torn = false;
        }
        Ok(())
    }

    /// A line about the stream itself; kept like any other when it cannot be written.
    fn note(
        &mut self,
        event: &'static str,
        decision: Decision,
        detail: &str,
        now_ms: i64,
        buffer: &mut Line,
    ) -> io::Result<()> {
        let record = Record { decision, detail: Some(detail), ..Record::new(event, "hallpass", self.kind) };
        let head = self.made.clone().unwrap_or_else(|| line::genesis(self.kind));
        let next = buffer.write(&record, now_ms, &head);
        self.made = Some(next.clone());
        let appended = match self.pending.is_empty() {
            true => self.append(buffer.bytes()),
            false => Err(io::Error::other("lines are waiting")),
        };
        match appended {
            Ok(()) => self.written = Some(next),
            Err(_) => {
                self.pending_bytes += buffer.bytes().len();
                self.pending.push_back((buffer.bytes().to_vec(), next));
            }
        }
        appended
    }

    fn move_aside(&self, file: &File, from: u64, count: u64, now_ms: i64) -> io::Result<String> {
        let mut bytes = Vec::new();
        let mut source: &File = file;
        source.seek(SeekFrom::Start(from))?;
        source.take(count).read_to_end(&mut bytes)?;
        let mut name = format!("{}.torn-{}", self.kind.word(), line::time_text(now_ms).replace(':', ""));
        let aside = match create_new(&self.dir.join(&name)) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                name.push_str(&format!("-{from}"));
                create_new(&self.dir.join(&name))
            }
            other => other,
        };
        let mut aside = aside?;
        aside.write_all(&bytes)?;
        aside.sync_all()?;
        file.set_len(from)?;
        Ok(name)
    }

    fn last_rotated(&self) -> io::Result<Option<Head>> {
        let Some((_, path)) = rotated(&self.dir, self.kind)?.pop() else { return Ok(None) };
        let file = open_read(&path)?;
        let length = file.metadata()?.len();
        Ok(read_end(&file, length)?.head)
    }

    fn path(&self) -> PathBuf {
        self.dir.join(file_name(self.kind))
    }

    #[cfg(test)]
    pub(super) fn divert(&mut self, file: File) -> Option<File> {
        self.open.as_mut().map(|open| std::mem::replace(&mut open.file, file))
    }
}
