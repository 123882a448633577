//! The inspection of a raw request head, before any parser that would forgive something.
//!
//! Owns the rule that a head which two readers could read differently is refused: RFC 9112 sections
//! 2.2 (line ends), 3.2 (one Host), 5.1 (space before the colon), 5.2 (folding) and 6.3 (framing).
//! The request is made of exactly the lines that were judged, in the same pass.

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, Version};

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
    /// It is HTTP/1.0.
    pub old: bool,
    /// The client wants to send another request on the connection (RFC 9112 section 9.3).
    pub keeps: bool,
    /// The client waits for a word before it sends the body (RFC 9110 section 10.1.1).
    pub waits: bool,
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
    /// The body did not go on in time.
    #[error("the request's body stopped coming")]
    Stopped,
    /// The client closed in the middle of the body.
    #[error("the request's body broke off; send it whole, and with the right length")]
    Cut,
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        let code = match fault {
            Fault::Malformed(_) | Fault::Cut => Code::BadRequest,
            Fault::Ambiguous(_) => Code::AmbiguousRequest,
            Fault::TooLarge(_) => Code::TooLarge,
            Fault::Slow | Fault::Stopped => Code::Timeout,
        };
        Self::new(code, fault.to_string())
    }
}

/// Judges a whole head, its last empty line included.
pub fn inspect(head: &[u8], max_headers: usize, max_body: Option<u64>) -> Result<Head, Fault> {
    judge(head, max_headers, max_body, |_, _| Ok(())).map(|(_, head)| head)
}

/// Judges a whole head of about so many `lines`, and gives the request that it is.
pub fn read(
    text: &bytes::Bytes,
    lines: usize,
    max_headers: usize,
    max_body: Option<u64>,
) -> Result<(Request<()>, Head), Fault> {
    let mut headers = HeaderMap::with_capacity(lines.min(max_headers));
    let (line, head) = judge(text, max_headers, max_body, |name, value| {
        let unusable = |_| Fault::Ambiguous("a header line that is none");
        let name = HeaderName::from_bytes(name).map_err(|_| Fault::Ambiguous("a header name that is none"))?;
        let value = HeaderValue::from_maybe_shared(text.slice_ref(value)).map_err(unusable)?;
        headers.append(name, value);
        Ok(())
    })?;
    let mut request = Request::new(());
    *request.method_mut() = Method::from_bytes(line.method).map_err(|_| Fault::Malformed("the method is no word"))?;
    *request.uri_mut() = Uri::from_maybe_shared(text.slice_ref(line.target))
        .map_err(|_| Fault::Malformed("the target is none (RFC 9112 section 3.2)"))?;
    *request.version_mut() = if head.old { Version::HTTP_10 } else { Version::HTTP_11 };
    *request.headers_mut() = headers;
    Ok((request, head))
}

/// Judges a head and shows each of its lines to `each`.
fn judge<'a>(
    head: &'a [u8],
    max_headers: usize,
    max_body: Option<u64>,
    mut each: impl FnMut(&'a [u8], &'a [u8]) -> Result<(), Fault>,
) -> Result<(RequestLine<'a>, Head), Fault> {
    let mut lines = Lines(head);
    let request_line = check_request_line(lines.next().ok_or(Fault::Malformed("no request line"))??)?;
    let old = request_line.old;
    let (mut hosts, mut count, mut leaves) = (0, 0, request_line.method == b"CONNECT");
    let (mut length, mut chunked, mut waits) = (None, false, false);
    let mut wish = Wish::default();
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
        // By its length first: most names are none of these.
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => hosts += 1,
            6 if name.eq_ignore_ascii_case(b"expect") => waits |= value.eq_ignore_ascii_case(b"100-continue"),
            7 if name.eq_ignore_ascii_case(b"upgrade") => leaves = true,
            10 if name.eq_ignore_ascii_case(b"connection") => wish.hear(value),
            14 if name.eq_ignore_ascii_case(b"content-length") => {
                let before = length.replace(number(value)?);
                if before.is_some() {
                    return Err(Fault::Ambiguous("more than one Content-Length"));
                }
            }
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                if chunked {
                    return Err(Fault::Ambiguous("more than one Transfer-Encoding"));
                }
                if old || !value.eq_ignore_ascii_case(b"chunked") {
                    return Err(Fault::Ambiguous("a Transfer-Encoding other than exactly `chunked` in HTTP/1.1"));
                }
                chunked = true;
            }
            _ => {}
        }
        each(name, value)?;
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
    // HTTP/1.0 knows no such word (RFC 9110 section 10.1.1).
    let waits = waits && !old && framing != Framing::Length(0);
    let keeps = !leaves && !wish.close && (!old || wish.keep);
    Ok((request_line, Head { framing, leaves, old, keeps, waits }))
}

