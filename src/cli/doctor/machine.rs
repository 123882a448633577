//! Checks of this machine and this home; need no daemon.

use std::{
    io::Write,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use super::Check;
use crate::{config::Config, paths::Paths, sys};

/// The longest path of a socket: `sun_path` holds 108 bytes with the zero at its end (unix(7)).
const LONGEST_SOCKET: usize = 107;
/// Before this hallpass was not written: a clock that says so is wrong.
const EARLIEST: i64 = 1_767_225_600;

pub fn checks(paths: &Paths) -> Vec<Check> {
    let mut checks = vec![folders(paths), socket_path(paths), runtime(paths), clock(), config(paths), audit(paths)];
    checks.extend([files(), program(), proxy()]);
    checks.extend(sys::harden().into_iter().map(|p| {
        let name = match p.name.as_str() {
            "locked memory" => "locked memory",
            "no core dumps" => "core dumps",
            "pinned callers" => "pinned callers",
            "ptrace scope" => "ptrace scope",
            _ => "memory protection",
        };
        if p.active {
            Check::ok(name, p.detail)
        } else {
            Check::warn(name, p.detail.clone(), "see SECURITY.md on what this means; hallpass works without it")
        }
    }));
    checks.push(core_pattern());
    checks
}

fn folders(paths: &Paths) -> Check {
    use std::os::unix::fs::MetadataExt;
    for dir in [&paths.config_dir, &paths.data_dir, &paths.state_dir, &paths.runtime_dir] {
        let Ok(meta) = dir.symlink_metadata() else { continue };
        let shown = dir.display();
        if !meta.is_dir() {
            return Check::fail("folders", format!("{shown} is not a folder"), format!("mv {shown} {shown}.old"));
        }
        if meta.uid() != sys::uid() {
            let mend = format!("sudo chown -R $(id -u) {shown}");
            return Check::fail("folders", format!("{shown} belongs to uid {}", meta.uid()), mend);
        }
        if meta.mode() & 0o077 != 0 {
            let detail = format!("{shown} can be opened by others (mode {:o})", meta.mode() & 0o777);
            return Check::fail("folders", detail, format!("chmod 700 {shown}"));
        }
        if !writable(dir) {
            let detail = format!("{shown} cannot be written: the disk is full, read-only, or not yours");
            return Check::fail("folders", detail, format!("df -h {shown}; mount | grep ro,"));
        }
    }
    Check::ok("folders", "private, and can be written where they exist")
}

fn writable(dir: &Path) -> bool {
    let probe = dir.join(format!(".doctor-{}", std::process::id()));
    let wrote = std::fs::File::create_new(&probe).and_then(|mut file| file.write_all(b"hallpass doctor"));
    let _ = std::fs::remove_file(&probe);
    wrote.is_ok()
}

fn socket_path(paths: &Paths) -> Check {
    let longest = [paths.socket(), paths.gateway_socket()].iter().map(|p| p.as_os_str().as_bytes().len()).max();
    match longest.unwrap_or_default() {
        length if length > LONGEST_SOCKET => Check::fail(
            "socket path",
            format!("{} has {length} bytes; a socket's path may have {LONGEST_SOCKET}", paths.socket().display()),
            format!("export HALLPASS_SOCKET=/run/user/{}/hallpass/agent.sock", sys::uid()),
        ),
        _ => Check::ok("socket path", paths.socket().display().to_string()),
    }
}

fn runtime(paths: &Paths) -> Check {
    let run = PathBuf::from(format!("/run/user/{}", sys::uid()));
    if std::env::var_os("HALLPASS_HOME").is_some() || paths.socket_override.is_some() || cfg!(target_os = "macos") {
        return Check::ok("runtime folder", "named by a variable");
    }
    if sys::is_own_dir(&run, sys::uid()) {
        return Check::ok("runtime folder", run.display().to_string());
    }
    Check::warn(
        "runtime folder",
        format!(
            "{} is not there, so the socket is in {} (XDG_RUNTIME_DIR is not asked: a tool's helper may not have it)",
            run.display(),
            paths.runtime_dir.display()
        ),
        "log in through systemd (loginctl enable-linger) if you want it; it works as it is, unless that is a network disk",
    )
}

fn clock() -> Check {
    let now = super::super::when::now().as_second();
    if now < EARLIEST {
        return Check::fail("clock", "the clock is years behind", "sudo timedatectl set-ntp true");
    }
    Check::ok("clock", "plausible; lifetimes count on the boot clock too")
}

fn config(paths: &Paths) -> Check {
    match Config::load(&paths.config()) {
        Ok(_) => Check::ok("config", paths.config().display().to_string()),
        Err(error) => {
            let mend = error.hint.unwrap_or_else(|| format!("mend {}", paths.config().display()));
            Check::fail("config", error.detail, mend)
        }
    }
}

fn audit(paths: &Paths) -> Check {
    let dir = paths.audit_dir();
    match crate::audit::verify::verify(&dir) {
        Ok(report) if report.ok => Check::ok("audit log", format!("{}, unchanged", dir.display())),
        Ok(_) => Check::fail("audit log", "a line was changed, removed or reordered", "hallpass audit verify"),
        Err(error) => {
            Check::fail("audit log", error.detail, error.hint.unwrap_or_else(|| "hallpass audit verify".into()))
        }
    }
}

fn files() -> Check {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum.unwrap_or(u64::MAX);
    if limit < 1024 {
        let detail = format!("a process may open {limit} files; the daemon serves a quarter as many connections");
        return Check::warn(
            "file limit",
            detail,
            "raise nofile in /etc/security/limits.conf, or LimitNOFILE= in the unit",
        );
    }
    Check::ok("file limit", limit.to_string())
}

fn program() -> Check {
    let Ok(mine) = std::env::current_exe().and_then(std::fs::canonicalize) else {
        return Check::warn("program", "its own path is not known", "was it replaced while it ran? start a new shell");
    };
    let path = std::env::var_os("PATH").unwrap_or_default();
    let first = std::env::split_paths(&path).map(|dir| dir.join("hallpass")).find(|file| file.is_file());
    match first.and_then(|file| file.canonicalize().ok()) {
        Some(found) if found == mine => Check::ok("program", mine.display().to_string()),
        Some(found) => Check::warn(
            "program",
            format!("this is {}, and PATH finds {}", mine.display(), found.display()),
            "remove one of them, or change the order in PATH",
        ),
        None => Check::warn(
            "program",
            format!("{} is not on PATH, so helpers and hooks do not find it", mine.display()),
            format!("sudo install {} /usr/local/bin/hallpass", mine.display()),
        ),
    }
}

fn proxy() -> Check {
    let var = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let named = ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"].into_iter().find(|name| var(name).is_some());
    let except = var("no_proxy").or_else(|| var("NO_PROXY")).unwrap_or_default();
    let spared = except.split(',').any(|part| matches!(part.trim(), "127.0.0.1" | "localhost" | "127.0.0.0/8" | "*"));
    match named {
        Some(name) if !spared => Check::warn(
            "proxy",
            format!("{name} is set, so SDKs send what is for the gateway on 127.0.0.1 to the proxy"),
            "export no_proxy=127.0.0.1,localhost NO_PROXY=127.0.0.1,localhost",
        ),
        _ => Check::ok("proxy", "none is in the way"),
    }
}

fn core_pattern() -> Check {
    let pattern = std::fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap_or_default();
    match pattern.trim().strip_prefix('|') {
        Some(program) => {
            let name = program.split(' ').next().unwrap_or_default();
            Check::ok("core pattern", format!("{name} collects core dumps; the daemon makes none (not dumpable)"))
        }
        None => Check::ok("core pattern", "files; the daemon makes none"),
    }
}
