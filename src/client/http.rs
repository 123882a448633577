//! HTTP/1.1 as the client speaks it: one request written by hand, one answer read with limits.
//!
//! Owns the limits on what a daemon (or whatever listens there) may send: a head of 16 KiB, a body
//! of [`MAX_ANSWER`] whose length is said beforehand, and a deadline over the whole.

use std::{
    io::{self, Read},
    time::{Duration, Instant},
};

use crate::{
    api::{MAX_HEAD, problem::Code},
    error::Error,
};

/// The largest answer that is read, in bytes.
pub const MAX_ANSWER: usize = 4 * 1024 * 1024;

/// An answer.
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The whole body.
    pub body: Vec<u8>,
    /// The daemon closes the connection after it.
    pub close: bool,
}

/// Why there is no answer.
#[derive(Debug)]
pub enum Broken {
    /// The connection ended before the first byte of an answer.
    ClosedEarly,
    /// The connection ended within an answer.
    Cut,
    /// The time is up.
    TimedOut,
    /// What came is no answer of the API.
    Garbage(&'static str),
    /// The connection failed.
    Io(io::Error),
    /// No connection could be opened.
    Refused(Error),
}

/// The bytes of a request.
pub fn request(method: &str, path: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let mut bytes = Vec::with_capacity(path.len() + length + 160);
    let head = if body.is_empty() && method != "POST" {
        format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\naccept: application/json\r\n\r\n")
    } else if body.is_empty() {
        format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\naccept: application/json\r\ncontent-length: 0\r\n\r\n")
    } else {
        format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\naccept: application/json\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n"
        )
    };
    bytes.extend_from_slice(head.as_bytes());
    bytes.extend_from_slice(body);
    bytes
}

struct Head {
    status: u16,
    length: usize,
    close: bool,
    size: usize,
}

/// Reads one answer.
pub fn read_answer(from: &mut impl Read, until: Instant) -> Result<Answer, Broken> {
    let mut bytes: Vec<u8> = Vec::new();
    let mut chunk = [0u8; 8 * 1024];
    let head = loop {
        if let Some(head) = parse_head(&bytes)? {
            break head;
        }
        if bytes.len() >= MAX_HEAD {
            return Err(Broken::Garbage("its head does not end"));
        }
        let got = read_some(from, &mut chunk, until)?;
        if got.is_empty() {
            return Err(if bytes.is_empty() { Broken::ClosedEarly } else { Broken::Cut });
        }
        bytes.extend_from_slice(got);
    };
    let mut body = bytes.split_off(head.size);
    while body.len() < head.length {
        let got = read_some(from, &mut chunk, until)?;
        if got.is_empty() {
            return Err(Broken::Cut);
        }
        body.extend_from_slice(got);
    }
    let close = head.close || body.len() > head.length;
    body.truncate(head.length);
    Ok(Answer { status: head.status, body, close })
}

fn read_some<'a>(from: &mut impl Read, chunk: &'a mut [u8], until: Instant) -> Result<&'a [u8], Broken> {
    loop {
        if Instant::now() >= until {
            return Err(Broken::TimedOut);
        }
        match from.read(chunk) {
            Ok(count) => return Ok(chunk.get(..count).unwrap_or_default()),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                return Err(Broken::TimedOut);
            }
            Err(e) if matches!(e.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe) => return Ok(&[]),
            Err(e) => return Err(Broken::Io(e)),
        }
    }
}

fn parse_head(bytes: &[u8]) -> Result<Option<Head>, Broken> {
    let mut fields = [httparse::EMPTY_HEADER; 32];
    let mut answer = httparse::Response::new(&mut fields);
    let size = match answer.parse(bytes) {
        Ok(httparse::Status::Complete(size)) => size,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err(Broken::Garbage("it is not HTTP")),
    };
    let (mut length, mut close) = (None, answer.version == Some(0));
    for field in answer.headers.iter() {
        if field.name.eq_ignore_ascii_case("content-length") {
            let text = std::str::from_utf8(field.value).unwrap_or_default();
            let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            let said: usize = text.parse().ok().filter(|_| digits).ok_or(Broken::Garbage("its length is no number"))?;
            if length.is_some_and(|earlier| earlier != said) {
                return Err(Broken::Garbage("it has two lengths"));
            }
            length = Some(said);
        } else if field.name.eq_ignore_ascii_case("connection") {
            close |= field.value.eq_ignore_ascii_case(b"close");
        } else if field.name.eq_ignore_ascii_case("transfer-encoding") {
            return Err(Broken::Garbage("it does not say its length"));
        }
    }
    let status = answer.code.unwrap_or_default();
    if !(200..600).contains(&status) {
        return Err(Broken::Garbage("its status is not one of the API's"));
    }
    let length = match length {
        Some(length) => length,
        None if status == 204 => 0,
        None => return Err(Broken::Garbage("it does not say its length")),
    };
    if length > MAX_ANSWER {
        return Err(Broken::Garbage("it is larger than 4 MiB"));
    }
    Ok(Some(Head { status, length, close, size }))
}

