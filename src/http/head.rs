//! The inspection of a raw request head, before any parser that would forgive something.
//!
//! Owns the rule that a head which two readers could read differently is refused: RFC 9112 sections
//! 2.2 (line ends), 3.2 (one Host), 5.1 (space before the colon), 5.2 (folding) and 6.3 (framing).
//! hyper alone takes equal duplicate Content-Length lines, and drops one beside Transfer-Encoding.

use crate::{api::problem::Code, error::Error};

/// How the bytes behind a head are framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// This many bytes; 0 where there is no body.
    Length(u64),
    /// Chunks (RFC 9112 section 7.1).
    Chunked,
}

/// What an accepted head says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The body's framing.
    pub framing: Framing,
    /// It asks to leave HTTP (`Upgrade`, CONNECT), so what follows may be no HTTP.
    pub leaves: bool,
}

/// Why a head, or the body behind it, is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Not HTTP/1.
    #[error("the request is malformed: {0}")]
    Malformed(&'static str),
    /// Two readers could read it differently.
    #[error("the request could be read in two ways: {0}")]
    Ambiguous(&'static str),
    /// Over a limit.
    #[error("the request is too large: {0}")]
    TooLarge(&'static str),
    /// The head did not come in time.
    #[error("the request's head did not come in time")]
    Slow,
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        let code = match fault {
            Fault::Malformed(_) => Code::BadRequest,
            Fault::Ambiguous(_) => Code::AmbiguousRequest,
            Fault::TooLarge(_) => Code::TooLarge,
            Fault::Slow => Code::Timeout,
        };
        Self::new(code, fault.to_string())
    }
}

/// Judges a whole head, its last empty line included.
pub fn inspect(head: &[u8], max_headers: usize, max_body: Option<u64>) -> Result<Head, Fault> {
    let mut lines = Lines(head);
    let request_line = lines.next().ok_or(Fault::Malformed("no request line"))??;
    let (method, old) = check_request_line(request_line)?;
    let (mut hosts, mut count, mut leaves) = (0, 0, method == b"CONNECT");
    let (mut length, mut chunked) = (None, false);
    for line in lines {
        let line = line?;
        if line.is_empty() {
            break;
        }
        count += 1;
        if count > max_headers {
            return Err(Fault::TooLarge("too many header lines"));
        }
        let (name, value) = check_field(line)?;
        if name.eq_ignore_ascii_case(b"host") {
            hosts += 1;
        } else if name.eq_ignore_ascii_case(b"content-length") {
            if length.is_some() {
                return Err(Fault::Ambiguous("more than one Content-Length"));
            }
            length = Some(number(value)?);
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            if chunked {
                return Err(Fault::Ambiguous("more than one Transfer-Encoding"));
            }
            if old || !value.eq_ignore_ascii_case(b"chunked") {
                return Err(Fault::Ambiguous("a Transfer-Encoding other than exactly `chunked` in HTTP/1.1"));
            }
            chunked = true;
        } else if name.eq_ignore_ascii_case(b"upgrade") {
            leaves = true;
        }
    }
    match hosts {
        0 => return Err(Fault::Malformed("no Host")),
        1 => {}
        _ => return Err(Fault::Ambiguous("more than one Host")),
    }
    let framing = match (length, chunked) {
        (Some(_), true) => return Err(Fault::Ambiguous("both Content-Length and Transfer-Encoding")),
        (Some(length), false) if max_body.is_some_and(|max| length > max) => {
            return Err(Fault::TooLarge("the body is larger than is accepted here"));
        }
        (_, true) => Framing::Chunked,
        (length, false) => Framing::Length(length.unwrap_or(0)),
    };
    Ok(Head { framing, leaves })
}

/// True for a byte that may stand in a method or a header name (RFC 9110 section 5.6.2).
pub fn is_token_byte(byte: u8) -> bool {
    // A table, because every byte of every name passes here.
    static TOKEN: Bytes = Bytes::of(b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");
    TOKEN.has(byte)
}

/// A set of bytes.
pub struct Bytes([bool; 256]);

impl Bytes {
    /// These.
    #[allow(clippy::indexing_slicing)] // at compile time; an index of one byte is always inside
    pub const fn of(mut bytes: &[u8]) -> Self {
        let mut table = [false; 256];
        while let [first, rest @ ..] = bytes {
            table[*first as usize] = true;
            bytes = rest;
        }
        Self(table)
    }

    /// True for one of them.
    pub fn has(&self, byte: u8) -> bool {
        self.0.get(usize::from(byte)).copied().unwrap_or(false)
    }
}

/// `all` without a way out in its middle, so that many bytes are looked at in one step.
pub fn every(bytes: &[u8], is: impl Fn(u8) -> bool) -> bool {
    bytes.iter().fold(true, |all, byte| all & is(*byte))
}

/// The method, and whether the version is 1.0.
fn check_request_line(line: &[u8]) -> Result<(&[u8], bool), Fault> {
    let mut parts = line.split(|byte| *byte == b' ');
    let (Some(method), Some(target), Some(version), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Fault::Malformed("the first line is not METHOD TARGET HTTP/1.1"));
    };
    if method.is_empty() || method.len() > 24 || !every(method, is_token_byte) {
        return Err(Fault::Malformed("the method is no word"));
    }
    if target.is_empty() || !every(target, |byte| byte.is_ascii_graphic() & (byte != b'#') & (byte != b'\\')) {
        return Err(Fault::Ambiguous("the target has a character that has no place in one"));
    }
    match version {
        b"HTTP/1.1" => Ok((method, false)),
        b"HTTP/1.0" => Ok((method, true)),
        _ => Err(Fault::Malformed("the version is not HTTP/1.1")),
    }
}

/// Name and value of a header line.
fn check_field(line: &[u8]) -> Result<(&[u8], &[u8]), Fault> {
    if line.first().is_some_and(|byte| b" \t".contains(byte)) {
        return Err(Fault::Ambiguous("a folded header line"));
    }
    let colon = memchr::memchr(b':', line).ok_or(Fault::Malformed("a header line without a colon"))?;
    let (name, rest) = line.split_at(colon);
    if name.is_empty() || !every(name, is_token_byte) {
        return Err(Fault::Ambiguous("a header name with a character that has no place in one"));
    }
    // Not `trim_ascii`: a form feed is no white space here (RFC 9110 section 5.6.3).
    let value = trim(rest.get(1..).unwrap_or_default());
    if !every(value, |byte| !byte.is_ascii_control() | (byte == b'\t')) {
        return Err(Fault::Ambiguous("a control character in a header"));
    }
    Ok((name, value))
}

fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

fn number(value: &[u8]) -> Result<u64, Fault> {
    let wrong = Fault::Ambiguous("a Content-Length that is no plain number");
    if value.is_empty() || value.len() > 18 || !value.iter().all(u8::is_ascii_digit) {
        return Err(wrong);
    }
    std::str::from_utf8(value).ok().and_then(|text| text.parse().ok()).ok_or(wrong)
}

/// The lines of a head; each must end in CR LF and hold no other of either.
struct Lines<'a>(&'a [u8]);

