//! INI and its kin: AWS credentials, `pip.conf`, `.npmrc`, `.pypirc`, `.gitconfig`, Java properties, `.pgpass`.
//!
//! Owns sections, `key = value` and `key: value`, values that go on in indented lines, and comments. A section is
//! the name its keys are below; the part in quotes of git's `[remote "origin"]` is one more name.

use std::ops::Range;

use super::cursor::{Cursor, is_blank, is_name, trim, unquote};
use super::pairs::Elements;
use super::{Document, Quote, Value, dotenv, slice};

/// Reads all lines; those that are neither section, key nor continuation are skipped.
pub(super) fn parse(bytes: &[u8], start: usize) -> Document {
    let mut document = Document::default();
    let mut cursor = Cursor::new(bytes, start, bytes.len());
    let mut section = None;
    let mut key = None;
    while !cursor.done() {
        let line = cursor.line();
        let indented = bytes.get(line.start).copied().is_some_and(is_blank);
        let line = trim(bytes, line);
        let text = slice(bytes, line.clone());
        match text.first() {
            None => key = None,
            Some(b'#' | b';' | b'!') => dotenv::commented(bytes, line, &mut document),
            Some(b'[') => {
                section = self::section(bytes, line, &mut document);
                key = None;
            }
            Some(_) if (!indented || key.is_none()) && is_directive(text) => {
                key = None;
                directive(bytes, line, section, &mut document);
            }
            Some(_) => match member(bytes, &line) {
                Some((name, value)) if !indented || key.is_none() || is_name(slice(bytes, name.clone())) => {
                    // systemd: the value is an assignment of its own.
                    let environment = slice(bytes, name.clone()).eq_ignore_ascii_case(b"environment");
                    key = document.name(section, name);
                    if environment {
                        variables(bytes, value, key, &mut document);
                    } else {
                        document.push(value.named(key));
                    }
                }
                _ if indented && key.is_some() => document.push(Value::bare(line).named(key)),
                _ => passwords(bytes, line, &mut document),
            },
        }
    }
    document
}

/// `[section]`, `[section "part"]`.
fn section(bytes: &[u8], line: Range<usize>, document: &mut Document) -> Option<u32> {
    let text = slice(bytes, line.clone());
    let length = text.iter().rposition(|&byte| byte == b']').unwrap_or(text.len()).max(1);
    let inside = line.start + 1..line.start + length;
    let text = slice(bytes, inside.clone());
    let quote = text.iter().position(|&byte| byte == b'"').filter(|_| text.last() == Some(&b'"'));
    let Some(quote) = quote.filter(|&at| at > 0 && at + 1 < text.len()) else {
        return document.name(None, trim(bytes, inside));
    };
    let outer = document.name(None, trim(bytes, inside.start..inside.start + quote));
    document.name(outer, inside.start + quote + 1..inside.end - 1)
}

/// `name value` or `name value value`, without a sign between: nginx, Redis, Mosquitto, snmpd and their like.
fn is_directive(text: &[u8]) -> bool {
    let Some(name) = text.iter().position(|&byte| is_blank(byte)).and_then(|at| text.get(..at)) else { return false };
    let equals = text.iter().position(|&byte| byte == b'=');
    // `two words = value` is a member, and `name "a=b"` is none.
    let head = text.get(..equals.unwrap_or(text.len())).unwrap_or_default();
    let divided = equals.is_some_and(|_| head.last().copied().is_none_or(is_blank))
        || head.windows(2).any(|pair| matches!(pair, [b':', b' ' | b'\t']));
    let name = name.strip_prefix(b"\"").and_then(|name| name.strip_suffix(b"\"")).unwrap_or(name);
    is_name(name) && head.iter().any(|&byte| is_blank(byte)) && !divided
}

/// systemd's `Environment=`: assignments with blanks between, each in quotes or not.
fn variables(bytes: &[u8], value: Value, key: Option<u32>, document: &mut Document) {
    if value.quote != Quote::None {
        return Elements::default().push(document, bytes, key, value, true);
    }
    let mut cursor = Cursor::new(bytes, value.span.start, value.span.end);
    loop {
        cursor.skip_blanks();
        if cursor.done() {
            return;
        }
        let value = match cursor.quoted() {
            Some(value) => value,
            None => Value::bare(cursor.take(|byte| !is_blank(byte))),
        };
        Elements::default().push(document, bytes, key, value, true);
    }
}

