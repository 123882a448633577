//! `.netrc`: words in pairs, on any lines.
//!
//! Owns `machine HOST login NAME password VALUE`, `default`, `macdef` and quoted values. The path of a value is
//! `machine.HOST.password`, of the default `default.password`.

use super::cursor::Cursor;
use super::{Document, Value, slice};

/// Reads all pairs; what does not belong is skipped.
pub(super) fn parse(bytes: &[u8], start: usize) -> Document {
    let mut document = Document::default();
    let mut cursor = Cursor::new(bytes, start, bytes.len());
    let mut machine = None;
    while let Some(word) = word(&mut cursor) {
        match slice(bytes, word.span.clone()) {
            b"machine" => {
                let keyword = document.name(None, word.span);
                machine = self::word(&mut cursor).and_then(|host| document.name(keyword, host.span));
            }
            b"default" => machine = document.name(None, word.span),
            b"login" | b"password" | b"account" | b"user" => {
                if let Some(value) = self::word(&mut cursor) {
                    document.pair(machine, word.span, value);
                }
            }
            // A macro lasts until an empty line.
            b"macdef" => while !slice(bytes, cursor.line()).trim_ascii().is_empty() {},
            text if text.starts_with(b"#") => {
                cursor.line();
            }
            _ => {}
        }
    }
    document
}

fn word(cursor: &mut Cursor<'_>) -> Option<Value> {
    cursor.take(|byte| byte.is_ascii_whitespace());
    if cursor.done() {
        return None;
    }
    let end = cursor.line_end();
    let start = cursor.at;
    if cursor.peek() == Some(b'"')
        && let Some(value) = cursor.quoted()
    {
        if value.span.end <= end && cursor.peek().is_none_or(|byte| byte.is_ascii_whitespace()) {
            return Some(value);
        }
        cursor.at = start;
    }
    Some(Value::bare(cursor.take(|byte| !byte.is_ascii_whitespace())))
}
