//! The demo's upstream: a strict little API on loopback that takes one key and no other.
//!
//! Owns the record of what reached it. Blocking, one thread; ends with the process.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// One request as it arrived.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The method.
    pub method: String,
    /// What stood after `Authorization: Bearer`.
    pub key: String,
}

/// The running upstream.
pub struct Upstream {
    port: u16,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Upstream {
    /// Starts it on a free port.
    ///
    /// # Errors
    /// Loopback cannot be bound.
    pub fn start(key: &str) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let port = listener.local_addr()?.port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (record, key) = (Arc::clone(&seen), key.to_owned());
        std::thread::Builder::new().name("demo-upstream".into()).spawn(move || {
            for stream in listener.incoming().flatten() {
                let (record, key) = (Arc::clone(&record), key.clone());
                // One that hangs must not keep the next one out.
                let _ = std::thread::Builder::new().spawn(move || serve(&stream, &key, &record));
            }
        })?;
        Ok(Self { port, seen })
    }

    /// Its base URL.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What reached it so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn serve(stream: &TcpStream, key: &str, record: &Mutex<Vec<Seen>>) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut reader = BufReader::new(stream.take(64 * 1024));
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let method = line.split(' ').next().unwrap_or_default().to_owned();
        let (mut given, mut length) = (String::new(), 0u64);
        loop {
            let mut field = String::new();
            if reader.read_line(&mut field)? == 0 || field.trim().is_empty() {
                break;
            }
            let (name, value) = field.split_once(':').unwrap_or_default();
            match name.trim().to_ascii_lowercase().as_str() {
                "authorization" => given = value.trim().strip_prefix("Bearer ").unwrap_or_default().to_owned(),
                "content-length" => length = value.trim().parse().unwrap_or(0),
                _ => {}
            }
        }
        io::copy(&mut reader.by_ref().take(length), &mut io::sink())?;
        let good = given == key;
        record.lock().unwrap_or_else(PoisonError::into_inner).push(Seen { method, key: given });
        let (status, body) = if good { ("200 OK", r#"{"notes":["buy milk"]}"#) } else { ("401 Unauthorized", "{}") };
        let head =
            format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
        let mut out = stream;
        out.write_all(head.as_bytes())?;
        out.write_all(body.as_bytes())?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_takes_its_key_and_no_other_and_remembers_both() {
        let upstream = Upstream::start("right").unwrap();
        let ask = |key: &str| super::super::client::call(&upstream.url(), "GET", "/notes", key).unwrap().status;
        assert_eq!(ask("right"), 200);
        assert_eq!(ask("wrong"), 401);
        assert_eq!(upstream.seen().iter().map(|s| s.key.as_str()).collect::<Vec<_>>(), ["right", "wrong"]);
    }
}
