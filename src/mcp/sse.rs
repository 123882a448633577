//! Server-sent events (WHATWG HTML, section 9.2.6), as they come.
//!
//! Owns the cutting of a stream into events, with a bound on how much one event may hold: the public parsers have none.
//! Pure.

use std::time::Duration;

/// One event.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// Its data, the lines joined.
    pub data: Vec<u8>,
    /// The id to resume the stream from.
    pub id: Option<String>,
}

/// A reader of one stream.
#[derive(Debug)]
pub struct Reader {
    limit: usize,
    line: Vec<u8>,
    after_cr: bool,
    started: bool,
    data: Vec<u8>,
    has_data: bool,
    id: Option<String>,
    /// The time to wait before the stream is resumed, where the server said one.
    pub retry: Option<Duration>,
}

/// An event that is larger than allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event is larger than allowed")]
pub struct TooLarge;

impl Reader {
    /// A reader of events of at most this many bytes.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            line: Vec::new(),
            after_cr: false,
            started: false,
            data: Vec::new(),
            has_data: false,
            id: None,
            retry: None,
        }
    }

    /// A reader of the next connection of the same stream.
    pub fn again(&self) -> Self {
        Self { retry: self.retry, ..Self::new(self.limit) }
    }

    /// Reads on; the events that are whole now, also those without data, whose id counts.
    ///
    /// # Errors
    /// An event is too large.
    pub fn push(&mut self, mut bytes: &[u8]) -> Result<Vec<Event>, TooLarge> {
        let mut events = Vec::new();
        while let Some(&first) = bytes.first() {
            if std::mem::take(&mut self.after_cr) && first == b'\n' {
                bytes = bytes.get(1..).unwrap_or_default();
                continue;
            }
            let end = memchr::memchr2(b'\r', b'\n', bytes);
            self.line.extend_from_slice(bytes.get(..end.unwrap_or(bytes.len())).unwrap_or_default());
            if self.line.len() + self.data.len() > self.limit {
                return Err(TooLarge);
            }
            let Some(end) = end else { break };
            self.after_cr = bytes.get(end) == Some(&b'\r');
            bytes = bytes.get(end + 1..).unwrap_or_default();
            let line = std::mem::take(&mut self.line);
            events.extend(self.line(&line));
        }
        Ok(events)
    }

    fn line(&mut self, line: &[u8]) -> Option<Event> {
        let line = match std::mem::replace(&mut self.started, true) {
            false => line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line),
            true => line,
        };
        if line.is_empty() {
            let data = std::mem::take(&mut self.data);
            let has_data = std::mem::take(&mut self.has_data);
            return (has_data || self.id.is_some()).then(|| Event { data, id: self.id.take() });
        }
        let at = memchr::memchr(b':', line).unwrap_or(line.len());
        let (name, value) = line.split_at(at);
        let value = value.strip_prefix(b":").unwrap_or(value);
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match name {
            b"data" => {
                if std::mem::replace(&mut self.has_data, true) {
                    self.data.push(b'\n');
                }
                self.data.extend_from_slice(value);
            }
            b"id" => {
                // What cannot stand in a header cannot come back in Last-Event-ID.
                let text =
                    std::str::from_utf8(value).ok().filter(|id| id.bytes().all(|byte| byte >= b' ' && byte != 0x7f));
                self.id = text.map(ToOwned::to_owned).or(self.id.take());
            }
            b"retry" => {
                let number =
                    std::str::from_utf8(value).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
                self.retry = number.and_then(|text| text.parse().ok()).map(Duration::from_millis).or(self.retry);
            }
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str = "\u{feff}: hello\r\nid: 1\ndata:\n\nevent: message\nid: 2\ndata: {\"a\":\rdata: 1}\r\n\r\nretry: 70\nretry: x\n\ndata\n\nid: a\u{0}b\ndata: last";

    fn whole() -> Vec<(String, Option<String>)> {
        let text = |data: &str, id: Option<&str>| (data.to_owned(), id.map(str::to_owned));
        vec![text("", Some("1")), text("{\"a\":\n1}", Some("2")), text("", None)]
    }

    #[test]
    fn events_are_the_same_however_the_bytes_come() {
        for size in [1, 2, 3, 7, STREAM.len()] {
            let mut reader = Reader::new(64);
            let mut found = Vec::new();
            for part in STREAM.as_bytes().chunks(size) {
                found.extend(reader.push(part).unwrap());
            }
            let found: Vec<_> = found.into_iter().map(|e| (String::from_utf8(e.data).unwrap(), e.id)).collect();
            assert_eq!(found, whole(), "in parts of {size}");
            assert_eq!(reader.retry, Some(Duration::from_millis(70)));
        }
    }

    #[test]
    fn one_event_costs_bounded_memory() {
        let mut reader = Reader::new(10);
        assert_eq!(reader.push(b"data: 123456789"), Err(TooLarge));
        let mut reader = Reader::new(20);
        assert!(reader.push(b"data: 1234567\n").is_ok());
        assert_eq!(reader.push(b"data: 1234567\ndata: 1234567\n"), Err(TooLarge));
        let mut reader = Reader::new(10);
        for _ in 0..100 {
            assert_eq!(reader.push(b"data: 1\n\n").unwrap().len(), 1);
        }
    }
}
