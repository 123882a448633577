//! `hallpass service`: the daemon as a service of the session (systemd user units, launchd).

use clap::Subcommand;

use super::context::Context;
use crate::error::{Error, Result};

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Install and start it
    Install,
    /// Stop and remove it
    Uninstall,
    /// Whether it is installed and runs
    Status,
}

pub fn run(_cx: &Context, verb: &Verb) -> Result<u8> {
    let _ = verb;
    Err(Error::internal("the service is not built in yet"))
}
