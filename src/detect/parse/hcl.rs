//! HCL: variables, blocks and maps of Terraform, Packer, Nomad and Vault.
//!
//! Owns the names on the way to a string or a number. It evaluates nothing: an expression is no value.

use std::ops::Range;

use super::cursor::{Cursor, is_blank, trim};
use super::tree::Tree;
use super::{Document, Quote, Value, dotenv, slice};

/// Reads the file; `None` where it nests too deep or its braces do not fit.
pub(super) fn parse(bytes: &[u8], start: usize) -> Option<Document> {
    let mut cursor = Cursor::new(bytes, start, bytes.len());
    let mut tree = Tree::new(bytes);
    // What was read since the line began or a separator: a name, and whether a sign made it a key.
    let (mut name, mut keyed): (Option<Value>, bool) = (None, false);
    while let Some(byte) = cursor.peek() {
        match byte {
            b'\n' | b',' => {
                cursor.bump();
                flush(&mut tree, &mut name);
                tree.skip();
                keyed = false;
            }
            b'#' => comment(&mut cursor, &mut tree),
            b'/' if cursor.ahead(1) == Some(b'/') => comment(&mut cursor, &mut tree),
            b'/' if cursor.ahead(1) == Some(b'*') => {
                let length = cursor.rest().windows(2).position(|pair| pair == b"*/");
                cursor.at = length.map_or(cursor.end, |length| cursor.at + length + 2);
            }
            b'=' | b':' => {
                cursor.bump();
                let double = cursor.eat(b'=');
                cursor.eat(b'>');
                if let Some(name) = name.take().filter(|_| !double && !tree.in_list()) {
                    tree.key(Some(name.span));
                    keyed = true;
                }
            }
            b'{' | b'[' => {
                cursor.bump();
                if let Some(label) = name.take() {
                    tree.key(Some(label.span));
                }
                if !tree.open(byte == b'[') {
                    return None;
                }
                keyed = false;
            }
            b'}' | b']' => {
                cursor.bump();
                flush(&mut tree, &mut name);
                if tree.in_list() != (byte == b']') || !tree.close() {
                    return None;
                }
                tree.skip();
                keyed = false;
            }
            b'"' => {
                let value = string(&mut cursor)?;
                if keyed {
                    tree.scalar(value);
                    keyed = false;
                } else if tree.in_list() {
                    tree.scalar(value);
                } else {
                    // The label of a block, or a key: `resource "a" "b" {`.
                    if let Some(before) = name.replace(value) {
                        tree.key(Some(before.span));
                    }
                }
            }
            b'<' if cursor.rest().starts_with(b"<<") => {
                if let Some(value) = heredoc(&mut cursor)
                    && keyed
                {
                    tree.scalar(value);
                }
                keyed = false;
            }
            _ if byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-' => {
                let word = cursor.take(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'));
                let number = slice(bytes, word.clone()).iter().all(|byte| byte.is_ascii_digit() || *byte == b'.');
                match (keyed, number) {
                    (true, true) => tree.scalar(Value::bare(word)),
                    (true, false) => tree.skip(),
                    (false, _) => {
                        if let Some(before) = name.replace(Value::bare(word)) {
                            tree.key(Some(before.span));
                        }
                    }
                }
                keyed = false;
            }
            _ => cursor.bump(),
        }
    }
    (tree.depth() == 0).then_some(tree.document)
}

fn comment(cursor: &mut Cursor<'_>, tree: &mut Tree<'_>) {
    let line = cursor.at..cursor.line_end();
    cursor.at = line.end;
    dotenv::commented(tree.bytes, line, &mut tree.document);
}

/// A word in a list is a bare number or an expression; elsewhere a name alone says nothing.
fn flush(tree: &mut Tree<'_>, name: &mut Option<Value>) {
    if let Some(word) = name.take()
        && tree.in_list()
        && slice(tree.bytes, word.span.clone()).iter().all(u8::is_ascii_digit)
    {
        tree.scalar(word);
    }
}

/// A string on one line; quotes inside `${ }` belong to the expression.
fn string(cursor: &mut Cursor<'_>) -> Option<Value> {
    let start = cursor.at + 1;
    let end = cursor.line_end();
    let mut depth = 0_usize;
    let mut at = start;
    while at < end {
        match (cursor.bytes.get(at)?, cursor.bytes.get(at + 1)) {
            (b'\\', _) => at += 1,
            (b'$' | b'%', Some(b'{')) => {
                depth += 1;
                at += 1;
            }
            (b'}', _) => depth = depth.saturating_sub(1),
            (b'"', _) if depth == 0 => {
                cursor.at = at + 1;
                let mut quoted = Cursor::new(cursor.bytes, start - 1, at + 1);
                let whole = quoted.quoted().filter(|_| quoted.done());
                return Some(whole.unwrap_or(Value { quote: Quote::Double, ..Value::bare(start..at) }));
            }
            _ => {}
        }
        at += 1;
    }
    None
}

/// `<<EOF` and `<<-EOF`: the lines up to the word, without the first one's indentation and the last line end.
fn heredoc(cursor: &mut Cursor<'_>) -> Option<Value> {
    let line = cursor.line();
    let word = slice(cursor.bytes, line).trim_ascii();
    let word = word.get(2..)?;
    let word = word.strip_prefix(b"-").unwrap_or(word);
    let start = cursor.at;
    while !cursor.done() {
        let line = cursor.line();
        if slice(cursor.bytes, line.clone()).trim_ascii() == word {
            cursor.at = line.end;
            let indent = slice(cursor.bytes, start..line.start).iter().take_while(|&&byte| is_blank(byte)).count();
            let span: Range<usize> = trim(cursor.bytes, start + indent..line.start);
            return Some(Value { quote: Quote::Block, ..Value::bare(span) });
        }
    }
    None
}
