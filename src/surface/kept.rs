//! Which files of a project are configs that the catalogue knows, by their paths alone.
//!
//! Owns the match, which is made for every file of a walk: the catalogue is read once. Such a file is looked at
//! although git ignores it, which is how people keep it out of their commits.

use std::{
    collections::BTreeSet,
    path::{Component, Path},
    sync::LazyLock,
};

use super::{Catalogue, Os, Scope};

/// Folders of the user's that hold much else besides.
const WIDE: &[&str] = &[".git", ".github", ".local"];

static KEPT: LazyLock<Kept> = LazyLock::new(|| Kept::new(&Catalogue::built_in().unwrap_or_default(), Os::current()));

#[derive(Default)]
struct Kept {
    /// The components of each path, the last one first.
    paths: Vec<Vec<String>>,
    folders: BTreeSet<String>,
}

/// True for a path that ends as a config of a project does, such as `.cursor/mcp.json`.
pub fn is_project_config(path: &Path) -> bool {
    KEPT.paths.iter().any(|wanted| {
        let mut parts = path.components().rev().map(Component::as_os_str);
        wanted.iter().all(|wanted| parts.next().and_then(|part| part.to_str()).is_some_and(|part| fits(wanted, part)))
    })
}

/// True for a name that a config of a project may have, whatever folder it is in.
pub fn is_project_config_name(name: &str) -> bool {
    KEPT.paths.iter().filter_map(|path| path.first()).any(|wanted| fits(wanted, name))
}

/// True for the name of a folder that an assistant or a tool keeps its configs in, such as `.claude`.
pub fn is_config_folder(name: &str) -> bool {
    KEPT.folders.contains(name)
}

impl Kept {
    fn new(catalogue: &Catalogue, os: Os) -> Self {
        let names = catalogue.project_names(os);
        let paths = names.iter().map(|name| name.rsplit('/').map(ToOwned::to_owned).collect());
        let files = [Scope::User, Scope::Project].into_iter().flat_map(|scope| catalogue.files(scope));
        let folders = files.flat_map(|file| file.paths(os)).filter_map(|path| {
            let (folders, _) = path.rsplit_once('/')?;
            folders.split(['/', '{', '}', '-']).find(|part| part.starts_with('.') && !WIDE.contains(part))
        });
        Self { paths: paths.collect(), folders: folders.map(ToOwned::to_owned).collect() }
    }
}

/// A `*` stands for any text, as in the catalogue; one for each component.
pub(super) fn fits(wanted: &str, part: &str) -> bool {
    match wanted.split_once('*') {
        None => wanted == part,
        Some((before, after)) => {
            part.len() >= before.len() + after.len() && part.starts_with(before) && part.ends_with(after)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_config_of_a_project_is_known_by_its_path() {
        let names = Catalogue::built_in().unwrap();
        for name in names.project_names(Os::current()) {
            let path = Path::new("/h/work/app").join(name.replace('*', "mine"));
            assert!(is_project_config(&path), "{name}");
            assert!(is_project_config_name(path.file_name().unwrap().to_str().unwrap()), "{name}");
        }
        for path in ["/h/a/settings.json", "/h/.cursor/mcp.json.d/x", "/h/x.cursor/mcp.json", "mcp.json", "/"] {
            assert!(!is_project_config(Path::new(path)), "{path}");
        }
    }

    #[test]
    fn the_folders_are_the_catalogues() {
        for folder in [".claude", ".cursor", ".codex", ".roo", ".aws", ".config", ".kube", ".pi"] {
            assert!(is_config_folder(folder), "{folder}");
        }
        for folder in [".git", ".local", ".cache", "src", "", "."] {
            assert!(!is_config_folder(folder), "{folder}");
        }
    }
}
