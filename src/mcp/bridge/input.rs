//! The way from the client: lines, each of them bounded.

use std::{io::Read, os::fd::OwnedFd};

use bytes::Bytes;
use tokio::sync::mpsc;

use super::pipe::Pipe;
use crate::mcp::MAX_MESSAGE;

/// How much is read at once.
const PART: usize = 64 * 1024;

/// What came on standard input.
#[derive(Debug)]
pub enum Line {
    /// A message.
    Message(Bytes),
    /// A line that is longer than a message may be; the rest of it was left out.
    TooLong,
}

/// The lines of the input.
pub enum Lines {
    /// Read when there is something.
    Pipe(Box<Reader>),
    /// Read on a thread: what is no pipe cannot be waited for.
    Thread(mpsc::Receiver<Line>),
}

/// The end of a pipe, with what is not a whole line yet.
pub struct Reader {
    pipe: Pipe,
    cutter: Cutter,
    part: Vec<u8>,
    ended: bool,
}

impl Lines {
    /// Of this input.
    pub fn of(input: OwnedFd) -> Self {
        match Pipe::reading(&input) {
            Some(pipe) => {
                let (cutter, part) = (Cutter::default(), vec![0; PART]);
                Self::Pipe(Box::new(Reader { pipe, cutter, part, ended: false }))
            }
            None => Self::Thread(on_thread(std::fs::File::from(input))),
        }
    }

    /// The next line that is not empty; nothing at the end, and where it cannot be read. May be given up while it waits:
    /// what has come stays.
    pub async fn next(&mut self) -> Option<Line> {
        let reader = match self {
            Self::Thread(lines) => return lines.recv().await,
            Self::Pipe(reader) => reader,
        };
        loop {
            if let Some(line) = reader.cutter.next() {
                return Some(line);
            }
            if reader.ended {
                return None;
            }
            match reader.pipe.read(&mut reader.part).await {
                Ok(length @ 1..) => reader.cutter.push(reader.part.get(..length).unwrap_or_default()),
                Ok(0) | Err(_) => {
                    reader.ended = true;
                    reader.cutter.push(b"\n");
                }
            }
        }
    }
}

fn on_thread(mut input: impl Read + Send + 'static) -> mpsc::Receiver<Line> {
    let (sender, lines) = mpsc::channel(64);
    std::thread::spawn(move || {
        let (mut cutter, mut part) = (Cutter::default(), vec![0; PART]);
        loop {
            let length = match input.read(&mut part) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                read => read.unwrap_or(0),
            };
            cutter.push(if length == 0 { b"\n" } else { part.get(..length).unwrap_or_default() });
            while let Some(line) = cutter.next() {
                if sender.blocking_send(line).is_err() {
                    return;
                }
            }
            if length == 0 {
                return;
            }
        }
    });
    lines
}

/// Cuts what comes into lines.
#[derive(Default)]
struct Cutter {
    held: Vec<u8>,
    /// So much of it was looked through.
    looked: usize,
    /// The rest of a line that is too long is left out.
    skipping: bool,
}

impl Cutter {
    fn push(&mut self, part: &[u8]) {
        self.held.extend_from_slice(part);
    }

    fn next(&mut self) -> Option<Line> {
        loop {
            let new = self.held.get(self.looked..).unwrap_or_default();
            let Some(end) = memchr::memchr(b'\n', new).map(|at| self.looked + at) else {
                self.looked = self.held.len();
                if self.skipping || self.held.len() > MAX_MESSAGE {
                    let first = !self.skipping;
                    (self.held, self.looked, self.skipping) = (Vec::new(), 0, true);
                    return first.then_some(Line::TooLong);
                }
                return None;
            };
            let rest = self.held.split_off(end + 1);
            let line = std::mem::replace(&mut self.held, rest);
            self.looked = 0;
            if std::mem::take(&mut self.skipping) {
                continue;
            }
            let line = line.get(..end).unwrap_or_default().trim_ascii();
            if line.len() > MAX_MESSAGE {
                return Some(Line::TooLong);
            }
            if !line.is_empty() {
                return Some(Line::Message(Bytes::copy_from_slice(line)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_and_bounded_whatever_comes_at_once() {
        let long = vec![b'x'; MAX_MESSAGE + 1];
        let whole = [b"{\"a\":1}\r\n\n  \n".as_slice(), &long, b"yy\n{}\n", &long[1..], b"\nlast\n"].concat();
        for size in [PART, 7 * 1024 * 1024 + 1, usize::MAX] {
            let (mut cutter, mut found) = (Cutter::default(), Vec::new());
            for part in whole.chunks(size.min(whole.len())) {
                cutter.push(part);
                while let Some(line) = cutter.next() {
                    found.push(match line {
                        Line::Message(bytes) => bytes.len(),
                        Line::TooLong => 0,
                    });
                }
            }
            assert_eq!(found, [7, 0, 2, MAX_MESSAGE, 4], "{size}");
        }
    }
}
