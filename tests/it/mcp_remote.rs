//! A strict MCP server over streamable HTTP that keeps what it was sent. Built from the MCP specification, revisions
//! 2025-11-25 and 2026-07-28, "Streamable HTTP": what a client must send is checked at every request.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};

/// The session that it gives.
pub const SESSION: &str = "session-1868a90c";

/// The server; its threads end with the test process.
pub struct Remote {
    /// Its port on 127.0.0.1.
    pub port: u16,
    seen: Arc<Mutex<Vec<Seen>>>,
    wrong: Arc<Mutex<Vec<String>>>,
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Seen {
    /// GET, POST or DELETE.
    pub verb: String,
    /// What it asked for: path and query.
    pub target: String,
    /// The headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Seen {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The message in it.
    pub fn message(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The message's method.
    pub fn method(&self) -> String {
        self.message()["method"].as_str().unwrap_or_default().to_owned()
    }

    /// The usual answer to it.
    pub fn result(&self) -> Value {
        let message = self.message();
        let result = match self.method().as_str() {
            "initialize" => json!({
                "protocolVersion": message["params"]["protocolVersion"], "capabilities": {"tools": {}},
                "serverInfo": {"name": "strict", "version": "1"}, "fromTheFuture": {"kept": true},
            }),
            _ => json!({ "echo": message["params"], "fromTheFuture": 1.50 }),
        };
        json!({ "jsonrpc": "2.0", "id": message["id"], "result": result, "x-unknown": [1, 2] })
    }
}

/// The way to answer one request.
pub struct Reply<'a> {
    stream: &'a mut TcpStream,
    keep: bool,
}

impl Reply<'_> {
    /// A whole answer.
    pub fn plain(&mut self, status: u16, headers: &str, body: &[u8]) {
        let head = format!("HTTP/1.1 {status} X\r\n{headers}content-length: {}\r\n\r\n", body.len());
        let _ = self.stream.write_all(&[head.as_bytes(), body].concat());
    }

    /// A JSON answer.
    pub fn json(&mut self, value: &Value) {
        self.plain(200, "content-type: application/json\r\n", value.to_string().as_bytes());
    }

    /// The answer to `initialize`, with a session.
    pub fn open(&mut self, value: &Value) {
        let headers = format!("content-type: application/json\r\nmcp-session-id: {SESSION}\r\n");
        self.plain(200, &headers, value.to_string().as_bytes());
    }

    /// The usual answer.
    pub fn usual(&mut self, seen: &Seen) {
        match (seen.verb.as_str(), seen.method().as_str()) {
            ("POST", "initialize") => self.open(&seen.result()),
            ("POST", _) if seen.message()["id"].is_null() || seen.message()["method"].is_null() => {
                self.plain(202, "", b"")
            }
            ("POST", _) => self.json(&seen.result()),
            ("DELETE", _) => self.plain(200, "", b""),
            _ => self.plain(405, "", b""),
        }
    }

    /// Begins a stream of events.
    pub fn events(&mut self, headers: &str) {
        let head = format!(
            "HTTP/1.1 200 X\r\n{headers}content-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
        );
        let _ = self.stream.write_all(head.as_bytes());
    }

    /// One event, as it stands in the stream; false once the client is gone.
    pub fn event(&mut self, text: &str) -> bool {
        self.part(&format!("{text}\n\n"))
    }

    /// A part of a stream as it is; false once the client is gone.
    pub fn part(&mut self, text: &str) -> bool {
        write!(self.stream, "{:x}\r\n{text}\r\n", text.len()).is_ok()
    }

    /// The end of a stream.
    pub fn end(&mut self) {
        let _ = self.stream.write_all(b"0\r\n\r\n");
    }

    /// Waits until the client has closed the connection.
    pub fn closed(&mut self) {
        self.keep = false;
        let _ = self.stream.read(&mut [0]);
    }

