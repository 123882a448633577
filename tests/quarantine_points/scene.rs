//! A folder with one file and its quarantine, an operation on it, and what must hold of it at any moment.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::Command,
};

use hallpass::{
    error::Error,
    quarantine::{BESIDE, Expected, Quarantine, Replacement, Settled, State, Take, reference},
    secret::Secret,
    sys,
};

use crate::vault::Files;

const NAME: &str = ".env.local";
/// Any mode that a umask would not give.
pub const MODE: u32 = 0o640;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Take,
    Restore,
}

impl Operation {
    pub fn of(word: &str) -> Self {
        if word == "restore" { Self::Restore } else { Self::Take }
    }

    pub fn word(self) -> &'static str {
        if self == Self::Restore { "restore" } else { "take" }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Plain,
    /// It has a second name.
    Linked,
    /// It is a mount by itself.
    Mounted,
}

#[derive(Clone, Copy, Debug)]
pub struct Scene {
    pub kind: Kind,
    pub operation: Operation,
}

/// The files of one run. The mount, where there is one, ends with it.
pub struct Stage {
    pub folder: tempfile::TempDir,
    pub scene: Scene,
}

/// The secrets of the file, put together here so that no scanner takes this file for a leak.
pub fn secrets() -> [String; 2] {
    [["sk-", "ant-", "harness-0123456789abcdef"].concat(), ["pass", "word with \\\"escapes\\\" ", "42"].concat()]
}

/// The file with its secrets: a BOM, line ends of both kinds, bytes that are no UTF-8, and one secret twice.
pub fn old() -> Vec<u8> {
    let [first, second] = secrets();
    let mut bytes = b"\xef\xbb\xbf# settings\r\nA=".to_vec();
    bytes.extend_from_slice(format!("{first}\r\nexport B=\"{second}\" # why\nC=plain\nD='{first}'\nE=").as_bytes());
    bytes.extend_from_slice(b"\xff\xfe latin\n");
    bytes
}

pub fn take_of(path: &Path, bytes: &[u8]) -> Take {
    let mut replacements = Vec::new();
    for (secret, name) in secrets().iter().zip(["first", "second"]) {
        let raw = secret.as_bytes();
        for start in (0..bytes.len()).filter(|at| bytes[*at..].starts_with(raw)) {
            replacements.push(Replacement {
                span: start..start + raw.len(),
                credential: name.into(),
                value: Secret::take(secret.replace("\\\"", "\"").into_bytes()),
                text: reference(name, kind_of(path), quote(), false),
                key: None,
                kind: "harness".into(),
                fingerprint: "0".into(),
            });
        }
    }
    replacements.sort_by_key(|replacement| replacement.span.start);
    Take {
        path: path.to_owned(),
        replacements,
        expected: Expected::of(bytes),
        adopted: None,
        kept: Secret::take(Vec::new()),
    }
}

fn kind_of(path: &Path) -> hallpass::detect::kind::FileKind {
    hallpass::detect::kind::FileKind::of(&path.to_string_lossy())
}

fn quote() -> hallpass::detect::parse::Quote {
    hallpass::detect::parse::Quote::Double
}

/// The file with its references.
pub fn new() -> Vec<u8> {
    let mut text = Vec::new();
    let (old, mut from) = (old(), 0);
    for replacement in take_of(Path::new(NAME), &old).replacements {
        text.extend_from_slice(&old[from..replacement.span.start]);
        text.extend_from_slice(&replacement.text);
        from = replacement.span.end;
    }
    text.extend_from_slice(&old[from..]);
    text
}

pub fn file(folder: &Path) -> PathBuf {
    folder.join("project").join(NAME)
}

pub fn open(folder: &Path) -> Result<(Quarantine, Vec<Settled>), Error> {
    Quarantine::open(&folder.join("quarantine"), Box::new(Files(folder.join("vault"))), sys::now)
}

/// Whether this process may mount; why not.
pub fn may_mount() -> Result<(), String> {
    let stage = Stage::lay(Scene { kind: Kind::Plain, operation: Operation::Take });
    mount(&file(stage.path())).map(|()| unmount(&file(stage.path())))
}

fn mount(path: &Path) -> Result<(), String> {
    let out = Command::new("mount").arg("--bind").arg(path).arg(path).output().map_err(|error| error.to_string())?;
    if out.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&out.stderr).trim().to_owned()) }
}

fn unmount(path: &Path) {
    assert!(Command::new("umount").arg(path).status().unwrap().success(), "umount {}", path.display());
}

/// One operation, in a process of its own. Says how it ended: 0 done, 3 refused.
pub fn run(operation: Operation, folder: &Path) -> i32 {
    // Where the points begin.
    let _ = fs::metadata(crate::trace::BEGIN);
    match operate(operation, folder) {
        Ok(()) => 0,
        Err(error) => {
            println!("{}: {}", error.detail, error.hint.unwrap_or_default());
            3
        }
    }
}

pub fn operate(operation: Operation, folder: &Path) -> Result<(), Error> {
    let (mut quarantine, _) = open(folder)?;
    match operation {
        Operation::Take => {
            let path = file(folder);
            let bytes = fs::read(&path).map_err(|error| Error::internal(error.to_string()))?;
            quarantine.take(&take_of(&path, &bytes)).map(drop).map_err(Error::from)
        }
        Operation::Restore => {
            let id = quarantine.list().first().map(|(item, _)| item.id.clone()).unwrap_or_default();
            quarantine.restore(&id).map(drop).map_err(Error::from)
        }
    }
}

