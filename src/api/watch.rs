//! The watcher on the wire.

use serde::{Deserialize, Serialize};

/// What is done about findings below a watched place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// It is not watched, even inside another root.
    Off,
    /// They are told.
    Notify,
    /// What is certain is quarantined, the rest is told.
    Quarantine,
}

impl std::fmt::Display for Mode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Off => "off",
            Self::Notify => "notify",
            Self::Quarantine => "quarantine",
        })
    }
}

/// A watched place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Root {
    /// The file or folder, absolute.
    pub path: String,
    /// What is done about findings in it.
    pub mode: Mode,
    /// Only the git work trees below it are watched, as they come.
    #[serde(default)]
    pub projects: bool,
}

/// `POST /v1/watch/remove`.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoveRoot {
    /// Its path.
    pub path: String,
}

/// `POST /v1/watch/places`: the mode for the places of assistants and tools.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetPlaces {
    /// What is done about findings there.
    pub mode: Mode,
}

/// How the watcher is, in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct WatchSummary {
    /// How many folders are watched.
    pub folders: u64,
    /// What is wrong, and what helps.
    pub degraded: Option<String>,
    /// How many folders give no events and are looked at in turn.
    pub polling: u64,
    /// How many folders on network file systems are left alone.
    pub left_alone: u64,
    /// How many secrets were seen and are still in their files.
    pub findings: u64,
}

/// How the watcher is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct WatchStatus {
    /// The mode for the places of assistants and tools.
    pub places: Mode,
    /// What else is watched.
    pub roots: Vec<Root>,
    /// Whether everything was looked through since the start.
    pub ready: bool,
    /// How many folders are watched.
    pub folders: u64,
    /// How many projects were found by themselves.
    pub projects: u64,
    /// What is wrong, and what helps.
    pub degraded: Option<String>,
    /// Folders without events, looked at in turn.
    pub polling: Vec<String>,
    /// Folders on network file systems, which are left alone.
    pub left_alone: Vec<String>,
    /// How often everything was looked through again because events were lost.
    pub rescans: u64,
}
