//! Faults: hostile clients, exhausted limits, a full disk, kill -9. A clear error, nothing lost, and
//! it recovers by itself (promise 9).

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    os::unix::{
        fs::{DirBuilderExt, PermissionsExt},
        net::UnixStream,
    },
    process::Command,
    time::{Duration, Instant},
};

use age::secrecy::ExposeSecret;
use rustix::process::{Pid, Resource, Rlimit, prlimit};

use super::{
    support::{Home, key, own_session, slow, wait_until},
    upstream::Upstream,
    wire,
};

/// A home with the file store, opened by an identity file.
pub fn with_file_store() -> Home {
    let home = Home::new("");
    let identity = home.path().join("identity.txt");
    let text = age::x25519::Identity::generate().to_string();
    fs::write(&identity, format!("{}\n", text.expose_secret())).unwrap();
    fs::set_permissions(&identity, fs::Permissions::from_mode(0o600)).unwrap();
    let config =
        format!("[store]\nkind = \"file\"\nidentity = \"{}\"\n\n[daemon]\nheadless_human = true\n", identity.display());
    fs::write(home.path().join("config.toml"), config).unwrap();
    home
}

/// A home whose daemon is started by this shell command, in which `$0` is the binary.
pub fn started_by(home: &mut Home, script: &str) {
    let plain = home.command(["daemon"]);
    let mut command = Command::new("/bin/sh");
    command.arg("-c").arg(script).arg(plain.get_program());
    command.env_clear().envs(plain.get_envs().filter_map(|(n, v)| Some((n, v?)))).current_dir(home.path());
    own_session(&mut command);
    home.start_with(command);
}

fn pid(home: &Home) -> Option<Pid> {
    Pid::from_raw(i32::try_from(home.pid().unwrap()).unwrap())
}

/// Three ways in: the API's socket, the gateway's socket, the gateway's port.
enum Way {
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl Way {
    fn all(home: &Home) -> Vec<(&'static str, Self)> {
        vec![
            ("agent.sock", Self::Unix(UnixStream::connect(home.socket()).unwrap())),
            ("gateway.sock", Self::Unix(UnixStream::connect(home.path().join("run/gateway.sock")).unwrap())),
            ("tcp", Self::Tcp(TcpStream::connect(("127.0.0.1", home.port())).unwrap())),
        ]
    }

    fn stream(&mut self) -> &mut dyn ReadWrite {
        match self {
            Self::Unix(stream) => stream,
            Self::Tcp(stream) => stream,
        }
    }

    fn patience(&self, time: Duration) {
        match self {
            Self::Unix(stream) => stream.set_read_timeout(Some(time)).unwrap(),
            Self::Tcp(stream) => stream.set_read_timeout(Some(time)).unwrap(),
        }
    }
}

trait ReadWrite: Read + Write {}
impl<T: Read + Write> ReadWrite for T {}

#[test]
fn malformed_requests_get_an_answer_or_are_closed() {
    let home = Home::started();
    let many = format!("GET /v1/ping HTTP/1.1\r\nHost: x\r\n{}\r\n", "A: b\r\n".repeat(5000));
    let long = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(200_000));
    let endless = "A".repeat(300_000);
    let big = format!("POST /v1/mint HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", u64::MAX);
    let cases: Vec<&[u8]> = vec![
        b"\r\n\r\n\r\n",
        b"\0\0\0\0\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
        many.as_bytes(),
        long.as_bytes(),
        endless.as_bytes(),
        big.as_bytes(),
    ];
    for (number, bytes) in cases.iter().enumerate() {
        for (name, mut way) in Way::all(&home) {
            way.patience(Duration::from_secs(20));
            let _ = way.stream().write_all(bytes);
            let reply = wire::read_reply(&mut way.stream()).unwrap_or_else(|e| panic!("case {number} on {name}: {e}"));
            assert!(reply.status == 0 || (400..500).contains(&reply.status), "case {number} on {name}: {reply:?}");
            assert!(home.ping(), "case {number} on {name}");
        }
    }
    assert!(!home.log().contains("panicked"), "{}", home.log());
}

