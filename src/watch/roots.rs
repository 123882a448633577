//! What is watched: places of tools, folders that a person added, and the projects that are found by themselves.
//!
//! Pure: every question is answered from the paths alone. The root nearest above a path that wants it decides.

use std::{
    collections::BTreeMap,
    ops::Bound,
    path::{Path, PathBuf},
};

use super::names;

/// How deep below a root is watched, where nothing else is said.
pub const DEPTH: u8 = 6;
/// How many projects are found at most.
pub const MAX_PROJECTS: usize = 512;
/// How many links are followed at most.
const MAX_LINKS: usize = 1024;

/// What is done about findings below a root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Mode {
    /// Nothing: it is not watched, even inside another root.
    Off,
    /// They are told.
    Notify,
    /// What is certain is quarantined, the rest is told.
    #[default]
    Quarantine,
}

/// A file or a folder that is watched. It need not exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    /// Absolute.
    pub path: PathBuf,
    /// What is done.
    pub mode: Mode,
    /// How many levels of folders below it count; 0 is the folder alone.
    pub depth: u8,
    /// Its files are looked at; false for a folder where only projects are searched.
    pub files: bool,
    /// Git work trees below it become roots by themselves.
    pub projects: bool,
}

impl Root {
    /// A config of a tool: this file, or the candidates in this folder and not below.
    pub fn place(path: impl Into<PathBuf>, mode: Mode) -> Self {
        Self { path: path.into(), mode, depth: 0, files: true, projects: false }
    }

    /// A folder that a person added, or a project.
    pub fn folder(path: impl Into<PathBuf>, mode: Mode) -> Self {
        Self { path: path.into(), mode, depth: DEPTH, files: true, projects: false }
    }

    /// A folder in which projects are searched, this many levels down.
    pub fn search(path: impl Into<PathBuf>, mode: Mode, depth: u8) -> Self {
        Self { path: path.into(), mode, depth, files: false, projects: true }
    }
}

/// All roots, and the links that lead to them.
#[derive(Clone, Debug, Default)]
pub struct Roots {
    by_path: BTreeMap<PathBuf, Root>,
    links: BTreeMap<PathBuf, PathBuf>,
    found: usize,
}

impl Roots {
    /// These roots. Of two for one path, what either wants is wanted, and a mode of `Off` wins.
    pub fn new(roots: Vec<Root>) -> Self {
        let mut all = Self::default();
        for root in roots {
            all.insert(root);
        }
        all
    }

    /// The paths of all roots, in order.
    pub fn paths(&self) -> Vec<PathBuf> {
        self.by_path.keys().cloned().collect()
    }

    /// How many projects were found.
    pub fn found(&self) -> usize {
        self.found
    }

    /// The mode for a file that is wanted: one that is a root itself, or a candidate by its name that is not too
    /// deep below a root and in no ignored folder.
    pub fn file(&self, path: &Path) -> Option<Mode> {
        if let Some(root) = self.by_path.get(path) {
            return (root.files && root.mode != Mode::Off).then_some(root.mode);
        }
        if !path.file_name().is_some_and(names::is_candidate) {
            return None;
        }
        self.above(path.parent()?, |root, _| root.files).map(|root| root.mode)
    }

    /// True for a folder that is watched where it exists.
    pub fn folder(&self, path: &Path) -> bool {
        self.above(path, |root, hidden| root.files || (root.projects && !hidden)).is_some()
    }

    /// True where a root, or what a link leads to, is at this path or below it: when that comes or goes, the root
    /// has to be found anew.
    pub fn leads(&self, path: &Path) -> bool {
        first_below(&self.by_path, path) || first_below(&self.links, path)
    }

