//! `hallpass completions SHELL`.

use clap_complete::Shell;

use super::output;
use crate::error::Result;

/// Print completions for a shell.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// bash, zsh, fish, elvish or powershell
    shell: Shell,
}

pub fn run(args: &Args) -> Result<u8> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut super::command(), "hallpass", &mut text);
    output::raw(&text)?;
    Ok(0)
}