#[test]
fn slow_and_never_ending_clients_are_closed_and_cost_nobody_else() {
    let home = Home::started();
    let starts: &[&[u8]] = &[
        b"",
        b"GET /v1/ping HT",
        b"POST /v1/mint HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{",
        b"POST /v1/mint HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
    ];
    let begun = Instant::now();
    let mut open: Vec<(String, Way, bool)> = Vec::new();
    for (number, start) in starts.iter().enumerate() {
        for (name, mut way) in Way::all(&home) {
            way.patience(Duration::from_secs(30));
            way.stream().write_all(start).unwrap();
            open.push((format!("{number} on {name}"), way, start.is_empty()));
        }
    }
    let one = Instant::now();
    assert!(home.ping());
    assert!(one.elapsed() < Duration::from_secs(2), "{:?}", one.elapsed());
    for (name, mut way, idle) in open {
        // One that sent nothing costs nothing and may stay; the others must not.
        if !idle {
            let reply = wire::read_reply(&mut way.stream()).unwrap_or_else(|e| panic!("{name} is still open: {e}"));
            assert!(reply.status == 0 || (400..500).contains(&reply.status), "{name}: {reply:?}");
        }
    }
    assert!(begun.elapsed() < Duration::from_secs(25), "{:?}", begun.elapsed());
}

