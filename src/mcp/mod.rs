//! MCP: a bridge from stdio to remote servers, and a server of our own.
//!
//! Owns the transports' rules, message by message, and what is asked of the daemon for them. Must never change what a
//! message says, follow a redirect, or send a credential to another host than the configured one.

pub mod bridge;
pub mod challenge;
pub mod credential;
pub mod endpoint;
pub mod handed;
pub mod headers;
pub mod message;
pub mod serve;
pub mod sse;
pub mod task;

/// The largest message in either direction, in bytes.
pub const MAX_MESSAGE: usize = 16 * 1024 * 1024;
