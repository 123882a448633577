//! Running one operation under strace.

use std::{
    collections::BTreeMap,
    path::Path,
    process::{Command, Output},
};

use crate::scene::{Scene, Stage};

/// A path that is looked for, in vain, where an operation begins.
pub const BEGIN: &str = "/hallpass-points-begin-here";

/// One system call of an operation.
#[derive(Clone, Debug)]
pub struct Call {
    pub name: String,
    /// The how many-th call of this name it is in the process.
    pub nth: usize,
    pub line: String,
}

/// Runs the scene's operation in `folder`, with these options for strace.
pub fn run(scene: Scene, folder: &Path, options: &[&str]) -> Output {
    let mut command = Command::new("strace");
    // The same calls in every run: nothing of the caller's environment, and no search for a locale.
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.args(options).arg("--").arg(std::env::current_exe().unwrap());
    command.args(["do", scene.operation.word()]).arg(folder);
    command.output().expect("strace runs; on Debian: apt-get install strace")
}

/// Every call of the scene's operation, in order.
pub fn of_scene(scene: Scene) -> Vec<Call> {
    calls(scene, Stage::set(scene).path(), &[])
}

/// Every call of the operation on this folder, in order.
pub fn calls(scene: Scene, folder: &Path, options: &[&str]) -> Vec<Call> {
    let log = folder.join("trace");
    let log_text = log.to_str().unwrap();
    let out = run(scene, folder, &[options, &["-o", log_text]].concat());
    assert!(out.status.success(), "{scene:?}: {}{}", text(&out.stdout), text(&out.stderr));
    let text = std::fs::read_to_string(&log).unwrap();
    std::fs::remove_file(log).unwrap();
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let mut begun = false;
    // As -xx writes it.
    let begin: String = BEGIN.bytes().map(|byte| format!("\\x{byte:02x}")).collect();
    let mut calls = Vec::new();
    for line in text.lines() {
        let Some((name, _)) = line.split_once('(') else { continue };
        if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            continue;
        }
        let nth = counts.entry(name.to_owned()).or_default();
        *nth += 1;
        if begun {
            calls.push(Call { name: name.to_owned(), nth: *nth, line: line.to_owned() });
        }
        begun |= line.contains(BEGIN) || line.contains(&begin);
    }
    assert!(begun && !calls.is_empty(), "the operation was not seen");
    calls
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
