//! Running text, source code and prose: pairs of a name and a value on one line.
//!
//! Owns what is read where no parser fits. It is asked about lines, not about files, and takes each byte of a line
//! a few times at most.

use std::ops::Range;

use super::cursor::{is_blank, is_name, is_word};
use super::{Document, Quote, Value, slice};
use crate::detect::name;

/// Longer texts name nothing.
const MAX_NAME: usize = 128;
/// Pairs inside quoted values are looked for to this depth: `"run": "curl -H 'Name: value'"`.
const MAX_DEPTH: u8 = 3;
/// Words between `Authorization:` and what authorizes.
const SCHEMES: &[&[u8]] = &[b"bearer", b"basic", b"token", b"apikey", b"bot", b"key", b"digest", b"splunk"];

/// Adds the pairs on a line to the document, in their order: `name = "value"`, `name: "value"`, `"name": "value"`,
/// `name=value`, `--flag value`, `Header: value`, `<name>value</name>`, `("NAME", "value")`. `line` must be one line
/// of `bytes`, or two where the first names what the second holds. Scalars are marked as in a comment where `comment` says so.
pub fn assignments(bytes: &[u8], line: Range<usize>, comment: bool, document: &mut Document) {
    let line = line.start.min(bytes.len())..line.end.min(bytes.len());
    if let Some((name, value)) = cookie(bytes, &line) {
        return document.pair(None, name, Value { comment, ..Value::bare(value) });
    }
    let mut reader = Reader { bytes, document, comment, missing: [false; 6], label: None };
    reader.read(line, 0);
}

/// A line of a browser's cookies as curl and wget keep them, seven fields with tabs between:
/// <https://curl.se/docs/http-cookies.html>.
fn cookie(bytes: &[u8], line: &Range<usize>) -> Option<(Range<usize>, Range<usize>)> {
    let text = slice(bytes, line.clone());
    let mut tabs = memchr::memchr_iter(b'\t', text);
    let mut tab = || tabs.next();
    let (first, second, third, fourth, fifth, sixth) = (tab()?, tab()?, tab()?, tab()?, tab()?, tab()?);
    let field = |from: usize, to: usize| text.get(from + 1..to).unwrap_or_default();
    let says = |text: &[u8]| matches!(text, b"TRUE" | b"FALSE");
    if tab().is_some() || !says(field(first, second)) || !says(field(third, fourth)) {
        return None;
    }
    let value = super::cursor::trim(bytes, line.start + sixth + 1..line.end);
    Some((line.start + fifth + 1..line.start + sixth, value))
}

struct Reader<'a> {
    bytes: &'a [u8],
    document: &'a mut Document,
    comment: bool,
    /// Kinds of quotes of which the text being read has no further one, so that none is looked for twice.
    missing: [bool; 6],
    /// The value of `name="..."`: it names the `value="..."` after it. So does a property list's `<key>` the `<string>`.
    label: Option<Range<usize>>,
}

/// A quote, perhaps behind a backslash because it stands in a string.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Mark {
    byte: u8,
    escaped: bool,
}

impl Mark {
    fn len(self) -> usize {
        1 + usize::from(self.escaped)
    }

    fn slot(self) -> usize {
        let kind = match self.byte {
            b'"' => 0,
            b'\'' => 1,
            _ => 2,
        };
        kind + if self.escaped { 3 } else { 0 }
    }
}

