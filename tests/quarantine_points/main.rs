//! Proves that quarantine loses nothing: kills it before every system call, fails every one in turn, and cuts the
//! power between any two.
//!
//!   quarantine_points kill|errno|power|all     runs the points and prints how many there were (needs strace)
//!   quarantine_points do take|restore DIR      one operation on the files of DIR; what strace watches
//!
//! The vault is plain files, as durable as a vault must be, so that its system calls are points too.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::exit,
    clippy::indexing_slicing,
    clippy::print_stdout
)] // A harness stops loudly when what it watches misbehaves.

mod disk;
mod errno;
mod kill;
mod parts;
mod power;
mod scene;
mod trace;
mod vault;

use std::{path::Path, process::exit};

use scene::{Operation, Scene};

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["do", operation, folder] => exit(scene::run(Operation::of(operation), Path::new(folder))),
        ["part", what, number] => part(what, number.parse().unwrap()),
        [] | ["all"] => exit(i32::from(!parts::run(&["kill", "errno", "power"]))),
        what if what.iter().all(|word| ["kill", "errno", "power"].contains(word)) => exit(i32::from(!parts::run(what))),
        other => {
            println!("unknown: {other:?}");
            exit(2)
        }
    }
}

fn part(what: &str, number: usize) {
    match what {
        "kill" => kill::part(number),
        "errno" => errno::part(number),
        _ => power::part(number),
    }
}

/// Every kind of file, with each operation on it. A mounted file only where this process may mount.
fn scenes() -> Vec<Scene> {
    let mut kinds = vec![scene::Kind::Plain, scene::Kind::Linked];
    if scene::may_mount().is_ok() {
        kinds.push(scene::Kind::Mounted);
    }
    let both = |kind| [Operation::Take, Operation::Restore].map(|operation| Scene { kind, operation });
    kinds.into_iter().flat_map(both).collect()
}