/// What the `Connection` lines ask for.
#[derive(Default)]
struct Wish {
    close: bool,
    keep: bool,
}

impl Wish {
    fn hear(&mut self, value: &[u8]) {
        for word in value.split(|byte| *byte == b',').map(trim) {
            self.close |= word.eq_ignore_ascii_case(b"close");
            self.keep |= word.eq_ignore_ascii_case(b"keep-alive");
        }
    }
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

struct RequestLine<'a> {
    method: &'a [u8],
    target: &'a [u8],
    /// The version is 1.0.
    old: bool,
}

fn check_request_line(line: &[u8]) -> Result<RequestLine<'_>, Fault> {
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
        b"HTTP/1.1" | b"HTTP/1.0" => Ok(RequestLine { method, target, old: version == b"HTTP/1.0" }),
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
        let none = Head { framing: Framing::Length(0), leaves: false, old: false, keeps: true, waits: false };
        assert_eq!(judge("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), Ok(none));
        assert_eq!(
            judge("POST /x HTTP/1.1\r\nhost:a\r\ncontent-length: 12 \r\n\r\n"),
            Ok(Head { framing: Framing::Length(12), ..none })
        );
        assert_eq!(
            judge("POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\nupgrade: websocket\r\n\r\n"),
            Ok(Head { framing: Framing::Chunked, leaves: true, keeps: false, ..none })
        );
        for (line, more, keeps) in [
            ("GET / HTTP/1.1", "Connection: x, Close", false),
            ("GET / HTTP/1.1", "Connection: x\r\nConnection: close", false),
            ("GET / HTTP/1.1", "Connection: closed", true),
            ("GET / HTTP/1.0", "x: y", false),
            ("GET / HTTP/1.0", "Connection: Keep-Alive", true),
            ("GET / HTTP/1.0", "Connection: keep-alive, close", false),
        ] {
            let head = judge(&format!("{line}\r\nHost: a\r\n{more}\r\n\r\n")).unwrap();
            assert_eq!(head, Head { keeps, old: line.ends_with('0'), ..none }, "{line} {more}");
        }
        for (line, more, waits) in [
            ("POST / HTTP/1.1", "content-length: 1\r\nExpect: 100-Continue", true),
            ("POST / HTTP/1.1", "content-length: 0\r\nExpect: 100-continue", false),
            ("POST / HTTP/1.1", "content-length: 1\r\nExpect: else", false),
            ("POST / HTTP/1.0", "content-length: 1\r\nExpect: 100-continue", false),
        ] {
            assert_eq!(judge(&format!("{line}\r\nHost: a\r\n{more}\r\n\r\n")).unwrap().waits, waits, "{line} {more}");
        }
    }

    #[test]
    fn the_request_is_what_was_judged() {
        let text = bytes::Bytes::from_static(b"PUT /a?b HTTP/1.0\r\nHost: a\r\nX-Y: 1 \r\nx-y:2\r\n\r\n");
        let (request, head) = read(&text, 3, 100, None).unwrap();
        assert_eq!((request.method(), request.uri().to_string(), head.old), (&Method::PUT, "/a?b".into(), true));
        assert_eq!(request.version(), Version::HTTP_10);
        assert_eq!(request.headers().get_all("x-y").iter().collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(request.headers().len(), 3);
        let wrong = bytes::Bytes::from_static(b"GET nowhere/ HTTP/1.1\r\nHost: a\r\n\r\n");
        assert!(matches!(read(&wrong, 1, 100, None), Err(Fault::Malformed(_))));
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
