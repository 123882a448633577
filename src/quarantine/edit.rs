//! Replacing spans of a file, as a pure function of its bytes.
//!
//! Owns the proof that nothing else changed: the file parses as it did, and its tree differs in the replaced
//! values only. Every byte outside the spans stays, so encoding, BOM and line ends do.

use std::ops::Range;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::detect::{
    kind::FileKind,
    parse::{Document, Scalar, parse},
};

/// A file with its spans replaced.
pub(super) struct Edited {
    pub(super) bytes: Zeroizing<Vec<u8>>,
    /// Where the new texts stand, in the order of the edits.
    pub(super) spans: Vec<Range<usize>>,
}

/// Replaces each span by its text. The spans are in order, not empty and do not overlap; else `None`.
pub(super) fn apply<'a>(old: &[u8], edits: impl IntoIterator<Item = (Range<usize>, &'a [u8])>) -> Option<Edited> {
    let edits: Vec<_> = edits.into_iter().collect();
    // Room for all of it: a vector that grows leaves its old memory as it is.
    let room = old.len() + edits.iter().map(|(_, text)| text.len()).sum::<usize>();
    let mut edited = Edited { bytes: Zeroizing::new(Vec::with_capacity(room)), spans: Vec::new() };
    let mut from = 0;
    for (span, text) in edits {
        if span.is_empty() || span.start < from {
            return None;
        }
        edited.bytes.extend_from_slice(old.get(from..span.start)?);
        from = span.end;
        let start = edited.bytes.len();
        edited.bytes.extend_from_slice(text);
        edited.spans.push(start..edited.bytes.len());
    }
    edited.bytes.extend_from_slice(old.get(from..)?);
    Some(edited)
}

/// What tells one content from another without telling what the secrets in it are: the size, and the hash of all
/// that is outside their spans. A hash of everything would let a short secret be guessed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Print {
    size: u64,
    /// SHA-256, in hexadecimal digits.
    outside: String,
    /// The spans that are left out, as start and end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    spans: Vec<(usize, usize)>,
}

impl Print {
    /// The print of these bytes, with the secrets' spans left out.
    pub(super) fn of(bytes: &[u8], spans: &[Range<usize>]) -> Self {
        Self::leaving_out(bytes, spans.iter().map(|span| (span.start, span.end)).collect())
    }

    /// The spans that are left out.
    pub(super) fn spans(&self) -> impl Iterator<Item = Range<usize>> {
        self.spans.iter().map(|(start, end)| *start..*end)
    }

    /// True when these bytes may be what the print was taken of; with no spans left out, when they are.
    pub(super) fn fits(&self, bytes: &[u8]) -> bool {
        as_u64(bytes.len()) == self.size && *self == Self::leaving_out(bytes, self.spans.clone())
    }

    fn leaving_out(bytes: &[u8], spans: Vec<(usize, usize)>) -> Self {
        let mut hash = Sha256::new();
        let mut from = 0;
        for (start, end) in &spans {
            hash.update(bytes.get(from..*start).unwrap_or_default());
            from = *end;
        }
        hash.update(bytes.get(from..).unwrap_or_default());
        Self { size: as_u64(bytes.len()), outside: hex(&hash.finalize()), spans }
    }
}

/// Hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn as_u64(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// Checks that the new bytes are read as the old ones were, but for the replaced values. `before` and `after` are
/// the edits' spans in the one and in the other. An error says what would break, and holds nothing of the file.
pub(super) fn check(
    kind: FileKind,
    (old, before): (&[u8], &[Range<usize>]),
    (new, after): (&[u8], &[Range<usize>]),
) -> Result<(), &'static str> {
    if old.starts_with(&[0xff, 0xfe]) || old.starts_with(&[0xfe, 0xff]) {
        return Err("it is UTF-16, which nothing reads a reference from");
    }
    if std::str::from_utf8(old).is_ok() && std::str::from_utf8(new).is_err() {
        return Err("it would no longer be UTF-8");
    }
    strict(kind, old, new)?;
    let Some(old_tree) = parse(kind, old) else { return Ok(()) };
    let Some(new_tree) = parse(kind, new) else { return Err("it would no longer parse") };
    same(&Side { bytes: old, tree: &old_tree, edits: before }, &Side { bytes: new, tree: &new_tree, edits: after })
}

/// Checks that the new bytes are read by what read the old ones.
pub(super) fn parses(kind: FileKind, old: &[u8], new: &[u8]) -> Result<(), &'static str> {
    strict(kind, old, new)?;
    if parse(kind, old).is_some() && parse(kind, new).is_none() { Err("it would no longer parse") } else { Ok(()) }
}

/// What the strict readers of a format take they must still take.
fn strict(kind: FileKind, old: &[u8], new: &[u8]) -> Result<(), &'static str> {
    let reads = |bytes: &[u8]| match kind {
        FileKind::Json => serde_json::from_slice::<serde::de::IgnoredAny>(bytes).is_ok(),
        FileKind::Toml => std::str::from_utf8(bytes).is_ok_and(|text| toml::from_str::<toml::Table>(text).is_ok()),
        _ => true,
    };
    if reads(old) && !reads(new) { Err("its own reader would no longer take it") } else { Ok(()) }
}

struct Side<'a> {
    bytes: &'a [u8],
    tree: &'a Document,
    edits: &'a [Range<usize>],
}