#[test]
fn two_hundred_clients_at_once() {
    let home = Home::started();
    home.run(["credential", "add", "openai"], &key()).ok();
    home.does("principal add bot --kind agent");
    home.does("grant add bot openai:chat");
    let all = std::thread::scope(|scope| {
        let mint =
            || home.api("POST", "/v1/mint", r#"{"what":{"issuer":"openai","scopes":["chat"]},"as":"bot"}"#).status;
        let all: Vec<_> = (0..200).map(|_| scope.spawn(mint)).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect::<Vec<_>>()
    });
    assert!(all.iter().all(|status| *status == 200), "{all:?}");
    home.does("audit verify");
}

#[test]
fn thousands_of_open_connections() {
    let mine = usize::try_from(hallpass::sys::raise_file_limit()).unwrap_or(256);
    let home = Home::started();
    // The API has 60 % of the descriptors, two for each connection; the gateway's two ways in have the rest.
    let limit = (mine - 64) * 60 / 100 / 2;
    let wanted = 5000.min(limit - 100).min(mine / 2);
    let mut open: Vec<_> = (0..wanted).map(|_| UnixStream::connect(home.socket()).unwrap()).collect();
    let one = Instant::now();
    wait_until("it answers with thousands open", || home.ping());
    assert!(one.elapsed() < Duration::from_secs(10), "{wanted} of {limit}: {:?}", one.elapsed());
    // Above its limit new clients wait in the kernel's queue, and the gateway is not touched.
    if limit < mine / 2 {
        open.extend((0..50).map(|_| UnixStream::connect(home.socket()).unwrap()));
        let gateway = home.path().join("run/gateway.sock");
        let reply = wire::unix(&gateway, b"GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        assert_ne!(reply.status, 0);
    }
    drop(open);
    wait_until("they are gone", || {
        home.api("GET", "/v1/status", "").json()["connections"]["open"].as_u64().unwrap() < 20
    });
    assert!(home.ping());
}

#[test]
fn at_the_limit_of_file_descriptors_it_waits_and_recovers() {
    let mut home = Home::new(super::support::MEMORY);
    started_by(&mut home, "ulimit -n 128; exec \"$0\" daemon");
    let port = home.port();
    let mut open = Vec::new();
    for _ in 0..300 {
        if let Ok(stream) = UnixStream::connect(home.socket()) {
            open.push(Way::Unix(stream));
        }
        if let Ok(stream) = TcpStream::connect_timeout(&([127, 0, 0, 1], port).into(), Duration::from_secs(2)) {
            open.push(Way::Tcp(stream));
        }
    }
    // While it is full the daemon must not burn a processor.
    let ticks = |home: &Home| -> u64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", home.pid().unwrap())).unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    };
    let before = ticks(&home);
    std::thread::park_timeout(Duration::from_secs(1));
    let used = ticks(&home) - before;
    assert!(used < 30, "{used} of 100 ticks in a second while full");
    drop(open);
    wait_until("it answers again", || home.ping());
    home.json("status");
}

#[test]
fn nothing_is_handed_out_while_the_disk_is_full() {
    let mut home = with_file_store();
    // Without this the kernel ends a process that writes past its limit; a full disk gives an error.
    started_by(&mut home, "trap '' XFSZ; exec \"$0\" daemon");
    let upstream = Upstream::start();
    home.with_upstream(&upstream, &key());
    home.does("grant add bot up:read");
    let before = home.does("mint up:read --as bot");
    assert!(home.works(&before));
    let leases = home.json("lease list --all")["items"].as_array().unwrap().len();

    let full = Rlimit { current: Some(0), maximum: None };
    let old = prlimit(pid(&home), Resource::Fsize, full).unwrap();
    let problem = home.fails("mint up:read --as bot", 1, "state_unwritable");
    assert!(problem["hint"].is_string(), "{problem}");
    // The line of a request is written when its answer is known: the first one that cannot be written
    // is kept in memory, and nothing is forwarded after it.
    home.works(&before);
    let sent = upstream.count();
    let reply = home.through(&before, "GET /up/v1/things", "", b"");
    assert_eq!((reply.status, reply.code().as_str()), (507, "state_unwritable"), "{}", reply.text());
    assert_eq!(upstream.count(), sent, "what cannot be recorded is not forwarded");
    let ran = home.run(["--json", "credential", "add", "openai"], &key());
    assert_ne!(ran.code(), 0);
    home.fails("principal add late --kind agent", 1, "state_unwritable");
    home.fails("task start late --as bot", 1, "state_unwritable");
    assert!(home.ping() && home.line("status").code() == 0, "it says how it is");

    prlimit(pid(&home), Resource::Fsize, old).unwrap();
    wait_until("it recovers by itself", || home.line("mint up:read --as bot").code() == 0);
    assert!(home.works(&before), "what was there still works");
    assert!(home.json("lease list --all")["items"].as_array().unwrap().len() > leases);
    home.does("audit verify");
    for event in ["principal.add", "task.start"] {
        let lines = home.does(&format!("--json audit query --event {event}"));
        assert!(!lines.contains("late"), "on record as done, and it was not: {lines}");
    }
    let lines = home.does("--json audit query --event gateway.request");
    let allowed = lines.lines().filter(|line| line.contains("\"status\":200")).count();
    assert_eq!(allowed, upstream.count(), "each request that was forwarded is on record: {lines}");
    home.kill();
    home.start();
    assert!(home.works(&before));
    home.does("audit verify");
}

#[test]
fn a_locked_store_is_a_state_and_not_a_hang() {
    let mut home = with_file_store();
    home.start();
    let upstream = Upstream::start();
    home.with_upstream(&upstream, &key());
    home.does("grant add bot up:read");
    let token = home.does("mint up:read --as bot");
    assert!(home.works(&token));
    home.does("lock");
    let reply = home.through(&token, "GET /up/v1/things", "", b"");
    assert_eq!((reply.status, reply.code().as_str()), (423, "store_locked"));
    assert!(reply.text().contains("hallpass unlock"), "{}", reply.text());
    assert_eq!(home.json("status")["store"]["state"], "locked");
    assert_eq!(upstream.count(), 1);
    home.does("unlock");
    assert!(home.works(&token));
}

#[test]
fn kill_9_at_any_moment_loses_nothing_and_revives_nothing() {
    let rounds = if slow() { 100 } else { 12 };
    let mut home = with_file_store();
    home.start();
    let upstream = Upstream::start();
    home.with_upstream(&upstream, &key());
    home.does("grant add bot up:read");
    for round in 0..rounds {
        let socket = home.socket();
        let stop = std::sync::atomic::AtomicBool::new(false);
        let (mut revoked, mut live) = (Vec::new(), Vec::new());
        std::thread::scope(|scope| {
            let work = || {
                let (mut revoked, mut live) = (Vec::new(), Vec::new());
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    let body = br#"{"what":{"issuer":"up","scopes":["read"]},"as":"bot"}"#;
                    let Ok(reply) = wire::try_api(&socket, "POST", "/v1/mint", body) else { break };
                    if reply.status != 200 {
                        assert!([0, 503].contains(&reply.status), "{}", reply.text());
                        break;
                    }
                    let minted = reply.json();
                    let token = minted["access_token"].as_str().unwrap().to_owned();
                    if live.len() > revoked.len() {
                        let path = format!("/v1/leases/{}/revoke", minted["lease"].as_str().unwrap());
                        match wire::try_api(&socket, "POST", &path, b"") {
                            Ok(reply) if reply.status == 200 => revoked.push(token),
                            _ => break,
                        }
                    } else {
                        live.push(token);
                    }
                }
                (revoked, live)
            };
            let all: Vec<_> = (0..8).map(|_| scope.spawn(work)).collect();
            // A different moment each time; random, so that no step is always spared.
            let ms = 5 + u64::from(hallpass::sys::random::<1>().unwrap()[0]) / 3;
            std::thread::park_timeout(Duration::from_millis(ms));
            home.kill();
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
            for one in all {
                let (r, l) = one.join().unwrap();
                revoked.extend(r);
                live.extend(l);
            }
        });
        home.start();
        for token in revoked.iter().take(5) {
            assert!(!home.works(token), "round {round}: a revoked token lives");
        }
        for token in live.iter().take(5) {
            assert!(home.works(token), "round {round}: a token that was handed out is lost");
        }
        let ran = home.line("audit verify");
        assert_eq!(ran.code(), 0, "round {round}: {}{}", ran.out(), ran.err());
    }
}

#[test]
fn a_damaged_database_is_told_and_not_overwritten() {
    let mut home = Home::started();
    home.does("principal add bot --kind agent");
    home.kill();
    let path = home.path().join("state/state.db");
    for name in ["state.db-wal", "state.db-shm"] {
        let _ = fs::remove_file(home.path().join("state").join(name));
    }
    let garbage = vec![0x5a; 8192];
    fs::write(&path, &garbage).unwrap();
    let ran = home.line("daemon");
    assert_ne!(ran.code(), 0);
    assert!(ran.err().contains("state.db"), "{}", ran.err());
    assert_eq!(fs::read(&path).unwrap(), garbage, "what may still be mended is left alone");
}

#[test]
fn a_read_only_home_is_told_and_nothing_hangs() {
    let home = Home::new(super::support::MEMORY);
    let plain = home.command(["daemon"]);
    let mut command = Command::new("unshare");
    let script = "mount --bind \"$1\" \"$1\" && mount -o remount,bind,ro \"$1\" && echo mounted && exec \"$0\" daemon";
    command.args(["-rm", "/bin/sh", "-c", script]).arg(plain.get_program()).arg(home.path());
    command.env_clear().envs(plain.get_envs().filter_map(|(n, v)| Some((n, v?)))).current_dir("/");
    own_session(&mut command);
    if Command::new("unshare").arg("--version").output().is_err() {
        return super::support::skipped("unshare is not installed");
    }
    let ran = super::support::run(command, b"");
    if !ran.out().contains("mounted") {
        return super::support::skipped("this machine lets nobody mount in a namespace");
    }
    assert_eq!(ran.code(), 1, "{}", ran.err());
    assert!(ran.err().to_lowercase().contains("read-only") && ran.err().contains("hint"), "{}", ran.err());
}

#[test]
fn a_port_that_is_taken_is_told_and_nothing_hangs() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let mut home = Home::new(&format!("{}\n[gateway]\nport = {port}\n", super::support::MEMORY));
    home.start();
    let status = home.json("status");
    assert!(status["gateway"]["error"].as_str().unwrap().contains(&port.to_string()), "{status}");
    assert_eq!(status["gateway"]["url"], serde_json::Value::Null);
    drop(taken);
    wait_until("the port is taken once it is free", || home.json("status")["gateway"]["url"].is_string());
    assert_eq!(home.json("status")["gateway"]["error"], serde_json::Value::Null);
}

