//! What a disk may hold after the power went: a model of files and folders that knows what was synced.
//!
//! What fsync was not called for may be there or not: of a file's writes any, of a folder's changes the first few,
//! each file and folder for itself. A rename in one folder happens whole or not at all.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

/// A change of a file's content.
#[derive(Clone, Debug)]
enum Edit {
    Write(usize, Vec<u8>),
    Length(usize),
}

/// A change of a folder.
#[derive(Clone, Debug)]
enum Entry {
    Set(String, usize),
    Remove(String),
    Rename(String, String),
    Exchange(String, String),
}

type Names = BTreeMap<String, usize>;

#[derive(Clone, Debug)]
enum Node {
    File { synced: Vec<u8>, pending: Vec<Edit> },
    Folder { synced: Names, pending: Vec<Entry> },
}

/// The model. Node 0 is the top folder.
#[derive(Clone, Debug)]
pub struct Disk {
    nodes: Vec<Node>,
}

/// What survives of what was not synced.
#[derive(Clone, Copy, Debug)]
pub enum Survives {
    Nothing,
    Everything,
    Folders,
    Files,
    /// By chance, with this seed.
    Some(u64),
}

impl Survives {
    fn chance(self, bits: &mut u64) -> u64 {
        // xorshift64: as good as is needed here, and the same every time.
        *bits ^= *bits << 13;
        *bits ^= *bits >> 7;
        *bits ^= *bits << 17;
        *bits
    }

    /// How many of a folder's changes, and which of a file's.
    fn of_folder(self, pending: usize, bits: &mut u64) -> usize {
        match self {
            Self::Nothing | Self::Files => 0,
            Self::Everything | Self::Folders => pending,
            Self::Some(_) => usize::try_from(self.chance(bits) % (pending as u64 + 1)).unwrap(),
        }
    }

    fn of_file(self, bits: &mut u64) -> bool {
        match self {
            Self::Nothing | Self::Folders => false,
            Self::Everything | Self::Files => true,
            Self::Some(_) => self.chance(bits) & 1 == 1,
        }
    }
}

impl Disk {
    /// The folder as it is, all of it synced.
    pub fn read(top: &Path) -> Self {
        let mut disk = Self { nodes: Vec::new() };
        disk.add(top, &mut BTreeMap::new());
        disk
    }

    fn add(&mut self, path: &Path, seen: &mut BTreeMap<u64, usize>) -> usize {
        let metadata = fs::symlink_metadata(path).unwrap();
        if let Some(node) = seen.get(&metadata.ino()) {
            return *node;
        }
        let index = self.nodes.len();
        seen.insert(metadata.ino(), index);
        self.nodes.push(Node::File { synced: Vec::new(), pending: Vec::new() });
        self.nodes[index] = if metadata.is_dir() {
            let names = fs::read_dir(path).unwrap().flatten();
            let names = names.map(|entry| (entry.file_name().into_string().unwrap(), self.add(&entry.path(), seen)));
            Node::Folder { synced: names.collect(), pending: Vec::new() }
        } else {
            Node::File { synced: fs::read(path).unwrap(), pending: Vec::new() }
        };
        index
    }

    /// The node at a path below the top, as the running system sees it.
    pub fn find(&self, path: &Path) -> Option<usize> {
        path.iter().try_fold(0, |node, name| self.names(node)?.get(name.to_str()?).copied())
    }

    fn names(&self, node: usize) -> Option<Names> {
        let Node::Folder { synced, pending } = &self.nodes[node] else { return None };
        Some(after(synced, pending))
    }

    pub fn bytes(&self, node: usize) -> Vec<u8> {
        let Node::File { synced, pending } = &self.nodes[node] else { return Vec::new() };
        pending.iter().fold(synced.clone(), edited)
    }

    /// A new file or folder.
    pub fn create(&mut self, path: &Path, folder: bool) -> usize {
        self.nodes.push(if folder {
            Node::Folder { synced: Names::new(), pending: Vec::new() }
        } else {
            Node::File { synced: Vec::new(), pending: Vec::new() }
        });
        let node = self.nodes.len() - 1;
        self.change(path, |name| Entry::Set(name, node));
        node
    }

    pub fn remove(&mut self, path: &Path) {
        self.change(path, Entry::Remove);
    }

    pub fn rename(&mut self, from: &Path, to: &Path, exchange: bool) {
        assert_eq!(from.parent(), to.parent(), "the model knows renames within a folder only");
        let to = to.file_name().unwrap().to_str().unwrap().to_owned();
        self.change(from, |from| if exchange { Entry::Exchange(from, to) } else { Entry::Rename(from, to) });
    }

