//! `hallpass daemon`: in the foreground, for a service manager or a terminal.

use super::context::Context;
use crate::{daemon, error::Result};

/// Run the daemon in the foreground.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Who starts it: service, socket, client or foreground
    #[arg(long, default_value = "foreground", hide = true)]
    started_by: String,
}

pub fn run(cx: &Context, args: Args) -> Result<u8> {
    daemon::run(cx.paths()?, daemon::Options { started_by: args.started_by })?;
    Ok(0)
}