#[test]
fn two_daemons_on_one_state_folder_are_told_apart_and_a_relative_place_is_none() {
    let home = Home::started();
    let other = std::path::PathBuf::from(format!("{}-other", home.path().display()));
    fs::DirBuilder::new().mode(0o700).create(&other).unwrap();
    let mut second = home.command(["daemon"]);
    second.env("HALLPASS_SOCKET", other.join("agent.sock"));
    let ran = super::support::run(second, b"");
    fs::remove_dir_all(&other).unwrap();
    assert_ne!(ran.code(), 0);
    assert!(ran.err().contains("another daemon on another socket has this state folder"), "{}", ran.err());
    for name in ["HALLPASS_SOCKET", "HALLPASS_HOME"] {
        let mut command = home.command(["status"]);
        command.env(name, "here");
        let ran = super::support::run(command, b"");
        assert_eq!(ran.code(), 2);
        assert!(ran.err().contains(name) && ran.err().contains("relative"), "{}", ran.err());
    }
}

#[test]
fn a_daemon_that_is_stopped_is_told_soon_and_so_is_what_mends_it() {
    let home = Home::started();
    home.signal(rustix::process::Signal::STOP);
    let start = Instant::now();
    let (doctor, status) = (home.line("doctor"), home.line("status"));
    home.signal(rustix::process::Signal::CONT);
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    assert_eq!((doctor.code(), status.code()), (1, 3), "{}{}", doctor.out(), status.err());
    assert!(doctor.out().contains(&format!("kill -9 {}", home.pid().unwrap())), "{}", doctor.out());
    assert!(status.err().contains("did not answer"), "{}", status.err());
}
