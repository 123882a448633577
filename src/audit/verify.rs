//! Checking the chain.
//!
//! Owns the answer to "was a line changed, removed, moved or cut off?". Never mends anything. What it
//! can and cannot show is said at the top of [`super`].

use std::{collections::HashSet, path::Path};

use serde::{Deserialize, Serialize};

use super::{
    heads::{self, Heads},
    line::{self, Head},
    read,
};
use crate::{
    api::problem::Code,
    error::{Error, Result},
    principal::Kind,
};

/// The answer for all streams.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Report {
    /// Nothing is wrong with any of them.
    pub ok: bool,
    /// One for each stream that has lines or should have some.
    pub streams: Vec<StreamReport>,
    /// What makes the answer weaker than it could be.
    pub notes: Vec<String>,
}

/// The answer for one stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct StreamReport {
    /// Which.
    pub kind: Kind,
    /// How many lines it has, over all its files.
    pub lines: u64,
    /// The number of the newest line.
    pub seq: u64,
    /// `KIND:SEQ:HASH` of the newest line, to keep elsewhere.
    pub head: Option<String>,
    /// The first thing that is wrong.
    pub fault: Option<Fault>,
    /// Lines in which hallpass itself put something on record about the stream.
    pub notes: Vec<String>,
}

/// What is wrong with a stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Fault {
    /// Which sort of thing.
    pub what: What,
    /// The file.
    pub file: String,
    /// The line in that file, from 1; where lines are missing, the one after them.
    pub line: u64,
    /// The same in a sentence.
    pub detail: String,
}

/// Which sort of thing is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum What {
    /// A line is not what was written.
    Changed,
    /// Lines are missing before this one.
    Removed,
    /// A line is not where it was written.
    Reordered,
    /// Lines are missing at the end.
    Cut,
}

/// A head that was kept elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptHead {
    /// Whose.
    pub kind: Kind,
    /// What.
    pub head: Head,
}

impl std::str::FromStr for KeptHead {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        let wrong = || {
            Error::new(Code::InvalidValue, "this is no head of an audit stream")
                .hint("write it as `hallpass audit verify` prints it: KIND:SEQ:HASH")
        };
        let (kind, rest) = text.split_once(':').ok_or_else(wrong)?;
        let (seq, hash) = rest.split_once(':').ok_or_else(wrong)?;
        let kind = kind.parse().map_err(|_| wrong())?;
        let seq = seq.parse().map_err(|_| wrong())?;
        if hash.len() != 64 || !hash.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(wrong());
        }
        Ok(Self { kind, head: Head { seq, hash: hash.into() } })
    }
}

/// Checks every stream against itself and against `heads.json`.
pub fn verify(dir: &Path) -> Result<Report> {
    verify_against(dir, &[])
}

/// The same, and against heads that were kept elsewhere.
pub fn verify_against(dir: &Path, kept: &[KeptHead]) -> Result<Report> {
    let mut notes = Vec::new();
    // Before the streams: what is written in between only makes them longer.
    let heads = match heads::read_strict(dir) {
        Ok(Some(heads)) => heads,
        Ok(None) => Heads::new(),
        Err(e) => {
            notes.push(format!("{} cannot be used: {}", heads::NAME, super::describe(&e)));
            Heads::new()
        }
    };
    let mut streams = Vec::new();
    for kind in Kind::ALL {
        let mut wanted: Vec<&Head> = kept.iter().filter(|k| k.kind == kind).map(|k| &k.head).collect();
        wanted.extend(heads.get(kind.word()));
        let report = one(dir, kind, &wanted)?;
        if report.lines > 0 && !heads.contains_key(kind.word()) {
            notes.push(format!("{} does not name {}, so a cut at its end cannot be seen", heads::NAME, kind.word()));
        }
        if report.lines > 0 || report.fault.is_some() {
            streams.push(report);
        }
    }
    Ok(Report { ok: streams.iter().all(|stream| stream.fault.is_none()), streams, notes })
}

