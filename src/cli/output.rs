//! The only place that prints.
//!
//! Owns standard output and standard error: colour goes only to a terminal and not with `NO_COLOR`
//! (anstream decides), a closed pipe is no error, and an error is `error:` then `hint:`, or a problem
//! document with `--json`.

use std::{
    io::{self, Write},
    sync::atomic::{AtomicBool, Ordering},
};

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use crate::{
    api::problem::{Code, Problem},
    error::{Error, Result},
    principal::printable,
};

/// Good.
pub const GREEN: Style = AnsiColor::Green.on_default();
/// Bad.
pub const RED: Style = AnsiColor::Red.on_default();
/// Worth a look.
pub const YELLOW: Style = AnsiColor::Yellow.on_default();
/// Headings and names.
pub const BOLD: Style = Style::new().bold();
/// Of second rank.
pub const DIM: Style = Style::new().dimmed();

/// A text in a style.
pub fn styled(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

/// Prints a text and a line end; nothing for an empty text.
///
/// # Errors
/// Standard output cannot be written, other than by a closed pipe.
pub fn text(text: &str) -> Result<()> {
    if text.is_empty() {
        return Ok(());
    }
    let mut out = anstream::stdout().lock();
    done(writeln!(out, "{}", text.trim_end_matches('\n')).and_then(|()| out.flush()))
}

/// Prints a value as JSON.
///
/// # Errors
/// Standard output cannot be written, other than by a closed pipe.
pub fn json<T: Serialize>(value: &T) -> Result<()> {
    let text = zeroize::Zeroizing::new(
        serde_json::to_string_pretty(value).map_err(|_| Error::internal("an answer could not be written as JSON"))?,
    );
    line(&text)
}

/// Prints one line as it is: a token, an id.
///
/// # Errors
/// Standard output cannot be written, other than by a closed pipe.
pub fn line(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    done(out.write_all(text.as_bytes()).and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush()))
}

/// Prints bytes as they are.
///
/// # Errors
/// Standard output cannot be written, other than by a closed pipe.
pub fn raw(bytes: &[u8]) -> Result<()> {
    let mut out = io::stdout().lock();
    done(out.write_all(bytes).and_then(|()| out.flush()))
}

/// Says something on standard error; what cannot be said is lost.
pub fn note(text: &str) {
    let _ = writeln!(anstream::stderr().lock(), "{text}");
}

/// Says what went wrong.
pub fn error(error: &Error, json: bool) {
    if json {
        let problem = Problem::from(error.clone());
        let text = serde_json::to_string(&problem).unwrap_or_default();
        let _ = writeln!(io::stderr().lock(), "{text}");
        return;
    }
    note(&error_text(error));
}

fn error_text(error: &Error) -> String {
    let mut text = format!("{} {}", styled(RED.bold(), "error:"), safe(&error.detail));
    if let Some(hint) = &error.hint {
        text.push_str(&format!("\n{} {}", styled(YELLOW.bold(), "hint:"), safe(hint)));
    }
    text
}

/// A text from the wire for a terminal: each line made printable.
pub fn safe(text: &str) -> String {
    text.lines().map(printable).collect::<Vec<_>>().join("\n")
}

/// The same on one line: a file's name may hold line ends, and must not look like an answer of ours.
pub fn one_line(text: &str) -> String {
    printable(text)
}

static CLOSED: AtomicBool = AtomicBool::new(false);

/// True once whoever read standard output has gone.
pub fn is_closed() -> bool {
    CLOSED.load(Ordering::Relaxed)
}

fn done(outcome: io::Result<()>) -> Result<()> {
    match outcome {
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => {
            CLOSED.store(true, Ordering::Relaxed);
            Ok(())
        }
        other => other.map_err(|e| Error::new(Code::Io, format!("standard output cannot be written: {e}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_from_the_wire_moves_no_cursor() {
        let error = Error::new(Code::NotFound, "no \u{1b}[2J such").hint("run\nthis \u{202e}");
        let plain = anstream::adapter::strip_str(&error_text(&error)).to_string();
        assert_eq!(plain, "error: no \u{fffd}[2J such\nhint: run\nthis \u{fffd}");
    }
}
