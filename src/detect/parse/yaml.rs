//! YAML, over the events of `saphyr-parser`.
//!
//! Owns turning its marks, which count characters, into bytes, and the exact bytes of each style of scalar.

use std::ops::Range;

use saphyr_parser::{Event, Parser, ScalarStyle};

use super::cursor::{is_blank, trim};
use super::tree::Tree;
use super::{Document, Quote, Value, as_text, dotenv, slice};

/// One byte offset is kept for so many characters.
const STRIDE: usize = 64;

/// Reads all documents of the file; `None` where it has an error.
pub(super) fn parse(bytes: &[u8], start: usize) -> Option<Document> {
    let text = as_text(bytes);
    let text = text.get(start..)?;
    let marks = Marks::new(text, start);
    let mut tree = Tree::new(bytes);
    for event in Parser::new_from_str(text) {
        let (event, span) = event.ok()?;
        let key = tree.expects_key();
        match event {
            Event::DocumentStart(_) => tree.root(),
            Event::MappingStart(..) | Event::SequenceStart(..) => {
                if key {
                    tree.key(None);
                    tree.hold();
                }
                if !tree.open(matches!(event, Event::SequenceStart(..))) {
                    return None;
                }
            }
            Event::MappingEnd | Event::SequenceEnd => {
                tree.close();
            }
            Event::Alias(_) if key => tree.key(None),
            Event::Alias(_) => tree.skip(),
            Event::Scalar(text, style, ..) => {
                let span = marks.byte(span.start.index())..marks.byte(span.end.index());
                let value = value(bytes, span, style, &text);
                if key {
                    tree.key(Some(value.span));
                } else if value.quote == Quote::None && matches!(&*text, "~" | "null" | "true" | "false" | "") {
                    tree.skip();
                } else {
                    tree.scalar(value);
                }
            }
            _ => {}
        }
    }
    let mut document = tree.document;
    comments(bytes, start, &mut document);
    Some(document)
}

fn value(bytes: &[u8], span: Range<usize>, style: ScalarStyle, text: &str) -> Value {
    let span = without_properties(bytes, span);
    let inside = |quote: u8| {
        let raw = slice(bytes, span.clone());
        let open = raw.iter().position(|&byte| byte == quote).map_or(0, |at| at + 1);
        let close = raw.iter().rposition(|&byte| byte == quote).unwrap_or(raw.len()).max(open);
        span.start + open..span.start + close
    };
    let (span, quote) = match style {
        ScalarStyle::SingleQuoted => (inside(b'\''), Quote::Single),
        ScalarStyle::DoubleQuoted => (inside(b'"'), Quote::Double),
        ScalarStyle::Literal | ScalarStyle::Folded => (block(bytes, span), Quote::Block),
        ScalarStyle::Plain => (trim(bytes, span), Quote::None),
    };
    let differs = text.as_bytes() != slice(bytes, span.clone());
    let decoded = differs.then(|| text.as_bytes().to_vec().into());
    Value { span, quote, decoded, comment: false }
}

/// The mark stands at the tag or the anchor before a value, and no value begins with their signs.
fn without_properties(bytes: &[u8], span: Range<usize>) -> Range<usize> {
    let mut rest = slice(bytes, span.clone());
    while matches!(rest.first(), Some(b'!' | b'&')) {
        let length = rest.iter().position(u8::is_ascii_whitespace).unwrap_or(rest.len());
        rest = rest.get(length..).unwrap_or_default().trim_ascii_start();
    }
    span.end - rest.len()..span.end
}

/// The lines after the one with the sign.
fn block(bytes: &[u8], span: Range<usize>) -> Range<usize> {
    let raw = slice(bytes, span.clone());
    let header =
        if matches!(raw.first(), Some(b'|' | b'>')) { raw.iter().position(|&byte| byte == b'\n') } else { None };
    let start = span.start + header.map_or(0, |at| at + 1);
    // What follows the last line's end is indentation of the next key.
    let raw = slice(bytes, start..span.end);
    let kept = raw.len() - raw.iter().rev().take_while(|&&byte| is_blank(byte)).count();
    trim(bytes, start..start + kept)
}

/// Assignments that were commented out, in lines that no value covers.
fn comments(bytes: &[u8], start: usize, document: &mut Document) {
    let known = document.scalars.len();
    let mut at = 0;
    let mut line_start = start;
    for line in slice(bytes, start..bytes.len()).split_inclusive(|&byte| byte == b'\n') {
        let line_span = line_start..line_start + line.len();
        line_start = line_span.end;
        if line.trim_ascii_start().first() != Some(&b'#') {
            continue;
        }
        while document.scalars.get(at).is_some_and(|scalar| at < known && scalar.span.end <= line_span.start) {
            at += 1;
        }
        let covered = at < known && document.scalars.get(at).is_some_and(|scalar| scalar.span.start < line_span.end);
        if !covered {
            dotenv::commented(bytes, line_span, document);
        }
    }
    if document.scalars.len() > known {
        document.scalars.sort_by_key(|scalar| scalar.span.start);
    }
}

/// From characters to bytes.
struct Marks<'a> {
    text: &'a str,
    start: usize,
    /// The byte of every `STRIDE`th character; empty where all are one byte.
    offsets: Vec<usize>,
}

impl<'a> Marks<'a> {
    fn new(text: &'a str, start: usize) -> Self {
        let ascii = text.is_ascii();
        let offsets = if ascii { Vec::new() } else { text.char_indices().map(|(at, _)| at).step_by(STRIDE).collect() };
        Self { text, start, offsets }
    }

    fn byte(&self, index: usize) -> usize {
        if self.offsets.is_empty() {
            return self.start + index.min(self.text.len());
        }
        let from = self.offsets.get(index / STRIDE).copied().unwrap_or(self.text.len());
        let rest = self.text.get(from..).unwrap_or_default();
        let within = rest.char_indices().nth(index % STRIDE).map_or(rest.len(), |(at, _)| at);
        self.start + from + within
    }
}