impl<'a> Iterator for Lines<'a> {
    type Item = Result<&'a [u8], Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        let end = memchr::memchr(b'\n', self.0)?;
        let (line, rest) = self.0.split_at(end);
        self.0 = rest.get(1..).unwrap_or_default();
        let Some(line) = line.strip_suffix(b"\r") else {
            return Some(Err(Fault::Ambiguous("a line that does not end in CR LF")));
        };
        if memchr::memchr(b'\r', line).is_some() {
            return Some(Err(Fault::Ambiguous("a CR inside a line")));
        }
        Some(Ok(line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(head: &str) -> Result<Head, Fault> {
        inspect(head.as_bytes(), 100, Some(1000))
    }

    #[test]
    fn plain_heads_pass() {
        let none = Head { framing: Framing::Length(0), leaves: false };
        assert_eq!(judge("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), Ok(none));
        assert_eq!(
            judge("POST /x HTTP/1.1\r\nhost:a\r\ncontent-length: 12 \r\n\r\n"),
            Ok(Head { framing: Framing::Length(12), leaves: false })
        );
        assert_eq!(
            judge("POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\nupgrade: websocket\r\n\r\n"),
            Ok(Head { framing: Framing::Chunked, leaves: true })
        );
    }

    #[test]
    fn doubtful_heads_do_not() {
        for rest in [
            "Content-Length: 1\r\nContent-Length: 1\r\n",
            "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
            "Content-Length: +1\r\n",
            "Content-Length: 1, 1\r\n",
            "Content-Length: \r\n",
            "Content-Length: 1000000000000000000000\r\n",
            "Content-Length: 1001\r\n",
            "Transfer-Encoding: identity, chunked\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: xchunked\r\n",
            "Host: b\r\n",
            "Name : v\r\n",
            "Name: a\r\n folded\r\n",
            "Name\r\n",
            ": v\r\n",
            "Name: a\rb\r\n",
            "Name: a\nb: c\r\n",
            "Name: a\0b\r\n",
        ] {
            let head = format!("POST / HTTP/1.1\r\nHost: a\r\n{rest}\r\n");
            assert!(judge(&head).is_err(), "{rest:?} was taken");
        }
        for line in
            ["GET  / HTTP/1.1", "GET / HTTP/2.0", "GET /#a HTTP/1.1", "GET /\\a HTTP/1.1", "GET / x HTTP/1.1", "GET /"]
        {
            assert!(judge(&format!("{line}\r\nHost: a\r\n\r\n")).is_err(), "{line:?} was taken");
        }
        assert!(judge("GET / HTTP/1.1\r\n\r\n").is_err());
        assert!(judge("POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n").is_err());
        assert!(matches!(inspect(b"GET / HTTP/1.1\r\nHost: a\r\nb: c\r\n\r\n", 1, None), Err(Fault::TooLarge(_))));
    }
}
