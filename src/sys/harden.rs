//! What protects this process's memory, and its limits.
//!
//! Owns switching the protections on and saying in words which hold. Never fails: a protection that
//! does not hold is reported, and the caller goes on.

use super::platform;
use crate::{api::status::Protection, sys::memory::LockedBytes};

/// Switches on what the platform has and reports each. Call it once, before the first credential is in
/// memory; it costs a few system calls.
pub fn harden() -> Vec<Protection> {
    let mut report = platform::harden();
    report.push(locked_memory());
    report
}

/// Raises the soft limit of open files to the hard one; returns what holds then.
pub fn raise_file_limit() -> u64 {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let limit = getrlimit(Resource::Nofile);
        if limit.current != limit.maximum {
            let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
        }
        getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
    }
    #[cfg(not(unix))]
    {
        u64::MAX
    }
}

fn locked_memory() -> Protection {
    let active = LockedBytes::copy_of(&[1]).is_locked();
    #[cfg(unix)]
    let limit = rustix::process::getrlimit(rustix::process::Resource::Memlock)
        .current
        .map_or_else(|| "without a limit".to_owned(), |bytes| format!("up to {} KiB", bytes / 1024));
    #[cfg(not(unix))]
    let limit = "not on this platform".to_owned();
    let detail = if active {
        format!("credentials stay out of swap ({limit})")
    } else {
        "the system refuses to lock memory, so credentials may reach swap; raise it with `ulimit -l` or \
         LimitMEMLOCK= in the unit, or encrypt the swap"
            .into()
    };
    protection("locked memory", active, detail)
}

/// One line of the report.
pub(super) fn protection(name: &str, active: bool, detail: impl Into<String>) -> Protection {
    Protection { name: name.into(), active, detail: detail.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_limit_is_the_hard_one() {
        let now = raise_file_limit();
        assert!(now >= 256, "{now}");
        assert_eq!(now, raise_file_limit());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_report_is_what_the_kernel_says() {
        let report = harden();
        let find = |name: &str| report.iter().find(|p| p.name == name).unwrap_or_else(|| panic!("no {name}"));
        assert!(find("no core dumps").active && find("not traceable").active);
        let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
        let core: Vec<&str> =
            limits.lines().find(|line| line.starts_with("Max core file size")).unwrap().split_whitespace().collect();
        assert_eq!(core.get(4), Some(&"0"), "{core:?}");
        use rustix::process::{DumpableBehavior, dumpable_behavior};
        assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
        for name in ["locked memory", "pinned callers", "ptrace scope"] {
            assert!(!find(name).detail.is_empty());
        }
    }
}
