//! `hallpass trust`: shows what a project's tasks need, asks, and accepts exactly what was shown.

use std::path::PathBuf;

use super::{
    context::Context,
    input,
    output::{self, safe},
};
use crate::{
    api::{
        problem::Code,
        session::{Trust, TrustProject, TrustState},
    },
    error::{Error, Result},
};

/// The file's name.
pub const FILE: &str = ".hallpass.toml";

/// Accept this project's .hallpass.toml as it is now.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The project's folder; the nearest one upwards with a .hallpass.toml where nothing is said
    path: Option<PathBuf>,
    /// Take the trust back
    #[arg(long, conflicts_with = "check")]
    revoke: bool,
    /// Only say what the state is; exit code 4 unless trusted
    #[arg(long)]
    check: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

pub fn run(cx: &Context, args: &Args) -> Result<u8> {
    let folder = match &args.path {
        Some(path) => {
            std::path::absolute(path).map_err(|e| Error::new(Code::Io, format!("{}: {e}", path.display())))?
        }
        None => find_here()?.ok_or_else(|| {
            Error::new(Code::NotFound, format!("there is no {FILE} here or above")).hint("name the project's folder")
        })?,
    };
    let path = text(&folder)?;
    let mut client = cx.client()?;
    let ask = |revoke, check, digest| TrustProject { path: path.clone(), revoke, check, digest };
    if args.revoke {
        let state: Trust = client.post("/v1/trust", &ask(true, false, None))?;
        return cx.show(&state, |t| safe(&format!("{} is no longer trusted", t.file)));
    }
    let seen: Trust = client.post("/v1/trust", &ask(false, true, None))?;
    if args.check {
        cx.show(&seen, render)?;
        return Ok(if seen.state == TrustState::Trusted { 0 } else { 4 });
    }
    if seen.state == TrustState::Trusted {
        return cx.show(&seen, |t| safe(&format!("{} is trusted as it is", t.file)));
    }
    if !cx.json {
        output::text(&render(&seen))?;
    }
    input::confirm("Trust it?", args.yes)?;
    let state: Trust = client.post("/v1/trust", &ask(false, false, Some(seen.digest)))?;
    cx.show(&state, |t| safe(&format!("{} is trusted until it changes; a shell that follows projects takes it up on the next way in (cd .. && cd -)", t.file)))
}

/// The nearest folder upwards with a project file; does not look at the file itself.
///
/// # Errors
/// The working folder is gone.
pub fn find_here() -> Result<Option<PathBuf>> {
    let here =
        std::env::current_dir().map_err(|e| Error::new(Code::Io, format!("the working folder cannot be read: {e}")))?;
    Ok(here.ancestors().find(|dir| dir.join(FILE).symlink_metadata().is_ok()).map(Into::into))
}

/// A path as the API carries it.
///
/// # Errors
/// It is not UTF-8.
pub fn text(path: &std::path::Path) -> Result<String> {
    path.to_str().map(ToOwned::to_owned).ok_or_else(|| {
        Error::new(Code::InvalidValue, format!("the path {} is not UTF-8", path.display())).hint("rename the folder")
    })
}

fn render(trust: &Trust) -> String {
    let state = match trust.state {
        TrustState::Trusted => "is trusted",
        TrustState::Changed => "changed since it was trusted",
        TrustState::Untrusted => "is not trusted",
    };
    let mut lines = vec![format!("{} {state}; its tasks need", safe(&trust.file))];
    if trust.want.is_empty() {
        lines.push("  nothing".into());
    }
    lines.extend(trust.want.iter().map(|want| format!("  {}", safe(&want.to_string()))));
    lines.join("\n")
}
