//! Environment files: `KEY=value` lines, as dotenv libraries, Compose and systemd read them.
//!
//! Owns quotes over lines, comments behind values, and assignments that were commented out.

use std::ops::Range;

use super::cursor::{Cursor, is_blank, is_name, is_word, trim};
use super::{Document, Value, slice};

/// Reads all lines; those that assign nothing are skipped.
pub(super) fn parse(bytes: &[u8], start: usize) -> Document {
    let mut document = Document::default();
    let mut cursor = Cursor::new(bytes, start, bytes.len());
    while !cursor.done() {
        cursor.take(|byte| byte.is_ascii_whitespace());
        if cursor.peek() == Some(b'#') {
            let line = cursor.line();
            commented(bytes, line, &mut document);
        } else {
            if let Some((name, value)) = assignment(&mut cursor) {
                document.pair(None, name, value);
            }
            cursor.line();
        }
    }
    document
}

/// `# KEY=value`, and `# key: value` where the value is one word, because prose has colons. Shared by all kinds with
/// such comments.
pub(super) fn commented(bytes: &[u8], line: Range<usize>, document: &mut Document) {
    let mut cursor = Cursor::new(bytes, line.start, line.end);
    cursor.take(|byte| is_blank(byte) || matches!(byte, b'#' | b';' | b'/' | b'!'));
    let start = cursor.at;
    let rest = cursor.rest();
    let colon = rest.windows(2).position(|pair| matches!(pair, [b':', b' ' | b'\t']));
    let colon = colon.filter(|&at| !rest.get(at + 1..).unwrap_or_default().trim_ascii().iter().any(|&b| is_blank(b)));
    let equals = rest.iter().position(|&byte| byte == b'=');
    let Some(length) = colon.into_iter().chain(equals).min() else { return };
    let left = trim(bytes, start..start + length);
    let words = slice(bytes, left).split(|&byte| is_blank(byte)).count();
    let exported = cursor.rest().starts_with(b"export ");
    if words > 1 + usize::from(exported) {
        return;
    }
    if let Some((name, mut value)) = assignment(&mut cursor) {
        value.comment = true;
        document.pair(None, name, value);
    }
}

/// One assignment; the cursor is then behind its value.
pub(super) fn assignment(cursor: &mut Cursor<'_>) -> Option<(Range<usize>, Value)> {
    if cursor.rest().starts_with(b"export") && cursor.ahead(6).is_some_and(is_blank) {
        cursor.at += 6;
        cursor.skip_blanks();
    }
    let name = cursor.take(is_word);
    if !is_name(slice(cursor.bytes, name.clone())) {
        return None;
    }
    cursor.skip_blanks();
    let colon = cursor.peek() == Some(b':') && cursor.ahead(1).is_some_and(is_blank);
    if !colon && cursor.peek() != Some(b'=') {
        return None;
    }
    cursor.bump();
    cursor.skip_blanks();
    Some((name, value(cursor)))
}

fn value(cursor: &mut Cursor<'_>) -> Value {
    let start = cursor.at;
    let end = cursor.line_end();
    if let Some(value) = cursor.quoted() {
        // A quote that closes in the midst of a later line opened by mistake.
        if cursor.at <= end || cursor.line_is_over(b"#;") {
            return value;
        }
        cursor.at = start;
    }
    let opened = usize::from(matches!(cursor.peek(), Some(b'"' | b'\'' | b'`')));
    let text = slice(cursor.bytes, start..end);
    let blank_before = |at: usize| at == 0 || text.get(at - 1).copied().is_some_and(is_blank);
    let comment = text.iter().enumerate().position(|(at, &byte)| {
        byte == b'#'
            && blank_before(at)
            && (at > 0 || cursor.bytes.get(start.wrapping_sub(1)).copied().is_some_and(is_blank))
    });
    cursor.at = end;
    Value::bare(trim(cursor.bytes, start + opened..comment.map_or(end, |at| start + at).max(start + opened)))
}
