//! Looking for secrets in files that somebody names: what `hallpass scan` does.
//!
//! Owns the way from paths to reported findings: which files, how they are read, what is allowed to stay. It
//! changes nothing, and no report holds a secret.

pub mod allow;
pub mod baseline;
pub mod decoys;
pub mod hook;
pub mod key;
pub mod places;
pub mod read;
pub mod sarif;
pub mod staged;
pub mod walk;

use std::{
    ops::Range,
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use serde::Serialize;

use crate::{
    detect::{Class, Detector, Finding, fingerprint::Fingerprints},
    quarantine::is_beside,
};
use read::{Buffer, Limits, Unread};

/// One finding, as it is reported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reported {
    /// The file, as it was reached. What is not UTF-8 in its name is told as U+FFFD.
    #[serde(serialize_with = "as_text")]
    pub path: PathBuf,
    /// The first byte of the value.
    pub start: usize,
    /// The byte after its last.
    pub end: usize,
    /// The line it begins on, from 1.
    pub line: usize,
    /// The character in that line, from 1.
    pub column: usize,
    /// What it is.
    pub kind: &'static str,
    /// How sure: `certain` or `likely`.
    pub class: &'static str,
    /// The same for the same secret, on this machine.
    pub fingerprint: String,
    /// The key that it is the value of.
    pub key: Option<String>,
    /// Why it is taken for a secret.
    pub why: &'static str,
    /// Where a person revokes it.
    pub revoke: Option<&'static str>,
}

/// A name that is not UTF-8 must not keep the other findings from being told.
fn as_text<S: serde::Serializer>(path: &Path, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&path.to_string_lossy())
}

/// What a scan saw.
#[derive(Debug, Default)]
pub struct Report {
    /// What it found, by path and place.
    pub findings: Vec<Reported>,
    /// Files that were looked into.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files that are no text.
    pub binary: u64,
    /// Files that are too large.
    pub huge: u64,
    /// FIFOs, sockets and devices.
    pub special: u64,
    /// What could not be read, and why.
    pub unreadable: Vec<(PathBuf, String)>,
    /// Findings that an allow entry, an inline mark or the baseline lets stay.
    pub allowed: u64,
    /// What is wrong with allow entries, such as one without a reason.
    pub warnings: Vec<String>,
}

/// How far a scan is; any thread may read it.
#[derive(Debug, Default)]
pub struct Progress {
    /// Files looked into.
    pub files: AtomicU64,
    /// Their bytes.
    pub bytes: AtomicU64,
    /// Findings.
    pub found: AtomicU64,
}

/// What is said of a file that a quarantine left: it is no finding of its own, and no commit may have it.
const CUT_OFF: &str = "a quarantine was cut off here, and this file of its may hold the secret; \
                       `hallpass quarantine list` finishes it";

/// Files up to this are looked at by all threads at once, in bytes.
const SMALL: u64 = 1024 * 1024;

/// What a scan uses.
pub struct Scan<'a> {
    /// The engine.
    pub detector: &'a Detector,
    /// For the reports.
    pub fingerprints: &'a Fingerprints,
    /// Files larger than this are counted, not read, in bytes.
    pub max_size: u64,
    /// How far it is.
    pub progress: &'a Progress,
}

