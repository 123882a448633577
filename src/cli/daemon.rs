//! `hallpass daemon`: in the foreground, for a service manager or a terminal.

use super::context::Context;
use crate::error::Result;

/// Run the daemon in the foreground.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Who starts it: service, socket, client or foreground
    #[arg(long, default_value = "foreground", hide = true)]
    started_by: String,
}

pub fn run(cx: &Context, args: Args) -> Result<u8> {
    let paths = cx.paths()?;
    let _ = (paths, args.started_by);
    Err(crate::error::Error::internal("the daemon is not built in yet"))
}
