//! The git hook that scans what is staged before each commit.
//!
//! Owns that one file. A hook of somebody else's is never overwritten.

use std::{fs, io::Write as _, os::unix::fs::OpenOptionsExt as _, path::PathBuf, process::Command};

use crate::{
    api::problem::Code,
    error::{Error, Result},
};

const LINE: &str = "hallpass scan --staged";

/// Installs it into the repository around the current folder; the hook's path, and whether it was there before.
///
/// # Errors
/// There is no repository, or another hook is there.
pub fn install() -> Result<(PathBuf, bool)> {
    let output = Command::new("git").args(["rev-parse", "--git-path", "hooks"]).output();
    let output = output.map_err(|e| Error::new(Code::Io, format!("git cannot be started: {e}")).hint("install git"))?;
    if !output.status.success() {
        return Err(
            Error::new(Code::InvalidValue, "this folder is in no git repository").hint("run it inside the repository")
        );
    }
    let folder = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim_end());
    let hook = folder.join("pre-commit");
    let failed = |e: std::io::Error| Error::new(Code::Io, format!("{} cannot be written: {e}", hook.display()));
    if let Ok(text) = fs::read_to_string(&hook) {
        if text.contains(LINE) {
            return Ok((hook, true));
        }
        return Err(Error::new(Code::Exists, format!("{} is there already", hook.display()))
            .hint(format!("add this line to it: {LINE} || exit 1")));
    }
    fs::create_dir_all(&folder).map_err(failed)?;
    let program = std::env::current_exe().unwrap_or_default();
    let program = program.to_string_lossy().replace('\'', "'\\''");
    // Desktop programs commit with another PATH. The hook must not be the reason that nobody can commit where hallpass
    // is not installed any more, and it says so.
    let text = format!(
        "#!/bin/sh\n# Written by `hallpass scan --install-hook`: {LINE}\n\
         program=$(command -v hallpass) || program='{program}'\n\
         if [ -x \"$program\" ]; then exec \"$program\" scan --staged; fi\n\
         echo 'hallpass is not installed here any more: nothing was looked at. Remove this hook, or install it.' >&2\n"
    );
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o755).open(&hook).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)?;
    Ok((hook, false))
}
