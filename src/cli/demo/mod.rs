//! `hallpass demo`.

use super::context::Context;
use crate::error::{Error, Result};

/// Show, in a throw-away home, what hallpass does; fails if any of it is not so.
#[derive(Debug, clap::Args)]
pub struct Args {}

pub fn run(_cx: &Context, _args: &Args) -> Result<u8> {
    Err(Error::internal("the demo is not built in yet"))
}

pub fn client() -> Result<u8> {
    Err(Error::internal("the demo is not built in yet"))
}
