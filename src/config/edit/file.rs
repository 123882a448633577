//! How an edited config gets into its place.
//!
//! Owns the order: read, edit, check, write beside, look again, rename.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use toml_edit::DocumentMut;

use crate::{
    api::problem::Code,
    config::{self, Config, place::Place},
    error::{Error, Result},
};

/// What a config that a command makes begins with.
const HEADER: &str = "\
# The config of hallpass. Edit it by hand, or with `hallpass grant`, `route` and `credential`, which keep
# comments and order. It holds no secret: credentials are in the store.

";
/// How often an edit is tried again when the file changes under it.
const TRIES: usize = 8;

/// Reads, edits, checks and replaces the file; tries again when it changed in the meantime.
pub(super) fn change(path: &Path, mut edit: impl FnMut(&mut DocumentMut, &Config) -> Result<()>) -> Result<()> {
    let target = target(path)?;
    let folder = target.parent().unwrap_or(Path::new(".")).to_path_buf();
    if let Err(e) = fs::DirBuilder::new().recursive(true).mode(crate::paths::DIR_MODE).create(&folder)
        && !folder.is_dir()
    {
        return Err(failed(&folder, &e));
    }
    // Other hallpass processes wait here; what an editor does is noticed below, and so is what they do on
    // a file system that has no locks.
    let lock = File::open(&folder).map_err(|e| failed(&folder, &e))?;
    let _ = lock.lock();
    for _ in 0..TRIES {
        let before = config::read_file(&target, config::MAX_FILE)?;
        let text = before.as_deref().unwrap_or(HEADER);
        let after = edited(text, path, &mut edit)?;
        if before.as_deref() == Some(after.as_str()) {
            return Ok(());
        }
        let temporary = write_beside(&target, &after).map_err(|e| failed(&folder, &e))?;
        let unchanged = config::read_file(&target, config::MAX_FILE).is_ok_and(|now| now == before);
        if !unchanged {
            let _ = fs::remove_file(&temporary);
            continue;
        }
        let replaced = fs::rename(&temporary, &target).and_then(|()| lock.sync_all());
        return replaced.map_err(|e| {
            let _ = fs::remove_file(&temporary);
            failed(&folder, &e)
        });
    }
    Err(Error::new(Code::Config, format!("{} keeps changing while it is edited", path.display()))
        .hint("save it in your editor, then try again"))
}

fn edited(text: &str, path: &Path, edit: &mut impl FnMut(&mut DocumentMut, &Config) -> Result<()>) -> Result<String> {
    let config = Config::parse(text, path)?;
    let mut doc: DocumentMut = text.parse().map_err(|e: toml_edit::TomlError| {
        let place = Place::new(text, path);
        place.error(e.span().unwrap_or_default(), "this is not TOML")
    })?;
    // Comments at the file's end would move behind whatever is added after them.
    let trailing = doc.trailing().as_str().unwrap_or_default().to_owned();
    doc.set_trailing("");
    let body = doc.to_string();
    edit(&mut doc, &config)?;
    let moved = doc.trailing().as_str().unwrap_or_default().to_owned();
    doc.set_trailing("");
    let result = doc.to_string();
    let after = match result.strip_prefix(&body) {
        Some(added) if !added.is_empty() => {
            let gap = if trailing.ends_with("\n\n") { added.strip_prefix('\n').unwrap_or(added) } else { added };
            format!("{body}{trailing}{gap}{moved}")
        }
        _ => format!("{result}{moved}{trailing}"),
    };
    Config::parse(&after, path)?;
    Ok(after)
}

fn target(path: &Path) -> Result<PathBuf> {
    let missing = |e: &io::Error| e.kind() == io::ErrorKind::NotFound;
    match fs::canonicalize(path) {
        Ok(target) => Ok(target),
        Err(e) if missing(&e) && path.symlink_metadata().is_ok() => {
            Err(Error::new(Code::Config, format!("{} is a link to a file that does not exist", path.display()))
                .hint("make the file it points at, or remove the link"))
        }
        Err(e) if missing(&e) => Ok(path.to_path_buf()),
        Err(e) => Err(failed(path, &e)),
    }
}

fn write_beside(target: &Path, text: &str) -> io::Result<PathBuf> {
    let mut name = target.file_name().unwrap_or_default().to_owned();
    name.push(".hallpass-new");
    let temporary = target.with_file_name(name);
    match fs::remove_file(&temporary) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let options = &mut OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(crate::paths::FILE_MODE).open(&temporary)?;
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    if let Err(e) = written {
        let _ = fs::remove_file(&temporary);
        return Err(e);
    }
    Ok(temporary)
}

fn failed(path: &Path, e: &io::Error) -> Error {
    Error::new(Code::StateUnwritable, format!("{} cannot be written: {e}", path.display()))
        .hint("the config is as it was; make room or make the folder writable, then try again")
}
