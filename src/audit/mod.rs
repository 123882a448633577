//! The audit log: JSON lines, hash-chained, one stream for each kind of principal.
//!
//! Owns `<dir>/<kind>.jsonl`, what those files were rotated to (`<kind>.jsonl.1` is the oldest),
//! `<kind>.torn-<time>` and `heads.json`. Must never be given a credential, a token or a query string.
//!
//! What the chain shows: each line carries the hash of the line before it and its own, so a line that
//! was changed, removed or moved is found by [`verify`]. `heads.json` holds each stream's newest line as
//! of the last [`Audit::sync`], so a tail that was cut off before that point is found too. What it cannot
//! show: the hashes have no key, so whoever may write these files (any code under the same uid) can
//! rewrite a stream from some line on, and `heads.json` with it, and nothing here will notice. Against
//! that, keep a head elsewhere and compare: `hallpass audit verify --head KIND:SEQ:HASH`. Lines that
//! were written after the last sync and cut before the next one leave no trace either.

mod builder;
mod files;
mod heads;
pub mod line;
pub mod read;
mod stream;
pub mod verify;

use std::{io, path::Path, path::PathBuf};

use crate::{
    api::problem::Code,
    clock::Moment,
    error::{Error, Result},
    principal::Kind,
};
use line::Line;
use stream::{Limits, Stream};

/// How a thing on record ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// Policy allowed it.
    Allowed,
    /// Policy refused it.
    Denied,
    /// It was done; there was nothing to decide.
    #[default]
    Done,
    /// It was allowed and did not work.
    Failed,
}

impl Decision {
    /// The word on the line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Denied => "denied",
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }
}

/// One thing to put on record. Absent members are left out of the line.
#[derive(Clone, Debug)]
pub struct Record<'a> {
    /// What happened, such as `mint`, `gateway.request`, `task.start`, `credential.reveal`.
    pub event: &'static str,
    /// Who did it.
    pub principal: &'a str,
    /// What kind of principal: the stream.
    pub kind: Kind,
    /// What the daemon saw of the caller ([`crate::principal::Evidence::summary`]).
    pub evidence: Option<&'a str>,
    /// In which task.
    pub task: Option<&'a str>,
    /// With which lease.
    pub lease: Option<&'a str>,
    /// From which issuer.
    pub issuer: Option<&'a str>,
    /// What was to be done.
    pub scopes: Option<String>,
    /// To what.
    pub resources: Option<String>,
    /// How it ended.
    pub decision: Decision,
    /// The error's code, where it did not work.
    pub code: Option<Code>,
    /// The gateway's route.
    pub route: Option<&'a str>,
    /// The request's method.
    pub method: Option<&'a str>,
    /// The request's path; everything from a `?` on is cut.
    pub path: Option<&'a str>,
    /// The upstream's status.
    pub status: Option<u16>,
    /// A sentence more; never text that may hold a value.
    pub detail: Option<&'a str>,
}

impl<'a> Record<'a> {
    /// A record with only what each one has.
    pub fn new(event: &'static str, principal: &'a str, kind: Kind) -> Self {
        Self {
            event,
            principal,
            kind,
            evidence: None,
            task: None,
            lease: None,
            issuer: None,
            scopes: None,
            resources: None,
            decision: Decision::Done,
            code: None,
            route: None,
            method: None,
            path: None,
            status: None,
            detail: None,
        }
    }
}

/// The writer of all streams; one per folder, held by the daemon that has the lock.
#[derive(Debug)]
pub struct Audit {
    dir: PathBuf,
    streams: Vec<Stream>,
    buffer: Line,
    /// `fdatasync` or `heads.json` failed.
    sync_error: Option<String>,
    synced: heads::Heads,
}

impl Audit {
    /// Opens the folder, creates it where it is missing, and mends streams that a crash left torn.
    ///
    /// A folder that cannot be written now (full, read-only) is no error here: [`Audit::error`] says
    /// so, and each later [`Audit::record`] tries again. A folder that is not ours alone is an error.
    pub fn open(dir: &Path) -> Result<Self> {
        Self::open_with(dir, Limits::default())
    }

    fn open_with(dir: &Path, limits: Limits) -> Result<Self> {
        let unavailable = files::private_dir(dir)?.map(|e| describe(&e));
        let known = heads::read(dir);
        let streams =
            Kind::ALL.into_iter().map(|kind| Stream::new(dir, kind, known.get(kind.word()).cloned(), limits)).collect();
        let mut audit =
            Self { dir: dir.into(), streams, buffer: Line::default(), sync_error: unavailable, synced: known };
        let now_ms = jiff::Timestamp::now().as_millisecond();
        for stream in audit.streams.iter_mut().filter(|stream| stream.exists()) {
            // What fails here is kept in the stream's error and tried again with the next record.
            let _ = stream.ensure_open(now_ms, &mut audit.buffer);
        }
        Ok(audit)
    }

