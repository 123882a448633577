//! The bytes of HTTP/1.1 as an upstream gets and sends them: heads, and where a body ends.
//!
//! Owns the strict reading of an answer. What two readers could read differently (two lengths, a length beside
//! chunks, folded lines, a bare CR or LF) is no answer: its connection would carry the next one too, under the same
//! key. Does no I/O.

use std::mem::MaybeUninit;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version, header};

use crate::http::{chunks::Chunks, framed::Framed, reply::push_length};

/// The longest head of an answer, in bytes, and the most of its lines.
const MAX_HEAD: usize = 64 * 1024;
const MAX_LINES: usize = 128;

/// The answer cannot be read in exactly one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unclear;

/// The head of an answer.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) response: Response<()>,
    pub(super) framing: Framed,
    /// The connection can take another request after this answer.
    pub(super) keeps: bool,
}

/// Writes a request's head; `length` is its body's, where it is known.
pub(super) fn write_head<T>(request: &Request<T>, host: &HeaderValue, length: Option<u64>, out: &mut Vec<u8>) {
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    for piece in [request.method().as_str(), " ", path, " HTTP/1.1\r\nhost: "] {
        out.extend_from_slice(piece.as_bytes());
    }
    out.extend_from_slice(host.as_bytes());
    out.extend_from_slice(b"\r\n");
    for (name, value) in request.headers() {
        // The body's own, below, are the only ones.
        if *name == header::HOST || *name == header::CONTENT_LENGTH || *name == header::TRANSFER_ENCODING {
            continue;
        }
        for piece in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            out.extend_from_slice(piece);
        }
    }
    // RFC 9110 section 8.6: where a body means something, its absence is said too.
    let expected = [Method::POST, Method::PUT, Method::PATCH].contains(request.method());
    match length {
        Some(0) if !expected => {}
        Some(length) => push_length(out, length),
        None => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
    }
    out.extend_from_slice(b"\r\n");
}

/// Takes the head of an answer to a request of this method off the front, once it is whole.
pub(super) fn read_head(bytes: &mut BytesMut, method: &Method) -> Result<Option<Head>, Unclear> {
    let Some(end) = end_of_head(bytes)? else {
        return if bytes.len() > MAX_HEAD { Err(Unclear) } else { Ok(None) };
    };
    if end > MAX_HEAD {
        return Err(Unclear);
    }
    let text = bytes.split_to(end).freeze();
    let mut lines = [const { MaybeUninit::uninit() }; MAX_LINES];
    let mut read = httparse::Response::new(&mut []);
    let parsed = httparse::ParserConfig::default().parse_response_with_uninit_headers(&mut read, &text, &mut lines);
    if parsed != Ok(httparse::Status::Complete(end)) {
        return Err(Unclear);
    }
    let (Some(code), Some(minor)) = (read.code, read.version) else { return Err(Unclear) };
    let status = StatusCode::from_u16(code).map_err(|_| Unclear)?;
    let mut fields = Fields { map: HeaderMap::with_capacity(read.headers.len()), ..Fields::default() };
    for line in read.headers.iter() {
        fields.add(line.name, text.slice_ref(line.value))?;
    }
    let old = minor == 0;
    let framing = match (fields.length, fields.chunked) {
        (Some(_), true) => return Err(Unclear),
        (None, true) if old => return Err(Unclear),
        _ if *method == Method::HEAD || is_bodiless(status) => Framed::Length(0),
        (Some(length), false) => Framed::Length(length),
        (None, true) => Framed::Chunked(Chunks::of_answer()),
        (None, false) => Framed::Close,
    };
    let keeps =
        !old && !fields.closes && !matches!(framing, Framed::Close) && status != StatusCode::SWITCHING_PROTOCOLS;
    let mut response = Response::new(());
    *response.status_mut() = status;
    *response.version_mut() = Version::HTTP_11;
    *response.headers_mut() = fields.map;
    Ok(Some(Head { response, framing, keeps }))
}

/// True for an answer that never has a body (RFC 9110 section 6.4.1).
fn is_bodiless(status: StatusCode) -> bool {
    status.is_informational() || status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED
}

