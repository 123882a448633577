//! The integration tests: one binary, because linking is what takes the time.

// The lints' exceptions for tests reach functions marked #[test] only, not what they share.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr
)]

mod architecture;
mod cli_exec;
mod cli_verbs;
mod store_keyring;
mod support;