fn one(dir: &Path, kind: Kind, wanted: &[&Head]) -> Result<StreamReport> {
    let mut chain = Chain { kind, head: line::genesis(kind), lines: 0, fault: None, notes: Vec::new() };
    let mut met: HashSet<u64> = HashSet::new();
    let mut place = (String::new(), 0);
    for path in read::files(dir, kind)? {
        let Some(mut reader) = read::open(&path)? else { continue };
        let file = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let mut bytes = Vec::new();
        let mut number = 0;
        while read::next_line(&mut reader, &mut bytes).map_err(|e| read::unreadable(&path, &e))? {
            number += 1;
            place = (file.clone(), number);
            if let Some(seq) = chain.take(&bytes, &file, number) {
                met.insert(seq);
                let found = chain.head.hash.clone();
                for head in wanted.iter().filter(|head| head.seq == seq && head.hash != found) {
                    chain.fail(
                        What::Changed,
                        &file,
                        number,
                        &format!(
                            "line {} is another one than the one that was put on record (hash {})",
                            head.seq, head.hash
                        ),
                    );
                }
            }
        }
    }
    chain.tell_moved_from_removed(&met);
    let last = chain.head.seq;
    for head in wanted.iter().filter(|head| head.seq > last) {
        let detail = format!("the stream ends at line {last}, and line {} was put on record", head.seq);
        chain.fail(What::Cut, &place.0, place.1, &detail);
    }
    let head = (chain.lines > 0).then(|| format!("{}:{}:{}", kind.word(), chain.head.seq, chain.head.hash));
    Ok(StreamReport {
        kind,
        lines: chain.lines,
        seq: chain.head.seq,
        head,
        fault: chain.fault.map(|(fault, _)| fault),
        notes: chain.notes,
    })
}

struct Chain {
    kind: Kind,
    head: Head,
    lines: u64,
    /// The first fault, and for missing lines the first number that is missing.
    fault: Option<(Fault, Option<u64>)>,
    notes: Vec<String>,
}

impl Chain {
    /// Takes the next line; its number, where it is one of ours.
    fn take(&mut self, bytes: &[u8], file: &str, number: u64) -> Option<u64> {
        self.lines += 1;
        let Some(entry) = line::parse(bytes) else {
            self.fail(What::Changed, file, number, "the line is not one that hallpass writes, or is not whole");
            return None;
        };
        if entry.event.starts_with("stream.") {
            let detail = entry.detail.as_deref().unwrap_or_default();
            self.notes.push(format!("line {}: {}: {detail}", entry.seq, entry.event));
        }
        let next = self.head.seq.saturating_add(1);
        if !line::is_intact(bytes) {
            self.fail(What::Changed, file, number, "the line's hash does not match what it says");
        } else if entry.kind != self.kind {
            self.fail(What::Reordered, file, number, "the line belongs to another stream");
        } else if entry.seq > next {
            let detail = format!("lines {next} to {} are missing before it", entry.seq - 1);
            if self.fault.is_none() {
                self.fault = Some((fault(What::Removed, file, number, &detail), Some(next)));
            }
        } else if entry.seq < next {
            self.fail(What::Reordered, file, number, &format!("line {} stands where line {next} should", entry.seq));
        } else if entry.prev != self.head.hash {
            self.fail(What::Changed, file, number, "the line before it is not the one that it was written after");
        }
        self.head = Head { seq: entry.seq, hash: entry.hash };
        Some(entry.seq)
    }

    fn fail(&mut self, what: What, file: &str, line: u64, detail: &str) {
        if self.fault.is_none() {
            self.fault = Some((fault(what, file, line, detail), None));
        }
    }

    /// Lines that are missing in one place and stand in another were moved.
    fn tell_moved_from_removed(&mut self, met: &HashSet<u64>) {
        if let Some((fault, Some(missing))) = &mut self.fault
            && met.contains(missing)
        {
            fault.what = What::Reordered;
            fault.detail = format!("line {missing} should stand here, and stands further on");
        }
    }
}

fn fault(what: What, file: &str, line: u64, detail: &str) -> Fault {
    Fault { what, file: file.into(), line, detail: detail.into() }
}