/// Where the head ends. Each of its lines ends in CR LF, and the first byte is the status line's.
fn end_of_head(bytes: &[u8]) -> Result<Option<usize>, Unclear> {
    if bytes.first().is_some_and(|first| *first != b'H') {
        return Err(Unclear);
    }
    let mut line = 0;
    for end in memchr::memchr_iter(b'\n', bytes) {
        match bytes.get(line..end) {
            Some([b'\r']) => return Ok(Some(end + 1)),
            Some([.., b'\r']) => line = end + 1,
            _ => return Err(Unclear),
        }
    }
    Ok(None)
}

#[derive(Default)]
struct Fields {
    map: HeaderMap,
    length: Option<u64>,
    chunked: bool,
    closes: bool,
}

impl Fields {
    fn add(&mut self, name: &str, value: Bytes) -> Result<(), Unclear> {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| Unclear)?;
        let value = HeaderValue::from_maybe_shared(value).map_err(|_| Unclear)?;
        if name == header::CONTENT_LENGTH {
            if self.length.replace(number(value.as_bytes())?).is_some() {
                return Err(Unclear);
            }
        } else if name == header::TRANSFER_ENCODING {
            if self.chunked || !value.as_bytes().eq_ignore_ascii_case(b"chunked") {
                return Err(Unclear);
            }
            self.chunked = true;
        } else if name == header::CONNECTION {
            let mut words = value.as_bytes().split(|byte| *byte == b',');
            self.closes |= words.any(|word| word.trim_ascii().eq_ignore_ascii_case(b"close"));
        }
        self.map.append(name, value);
        Ok(())
    }
}