impl Broken {
    /// As the user sees it; `waited` is how long an answer was waited for.
    pub fn into_error(self, waited: Duration) -> Error {
        let detail = match self {
            Self::Refused(error) => return error,
            Self::ClosedEarly => "the daemon closed the connection without an answer".to_owned(),
            Self::Cut => "the daemon's answer was cut off".to_owned(),
            Self::TimedOut => format!("the daemon did not answer within {} s", waited.as_secs()),
            Self::Garbage(why) => {
                return Error::new(
                    Code::Version,
                    format!("what listens on the socket gave no answer of hallpass: {why}"),
                )
                .hint("is it hallpass that listens there? `hallpass doctor` tells more");
            }
            Self::Io(error) => format!("the connection to the daemon failed: {error}"),
        };
        Error::new(Code::DaemonUnavailable, detail)
            .hint("run the command again; `hallpass doctor` tells more if it stays so")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<Answer, Broken> {
        read_answer(&mut &bytes[..], Instant::now() + Duration::from_secs(5))
    }

    #[test]
    fn a_good_answer() {
        let answer = read(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").ok().unwrap();
        assert_eq!((answer.status, answer.body.as_slice(), answer.close), (200, &b"{}"[..], false));
        let last = read(b"HTTP/1.1 503 x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").ok().unwrap();
        assert!(last.close && last.body.is_empty());
    }

    #[test]
    fn hostile_answers_are_clear_errors() {
        let huge = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", MAX_ANSWER + 1);
        let wide = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "a".repeat(MAX_HEAD));
        let garbage: &[&[u8]] = &[
            b"SSH-2.0-OpenSSH_9.9\r\n",
            b"HTTP/1.1 200 OK\r\n\r\nno length",
            b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
            b"HTTP/1.1 200 OK\r\ncontent-length: +1\r\n\r\nx",
            b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxx",
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            b"HTTP/1.1 101 Switching\r\ncontent-length: 0\r\n\r\n",
            huge.as_bytes(),
            wide.as_bytes(),
        ];
        for bytes in garbage {
            assert!(matches!(read(bytes), Err(Broken::Garbage(_))), "{}", String::from_utf8_lossy(bytes));
        }
        assert!(matches!(read(b""), Err(Broken::ClosedEarly)));
        assert!(matches!(read(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx"), Err(Broken::Cut)));
    }

    #[test]
    fn an_endless_answer_ends_at_the_limit_and_a_silent_one_at_the_deadline() {
        assert!(matches!(
            read_answer(&mut io::repeat(b'H'), Instant::now() + Duration::from_secs(5)),
            Err(Broken::Garbage(_))
        ));
        let mut slow = io::Cursor::new(b"HTTP/1.1 200 OK\r\n");
        assert!(matches!(read_answer(&mut slow, Instant::now()), Err(Broken::TimedOut)));
        let error = Broken::TimedOut.into_error(Duration::from_secs(7));
        assert_eq!((error.code, error.exit_code()), (Code::DaemonUnavailable, 3));
    }

    #[test]
    fn requests() {
        let text = String::from_utf8(request("POST", "/v1/mint", b"{}")).unwrap();
        assert!(text.starts_with("POST /v1/mint HTTP/1.1\r\n") && text.ends_with("content-length: 2\r\n\r\n{}"));
        let text = String::from_utf8(request("POST", "/v1/store/lock", b"")).unwrap();
        assert!(text.ends_with("content-length: 0\r\n\r\n"));
    }
}
