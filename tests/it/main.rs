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

mod adopt;
mod adopt_registries;
mod adopt_remote;
mod adopt_tools;
mod api;
mod approve;
mod architecture;
mod attack_tasks;
mod audit;
mod canary;
mod cli_exec;
mod cli_verbs;
mod container;
mod daemon_lifecycle;
mod decoy;
mod detect;
mod env;
mod exec;
mod faults;
mod fuzz;
mod gateway;
mod git_server;
mod helper;
mod helper_clients;
mod helper_faults;
mod helper_tools;
mod identity;
mod login;
mod made_up;
mod mcp;
mod mcp_login;
mod mcp_remote;
mod mcp_serve;
mod mint;
mod mounts;
mod narrow;
mod native;
mod principal;
mod quarantine;
mod render;
mod revoke;
mod rules;
mod scan;
mod scan_git;
mod scan_home;
mod store_keyring;
mod support;
mod terminal;
mod trust;
mod upstream;
mod upstream_ends;
mod watch;
mod watched;
mod wire;
