//! What is allowed to stay: inline marks and `.hallpass-allow.toml`.
//!
//! Owns both. Each needs a reason, and may end: an allow list that nobody can question is a blind spot. What is
//! wrong with an entry is said, and the entry does not count.
//!
//! Inline, on the line of the finding or the one above: `hallpass:allow made up for the tests until=2027-01-31`.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use super::{Reported, lock};

/// The name of an allow file; it speaks for its folder and everything below.
pub const FILE: &str = ".hallpass-allow.toml";
const MARK: &str = "hallpass:allow";
const MAX_FILE: u64 = 1024 * 1024;
/// How much of a line is read for the reason after a mark, in bytes.
const LONGEST: usize = 512;

/// The allow files met in one scan.
#[derive(Default)]
pub struct Files {
    known: Mutex<BTreeMap<PathBuf, Arc<Vec<Entry>>>>,
    warnings: Mutex<Vec<String>>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    #[serde(default)]
    allow: Vec<RawEntry>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEntry {
    path: Option<String>,
    kind: Option<String>,
    fingerprint: Option<String>,
    reason: String,
    expires: Option<toml::value::Datetime>,
}

struct Entry {
    path: Option<globset::GlobMatcher>,
    kind: Option<String>,
    fingerprint: Option<String>,
}

/// What lets a finding of one file stay.
pub struct Marks<'a> {
    files: &'a Files,
    bytes: &'a [u8],
    /// In their order.
    places: Vec<Mark>,
}

#[derive(Clone, Copy)]
struct Mark {
    at: usize,
    line: usize,
}

impl Marks<'_> {
    /// Whether the finding may stay.
    pub fn allows(&self, finding: &Reported) -> bool {
        self.inline(finding) || self.files.by_file(finding)
    }

    /// By the first mark of the line above, and on its own line by the first before the value and the first behind it.
    /// Not by one within: a value is not its own permission. Of thousands of findings on one line none may search it.
    fn inline(&self, finding: &Reported) -> bool {
        if self.places.is_empty() {
            return false;
        }
        let first = |is_before: &dyn Fn(&Mark) -> bool| {
            self.places.get(self.places.partition_point(|mark| is_before(mark))).copied()
        };
        let value = self.bytes.get(finding.start..finding.end).unwrap_or_default();
        let last = finding.line + memchr::memchr_iter(b'\n', value).count();
        let above = first(&|mark| mark.line + 1 < finding.line).filter(|mark| mark.line + 1 == finding.line);
        let before = first(&|mark| mark.line < finding.line);
        let before = before.filter(|mark| mark.line == finding.line && mark.at < finding.start);
        let behind = first(&|mark| mark.at < finding.end).filter(|mark| mark.line == last);
        let place = || format!("{}:{}", finding.path.display(), finding.line);
        [behind, before, above].into_iter().flatten().any(|mark| {
            let text = self.bytes.get(mark.at..).unwrap_or_default();
            let text = text.get(..LONGEST).unwrap_or(text).split(|byte| *byte == b'\n').next().unwrap_or_default();
            self.files.mark(&String::from_utf8_lossy(text), &place())
        })
    }
}

impl Files {
    /// With the inline marks of a file that has these bytes.
    pub fn of_file<'a>(&'a self, bytes: &'a [u8]) -> Marks<'a> {
        let (mut line, mut from) = (1, 0);
        let places = memchr::memmem::find_iter(bytes, MARK).map(|at| {
            line += memchr::memchr_iter(b'\n', bytes.get(from..at).unwrap_or_default()).count();
            from = at;
            Mark { at, line }
        });
        Marks { files: self, bytes, places: places.collect() }
    }

