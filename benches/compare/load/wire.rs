//! The least of HTTP that both sides need: one answer off a stream, and where to connect.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    os::unix::net::UnixStream,
    time::Duration,
};

/// A Unix socket (`/path`) or a TCP address (`127.0.0.1:80`).
pub trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

/// Connects; a full backlog (`EAGAIN`) is tried again, as hallpass's own client does.
pub fn connect(target: &str) -> io::Result<Box<dyn Stream>> {
    if !target.starts_with('/') {
        let stream = TcpStream::connect(target)?;
        stream.set_nodelay(true)?;
        return Ok(Box::new(stream));
    }
    loop {
        match UnixStream::connect(target) {
            Ok(stream) => return Ok(Box::new(stream)),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => std::thread::sleep(Duration::from_millis(1)),
            Err(e) => return Err(e),
        }
    }
}

/// A connection that is asked one thing after the other.
pub struct Conn {
    pub stream: Box<dyn Stream>,
    buffer: Vec<u8>,
    filled: usize,
}

impl Conn {
    pub fn open(target: &str) -> io::Result<Self> {
        Ok(Self { stream: connect(target)?, buffer: vec![0; 64 * 1024], filled: 0 })
    }

    /// Sends a request and reads its whole answer; its status.
    pub fn ask(&mut self, request: &[u8]) -> io::Result<u16> {
        self.stream.write_all(request)?;
        self.filled = 0;
        loop {
            if let Some(head) = head(&self.buffer[..self.filled]) {
                let length = head.length.ok_or_else(|| io::Error::other("an answer without a length"))?;
                let whole = head.size + length;
                if whole > self.buffer.len() {
                    self.buffer.resize(whole, 0);
                }
                if self.filled >= whole {
                    return Ok(head.status);
                }
            }
            match self.stream.read(&mut self.buffer[self.filled..])? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => self.filled += count,
            }
        }
    }

    /// The bytes of the last answer.
    pub fn answer(&self) -> &[u8] {
        &self.buffer[..self.filled]
    }
}

pub struct Head {
    pub status: u16,
    pub size: usize,
    pub length: Option<usize>,
}

/// The head at the start of these bytes, once it is whole.
pub fn head(bytes: &[u8]) -> Option<Head> {
    let end = find(bytes, b"\r\n\r\n")?;
    let text = std::str::from_utf8(&bytes[..end]).ok()?;
    let mut lines = text.split("\r\n");
    let status = lines.next()?.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0);
    let length = lines
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse().ok());
    Some(Head { status, size: end + 4, length })
}

pub fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}
