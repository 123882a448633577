//! Raw HTTP/1.1 from bytes, so that a test says exactly what is sent.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(30);

/// An answer, read to its end.
#[derive(Debug)]
pub struct Reply {
    /// Its status; 0 when the connection was closed without an answer.
    pub status: u16,
    /// Its head, lower case.
    pub head: String,
    /// Its body.
    pub body: Vec<u8>,
}

impl Reply {
    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.text()))
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    /// The problem's code; empty where it is none.
    pub fn code(&self) -> String {
        let body: serde_json::Value = serde_json::from_slice(&self.body).unwrap_or_default();
        body["code"].as_str().unwrap_or_default().to_owned()
    }
}

/// One API request with a JSON body.
pub fn try_api(socket: &Path, method: &str, path: &str, body: &[u8]) -> io::Result<Reply> {
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: hallpass\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    unix(socket, &[head.as_bytes(), body].concat())
}

/// Sends these bytes to a Unix socket and reads one answer.
pub fn unix(socket: &Path, bytes: &[u8]) -> io::Result<Reply> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(ANSWER))?;
    stream.set_write_timeout(Some(ANSWER))?;
    exchange(&mut stream, bytes)
}

/// Sends these bytes to a port on loopback and reads one answer.
pub fn tcp(port: u16, bytes: &[u8]) -> io::Result<Reply> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(ANSWER))?;
    stream.set_write_timeout(Some(ANSWER))?;
    exchange(&mut stream, bytes)
}

fn exchange(stream: &mut (impl Read + Write), bytes: &[u8]) -> io::Result<Reply> {
    // A refusal may come, and the connection close, before everything is sent.
    let _ = stream.write_all(bytes);
    read_reply(stream)
}

/// Reads one answer; a connection that closes without one gives status 0.
pub fn read_reply(stream: &mut impl Read) -> io::Result<Reply> {
    let mut all = Vec::new();
    let end = loop {
        if let Some(at) = all.windows(4).position(|four| four == b"\r\n\r\n") {
            break at;
        }
        if !more(stream, &mut all)? {
            return Ok(Reply { status: 0, head: String::new(), body: all });
        }
    };
    let head = String::from_utf8_lossy(&all[..end]).to_ascii_lowercase();
    let mut body = all.split_off(end + 4);
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
    let mut reply = Reply { status, head, body: Vec::new() };
    if let Some(length) = reply.header("content-length").map(|text| text.parse::<usize>().unwrap()) {
        while body.len() < length && more(stream, &mut body)? {}
    } else if reply.header("transfer-encoding").is_some() {
        while !body.ends_with(b"0\r\n\r\n") && more(stream, &mut body)? {}
        body = unchunked(&body);
    }
    reply.body = body;
    Ok(reply)
}

fn more(stream: &mut impl Read, into: &mut Vec<u8>) -> io::Result<bool> {
    let mut buffer = [0; 16 * 1024];
    match stream.read(&mut buffer) {
        Ok(0) => Ok(false),
        Ok(n) => {
            into.extend_from_slice(&buffer[..n]);
            Ok(true)
        }
        Err(e) if e.kind() == io::ErrorKind::ConnectionReset => Ok(false),
        Err(e) => Err(e),
    }
}

fn unchunked(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(at) = rest.windows(2).position(|two| two == b"\r\n") {
        let size = String::from_utf8_lossy(&rest[..at]);
        let size = usize::from_str_radix(size.split(';').next().unwrap_or_default().trim(), 16).unwrap_or(0);
        if size == 0 {
            break;
        }
        let start = (at + 2).min(rest.len());
        let end = (start + size).min(rest.len());
        body.extend_from_slice(&rest[start..end]);
        rest = &rest[(end + 2).min(rest.len())..];
    }
    body
}
