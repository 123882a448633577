//! Checks of the running daemon, if one runs.

use super::Check;
use crate::{
    api::{
        credential::{StoreKind, StoreState},
        problem::Code,
        status::Status,
    },
    client::{Client, autostart_wanted, last_log_line},
    config::Config,
    error::Error,
    paths::Paths,
};

pub fn checks(paths: &Paths) -> Vec<Check> {
    let mut client = match Client::connect(paths, false) {
        Ok(client) => client,
        Err(error) if error.detail.contains("not running") => return down(paths),
        Err(error) => return vec![failed(error)],
    };
    match client.ping().and_then(|()| client.get::<Status>("/v1/status")) {
        Ok(status) => running(&status),
        Err(error) if error.code == Code::Version => vec![Check::fail(
            "socket",
            format!("something else listens on {}: {}", paths.socket().display(), error.detail),
            format!("ss -xlp | grep {}; stop it, or restart the daemon", paths.socket().display()),
        )],
        Err(error) if error.detail.contains("did not answer") => {
            vec![Check::fail("daemon", error.detail, ended(paths))]
        }
        Err(error) => vec![failed(error)],
    }
}

fn failed(error: Error) -> Check {
    Check::fail("daemon", error.detail, error.hint.unwrap_or_else(|| "hallpass daemon".into()))
}

/// What ends a daemon that listens and does not answer.
fn ended(paths: &Paths) -> String {
    let pid = std::fs::read_to_string(paths.lock()).unwrap_or_default();
    let pid = pid.split_whitespace().next().and_then(|word| word.parse::<u32>().ok());
    let pid = pid.map_or_else(|| "its process".into(), |pid| pid.to_string());
    format!(
        "kill -CONT {pid} if it was stopped, else kill -9 {pid}: the next command starts it anew, and nothing is lost"
    )
}

fn down(paths: &Paths) -> Vec<Check> {
    let last = last_log_line(&paths.log()).map(|line| format!("; its last words: {line}")).unwrap_or_default();
    let daemon = if autostart_wanted(paths) {
        Check::warn("daemon", format!("not running; the next command starts it{last}"), "hallpass service install")
    } else {
        Check::fail(
            "daemon",
            format!("not running, and starting it by clients is off{last}"),
            "hallpass service install",
        )
    };
    vec![daemon, port(paths)]
}

/// Whether the configured port could be bound now.
fn port(paths: &Paths) -> Check {
    let Some(port) = Config::load(&paths.config()).ok().and_then(|config| config.gateway_port) else {
        return Check::ok("gateway port", "chosen at the first start");
    };
    match std::net::TcpListener::bind(("127.0.0.1", port)) {
        Ok(_) => Check::ok("gateway port", port.to_string()),
        Err(error) => Check::fail(
            "gateway port",
            format!("127.0.0.1:{port} cannot be bound: {error}"),
            format!("ss -ltnp 'sport = :{port}'; stop that, or set another port under [gateway] in config.toml"),
        ),
    }
}

