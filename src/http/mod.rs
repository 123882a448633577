//! What the API socket and the gateway have in common: serving HTTP/1.1 to clients nobody trusts.
//!
//! Owns the one reading of each raw head, the framing of each body in both directions and the deadlines.

pub mod chunks;
mod date;
pub mod framed;
pub mod head;
pub mod inbox;
pub mod reply;
pub mod request_body;
pub mod serve;
mod stream;
pub mod timer;
