//! What a take changes, shown without showing it.
//!
//! Owns the masking. Beside the taken values, anything long and mixed on a shown line is masked too: it may be a
//! secret that nobody took.

use std::{fmt::Write, ops::Range, path::Path};

use super::{Quarantine, error::RestoreError, item::Hole, place::Place, restore::places};

/// Beginnings that say whose key it is and nothing of the key.
const KNOWN: &[&str] = &[
    "sk-", "pk-", "rk_", "sk_", "ghp_", "gho_", "ghs_", "ghu_", "glpa", "xoxb", "xoxp", "xapp", "AKIA", "ASIA", "AIza",
    "npm_", "pypi", "hf_", "gsk_", "dop_", "SG.", "eyJ",
];
const MASK: &str = "********";
/// How much of a long line is shown on both sides of a value, in bytes.
const AROUND: usize = 40;
/// From this length on a run of letters and digits is masked.
const LONG: usize = 16;

/// What may be shown of a secret: its beginning where that is known, at most four characters; never its length.
pub fn mask(value: &[u8]) -> String {
    let start = KNOWN.iter().find(|start| value.len() >= LONG && value.starts_with(start.as_bytes()));
    format!("{}{MASK}", start.copied().unwrap_or_default())
}

impl Quarantine {
    /// What quarantine changed in an item's file, as a unified diff without context, every value masked.
    ///
    /// # Errors
    /// As for a restore.
    pub fn diff(&self, id: &str) -> Result<String, RestoreError> {
        let item = &self.journal.entries.get(id).ok_or(RestoreError::NoSuchItem)?.item;
        let place = Place::at(item.target.clone())?;
        let look = place.look()?;
        let found = if item.change.after.fits(&look.bytes) {
            item.holes.iter().enumerate().map(|(index, hole)| (index, hole.new_span())).collect()
        } else {
            places(&item.holes, &look.bytes).map_err(RestoreError::Changed)?.0
        };
        let spans: Vec<_> = found.iter().map(|(_, span)| span.clone()).collect();
        let masks: Vec<_> =
            found.iter().filter_map(|(index, _)| item.holes.get(*index)).map(|hole| hole.mask.as_str()).collect();
        let mut text = head(&item.path);
        let kept = texts(&look.bytes, &spans);
        lines(&mut text, &look.bytes, &spans, &masks, &kept);
        Ok(text)
    }
}

/// The diff of a take that is only planned.
pub(super) fn masked(path: &Path, (old, holes): (&[u8], &[Hole]), new: &[u8]) -> String {
    let spans: Vec<_> = holes.iter().map(Hole::old_span).collect();
    let masks: Vec<_> = holes.iter().map(|hole| hole.mask.as_str()).collect();
    let news: Vec<_> = holes.iter().map(Hole::new_span).collect();
    let mut text = head(path);
    lines(&mut text, old, &spans, &masks, &texts(new, &news));
    text
}

fn head(path: &Path) -> String {
    let path = crate::principal::printable(&path.to_string_lossy());
    format!("--- {path}\n+++ {path}\n")
}

fn texts(bytes: &[u8], spans: &[Range<usize>]) -> Vec<String> {
    spans.iter().map(|span| printable(bytes.get(span.clone()).unwrap_or_default())).collect()
}

