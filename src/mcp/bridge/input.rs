//! The way from the client: lines, each of them bounded.

use std::io::{BufRead as _, BufReader, Read};

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::mcp::MAX_MESSAGE;

/// What came on standard input.
#[derive(Debug)]
pub enum Line {
    /// A message.
    Message(Bytes),
    /// A line that is longer than a message may be; the rest of it was left out.
    TooLong,
}

/// Reads on a thread until the end of the input: reading it cannot be given up in the middle.
pub fn lines(input: impl Read + Send + 'static) -> mpsc::Receiver<Line> {
    let (sender, lines) = mpsc::channel(64);
    std::thread::spawn(move || {
        let mut input = BufReader::with_capacity(64 * 1024, input);
        while let Some(line) = next(&mut input) {
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    lines
}

/// The next line that is not empty; nothing at the end, and where it cannot be read.
fn next(input: &mut BufReader<impl Read>) -> Option<Line> {
    let limit = u64::try_from(MAX_MESSAGE).unwrap_or(u64::MAX).saturating_add(1);
    loop {
        let mut line = Vec::new();
        if input.by_ref().take(limit).read_until(b'\n', &mut line).ok()? == 0 {
            return None;
        }
        if line.last() != Some(&b'\n') && line.len() > MAX_MESSAGE {
            skip(input)?;
            return Some(Line::TooLong);
        }
        let start = line.iter().position(|byte| !byte.is_ascii_whitespace()).unwrap_or(line.len());
        let line = Bytes::from(line).slice(start..);
        let line = line.slice(..line.trim_ascii_end().len());
        if !line.is_empty() {
            return Some(Line::Message(line));
        }
    }
}

/// Leaves out the rest of a line.
fn skip(input: &mut BufReader<impl Read>) -> Option<()> {
    loop {
        let part = input.fill_buf().ok().filter(|part| !part.is_empty())?;
        let end = memchr::memchr(b'\n', part);
        let length = end.map_or(part.len(), |end| end + 1);
        input.consume(length);
        if end.is_some() {
            return Some(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_and_bounded() {
        let long = vec![b'x'; MAX_MESSAGE + 1];
        let whole = [b"{\"a\":1}\r\n\n  \n".as_slice(), &long, b"yy\n{}\n", &long[1..], b"\nlast"].concat();
        let mut input = BufReader::new(std::io::Cursor::new(whole));
        let mut found = Vec::new();
        while let Some(line) = next(&mut input) {
            found.push(match line {
                Line::Message(bytes) => bytes.len(),
                Line::TooLong => 0,
            });
        }
        assert_eq!(found, [7, 0, 2, MAX_MESSAGE, 4]);
    }
}
