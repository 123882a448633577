//! Paths of the catalogue, made into real ones.
//!
//! Owns their syntax: `~` is the home, `${NAME:-DEFAULT}` at the start is a variable that names an absolute path,
//! else the default, which may be another such text. Pure.

use std::path::{Path, PathBuf};

/// A system that a path is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Os {
    /// Linux, and what is laid out like it.
    Linux,
    /// macOS.
    MacOs,
    /// Windows.
    Windows,
}

impl Os {
    /// The one that hallpass runs on.
    pub fn current() -> Self {
        match std::env::consts::OS {
            "macos" | "ios" => Self::MacOs,
            "windows" => Self::Windows,
            _ => Self::Linux,
        }
    }
}

/// The path that `pattern` means for this home and these variables; `None` where the pattern is no such text.
pub fn expand(pattern: &str, home: &Path, env: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf> {
    if let Some(rest) = pattern.strip_prefix("~") {
        return match rest.strip_prefix('/') {
            Some(rest) => Some(home.join(rest)),
            None => rest.is_empty().then(|| home.to_path_buf()),
        };
    }
    let Some(rest) = pattern.strip_prefix("${") else {
        // A Windows path is absolute on Windows only; the pattern is one in either case.
        return Some(PathBuf::from(pattern));
    };
    let (inside, after) = rest.split_at_checked(closing(rest)?)?;
    let after = after.strip_prefix('}')?;
    let (name, default) = inside.split_once(":-")?;
    let base = match env(name).map(PathBuf::from).filter(|path| path.is_absolute()) {
        Some(path) => path,
        None => expand(default, home, env)?,
    };
    match after.strip_prefix('/') {
        Some(after) => Some(base.join(after)),
        None => after.is_empty().then_some(base),
    }
}

/// Where the `}` is that closes what is open at the start.
fn closing(text: &str) -> Option<usize> {
    let mut open = 1;
    text.bytes().position(|byte| {
        match byte {
            b'{' => open += 1,
            b'}' => open -= 1,
            _ => {}
        }
        open == 0
    })
}
