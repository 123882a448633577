//! Starting the daemon for a client that found none, as ssh-agent-like tools do.
//!
//! Owns the child's environment, log and how long its socket is waited for. The daemon itself owns
//! being the only one: of several started at once, one gets the lock.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use crate::{
    api::problem::Code,
    error::{Error, Result},
    paths::Paths,
};

/// How long the daemon may take to bind its socket.
const START_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest pause between two looks for the socket.
const MAX_PAUSE: Duration = Duration::from_millis(10);

/// What of the client's environment the daemon gets. A client may be an assistant's child whose
/// environment holds keys; none of that is the daemon's business.
const KEEP: &[&str] = &[
    "HOME",
    "PATH",
    "USER",
    "LOGNAME",
    "LANG",
    "LC_ALL",
    "TZ",
    "TMPDIR",
    "DBUS_SESSION_BUS_ADDRESS",
    "XDG_RUNTIME_DIR",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_CURRENT_DESKTOP",
    "DISPLAY",
    "WAYLAND_DISPLAY",
    "XAUTHORITY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];

/// False when `HALLPASS_AUTOSTART` or the config's `daemon.autostart` says that a client starts no
/// daemon. A config that cannot be read does not turn it off: the daemon explains what is wrong.
pub fn autostart_wanted(paths: &Paths) -> bool {
    if let Some(said) = std::env::var_os("HALLPASS_AUTOSTART").filter(|v| !v.is_empty()) {
        return said != "0" && said != "false" && said != "no";
    }
    let Ok(text) = std::fs::read_to_string(paths.config()) else { return true };
    let Ok(config) = text.parse::<toml::Table>() else { return true };
    config.get("daemon").and_then(|daemon| daemon.get("autostart")).and_then(toml::Value::as_bool).unwrap_or(true)
}

/// Starts a daemon and waits until `connect` gives a connection.
pub(super) fn start<T>(paths: &Paths, mut connect: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let mut child = spawn(paths)?;
    let until = Instant::now() + START_TIMEOUT;
    let mut pause = Duration::from_millis(2);
    let mut dead = false;
    loop {
        if let Some(connection) = connect()? {
            return Ok(connection);
        }
        if dead {
            return Err(died(paths));
        }
        // One that lost the race for the lock ends at once. The winner's socket comes soon; or the winner is one that
        // has closed its socket and is about to end, and then the lock says when it is gone.
        match child.try_wait() {
            Ok(Some(status)) if status.code() == Some(3) && is_free(&paths.lock()) => child = spawn(paths)?,
            Ok(Some(status)) if status.code() == Some(3) => {}
            Ok(Some(_)) => dead = true,
            _ => {}
        }
        if Instant::now() >= until {
            return Err(Error::new(
                Code::DaemonUnavailable,
                "the daemon was started and did not bind its socket in 5 s",
            )
            .hint(format!("its log is {}; `hallpass doctor` tells more", paths.log().display())));
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(MAX_PAUSE);
    }
}

/// Whether no daemon holds the lock. Shared and for this moment only: many clients may look at once.
fn is_free(lock: &Path) -> bool {
    File::open(lock).is_ok_and(|file| file.try_lock_shared().is_ok())
}

fn spawn(paths: &Paths) -> Result<Child> {
    let cannot = |what: &str, error: &io::Error| {
        Error::new(Code::DaemonUnavailable, format!("the daemon could not be started: {what}: {error}"))
            .hint("run `hallpass daemon` to see why; `hallpass doctor` tells more")
    };
    let program = std::env::current_exe().map_err(|e| cannot("this program's own path", &e))?;
    crate::sys::private_dir(&paths.state_dir)?;
    let log = open_log(&paths.log()).map_err(|e| cannot(&paths.log().display().to_string(), &e))?;
    let mut command = Command::new(&program);
    command.args(["daemon", "--started-by", "client"]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    // The daemon calls setsid itself; its own group keeps a Ctrl-C from reaching it before that.
    command.current_dir("/").process_group(0).env_clear();
    command.envs(KEEP.iter().filter_map(|name| std::env::var_os(name).map(|value| (name, value))));
    for name in ["HALLPASS_HOME", "HALLPASS_SOCKET"] {
        if let Some(value) = std::env::var_os(name).filter(|value| !value.is_empty()) {
            let whole = std::path::absolute(&value).unwrap_or_else(|_| value.into());
            command.env(name, whole);
        }
    }
    command.spawn().map_err(|e| cannot(&program.display().to_string(), &e))
}

/// The log, 0600, never through a link, and cut when it has grown.
fn open_log(path: &Path) -> io::Result<File> {
    let file = crate::sys::private_file(path, true)?;
    if file.metadata()?.len() > 1024 * 1024 {
        file.set_len(0)?;
    }
    Ok(file)
}

fn died(paths: &Paths) -> Error {
    let why = last_log_line(&paths.log()).unwrap_or_else(|| "it said nothing".into());
    Error::new(Code::DaemonUnavailable, format!("the daemon ended right after its start: {why}"))
        .hint(format!("its log is {}; `hallpass doctor` tells more", paths.log().display()))
}

/// The last line of a log that says something, made safe for a terminal.
pub fn last_log_line(path: &Path) -> Option<String> {
    let mut file = File::open(path).ok()?;
    let length = file.metadata().ok().filter(std::fs::Metadata::is_file)?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(4096))).ok()?;
    let mut bytes = Vec::new();
    file.take(4096).read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let line = text.lines().rev().find(|line| !line.trim().is_empty() && !line.starts_with("hint:"))?;
    Some(crate::principal::printable(line.trim()).chars().take(300).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_of_a_log_moves_no_cursor() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        assert_eq!(last_log_line(&path), None);
        std::fs::write(&path, "one\ntwo \u{1b}[2J\nhint: what to do\n\n").unwrap();
        assert_eq!(last_log_line(&path).unwrap(), "two \u{fffd}[2J");
    }

    #[test]
    fn a_lock_is_free_once_its_daemon_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let held = File::create(&path).unwrap();
        held.try_lock().unwrap();
        assert!(!is_free(&path));
        drop(held);
        assert!(is_free(&path) && is_free(&path));
    }

    #[test]
    fn the_config_may_turn_it_off() {
        let home = tempfile::tempdir().unwrap();
        let paths = Paths::under(home.path(), None);
        assert!(autostart_wanted(&paths));
        std::fs::write(paths.config(), "[daemon]\nautostart = false\n").unwrap();
        assert!(!autostart_wanted(&paths));
        std::fs::write(paths.config(), "[daemon\n").unwrap();
        assert!(autostart_wanted(&paths));
    }

    #[test]
    fn a_link_in_place_of_the_log_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        std::os::unix::fs::symlink(dir.path().join("target"), &path).unwrap();
        assert!(open_log(&path).is_err());
        assert!(!dir.path().join("target").exists());
    }
}