    /// What is wrong with the entries met.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = std::mem::take(&mut *lock(&self.warnings));
        warnings.sort();
        warnings.dedup();
        warnings
    }

    fn mark(&self, text: &str, place: &str) -> bool {
        let Some((_, rest)) = text.split_once(MARK) else { return false };
        let until = rest.split_whitespace().find_map(|word| word.strip_prefix("until="));
        let reason =
            rest.split_whitespace().filter(|word| !word.starts_with("until=") && word.contains(char::is_alphanumeric));
        if reason.count() == 0 {
            self.warn(format!("{place}: `{MARK}` needs a reason after it, and does not count without one"));
            return false;
        }
        match until.map(str::parse::<jiff::civil::Date>) {
            None => true,
            Some(Ok(date)) if date >= today() => true,
            Some(Ok(date)) => {
                self.warn(format!("{place}: `{MARK}` ended on {date}"));
                false
            }
            Some(Err(_)) => {
                self.warn(format!("{place}: `{MARK}`: until= takes a date such as until=2027-01-31"));
                false
            }
        }
    }

    fn by_file(&self, finding: &Reported) -> bool {
        let path = std::path::absolute(&finding.path).unwrap_or_else(|_| finding.path.clone());
        path.ancestors().skip(1).any(|folder| {
            let inside = path.strip_prefix(folder).unwrap_or(&path);
            self.of(folder).iter().any(|entry| {
                entry.path.as_ref().is_none_or(|glob| glob.is_match(inside))
                    && entry.kind.as_ref().is_none_or(|kind| kind == finding.kind)
                    && entry.fingerprint.as_ref().is_none_or(|print| *print == finding.fingerprint)
            })
        })
    }

    fn of(&self, folder: &Path) -> Arc<Vec<Entry>> {
        if let Some(entries) = lock(&self.known).get(folder) {
            return Arc::clone(entries);
        }
        let path = folder.join(FILE);
        let entries = match crate::config::read_file(&path, MAX_FILE) {
            Ok(Some(text)) => self.parse(&path, &text),
            Ok(None) => Vec::new(),
            Err(e) => {
                self.warn(e.detail);
                Vec::new()
            }
        };
        let entries = Arc::new(entries);
        lock(&self.known).insert(folder.to_path_buf(), Arc::clone(&entries));
        entries
    }

    fn parse(&self, path: &Path, text: &str) -> Vec<Entry> {
        let place = path.display();
        match toml::from_str::<Raw>(text) {
            Ok(raw) => raw.allow.into_iter().filter_map(|entry| self.entry(entry, &place.to_string())).collect(),
            Err(e) => {
                let line = e.span().map_or(1, |span| text.get(..span.start).unwrap_or_default().lines().count().max(1));
                self.warn(format!("{place}:{line}: {}; nothing in it counts", e.message()));
                Vec::new()
            }
        }
    }

    fn entry(&self, raw: RawEntry, place: &str) -> Option<Entry> {
        let RawEntry { path, kind, fingerprint, reason, expires } = raw;
        if reason.trim().is_empty() || (path.is_none() && kind.is_none() && fingerprint.is_none()) {
            self.warn(format!("{place}: an entry needs a reason and at least one of path, kind and fingerprint"));
            return None;
        }
        if let Some(expires) = expires {
            let date = expires.date.and_then(|date| {
                jiff::civil::Date::new(
                    date.year.try_into().ok()?,
                    date.month.try_into().ok()?,
                    date.day.try_into().ok()?,
                )
                .ok()
            });
            let wrong = match date {
                Some(date) if date >= today() => None,
                Some(date) => Some(format!("the entry \"{}\" ended on {date}", crate::principal::printable(&reason))),
                None => Some("expires takes a date such as 2027-01-31".to_owned()),
            };
            if let Some(wrong) = wrong {
                self.warn(format!("{place}: {wrong}"));
                return None;
            }
        }
        let path = match path.map(|glob| globset::GlobBuilder::new(&glob).literal_separator(true).build()).transpose() {
            Ok(glob) => glob.map(|glob| glob.compile_matcher()),
            Err(e) => {
                self.warn(format!("{place}: {e}"));
                return None;
            }
        };
        Some(Entry { path, kind, fingerprint })
    }

    fn warn(&self, text: String) {
        lock(&self.warnings).push(text);
    }
}

/// Today in UTC: an entry ends for everybody at once.
fn today() -> jiff::civil::Date {
    let now = jiff::Timestamp::now().to_string();
    now.get(..10).and_then(|date| date.parse().ok()).unwrap_or_default()
}
