//! A place in bytes, for the parsers of our own.
//!
//! Owns steps that cannot leave the bytes. It knows no file kind.

use std::ops::Range;

use super::{Decoded, Quote, Value, slice};

/// Holds no place: no line was seen.
const NOWHERE: Range<usize> = Range { start: usize::MAX, end: 0 };

/// A place, and where to stop.
pub(super) struct Cursor<'a> {
    pub bytes: &'a [u8],
    pub at: usize,
    pub end: usize,
    /// Quotes of which there is no further one, so that none is looked for twice.
    missing: [bool; 3],
    /// From where to where a line was last seen to go, so that a long one is not measured for each of its words.
    seen: Range<usize>,
}

impl<'a> Cursor<'a> {
    pub fn new(bytes: &'a [u8], at: usize, end: usize) -> Self {
        let end = end.min(bytes.len());
        Self { bytes, at: at.min(end), end, missing: [false; 3], seen: NOWHERE }
    }

    pub fn done(&self) -> bool {
        self.at >= self.end
    }

    pub fn peek(&self) -> Option<u8> {
        self.ahead(0)
    }

    pub fn ahead(&self, by: usize) -> Option<u8> {
        let at = self.at.checked_add(by)?;
        if at < self.end { self.bytes.get(at).copied() } else { None }
    }

    pub fn bump(&mut self) {
        self.at = self.end.min(self.at + 1);
    }

    pub fn eat(&mut self, byte: u8) -> bool {
        let hit = self.peek() == Some(byte);
        if hit {
            self.bump();
        }
        hit
    }

    pub fn rest(&self) -> &'a [u8] {
        slice(self.bytes, self.at..self.end)
    }

    pub fn take(&mut self, mut wanted: impl FnMut(u8) -> bool) -> Range<usize> {
        let start = self.at;
        let rest = self.rest();
        self.at += rest.iter().position(|&byte| !wanted(byte)).unwrap_or(rest.len());
        start..self.at
    }

    /// Spaces and tabs.
    pub fn skip_blanks(&mut self) {
        self.take(is_blank);
    }

    /// Where this line ends: before its line feed.
    pub fn line_end(&mut self) -> usize {
        if self.at < self.seen.start || self.at > self.seen.end {
            let rest = self.rest();
            let length = rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len());
            self.seen = self.at..self.at + length;
        }
        self.seen.end
    }

    /// The rest of the line, and on to the next one.
    pub fn line(&mut self) -> Range<usize> {
        let (start, end) = (self.at, self.line_end());
        self.at = self.end.min(end + 1);
        start..end
    }

    /// Whether the line says nothing more than perhaps a comment.
    pub fn line_is_over(&self, comment: &[u8]) -> bool {
        let blanks = self.rest().iter().take_while(|&&byte| is_blank(byte) || byte == b'\r').count();
        self.ahead(blanks).is_none_or(|byte| byte == b'\n' || comment.contains(&byte))
    }

    /// The string that opens here with a quote, which may go over lines; stays where it is if there is none or it is
    /// not closed. A backslash escapes in double quotes.
    pub fn quoted(&mut self) -> Option<Value> {
        let open = self.peek()?;
        let (slot, quote) = match open {
            b'"' => (0, Quote::Double),
            b'\'' => (1, Quote::Single),
            b'`' => (2, Quote::Block),
            _ => return None,
        };
        if self.missing.get(slot).copied().unwrap_or(true) {
            return None;
        }
        let start = self.at + 1;
        let Some(length) = closing(slice(self.bytes, start..self.end), open) else {
            if let Some(missing) = self.missing.get_mut(slot) {
                *missing = true;
            }
            return None;
        };
        let span = start..start + length;
        self.at = span.end + 1;
        let decoded = if quote == Quote::Double { unescape(slice(self.bytes, span.clone())) } else { None };
        Some(Value { span, quote, decoded, comment: false })
    }
}

pub(super) fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

/// What a name may hold: of a variable, a key, a header.
pub(super) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

/// Whether it can name a variable or a key.
pub(super) fn is_name(text: &[u8]) -> bool {
    let starts = text.first().is_some_and(|&byte| byte.is_ascii_alphabetic() || byte == b'_');
    starts && text.len() <= 128 && text.iter().all(|&byte| is_word(byte))
}

/// The span without white space at its ends.
pub(super) fn trim(bytes: &[u8], span: Range<usize>) -> Range<usize> {
    let text = slice(bytes, span.clone());
    let kept = text.trim_ascii_end();
    let start = span.start + (kept.len() - kept.trim_ascii_start().len());
    start..(span.start + kept.len()).max(start)
}

/// A value that fills its span, without the quotes that may stand around it.
pub(super) fn unquote(bytes: &[u8], span: Range<usize>) -> Value {
    let mut cursor = Cursor::new(bytes, span.start, span.end);
    match cursor.quoted() {
        Some(value) if cursor.done() => value,
        _ => Value::bare(span),
    }
}

fn closing(text: &[u8], quote: u8) -> Option<usize> {
    let mut escaped = false;
    text.iter().position(|&byte| {
        let closes = byte == quote && !escaped;
        escaped = quote == b'"' && byte == b'\\' && !escaped;
        closes
    })
}

/// What a double-quoted text means; `None` where that is its bytes. Unknown escapes stay.
fn unescape(text: &[u8]) -> Option<Decoded> {
    if !text.contains(&b'\\') {
        return None;
    }
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.iter().copied();
    while let Some(byte) = bytes.next() {
        match (byte, if byte == b'\\' { bytes.next() } else { None }) {
            (_, Some(b'n')) => out.push(b'\n'),
            (_, Some(b'r')) => out.push(b'\r'),
            (_, Some(b't')) => out.push(b'\t'),
            (_, Some(next @ (b'"' | b'\\' | b'$' | b'`' | b'\''))) => out.push(next),
            (_, Some(next)) => out.extend([byte, next]),
            (_, None) => out.push(byte),
        }
    }
    Some(out.into())
}
