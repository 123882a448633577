//! What the API socket and the gateway have in common: serving HTTP/1.1 to clients that nobody trusts.

pub mod timed_io;
