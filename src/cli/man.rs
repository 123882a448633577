//! `hallpass man DIR`: one man page for each verb, for packages.

use std::path::PathBuf;

use crate::{
    api::problem::Code,
    error::{Error, Result},
};

/// Write the man pages into a folder.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The folder; it is made where it is missing
    folder: PathBuf,
}

pub fn run(args: &Args) -> Result<u8> {
    std::fs::create_dir_all(&args.folder)
        .and_then(|()| clap_mangen::generate_to(super::command(), &args.folder))
        .map_err(|e| {
            Error::new(Code::Io, format!("the man pages cannot be written to {}: {e}", args.folder.display()))
        })?;
    Ok(0)
}
