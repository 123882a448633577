//! Where a chunked body ends (RFC 9112 section 7.1), and where its data is.
//!
//! Owns the strict reading: sizes of plain hexadecimal digits, CR LF and nothing else as a line end,
//! short trailers. Extensions are skipped in an answer, where servers send them, and refused in a request.
//! Never changes a byte; it only finds the places.

use super::head::Fault;

/// The most bytes that trailers may take, and a chunk's extensions.
const MAX_TRAILERS: usize = 8 * 1024;

/// Follows a chunked body as its bytes come.
#[derive(Debug)]
pub struct Chunks {
    state: State,
    /// Data bytes so far.
    total: u64,
    max: Option<u64>,
    trailers: usize,
    /// Extensions may come.
    extensions: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Size { value: u64, digits: u8 },
    Extension { value: u64 },
    SizeEnd { value: u64 },
    Data { left: u64 },
    DataCr,
    DataLf,
    TrailerStart,
    Trailer,
    TrailerLf,
    LastLf,
    Done,
}

impl Chunks {
    /// Follows a body of at most `max` data bytes.
    pub fn new(max: Option<u64>) -> Self {
        Self { state: State::Size { value: 0, digits: 0 }, total: 0, max, trailers: 0, extensions: false }
    }

    /// Follows the body of an answer, of any size.
    pub fn of_answer() -> Self {
        Self { extensions: true, ..Self::new(None) }
    }

    /// True once the last byte was seen.
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Looks at more bytes; gives how many of them belong to the body.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<usize, Fault> {
        let mut at = 0;
        while let Some(byte) = bytes.get(at).copied() {
            if self.is_done() {
                break;
            }
            if let State::Data { left } = self.state {
                at += self.pass(left, bytes.len() - at);
                continue;
            }
            self.state = self.step(byte)?;
            at += 1;
        }
        Ok(at)
    }

    /// Goes on to the next data: how many bytes stand before it, and how many bytes of it follow. No data where
    /// more has to come first, or where the body is done.
    pub fn next(&mut self, bytes: &[u8]) -> Result<(usize, usize), Fault> {
        let mut at = 0;
        while let Some(byte) = bytes.get(at).copied() {
            if self.is_done() {
                break;
            }
            if let State::Data { left } = self.state {
                return Ok((at, self.pass(left, bytes.len() - at)));
            }
            self.state = self.step(byte)?;
            at += 1;
        }
        Ok((at, 0))
    }

    /// Goes over as much of a chunk's data as there is.
    fn pass(&mut self, left: u64, there: usize) -> usize {
        let here = usize::try_from(left).unwrap_or(usize::MAX).min(there);
        let left = left - here as u64;
        self.state = if left == 0 { State::DataCr } else { State::Data { left } };
        here
    }

    fn step(&mut self, byte: u8) -> Result<State, Fault> {
        let wrong = Err(Fault::Ambiguous("a chunk that is not framed exactly as RFC 9112 says"));
        Ok(match (self.state, byte) {
            (State::Size { value, digits }, _) if byte.is_ascii_hexdigit() && digits < 15 => {
                let digit = char::from(byte).to_digit(16).unwrap_or(0);
                State::Size { value: value * 16 + u64::from(digit), digits: digits + 1 }
            }
            (State::Size { value, digits: 1.. } | State::Extension { value }, b'\r') => State::SizeEnd { value },
            (State::Size { value, digits: 1.. }, b';' | b' ' | b'\t') if self.extensions => State::Extension { value },
            (State::Extension { value }, _) if is_text(byte) => {
                self.count_extra()?;
                State::Extension { value }
            }
            (State::SizeEnd { value: 0 }, b'\n') => State::TrailerStart,
            (State::SizeEnd { value }, b'\n') => {
                self.total = self.total.saturating_add(value);
                self.trailers = 0;
                if self.max.is_some_and(|max| self.total > max) {
                    return Err(Fault::TooLarge("the body is larger than is accepted here"));
                }
                State::Data { left: value }
            }
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => State::Size { value: 0, digits: 0 },
            (State::TrailerStart, b'\r') => State::LastLf,
            (State::LastLf, b'\n') => State::Done,
            (State::Trailer, b'\r') => State::TrailerLf,
            (State::TrailerLf, b'\n') => State::TrailerStart,
            (State::TrailerStart | State::Trailer, _) if is_text(byte) => {
                self.count_extra()?;
                State::Trailer
            }
            _ => return wrong,
        })
    }

    fn count_extra(&mut self) -> Result<(), Fault> {
        self.trailers += 1;
        if self.trailers > MAX_TRAILERS { Err(Fault::TooLarge("the trailers are too long")) } else { Ok(()) }
    }
}

fn is_text(byte: u8) -> bool {
    byte == b'\t' || (b' '..0x7f).contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_end_is_found_and_what_follows_is_left() {
        let mut chunks = Chunks::new(None);
        let body = b"5\r\nhello\r\nA\r\n0123456789\r\n0\r\nx: y\r\n\r\nGET /";
        assert_eq!(chunks.feed(body), Ok(body.len() - 5));
        assert!(chunks.is_done());
    }

    #[test]
    fn loose_framing_is_refused() {
        for body in [
            "5;x=y\r\nhello",
            "0x5\r\n",
            "+5\r\n",
            " 5\r\n",
            "5 \r\n",
            "5\nhello",
            "\r\n",
            "5\r\nhelloX",
            "1234567890abcdef\r\n",
            "1\r\nab\r\n",
        ] {
            assert!(Chunks::new(None).feed(body.as_bytes()).is_err(), "{body:?} was taken");
        }
        assert!(matches!(Chunks::new(Some(4)).feed(b"5\r\n"), Err(Fault::TooLarge(_))));
    }

    proptest! {
        #[test]
        fn the_cuts_do_not_matter(sizes in prop::collection::vec(1usize..40, 0..6), cut in 1usize..9) {
            let mut body = String::new();
            for size in &sizes {
                body += &format!("{size:x}\r\n{}\r\n", "z".repeat(*size));
            }
            body += "0\r\n\r\n";
            let mut chunks = Chunks::new(None);
            for piece in body.as_bytes().chunks(cut) {
                prop_assert!(!chunks.is_done());
                prop_assert_eq!(chunks.feed(piece), Ok(piece.len()));
            }
            prop_assert!(chunks.is_done());
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = Chunks::new(Some(10)).feed(&bytes);
        }
    }
}