/// For every run of lines with spans in it one hunk: the lines with `removed` in the spans, then with `added`.
fn lines(out: &mut String, bytes: &[u8], spans: &[Range<usize>], removed: &[&str], added: &[String]) {
    let mut number = 1;
    let mut counted = 0;
    let mut next = 0;
    while let Some(first) = spans.get(next) {
        let start = bytes.get(..first.start).and_then(|b| b.iter().rposition(|c| *c == b'\n')).map_or(0, |at| at + 1);
        number += bytes.get(counted..start).unwrap_or_default().iter().filter(|c| **c == b'\n').count();
        counted = start;
        let mut last = next;
        let line_end = |from: usize| {
            bytes.get(from..).and_then(|b| b.iter().position(|c| *c == b'\n')).map_or(bytes.len(), |at| from + at)
        };
        let mut end = line_end(first.end);
        while let Some(span) = spans.get(last + 1).filter(|span| span.start < end) {
            end = line_end(span.end);
            last += 1;
        }
        let _ = writeln!(out, "@@ -{number} +{number} @@");
        let side = |texts: &mut dyn Iterator<Item = &str>| {
            let mut line = String::new();
            let mut from = start;
            for (span, text) in spans.get(next..=last).unwrap_or_default().iter().zip(texts) {
                between(&mut line, bytes.get(from..span.start).unwrap_or_default(), from == start, false);
                line.push_str(text);
                from = span.end;
            }
            between(&mut line, bytes.get(from..end).unwrap_or_default(), false, true);
            line
        };
        let old = side(&mut removed.iter().skip(next).copied());
        let new = side(&mut added.iter().skip(next).map(String::as_str));
        let _ = writeln!(out, "-{old}\n+{new}");
        next = last + 1;
    }
}

/// What stands between two values: its ends when it is long, with what may be a secret masked.
fn between(line: &mut String, bytes: &[u8], first: bool, last: bool) {
    let text = hide(&printable(bytes.strip_suffix(b"\r").filter(|_| last).unwrap_or(bytes)));
    let length = text.chars().count();
    if length <= 2 * AROUND {
        line.push_str(&text);
        return;
    }
    if !first {
        line.extend(text.chars().take(AROUND));
    }
    line.push('…');
    if !last {
        line.extend(text.chars().skip(length - AROUND));
    }
}

fn printable(bytes: &[u8]) -> String {
    crate::principal::printable(&String::from_utf8_lossy(bytes))
}

/// The text with what may be a secret masked: whatever is long and mixed.
pub fn hide(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let part_of_one = |c: char| c.is_ascii_alphanumeric() || "+/_-.~".contains(c);
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|c| !part_of_one(c)).unwrap_or(rest.len());
        let (run, after) = rest.split_at(end);
        let mixed = run.contains(|c: char| c.is_ascii_digit()) && run.contains(|c: char| c.is_ascii_alphabetic());
        shown.push_str(if run.len() >= LONG && mixed { MASK } else { run });
        let other = after.find(part_of_one).unwrap_or(after.len());
        let (between, after) = after.split_at(other);
        shown.push_str(between);
        rest = after;
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_tells_whose_key_it_is_and_not_how_long() {
        let key = ["sk-", "ant-0123456789abcdef"].concat();
        assert_eq!(mask(key.as_bytes()), "sk-********");
        assert_eq!(mask(b"sk-short"), MASK);
        assert_eq!(mask(b"correct horse battery staple"), MASK);
    }

    #[test]
    fn lines_are_counted_and_every_secret_hidden() {
        let old = b"A=1\nB=first C=second\n\nD=x1234567890abcdefgh E=third\nmulti\nline\n";
        let at = |text: &[u8]| {
            let start = old.windows(text.len()).position(|window| window == text).unwrap();
            start..start + text.len()
        };
        let spans = [at(b"first"), at(b"second"), at(b"third\nmulti")];
        let added = ["r1".to_owned(), "r2".to_owned(), "r3".to_owned()];
        let mut out = String::new();
        lines(&mut out, old, &spans, &["#1", "#2", "#3"], &added);
        assert_eq!(out, "@@ -2 +2 @@\n-B=#1 C=#2\n+B=r1 C=r2\n@@ -4 +4 @@\n-D=******** E=#3\n+D=******** E=r3\n");
    }

    #[test]
    fn a_long_line_is_cut() {
        let old = format!("{{\"a\":\"{}\",\"k\":\"value\"}}", "word ".repeat(1000));
        let start = old.find("value").unwrap();
        let mut out = String::new();
        lines(&mut out, old.as_bytes(), std::slice::from_ref(&(start..start + 5)), &["#"], &["r".to_owned()]);
        assert!(out.len() < 200 && out.contains("\"k\":\"#\"}"), "{out}");
    }
}
