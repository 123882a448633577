//! Every system call that touches a file fails in turn.

use crate::{parts, scene::Stage, trace};

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

/// Fails each call with each of its errors, and tries again after it.
pub fn part(number: usize) {
    let points = |scene| {
        let calls = trace::of_scene(scene);
        let calls = calls.into_iter().filter(|call| !OTHERS.contains(&call.name.as_str()));
        calls.flat_map(|call| errors(&call.name).iter().map(move |error| (call.clone(), *error))).collect::<Vec<_>>()
    };
    parts::share(number, points, |scene, (call, error)| {
        let stage = Stage::set(scene);
        let inject = format!("inject={}:error={error}:when={}", call.name, call.nth);
        let out = trace::run(scene, stage.path(), &["-o", "/dev/null", "-e", &inject]);
        let said = |what: String| format!("{error} at {} ({}): {what}", call.line, call.nth);
        let counts_as = match out.status.code() {
            Some(0) => "done all the same",
            // Said in words, with what to do.
            Some(3) if trace::text(&out.stdout).trim().len() > 20 => "refused in words",
            other => {
                let (stdout, stderr) = (trace::text(&out.stdout), trace::text(&out.stderr));
                return Err(said(format!("it ended with {other:?}: {stdout}{stderr}")));
            }
        };
        stage.holds_now().and_then(|()| stage.goes_on()).map_err(said)?;
        Ok(counts_as)
    });
}
