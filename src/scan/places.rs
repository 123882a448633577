//! The places where secrets are known to lie, for `scan` and `quarantine` without a path and for the watcher.
//!
//! Owns finding out which of the catalogue's places are there.

use std::{
    fs,
    path::{Component, Path, PathBuf},
};

use crate::{
    api::problem::Code,
    config::Config,
    error::{Error, Result},
    paths::Paths,
    surface::{Catalogue, Os},
};

/// Those that are there, of assistants and tools below the home, with the copies they made; and what is watched.
///
/// # Errors
/// There is no home, or none of them is there.
pub fn known(paths: &Paths) -> Result<Vec<PathBuf>> {
    let mut there: Vec<PathBuf> = of_tools()?.iter().flat_map(|place| existing(place)).collect();
    // A config that cannot be read is told by the daemon and by `doctor`; a scan does not depend on it.
    let watched = Config::load(&paths.config()).map(|config| config.watch.roots).unwrap_or_default();
    there.extend(watched.into_iter().map(|root| PathBuf::from(root.path)).filter(|path| path.exists()));
    if there.is_empty() {
        return Err(Error::new(Code::NotFound, "no configuration of an assistant or a tool is in your home")
            .hint("name a file or a folder, for example: hallpass scan ."));
    }
    Ok(there)
}

/// All of them for the watcher: those that are not there yet too, where they have one name.
///
/// # Errors
/// There is no home.
pub fn to_watch() -> Result<Vec<PathBuf>> {
    let is_pattern = |path: &Path| path.to_string_lossy().contains('*');
    Ok(of_tools()?
        .into_iter()
        .flat_map(|place| if is_pattern(&place) { existing(&place) } else { vec![place] })
        .collect())
}

fn of_tools() -> Result<Vec<PathBuf>> {
    let home = std::env::home_dir().filter(|home| home.is_absolute()).ok_or_else(|| {
        Error::new(Code::Usage, "there is no home to look in").hint("set HOME, or name a file or a folder")
    })?;
    Ok(Catalogue::built_in()?.user_places(Os::current(), &home, |name| std::env::var(name).ok()))
}

/// The files that a path with `*` means, in their order. A folder that cannot be read has none.
pub fn existing(pattern: &Path) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::new()];
    for part in pattern.components() {
        let glob = match part {
            Component::Normal(name) => name.to_str().filter(|name| name.contains('*')),
            _ => None,
        };
        match glob.and_then(|glob| globset::Glob::new(glob).ok()) {
            None => found.iter_mut().for_each(|path| path.push(part)),
            Some(glob) => {
                let glob = glob.compile_matcher();
                let inside = |folder: &PathBuf| fs::read_dir(folder).into_iter().flatten().flatten();
                found = found.iter().flat_map(inside).map(|entry| entry.path()).collect();
                found.retain(|path| path.file_name().is_some_and(|name| glob.is_match(name)));
                found.sort();
            }
        }
    }
    found.retain(|path| path.exists());
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_mean_what_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for name in ["a/x/s.json", "a/y/s.json", "a/z/other.json", ".b.backup.2", ".b.backup.1", ".b.back"] {
            fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
            fs::write(root.join(name), "").unwrap();
        }
        let names = |pattern: &str| -> Vec<String> {
            let found = existing(&root.join(pattern));
            found.iter().map(|path| path.strip_prefix(root).unwrap().to_str().unwrap().to_owned()).collect()
        };
        assert_eq!(names("a/*/s.json"), ["a/x/s.json", "a/y/s.json"]);
        assert_eq!(names(".b.backup.*"), [".b.backup.1", ".b.backup.2"]);
        assert!(names("c/*").is_empty() && names(".b").is_empty());
        assert_eq!(names("a"), ["a"]);
    }
}