fn running(status: &Status) -> Vec<Check> {
    let mut checks = vec![version(status), binary(status)];
    checks.push(match (&status.gateway.url, &status.gateway.error) {
        (Some(url), None) => Check::ok("gateway port", url),
        (_, error) => Check::fail(
            "gateway port",
            error.clone().unwrap_or_else(|| "the gateway is not bound".into()),
            format!(
                "ss -ltnp | grep 127.0.0.1; stop what has the port, or set another under [gateway] in config.toml; \
                 then kill {}: the next command starts the daemon anew",
                status.pid
            ),
        ),
    });
    let detail = status.store.detail.clone().unwrap_or_else(|| status.store.place.clone());
    checks.push(match status.store.state {
        StoreState::Open | StoreState::Unknown => Check::ok("store", format!("{}, {detail}", status.store.kind)),
        StoreState::Locked => {
            Check::fail("store", format!("the {} store is locked: {detail}", status.store.kind), "hallpass unlock")
        }
        StoreState::Unavailable => Check::fail(
            "store",
            format!("{}: {detail}", status.store.kind),
            match status.store.kind {
                StoreKind::Keyring => {
                    "start the keyring's service, or choose the file store with `hallpass setup`".into()
                }
                _ => format!("look at {} and at [store] in {}", status.store.place, status.config.path),
            },
        ),
    });
    checks.extend(status.config.error.clone().map(|error| {
        Check::fail(
            "config in force",
            format!("{error}; the last good one is in force"),
            format!("mend {}", status.config.path),
        )
    }));
    if is_newer(status) {
        checks.push(Check::warn(
            "config in force",
            format!("{} was changed after the daemon read it", status.config.path),
            format!("kill -HUP {}; a change of the port needs a new start: kill {0}", status.pid),
        ));
    }
    checks.push(match &status.audit.error {
        None => Check::ok("audit writing", &status.audit.path),
        Some(error) => Check::fail(
            "audit writing",
            format!("{error}; nothing is handed out until it can be written"),
            format!("df -h {0}; chmod 700 {0}", status.audit.path),
        ),
    });
    checks.push(rendered(status));
    let (open, limit) = (status.connections.open, status.connections.limit);
    checks.push(if open.saturating_mul(10) >= limit.saturating_mul(9) {
        Check::warn("connections", format!("{open} of {limit} are in use"), "ss -xp | grep hallpass")
    } else {
        Check::ok("connections", format!("{open} of {limit}"))
    });
    checks
}

fn rendered(status: &Status) -> Check {
    let rendered = &status.rendered;
    if rendered.failing > 0 {
        let detail = format!("{} of {} have no fresh token", rendered.failing, rendered.files);
        return Check::fail("rendered files", detail, "hallpass render list says what to do about each");
    }
    if rendered.files > 0 && !rendered.in_memory {
        return Check::warn(
            "rendered files",
            format!("{} is on a disk and not in memory: what is in them may be found there later", rendered.folder),
            "log in through systemd, or loginctl enable-linger, so that there is a /run/user folder; then restart the daemon",
        );
    }
    Check::ok("rendered files", rendered.files.to_string())
}

/// Whether the config was written by hand since the daemon read it; writing by a verb reads it too.
fn is_newer(status: &Status) -> bool {
    let written = std::fs::metadata(&status.config.path).and_then(|meta| meta.modified()).ok();
    let written = written.and_then(|time| jiff::Timestamp::try_from(time).ok());
    let read = status.config.loaded_at.parse::<jiff::Timestamp>().ok();
    matches!((written, read), (Some(written), Some(read)) if written.as_second() > read.as_second())
}

fn version(status: &Status) -> Check {
    let mine = env!("CARGO_PKG_VERSION");
    if status.version == mine {
        return Check::ok("daemon", format!("{} as process {}", status.version, status.pid));
    }
    Check::warn(
        "daemon",
        format!("the running daemon is {}, this is {mine}", status.version),
        format!("kill {}; the next command starts the new one", status.pid),
    )
}

/// Whether the daemon runs this very file; Linux only, elsewhere the version has to do.
fn binary(status: &Status) -> Check {
    use std::os::unix::fs::MetadataExt;
    let mine = std::env::current_exe().and_then(std::fs::metadata).map(|m| (m.dev(), m.ino()));
    let theirs = std::fs::metadata(format!("/proc/{}/exe", status.pid)).map(|m| (m.dev(), m.ino()));
    match (mine, theirs) {
        (Ok(mine), Ok(theirs)) if mine != theirs => Check::warn(
            "binary",
            "the daemon runs another file than this one; was hallpass updated since it started?",
            format!("kill {}; the next command starts the new one", status.pid),
        ),
        // A process that is not dumpable does not show its file; that is as it should be.
        _ => Check::ok("binary", "the same, as far as the system shows"),
    }
}
