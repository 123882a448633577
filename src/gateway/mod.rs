//! The gateway: a local token in, the real key out, on each allowed request.

pub mod catalogue;
