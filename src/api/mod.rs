//! The wire: types, error codes and the version of the API under `/v1/`.
//!
//! Owns what a client and the daemon say to each other, one file per noun. Must never import
//! anything that does I/O. `openapi.json` is generated from these types and from [`operations`].

pub mod adopt;
pub mod approval;
pub mod credential;
pub mod grant;
pub mod helper;
pub mod issuer;
pub mod lease;
pub mod login;
pub mod mcp;
pub mod openapi;
pub mod operations;
pub mod principal;
pub mod problem;
pub mod quarantine;
pub mod render;
pub mod route;
pub mod session;
pub mod status;
pub mod task;
pub mod watch;

use serde::{Deserialize, Serialize};

/// The version of the API; the first part of every path.
pub const VERSION: &str = "v1";
/// The largest head of a request, in bytes.
pub const MAX_HEAD: usize = 16 * 1024;
/// The largest body of a request to the API, in bytes.
pub const MAX_BODY: usize = 256 * 1024;
/// The most rows one answer holds.
pub const MAX_ROWS: usize = 1000;

/// An answer with several things of one kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct List<T> {
    /// The things, newest first where they have a time.
    pub items: Vec<T>,
}

/// An answer with nothing to say but that it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Done {
    /// Always true.
    pub done: bool,
}

/// The answer of `GET /v1/ping`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Pong {
    /// The daemon's version.
    pub version: String,
    /// The daemon's process id.
    pub pid: u32,
}

/// A value on the wire that is secret. `Debug` redacts it; it is wiped when dropped. Only the types
/// that carry a credential in, or a token or a revealed credential out, have a member of this type.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct SecretText(String);

impl SecretText {
    /// Wraps a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text. Every call is a place to review.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl Drop for SecretText {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.0);
    }
}

impl std::fmt::Debug for SecretText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretText(redacted)")
    }
}
