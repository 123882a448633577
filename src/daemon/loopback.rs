//! The address on this machine that a browser is sent back to after a person has signed in (RFC 8252 section 7.3).
//!
//! Owns a listener on 127.0.0.1 that lives as long as one attempt, the few requests that it reads, and the page that it
//! answers with. Must never show or keep what a request holds: a redirect carries a code.

use std::{net::Ipv4Addr, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::{mpsc, oneshot},
};

use crate::{
    api::problem::Code,
    error::{Error, Result},
    issuer::oauth::authorize::{REDIRECT_PATH, Refusal},
};

/// The longest request that is read.
const MAX_HEAD: usize = 16 * 1024;
/// How long a connection may take to say what it wants: browsers open some in advance.
const HEAD_TIME: Duration = Duration::from_secs(30);
/// How many connections may wait at once.
const MAX_OPEN: usize = 16;

/// The listener.
pub struct Loopback {
    listener: TcpListener,
    port: u16,
}

/// A redirect's query, and who waits to hear whether it was the one.
type Query = (zeroize::Zeroizing<String>, oneshot::Sender<bool>);

impl Loopback {
    /// On this port, or any that is free.
    pub async fn bind(port: Option<u16>) -> Result<Self> {
        let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, port.unwrap_or(0))).await;
        let listener = bound.map_err(|error| {
            Error::new(Code::InUse, format!("no port of 127.0.0.1 for the browser to come back to: {}", error.kind()))
                .hint("sign in without a browser on this machine: --device")
        })?;
        let port = listener.local_addr().map(|address| address.port());
        let port = port.map_err(|_| Error::internal("a listener without an address"))?;
        Ok(Self { listener, port })
    }

    /// The address of it.
    pub fn uri(&self) -> String {
        format!("http://127.0.0.1:{}{REDIRECT_PATH}", self.port)
    }

    /// What `judge` makes of the first redirect that is for this attempt. All others are answered, and change nothing.
    pub async fn redirect<T>(self, judge: impl Fn(&str) -> Result<T, Refusal>) -> Result<T, Refusal> {
        let (sender, mut queries) = mpsc::channel::<Query>(MAX_OPEN);
        let host = format!("127.0.0.1:{}", self.port);
        let mut open = tokio::task::JoinSet::new();
        loop {
            tokio::select! {
                accepted = self.listener.accept(), if open.len() < MAX_OPEN => {
                    let Ok((stream, _)) = accepted else { continue };
                    let (sender, host) = (sender.clone(), host.clone());
                    open.spawn_local(async move { drop(tokio::time::timeout(HEAD_TIME, serve(stream, &host, sender)).await) });
                }
                Some(_) = open.join_next() => {}
                Some((query, told)) = queries.recv() => {
                    let judged = judge(&query);
                    if matches!(judged, Err(Refusal::Foreign)) {
                        let _ = told.send(false);
                        continue;
                    }
                    let _ = told.send(judged.is_ok());
                    // The page that says so is on its way.
                    let _ = tokio::time::timeout(Duration::from_secs(2), open.join_next()).await;
                    return judged;
                }
            }
        }
    }
}

/// One request.
async fn serve(mut stream: TcpStream, host: &str, queries: mpsc::Sender<Query>) {
    let mut head = zeroize::Zeroizing::new(Vec::new());
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let mut part = [0; 2048];
        match stream.read(&mut part).await {
            Ok(read @ 1..) if head.len() + read <= MAX_HEAD => {
                head.extend_from_slice(part.get(..read).unwrap_or_default())
            }
            _ => return,
        }
    }
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut headers);
    if request.parse(&head).is_err() {
        return;
    }
    let hosts: Vec<&[u8]> =
        request.headers.iter().filter(|one| one.name.eq_ignore_ascii_case("host")).map(|one| one.value).collect();
    let target = request.path.unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    // Another name for this address means that a page elsewhere made the browser ask.
    if request.method != Some("GET") || path != REDIRECT_PATH || hosts != [host.as_bytes()] {
        return answer(&mut stream, "404 Not Found", "There is nothing here.").await;
    }
    let (told, was_it) = oneshot::channel();
    if queries.send((zeroize::Zeroizing::new(query.to_owned()), told)).await.is_err() {
        return;
    }
    match was_it.await {
        Ok(true) => answer(&mut stream, "200 OK", "hallpass has its answer. You can close this window.").await,
        Ok(false) => {
            let text = "This answer is not one that hallpass takes. What it says is in the terminal.";
            answer(&mut stream, "400 Bad Request", text).await;
        }
        Err(_) => {}
    }
}

async fn answer(stream: &mut TcpStream, status: &str, text: &str) {
    let page = format!("<!doctype html><meta charset=utf-8><title>hallpass</title><p>{text}</p>");
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/html; charset=utf-8\r\ncontent-length: {}\r\ncache-control: no-store\r\n\
         content-security-policy: default-src 'none'\r\nreferrer-policy: no-referrer\r\nconnection: close\r\n\r\n",
        page.len()
    );
    let _ = stream.write_all(format!("{head}{page}").as_bytes()).await;
    let _ = stream.shutdown().await;
}