    /// Puts one thing on record: one `write(2)`.
    ///
    /// When the line cannot be written it is kept (bounded), the error says so, and the caller must
    /// hand nothing out. The next call first writes what was kept, in order.
    pub fn record(&mut self, record: Record<'_>, now: Moment) -> Result<()> {
        if self.error().is_some() {
            // Its outcome shows in `error()`; this record's own outcome is what is returned.
            let _ = self.flush_pending();
        }
        let buffer = &mut self.buffer;
        let Some(stream) = self.streams.iter_mut().find(|stream| stream.kind == record.kind) else {
            return Err(Error::internal("there is no audit stream for this kind of principal"));
        };
        stream.record(&record, now.wall_ms, buffer).map_err(|e| unwritable(&self.dir, &e))
    }

    /// The same for what has happened already: its line is made now and written by [`Audit::let_go`], together with
    /// others, or by whatever is recorded or synced before.
    pub fn hold(&mut self, record: Record<'_>, now: Moment) -> Result<()> {
        let buffer = &mut self.buffer;
        match self.streams.iter_mut().find(|stream| stream.kind == record.kind && stream.error().is_none()) {
            Some(stream) => stream.hold(&record, now.wall_ms, buffer).map_err(|e| unwritable(&self.dir, &e)),
            None => self.record(record, now),
        }
    }

    /// Writes what is held. What cannot be written is kept, and [`Audit::error`] says why.
    pub fn let_go(&mut self) {
        for stream in &mut self.streams {
            let _ = stream.let_go();
        }
    }

    /// Why the log cannot be written, while it cannot.
    pub fn error(&self) -> Option<String> {
        self.streams.iter().find_map(|stream| stream.error()).or_else(|| self.sync_error.clone())
    }

    /// Writes the lines that were kept; `Ok` once none is left and the log can be written.
    pub fn flush_pending(&mut self) -> Result<()> {
        let mut first = files::private_dir(&self.dir)?;
        let now_ms = jiff::Timestamp::now().as_millisecond();
        for stream in &mut self.streams {
            if let Err(e) = stream.flush(now_ms, &mut self.buffer) {
                first.get_or_insert(e);
            }
        }
        match first {
            Some(e) => Err(unwritable(&self.dir, &e)),
            None if self.sync_error.is_some() => {
                self.sync();
                match &self.sync_error {
                    None => Ok(()),
                    Some(_) => Err(unwritable(&self.dir, &io::Error::other("it cannot be brought to disk"))),
                }
            }
            None => Ok(()),
        }
    }

    /// Brings the streams that were written to disk, then their heads. Call it off the reply path.
    pub fn sync(&mut self) {
        self.sync_error = self.try_sync().err().map(|e| describe(&e));
    }

    /// Every stream's newest line, as `KIND:SEQ:HASH`, to keep elsewhere.
    pub fn heads(&self) -> Vec<String> {
        self.streams
            .iter()
            .filter_map(|s| s.written().map(|h| format!("{}:{}:{}", s.kind.word(), h.seq, h.hash)))
            .collect()
    }

    fn try_sync(&mut self) -> io::Result<()> {
        for stream in &mut self.streams {
            stream.sync()?;
        }
        let mut heads = self.synced.clone();
        for stream in &self.streams {
            if let Some(head) = stream.written() {
                heads.insert(stream.kind.word().to_owned(), head.clone());
            }
        }
        if heads != self.synced {
            heads::write(&self.dir, &heads)?;
            self.synced = heads;
        }
        Ok(())
    }
}

impl Drop for Audit {
    fn drop(&mut self) {
        let now_ms = jiff::Timestamp::now().as_millisecond();
        self.let_go();
        for stream in self.streams.iter_mut().filter(|stream| stream.error().is_some()) {
            let _ = stream.flush(now_ms, &mut self.buffer);
        }
        self.sync();
    }
}

/// What a failed call says, in words that carry nothing of what was written.
fn describe(e: &io::Error) -> String {
    match e.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code).to_string(),
        None => e.to_string(),
    }
}

fn unwritable(dir: &Path, e: &io::Error) -> Error {
    Error::new(Code::StateUnwritable, format!("the audit log cannot be written: {}", describe(e)))
        .hint(format!("make room or make {} writable; hallpass goes on by itself once it can write", dir.display()))
}

#[cfg(test)]
mod tests;
