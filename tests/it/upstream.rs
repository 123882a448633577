//! An upstream on loopback that keeps what it was sent.

use std::{
    io::{Read, Write},
    net::TcpListener,
    sync::{Arc, Mutex},
};

use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};

/// The upstream; its thread ends with the test process.
pub struct Upstream {
    /// Its port on 127.0.0.1.
    pub port: u16,
    seen: Arc<Mutex<Vec<Seen>>>,
}

/// One request as it arrived.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The request line and the headers, as sent.
    pub head: String,
    /// The body.
    pub body: Vec<u8>,
}

impl Upstream {
    /// Starts one that answers 200 and `{"ok":true}` to everything.
    pub fn start() -> Self {
        let json = "content-type: application/json\r\ncontent-length: 11";
        Self::answering(format!("HTTP/1.1 200 OK\r\n{json}\r\nconnection: close\r\n\r\n{{\"ok\":true}}"))
    }

    /// Starts one that gives this answer to everything.
    pub fn answering(answer: String) -> Self {
        Self::judging(move |_| answer.clone())
    }

    /// Starts one that answers what this says of each request.
    pub fn judging(judge: impl Fn(&Seen) -> String + Send + Sync + 'static) -> Self {
        let judge = Arc::new(judge);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&seen);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let kept = Arc::clone(&kept);
                let judge = Arc::clone(&judge);
                std::thread::spawn(move || serve(stream, &kept, &*judge));
            }
        });
        Self { port, seen }
    }

    /// Starts one that speaks TLS and answers what this says of each request; with the certificate to trust (PEM).
    pub fn tls(judge: impl Fn(&Seen) -> String + Send + Sync + 'static) -> (Self, String) {
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let rcgen::CertifiedKey { cert, signing_key } = rcgen::generate_simple_self_signed(names).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(signing_key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .unwrap();
        let (listener, config) = (TcpListener::bind("127.0.0.1:0").unwrap(), Arc::new(config));
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (kept, judge) = (Arc::clone(&seen), Arc::new(judge));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (kept, judge) = (Arc::clone(&kept), Arc::clone(&judge));
                let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
                std::thread::spawn(move || serve(StreamOwned::new(connection, stream), &kept, &*judge));
            }
        });
        (Self { port, seen }, cert.pem())
    }

    /// All requests so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// How many requests came so far.
    pub fn count(&self) -> usize {
        self.seen.lock().unwrap().len()
    }
}

fn serve(mut stream: impl Read + Write, kept: &Mutex<Vec<Seen>>, judge: &dyn Fn(&Seen) -> String) {
    let mut all = Vec::new();
    let mut buffer = [0; 16 * 1024];
    let mut read = |all: &mut Vec<u8>| match stream.read(&mut buffer) {
        Ok(n) if n > 0 => {
            all.extend_from_slice(&buffer[..n]);
            true
        }
        _ => false,
    };
    let end = loop {
        if let Some(at) = all.windows(4).position(|four| four == b"\r\n\r\n") {
            break at;
        }
        if !read(&mut all) {
            return;
        }
    };
    let head = String::from_utf8_lossy(&all[..end]).into_owned();
    let lower = head.to_ascii_lowercase();
    let length = lower.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
    let mut body = all.split_off(end + 4);
    let chunked = lower.contains("transfer-encoding: chunked");
    while (if chunked { !body.ends_with(b"0\r\n\r\n") } else { body.len() < length }) && read(&mut body) {}
    let seen = Seen { head, body };
    let answer = judge(&seen);
    kept.lock().unwrap().push(seen);
    let _ = stream.write_all(answer.as_bytes()).and_then(|()| stream.flush());
}
