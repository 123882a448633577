//! `hallpass audit`: reads the audit log's files; needs no daemon.

use clap::{Args, Subcommand};

use super::context::Context;
use crate::error::{Error, Result};

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// The last lines; with --follow, the coming ones too
    Tail(Tail),
    /// Lines that match
    Query(Query),
    /// Whether a line was changed, removed or reordered
    Verify,
}

#[derive(Debug, Args)]
pub struct Tail {
    /// How many lines
    #[arg(short = 'n', long, default_value_t = 20)]
    lines: usize,
    /// Go on with what comes
    #[arg(short, long)]
    follow: bool,
}

#[derive(Debug, Args)]
pub struct Query {
    /// Of this principal
    #[arg(long)]
    principal: Option<String>,
    /// In this task
    #[arg(long)]
    task: Option<String>,
}

pub fn run(_cx: &Context, verb: Verb) -> Result<u8> {
    let _ = verb;
    Err(Error::internal("the audit log is not built in yet"))
}
