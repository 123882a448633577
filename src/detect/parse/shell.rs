//! Shell start-up files, scripts and histories, of sh and bash, zsh, fish, csh and PowerShell, and Dockerfiles.
//!
//! Owns cutting commands into words. It runs nothing and expands nothing: what a word says is `pairs`' matter.

use std::ops::Range;

use super::cursor::{Cursor, is_blank, is_name, is_word};
use super::pairs::Elements;
use super::{Document, Quote, Value, dotenv, slice};

/// Reads all commands; those that name no value are skipped.
pub(super) fn parse(bytes: &[u8], start: usize) -> Document {
    let mut shell = Shell {
        cursor: Cursor::new(bytes, start, bytes.len()),
        document: Document::default(),
        bytes,
        wait: Wait::Start,
    };
    let mut elements = Elements::default();
    while let Some(byte) = shell.cursor.peek() {
        match byte {
            b'\n' | b';' | b'|' | b'&' | b'(' | b')' | b'{' | b'}' => {
                shell.cursor.bump();
                shell.wait = Wait::Start;
                elements.reset();
            }
            b'\\' if shell.cursor.ahead(1) == Some(b'\n') => shell.cursor.at += 2,
            b'\\' if shell.cursor.rest().starts_with(b"\\\r\n") => shell.cursor.at += 3,
            _ if byte.is_ascii_whitespace() || matches!(byte, b'<' | b'>') => shell.cursor.bump(),
            b'#' => {
                let line = shell.cursor.at..shell.cursor.line_end();
                shell.cursor.at = line.end;
                dotenv::commented(bytes, line, &mut shell.document);
            }
            _ => {
                let word = shell.word();
                shell.said(word, &mut elements);
            }
        }
    }
    shell.document
}

/// What the words before say the next one is.
enum Wait {
    /// The first word of a command.
    Start,
    /// The variable of `setenv`, `ENV`, `set -x`.
    Variable,
    /// The value of that variable.
    Value(Range<usize>),
    /// The equals sign after PowerShell's `$env:NAME`.
    Equals(Range<usize>),
    /// Nothing.
    Other,
}

struct Shell<'a> {
    bytes: &'a [u8],
    cursor: Cursor<'a>,
    document: Document,
    wait: Wait,
}

impl Shell<'_> {
    fn said(&mut self, word: Value, elements: &mut Elements) {
        let text = slice(self.bytes, word.span.clone());
        let bare = word.quote == Quote::None;
        self.wait = match std::mem::replace(&mut self.wait, Wait::Other) {
            Wait::Start if bare && matches!(text, b"setenv" | b"ENV" | b"set") => Wait::Variable,
            Wait::Start if bare && text.starts_with(b"$") => {
                let skip = if text.len() > 5 && text.get(..5).is_some_and(|head| head.eq_ignore_ascii_case(b"$env:")) {
                    5
                } else {
                    1
                };
                let equals = text.iter().position(|&byte| byte == b'=');
                let name = word.span.start + skip..word.span.start + equals.unwrap_or(text.len()).max(skip);
                match equals {
                    _ if !is_name(slice(self.bytes, name.clone())) => Wait::Other,
                    Some(at) if at + 1 < text.len() => {
                        let value = super::cursor::unquote(self.bytes, word.span.start + at + 1..word.span.end);
                        self.document.pair(None, name, value);
                        Wait::Other
                    }
                    Some(_) => Wait::Value(name),
                    None => Wait::Equals(name),
                }
            }
            Wait::Equals(name) if bare && text == b"=" => Wait::Value(name),
            // `set` takes flags before the name; `ENV A=b` is an assignment.
            Wait::Variable if text.starts_with(b"-") => Wait::Variable,
            Wait::Variable if is_name(text) => Wait::Value(word.span),
            Wait::Value(name) => {
                self.document.pair(None, name, word);
                return;
            }
            Wait::Start if text.contains(&b'=') => {
                elements.push(&mut self.document, self.bytes, None, word, false);
                Wait::Start
            }
            _ => {
                elements.push(&mut self.document, self.bytes, None, word, false);
                Wait::Other
            }
        };
    }

    /// One word with its quotes; without them where they are around all of it.
    fn word(&mut self) -> Value {
        let start = self.cursor.at;
        let assigns = self.assigns();
        let mut inside = None;
        while let Some(byte) = self.cursor.peek() {
            match byte {
                b'"' | b'\'' | b'`' => {
                    let at = self.cursor.at;
                    let end = self.cursor.line_end();
                    match self.cursor.quoted() {
                        // Over lines only as the value of an assignment: an apostrophe in prose would eat the file.
                        Some(value) if self.cursor.at <= end || (assigns && self.cursor.line_is_over(b"#;&")) => {
                            inside = (at == start).then_some(value);
                        }
                        _ => self.cursor.at = at + 1,
                    }
                }
                b'\\' if !matches!(self.cursor.ahead(1), Some(b'\n' | b'\r') | None) => self.cursor.at += 2,
                b'$' if self.cursor.ahead(1) == Some(b'{') => {
                    let end = self.cursor.line_end();
                    let name =
                        self.cursor.take(|byte| byte != b'}' && !is_blank(byte) && byte != b'\n' && byte != b'"');
                    self.cursor.at = (name.end + 1).min(end);
                }
                b';' | b'|' | b'&' | b'(' | b')' | b'<' | b'>' => break,
                b'\\' => break,
                _ if byte.is_ascii_whitespace() => break,
                _ => self.cursor.bump(),
            }
        }
        if self.cursor.at == start {
            self.cursor.bump();
        }
        match inside {
            Some(value) if value.span.end + 1 == self.cursor.at => value,
            _ => Value::bare(start..self.cursor.at),
        }
    }

    fn assigns(&self) -> bool {
        let name = self.cursor.rest().iter().take(129).take_while(|&&byte| is_word(byte)).count();
        name > 0 && self.cursor.ahead(name) == Some(b'=')
    }
}
