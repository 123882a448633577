//! A daemon of its own for each test, in a home of its own, with nothing of the caller's environment.
//!
//! Every command runs in a session of its own without a terminal, so that a test run from a terminal
//! and one run by a CI machine see the same; [`terminal`](super::terminal) gives one to who needs it.

use std::{
    ffi::OsStr,
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

/// How long anything may take before a test fails.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A config with the memory store, in which the test counts as the human.
pub const MEMORY: &str = "[store]\nkind = \"memory\"\n\n[daemon]\nheadless_human = true\n";

/// A home with or without a daemon; the daemon is killed and the home removed on drop.
pub struct Home {
    path: PathBuf,
    daemon: Option<Child>,
    other: Option<i32>,
}

impl Home {
    /// An empty home with this config, under a path short enough for a socket.
    pub fn new(config: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = PathBuf::from(format!("/tmp/hp-it-{}-{number}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        let mut builder = fs::DirBuilder::new();
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700).create(&path).unwrap();
        fs::write(path.join("config.toml"), config).unwrap();
        Self { path, daemon: None, other: None }
    }

    /// A home with the memory store, in which the test counts as the human, and a running daemon.
    pub fn started() -> Self {
        let mut home = Self::new(MEMORY);
        home.start();
        home
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The API's socket.
    pub fn socket(&self) -> PathBuf {
        self.path.join("run/agent.sock")
    }

    /// The daemon's pid.
    pub fn pid(&self) -> Option<u32> {
        self.daemon.as_ref().map(Child::id)
    }

    /// Starts the daemon and waits until it answers.
    pub fn start(&mut self) {
        self.start_with(self.command(["daemon"]));
    }

    /// Starts the daemon by this command and waits until it answers.
    pub fn start_with(&mut self, mut command: Command) {
        let log = fs::File::options().append(true).create(true).open(self.path.join("daemon.log")).unwrap();
        self.daemon = Some(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap());
        wait_until("the daemon answers", || {
            let ended = self.daemon.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "the daemon ended: {}", fs::read_to_string(self.path.join("daemon.log")).unwrap());
            self.ping()
        });
    }

    /// Whether the daemon answers a ping.
    pub fn ping(&self) -> bool {
        super::wire::try_api(&self.socket(), "GET", "/v1/ping", b"").is_ok_and(|reply| reply.status == 200)
    }

    /// Sends the daemon a signal.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(i32::try_from(self.pid().unwrap()).unwrap()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Waits until the daemon has ended by itself; its exit code.
    pub fn ended(&mut self) -> Option<i32> {
        let mut daemon = self.daemon.take().unwrap();
        let mut status = None;
        wait_until("the daemon ends", || {
            status = daemon.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap().code()
    }

    /// Takes over a daemon that was started elsewhere.
    pub fn adopt(&mut self, daemon: Child) {
        self.daemon = Some(daemon);
    }

    /// Kills this process too on drop: a daemon that is no child of ours.
    pub fn also_kill(&mut self, pid: i32) {
        self.other = Some(pid);
    }

    /// Everything the daemon wrote to standard error.
    pub fn log(&self) -> String {
        fs::read_to_string(self.path.join("daemon.log")).unwrap_or_default()
    }

    /// Kills the daemon as `kill -9` does.
    pub fn kill(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
    }

    /// The real binary with these arguments, in this home, with nothing else in its environment.
    pub fn command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hallpass"));
        command.args(args).env_clear().current_dir(&self.path);
        command.env("PATH", "/usr/local/bin:/usr/bin:/bin").env("HOME", &self.path).env("LC_ALL", "C");
        command.env("HALLPASS_HOME", &self.path).env("HALLPASS_AUTOSTART", "0");
        own_session(&mut command);
        command
    }

    /// Runs it with this standard input.
    pub fn run<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>, input: &str) -> Ran {
        run(self.command(args), input.as_bytes())
    }

    /// Runs it and expects exit code 0; its standard output.
    pub fn ok<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> String {
        self.run(args, "").ok()
    }

    /// Runs a command line, cut at spaces.
    pub fn line(&self, line: &str) -> Ran {
        self.run(line.split_whitespace(), "")
    }

    /// Runs a command line that must work; its standard output.
    pub fn does(&self, line: &str) -> String {
        let ran = self.line(line);
        assert_eq!(ran.code(), 0, "hallpass {line}\nout: {}\nerr: {}", ran.out(), ran.err());
        ran.ok()
    }

    /// Runs a command line that must work; its answer as JSON.
    pub fn json(&self, line: &str) -> serde_json::Value {
        serde_json::from_str(&self.does(&format!("--json {line}"))).unwrap()
    }

    /// Runs a command line that must end with this exit code and this error code; the problem document.
    pub fn fails(&self, line: &str, exit: i32, code: &str) -> serde_json::Value {
        let ran = self.line(&format!("--json {line}"));
        assert_eq!(ran.code(), exit, "hallpass {line}\nout: {}\nerr: {}", ran.out(), ran.err());
        let problem: serde_json::Value = serde_json::from_str(&ran.err()).unwrap_or_else(|_| panic!("{}", ran.err()));
        assert_eq!(problem["code"], code, "hallpass {line}: {problem}");
        problem
    }

    /// Runs a command as a person would who pastes it into a shell; it must work.
    pub fn pasted(&self, text: &str) {
        let plain = self.command(["x"]);
        let mut shell = Command::new("/bin/sh");
        shell.arg("-c").arg(format!("hallpass() {{ {} \"$@\"; }}; {text}", env!("CARGO_BIN_EXE_hallpass")));
        shell.env_clear().envs(plain.get_envs().filter_map(|(n, v)| Some((n, v?)))).current_dir(&self.path);
        own_session(&mut shell);
        let ran = run(shell, b"");
        assert_eq!(ran.code(), 0, "{text}\n{}{}", ran.out(), ran.err());
    }

    /// One API request over the socket.
    pub fn api(&self, method: &str, path: &str, body: &str) -> super::wire::Reply {
        super::wire::try_api(&self.socket(), method, path, body.as_bytes()).unwrap()
    }

    /// The gateway's TCP port.
    pub fn port(&self) -> u16 {
        let reply = self.api("GET", "/v1/status", "").json();
        let url = reply["gateway"]["url"].as_str().unwrap_or_else(|| panic!("no gateway: {reply}")).to_owned();
        url.rsplit(':').next().unwrap().parse().unwrap()
    }

    /// One request at the gateway's TCP port, with the token as the bearer.
    pub fn through(&self, token: &str, request_line: &str, more: &str, body: &[u8]) -> super::wire::Reply {
        let port = self.port();
        let head = format!(
            "{request_line} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\n{more}Content-Length: {}\r\n\r\n",
            body.len()
        );
        super::wire::tcp(port, &[head.as_bytes(), body].concat()).unwrap()
    }

    /// Whether this token gets a request through to the upstream of the route `up`.
    pub fn works(&self, token: &str) -> bool {
        self.through(token, "GET /up/v1/things", "", b"").status == 200
    }

    /// Adds the route `up` to this upstream, its credential and an agent called `bot`.
    pub fn with_upstream(&self, upstream: &super::upstream::Upstream, key: &str) {
        self.does(&format!(
            "route add up http://127.0.0.1:{} --auth bearer --allow-private --key-env UP_KEY --base-url-env UP_BASE",
            upstream.port
        ));
        self.run(["credential", "add", "up"], key).ok();
        self.does("principal add bot --kind agent");
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        self.kill();
        if let Some(pid) = self.other.and_then(rustix::process::Pid::from_raw) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Takes the command out of the terminal and the session that the tests run in.
#[allow(unsafe_code)]
pub fn own_session(command: &mut Command) {
    use std::os::unix::process::CommandExt;
    // SAFETY: setsid(2) may be called between fork and exec.
    unsafe { command.pre_exec(|| rustix::process::setsid().map(|_| ()).map_err(Into::into)) };
}

/// Starts a command. A program that a test has just copied may still be open for writing in a process that another
/// test forked in that moment and that has not yet become its own program (ETXTBSY): that passes by itself.
fn spawn(command: &mut Command) -> Child {
    let mut started = None;
    wait_until("the program can be run", || match command.spawn() {
        Err(e) if e.kind() == std::io::ErrorKind::ExecutableFileBusy => false,
        other => {
            started = Some(other.unwrap());
            true
        }
    });
    started.unwrap()
}

/// Runs a command with this standard input.
pub fn run(mut command: Command, input: &[u8]) -> Ran {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = spawn(&mut command);
    let mut stdin = child.stdin.take().unwrap();
    let pid = rustix::process::Pid::from_child(&child);
    std::thread::scope(|scope| {
        let (done, ended) = std::sync::mpsc::channel::<()>();
        scope.spawn(move || {
            // One that never ends fails its test and not the whole run.
            if ended.recv_timeout(3 * PATIENCE) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        });
        // It may end without reading, and it may answer before it has read all.
        scope.spawn(move || {
            let _ = stdin.write_all(input);
        });
        let ran = Ran(child.wait_with_output().unwrap());
        drop(done);
        super::canary::note(&ran);
        ran
    })
}

/// What a command did.
pub struct Ran(pub Output);

impl Ran {
    /// Its exit code.
    pub fn code(&self) -> i32 {
        self.0.status.code().unwrap_or(-1)
    }

    /// Its standard output.
    pub fn out(&self) -> String {
        String::from_utf8_lossy(&self.0.stdout).into_owned()
    }

    /// Its standard error.
    pub fn err(&self) -> String {
        String::from_utf8_lossy(&self.0.stderr).into_owned()
    }

    /// Expects exit code 0; its standard output without the last line end.
    pub fn ok(&self) -> String {
        assert_eq!(self.code(), 0, "out: {}\nerr: {}", self.out(), self.err());
        self.out().trim_end().to_owned()
    }
}

/// Waits for a condition; fails the test when it does not come.
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < until, "waited in vain: {what}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

/// A random part for keys and names.
pub fn random() -> String {
    hallpass::sys::random::<16>().unwrap().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What looks like a real key, made at run time and not the same twice; see [`super::canary`].
pub fn key() -> String {
    let key = ["sk-", "live-", &random(), "/+", &random()[..6]].concat();
    super::canary::watch(&key);
    key
}

/// Says visibly that a test did not run.
pub fn skipped(why: &str) {
    use std::io::Write;
    let name = std::thread::current().name().unwrap_or_default().to_owned();
    // Past the test harness, which keeps what is printed of a test that passes.
    let _ = writeln!(std::io::stderr(), "skipped: {name}: {why}");
}

/// Whether the tests that take long run too.
pub fn slow() -> bool {
    std::env::var_os("HALLPASS_TEST_SLOW").is_some_and(|value| value == "1")
}
