//! Every system call that touches a file fails in turn.

use crate::{run_points, scene::Stage, scenes, trace};

/// Memory, signals and the end of the process: not the file's doing.
const OTHERS: &[&str] = &[
    "mmap",
    "munmap",
    "mremap",
    "mprotect",
    "madvise",
    "brk",
    "mlock",
    "munlock",
    "sigaltstack",
    "rt_sigaction",
    "exit_group",
    "getuid",
    "getrandom",
    "clock_gettime",
    "futex",
    "getpid",
    "prctl",
];

/// The errors that a call can end with: every one that needs room, rights or a writable file system with those.
fn errors(call: &str) -> &'static [&'static str] {
    match call {
        "write" | "openat" | "mkdir" | "rename" | "renameat" | "renameat2" | "fsetxattr" => {
            &["EIO", "EINTR", "ENOSPC", "EACCES", "EROFS"]
        }
        "fsync" | "fdatasync" | "ftruncate" | "fallocate" => &["EIO", "EINTR", "ENOSPC"],
        "unlink" | "unlinkat" | "openat2" | "fchown" | "fchmod" => &["EIO", "EINTR", "EACCES", "EROFS"],
        _ => &["EIO", "EINTR"],
    }
}

/// Fails each call with each error, and tries again after it. How many went wrong.
pub fn all() -> usize {
    let (mut points, mut lost, mut passed, mut refused) = (0, 0, 0, 0);
    for scene in scenes() {
        let stage = Stage::set(scene);
        let calls = trace::calls(scene, stage.path(), &[]);
        drop(stage);
        let calls = calls.iter().filter(|call| !OTHERS.contains(&call.name.as_str()));
        let all: Vec<_> = calls.flat_map(|call| errors(&call.name).iter().map(move |error| (call, *error))).collect();
        let counts = std::sync::Mutex::new((0, 0));
        lost += run_points(&all, |(call, error)| {
            let stage = Stage::set(scene);
            let inject = format!("inject={}:error={error}:when={}", call.name, call.nth);
            let out = trace::run(scene, stage.path(), &["-o", "/dev/null", "-e", &inject]);
            let said = |what: String| format!("{scene:?} {error} at {} ({}): {what}", call.line, call.nth);
            match out.status.code() {
                Some(0) => counts.lock().unwrap().0 += 1,
                // Said in words, with what to do.
                Some(3) if trace::text(&out.stdout).trim().len() > 20 => counts.lock().unwrap().1 += 1,
                other => {
                    let (stdout, stderr) = (trace::text(&out.stdout), trace::text(&out.stderr));
                    return Err(said(format!("it ended with {other:?}: {stdout}{stderr}")));
                }
            }
            stage.holds_now().and_then(|()| stage.goes_on()).map_err(said)
        });
        let (ok, no) = counts.into_inner().unwrap();
        (passed, refused, points) = (passed + ok, refused + no, points + all.len());
        println!("  {:?} {:?}: {} points", scene.operation, scene.kind, all.len());
    }
    println!("errno points: {points} ({passed} done all the same, {refused} refused in words), lost: {lost}");
    lost
}
