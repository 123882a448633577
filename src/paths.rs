//! Every path and mode that hallpass uses.
//!
//! Owns where things are. `HALLPASS_HOME` puts everything under one folder (tests, the demo);
//! otherwise config, data and state are where the platform wants them. The socket is found without
//! any variable at all, because assistants scrub their children's environment (DESIGN section 5).

use std::path::{Path, PathBuf};

use crate::api::problem::Code;
use crate::error::{Error, Result};

/// The mode of every folder of ours.
pub const DIR_MODE: u32 = 0o700;
/// The mode of every file of ours.
pub const FILE_MODE: u32 = 0o600;

/// Where everything is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    /// The config folder; `config.toml` is in it.
    pub config_dir: PathBuf,
    /// The data folder; the `file` store is in it.
    pub data_dir: PathBuf,
    /// The state folder; the database, the lock, the log and the audit streams are in it.
    pub state_dir: PathBuf,
    /// The folder of the sockets.
    pub runtime_dir: PathBuf,
    /// `$HALLPASS_SOCKET`, which wins over `runtime_dir`.
    pub socket_override: Option<PathBuf>,
}

impl Paths {
    /// Finds them from the environment and the user database.
    pub fn find() -> Result<Self> {
        let var = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
        for name in ["HALLPASS_HOME", "HALLPASS_SOCKET"] {
            if var(name).is_some_and(|path| path.is_relative()) {
                return Err(Error::new(
                    Code::Usage,
                    format!("{name} is a relative path, and means another place in each folder"),
                )
                .hint(format!("export {name} as a path that begins with /")));
            }
        }
        let socket_override = var("HALLPASS_SOCKET");
        if let Some(home) = var("HALLPASS_HOME") {
            return Ok(Self::under(&home, socket_override));
        }
        let home = crate::sys::home().ok_or_else(|| {
            Error::new(Code::Io, "hallpass cannot find your home folder")
                .hint("set HOME, or HALLPASS_HOME to a folder for everything of hallpass")
        })?;
        Ok(Self::for_user(&home, crate::sys::uid(), socket_override))
    }

    /// Everything under one folder.
    pub fn under(home: &Path, socket_override: Option<PathBuf>) -> Self {
        Self {
            config_dir: home.to_path_buf(),
            data_dir: home.join("data"),
            state_dir: home.join("state"),
            runtime_dir: home.join("run"),
            socket_override,
        }
    }

    fn for_user(home: &Path, uid: u32, socket_override: Option<PathBuf>) -> Self {
        let platform = directories::ProjectDirs::from("", "", "hallpass");
        let config_dir =
            platform.as_ref().map_or_else(|| home.join(".config/hallpass"), |dirs| dirs.config_dir().to_path_buf());
        let data_dir =
            platform.as_ref().map_or_else(|| home.join(".local/share/hallpass"), |dirs| dirs.data_dir().to_path_buf());
        // The socket may be below the state folder, so no variable may move it.
        let state_dir = if cfg!(target_os = "macos") {
            home.join("Library/Application Support/hallpass")
        } else {
            home.join(".local/state/hallpass")
        };
        let run_user = PathBuf::from(format!("/run/user/{uid}"));
        let runtime_dir =
            if crate::sys::is_own_dir(&run_user, uid) { run_user.join("hallpass") } else { state_dir.clone() };
        Self { config_dir, data_dir, state_dir, runtime_dir, socket_override }
    }

    /// The key of this machine's fingerprints of secrets: 32 random bytes.
    pub fn fingerprint_key(&self) -> PathBuf {
        self.state_dir.join("fingerprint.key")
    }

    /// Whether `HALLPASS_HOME` has put everything under one folder.
    pub fn is_one_folder(&self) -> bool {
        self.data_dir.parent() == Some(&self.config_dir)
    }

    /// What the shell hooks show: one line each.
    pub fn notices(&self) -> PathBuf {
        self.state_dir.join("notices")
    }

    /// What is handed on from one agent to another: a file for each lease.
    pub fn handed(&self) -> PathBuf {
        self.runtime_dir.join("leases")
    }

    /// The folders in which the shell hooks ask for variables: a folder, a tab and a mark on each line.
    pub fn references(&self) -> PathBuf {
        self.state_dir.join("references")
    }

    /// Which decoy belongs to which file: one JSON object on each line.
    pub fn decoys(&self) -> PathBuf {
        self.state_dir.join("decoys")
    }

    /// The config file.
    pub fn config(&self) -> PathBuf {
        self.config_dir.join("config.toml")
    }

    /// The API's socket.
    pub fn socket(&self) -> PathBuf {
        self.socket_override.clone().unwrap_or_else(|| self.runtime_dir.join("agent.sock"))
    }

    /// The gateway's socket, beside the API's.
    pub fn gateway_socket(&self) -> PathBuf {
        self.socket().with_file_name("gateway.sock")
    }

    /// The lock that makes a daemon the only one on its socket.
    pub fn lock(&self) -> PathBuf {
        self.socket().with_file_name("daemon.lock")
    }

    /// The folder of the rendered files, beside the sockets.
    pub fn rendered_dir(&self) -> PathBuf {
        self.socket().with_file_name("rendered")
    }

    /// A rendered file. The path depends on the name alone, so it can be written into a tool's config.
    pub fn rendered(&self, name: &str) -> PathBuf {
        self.rendered_dir().join(name)
    }

    /// The state database.
    pub fn database(&self) -> PathBuf {
        self.state_dir.join("state.db")
    }

    /// The folder of the audit streams.
    pub fn audit_dir(&self) -> PathBuf {
        self.state_dir.join("audit")
    }

    /// What a daemon that a client started writes to.
    pub fn log(&self) -> PathBuf {
        self.state_dir.join("daemon.log")
    }

    /// The `file` store.
    pub fn store_file(&self) -> PathBuf {
        self.data_dir.join("credentials.age")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_folder_holds_everything_and_the_socket_can_be_named() {
        let paths = Paths::under(Path::new("/h"), None);
        assert_eq!(paths.socket(), Path::new("/h/run/agent.sock"));
        let paths = Paths::under(Path::new("/h"), Some("/s/a.sock".into()));
        assert_eq!(paths.gateway_socket(), Path::new("/s/gateway.sock"));
        assert_eq!(paths.lock(), Path::new("/s/daemon.lock"));
        assert_eq!(paths.rendered("npm"), Path::new("/s/rendered/npm"));
    }
}
