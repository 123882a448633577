//! `adopt --check`: each adopted place's call, made as its tool makes it.
//!
//! Owns the environment, the folder and the time that the catalogue says of the tool. What comes out is not read.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use serde::Serialize;

use super::{
    super::{
        context::Context,
        output::{DIM, GREEN, RED, safe, styled},
    },
    Args,
};
use crate::{
    api::{List, adopt::Adopted, problem::Code},
    error::{Error, Result},
    surface::{Catalogue, Run, Surface, expand, replace::fits},
};

/// How long a tool waits of which that is not known: the shortest time that any gives a helper.
const USUAL: Duration = Duration::from_secs(5);

/// One place and what its call came to.
#[derive(Serialize)]
struct Checked {
    tool: String,
    path: String,
    at: String,
    want: String,
    /// Why it does not work.
    error: Option<String>,
    /// How long it took, in milliseconds.
    took_ms: u64,
    /// How long the tool waits, in milliseconds.
    limit_ms: u64,
    /// The tool sees the change only after a restart.
    restart: bool,
}

pub fn run(cx: &Context, catalogue: &Catalogue, args: &Args) -> Result<u8> {
    let adopted: List<Adopted> = cx.client()?.get("/v1/adopt")?;
    let asks = adopted.items.into_iter().filter(|one| !one.check.is_empty());
    let chosen = asks.filter(|one| args.what.is_empty() || args.what.contains(&one.tool));
    let items: Vec<Checked> = chosen.map(|one| checked(catalogue, one)).collect();
    let failed = items.iter().any(|one| one.error.is_some());
    cx.show(&List { items }, render)?;
    Ok(u8::from(failed))
}

fn checked(catalogue: &Catalogue, one: Adopted) -> Checked {
    let surface = catalogue.get(&one.tool);
    let run = surface.map(|surface| way(surface, &one)).unwrap_or_default();
    let limit = run.seconds.map_or(USUAL, Duration::from_secs);
    let began = Instant::now();
    let answer = ask(surface, &run, &one, limit);
    let took = began.elapsed();
    let reloads = surface.and_then(|surface| surface.file_of(&one.path)).is_some_and(|file| file.reloads == Some(true));
    let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    Checked {
        tool: one.tool,
        path: one.path,
        at: one.at,
        want: one.want,
        error: answer.err().map(|error| error.detail),
        took_ms: ms(took),
        limit_ms: ms(limit),
        restart: !reloads,
    }
}

fn render(list: &List<Checked>) -> String {
    let lines = list.items.iter().map(|one| {
        let what = [&one.tool, &one.path, &one.at].map(|text| safe(text)).join(" ");
        let what = format!("{what} asks for {}", safe(&one.want));
        let time = styled(DIM, &format!("{} ms of {} s", one.took_ms, one.limit_ms / 1000));
        match &one.error {
            None => format!("{} {what} ({time})", styled(GREEN, "✓")),
            Some(error) => format!("{} {what}: {}", styled(RED, "✗"), safe(error)),
        }
    });
    let mut lines: Vec<String> = lines.collect();
    let restart: BTreeSet<String> = list.items.iter().filter(|one| one.restart).map(|one| safe(&one.tool)).collect();
    if !restart.is_empty() {
        let names = restart.into_iter().collect::<Vec<_>>().join(", ");
        lines.push(styled(DIM, &format!("what was running while it was adopted has to be restarted: {names}")));
    }
    if lines.is_empty() { "nothing was adopted".into() } else { lines.join("\n") }
}

/// How the tool runs what stands there.
fn way(surface: &Surface, one: &Adopted) -> Run {
    let parts: Vec<String> = one.at.split('/').skip(1).map(|part| part.replace("~1", "/").replace("~0", "~")).collect();
    let here = |entry: &&crate::surface::Replace| {
        fits(&entry.at, &parts).is_some() && (one.with.is_empty() || entry.with.word() == one.with)
    };
    surface.replace.iter().find(here).map(|entry| entry.run.clone()).unwrap_or_default()
}

/// Asks as the tool does: by a shell, with its environment, in its folder, in its time.
fn ask(surface: Option<&Surface>, run: &Run, adopted: &Adopted, limit: Duration) -> Result<()> {
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", &adopted.check])
        .current_dir(folder(run).unwrap_or_else(|| Path::new("/").to_path_buf()))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    if let Some(surface) = surface.filter(|_| !run.inherits) {
        for (name, _) in std::env::vars_os().filter(|(name, _)| surface.hides(&name.to_string_lossy())) {
            command.env_remove(name);
        }
    }
    command.envs(&run.adds);
    let io = |e: std::io::Error| Error::new(Code::Io, format!("its helper could not be run: {e}"));
    let mut child = command.spawn().map_err(io)?;
    let end = Instant::now() + limit;
    let status = loop {
        match child.try_wait().map_err(io)? {
            Some(status) => break status,
            None if Instant::now() >= end => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(Error::new(Code::Io, format!("its helper did not answer in {} s", limit.as_secs())));
            }
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    if status.success() {
        return Ok(());
    }
    let mut said = String::new();
    if let Some(mut from) = child.stderr.take() {
        let _ = std::io::Read::read_to_string(&mut std::io::Read::take(&mut from, 4096), &mut said);
    }
    let said = said.trim();
    let text = if said.is_empty() { "its helper failed and said nothing" } else { said };
    Err(Error::new(Code::Denied, text.to_owned()))
}

/// The folder, where it is said and there.
fn folder(run: &Run) -> Option<PathBuf> {
    let home = std::env::home_dir()?;
    expand(run.folder.as_ref()?, &home, &|name| std::env::var(name).ok()).filter(|path| path.is_dir())
}
