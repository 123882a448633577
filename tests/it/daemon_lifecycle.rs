//! The daemon from start to end: readiness, one instance, sockets, signals, reload.

use std::{
    fs,
    io::Write,
    os::unix::{
        fs::PermissionsExt,
        net::{UnixDatagram, UnixStream},
    },
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::Signal;

use super::{
    support::{Home, MEMORY, PATIENCE, own_session, skipped, wait_until},
    wire,
};

#[test]
fn ready_is_said_when_both_sockets_answer() {
    let mut home = Home::new(MEMORY);
    let manager = UnixDatagram::bind(home.path().join("notify")).unwrap();
    manager.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut command = home.command(["daemon"]);
    command.env("NOTIFY_SOCKET", home.path().join("notify"));
    let spawned = command.stderr(Stdio::null()).spawn().unwrap();
    let mut buffer = [0; 256];
    loop {
        let n = manager.recv(&mut buffer).unwrap();
        if String::from_utf8_lossy(&buffer[..n]).contains("READY=1") {
            break;
        }
    }
    // No waiting from here on: ready means ready.
    assert!(home.ping());
    let gateway = home.path().join("run/gateway.sock");
    let reply = wire::unix(&gateway, b"GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    assert_ne!(reply.status, 0, "the gateway's socket answers");
    assert!(home.port() > 0);
    home.adopt(spawned);
    home.signal(Signal::TERM);
    let n = manager.recv(&mut buffer).unwrap();
    assert!(String::from_utf8_lossy(&buffer[..n]).contains("STOPPING=1"));
    assert_eq!(home.ended(), Some(0));
}

#[test]
fn sockets_of_a_service_manager_are_used_and_left_alone() {
    if Command::new("systemd-socket-activate").arg("--version").stdout(Stdio::null()).status().is_err() {
        return skipped("systemd-socket-activate is not installed");
    }
    let mut home = Home::new(MEMORY);
    let run = home.path().join("run");
    fs::DirBuilder::new().create(&run).unwrap();
    fs::set_permissions(&run, fs::Permissions::from_mode(0o700)).unwrap();
    let mut command = Command::new("systemd-socket-activate");
    command.args(["--fdname=agent:gateway", "-l"]).arg(home.socket()).arg("-l").arg(run.join("gateway.sock"));
    command.arg(format!("--setenv=HALLPASS_HOME={}", home.path().display()));
    command.arg(env!("CARGO_BIN_EXE_hallpass")).arg("daemon");
    own_session(&mut command);
    let spawned = command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_until("the manager listens", || run.join("gateway.sock").exists());
    home.adopt(spawned);
    wait_until("the daemon answers", || home.ping());
    assert_eq!(home.json("status")["you"]["principal"], "human");
    home.signal(Signal::TERM);
    assert_eq!(home.ended(), Some(0));
    assert!(home.socket().exists(), "a socket of the service manager stays");
}

#[test]
fn a_second_daemon_is_refused_and_told_which_is_the_first() {
    let home = Home::started();
    let second = home.line("daemon");
    assert_eq!(second.code(), 3, "{}", second.err());
    assert!(second.err().contains(&home.pid().unwrap().to_string()), "{}", second.err());
    assert!(home.ping(), "the first one goes on");
}

#[test]
fn of_many_started_at_once_one_has_the_socket() {
    let mut home = Home::new(MEMORY);
    let start = || home.command(["daemon"]).stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let mut all: Vec<_> = (0..8).map(|_| start()).collect();
    wait_until("all but one end", || {
        all.retain_mut(|child| child.try_wait().unwrap().is_none());
        all.len() == 1
    });
    wait_until("it answers", || home.ping());
    let pid = home.json("status")["pid"].as_u64().unwrap();
    home.adopt(all.remove(0));
    assert_eq!(u64::from(home.pid().unwrap()), pid);
}

#[test]
fn a_socket_left_by_kill_9_is_taken_over() {
    let mut home = Home::started();
    for _ in 0..5 {
        home.kill();
        assert!(home.socket().exists());
        home.start();
        assert_eq!(home.json("status")["pid"], home.pid().unwrap());
    }
}

#[test]
fn a_file_in_the_place_of_the_sockets_folder_is_refused() {
    let home = Home::new(MEMORY);
    let elsewhere = home.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, home.path().join("run")).unwrap();
    let ran = home.line("daemon");
    assert_ne!(ran.code(), 0);
    assert!(ran.err().contains("run"), "{}", ran.err());
    assert!(fs::read_dir(&elsewhere).unwrap().next().is_none(), "nothing is made behind the link");
}

#[test]
fn modes_keep_others_out() {
    let home = Home::started();
    let mode = |path: &str| fs::metadata(home.path().join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("run"), mode("state")), (0o700, 0o700));
    assert_eq!((mode("run/agent.sock"), mode("run/gateway.sock")), (0o600, 0o600));
    for entry in fs::read_dir(home.path().join("state")).unwrap().flatten() {
        let mode = entry.metadata().unwrap().permissions().mode() & 0o077;
        assert_eq!(mode, 0, "{}", entry.path().display());
    }
}

#[test]
fn sigterm_ends_it_in_bounded_time_also_with_clients_that_hang() {
    let mut home = Home::started();
    let mut half = UnixStream::connect(home.socket()).unwrap();
    half.write_all(b"POST /v1/mint HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{").unwrap();
    let idle = UnixStream::connect(home.socket()).unwrap();
    let tcp = std::net::TcpStream::connect(("127.0.0.1", home.port())).unwrap();
    let start = Instant::now();
    home.signal(Signal::TERM);
    assert_eq!(home.ended(), Some(0));
    assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
    assert!(!home.socket().exists(), "its own socket is gone");
    drop((half, idle, tcp));
}

