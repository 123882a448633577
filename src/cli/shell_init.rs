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

fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

pub fn run(args: &Args) -> Result<u8> {
    // The hooks are files as they are; what differs by machine stands before them.
    if let Ok(paths) = crate::paths::Paths::find() {
        for (name, path) in [("_hallpass_notices", paths.notices()), ("_hallpass_references", paths.references())] {
            let value = quote(&path.to_string_lossy());
            output::line(&match args.shell {
                Shell::Bash | Shell::Zsh => format!("{name}={value}"),
                Shell::Fish => format!("set -g {name} {}", value.replace("'\\''", "\\'")),
            })?;
        }
    }
    output::raw(match args.shell {
        Shell::Bash => include_bytes!("../../shell/hallpass.bash"),
        Shell::Zsh => include_bytes!("../../shell/hallpass.zsh"),
        Shell::Fish => include_bytes!("../../shell/hallpass.fish"),
    })?;
    Ok(0)
}