    /// Closes the connection in the middle.
    pub fn cut(&mut self) {
        self.keep = false;
    }
}

impl Remote {
    /// Starts one that answers as usual.
    pub fn start() -> Self {
        Self::answering(|seen, reply| reply.usual(seen))
    }

    /// Starts one that answers like this.
    pub fn answering(answer: impl Fn(&Seen, &mut Reply<'_>) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (seen, wrong) = (Arc::<Mutex<Vec<Seen>>>::default(), Arc::<Mutex<Vec<String>>>::default());
        let (kept, complaints, answer) = (Arc::clone(&seen), Arc::clone(&wrong), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (kept, complaints, answer) = (Arc::clone(&kept), Arc::clone(&complaints), Arc::clone(&answer));
                std::thread::spawn(move || {
                    let mut stream = stream;
                    let mut reader = BufReader::new(stream.try_clone().unwrap());
                    while let Some(seen) = read(&mut reader) {
                        if let Some(why) = check(&seen, port) {
                            complaints.lock().unwrap().push(format!("{why}: {seen:?}"));
                        }
                        kept.lock().unwrap().push(seen.clone());
                        let mut reply = Reply { stream: &mut stream, keep: true };
                        answer(&seen, &mut reply);
                        if !reply.keep {
                            break;
                        }
                    }
                    let _ = stream.shutdown(std::net::Shutdown::Both);
                });
            }
        });
        Self { port, seen, wrong }
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/mcp", self.port)
    }

    /// All requests so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// Whether every request was for this.
    pub fn asked(&self, target: &str) -> bool {
        self.seen().iter().all(|seen| seen.target == target)
    }

    /// Those with this method of JSON-RPC.
    pub fn calls(&self, method: &str) -> Vec<Seen> {
        self.seen().into_iter().filter(|seen| seen.method() == method).collect()
    }

    /// Fails where a request was not as the specification wants it.
    pub fn is_content(&self) {
        let wrong = self.wrong.lock().unwrap();
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Seen> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let mut first = lines.first()?.split(' ').map(str::to_owned);
    let (verb, target) = (first.next()?, first.next()?);
    let headers: Vec<(String, String)> = lines[1..]
        .iter()
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length").and_then(|(_, value)| value.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    Some(Seen { verb, target, headers, body })
}

/// What is wrong with a request.
fn check(seen: &Seen, port: u16) -> Option<&'static str> {
    let accept = seen.header("accept").unwrap_or_default();
    let modern =
        seen.message()["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"].as_str().map(str::to_owned);
    let version = seen.header("mcp-protocol-version");
    let opening = seen.method() == "initialize" && modern.is_none();
    let wrong = [
        (seen.header("host") != Some(&format!("127.0.0.1:{port}")), "another Host"),
        (seen.header("origin").is_some() || seen.header("cookie").is_some(), "an Origin or a cookie"),
        (seen.verb == "POST" && seen.header("content-type") != Some("application/json"), "another Content-Type"),
        (
            seen.verb == "POST" && !(accept.contains("application/json") && accept.contains("text/event-stream")),
            "no full Accept",
        ),
        (seen.verb == "GET" && accept != "text/event-stream", "an Accept for no stream"),
        (seen.verb == "POST" && !seen.message().is_object() && !seen.message().is_array(), "no message"),
        (modern.is_none() && !opening && version.is_none() && !seen.message().is_array(), "no protocol version"),
        (opening && (version.is_some() || seen.header("mcp-session-id").is_some()), "a session before there is one"),
        (modern.is_some() && version != modern.as_deref(), "another protocol version"),
        (modern.is_some() && seen.header("mcp-method") != Some(&seen.method()), "no Mcp-Method"),
        (modern.is_some() && seen.header("mcp-session-id").is_some(), "a session where there are none"),
    ];
    wrong.into_iter().find(|(is, _)| *is).map(|(_, why)| why)
}
