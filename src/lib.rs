//! hallpass is a credential agent for developer workstations.
//!
//! A daemon keeps the long-lived credentials; over a Unix socket it hands out tokens that do one
//! task, for minutes, and that are on record. A gateway on loopback swaps such a token for the real
//! key on each request that the token's scope allows.
//!
//! Trust boundary: the uid. Whoever can read another process's memory under the same uid is out of
//! scope (SECURITY.md). Inside the boundary the aim is narrow tokens and honest records.
//!
//! Direction of imports: `cli → client → api`; `daemon → handler → {policy, lease, store, gateway,
//! audit}`. `api`, `clock`, `helper`, `identity`, `issuer`, `lease`, `policy`, `principal`, `render`, `scope`, `secret`, `task` and `token` are
//! pure: no I/O, no tokio, time and randomness passed in. `tests/it/architecture.rs` holds this.

pub mod adopt;
pub mod api;
pub mod audit;
pub mod cli;
pub mod client;
pub mod clock;
pub mod config;
pub mod daemon;
pub mod detect;
pub mod error;
pub mod exec;
pub mod gateway;
pub mod helper;
pub mod http;
pub mod identity;
pub mod issuer;
pub mod lease;
pub mod mcp;
pub mod paths;
pub mod policy;
pub mod principal;
pub mod project;
pub mod quarantine;
pub mod render;
pub mod revoke;
pub mod scan;
pub mod scope;
pub mod secret;
pub mod service;
pub mod store;
pub mod strict_json;
pub mod surface;
pub mod sys;
pub mod task;
pub mod token;
pub mod watch;