fn number(text: &[u8]) -> Result<u64, Unclear> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return Err(Unclear);
    }
    std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).ok_or(Unclear)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::http::framed::Piece;

    fn head(text: &str) -> Result<Option<Head>, Unclear> {
        read_head(&mut BytesMut::from(text), &Method::GET)
    }

    fn body(text: &str, method: &Method) -> Result<(String, bool), Unclear> {
        let mut bytes = BytesMut::from(text);
        let mut head = read_head(&mut bytes, method)?.unwrap();
        let mut all = Vec::new();
        loop {
            match head.framing.take(&mut bytes, true).map_err(|_| Unclear)? {
                Piece::Data(data) => all.extend_from_slice(&data),
                Piece::End => return Ok((String::from_utf8(all).unwrap(), head.keeps && bytes.is_empty())),
                Piece::Missing => panic!("missing"),
            }
        }
    }

    #[test]
    fn a_request_is_written_as_it_was_judged() {
        let written = |method: &str, length| {
            let request = Request::builder().method(method).uri("/a?b=c").header("accept", "x").header("accept", "y");
            // What does not come from here would be a second framing.
            let request = request.header("content-length", "7").header("transfer-encoding", "gzip").body(()).unwrap();
            let mut out = Vec::new();
            write_head(&request, &HeaderValue::from_static("up:1"), length, &mut out);
            String::from_utf8(out).unwrap()
        };
        let start = "/a?b=c HTTP/1.1\r\nhost: up:1\r\naccept: x\r\naccept: y\r\n";
        assert_eq!(written("GET", Some(0)), format!("GET {start}\r\n"));
        assert_eq!(written("DELETE", Some(2)), format!("DELETE {start}content-length: 2\r\n\r\n"));
        assert_eq!(written("POST", Some(0)), format!("POST {start}content-length: 0\r\n\r\n"));
        assert_eq!(written("POST", None), format!("POST {start}transfer-encoding: chunked\r\n\r\n"));
    }

    #[test]
    fn where_a_body_ends() {
        let get = |text: &str| body(text, &Method::GET);
        let whole = |text: &str, keeps| Ok((text.to_owned(), keeps));
        assert_eq!(get("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"), whole("ok", true));
        assert_eq!(get("HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok"), whole("ok", true));
        assert_eq!(get("HTTP/1.1 200 OK\r\ncontent-length: 2\r\nConnection: x, Close\r\n\r\nok"), whole("ok", false));
        assert_eq!(get("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK"), whole("ok", false));
        assert_eq!(get("HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok"), whole("ok", false));
        assert_eq!(get("HTTP/1.1 200 OK\r\n\r\nto the end"), whole("to the end", false));
        let chunks = "HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n";
        assert_eq!(get(&format!("{chunks}2\r\nok\r\n3;x=y\r\n, a\r\n0\r\nx: y\r\n\r\n")), whole("ok, a", true));
        assert_eq!(get(&format!("{chunks}0\r\n\r\nx")), whole("", false));
        let length = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n";
        assert_eq!(body(length, &Method::HEAD), whole("", true));
        assert_eq!(body(chunks, &Method::HEAD), whole("", true));
        assert_eq!(get("HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n"), whole("", true));
        assert_eq!(get("HTTP/1.1 204 No Content\r\n\r\n"), whole("", true));
        // An end that comes too early is told from an end.
        assert_eq!(get(length), Err(Unclear));
        assert_eq!(get(&format!("{chunks}2\r\nok\r\n")), Err(Unclear));
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_no_answer() {
        for (bad, rest) in [
            ("content-length: 1\r\ncontent-length: 2", ""),
            ("content-length: 1\r\nContent-Length: 1", ""),
            ("content-length: 1, 1", ""),
            ("content-length: +1", ""),
            ("content-length: -1", ""),
            ("content-length:", ""),
            ("content-length: 18446744073709551616", ""),
            ("content-length: 3\r\ntransfer-encoding: chunked", ""),
            ("transfer-encoding: gzip, chunked", ""),
            ("transfer-encoding: chunked\r\ntransfer-encoding: chunked", ""),
            ("transfer-encoding: identity", ""),
            ("transfer-encoding: xchunked", ""),
            ("content-length : 1", ""),
            ("x: a\r\n b", ""),
            ("x: a\nb: c", ""),
            ("x: a\rb: c", ""),
            ("x: a\0b", ""),
            ("x y: a", ""),
            (": a", ""),
            ("x", ""),
            ("transfer-encoding: chunked", "1 \n"),
            ("transfer-encoding: chunked", "1\nx"),
            ("transfer-encoding: chunked", "0x1\r\nx"),
            ("transfer-encoding: chunked", "1\r\nxx\r\n"),
            ("transfer-encoding: chunked", "fffffffffffffffff\r\nx"),
            ("transfer-encoding: chunked", "1;a\rb\r\nx"),
        ] {
            assert_eq!(
                body(&format!("HTTP/1.1 200 OK\r\n{bad}\r\n\r\n{rest}"), &Method::GET),
                Err(Unclear),
                "{bad}{rest}"
            );
        }
        for bad in [
            "\r\nHTTP/1.1 200 OK\r\n\r\n",
            "HTTP/2.0 200 OK\r\n\r\n",
            "HTTP/1.1 20 OK\r\n\r\n",
            "HTTX",
            "HTTP/1.1 200 OK\n\n",
            " ",
        ] {
            assert!(!matches!(head(bad), Ok(Some(_))), "{bad:?}");
        }
        assert!(head("HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").is_err());
        assert!(head(&format!("HTTP/1.1 200 OK\r\nx: {}", "x".repeat(MAX_HEAD))).is_err());
        assert!(head(&format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(MAX_LINES + 1))).is_err());
        assert!(head("HTTP/1.1 200 OK\r\nx: y\r\n").unwrap().is_none());
    }

    proptest! {
        #[test]
        fn no_bytes_panic_and_no_cut_changes_the_reading(
            start in "(HTTP/1\\.[01] [0-9]{2,4} ?[a-z]{0,3}\r\n)?((content-length|transfer-encoding|x): ?([0-9]{1,3}|chunked)\r\n){0,3}(\r\n)?",
            rest in "([0-9a-f]{1,2}|[;\r\n]|\r\n|[a-z]{1,9}){0,12}",
            cut in 0usize..200,
        ) {
            let text = format!("{start}{rest}");
            let read = |pieces: &[&str]| {
                let (mut bytes, mut all) = (BytesMut::new(), Vec::new());
                let mut head: Option<Head> = None;
                for (turn, piece) in pieces.iter().enumerate() {
                    bytes.extend_from_slice(piece.as_bytes());
                    let last = turn + 1 == pieces.len();
                    if head.is_none() {
                        head = read_head(&mut bytes, &Method::GET)?;
                    }
                    let Some(head) = &mut head else { continue };
                    while let Piece::Data(data) = head.framing.take(&mut bytes, last).map_err(|_| Unclear)? {
                        all.extend_from_slice(&data);
                    }
                }
                Ok::<_, Unclear>((head.map(|head| head.response.status()), all, bytes.to_vec()))
            };
            let cut = cut.min(text.len());
            prop_assert_eq!(read(&[&text]), read(&[&text[..cut], &text[cut..]]));
        }
    }
}
