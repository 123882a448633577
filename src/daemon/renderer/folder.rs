//! The folder of the rendered files, beside the sockets.
//!
//! Owns how a file gets there and goes. A file is replaced by a rename, so no reader sees a part of one. Must never
//! remove what is not ours.

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::Path,
};

use crate::{
    api::problem::Code,
    daemon::state::State,
    error::{Error, Result},
    paths::{DIR_MODE, FILE_MODE},
    principal::is_name,
    sys,
};

/// Removes files of ours that no entry is for. What is not as we make it (private, plain, by such a name) is not ours:
/// where a variable names the socket, the folder beside it may be anybody's.
pub(super) fn sweep(state: &State) {
    let settings = state.settings();
    let folder = state.paths.rendered_dir();
    let private = |meta: &fs::Metadata, mode: u32| meta.uid() == sys::uid() && meta.mode() & 0o777 == mode;
    if !folder.symlink_metadata().is_ok_and(|meta| meta.is_dir() && private(&meta, DIR_MODE)) {
        return;
    }
    for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_str().unwrap_or_default();
        let plain = name.strip_prefix('.').and_then(|name| name.strip_suffix(".new")).unwrap_or(name);
        let ours = is_name(plain) && entry.metadata().is_ok_and(|meta| meta.is_file() && private(&meta, FILE_MODE));
        let wanted = settings.config.renders.iter().any(|render| render.name == name) && !state.shutdown.is_cancelled();
        if ours && !wanted {
            let _ = fs::remove_file(entry.path());
        }
    }
}

pub(super) fn remove(state: &State, name: &str) {
    match fs::remove_file(state.paths.rendered(name)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::error!("the rendered file {name} cannot be removed: {error}");
        }
        _ => {}
    }
}

/// Writes beside, then renames. Not synced: it need not outlive this boot, and should not.
pub(super) fn write(state: &State, name: &str, text: &str) -> Result<()> {
    let folder = state.paths.rendered_dir();
    sys::private_dir(&folder)?;
    // No name begins with a dot, so this is nobody's file.
    let new = folder.join(format!(".{name}.new"));
    let path = folder.join(name);
    let result = put(&new, text).and_then(|()| fs::rename(&new, &path));
    result.map_err(|error| {
        let _ = fs::remove_file(&new);
        Error::new(Code::Io, format!("{} cannot be written: {error}", path.display()))
            .hint(format!("df -h {0}; ls -la {0}", folder.display()))
    })
}

fn put(path: &Path, text: &str) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(path)?;
    file.write_all(text.as_bytes())
}
