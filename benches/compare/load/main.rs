//! The load generator behind `benches/compare/run`: baselines to compare with, and clients that time.
//!
//! Each call does one measurement and prints one JSON object; which calls make a row of the table, and
//! with what beside them, is in `run`. Baseline and hallpass are timed by the same client code, so what
//! the client itself costs is in both. Plain blocking std wherever one connection is timed; tokio only
//! where thousands of clients must live in one process.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)] // A measuring tool stops loudly when what it measures misbehaves.

mod args;
mod burst;
mod client;
mod echo;
mod hold;
mod http;
mod sse;
mod stats;
mod upstream;
mod wire;

use args::Args;

fn main() {
    let args = Args::from_env();
    match args.verb() {
        "echo-std" => echo::blocking(&args),
        "echo-tokio" => echo::tokio(&args),
        "client" => client::run(&args),
        "burst" => burst::run(&args),
        "hold" => hold::run(&args),
        "slow" => hold::slow(&args),
        "upstream" => upstream::run(&args),
        "http" => http::run(&args),
        "sse" => sse::run(&args),
        verb => panic!("no such measurement: {verb}"),
    }
}
