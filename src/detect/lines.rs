//! Lines around a place, for files without a parser and for rules that look past a value.
//!
//! Owns how much of a line is looked at. It reads no more of a file than the lines it is asked for.

use std::ops::Range;

use super::parse::{self, Document};

/// How much of a line around a word is looked at, in bytes: a minified file is one line.
const AROUND: usize = 4 * 1024;

/// The line that `at` is on, without its end.
pub(super) fn line_at(bytes: &[u8], at: usize) -> Range<usize> {
    let from = at.saturating_sub(AROUND);
    let to = bytes.len().min(at + AROUND);
    let before = bytes.get(from..at).unwrap_or_default();
    let after = bytes.get(at..to).unwrap_or_default();
    let start = before.iter().rposition(|b| *b == b'\n').map_or(from, |place| from + place + 1);
    let end = after.iter().position(|b| *b == b'\n').map_or(to, |place| at + place);
    start..end
}

/// The assignments on the lines of these places, which are in order.
pub(super) fn document(bytes: &[u8], places: impl Iterator<Item = usize>) -> Document {
    let mut document = Document::default();
    let mut end = 0;
    for at in places {
        if at < end {
            continue;
        }
        let line = with_value(bytes, line_at(bytes, at));
        end = line.end.max(at + 1);
        let heading = heading(bytes, &line).and_then(|span| document.heading(span));
        let known = document.names.len();
        parse::text::assignments(bytes, line, false, &mut document);
        document.put_below(heading, known);
    }
    document
}

/// The line, and the next where this one is nothing but an element that names it: `<key>NAME</key>` of a property list,
/// `<param-name>` of a servlet.
fn with_value(bytes: &[u8], line: Range<usize>) -> Range<usize> {
    let text = bytes.get(line.clone()).unwrap_or_default().trim_ascii();
    let tag = text.strip_prefix(b"<").and_then(|rest| rest.split(|byte| *byte == b'>').next()).unwrap_or_default();
    let names = tag.len() <= 32 && (tag.eq_ignore_ascii_case(b"key") || tag.to_ascii_lowercase().ends_with(b"name"));
    let closed =
        text.strip_suffix(b">").and_then(|rest| rest.strip_suffix(tag)).is_some_and(|rest| rest.ends_with(b"</"));
    let next = bytes.get(line.end + 1..).unwrap_or_default();
    if !names || !closed || !next.trim_ascii_start().starts_with(b"<") {
        return line;
    }
    line.start..line_at(bytes, line.end + 1).end
}

/// The name that opens the line before, of a line that begins with a bare `key`: `'crypt' => [`.
fn heading(bytes: &[u8], line: &Range<usize>) -> Option<Range<usize>> {
    let word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let first = bytes.get(line.clone())?.iter().skip_while(|byte| !word(byte)).take(4);
    if !first.copied().take_while(word).eq(*b"key") {
        return None;
    }
    let before = line_at(bytes, line.start.checked_sub(1)?);
    let text = bytes.get(before.clone())?.trim_ascii_end();
    if !matches!(text.last(), Some(b'[' | b'{' | b'(')) {
        return None;
    }
    let start = before.start + text.iter().position(word)?;
    let length = bytes.get(start..)?.iter().take_while(|byte| word(byte)).count();
    Some(start..start + length)
}

/// The assignments within values of several words, and in the query of a URL, on the lines of these places: commands
/// of a CI file, cells of a notebook.
pub(super) fn inside(bytes: &[u8], document: &Document, places: impl Iterator<Item = usize>) -> Document {
    let mut inner = Document::default();
    let mut end = 0;
    for at in places {
        if at < end {
            continue;
        }
        let Some(scalar) = document.scalar_at(at) else { continue };
        let line = line_at(bytes, at);
        let part = line.start.max(scalar.span.start).max(end)..line.end.min(scalar.span.end);
        end = part.end.max(at + 1);
        let text = bytes.get(part.clone()).unwrap_or_default();
        if text.iter().any(u8::is_ascii_whitespace)
            || (text.contains(&b'?') && text.contains(&b'='))
            || begins_a_pair(text)
        {
            parse::text::assignments(bytes, part, scalar.comment, &mut inner);
        }
    }
    inner
}

/// `api-key=...`: headers for OTLP.
fn begins_a_pair(text: &[u8]) -> bool {
    let name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let length = text.iter().take(64).take_while(|byte| name(byte)).count();
    length > 2 && text.get(length) == Some(&b'=') && text.get(length + 1).is_some_and(|byte| *byte != b'=')
}

/// The assignments on all lines: of a file that its parser gave up.
pub(super) fn whole(bytes: &[u8]) -> Document {
    let mut document = Document::default();
    let mut start = 0;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let text = line.trim_ascii();
        let comment = text.starts_with(b"#") || text.starts_with(b"//");
        let end = start + line.len();
        parse::text::assignments(bytes, start..end - usize::from(line.ends_with(b"\n")), comment, &mut document);
        start = end;
    }
    document
}
