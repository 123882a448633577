//! The other file of a tool that is changed together with the one that held the key: its settings.
//!
//! Owns reading it, making it where it is not there, and taking away again what was made. It goes through the
//! quarantine's journal as the first one does.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    rc::Rc,
};

use crate::{
    adopt::{self as planner, Edit, Tree},
    api::{adopt::ToolFile, problem::Code},
    daemon::{
        keeper::{Keeper, Seen, Worker},
        state::State,
    },
    error::{Error, Result},
    quarantine::{self as engine, Expected, Take},
    scan::read,
    surface::{Format, Surface},
    sys,
};

/// What is in a file that was not there: the journal replaces parts of files, and an empty one has none.
const EMPTY: &str = "\n";

/// The file, as it is and as it will be.
pub(super) struct Beside {
    pub(super) path: PathBuf,
    format: Format,
    /// As it was read.
    pub(super) old: String,
    /// With what is planned so far.
    pub(super) text: String,
    /// It is not there yet.
    pub(super) missing: bool,
    /// Secrets of its own.
    pub(super) seen: Vec<Seen>,
}

/// Every other file that the surface's entries write, by its name in the catalogue; not one that is the file itself.
pub(super) async fn read(keeper: &Keeper, surface: &Surface, named: &ToolFile) -> Result<BTreeMap<String, Beside>> {
    let mut files = BTreeMap::new();
    for beside in surface.replace.iter().filter_map(|entry| entry.beside.as_ref()) {
        let Some(path) = named.paths.get(beside.name()).filter(|path| **path != named.path) else { continue };
        if files.contains_key(beside.name()) {
            continue;
        }
        let path = PathBuf::from(path);
        let looked = path.clone();
        let (text, seen) = keeper
            .run(move |worker| {
                if std::fs::symlink_metadata(&looked).is_err_and(|e| e.kind() == std::io::ErrorKind::NotFound) {
                    return Ok((None, Vec::new()));
                }
                let look = worker.look(&looked, true)?;
                let mut buffer = read::Buffer::default();
                let read = read::file(&looked, read::Limits { size: read::MAX_SIZE, network: true }, &mut buffer).ok();
                let bytes = read.map(|()| buffer.bytes()).filter(|bytes| Expected::of(bytes) == look.expected);
                let text = bytes.and_then(|bytes| String::from_utf8(bytes.to_vec()).ok());
                let text = text.filter(|text| !text.is_empty()).ok_or_else(|| {
                    let what = format!("{} is empty, not UTF-8, or was written just now", looked.display());
                    Error::new(Code::Io, what).hint("nothing was changed; try again")
                })?;
                Ok((Some(text), look.seen))
            })
            .await?;
        let missing = text.is_none();
        let text = text.unwrap_or_else(|| EMPTY.to_owned());
        let file = Beside { path, format: beside.format, old: text.clone(), text, missing, seen };
        if file.tree().is_none() {
            let what = format!("{} cannot be read as {} reads it", file.path.display(), surface.title);
            return Err(Error::new(Code::InvalidValue, what).hint("mend it and try again; nothing was changed"));
        }
        files.insert(beside.name().to_owned(), file);
    }
    Ok(files)
}

impl Beside {
    /// What it says by now.
    pub(super) fn tree(&self) -> Option<Tree> {
        Tree::read(self.format, self.text.as_bytes())
    }

    /// Its text with these changes; or why they cannot be made.
    pub(super) fn edited(&self, edits: &[Edit]) -> std::result::Result<String, String> {
        let shown = self.path.display();
        let new = planner::edit::apply(self.format, &self.text, edits);
        let new = new.filter(|new| Tree::read(self.format, new.as_bytes()).is_some());
        let new = new.ok_or_else(|| format!("{shown} could not be edited without breaking it"))?;
        let others = self.others();
        let hunks = planner::hunks(&self.text, &new, &others);
        if hunks.iter().any(|(_, text)| others.iter().any(|other| text.contains(other))) {
            return Err(format!("a key in {shown} is written where the setting would go; adopt that one first"));
        }
        Ok(new)
    }

    /// What no change of it may bring along: its own secrets.
    pub(super) fn others(&self) -> Vec<&str> {
        self.seen.iter().filter_map(|seen| seen.value.expose_str()).collect()
    }

    /// Writes it, by the journal.
    pub(super) async fn take(&mut self, keeper: &Keeper, take: Take) -> Result<engine::Item> {
        let (path, make) = (self.path.clone(), self.missing);
        let item = keeper
            .run(move |worker| {
                if make {
                    make_empty(&path)?;
                }
                let taken = worker.quarantine()?.take(&take).map_err(Error::from);
                if make && taken.is_err() {
                    unmake_empty(&path);
                }
                taken
            })
            .await?;
        self.missing = false;
        Ok(item)
    }
}

fn make_empty(path: &Path) -> Result<()> {
    use std::io::Write;
    let failed = |e: std::io::Error| {
        Error::new(Code::Io, format!("{} cannot be made: {e}", path.display())).hint("nothing was changed")
    };
    let mut file = sys::private_file(path, true).map_err(failed)?;
    if file.metadata().map_err(failed)?.len() > 0 {
        return Err(failed(std::io::ErrorKind::AlreadyExists.into()));
    }
    file.write_all(EMPTY.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)
}

fn unmake_empty(path: &Path) {
    if std::fs::read(path).is_ok_and(|bytes| bytes == EMPTY.as_bytes()) {
        // One that stays does no harm.
        let _ = std::fs::remove_file(path);
    }
}

/// Takes a file away again that was made, where it is as it was made.
pub(super) async fn unmake(state: &Rc<State>, path: PathBuf) -> Result<()> {
    let unmade = move |_: &mut Worker| {
        unmake_empty(&path);
        Ok(())
    };
    state.keeper()?.run(unmade).await
}
