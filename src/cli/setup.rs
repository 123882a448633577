//! `hallpass setup`.

use super::context::Context;
use crate::error::{Error, Result};

/// Choose the store, install the service, mint a first token.
#[derive(Debug, clap::Args)]
pub struct Args {}

pub fn run(_cx: &Context, _args: Args) -> Result<u8> {
    Err(Error::internal("setup is not built in yet"))
}
