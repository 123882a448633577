//! Reading the streams: a query over all of them, and following them as they grow.
//!
//! Owns the order of what is shown: by time, then by stream and number. Never writes.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    files,
    line::{self, Entry, MAX_LINE},
};
use crate::{
    api::problem::Code,
    error::{Error, Result},
    principal::Kind,
};

/// Which lines are wanted; every condition that is set must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Of this principal.
    pub principal: Option<String>,
    /// Of this kind.
    pub kind: Option<Kind>,
    /// In this task.
    pub task: Option<String>,
    /// With this lease.
    pub lease: Option<String>,
    /// This event, or the events that start with it and a dot.
    pub event: Option<String>,
    /// At or after this moment, Unix milliseconds.
    pub since_ms: Option<i64>,
    /// Before this moment, Unix milliseconds.
    pub until_ms: Option<i64>,
    /// The newest so many.
    pub limit: Option<usize>,
}

impl Filter {
    /// True for a line that is wanted.
    pub fn wants(&self, entry: &Entry) -> bool {
        let same =
            |wanted: &Option<String>, found: Option<&str>| wanted.as_deref().is_none_or(|wanted| found == Some(wanted));
        let event = self.event.as_deref().is_none_or(|wanted| {
            entry.event.strip_prefix(wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        });
        event
            && same(&self.principal, Some(&entry.principal))
            && self.kind.is_none_or(|kind| kind == entry.kind)
            && same(&self.task, entry.task.as_deref())
            && same(&self.lease, entry.lease.as_deref())
            && self.since_ms.is_none_or(|ms| entry.time >= line::time_text(ms))
            && self.until_ms.is_none_or(|ms| entry.time < line::time_text(ms))
    }

    fn kinds(&self) -> impl Iterator<Item = Kind> {
        let only = self.kind;
        Kind::ALL.into_iter().filter(move |kind| only.is_none_or(|wanted| wanted == *kind))
    }
}

/// The lines that are wanted, oldest first. A line that cannot be read is left out: [`super::verify`]
/// is what reports those. A folder that is not there has no lines.
pub fn query(dir: &Path, filter: &Filter) -> Result<Vec<Entry>> {
    let limit = filter.limit.unwrap_or(usize::MAX);
    let mut all: Vec<Entry> = Vec::new();
    for kind in filter.kinds() {
        let mut newest: VecDeque<Entry> = VecDeque::new();
        for path in files(dir, kind)? {
            let Some(mut reader) = open(&path)? else { continue };
            let mut bytes = Vec::new();
            while next_line(&mut reader, &mut bytes).map_err(|e| unreadable(&path, &e))? {
                let Some(entry) = line::parse(&bytes).filter(|entry| filter.wants(entry)) else { continue };
                newest.push_back(entry);
                if newest.len() > limit {
                    newest.pop_front();
                }
            }
        }
        all.extend(newest);
    }
    all.sort_by(|a, b| (&a.time, a.kind, a.seq).cmp(&(&b.time, b.kind, b.seq)));
    let surplus = all.len().saturating_sub(limit);
    all.drain(..surplus);
    Ok(all)
}

/// Follows the streams from their present end on.
#[derive(Debug)]
pub struct Tail {
    dir: PathBuf,
    filter: Filter,
    places: Vec<Place>,
}

#[derive(Debug)]
struct Place {
    kind: Kind,
    file: Option<(File, u64)>,
    offset: u64,
}

/// How often [`follow`] looks; it runs only while somebody reads its output.
pub const INTERVAL: Duration = Duration::from_millis(250);

impl Tail {
    /// Starts at the present end of each stream.
    pub fn new(dir: &Path, filter: Filter) -> Result<Self> {
        let mut places = Vec::new();
        for kind in filter.kinds() {
            let mut place = Place { kind, file: None, offset: 0 };
            place.reopen(dir)?;
            if let Some((file, _)) = &place.file {
                place.offset = file.metadata().map_err(|e| unreadable(dir, &e))?.len();
            }
            places.push(place);
        }
        Ok(Self { dir: dir.into(), filter, places })
    }

