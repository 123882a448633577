//! `hallpass shell-init SHELL`: the hooks in `shell/`, as they are.

use clap::ValueEnum;

use super::output;
use crate::error::Result;

/// Print the hook for a shell: enter a trusted project and its tokens appear, leave and they end.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The shell; put `eval "$(hallpass shell-init bash)"` into ~/.bashrc (zsh: ~/.zshrc), or
    /// `hallpass shell-init fish | source` into ~/.config/fish/config.fish
    shell: Shell,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

pub fn run(args: &Args) -> Result<u8> {
    output::raw(match args.shell {
        Shell::Bash => include_bytes!("../../shell/hallpass.bash"),
        Shell::Zsh => include_bytes!("../../shell/hallpass.zsh"),
        Shell::Fish => include_bytes!("../../shell/hallpass.fish"),
    })?;
    Ok(0)
}