#[test]
fn sighup_reads_the_config_and_keeps_the_old_one_when_it_is_bad() {
    let home = Home::started();
    home.does("principal add bot --kind agent");
    let path = home.path().join("config.toml");
    let good = fs::read_to_string(&path).unwrap();
    let grant = "\n[[grants]]\nid = \"mine\"\nprincipal = \"bot\"\nissuer = \"openai\"\nscopes = [\"chat\"]\n";
    fs::write(&path, format!("{good}{grant}")).unwrap();
    home.signal(Signal::HUP);
    wait_until("the new grant counts", || home.does("--json grant list").contains("\"mine\""));

    let secret = super::support::key();
    fs::write(&path, format!("{good}{grant}\n[approval]\ntimeot = \"{secret}\"\n")).unwrap();
    home.signal(Signal::HUP);
    let line = (format!("{good}{grant}\n[approval]\n").lines().count() + 1).to_string();
    let error = || home.json("status")["config"]["error"].as_str().unwrap_or_default().to_owned();
    wait_until("status shows the error", || !error().is_empty());
    assert!(error().contains(&format!(":{line}:")), "no line {line}: {}", error());
    assert!(!error().contains(&secret));
    assert!(home.does("--json grant list").contains("\"mine\""), "the old one stays in force");

    fs::write(&path, &good).unwrap();
    home.signal(Signal::HUP);
    wait_until("the error is gone", || error().is_empty());
    assert!(!home.does("--json grant list").contains("\"mine\""));
}

#[test]
fn a_config_with_an_error_says_where_and_repeats_no_value() {
    for (text, line, word) in [
        ("[store]\nkind = \"CANARY\"\n", 2, "kind"),
        ("[stor]\nkind = \"memory\"\n", 1, "stor"),
        ("[[grants]]\nprincipal = \"a\"\nissuer = \"CANARY VALUE\"\nscopes = [\"x\"]\n", 3, "issuer"),
        ("[gateway]\nport = \"CANARY\"\n", 2, "port"),
        ("[gateway]\nport = CANARY\n", 2, ""),
        ("[[grants]]\nprincipal = \"a\"\nissuer = \"b\"\nscopes = [\"x\"]\nmax_ttl = \"CANARY\"\n", 5, "max_ttl"),
    ] {
        let home = Home::new(text);
        let ran = home.line("daemon");
        assert_eq!(ran.code(), 1, "{text}: {}", ran.err());
        assert!(ran.err().contains(&format!("config.toml:{line}:")), "{text}: {}", ran.err());
        assert!(ran.err().contains(word) && !ran.err().contains("CANARY"), "{text}: {}", ran.err());
    }
}

#[test]
fn a_client_starts_the_daemon_unless_told_not_to() {
    let mut home = Home::new(MEMORY);
    home.fails("status", 3, "daemon_unavailable");
    let all: Vec<_> = (0..6)
        .map(|_| {
            let mut command = home.command(["--json", "status"]);
            command.env("HALLPASS_AUTOSTART", "1").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    let mut pids = Vec::new();
    for child in all {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let status: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(status["started_by"], "client");
        pids.push(status["pid"].as_i64().unwrap());
    }
    pids.dedup();
    assert_eq!(pids.len(), 1, "all came to the same daemon");
    home.also_kill(i32::try_from(pids[0]).unwrap());

    let config = format!("{MEMORY}autostart = false\n");
    let other = Home::new(&config);
    let mut command = other.command(["status"]);
    command.env_remove("HALLPASS_AUTOSTART");
    assert_eq!(super::support::run(command, b"").code(), 3);
}

#[test]
fn a_client_starts_the_daemon_after_one_that_is_still_ending() {
    let mut home = Home::new(MEMORY);
    let run = home.path().join("run");
    fs::create_dir(&run).unwrap();
    fs::set_permissions(&run, fs::Permissions::from_mode(0o700)).unwrap();
    // As a daemon leaves it that has closed its socket and has not ended yet.
    let lock = fs::File::create(run.join("daemon.lock")).unwrap();
    fs::set_permissions(run.join("daemon.lock"), fs::Permissions::from_mode(0o600)).unwrap();
    lock.lock().unwrap();
    let mut command = home.command(["--json", "status"]);
    command.env("HALLPASS_AUTOSTART", "1").stdout(Stdio::piped()).stderr(Stdio::piped());
    let client = command.spawn().unwrap();
    let log = home.path().join("state/daemon.log");
    wait_until("one was started in vain", || fs::read_to_string(&log).is_ok_and(|text| text.contains("error:")));
    drop(lock);
    let output = client.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let status: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    home.also_kill(i32::try_from(status["pid"].as_i64().unwrap()).unwrap());
}

#[test]
fn a_folder_that_others_may_write_is_closed_to_them() {
    let mut home = Home::new(MEMORY);
    fs::create_dir(home.path().join("run")).unwrap();
    fs::set_permissions(home.path().join("run"), fs::Permissions::from_mode(0o777)).unwrap();
    home.start();
    assert_eq!(fs::metadata(home.path().join("run")).unwrap().permissions().mode() & 0o777, 0o700);
}
