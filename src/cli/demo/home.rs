//! The demo's throw-away home and its daemon; both are gone when this is dropped.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use super::{KEY_ENV, ROUTE, SCOPE, URL_ENV, cannot, check_stopped};
use crate::{
    client::{Client, last_log_line},
    error::{Error, Result},
    paths::Paths,
};

/// How long the daemon may take to start and to stop.
const PATIENCE: Duration = Duration::from_secs(10);

/// A folder of its own under /tmp, short enough for a socket's path.
pub struct Home {
    path: PathBuf,
    paths: Paths,
    daemon: Option<Child>,
    keep: bool,
}

impl Home {
    /// Makes it.
    ///
    /// # Errors
    /// There is no place for it.
    pub fn create(keep: bool) -> Result<Self> {
        let random = crate::sys::random::<6>().map_err(|e| cannot("randomness", &e))?;
        let name: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let path = Path::new("/tmp").join(format!("hallpass-demo-{name}"));
        // create fails where something is there already, so this folder is nobody else's.
        fs::DirBuilder::new().create(&path).map_err(|e| cannot("a folder under /tmp", &e))?;
        let home = Self { paths: Paths::under(&path, None), path, daemon: None, keep };
        crate::sys::private_dir(&home.path.join("run")).or_else(|_| mend(&home.path))?;
        Ok(home)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The paths in it.
    pub fn paths(&self) -> &Paths {
        &self.paths
    }

    /// A connection to its daemon.
    ///
    /// # Errors
    /// The daemon is gone.
    pub fn client(&self) -> Result<Client> {
        Client::connect(&self.paths, false)
    }

    /// The environment of everything the demo runs: this home, and nothing that points elsewhere.
    pub fn environment(&self, command: &mut Command) {
        command.env("HALLPASS_HOME", &self.path).env("HALLPASS_AUTOSTART", "0").env_remove("HALLPASS_SOCKET");
        command.env_remove("HALLPASS_TASK").current_dir(&self.path);
    }

    /// Writes a config with a route to `upstream`, starts the daemon and waits until it answers.
    ///
    /// # Errors
    /// It does not start.
    pub fn start_daemon(&mut self, upstream: &str) -> Result<()> {
        fs::write(self.paths.config(), config(upstream)).map_err(|e| cannot("to write its config", &e))?;
        let log = crate::sys::private_file(&self.path.join("daemon.log"), true).map_err(|e| cannot("a log", &e))?;
        let program = std::env::current_exe().map_err(|e| cannot("this program's own path", &e))?;
        let mut command = Command::new(program);
        command.args(["daemon", "--started-by", "foreground"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.environment(&mut command);
        // Ctrl-C is for the demo, which then stops the daemon.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        self.daemon = Some(command.spawn().map_err(|e| cannot("a daemon", &e))?);
        let until = Instant::now() + PATIENCE;
        loop {
            check_stopped()?;
            if self.client().and_then(|mut c| c.get::<crate::api::Pong>("/v1/ping")).is_ok() {
                return Ok(());
            }
            let ended = self.daemon.as_mut().is_some_and(|daemon| !matches!(daemon.try_wait(), Ok(None)));
            if ended || Instant::now() >= until {
                let why = last_log_line(&self.path.join("daemon.log")).unwrap_or_else(|| "it said nothing".into());
                return Err(Error::internal(format!("the demo's daemon did not start: {why}")));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Searches every file of the home for these bytes: how many files, and whether none has them.
    pub fn search_for(&self, bytes: &[u8]) -> (usize, bool) {
        let (mut searched, mut clean, mut folders) = (0, true, vec![self.path.clone()]);
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                let Ok(kind) = entry.file_type() else { continue };
                if kind.is_dir() {
                    folders.push(entry.path());
                } else if kind.is_file()
                    && let Ok(content) = fs::read(entry.path())
                {
                    searched += 1;
                    clean &= !content.windows(bytes.len()).any(|part| part == bytes);
                }
            }
        }
        (searched, clean)
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            let pid = i32::try_from(daemon.id()).ok().and_then(rustix::process::Pid::from_raw);
            let asked =
                pid.is_some_and(|pid| rustix::process::kill_process(pid, rustix::process::Signal::TERM).is_ok());
            let until = Instant::now() + PATIENCE;
            while asked && Instant::now() < until && matches!(daemon.try_wait(), Ok(None)) {
                std::thread::sleep(Duration::from_millis(5));
            }
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
        if !self.keep {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

fn mend(path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(crate::paths::DIR_MODE))
        .map_err(|e| cannot("a private folder", &e))
}

fn config(upstream: &str) -> String {
    format!(
        r#"[store]
kind = "memory"

[daemon]
headless_human = true

[[routes]]
name = "{ROUTE}"
base_url = "{upstream}"
source = "the demo's own upstream"
auth = {{ kind = "bearer" }}
key_env = ["{KEY_ENV}"]
base_url_env = [{{ name = "{URL_ENV}" }}]
allow_private = true

[[routes.scope]]
name = "{SCOPE}"
description = "read notes"
allow = ["GET /notes"]
example = ["GET /notes"]
counter = ["DELETE /notes/1"]
"#
    )
}
