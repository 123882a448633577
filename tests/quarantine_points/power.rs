//! The power goes between any two system calls.
//!
//! One run is traced with all that it writes and replayed on a model of the disk ([`Disk`]); after every call that
//! changes something, each disk that may be found then is laid out for real, and hallpass started on it.

use std::{
    collections::{BTreeMap, HashSet},
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use crate::{
    disk::{Disk, Survives},
    parts,
    scene::{self, Kind, Scene, Stage},
    trace::{self, Call},
};

/// Disks by chance for every moment.
const SEEDS: u64 = 500;
const OPTIONS: &[&str] = &["-y", "-xx", "-s", "100000000"];

/// One disk that may be found.
pub struct Point {
    at: String,
    disk: Disk,
    /// The file as it was when the operation began: its node, and what the journal says of it.
    target: usize,
    written_as: String,
}

pub fn part(number: usize) {
    // The journal names the files by their path, so all disks of a scene are laid out in the folder of its run.
    let stages = std::cell::RefCell::new(Vec::new());
    let points = |scene: Scene| {
        // In the model a mount is no different from a second name.
        if scene.kind == Kind::Mounted {
            return Vec::new();
        }
        let stage = Stage::set(scene);
        let points = all(scene, stage.path());
        stages.borrow_mut().push(stage);
        points
    };
    parts::share(number, points, |_, point| {
        let stages = stages.borrow();
        let stage = stages.last().unwrap();
        lay_out(point, stage.path());
        let said = |what: String| format!("power lost after {}: {what}", point.at);
        scene::settled(stage.path()).and_then(|()| stage.goes_on()).map_err(said)?;
        Ok("disks that may be found")
    });
}

fn all(scene: Scene, folder: &Path) -> Vec<Point> {
    let file = scene::file(folder);
    let target = file.strip_prefix(folder).unwrap();
    let metadata = fs::metadata(&file).unwrap();
    let modified = metadata.mtime() * 1_000_000_000 + metadata.mtime_nsec();
    let written_as = format!("\"inode\":{},\"modified_ns\":{modified}", metadata.ino());
    let disk = Disk::read(folder);
    let target = disk.find(target).unwrap();
    let mut replay = Replay { top: folder.to_owned(), disk, open: BTreeMap::new() };
    let calls = trace::calls(scene, folder, OPTIONS);
    let (mut seen, mut points) = (HashSet::new(), Vec::new());
    for call in &calls {
        replay.follow(call);
        let seeds = (1..=SEEDS).map(Survives::Some);
        let all = [Survives::Nothing, Survives::Everything, Survives::Folders, Survives::Files].into_iter();
        for survives in all.chain(seeds) {
            let disk = replay.disk.after_power_loss(survives);
            if seen.insert(disk.seen()) {
                let at = format!("{} {} ({survives:?})", call.name, call.nth);
                points.push(Point { at, disk, target, written_as: written_as.clone() });
            }
        }
    }
    // The model has followed the run: it ends as the real folder does.
    let end = Disk::read(folder);
    let shape = |disk: &Disk| disk.seen().into_iter().map(|(path, _, bytes)| (path, bytes)).collect::<Vec<_>>();
    assert_eq!(shape(&end), shape(&replay.disk), "the model went astray");
    points
}

fn lay_out(point: &Point, folder: &Path) {
    point.disk.lay_out(folder, scene::MODE);
    let journal = folder.join("quarantine/journal.jsonl");
    let Some((path, ..)) = point.disk.seen().into_iter().find(|(_, node, _)| *node == point.target) else { return };
    let (Ok(text), Ok(metadata)) = (fs::read(&journal), fs::metadata(folder.join(path))) else { return };
    // The file has another inode here than in the run. That it was written to would be seen by its time.
    let written = metadata.mtime() * 1_000_000_000 + metadata.mtime_nsec();
    let untouched = [scene::old(), scene::new()].contains(&point.disk.bytes(point.target));
    let text = String::from_utf8_lossy(&text);
    let new = format!("\"inode\":{},\"modified_ns\":{}", metadata.ino(), written - i64::from(!untouched));
    fs::write(&journal, text.replace(&point.written_as, &new)).unwrap();
}

struct Replay {
    top: PathBuf,
    disk: Disk,
    open: BTreeMap<u64, Open>,
}

struct Open {
    node: usize,
    at: usize,
    append: bool,
}

impl Replay {
    fn follow(&mut self, call: &Call) {
        let Some((left, result)) = call.line.rsplit_once(" = ") else { return };
        let Some(result) = number(result) else { return };
        let inner = left.trim_end().trim_end_matches(')');
        let arguments: Vec<&str> = inner[call.name.len() + 1..].split(", ").collect();
        let fd = || number(arguments[0]).unwrap();
        match call.name.as_str() {
            "openat" => self.opened(&arguments, result),
            "openat2" | "mkdir" => {
                let path = if call.name == "mkdir" { path_of(arguments[0]) } else { path_of(arguments[1]) };
                let Some(path) = self.below(&path) else { return };
                if call.name == "mkdir" {
                    self.disk.create(&path, true);
                } else if let Some(node) = self.disk.find(&path) {
                    self.open.insert(result, Open { node, at: 0, append: false });
                }
            }
            "close" => drop(self.open.remove(&fd())),
            "read" => {
                if let Some(open) = self.open.get_mut(&fd()) {
                    open.at += usize::try_from(result).unwrap();
                }
            }
            "lseek" => {
                if let Some(open) = self.open.get_mut(&fd()) {
                    open.at = usize::try_from(result).unwrap();
                }
            }
            "write" => {
                let Some(open) = self.open.get_mut(&fd()) else { return };
                let mut bytes = unescape(arguments[1]);
                bytes.truncate(usize::try_from(result).unwrap());
                let at = if open.append { self.disk.bytes(open.node).len() } else { open.at };
                open.at = at + bytes.len();
                self.disk.write(open.node, at, bytes);
            }
            "ftruncate" => {
                let length = usize::try_from(number(arguments[1]).unwrap()).unwrap();
                let node = self.open[&fd()].node;
                self.disk.set_length(node, length);
            }
            "fsync" | "fdatasync" => {
                let node = self.open[&fd()].node;
                self.disk.sync(node);
            }
            "rename" => self.renamed(&path_of(arguments[0]), &path_of(arguments[1]), false),
            "renameat" | "renameat2" => {
                let exchange = arguments.get(4).is_some_and(|flags| flags.contains("EXCHANGE"));
                self.renamed(&at(&arguments[..2]), &at(&arguments[2..4]), exchange);
            }
            "unlink" => self.removed(&path_of(arguments[0])),
            "unlinkat" => self.removed(&at(&arguments[..2])),
            _ => {}
        }
    }

    fn opened(&mut self, arguments: &[&str], fd: u64) {
        let Some(path) = self.below(&at(&arguments[..2])) else { return };
        let flags = arguments[2];
        let node = match self.disk.find(&path) {
            Some(node) => node,
            None => self.disk.create(&path, false),
        };
        if flags.contains("O_TRUNC") {
            self.disk.set_length(node, 0);
        }
        self.open.insert(fd, Open { node, at: 0, append: flags.contains("O_APPEND") });
    }

    fn renamed(&mut self, from: &Path, to: &Path, exchange: bool) {
        if let (Some(from), Some(to)) = (self.below(from), self.below(to)) {
            self.disk.rename(&from, &to, exchange);
        }
    }

    fn removed(&mut self, path: &Path) {
        if let Some(path) = self.below(path) {
            self.disk.remove(&path);
        }
    }

    fn below(&self, path: &Path) -> Option<PathBuf> {
        path.strip_prefix(&self.top).ok().map(Path::to_owned)
    }
}

/// The number at the beginning of an argument; none for an error.
fn number(text: &str) -> Option<u64> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text[..end].parse().ok()
}

fn path_of(argument: &str) -> PathBuf {
    String::from_utf8(unescape(argument)).unwrap().into()
}

/// The path of a folder's descriptor, as strace annotates it, and a name in it.
fn at(arguments: &[&str]) -> PathBuf {
    let folder = arguments[0].split_once('<').map_or("", |(_, rest)| rest.trim_end_matches('>'));
    path_of(folder).join(path_of(arguments[1]))
}

/// The bytes of a string as strace writes them.
fn unescape(text: &str) -> Vec<u8> {
    let text = text.trim_matches('"');
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if let Some(hex) = rest.strip_prefix("\\x") {
            bytes.push(u8::from_str_radix(&hex[..2], 16).unwrap());
            rest = &hex[2..];
        } else {
            bytes.extend_from_slice(first.to_string().as_bytes());
            rest = &rest[first.len_utf8()..];
        }
    }
    bytes
}
