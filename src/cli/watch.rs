//! `hallpass watch` and `hallpass findings`: what is watched, and what was seen.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};

use super::{
    context::Context,
    input,
    output::{self, BOLD, DIM, GREEN, RED, YELLOW, one_line, safe, styled},
    quarantine,
};
use crate::{
    api::{
        List,
        problem::Code,
        quarantine::Finding,
        watch::{Mode, RemoveRoot, Root, SetPlaces, WatchStatus},
    },
    error::{Error, Result},
    scan::places,
};

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Watch a file or folder, or give it another mode
    Add(Add),
    /// What is watched, and how the watcher is
    List,
    /// Stop watching a file or folder
    Remove {
        /// Its path
        path: PathBuf,
    },
    /// Set the mode for the places where assistants and tools keep secrets
    Places {
        /// What is done about findings there
        mode: ModeName,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Args)]
pub struct Add {
    /// The file or folder
    path: PathBuf,
    /// What is done about findings in it
    #[arg(long, default_value = "quarantine")]
    mode: ModeName,
    /// Watch only the git work trees below it, as they come
    #[arg(long)]
    projects: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

/// A mode on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ModeName {
    /// Not watched, even inside another watched folder
    Off,
    /// Findings are told
    Notify,
    /// What is certain is quarantined, the rest is told
    Quarantine,
}

impl From<ModeName> for Mode {
    fn from(name: ModeName) -> Self {
        match name {
            ModeName::Off => Self::Off,
            ModeName::Notify => Self::Notify,
            ModeName::Quarantine => Self::Quarantine,
        }
    }
}

pub fn run(cx: &Context, verb: Verb) -> Result<u8> {
    match verb {
        Verb::List => cx.get("/v1/watch", render),
        Verb::Add(add) => {
            let path = absolute(&add.path)?;
            if add.mode != ModeName::Off {
                // Said before the preview looks through all of it; the daemon checks it for every client.
                let homes: Vec<PathBuf> = [crate::sys::home(), std::env::home_dir()].into_iter().flatten().collect();
                crate::watch::wide::check(Path::new(&path), add.projects, &homes)?;
            }
            if add.mode == ModeName::Quarantine {
                agree(cx, std::slice::from_ref(&add.path), add.yes)?;
            }
            let root = Root { path, mode: add.mode.into(), projects: add.projects };
            cx.post("/v1/watch", &root, render)
        }
        Verb::Remove { path } => {
            // One that is gone can be removed too.
            let path = absolute(&path).or_else(|_| lexical(&path))?;
            cx.post("/v1/watch/remove", &RemoveRoot { path }, render)
        }
        Verb::Places { mode, yes } => {
            if mode == ModeName::Quarantine {
                agree(cx, &places::known(&cx.paths()?)?, yes)?;
            }
            cx.post("/v1/watch/places", &SetPlaces { mode: mode.into() }, render)
        }
    }
}

/// `hallpass findings`.
pub fn findings(cx: &Context) -> Result<u8> {
    cx.get("/v1/findings", |list: &List<Finding>| match list.items.as_slice() {
        [] => "the watcher sees no secret in a file; `hallpass watch list` says where it looks".into(),
        items => items.iter().map(render_finding).collect::<Vec<_>>().join("\n"),
    })
}

/// Shows what would be taken at once, before anything is touched.
fn agree(cx: &Context, paths: &[PathBuf], yes: bool) -> Result<()> {
    if yes {
        return Ok(());
    }
    output::note(&quarantine::preview(cx, paths)?);
    output::note(
        "What is not certain is told: `hallpass findings`. What a person put back stays, until its quarantine is asked for.",
    );
    input::confirm("From now on, take what is certain out of files here, now and whenever it is pasted?", false)
}

fn absolute(path: &Path) -> Result<String> {
    let full = path.canonicalize().map_err(|e| {
        Error::new(Code::NotFound, format!("{}: {e}", path.display())).hint("name a file or folder that is there")
    })?;
    text(&full)
}

fn lexical(path: &Path) -> Result<String> {
    text(&std::path::absolute(path).map_err(|e| Error::new(Code::Io, format!("{}: {e}", path.display())))?)
}

fn text(path: &Path) -> Result<String> {
    path.to_str().map(ToOwned::to_owned).ok_or_else(|| {
        Error::new(Code::InvalidValue, format!("{}: its name is not UTF-8", path.display())).hint("rename it")
    })
}

fn render(status: &WatchStatus) -> String {
    let mode = |mode: Mode| match mode {
        Mode::Off => styled(DIM, "off       "),
        Mode::Notify => styled(YELLOW, "notify    "),
        Mode::Quarantine => styled(GREEN, "quarantine"),
    };
    let mut text = format!("{}  the places of assistants and tools", mode(status.places));
    for root in &status.roots {
        let what = if root.projects { styled(DIM, "  (git work trees below it)") } else { String::new() };
        text.push_str(&format!("\n{}  {}{what}", mode(root.mode), styled(BOLD, &one_line(&root.path))));
    }
    let ready = if status.ready { "" } else { ", still looking through them" };
    let found = if status.projects > 0 { format!(", {} projects found", status.projects) } else { String::new() };
    text.push_str(&format!("\n\n{} folders are watched{found}{ready}", status.folders));
    if let Some(degraded) = &status.degraded {
        text.push_str(&format!("\n{} {}", styled(RED, "degraded:"), safe(degraded)));
    }
    for path in &status.polling {
        text.push_str(&format!("\n{} {}", styled(YELLOW, "looked at in turn, no events there:"), safe(path)));
    }
    for path in &status.left_alone {
        text.push_str(&format!("\n{} {}", styled(YELLOW, "left alone, a network file system:"), safe(path)));
    }
    if status.rescans > 0 {
        text.push_str(&format!(
            "\n{} times everything was looked through again, because events were lost",
            status.rescans
        ));
    }
    text
}

fn render_finding(finding: &Finding) -> String {
    let class = if finding.class == "certain" { styled(RED, "certain") } else { styled(YELLOW, "likely ") };
    let key = finding.key.as_deref().map(|key| format!("  {}", safe(key))).unwrap_or_default();
    let place = format!("{}:{}", one_line(&finding.path), finding.line);
    format!(
        "{class}  {}  {}{key}\n         {}",
        styled(BOLD, &place),
        safe(&finding.kind),
        styled(DIM, &safe(&finding.note))
    )
}