    fn change(&mut self, path: &Path, entry: impl FnOnce(String) -> Entry) {
        let folder = self.find(path.parent().unwrap()).unwrap();
        let Node::Folder { pending, .. } = &mut self.nodes[folder] else { panic!("{path:?}") };
        pending.push(entry(path.file_name().unwrap().to_str().unwrap().to_owned()));
    }

    pub fn write(&mut self, node: usize, at: usize, bytes: Vec<u8>) {
        self.edit(node, Edit::Write(at, bytes));
    }

    pub fn set_length(&mut self, node: usize, length: usize) {
        self.edit(node, Edit::Length(length));
    }

    fn edit(&mut self, node: usize, edit: Edit) {
        let Node::File { pending, .. } = &mut self.nodes[node] else { panic!("a write to a folder") };
        pending.push(edit);
    }

    pub fn sync(&mut self, node: usize) {
        match &mut self.nodes[node] {
            Node::File { synced, pending } => *synced = pending.drain(..).fold(synced.clone(), |b, e| edited(b, &e)),
            Node::Folder { synced, pending } => {
                *synced = after(synced, pending);
                pending.clear();
            }
        }
    }

    /// One disk that may be found after the power went.
    pub fn after_power_loss(&self, survives: Survives) -> Self {
        let seed = if let Survives::Some(seed) = survives { seed } else { 0 };
        let mut bits = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let nodes = self.nodes.iter().map(|node| match node {
            Node::File { synced, pending } => {
                let kept = pending.iter().filter(|_| survives.of_file(&mut bits));
                Node::File { synced: kept.fold(synced.clone(), edited), pending: Vec::new() }
            }
            Node::Folder { synced, pending } => {
                let kept = survives.of_folder(pending.len(), &mut bits);
                Node::Folder { synced: after(synced, &pending[..kept]), pending: Vec::new() }
            }
        });
        Self { nodes: nodes.collect() }
    }

    /// All that can be seen of it, to tell two apart.
    pub fn seen(&self) -> Vec<(PathBuf, usize, Option<Vec<u8>>)> {
        let mut all = Vec::new();
        let mut todo = vec![(PathBuf::new(), 0)];
        while let Some((path, node)) = todo.pop() {
            if let Some(names) = self.names(node) {
                todo.extend(names.into_iter().map(|(name, node)| (path.join(name), node)));
                all.push((path, node, None));
            } else {
                all.push((path, node, Some(self.bytes(node))));
            }
        }
        all.sort();
        all
    }

    /// Makes the folder what this disk holds, with `mode` on all but hallpass's own files.
    pub fn lay_out(&self, top: &Path, mode: u32) {
        for entry in fs::read_dir(top).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() { fs::remove_dir_all(path).unwrap() } else { fs::remove_file(path).unwrap() }
        }
        let mut first: BTreeMap<usize, PathBuf> = BTreeMap::new();
        for (path, node, bytes) in self.seen() {
            let real = top.join(&path);
            let Some(bytes) = bytes else {
                fs::create_dir_all(&real).unwrap();
                continue;
            };
            if let Some(other) = first.get(&node) {
                fs::hard_link(other, &real).unwrap();
                continue;
            }
            fs::write(&real, bytes).unwrap();
            let ours = ["vault", "quarantine"].iter().any(|folder| path.starts_with(folder));
            let mode = if ours { 0o600 } else { mode };
            fs::set_permissions(&real, fs::Permissions::from_mode(mode)).unwrap();
            first.insert(node, real);
        }
    }
}

fn after(names: &Names, changes: &[Entry]) -> Names {
    let mut names = names.clone();
    for change in changes {
        match change {
            Entry::Set(name, node) => {
                names.insert(name.clone(), *node);
            }
            Entry::Remove(name) => {
                names.remove(name);
            }
            Entry::Rename(from, to) => {
                let node = names.remove(from).unwrap();
                names.insert(to.clone(), node);
            }
            Entry::Exchange(a, b) => {
                let (first, second) = (names[a], names[b]);
                names.insert(a.clone(), second);
                names.insert(b.clone(), first);
            }
        }
    }
    names
}

fn edited(mut bytes: Vec<u8>, edit: &Edit) -> Vec<u8> {
    match edit {
        Edit::Length(length) => bytes.resize(*length, 0),
        Edit::Write(at, new) => {
            // A later write that survives an earlier one leaves a hole of zeros.
            bytes.resize(bytes.len().max(at + new.len()), 0);
            bytes[*at..at + new.len()].copy_from_slice(new);
        }
    }
    bytes
}
