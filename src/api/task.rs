//! Tasks on the wire.

use serde::{Deserialize, Serialize};

use crate::{scope::Wanted, task::EndReason};

/// A task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Task {
    /// Its id.
    pub id: String,
    /// What the person called it.
    pub title: String,
    /// Who works on it.
    pub principal: String,
    /// What tokens in it may do at the most; nothing said leaves that to the grants.
    pub limit: Option<Vec<Wanted>>,
    /// The process whose end is the task's end.
    pub pid: Option<i32>,
    /// When it was started (RFC 3339).
    pub started_at: String,
    /// When it ends by itself (RFC 3339).
    pub expires_at: String,
    /// When it ended (RFC 3339).
    pub ended_at: Option<String>,
    /// Why it ended.
    pub end_reason: Option<EndReason>,
    /// How many of its leases hold now.
    pub live_leases: u64,
}

/// `POST /v1/tasks`.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StartTask {
    /// What to call it.
    pub title: String,
    /// Who works on it; the caller where nothing is said.
    #[serde(rename = "as", default)]
    pub claim: Option<String>,
    /// What tokens in it may do at the most.
    #[serde(default)]
    pub limit: Option<Vec<Wanted>>,
    /// When it ends by itself, in seconds; eight hours where nothing is said.
    #[serde(default)]
    pub ttl_seconds: Option<u64>,
    /// Bind it to the calling process: the task ends when that process does, and every descendant
    /// of it runs in the task.
    #[serde(default)]
    pub bind: bool,
}
