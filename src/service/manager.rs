//! The service manager: is it there, and what to tell it.
//!
//! Owns the commands. A command that hangs is given up after a while.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// Who runs services here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Manager {
    /// `systemd --user`.
    Systemd,
    /// launchd. What is here for it was never run: it cannot be on the Linux machines we test on.
    Launchd,
}

const LABEL: &str = "com.hallpass.agent";
/// How long one command may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// One command: the program and its arguments.
type Words = Vec<String>;

impl Manager {
    /// What enables and starts the service.
    pub(super) fn start_commands(self, dir: &Path) -> Vec<Words> {
        match self {
            Self::Systemd => vec![
                words("systemctl --user daemon-reload"),
                words("systemctl --user enable hallpass.service hallpass.socket hallpass-gateway.socket"),
                words("systemctl --user start hallpass.socket hallpass-gateway.socket"),
            ],
            Self::Launchd => {
                let mut command = words(&format!("launchctl bootstrap gui/{}", crate::sys::uid()));
                command.push(dir.join(format!("{LABEL}.plist")).display().to_string());
                vec![command]
            }
        }
    }

    /// What stops and disables it, before its files go.
    pub(super) fn stop_commands(self, _dir: &Path) -> Vec<Words> {
        match self {
            Self::Systemd => {
                vec![words("systemctl --user disable --now hallpass.socket hallpass-gateway.socket hallpass.service")]
            }
            Self::Launchd => vec![words(&format!("launchctl bootout gui/{}/{LABEL}", crate::sys::uid()))],
        }
    }

    /// What makes the manager forget the files.
    pub(super) fn after_commands(self) -> Vec<Words> {
        match self {
            Self::Systemd => vec![words("systemctl --user daemon-reload")],
            Self::Launchd => Vec::new(),
        }
    }
}

/// The manager of this login session, or why there is none.
#[derive(Debug)]
pub(super) struct Session(Result<PathBuf, &'static str>);

impl Session {
    /// Looks for the program and for the manager itself.
    pub(super) fn find(manager: Manager) -> Self {
        let (program, there) = match manager {
            Manager::Systemd => {
                let private = format!("/run/user/{}/systemd/private", crate::sys::uid());
                ("systemctl", Path::new(&private).exists())
            }
            Manager::Launchd => ("launchctl", true),
        };
        Self(match find(program) {
            None => Err("there is no service manager on this machine; the commands are for when there is"),
            Some(_) if !there => Err("no user manager runs in this session; run the commands after you log in"),
            Some(program) => Ok(program),
        })
    }

    /// No manager at all.
    #[cfg(test)]
    pub(super) fn none() -> Self {
        Self(Err("none"))
    }

    /// A program of the test's in the manager's place.
    #[cfg(test)]
    pub(super) fn with(program: &Path) -> Self {
        Self(Ok(program.into()))
    }

    pub(super) fn runs(&self) -> bool {
        self.0.is_ok()
    }

    /// Why commands were not run.
    pub(super) fn why_not(&self) -> &'static str {
        self.0.as_ref().err().copied().unwrap_or("a command did not work; run it to see why")
    }

    /// Runs the commands in order; after the first that fails, the rest is left to the user.
    pub(super) fn run(&self, commands: &[Words]) -> (Vec<String>, Vec<String>) {
        let works = |command: &&Words| {
            let Ok(program) = &self.0 else { return false };
            output(Command::new(program).args(command.iter().skip(1))).is_some_and(|(ok, _)| ok)
        };
        let done = commands.iter().take_while(works).count();
        let shown: Vec<String> = commands.iter().map(|command| shell(command)).collect();
        let (ran, left) = shown.split_at_checked(done).unwrap_or((&[], &shown));
        (ran.to_vec(), left.to_vec())
    }

    /// What the manager says of a unit.
    pub(super) fn active(&self, unit: &str) -> Option<String> {
        let program = self.0.as_ref().ok()?;
        let mut command = Command::new(program);
        if unit.ends_with(".plist") {
            command.args(["print", &format!("gui/{}/{LABEL}", crate::sys::uid())]);
            return output(&mut command).map(|(ok, _)| if ok { "active".into() } else { "inactive".into() });
        }
        let (_, text) = output(command.args(["--user", "is-active", unit]))?;
        let word: String = text.trim().chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(32).collect();
        (!word.is_empty()).then_some(word)
    }
}

fn output(command: &mut Command) -> Option<(bool, String)> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().ok()?;
    let status = wait(&mut child)?;
    let mut text = String::new();
    if let Some(out) = child.stdout.take() {
        let _ = std::io::Read::read_to_string(&mut std::io::Read::take(out, 4096), &mut text);
    }
    Some((status, text))
}

fn wait(child: &mut Child) -> Option<bool> {
    let end = Instant::now() + PATIENCE;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status.success()),
            Ok(None) if Instant::now() < end => std::thread::sleep(Duration::from_millis(10)),
            _ => {
                let _ = child.kill();
                let _ = child.wait();
                return None;
            }
        }
    }
}

fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(program)).find(|file| file.is_absolute() && file.is_file())
}

fn words(text: &str) -> Words {
    text.split(' ').map(str::to_owned).collect()
}

fn shell(command: &[String]) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@=".contains(c);
    let quoted = |word: &String| {
        if word.chars().all(plain) { word.clone() } else { format!("'{}'", word.replace('\'', "'\\''")) }
    };
    command.iter().map(quoted).collect::<Vec<_>>().join(" ")
}
