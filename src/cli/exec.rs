//! `hallpass exec`: a command in a task of its own.

use super::{context::Context, env::Session};
use crate::error::{Error, Result};

/// Run a command in a task of its own: tokens in its environment, dead when it ends.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    session: Session,
    /// The command and its arguments, after --
    #[arg(required = true, last = true, value_name = "COMMAND")]
    command: Vec<std::ffi::OsString>,
}

pub fn run(_cx: &Context, args: Args) -> Result<u8> {
    let _ = (args.session, args.command);
    Err(Error::internal("exec is not built in yet"))
}
