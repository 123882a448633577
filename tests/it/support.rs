//! A daemon of its own for each test, in a home of its own, with nothing of the caller's environment.

#![allow(dead_code, reason = "each test uses a part of it")]

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

/// A home with or without a daemon; the daemon is killed and the home removed on drop.
pub struct Home {
    path: PathBuf,
    daemon: Option<Child>,
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
        Self { path, daemon: None }
    }

    /// A home with the memory store, in which the test counts as the human, and a running daemon.
    pub fn started() -> Self {
        let mut home = Self::new("[store]\nkind = \"memory\"\n\n[daemon]\nheadless_human = true\n");
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
        let log = fs::File::create(self.path.join("daemon.log")).unwrap();
        let mut command = self.command(["daemon"]);
        self.daemon = Some(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap());
        wait_until("the daemon answers", || {
            let ended = self.daemon.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "the daemon ended: {}", fs::read_to_string(self.path.join("daemon.log")).unwrap());
            std::os::unix::net::UnixStream::connect(self.socket()).is_ok()
        });
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
        command
    }

    /// Runs it with this standard input.
    pub fn run<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>, input: &str) -> Ran {
        let mut command = self.command(args);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // It may end without reading.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        Ran(child.wait_with_output().unwrap())
    }

    /// Runs it and expects exit code 0; its standard output.
    pub fn ok<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> String {
        self.run(args, "").ok()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        self.kill();
        let _ = fs::remove_dir_all(&self.path);
    }
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
        std::thread::sleep(Duration::from_millis(5));
    }
}