impl Reader<'_> {
    fn at(&self, at: usize, end: usize) -> Option<u8> {
        if at < end { self.bytes.get(at).copied() } else { None }
    }

    fn read(&mut self, line: Range<usize>, depth: u8) {
        let (mut at, end) = (line.start, line.end);
        // Whether the byte before could be part of a name.
        let mut fresh = true;
        while let Some(byte) = self.at(at, end) {
            let next = if let Some(mark) = self.mark(at, end) {
                self.named_by_quoted(at, end, mark, depth).or_else(|| Some(at + mark.len()))
            } else if byte == b'-' && fresh {
                self.named_by_flag(at, end, depth)
            } else if byte == b'<' {
                self.element(at, end)
            } else if (byte.is_ascii_alphabetic() || byte == b'_') && fresh {
                self.named_by_word(at, end, depth)
            } else {
                None
            };
            fresh = next.is_some() || !is_word(byte);
            at = next.unwrap_or(at + 1).max(at + 1);
        }
    }

    fn mark(&self, at: usize, end: usize) -> Option<Mark> {
        let byte = self.at(at, end)?;
        let escaped = byte == b'\\';
        let byte = if escaped { self.at(at + 1, end)? } else { byte };
        matches!(byte, b'"' | b'\'' | b'`').then_some(Mark { byte, escaped })
    }

    fn blanks(&self, at: usize, end: usize) -> usize {
        at + slice(self.bytes, at..end).iter().take_while(|&&byte| is_blank(byte)).count()
    }

    fn word(&self, at: usize, end: usize) -> Range<usize> {
        let word = slice(self.bytes, at..end).iter().take(MAX_NAME + 1).take_while(|&&byte| is_word(byte)).count();
        at..at + word
    }

    /// `"name": ...`, `["name"] = ...`, `("name", ...)`.
    fn named_by_quoted(&mut self, at: usize, end: usize, mark: Mark, depth: u8) -> Option<usize> {
        let mut name = self.word(at + mark.len(), end);
        // `Configuration["Jwt:Key"]`.
        let mut parts = is_name(slice(self.bytes, name.clone()));
        while parts && self.at(name.end, end) == Some(b':') && name.len() < MAX_NAME {
            let part = self.word(name.end + 1, end);
            parts = !part.is_empty();
            name.end = part.end;
        }
        if self.mark(name.end, end) != Some(mark) || !parts {
            return None;
        }
        let close = name.end + mark.len();
        let before = slice(self.bytes, at.saturating_sub(8)..at).trim_ascii_end();
        let opened = before.last().copied();
        let after = if opened == Some(b'[') && self.at(close, end) == Some(b']') { close + 1 } else { close };
        let after = self.blanks(after, end);
        if opened == Some(b'(') && self.at(after, end) == Some(b',') {
            let value = self.blanks(after + 1, end);
            return if self.mark(value, end).is_some() { self.value(name, value, end, depth) } else { Some(after) };
        }
        match self.separator(after, end, true) {
            Some(value) => self.value(name, value, end, depth),
            // A flag or a header may stand in the quotes: read on inside.
            None => None,
        }
    }

    /// `The password is VALUE`: the value only where it is no word of the sentence.
    fn said(&mut self, name: Range<usize>, at: usize, end: usize) -> Option<usize> {
        if !name::is_password(slice(self.bytes, name.clone())) {
            return None;
        }
        let rest = slice(self.bytes, at..end).strip_prefix(b"is ")?;
        let start = at + b"is ".len();
        let length = rest.iter().position(u8::is_ascii_whitespace).unwrap_or(rest.len());
        let text = rest.get(..length)?;
        let kept =
            text.iter().rposition(|byte| !matches!(byte, b'.' | b',' | b';' | b':' | b')')).map_or(0, |at| at + 1);
        let text = text.get(..kept)?;
        let marked = text.iter().any(u8::is_ascii_digit)
            && text.iter().any(u8::is_ascii_alphabetic)
            && text.iter().any(|byte| byte.is_ascii_punctuation() && !matches!(byte, b'-' | b'/' | b'.' | b'_'))
            && !matches!(text.first(), Some(b'`' | b'"' | b'\'' | b'<' | b'$' | b'{' | b'[' | b'('));
        marked.then(|| self.push(name, Value::bare(start..start + kept)))?;
        Some(start + length)
    }

    fn named_by_word(&mut self, at: usize, end: usize, depth: u8) -> Option<usize> {
        let word = self.word(at, end);
        if word.len() > MAX_NAME {
            let rest = slice(self.bytes, word.end..end).iter().take_while(|&&byte| is_word(byte)).count();
            return Some(word.end + rest);
        }
        let after = self.blanks(word.end, end);
        match self.separator(after, end, false) {
            Some(value) => self.value(word.clone(), value, end, depth).or(Some(word.end)),
            None if after > word.end && depth == 0 => {
                let found = self.directive(word.clone(), after, end);
                found.or_else(|| self.said(word.clone(), after, end)).or(Some(word.end))
            }
            None => Some(word.end),
        }
    }

    /// `name "value"`, alone on its line: Gradle, BIND.
    fn directive(&mut self, name: Range<usize>, at: usize, end: usize) -> Option<usize> {
        let mark = self.mark(at, end).filter(|mark| !mark.escaped)?;
        let before = slice(self.bytes, name.start.saturating_sub(MAX_NAME)..name.start);
        let first = before.iter().rev().find(|&&byte| !is_blank(byte));
        let first = first.is_none_or(|&byte| matches!(byte, b'\n' | b'{' | b';'));
        if !first {
            return None;
        }
        let start = at + mark.len();
        let close = self.close(start, end, mark)?;
        let rest = slice(self.bytes, close + 1..end).trim_ascii();
        // The padding of Base64 is no assignment.
        let pair = slice(self.bytes, start..close).windows(2).any(|two| matches!(two, [b'=', next] if *next != b'='));
        if pair || !matches!(rest, [] | [b';' | b',' | b'}', ..]) {
            return None;
        }
        self.push(name, Value { quote: Quote::Double, ..Value::bare(start..close) });
        Some(close + 1)
    }

    /// `--flag value`, `--flag=value`, `-H "Name: value"`.
    fn named_by_flag(&mut self, at: usize, end: usize, depth: u8) -> Option<usize> {
        let dashes = slice(self.bytes, at..end).iter().take(3).take_while(|&&byte| byte == b'-').count();
        let name = self.word(at + dashes, end);
        if dashes > 2 || name.is_empty() || !slice(self.bytes, name.clone()).iter().any(u8::is_ascii_alphabetic) {
            return Some(name.end.max(at + dashes));
        }
        // What a header flag takes is read as a pair of its own.
        if matches!(slice(self.bytes, name.clone()), b"H" | b"header" | b"headers") {
            return Some(name.end);
        }
        let value = match self.at(name.end, end) {
            Some(b'=') => name.end + 1,
            Some(byte) if is_blank(byte) => self.blanks(name.end, end),
            _ => return Some(name.end),
        };
        // One dash and a word is prose or a list; of one letter it is a flag.
        let flag = dashes == 2 || name.len() == 1 || self.at(name.end, end) == Some(b'=');
        let again = self.at(value, end) == Some(b'-');
        // `-e KEY=value`: the pair in the value says more.
        let word = self.word(value, end);
        let pair = !word.is_empty() && self.at(word.end, end) == Some(b'=');
        if !flag || again || pair {
            return Some(name.end);
        }
        self.value(name.clone(), value, end, depth).or(Some(name.end))
    }

    /// `<name>value</name>`.
    fn element(&mut self, at: usize, end: usize) -> Option<usize> {
        let name = self.word(at + 1, end);
        if !is_name(slice(self.bytes, name.clone())) {
            return None;
        }
        // Attributes that hold no name and value of their own may stand before the `>`.
        let attributes = self.at(name.end, end).is_some_and(is_blank).then(|| slice(self.bytes, name.end..end));
        let opened = match attributes {
            Some(text) => text.iter().take(MAX_NAME).position(|&byte| byte == b'>' || byte == b'<')?,
            None => 0,
        };
        let tag = slice(self.bytes, name.end..name.end + opened);
        let named = tag.windows(5).any(|part| matches!(part, b"name=" | b"value") || part.starts_with(b"key="));
        if self.at(name.end + opened, end) != Some(b'>') || named || tag.ends_with(b"/") {
            return None;
        }
        let start = name.end + opened + 1;
        let length = slice(self.bytes, start..end).iter().position(|&byte| byte == b'<')?;
        let span = super::cursor::trim(self.bytes, start..start + length);
        if self.at(start + length + 1, end) == Some(b'/') {
            self.push(name, Value::bare(span));
        }
        Some(start + length)
    }

    /// Where the value begins after `=`, `:`, `:=`, `=>`, `?=`; `None` where there is no such sign.
    fn separator(&self, at: usize, end: usize, quoted: bool) -> Option<usize> {
        let width = match (self.at(at, end)?, self.at(at + 1, end)) {
            (b'=', Some(b'=' | b'~')) => return None,
            (b'=', Some(b'>')) | (b':' | b'?' | b'+', Some(b'=')) => 2,
            (b'=', _) => 1,
            (b':', Some(next)) if quoted || is_blank(next) || matches!(next, b'"' | b'\'' | b'`' | b'\\') => 1,
            _ => return None,
        };
        Some(self.blanks(at + width, end))
    }

    /// Takes the value at `at`; the place behind it.
    fn value(&mut self, name: Range<usize>, at: usize, end: usize, depth: u8) -> Option<usize> {
        // A map: its members are read for themselves.
        if self.at(at, end) == Some(b'{') && self.at(at + 1, end) != Some(b'{') {
            return None;
        }
        if self.at(at, end) == Some(b'[')
            && let Some(behind) = self.list(&name, at + 1, end)
        {
            return Some(behind);
        }
        if let Some(mark) = self.mark(at, end) {
            let start = at + mark.len();
            let close = self.close(start, end, mark)?;
            let before = self.document.scalars.len();
            let blank = slice(self.bytes, start..close).iter().any(|&byte| is_blank(byte) || byte == b'{');
            if depth < MAX_DEPTH && blank {
                let missing = std::mem::take(&mut self.missing);
                self.read(start..close, depth + 1);
                self.missing = missing;
            }
            if self.document.scalars.len() == before {
                let quote = match mark.byte {
                    b'"' => Quote::Double,
                    b'\'' => Quote::Single,
                    _ => Quote::Block,
                };
                self.push(name, Value { quote, ..Value::bare(start..close) });
            }
            return Some(close + mark.len());
        }
        let mut span = self.bare(at, end);
        if SCHEMES.iter().any(|scheme| slice(self.bytes, span.clone()).eq_ignore_ascii_case(scheme)) {
            let next = self.blanks(span.end, end);
            if next > span.end && self.mark(next, end).is_none() {
                span.end = self.bare(next, end).end.max(span.end);
            }
        }
        // `name: type = value`.
        let after = self.blanks(span.end, end);
        if self.at(after, end) == Some(b'=')
            && is_name(slice(self.bytes, span.clone()))
            && let Some(value) = self.separator(after, end, false)
        {
            return if self.mark(value, end).is_some() { self.value(name, value, end, depth) } else { Some(at) };
        }
        let stop = span.end;
        let mut value = Value::bare(span);
        // `"NAME=value"`: the quotes are around both.
        let open = name.start.checked_sub(1).and_then(|at| self.bytes.get(at));
        if open.is_some_and(|byte| matches!(byte, b'"' | b'\'')) && open == self.bytes.get(stop) {
            value.quote = Quote::Double;
        }
        self.push(name.clone(), value);
        match self.alternative(stop, end) {
            Some(value) => self.value(name, value, end, depth),
            None => Some(stop.max(at)),
        }
    }

    /// `["...", "..."]`: all have the list's name.
    fn list(&mut self, name: &Range<usize>, at: usize, end: usize) -> Option<usize> {
        let mut behind = None;
        let mut at = self.blanks(at, end);
        while let Some(mark) = self.mark(at, end) {
            let close = self.close(at + mark.len(), end, mark)?;
            self.push(name.clone(), Value { quote: Quote::Double, ..Value::bare(at + mark.len()..close) });
            at = self.blanks(close + mark.len(), end);
            behind = Some(at);
            if self.at(at, end) != Some(b',') {
                break;
            }
            at = self.blanks(at + 1, end);
        }
        behind
    }

    /// Where the quoted value begins that is taken when there is none: `env.KEY || "..."`, `get("KEY") or "..."`.
    fn alternative(&self, at: usize, end: usize) -> Option<usize> {
        let rest = slice(self.bytes, at..end.min(at + MAX_NAME));
        let signs: [&[u8]; 4] = [b"||", b"??", b"?:", b" or "];
        let found = |at: usize| {
            let rest = rest.get(at..).unwrap_or_default();
            signs.into_iter().find(|sign| rest.starts_with(sign)).map(|sign| at + sign.len())
        };
        let begins = |byte: &u8| matches!(byte, b'|' | b'?' | b' ');
        let mut places = rest.iter().enumerate().filter(|(_, byte)| begins(byte));
        let value = self.blanks(at + places.find_map(|(at, _)| found(at))?, end);
        self.mark(value, end).map(|_| value)
    }

    fn bare(&self, at: usize, end: usize) -> Range<usize> {
        let text = slice(self.bytes, at..end);
        let ends = |byte: u8| byte.is_ascii_whitespace() || matches!(byte, b'"' | b'\'' | b'`' | b'<' | b'>' | b'\\');
        // A form: `user=a&password=b`.
        let next = |at: usize| {
            let rest = text.get(at + 1..).unwrap_or_default();
            let word = rest.iter().take(MAX_NAME).take_while(|&&byte| is_word(byte)).count();
            word > 0 && rest.get(word) == Some(&b'=')
        };
        let stops = |(at, &byte): (usize, &u8)| ends(byte) || (byte == b'&' && next(at));
        let length = text.iter().enumerate().position(stops).unwrap_or(text.len());
        let text = text.get(..length).unwrap_or_default();
        let kept =
            text.iter().rposition(|byte| !matches!(byte, b',' | b';' | b')' | b']' | b'}')).map_or(0, |at| at + 1);
        at..at + kept
    }

    fn close(&mut self, start: usize, end: usize, mark: Mark) -> Option<usize> {
        let missing = self.missing.get_mut(mark.slot())?;
        if *missing {
            return None;
        }
        let mut escaped = false;
        let found = slice(self.bytes, start..end).iter().position(|&byte| {
            let closes = byte == mark.byte && escaped == mark.escaped;
            escaped = byte == b'\\' && !escaped;
            closes
        });
        match found {
            Some(length) => Some(start + length - usize::from(mark.escaped)),
            None => {
                *missing = true;
                None
            }
        }
    }

    fn push(&mut self, name: Range<usize>, mut value: Value) {
        value.comment = self.comment;
        let text = slice(self.bytes, name.clone());
        let is = |word: &str, element: &[u8]| text.eq_ignore_ascii_case(word.as_bytes()) || text == element;
        if text.eq_ignore_ascii_case(b"key") || is("name", b"param-name") {
            self.label = Some(value.span.clone());
        } else if (is("value", b"param-value") || text == b"string")
            && let Some(label) = self.label.take()
        {
            return self.document.pair(None, label, value);
        }
        self.document.pair(None, name, value);
    }
}
