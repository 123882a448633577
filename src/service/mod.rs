//! The daemon as a service of the user: systemd user units and a launchd agent.
//!
//! Owns the units' files. Must never overwrite or remove a file it did not write, and never needs
//! systemctl or launchctl to be there: where no manager answers, the answer says what to run. Prints
//! nothing.

mod manager;
mod template;

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use crate::{
    api::problem::Code,
    error::{Error, Result},
    paths::Paths,
};
pub use manager::Manager;
use template::{MARKER, Unit};

/// What `install` did.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Installed {
    /// Whose units they are.
    pub manager: Manager,
    /// The files that are in place now.
    pub files: Vec<PathBuf>,
    /// The commands that were run, and worked.
    pub ran: Vec<String>,
    /// The commands that are still to be run, by the user.
    pub to_run: Vec<String>,
    /// What else the user should know.
    pub notes: Vec<String>,
}

/// What `uninstall` did.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Uninstalled {
    /// Whose units they were.
    pub manager: Manager,
    /// The files that are gone.
    pub removed: Vec<PathBuf>,
    /// The commands that were run, and worked.
    pub ran: Vec<String>,
    /// The commands that are still to be run, by the user.
    pub to_run: Vec<String>,
}

/// How the service is.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Status {
    /// Whose units they are.
    pub manager: Manager,
    /// The manager answers in this session.
    pub manager_runs: bool,
    /// Each unit's file and its state.
    pub units: Vec<UnitStatus>,
}

/// How one unit is.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct UnitStatus {
    /// Its file.
    pub file: PathBuf,
    /// What the file is.
    pub state: FileState,
    /// What the manager says of it: `active`, `inactive`, `failed`; nothing where no manager answers.
    pub active: Option<String>,
}

/// What stands in a unit's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileState {
    /// Nothing.
    Missing,
    /// What this version would write.
    Current,
    /// Written by hallpass, but not what this version would write; `install` replaces it.
    Outdated,
    /// Not written by hallpass.
    Foreign,
}

/// Writes the units for this executable and, where the manager answers, enables and starts them.
pub fn install(paths: &Paths, exe: &Path) -> Result<Installed> {
    let (manager, dir) = place()?;
    install_at(manager, &dir, paths, exe, &manager::Session::find(manager))
}

/// Stops and removes the units.
pub fn uninstall(paths: &Paths) -> Result<Uninstalled> {
    let (manager, dir) = place()?;
    uninstall_at(manager, &dir, paths, &manager::Session::find(manager))
}

/// Looks at the units; changes nothing.
pub fn status(paths: &Paths, exe: &Path) -> Result<Status> {
    let (manager, dir) = place()?;
    let session = manager::Session::find(manager);
    let units = template::units(manager, paths, exe)?
        .into_iter()
        .map(|unit| {
            let file = dir.join(unit.name);
            Ok(UnitStatus { state: state(&file, &unit.text)?, active: session.active(unit.name), file })
        })
        .collect::<Result<_>>()?;
    Ok(Status { manager, manager_runs: session.runs(), units })
}

fn install_at(
    manager: Manager,
    dir: &Path,
    paths: &Paths,
    exe: &Path,
    session: &manager::Session,
) -> Result<Installed> {
    if !exe.is_absolute() || !exe.is_file() {
        return Err(Error::new(Code::InvalidValue, format!("{} is no program with an absolute path", exe.display())));
    }
    let units = template::units(manager, paths, exe)?;
    // All are looked at before one is written.
    for Unit { name, text } in &units {
        let file = dir.join(name);
        if state(&file, text)? == FileState::Foreign {
            return Err(foreign(&file));
        }
    }
    let mut notes = Vec::new();
    if paths.socket().exists() {
        notes.push(format!(
            "a daemon may be running on {} already; stop it, so that the service's sockets take its place",
            paths.socket().display()
        ));
    }
    let mut files = Vec::new();
    for Unit { name, text } in &units {
        let file = dir.join(name);
        write(&file, text).map_err(|e| failed(&file, &e))?;
        files.push(file);
    }
    let (ran, to_run) = session.run(&manager.start_commands(dir));
    if !to_run.is_empty() {
        notes.push(session.why_not().to_owned());
    }
    Ok(Installed { manager, files, ran, to_run, notes })
}

fn uninstall_at(manager: Manager, dir: &Path, paths: &Paths, session: &manager::Session) -> Result<Uninstalled> {
    let units = template::units(manager, paths, Path::new("/"))?;
    let mut there = Vec::new();
    for Unit { name, text } in &units {
        let file = dir.join(name);
        match state(&file, text)? {
            FileState::Missing => {}
            FileState::Foreign => return Err(foreign(&file)),
            FileState::Current | FileState::Outdated => there.push(file),
        }
    }
    if there.is_empty() {
        return Ok(Uninstalled { manager, removed: there, ran: Vec::new(), to_run: Vec::new() });
    }
    let (mut ran, mut to_run) = session.run(&manager.stop_commands(dir));
    for file in &there {
        fs::remove_file(file).map_err(|e| failed(file, &e))?;
    }
    let (after_ran, after_to_run) = session.run(&manager.after_commands());
    ran.extend(after_ran);
    to_run.extend(after_to_run);
    Ok(Uninstalled { manager, removed: there, ran, to_run })
}

fn place() -> Result<(Manager, PathBuf)> {
    let home = crate::sys::home()
        .ok_or_else(|| Error::new(Code::Io, "hallpass cannot find your home folder").hint("set HOME"))?;
    if cfg!(target_os = "macos") {
        return Ok((Manager::Launchd, home.join("Library/LaunchAgents")));
    }
    let config = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    Ok((Manager::Systemd, config.unwrap_or_else(|| home.join(".config")).join("systemd/user")))
}

fn state(file: &Path, text: &str) -> Result<FileState> {
    let metadata = match file.symlink_metadata() {
        Ok(metadata) => metadata,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(FileState::Missing),
        Err(e) => return Err(failed(file, &e)),
    };
    // A link, such as one to /dev/null (a masked unit), is the user's.
    if !metadata.is_file() || metadata.len() > 64 * 1024 {
        return Ok(FileState::Foreign);
    }
    let found = fs::read(file).map_err(|e| failed(file, &e))?;
    Ok(match String::from_utf8_lossy(&found) {
        found if found == text => FileState::Current,
        found if found.lines().take(6).any(|line| line.contains(MARKER)) => FileState::Outdated,
        _ => FileState::Foreign,
    })
}

fn write(file: &Path, text: &str) -> io::Result<()> {
    let dir = file.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(dir)?;
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".hallpass-new");
    let temporary = file.with_file_name(name);
    match fs::remove_file(&temporary) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let mut new = fs::OpenOptions::new().write(true).create_new(true).mode(0o644).open(&temporary)?;
    new.write_all(text.as_bytes())?;
    new.sync_all()?;
    fs::rename(&temporary, file)
}

fn foreign(file: &Path) -> Error {
    Error::new(Code::Exists, format!("{} was not written by hallpass, so it stays as it is", file.display()))
        .hint(format!("move {} away, then try again", file.display()))
}

fn failed(file: &Path, e: &io::Error) -> Error {
    Error::new(Code::Io, format!("{} cannot be used: {e}", file.display()))
        .hint("check that the folder is yours and writable")
}

#[cfg(test)]
mod tests;