    /// The lines that came since the last call, oldest first.
    pub fn poll(&mut self) -> Result<Vec<Entry>> {
        let mut fresh = Vec::new();
        for place in &mut self.places {
            place.read(&self.filter, &mut fresh).map_err(|e| unreadable(&self.dir, &e))?;
            if place.moved(&self.dir) {
                // What came between the last read and the rotation is still in the old file.
                place.read(&self.filter, &mut fresh).map_err(|e| unreadable(&self.dir, &e))?;
                place.reopen(&self.dir)?;
                place.read(&self.filter, &mut fresh).map_err(|e| unreadable(&self.dir, &e))?;
            }
        }
        fresh.sort_by(|a, b| (&a.time, a.kind, a.seq).cmp(&(&b.time, b.kind, b.seq)));
        Ok(fresh)
    }
}

/// Calls `each` with every new line until it says false.
pub fn follow(tail: &mut Tail, mut each: impl FnMut(&Entry) -> bool) -> Result<()> {
    loop {
        for entry in tail.poll()? {
            if !each(&entry) {
                return Ok(());
            }
        }
        std::thread::sleep(INTERVAL);
    }
}

impl Place {
    fn reopen(&mut self, dir: &Path) -> Result<()> {
        let path = dir.join(files::file_name(self.kind));
        self.offset = 0;
        self.file = match files::open_read(&path) {
            Ok(file) => {
                let inode = file.metadata().map_err(|e| unreadable(&path, &e))?.ino();
                Some((file, inode))
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => None,
            Err(e) => return Err(unreadable(&path, &e)),
        };
        Ok(())
    }

    fn moved(&self, dir: &Path) -> bool {
        let there = dir.join(files::file_name(self.kind)).symlink_metadata().ok().map(|m| m.ino());
        there.is_some() && there != self.file.as_ref().map(|(_, inode)| *inode)
    }

    fn read(&mut self, filter: &Filter, into: &mut Vec<Entry>) -> io::Result<()> {
        let Some((file, _)) = &self.file else { return Ok(()) };
        let mut source: &File = file;
        source.seek(SeekFrom::Start(self.offset))?;
        let mut reader = BufReader::new(source);
        let mut bytes = Vec::new();
        loop {
            bytes.clear();
            let count = reader.by_ref().take(MAX_LINE as u64).read_until(b'\n', &mut bytes)?;
            let Some(body) = bytes.strip_suffix(b"\n") else { return Ok(()) };
            self.offset += count as u64;
            into.extend(line::parse(body).filter(|entry| filter.wants(entry)));
        }
    }
}

/// A kind's files that are there, oldest first.
pub(super) fn files(dir: &Path, kind: Kind) -> Result<Vec<PathBuf>> {
    let old = match files::rotated(dir, kind) {
        Ok(old) => old,
        Err(e) if e.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(e) => return Err(unreadable(dir, &e)),
    };
    Ok(old.into_iter().map(|(_, path)| path).chain([dir.join(files::file_name(kind))]).collect())
}

/// A reader of one file, or `None` where it is not there.
pub(super) fn open(path: &Path) -> Result<Option<BufReader<File>>> {
    match files::open_read(path) {
        Ok(file) => Ok(Some(BufReader::with_capacity(64 * 1024, file))),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(unreadable(path, &e)),
    }
}

/// Reads one line without its newline into `bytes`; false at the end. A last line without a newline,
/// and a line over the limit, come as they are: no check will take them for whole.
pub(super) fn next_line(reader: &mut BufReader<File>, bytes: &mut Vec<u8>) -> io::Result<bool> {
    bytes.clear();
    if reader.by_ref().take(MAX_LINE as u64).read_until(b'\n', bytes)? == 0 {
        return Ok(false);
    }
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
    } else {
        bytes.push(b'\\');
    }
    Ok(true)
}

pub(super) fn unreadable(path: &Path, e: &io::Error) -> Error {
    Error::new(Code::Io, format!("{} cannot be read: {}", path.display(), super::describe(e)))
        .hint("the audit log belongs to the user who runs the daemon; run this as that user")
}
