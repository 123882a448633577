//! The gateway against a real listener, with an upstream that writes down every byte it gets.

mod bypass;
mod streams;
mod tls;

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    rc::Rc,
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Notify,
    task::spawn_local,
};
use tokio_util::sync::CancellationToken;

use super::{
    Backend, Gateway, Holder, Outcome, Pass,
    catalogue::{Catalogue, Route},
    serve_connection,
};
use crate::{
    api::problem::Code,
    error::Error,
    policy::bounds::Bounds,
    principal::Kind,
    scope::{ResourceSet, ScopeSet},
    secret::Secret,
    token::{Token, TokenHash},
};

pub(super) const KEY: &str = "the-real-key-of-the-upstream";
const ROUTE: &str = r#"
name = "t"
base_url = "http://127.0.0.1:PORT/base"
auth = { kind = "bearer" }
allow_private = true
[[scope]]
name = "models:read"
description = "x"
allow = ["GET /v1/models", "GET /v1/models/{model}", "GET /v1/redirect/{code}", "GET /v1/files/{path...}"]
[[scope]]
name = "chat"
description = "x"
allow = ["POST /v1/chat", "POST /v1/upload", "GET /v1/sse"]
[[scope]]
name = "items:read"
description = "x"
resource = "{owner}/{name}"
allow = ["GET /v1/items/{owner}/{name}"]
[[scope]]
name = "live"
description = "x"
allow = ["WS /v1/live"]
[[scope]]
name = "graphql:read"
description = "x"
graphql = "query"
allow = ["POST /graphql"]
[[scope]]
name = "admin"
description = "x"
allow = ["* /admin"]
"#;

/// Waits for something with the test's own deadline.
pub(super) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future).await.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

pub(super) fn token(seed: u8) -> Token {
    Token::from_entropy([seed; 32])
}

pub(super) struct Fake {
    pub(super) port: Cell<Option<u16>>,
    pub(super) passes: RefCell<HashMap<TokenHash, Pass>>,
    pub(super) caller: RefCell<Option<Pass>>,
    pub(super) spent: Cell<usize>,
    pub(super) limited: Cell<bool>,
    pub(super) records: RefCell<Vec<(u16, Option<Code>, String)>>,
}

impl Backend for Fake {
    type Peer = ();

    fn port(&self) -> Option<u16> {
        self.port.get()
    }
    fn admit(&self, token: TokenHash) -> Result<Rc<Pass>, Error> {
        self.passes.borrow().get(&token).cloned().map(Rc::new).ok_or_else(|| Error::new(Code::TokenInvalid, "unknown"))
    }
    async fn admit_caller(&self, (): &(), _: &str) -> Result<Rc<Pass>, Error> {
        self.caller.borrow().clone().map(Rc::new).ok_or_else(|| Error::new(Code::UnknownCaller, "unknown"))
    }
    fn spend(&self, _: &Pass) -> Result<(), Error> {
        if self.limited.get() {
            return Err(Error::new(Code::RateLimited, "too many"));
        }
        self.spent.set(self.spent.get() + 1);
        Ok(())
    }
    fn retry_after(&self, _: &Pass) -> Option<Duration> {
        Some(Duration::from_secs(7))
    }
    async fn credential(&self, _: &Pass) -> Result<Secret, Error> {
        Ok(Secret::take(KEY.as_bytes().to_vec()))
    }
    fn record(&self, _: Option<&Holder>, outcome: &Outcome<'_>) {
        assert!(!outcome.path.contains('?'));
        self.records.borrow_mut().push((outcome.status, outcome.code, outcome.path.to_owned()));
    }
}

pub(super) fn pass(scopes: &str) -> Pass {
    Pass {
        holder: Holder {
            lease: "lease_1".into(),
            principal: "test".into(),
            kind: Kind::Service,
            task: None,
            issuer: "t".into(),
        },
        route: "t".into(),
        base_url: None,
        credential: "t".into(),
        scopes: ScopeSet::new(scopes.split(',').map(|scope| scope.parse().unwrap())),
        resources: ResourceSet::new(["acme/*".parse().unwrap()]),
        bounds: Bounds::default(),
        ended: CancellationToken::new(),
    }
}

/// What the upstream saw and what it tells the test.
#[derive(Default)]
pub(super) struct Seen {
    /// Every request: its raw head and its body (an upload's is only counted).
    pub(super) requests: RefCell<Vec<(String, Vec<u8>)>>,
    /// Connections to the upstream that were closed.
    pub(super) closed: Notify,
    /// An upload is stopped in its middle until this.
    pub(super) go_on: Notify,
    pub(super) uploaded: Cell<u64>,
}

pub(super) struct Bench {
    pub(super) fake: Rc<Fake>,
    pub(super) gateway: Rc<Gateway<Fake>>,
    pub(super) seen: Rc<Seen>,
    pub(super) sink: TcpListener,
    pub(super) port: u16,
}

