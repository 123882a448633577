//! A session at a server of the revisions 2025-03-26 to 2025-11-25: later ones have none.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

use crate::mcp::message::Message;

/// The header of the session's id.
pub const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
/// The header of the protocol's revision.
pub const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");

/// What the server gave, and how it was opened.
#[derive(Clone, Debug, Default)]
pub struct Session {
    /// The id, where the server gave one.
    pub id: Option<HeaderValue>,
    /// The revision that was agreed on.
    pub version: Option<HeaderValue>,
    /// The client's own `initialize`, to open it anew where the server has forgotten it.
    pub opening: Option<Bytes>,
    /// Counts how often it was opened.
    pub epoch: u64,
}

impl Session {
    /// Begins one: the client's `initialize` was answered with this head.
    pub fn begin(&mut self, opening: Bytes, head: &HeaderMap) {
        *self =
            Self { id: head.get(SESSION_ID).cloned(), version: None, opening: Some(opening), epoch: self.epoch + 1 };
        if let Some(id) = &mut self.id {
            id.set_sensitive(true);
        }
    }

    /// Takes the revision from the answer to `initialize`.
    pub fn agree(&mut self, answer: &[u8]) {
        let answer = serde_json::from_slice::<Value>(answer).unwrap_or_default();
        let version = answer.pointer("/result/protocolVersion").and_then(Value::as_str);
        self.version = version.and_then(|version| HeaderValue::from_str(version).ok());
    }

    /// The headers of a request in it.
    pub fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in [(SESSION_ID, &self.id), (PROTOCOL_VERSION, &self.version)] {
            if let Some(value) = value {
                headers.insert(name, value.clone());
            }
        }
        headers
    }

    /// The headers of a message: of its own revision where it says which, else of the session.
    pub fn headers_for(&self, message: &Message) -> HeaderMap {
        match &message.version {
            Some(version) => {
                let version = HeaderValue::from_str(version).ok();
                version.map(|version| (PROTOCOL_VERSION, version)).into_iter().collect()
            }
            None if message.is("initialize") => HeaderMap::new(),
            None => self.headers(),
        }
    }
}