    /// The roots at this path or below it, and the wanted paths that are links to something there.
    pub fn below(&self, path: &Path) -> Vec<PathBuf> {
        let from = (Bound::Included(path), Bound::Unbounded);
        let roots = self.by_path.range::<Path, _>(from).map(|(at, _)| (at, at));
        let links = self.links.range::<Path, _>(from);
        let below = |(at, _): &(&PathBuf, &PathBuf)| at.starts_with(path);
        roots.take_while(below).chain(links.take_while(below)).map(|(_, shown)| shown.clone()).collect()
    }

    /// True where a root is exactly here.
    pub fn is_root(&self, path: &Path) -> bool {
        self.by_path.contains_key(path)
    }

    /// True for a folder that would become a project if it were a git work tree.
    pub fn searched(&self, path: &Path) -> bool {
        self.found < MAX_PROJECTS
            && !self.by_path.get(path).is_some_and(|root| root.files)
            && self.above(path, |root, _| root.files).is_none()
            && self.above(path, |root, hidden| root.projects && !hidden).is_some()
    }

    /// Takes a folder in as a project; false where it is none of the searched ones.
    pub fn add_project(&mut self, path: &Path) -> bool {
        if !self.searched(path) {
            return false;
        }
        let Some(root) = self.above(path, |root, hidden| root.projects && !hidden) else { return false };
        let project = Root::folder(path, root.mode);
        self.found += 1;
        self.insert(project);
        true
    }

    /// Remembers that `shown`, which is wanted, is a link to `real`, or lies below one. `false`: there are too many.
    pub fn link(&mut self, shown: &Path, real: &Path) -> bool {
        if real != shown && self.links.get(real).is_none_or(|known| known != shown) {
            // It led elsewhere before.
            self.links.retain(|_, known| known != shown);
            if self.links.len() >= MAX_LINKS && !self.links.contains_key(real) {
                return false;
            }
            self.links.insert(real.to_path_buf(), shown.to_path_buf());
        }
        true
    }

    /// The path under which something is wanted, for what a link leads to.
    pub fn shown(&self, path: &Path) -> Option<PathBuf> {
        if self.links.is_empty() {
            return None;
        }
        path.ancestors().find_map(|above| {
            let shown = self.links.get(above)?;
            let rest = path.strip_prefix(above).ok()?;
            let shown = if rest.as_os_str().is_empty() { shown.clone() } else { shown.join(rest) };
            (self.file(&shown).is_some() || self.folder(&shown) || self.leads(&shown)).then_some(shown)
        })
    }

    /// The nearest root above (or at) a folder that covers it and that `wants` takes; nothing below a root that
    /// is off. `wants` is told whether a hidden folder lies between.
    fn above(&self, folder: &Path, wants: impl Fn(&Root, bool) -> bool) -> Option<&Root> {
        let mut hidden = false;
        for (level, above) in folder.ancestors().enumerate() {
            if let Some(root) = self.by_path.get(above) {
                if root.mode == Mode::Off {
                    return None;
                }
                if level <= usize::from(root.depth) && wants(root, hidden) {
                    return Some(root);
                }
            }
            let name = above.file_name()?;
            if names::is_ignored(name) {
                return None;
            }
            hidden |= names::is_hidden(name);
        }
        None
    }

    fn insert(&mut self, root: Root) {
        match self.by_path.get_mut(&root.path) {
            None => {
                self.by_path.insert(root.path.clone(), root);
            }
            Some(known) => {
                let off = known.mode == Mode::Off || root.mode == Mode::Off;
                if off {
                    known.mode = Mode::Off;
                } else if root.files && !known.files {
                    known.mode = root.mode;
                }
                known.depth = known.depth.max(root.depth);
                known.files |= root.files;
                known.projects |= root.projects;
            }
        }
    }
}

fn first_below<T>(map: &BTreeMap<PathBuf, T>, path: &Path) -> bool {
    let mut from = map.range::<Path, _>((Bound::Included(path), Bound::Unbounded));
    from.next().is_some_and(|(at, _)| at.starts_with(path))
}

#[cfg(test)]
mod tests;
