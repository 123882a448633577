//! `hallpass doctor`.

use super::context::Context;
use crate::error::{Error, Result};

/// Find what is wrong, with the command that mends it.
#[derive(Debug, clap::Args)]
pub struct Args {}

pub fn run(_cx: &Context, _args: &Args) -> Result<u8> {
    Err(Error::internal("doctor is not built in yet"))
}
