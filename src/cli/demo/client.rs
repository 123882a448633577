//! The demo's client: it knows nothing but its environment, as an SDK would.

use std::{
    io::Write,
    net::TcpStream,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

use super::{KEY_ENV, URL_ENV};
use crate::{
    api::problem::Code,
    cli::output,
    client::read_answer,
    error::{Error, Result},
};

/// How long one request may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What the client found, handed to the demo on standard output.
#[derive(Debug, Serialize, Deserialize)]
pub struct Held {
    /// What it held in the key's place.
    pub token: String,
    /// Its whole environment, as `NAME=value`.
    pub environment: Vec<String>,
    /// What a request in scope got.
    pub allowed: Got,
    /// What a request outside it got.
    pub refused: Got,
}

/// An answer.
#[derive(Debug, Serialize, Deserialize)]
pub struct Got {
    /// Its status.
    pub status: u16,
    /// hallpass's code, when hallpass itself answered.
    pub code: Option<String>,
}

/// `hallpass demo-client`.
///
/// # Errors
/// Its environment does not say what it needs, or the gateway does not answer.
pub fn run() -> Result<u8> {
    let missing = |name: &str| Error::new(Code::NotFound, format!("{name} is not set")).hint("run `hallpass demo`");
    let token = std::env::var(KEY_ENV).map_err(|_| missing(KEY_ENV))?;
    let url = std::env::var(URL_ENV).map_err(|_| missing(URL_ENV))?;
    let environment = std::env::vars_os().map(|(n, v)| format!("{}={}", n.to_string_lossy(), v.to_string_lossy()));
    let held = Held {
        environment: environment.collect(),
        allowed: call(&url, "GET", "/notes", &token)?,
        refused: call(&url, "DELETE", "/notes/1", &token)?,
        token,
    };
    output::json(&held)?;
    Ok(0)
}

/// One request with a bearer key over plain HTTP on loopback.
///
/// # Errors
/// There is no answer.
pub fn call(base: &str, method: &str, path: &str, key: &str) -> Result<Got> {
    let failed = |why: String| Error::new(Code::UpstreamUnreachable, format!("{base} does not answer: {why}"));
    let rest = base.strip_prefix("http://").ok_or_else(|| failed("it is no http URL".into()))?;
    let (host, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let prefix = if prefix.is_empty() { String::new() } else { format!("/{}", prefix.trim_end_matches('/')) };
    let mut stream = TcpStream::connect(host).map_err(|e| failed(e.to_string()))?;
    stream.set_read_timeout(Some(TIMEOUT)).map_err(|e| failed(e.to_string()))?;
    let request = format!(
        "{method} {prefix}{path} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {key}\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).map_err(|e| failed(e.to_string()))?;
    let answer = read_answer(&mut stream, Instant::now() + TIMEOUT).map_err(|broken| broken.into_error(TIMEOUT))?;
    let code = serde_json::from_slice::<serde_json::Value>(&answer.body).ok();
    let code = code.and_then(|body| body.get("code")?.as_str().map(ToOwned::to_owned));
    Ok(Got { status: answer.status, code })
}