impl Scan<'_> {
    /// Scans files and folders.
    pub fn paths(&self, paths: &[PathBuf]) -> Report {
        let report = Mutex::new(Report::default());
        let allow = allow::Files::default();
        let large = Mutex::new(());
        walk::files(paths, &|path, buffer| self.one(path, buffer, &large, &allow, &report), &|path, why| {
            lock(&report).unreadable.push((path, why));
        });
        let mut report = report.into_inner().unwrap_or_else(PoisonError::into_inner);
        report.warnings.extend(allow.warnings());
        report.findings.sort_by(|a, b| a.path.cmp(&b.path).then(a.start.cmp(&b.start)));
        if paths.len() > 1 {
            once(&mut report.findings);
        }
        report.unreadable.sort();
        report
    }

    fn one(&self, path: &Path, buffer: &mut Buffer, large: &Mutex<()>, allow: &allow::Files, report: &Mutex<Report>) {
        if path.file_name().is_some_and(is_beside) {
            lock(report).unreadable.push((path.to_path_buf(), CUT_OFF.into()));
            return;
        }
        let mut limits = Limits { size: self.max_size.min(SMALL), network: true };
        let mut read = read::file(path, limits, buffer);
        // Of large files one at a time: what they take does not add up over the threads.
        let mut turn = None;
        if matches!(read, Err(Unread::Huge)) && self.max_size > SMALL {
            turn = Some(lock(large));
            limits.size = self.max_size;
            read = read::file(path, limits, buffer);
        }
        match read {
            // A log that is written on and on is looked at as far as it came.
            Ok(()) | Err(Unread::Changing) => {}
            Err(why) => {
                let mut report = lock(report);
                match why {
                    Unread::Gone => {}
                    Unread::Binary => report.binary += 1,
                    Unread::Huge => report.huge += 1,
                    Unread::Special => report.special += 1,
                    why => report.unreadable.push((path.to_path_buf(), why.to_string())),
                }
                return;
            }
        }
        let bytes = buffer.bytes();
        self.progress.files.fetch_add(1, Ordering::Relaxed);
        self.progress.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        let found = self.bytes(path, bytes);
        drop(turn);
        let allow = allow.of_file(bytes);
        let (kept, allowed): (Vec<_>, Vec<_>) = found.into_iter().partition(|finding| !allow.allows(finding));
        self.progress.found.fetch_add(kept.len() as u64, Ordering::Relaxed);
        let mut report = lock(report);
        report.files += 1;
        report.bytes += bytes.len() as u64;
        report.allowed += allowed.len() as u64;
        report.findings.extend(kept);
    }

    /// The findings in a file's bytes.
    pub fn bytes(&self, path: &Path, bytes: &[u8]) -> Vec<Reported> {
        let findings = self.detector.scan(&path.to_string_lossy(), bytes);
        let mut lines = Lines::new(bytes);
        findings.into_iter().map(|finding| self.reported(path, bytes, finding, &mut lines)).collect()
    }

    fn reported(&self, path: &Path, bytes: &[u8], finding: Finding, lines: &mut Lines<'_>) -> Reported {
        let Finding { span: Range { start, end }, kind, class, key, why } = finding;
        let (line, column) = lines.of(start);
        Reported {
            path: path.to_path_buf(),
            start,
            end,
            line,
            column,
            kind,
            class: match class {
                Class::Certain => "certain",
                Class::Likely => "likely",
            },
            fingerprint: self.fingerprints.of(bytes.get(start..end).unwrap_or_default()),
            key,
            why,
            revoke: crate::detect::rule::named(kind).and_then(|rule| rule.revoke),
        }
    }
}

/// Leaves one of each finding: of the paths that were named, several may lead to one file.
fn once(findings: &mut Vec<Reported>) {
    let mut files = std::collections::HashMap::new();
    let mut seen = std::collections::HashSet::new();
    findings.retain(|finding| {
        let real = files
            .entry(finding.path.clone())
            .or_insert_with(|| std::fs::canonicalize(&finding.path).unwrap_or_else(|_| finding.path.clone()));
        seen.insert((real.clone(), finding.start))
    });
}

/// Counts lines once for findings in their order.
struct Lines<'a> {
    bytes: &'a [u8],
    at: usize,
    line: usize,
    column: usize,
}

impl<'a> Lines<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, line: 1, column: 1 }
    }

    fn of(&mut self, place: usize) -> (usize, usize) {
        for byte in self.bytes.get(self.at..place).unwrap_or_default() {
            match byte {
                b'\n' => (self.line, self.column) = (self.line + 1, 1),
                // The further bytes of a character in UTF-8.
                0x80..=0xbf => {}
                _ => self.column += 1,
            }
        }
        self.at = place;
        (self.line, self.column)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