fn same(old: &Side<'_>, new: &Side<'_>) -> Result<(), &'static str> {
    if old.tree.names.len() != new.tree.names.len() || old.tree.scalars.len() != new.tree.scalars.len() {
        return Err("it would have other members");
    }
    let name = |side: &Side<'_>, span: &Range<usize>| side.bytes.get(span.clone()).map(<[u8]>::to_vec);
    for (a, b) in old.tree.names.iter().zip(&new.tree.names) {
        if a.parent != b.parent || name(old, &a.span) != name(new, &b.span) {
            return Err("its members would have other names");
        }
    }
    for (a, b) in old.tree.scalars.iter().zip(&new.tree.scalars) {
        let (replaced, there) = (old.replaced(a), new.replaced(b));
        let alike = a.name == b.name && a.comment == b.comment;
        let values = replaced || (a.quote == b.quote && old.value(a) == new.value(b));
        if !alike || replaced != there || !values {
            return Err("another value would change");
        }
    }
    Ok(())
}

impl<'a> Side<'a> {
    fn replaced(&self, scalar: &Scalar) -> bool {
        // The first edit that ends behind the value's start is the only one that can lie in it first.
        let next = self.edits.partition_point(|edit| edit.end <= scalar.span.start);
        // A value that stood bare may have been given quotes, which then are part of the edit.
        self.edits.get(next).is_some_and(|edit| edit.start < scalar.span.end)
    }

    fn value(&self, scalar: &'a Scalar) -> Option<&'a [u8]>
    where
        Self: 'a,
    {
        scalar.decoded.as_deref().or_else(|| self.bytes.get(scalar.span.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_spans_change_and_bad_spans_are_refused() {
        let old = b"\xef\xbb\xbfA=one\r\nB=two\xff\r\n";
        let edited = apply(old, [(5..8, &b"x"[..]), (12..15, &b"longer"[..])]).unwrap();
        assert_eq!(*edited.bytes, b"\xef\xbb\xbfA=x\r\nB=longer\xff\r\n");
        assert_eq!(edited.spans, [5..6, 10..16]);
        for bad in [[(5..8, &b"x"[..]), (7..9, &b"y"[..])], [(5..5, b"x"), (7..9, b"y")], [(5..8, b"x"), (9..99, b"y")]]
        {
            assert!(apply(old, bad).is_none());
        }
    }

    #[test]
    fn a_print_tells_contents_apart_but_not_secrets() {
        let print = Print::of(b"KEY=1234\n", std::slice::from_ref(&(4..8)));
        assert!(print.fits(b"KEY=1234\n") && print.fits(b"KEY=9999\n"));
        assert!(!print.fits(b"KEY=12345\n") && !print.fits(b"KEZ=1234\n"));
        assert!(!Print::of(b"KEY=1234\n", &[]).fits(b"KEY=9999\n"));
    }

    /// Replaces the value by the text, in a file of this kind; what the check says.
    fn replaced(kind: FileKind, old: &str, value: &str, text: &str) -> Result<(), &'static str> {
        let start = old.find(value).unwrap();
        let span = start..start + value.len();
        let edited = apply(old.as_bytes(), [(span.clone(), text.as_bytes())]).unwrap();
        check(kind, (old.as_bytes(), std::slice::from_ref(&span)), (&edited.bytes, &edited.spans))
    }

    #[test]
    fn a_reference_fits_every_kind_and_what_breaks_one_is_refused() {
        use FileKind::{Dotenv, Hcl, Ini, Json, Netrc, Shell, Toml, Yaml};
        let kinds = [
            (Dotenv, "# c\nexport A=x1 # y\nB=\"x2\"\n", "x1", "x1 y\nC=2"),
            (Json, "{\"a\": [1, {\"b\": \"x1\"}], // c\n \"d\": 2,}", "x1", "x1\", \"e\": \""),
            (Toml, "[t]\na = \"x1\"\nb = 'x2'\n", "x1", "x1\"\nc = \""),
            (Yaml, "a:\n  - b: x1\n    c: 'x2'\n", "x1", "x1\n    d: y"),
            (Ini, "[s]\na = x1\nb=x2\n", "x1", "x1\nc=2"),
            (Netrc, "machine h login u password x1\n", "x1", "x1 account y"),
            (Shell, "export A='x1'\nls\n", "x1", "x1'\nB='y"),
            (Hcl, "a = \"x1\"\nb = 2\n", "x1", "x1\"\nc = \""),
        ];
        for (kind, old, value, breaking) in kinds {
            assert_eq!(replaced(kind, old, value, "hallpass:some.name"), Ok(()), "{kind:?}");
            assert!(replaced(kind, old, value, breaking).is_err(), "{kind:?}");
        }
        let url = "DB=postgres://u:x1@h/d\n";
        assert_eq!(replaced(Dotenv, url, "x1", "hallpass%3Adb"), Ok(()));
    }

    #[test]
    fn what_a_strict_reader_takes_it_must_still_take() {
        let old = br#"{"pin": 1234}"#;
        let edited = apply(old, [(8..12, &b"hallpass:pin"[..])]).unwrap();
        let span = 8..12;
        let refused =
            check(FileKind::Json, (old, std::slice::from_ref(&span)), (&edited.bytes, &edited.spans)).unwrap_err();
        assert!(refused.contains("its own reader"), "{refused}");
        let edited = apply(old, [(8..12, &b"\"hallpass:pin\""[..])]).unwrap();
        check(FileKind::Json, (old, std::slice::from_ref(&span)), (&edited.bytes, &edited.spans)).unwrap();
    }
}