/// Each word is a value, and the one before it its name.
fn directive(bytes: &[u8], line: Range<usize>, section: Option<u32>, document: &mut Document) {
    let mut cursor = Cursor::new(bytes, line.start, line.end);
    let first = cursor.take(|byte| !is_blank(byte));
    let first = document.name(section, first);
    let mut name = first;
    loop {
        cursor.skip_blanks();
        let value = match cursor.quoted() {
            Some(value) => value,
            // A blank within quotes does not end a word: `--header=Authorization="Bearer ..."`.
            None => {
                let mut open = false;
                Value::bare(cursor.take(|byte| {
                    open ^= byte == b'"';
                    open || !is_blank(byte)
                }))
            }
        };
        let mut value = value;
        if value.quote == Quote::None {
            let text = slice(bytes, value.span.clone());
            let kept = text.iter().rposition(|byte| !matches!(byte, b';' | b'{' | b',')).map_or(0, |at| at + 1);
            value.span.end = value.span.start + kept;
        }
        if cursor.done() && value.span.is_empty() {
            return;
        }
        let next = if is_name(slice(bytes, value.span.clone())) && value.quote == Quote::None {
            document.name(first, value.span.clone())
        } else {
            first
        };
        document.push(value.named(name));
        name = next;
        if cursor.done() {
            return;
        }
    }
}

/// The first equals sign divides, or a colon before it that no URL and no path has.
fn member(bytes: &[u8], line: &Range<usize>) -> Option<(Range<usize>, Value)> {
    let text = slice(bytes, line.clone());
    let equals = text.iter().position(|&byte| byte == b'=');
    let head = text.get(..equals.unwrap_or(text.len()))?;
    let spaced = |at: usize| head.get(at + 1).copied().is_none_or(is_blank);
    let colon = head.iter().enumerate().position(|(at, &byte)| byte == b':' && spaced(at));
    // Java properties need no blank, but `.pgpass` has more than one.
    let tight = || {
        let mut colons = head.iter().enumerate().filter(|(_, byte)| **byte == b':').map(|(at, _)| at);
        let first = colons.next()?;
        (colons.next().is_none() && head.get(first + 1) != Some(&b'/')).then_some(first)
    };
    let colon = colon.filter(|&at| at + 1 < text.len() && text.get(at + 1) != Some(&b'='));
    let at = colon.or(equals).or_else(tight)?;
    let name = trim(bytes, line.start..line.start + at);
    if name.is_empty() {
        return None;
    }
    // Logstash: `name => value`.
    let arrow = usize::from(text.get(at..at + 2) == Some(b"=>"));
    Some((unquote(bytes, name).span, value(bytes, trim(bytes, line.start + at + 1 + arrow..line.end))))
}

fn value(bytes: &[u8], span: Range<usize>) -> Value {
    let mut cursor = Cursor::new(bytes, span.start, span.end);
    if let Some(value) = cursor.quoted()
        && cursor.line_is_over(b"#;")
    {
        return value;
    }
    let text = slice(bytes, span.clone());
    // Grafana's and Gitea's, around signs that would begin a comment.
    if text.len() > 6 && text.starts_with(b"\"\"\"") && text.ends_with(b"\"\"\"") {
        return Value { quote: Quote::Block, ..Value::bare(span.start + 3..span.end - 3) };
    }
    let comment = text.windows(2).position(|pair| matches!(pair, [b' ' | b'\t', b'#' | b';']));
    Value::bare(trim(bytes, span.start..span.start + comment.unwrap_or(text.len())))
}

/// `.pgpass`: `host:port:database:user:password`, a backslash before a colon that is none
/// (PostgreSQL manual, "The Password File"). The names are host and user.
fn passwords(bytes: &[u8], line: Range<usize>, document: &mut Document) {
    let text = slice(bytes, line.clone());
    let mut fields: Vec<Range<usize>> = Vec::with_capacity(5);
    let (mut start, mut escaped, mut escapes) = (0, false, false);
    for (at, &byte) in text.iter().enumerate() {
        if byte == b':' && !escaped && fields.len() < 4 {
            fields.push(line.start + start..line.start + at);
            (start, escapes) = (at + 1, false);
        }
        escaped = byte == b'\\' && !escaped;
        escapes |= escaped;
    }
    let [host, port, _, user] = fields.as_slice() else { return };
    let port = slice(bytes, port.clone());
    if port != b"*" && (port.is_empty() || !port.iter().all(u8::is_ascii_digit)) {
        return;
    }
    let span = line.start + start..line.end;
    let decoded = escapes.then(|| {
        let mut escaped = false;
        let plain = slice(bytes, span.clone()).iter().copied().filter(|&byte| {
            escaped = byte == b'\\' && !escaped;
            !escaped
        });
        plain.collect::<Vec<u8>>().into()
    });
    if !span.is_empty() {
        let host = document.name(None, host.clone());
        document.pair(host, user.clone(), Value { decoded, ..Value::bare(span) });
    }
}