impl Stage {
    /// Lays the files out; for a restore, with the secrets taken already.
    pub fn set(scene: Scene) -> Self {
        let stage = Self::lay(scene);
        if scene.operation == Operation::Restore {
            operate(Operation::Take, stage.path()).unwrap();
        }
        stage
    }

    fn lay(scene: Scene) -> Self {
        let folder = tempfile::Builder::new().prefix("hp-points").tempdir().unwrap();
        for name in ["project", "vault"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        let path = file(folder.path());
        fs::write(&path, old()).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(MODE)).unwrap();
        match scene.kind {
            Kind::Plain => {}
            Kind::Linked => fs::hard_link(&path, folder.path().join("other-name")).unwrap(),
            Kind::Mounted => mount(&path).unwrap_or_else(|why| panic!("mount: {why}")),
        }
        Self { folder, scene }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// What must hold at any moment, with nothing settled yet.
    pub fn holds_now(&self) -> Result<(), String> {
        let bytes = fs::read(file(self.path())).map_err(|error| format!("the file: {error}"))?;
        let whole = bytes == old() || bytes == new();
        // Half of a file that cannot be renamed over may be there until it is settled.
        if !whole && self.scene.kind == Kind::Plain {
            return Err("the file is neither the old nor the new one".into());
        }
        secrets_are_somewhere(self.path(), &bytes)
    }

    /// What must hold after the next start, and that everything goes on from there.
    pub fn goes_on(&self) -> Result<(), String> {
        settled(self.path())?;
        let (mut quarantine, _) = open(self.path()).map_err(|error| error.detail)?;
        let (items, path) = (states(&quarantine), file(self.path()));
        let bytes = fs::read(&path).map_err(|error| error.to_string())?;
        let id = match items.as_slice() {
            [] if bytes == old() => quarantine.take(&take_of(&path, &bytes)).map_err(|e| format!("retry: {e:?}"))?.id,
            [(id, State::Quarantined)] if bytes == new() => id.clone(),
            other => return Err(format!("the file and the list differ: {other:?}")),
        };
        if fs::read(&path).map_err(|error| error.to_string())? != new() {
            return Err("a take left another file".into());
        }
        let restored = quarantine.restore(&id).map_err(|error| format!("restore: {error:?}"))?;
        let (bytes, metadata) = (fs::read(&path).unwrap(), fs::metadata(&path).unwrap());
        if bytes != old() || !restored.exact {
            return Err("restore gave other bytes".into());
        }
        if metadata.mode() & 0o7777 != MODE {
            return Err(format!("restore gave the mode {:o}", metadata.mode() & 0o7777));
        }
        if self.scene.kind == Kind::Linked && fs::read(self.path().join("other-name")).unwrap() != old() {
            return Err("the other name has another file".into());
        }
        Ok(())
    }
}

/// What must hold of a folder after one start, whatever happened before; a second start finds nothing to do.
pub fn settled(folder: &Path) -> Result<(), String> {
    let path = file(folder);
    for start in ["first", "second"] {
        let (quarantine, settled) = open(folder).map_err(|error| format!("{start} start: {}", error.detail))?;
        if start == "second" && !settled.is_empty() {
            return Err(format!("the second start settled something: {settled:?}"));
        }
        if states(&quarantine).iter().any(|(_, state)| *state == State::Open) {
            return Err(format!("something is still open: {settled:?}"));
        }
        let bytes = fs::read(&path).map_err(|error| format!("the file: {error}"))?;
        if bytes != old() && bytes != new() {
            return Err("the file is neither the old nor the new one after a start".into());
        }
        secrets_are_somewhere(folder, &bytes)?;
        let beside = fs::read_dir(folder.join("project")).unwrap().flatten();
        let left: Vec<_> = beside.filter(|entry| entry.file_name().to_string_lossy().starts_with(BESIDE)).collect();
        if !left.is_empty() {
            return Err(format!("left behind: {left:?}"));
        }
    }
    Ok(())
}

fn states(quarantine: &Quarantine) -> Vec<(String, State)> {
    quarantine.list().into_iter().map(|(item, state)| (item.id.clone(), state)).collect()
}

/// Every secret is in the file or in the vault, and nobody else can read it.
fn secrets_are_somewhere(folder: &Path, bytes: &[u8]) -> Result<(), String> {
    for (raw, name) in secrets().iter().zip(["first", "second"]) {
        let in_file = bytes.windows(raw.len()).any(|window| window == raw.as_bytes());
        let in_vault =
            fs::read(folder.join("vault").join(name)).is_ok_and(|value| value == raw.replace("\\\"", "\"").as_bytes());
        if !in_file && !in_vault {
            return Err(format!("the secret {name} is nowhere"));
        }
    }
    for entry in fs::read_dir(folder.join("project")).unwrap().flatten() {
        let mode = entry.metadata().map_or(0, |metadata| metadata.mode() & 0o7777);
        if mode != MODE && mode != 0o600 {
            return Err(format!("{:?} has the mode {mode:o}", entry.file_name()));
        }
    }
    let journal = fs::read(folder.join("quarantine/journal.jsonl")).unwrap_or_default();
    for raw in secrets() {
        let word = raw.split(['\\', ' ']).next().unwrap_or_default().as_bytes().to_vec();
        if journal.windows(word.len()).any(|window| window == word) {
            return Err("the journal holds a secret".into());
        }
    }
    Ok(())
}

impl Drop for Stage {
    fn drop(&mut self) {
        if self.scene.kind == Kind::Mounted {
            unmount(&file(self.folder.path()));
        }
    }
}
