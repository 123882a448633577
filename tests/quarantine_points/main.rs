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

mod errno;
mod kill;
mod power;
mod scene;
mod trace;
mod vault;

use std::{path::Path, process::exit};

use scene::{Operation, Scene};

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let lost = match words.as_slice() {
        ["do", operation, folder] => exit(scene::run(Operation::of(operation), Path::new(folder))),
        ["kill"] => kill::all(),
        ["errno"] => errno::all(),
        ["power"] => power::all(),
        [] | ["all"] => kill::all() + errno::all() + power::all(),
        other => {
            println!("unknown: {other:?}");
            exit(2)
        }
    };
    exit(i32::from(lost > 0));
}

/// Every kind of file, with each operation on it. A mounted file only where this process may mount.
fn scenes() -> Vec<Scene> {
    let mut kinds = vec![scene::Kind::Plain, scene::Kind::Linked];
    match scene::may_mount() {
        Ok(()) => kinds.push(scene::Kind::Mounted),
        Err(why) => println!("skipped: the bind-mounted file ({why})"),
    }
    let both = |kind| [Operation::Take, Operation::Restore].map(|operation| Scene { kind, operation });
    kinds.into_iter().flat_map(both).collect()
}

/// Runs every point on two threads; how many went wrong. Prints what did.
fn run_points<P: Sync>(points: &[P], each: impl Fn(&P) -> Result<(), String> + Sync) -> usize {
    use std::sync::atomic::{AtomicUsize, Ordering};
    let (next, wrong) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|threads| {
        for _ in 0..2 {
            threads.spawn(|| {
                while let Some(point) = points.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(what) = each(point) {
                        wrong.fetch_add(1, Ordering::Relaxed);
                        println!("LOST {what}");
                    }
                }
            });
        }
    });
    wrong.into_inner()
}
