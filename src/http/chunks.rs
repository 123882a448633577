//! Where a chunked body ends (RFC 9112 section 7.1).
//!
//! Owns the strict reading: sizes of plain hexadecimal digits, CR LF and nothing else as a line end,
//! no extensions, short trailers. Never changes a byte; it only finds the end.

use super::head::Fault;

/// The most bytes that trailers may take.
const MAX_TRAILERS: usize = 8 * 1024;

/// Follows a chunked body as its bytes come.
#[derive(Debug)]
pub struct Chunks {
    state: State,
    /// Data bytes so far.
    total: u64,
    max: Option<u64>,
    trailers: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Size { value: u64, digits: u8 },
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
        Self { state: State::Size { value: 0, digits: 0 }, total: 0, max, trailers: 0 }
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
                let here = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len() - at);
                at += here;
                let left = left - here as u64;
                self.state = if left == 0 { State::DataCr } else { State::Data { left } };
                continue;
            }
            self.state = self.step(byte)?;
            at += 1;
        }
        Ok(at)
    }

    fn step(&mut self, byte: u8) -> Result<State, Fault> {
        let wrong = Err(Fault::Ambiguous("a chunk that is not framed exactly as RFC 9112 says"));
        Ok(match (self.state, byte) {
            (State::Size { value, digits }, _) if byte.is_ascii_hexdigit() && digits < 15 => {
                let digit = char::from(byte).to_digit(16).unwrap_or(0);
                State::Size { value: value * 16 + u64::from(digit), digits: digits + 1 }
            }
            (State::Size { value, digits: 1.. }, b'\r') => State::SizeEnd { value },
            (State::SizeEnd { value: 0 }, b'\n') => State::TrailerStart,
            (State::SizeEnd { value }, b'\n') => {
                self.total = self.total.saturating_add(value);
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
            (State::TrailerStart | State::Trailer, _) if byte == b'\t' || (b' '..0x7f).contains(&byte) => {
                self.trailers += 1;
                if self.trailers > MAX_TRAILERS {
                    return Err(Fault::TooLarge("the trailers are too long"));
                }
                State::Trailer
            }
            _ => return wrong,
        })
    }
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
