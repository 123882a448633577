//! Names inside values: what an element of a list, or a word of a command, says by itself.
//!
//! Owns `KEY=value`, `--flag=value`, a flag and the element after it, and headers. One shape for the argument
//! lists of MCP configs, Compose environments and command lines.

use std::ops::Range;

use super::cursor::{is_blank, is_name, is_word, trim, unquote};
use super::{Document, Value, slice};

/// What was seen in the list so far that names the next element.
#[derive(Default)]
pub(super) struct Elements {
    flag: Option<Range<usize>>,
}

impl Elements {
    /// A command ended: no flag waits for a value any more.
    pub fn reset(&mut self) {
        self.flag = None;
    }

    /// Takes one element below the name `parent`. One that names nothing is a value of the list itself where
    /// `plain` says so.
    pub fn push(&mut self, document: &mut Document, bytes: &[u8], parent: Option<u32>, value: Value, plain: bool) {
        let flag = self.flag.take();
        let text = slice(bytes, value.span.clone());
        if text.first() == Some(&b'-') && text.len() > 1 {
            let dashes = text.iter().take_while(|&&byte| byte == b'-').count();
            let length = text.iter().skip(dashes).take_while(|&&byte| is_word(byte)).count();
            let name = value.span.start + dashes..value.span.start + dashes + length;
            match text.get(dashes + length) {
                None if length > 0 && dashes < 3 => self.flag = Some(name),
                Some(b'=') if length > 0 && dashes < 3 => {
                    if let Some(value) = behind(bytes, &value, dashes + length + 1) {
                        flagged(document, bytes, parent, name, value);
                    }
                }
                // A value that begins with a dash, such as a PEM block.
                _ => match flag {
                    Some(flag) => flagged(document, bytes, parent, flag, value),
                    None if plain => document.push(value.named(parent)),
                    None => {}
                },
            }
        } else if let Some((name, value)) = variable(bytes, &value) {
            document.pair(parent, name, value);
        } else if let Some(flag) = flag {
            flagged(document, bytes, parent, flag, value);
        } else if let Some((name, value)) = header(bytes, &value) {
            document.pair(parent, name, value);
        } else if plain {
            document.push(value.named(parent));
        }
    }
}

fn flagged(document: &mut Document, bytes: &[u8], parent: Option<u32>, flag: Range<usize>, value: Value) {
    // `--from-literal=password=...`.
    if let Some((name, value)) = variable(bytes, &value) {
        return document.pair(parent, name, value);
    }
    let takes_header = matches!(slice(bytes, flag.clone()), b"H" | b"header" | b"headers");
    match header(bytes, &value) {
        Some((name, value)) if takes_header => document.pair(parent, name, value),
        _ => document.pair(parent, flag, value),
    }
}

/// `KEY=value`.
fn variable(bytes: &[u8], value: &Value) -> Option<(Range<usize>, Value)> {
    let text = slice(bytes, value.span.clone());
    let length = text.iter().take(129).position(|&byte| !is_word(byte))?;
    if text.get(length) != Some(&b'=') || !is_name(text.get(..length)?) {
        return None;
    }
    // The padding of Base64 is no assignment.
    let padding = text.get(length..)?.iter().all(|&byte| byte == b'=');
    let behind = if padding { None } else { behind(bytes, value, length + 1) }?;
    Some((value.span.start..value.span.start + length, behind))
}

/// `Name: value`, where the name looks like a header's.
fn header(bytes: &[u8], value: &Value) -> Option<(Range<usize>, Value)> {
    let text = slice(bytes, value.span.clone());
    let length = text.iter().take(129).position(|&byte| !is_word(byte))?;
    if text.get(length) != Some(&b':') || !is_name(text.get(..length)?) || text.get(length + 1) == Some(&b'/') {
        return None;
    }
    let blanks = text.iter().skip(length + 1).take_while(|&&byte| is_blank(byte)).count();
    let behind = behind(bytes, value, length + 1 + blanks)?;
    Some((value.span.start..value.span.start + length, behind))
}

/// The value without its first `length` bytes; `None` where escapes stand in these.
fn behind(bytes: &[u8], value: &Value, length: usize) -> Option<Value> {
    let cut = value.span.start + length;
    let span = trim(bytes, cut..value.span.end);
    if let Some(decoded) = &value.decoded {
        let head = slice(bytes, value.span.start..cut);
        let rest = decoded.strip_prefix(head)?;
        return Some(Value { span: cut..value.span.end, decoded: Some(rest.to_vec().into()), ..value.clone() });
    }
    let mut inner = unquote(bytes, span);
    inner.comment = value.comment;
    if inner.quote == super::Quote::None {
        inner.quote = value.quote;
    }
    Some(inner)
}
