//! What the API socket and the gateway have in common: serving HTTP/1.1 to clients nobody trusts.
//!
//! Owns the inspection of each raw head, the framing of each body and the deadlines. hyper parses
//! after this, and sees only heads that passed and exactly the bytes that belong to each request.

pub mod chunks;
pub mod head;
pub mod serve;
pub mod timed_io;
pub mod timer;
