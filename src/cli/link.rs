//! `hallpass helper link`: the names under which tools look for their helpers.
//!
//! Owns the links. Must never replace something that is not a link to hallpass.

use std::{
    io,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use super::context::Context;
use crate::{
    api::problem::Code,
    error::{Error, Result},
    helper::Tool,
};

pub fn run(cx: &Context, folder: Option<PathBuf>) -> Result<u8> {
    let folder = match folder {
        Some(folder) => folder,
        None => usual()?,
    };
    let program = std::env::current_exe().and_then(|path| path.canonicalize()).map_err(|e| failed(&folder, &e))?;
    std::fs::create_dir_all(&folder).map_err(|e| failed(&folder, &e))?;
    let mut made = Vec::new();
    for name in Tool::programs() {
        let path = folder.join(name);
        place(&path, &program)?;
        made.push(path.display().to_string());
    }
    let lines: Vec<String> = made.iter().map(|path| format!("{path} is a link to {}", program.display())).collect();
    cx.show(&serde_json::json!({ "links": made }), |_| lines.join("\n"))
}

/// Where a program of this name is found by tools: ~/.local/bin, if that is on PATH.
pub fn on_path(home: &Path, name: &str) -> Option<PathBuf> {
    let folder = home.join(".local/bin");
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|known| known == folder).then(|| folder.join(name))
}

/// The same, unless a program of this name that is not ours is found before it or would be hidden by it.
pub fn free_on_path(home: &Path, name: &str) -> Option<PathBuf> {
    let own = std::env::current_exe().and_then(|path| path.canonicalize()).ok()?;
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_ours = |found: &Path| match found.canonicalize() {
        Ok(real) => real.file_name() == own.file_name(),
        Err(_) => std::fs::symlink_metadata(found).is_err(),
    };
    let all_ours =
        std::env::split_paths(&path).filter(|folder| folder.is_absolute()).all(|folder| is_ours(&folder.join(name)));
    on_path(home, name).filter(|_| all_ours)
}

/// Makes this one link to the program that runs, and its folder.
pub fn make(path: &Path) -> Result<()> {
    let program = std::env::current_exe().and_then(|path| path.canonicalize()).map_err(|e| failed(path, &e))?;
    path.parent().map_or(Ok(()), std::fs::create_dir_all).map_err(|e| failed(path, &e))?;
    place(path, &program)
}

/// Makes one link; one that is there already and leads to a hallpass is renewed.
fn place(path: &Path, program: &Path) -> Result<()> {
    match std::fs::read_link(path) {
        Ok(old) if old == program => return Ok(()),
        Ok(old) if old.file_name() == program.file_name() => {
            std::fs::remove_file(path).map_err(|e| failed(path, &e))?;
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        _ => {
            return Err(Error::new(Code::Exists, format!("{} is there already, and is not ours", path.display()))
                .hint("look at it; move it away, or name another folder: hallpass helper link FOLDER"));
        }
    }
    symlink(program, path).map_err(|e| failed(path, &e))
}

fn usual() -> Result<PathBuf> {
    let found = crate::sys::home().and_then(|home| on_path(&home, ""));
    found.ok_or_else(|| {
        Error::new(Code::Usage, "~/.local/bin is not on PATH, so no tool would find a link there")
            .hint("name a folder that is: hallpass helper link FOLDER")
    })
}

fn failed(path: &Path, e: &io::Error) -> Error {
    Error::new(Code::Io, format!("{}: {e}", path.display()))
        .hint("name a folder of your own: hallpass helper link FOLDER")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ours_is_renewed_and_nobody_else_s_is_touched() {
        let dir = tempfile::tempdir().unwrap();
        let (link, program) = (dir.path().join("git-credential-hallpass"), dir.path().join("hallpass"));
        place(&link, &program).unwrap();
        place(&link, &program).unwrap();
        std::fs::remove_file(&link).unwrap();
        symlink("/old/place/hallpass", &link).unwrap();
        place(&link, &program).unwrap();
        assert_eq!(std::fs::read_link(&link).unwrap(), program);
        for theirs in ["/usr/bin/other", "x"] {
            std::fs::remove_file(&link).unwrap();
            symlink(theirs, &link).unwrap();
            assert_eq!(place(&link, &program).unwrap_err().code, Code::Exists);
            assert_eq!(std::fs::read_link(&link).unwrap(), Path::new(theirs));
        }
        std::fs::remove_file(&link).unwrap();
        std::fs::write(&link, "mine").unwrap();
        assert_eq!(place(&link, &program).unwrap_err().code, Code::Exists);
        assert_eq!(std::fs::read_to_string(&link).unwrap(), "mine");
    }
}
