//! `hallpass service`: the daemon as a service of the session (systemd user units, launchd).

use clap::Subcommand;

use super::{
    context::Context,
    output::{GREEN, RED, YELLOW, safe, styled},
};
use crate::{
    api::problem::Code,
    error::{Error, Result},
    service::{self, FileState, Installed, Status, Uninstalled},
};

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Install and start it
    Install,
    /// Stop and remove it
    Uninstall,
    /// Whether it is installed and runs; exit code 1 unless it is installed as it should be
    Status,
}

pub fn run(cx: &Context, verb: &Verb) -> Result<u8> {
    let paths = cx.paths()?;
    match verb {
        Verb::Install => cx.show(&service::install(&paths, &this_program()?)?, installed),
        Verb::Uninstall => cx.show(&service::uninstall(&paths)?, uninstalled),
        Verb::Status => {
            let status = service::status(&paths, &this_program()?)?;
            cx.show(&status, render)?;
            Ok(u8::from(!status.units.iter().all(|unit| unit.state == FileState::Current)))
        }
    }
}

/// The path of this program.
///
/// # Errors
/// The system does not say.
pub fn this_program() -> Result<std::path::PathBuf> {
    std::env::current_exe().map_err(|e| Error::new(Code::Io, format!("this program's own path is not known: {e}")))
}

fn section(lines: &mut Vec<String>, head: &str, items: impl IntoIterator<Item = String>) {
    let before = lines.len();
    lines.extend(items.into_iter().map(|item| format!("  {}", safe(&item))));
    if lines.len() > before {
        lines.insert(before, head.to_owned());
    }
}

/// What `install` did, in words.
pub fn installed(done: &Installed) -> String {
    let mut lines = Vec::new();
    section(&mut lines, "in place:", done.files.iter().map(|f| f.display().to_string()));
    section(&mut lines, "ran:", done.ran.clone());
    section(&mut lines, "to be run by you:", done.to_run.clone());
    lines.extend(done.notes.iter().map(|note| safe(note)));
    lines.join("\n")
}

fn uninstalled(done: &Uninstalled) -> String {
    let mut lines = Vec::new();
    section(&mut lines, "removed:", done.removed.iter().map(|f| f.display().to_string()));
    section(&mut lines, "ran:", done.ran.clone());
    section(&mut lines, "to be run by you:", done.to_run.clone());
    if lines.is_empty() {
        lines.push("it was not installed".into());
    }
    lines.join("\n")
}

fn render(status: &Status) -> String {
    let mut lines = Vec::new();
    for unit in &status.units {
        let state = match unit.state {
            FileState::Current => styled(GREEN, "installed"),
            FileState::Missing => styled(YELLOW, "not installed"),
            FileState::Outdated => styled(YELLOW, "of another version; `hallpass service install` renews it"),
            FileState::Foreign => styled(RED, "not written by hallpass"),
        };
        let active = unit.active.as_deref().map(|active| format!(", {}", safe(active))).unwrap_or_default();
        lines.push(format!("{}: {state}{active}", safe(&unit.file.display().to_string())));
    }
    if !status.manager_runs {
        lines.push("no service manager answers in this session; clients start the daemon themselves".into());
    }
    lines.join("\n")
}
