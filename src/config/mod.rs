//! The config: issuers, grants, routes, rules and settings, as the daemon uses them.
//!
//! Owns what a valid config is. It holds no secret, and since somebody may still have pasted one into
//! it, no error repeats a value of the file: file, line, column and key are enough to find it.

pub mod assistants;
pub mod duration;
pub mod edit;
pub mod helping;
pub mod mcp;
mod minting;
pub(crate) mod place;
pub mod raw;
mod rendering;
mod watching;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{
    api::{
        credential::StoreKind,
        problem::Code,
        render::Render,
        watch::{Mode, Root},
    },
    error::{Error, Result},
    gateway::catalogue::Route,
    issuer::Native,
    paths::Paths,
    policy::Grant,
    principal::Rule,
};

/// The largest config file that is read, in bytes.
pub const MAX_FILE: u64 = 1024 * 1024;
/// The longest life of one token that a grant may give. Longer work mints again.
pub const MAX_TTL: Duration = Duration::from_secs(24 * 3600);
/// The longest life of one token under a grant that says nothing of it.
pub const DEFAULT_MAX_TTL: Duration = Duration::from_secs(3600);

/// A validated config.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where credentials rest.
    pub store: StoreConfig,
    /// The gateway's stable TCP port; chosen at the first start and written back.
    pub gateway_port: Option<u16>,
    /// Whether a client may start the daemon.
    pub autostart: bool,
    /// Whether a caller without a terminal, and with no assistant above it, counts as the human: for
    /// machines that nobody sits at. Approvals need a terminal all the same.
    pub headless_human: bool,
    /// How long a request for approval waits before it is denied.
    pub approval_timeout: Duration,
    /// Issuers by name; one for each credential that has a route.
    pub issuers: BTreeMap<String, Issuer>,
    /// All grants.
    pub grants: Vec<Grant>,
    /// Routes of the user's own; they win over built-in ones of the same name.
    pub routes: Vec<Route>,
    /// Rules that name assistants, on top of the built-in ones.
    pub assistants: Vec<Rule>,
    /// What each tool gets.
    pub helpers: Vec<helping::Helper>,
    /// Files that are kept filled.
    pub renders: Vec<Render>,
    /// Remote MCP servers by name.
    pub mcp: BTreeMap<String, mcp::Server>,
    /// What is watched.
    pub watch: Watching,
    /// What is allowed and probably not meant, such as a grant for an issuer that does not exist.
    pub warnings: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            store: StoreConfig::default(),
            gateway_port: None,
            autostart: true,
            headless_human: false,
            approval_timeout: Duration::from_secs(120),
            issuers: BTreeMap::new(),
            grants: Vec::new(),
            routes: Vec::new(),
            assistants: Vec::new(),
            helpers: Vec::new(),
            renders: Vec::new(),
            mcp: BTreeMap::new(),
            watch: Watching::default(),
            warnings: Vec::new(),
        }
    }
}

impl Config {
    /// Reads and checks the file; a missing one is a config of defaults.
    pub fn load(path: &Path) -> Result<Self> {
        match read_file(path, MAX_FILE)? {
            Some(text) => Self::parse(&text, path),
            None => Ok(Self::default()),
        }
    }

    /// Checks a config's text; `path` is for the errors and for paths that are relative to the file.
    pub fn parse(text: &str, path: &Path) -> Result<Self> {
        raw::parse(text, path)
    }
}

/// A path from the config: `~/` is the home folder, and a relative one is relative to the file.
fn resolve(text: &str, config: &Path) -> PathBuf {
    match text.strip_prefix("~/").and_then(|rest| crate::sys::home().map(|home| home.join(rest))) {
        Some(path) => path,
        None => config.parent().unwrap_or(Path::new("")).join(text),
    }
}

/// Reads a plain file of at most `limit` bytes; `None` where there is none.
pub(crate) fn read_file(path: &Path, limit: u64) -> Result<Option<String>> {
    use std::{io::Read as _, os::unix::fs::OpenOptionsExt as _};
    let place = path.display();
    let failed = |what: String| Error::new(Code::Config, what).hint(format!("look at {place}"));
    // Without O_NONBLOCK a FIFO in the file's place would hang the reader.
    let file = match std::fs::OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(failed(format!("{place} cannot be read: {e}"))),
    };
    let metadata = file.metadata().map_err(|e| failed(format!("{place} cannot be read: {e}")))?;
    if !metadata.is_file() {
        return Err(failed(format!("{place} is no plain file")));
    }
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes).map_err(|e| failed(format!("{place} cannot be read: {e}")))?;
    if bytes.len() as u64 > limit {
        return Err(failed(format!("{place} is larger than {} KiB", limit / 1024)));
    }
    String::from_utf8(bytes).map(Some).map_err(|e| {
        let before = e.as_bytes().get(..e.utf8_error().valid_up_to()).unwrap_or_default();
        let line = before.iter().filter(|b| **b == b'\n').count() + 1;
        failed(format!("{place}:{line}: this is not UTF-8 text"))
    })
}

/// The chosen store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreConfig {
    /// Which.
    pub kind: StoreKind,
    /// The `file` store's file; the default place where nothing is said.
    pub file: Option<PathBuf>,
    /// The age identity file that opens the `file` store without a passphrase.
    pub identity: Option<PathBuf>,
    /// How long a credential that was read stays in the daemon's locked memory.
    pub cache: Duration,
    /// How long one call to the store may take.
    pub deadline: Duration,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            kind: StoreKind::Keyring,
            file: None,
            identity: None,
            cache: Duration::from_secs(300),
            deadline: Duration::from_secs(10),
        }
    }
}

/// What is watched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Watching {
    /// The mode for the places of assistants and tools, where it is said.
    pub places: Option<Mode>,
    /// What a person added.
    pub roots: Vec<Root>,
}

impl Watching {
    /// The mode for the places of assistants and tools. Where nothing is said they are told of and not touched: a
    /// person first sees what would change (`hallpass watch places quarantine`). A daemon with a folder of its own
    /// (`HALLPASS_HOME`) is not the one that looks after the home.
    pub fn places(&self, paths: &Paths) -> Mode {
        self.places.unwrap_or(if paths.is_one_folder() { Mode::Off } else { Mode::Notify })
    }
}

/// A configured way to turn a credential into short-lived tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    /// Its kind.
    pub kind: IssuerKind,
    /// The credential behind it; none where this device's identity is.
    pub credential: Option<String>,
}

/// What an issuer is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IssuerKind {
    /// The gateway: a hallpass token that is swapped for the credential on each allowed request.
    Gateway {
        /// The route.
        route: String,
        /// The upstream, where it is not the route's own.
        base_url: Option<String>,
    },
    /// None: no route can stand in for the credential. It is released as it is into a command's environment, to
    /// whom a grant gives the scope `release`, and marked static in the audit.
    Static,
    /// The issuer's own server mints.
    Native(Box<Native>),
}

impl IssuerKind {
    /// Its word in the config.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Gateway { .. } => "gateway",
            Self::Static => "static",
            Self::Native(native) => native.word(),
        }
    }
}

#[cfg(test)]
mod tests;