impl Bench {
    /// Starts upstream and gateway on the current `LocalSet`.
    pub(super) async fn start() -> Self {
        let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let sink = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let route = ROUTE.replace("PORT", &upstream.local_addr().unwrap().port().to_string());
        let route: Route = toml::from_str(&route).unwrap();
        let catalogue = Catalogue::default().with_custom(&[route]).unwrap();
        let fake = Rc::new(Fake {
            port: Cell::new(Some(port)),
            passes: RefCell::default(),
            caller: RefCell::default(),
            spent: Cell::new(0),
            limited: Cell::new(false),
            records: RefCell::default(),
        });
        fake.passes.borrow_mut().insert(token(1).hash(), pass("models:read,chat,items:read"));
        fake.passes.borrow_mut().insert(token(2).hash(), pass("live,graphql:read"));
        let gateway = Rc::new(Gateway::new(fake.clone(), catalogue));
        let seen = Rc::new(Seen::default());
        let sink_port = sink.local_addr().unwrap().port();
        let (for_upstream, for_gateway) = (seen.clone(), gateway.clone());
        spawn_local(async move {
            while let Ok((stream, _)) = upstream.accept().await {
                let seen = for_upstream.clone();
                spawn_local(async move {
                    let _ = speak(stream, &seen, sink_port).await;
                    seen.closed.notify_one();
                });
            }
        });
        spawn_local(async move {
            while let Ok((stream, _)) = listener.accept().await {
                spawn_local(serve_connection(stream, None, for_gateway.clone(), CancellationToken::new()));
            }
        });
        Self { fake, gateway, seen, sink, port }
    }

    pub(super) async fn connect(&self) -> TcpStream {
        TcpStream::connect(("127.0.0.1", self.port)).await.unwrap()
    }

    /// Sends a request with the first token and gives status, head and body.
    pub(super) async fn ask(&self, line: &str, headers: &str, body: &str, seed: u8) -> (u16, String, Vec<u8>) {
        let mut stream = self.connect().await;
        let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
        let token = token(seed);
        let request = format!(
            "{line} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nAuthorization: Bearer {}\r\n{headers}{length}\r\n{body}",
            self.port,
            token.expose()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        soon("an answer", read_answer(&mut stream, &mut Vec::new())).await.unwrap()
    }
}

/// Reads one head; `None` at the end.
async fn read_head(stream: &mut TcpStream, rest: &mut Vec<u8>) -> Option<String> {
    loop {
        if let Some(end) = rest.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = rest.drain(..end + 4).collect();
            return Some(String::from_utf8(head).unwrap());
        }
        if stream.read_buf(rest).await.ok()? == 0 {
            return None;
        }
    }
}

fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = head.lines().filter_map(|line| line.split_once(':'));
    lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

async fn read_body(head: &str, stream: &mut TcpStream, rest: &mut Vec<u8>) -> Option<Vec<u8>> {
    if field(head, "transfer-encoding").is_none() {
        let length: usize = field(head, "content-length").map_or(0, |text| text.parse().unwrap());
        while rest.len() < length {
            if stream.read_buf(rest).await.ok()? == 0 {
                return None;
            }
        }
        return Some(rest.drain(..length).collect());
    }
    while !rest.ends_with(b"0\r\n\r\n") {
        if stream.read_buf(rest).await.ok()? == 0 {
            return None;
        }
    }
    Some(std::mem::take(rest))
}

/// Reads one answer: status, head, body.
pub(super) async fn read_answer(stream: &mut TcpStream, rest: &mut Vec<u8>) -> Option<(u16, String, Vec<u8>)> {
    let head = read_head(stream, rest).await?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    if status == 101 {
        return Some((status, head, Vec::new()));
    }
    let body = read_body(&head, stream, rest).await?;
    Some((status, head, body))
}

/// The upstream's side of one connection.
async fn speak(mut stream: TcpStream, seen: &Seen, sink: u16) -> Option<()> {
    let mut rest = Vec::new();
    loop {
        let head = read_head(&mut stream, &mut rest).await?;
        let path = head.split(' ').nth(1)?.to_owned();
        if path == "/base/v1/upload" {
            seen.requests.borrow_mut().push((head.clone(), Vec::new()));
            seen.uploaded.set(rest.len() as u64);
            seen.go_on.notified().await;
            let total: u64 = field(&head, "content-length")?.parse().ok()?;
            let mut space = vec![0; 64 * 1024];
            while seen.uploaded.get() < total {
                let count = stream.read(&mut space).await.ok().filter(|count| *count > 0)?;
                seen.uploaded.set(seen.uploaded.get() + count as u64);
            }
            rest.clear();
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.ok()?;
            continue;
        }
        let body = read_body(&head, &mut stream, &mut rest).await?;
        seen.requests.borrow_mut().push((head.clone(), body));
        if let Some(code) = path.strip_prefix("/base/v1/redirect/") {
            let answer = format!(
                "HTTP/1.1 {code} Moved\r\nlocation: http://127.0.0.1:{sink}/stolen\r\ncontent-length: 0\r\n\r\n"
            );
            stream.write_all(answer.as_bytes()).await.ok()?;
        } else if path == "/base/v1/sse" {
            let answer = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\nd\r\ndata: first\n\n\r\n";
            stream.write_all(answer.as_bytes()).await.ok()?;
            // Silent from here on; ends when the gateway gives up on us.
            let _ = stream.read(&mut [0]).await;
            return None;
        } else if path == "/base/v1/live" {
            let answer = "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: x\r\n\r\n";
            stream.write_all(answer.as_bytes()).await.ok()?;
            let (mut read, mut write) = stream.split();
            tokio::io::copy(&mut read, &mut write).await.ok()?;
            return None;
        } else {
            let answer = "HTTP/1.1 200 OK\r\nset-cookie: a=b\r\naccess-control-allow-origin: *\r\nx-ratelimit-remaining: 3\r\ncontent-length: 2\r\n\r\nok";
            stream.write_all(answer.as_bytes()).await.ok()?;
        }
    }
}
