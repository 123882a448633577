//! prctl, rlimits and what the kernel says of tracing.

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

use crate::{
    api::status::Protection,
    sys::{harden::protection, process::open_pidfd},
};

/// Switches off dumps and tracing; reports pidfds and yama.
pub(in crate::sys) fn harden() -> Vec<Protection> {
    vec![not_traceable(), no_core_dumps(), ptrace_scope(), pinned_callers()]
}

/// prctl(2), PR_SET_DUMPABLE: no core dump, no ptrace and no reading of /proc/PID/mem by the same uid.
fn not_traceable() -> Protection {
    match set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        Ok(()) => protection("not traceable", true, "other processes of yours cannot read the daemon's memory"),
        Err(errno) => protection("not traceable", false, format!("the kernel refuses PR_SET_DUMPABLE: {errno}")),
    }
}

/// setrlimit(2). A core_pattern that is a pipe ignores it, PR_SET_DUMPABLE holds there.
fn no_core_dumps() -> Protection {
    match setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }) {
        Ok(()) => protection("no core dumps", true, "a crash leaves no file with credentials in it"),
        Err(errno) => protection("no core dumps", false, format!("the kernel refuses RLIMIT_CORE 0: {errno}")),
    }
}

/// Documentation/admin-guide/LSM/Yama.rst. It protects the clients too, which hold tokens.
fn ptrace_scope() -> Protection {
    let name = "ptrace scope";
    match std::fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope").as_deref().map(str::trim) {
        Ok("0") => protection(
            name,
            false,
            "any process of yours may trace another one that holds a token; \
             `sudo sysctl kernel.yama.ptrace_scope=1` ends that",
        ),
        Ok(scope) => protection(name, true, format!("kernel.yama.ptrace_scope is {scope}")),
        Err(_) => protection(
            name,
            false,
            "this kernel has no Yama, so any process of yours may trace another one that holds a token",
        ),
    }
}

/// pidfd_open(2), Linux 5.3.
fn pinned_callers() -> Protection {
    let own = i32::try_from(std::process::id()).unwrap_or(0);
    match open_pidfd(own) {
        Ok(_) => protection("pinned callers", true, "a caller's pid cannot be taken over by another process"),
        Err(error) => protection(
            "pinned callers",
            false,
            format!("no pidfd ({error}), so a pid that is reused at the wrong moment is taken for the caller"),
        ),
    }
}
