//! `GET /v1/status`: one screen of how the daemon is.

use serde::{Deserialize, Serialize};

use super::{credential::StoreStatus, watch::WatchSummary};
use crate::principal::Identity;

/// How the daemon is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Status {
    /// The daemon's version.
    pub version: String,
    /// Its process id.
    pub pid: u32,
    /// When it started (RFC 3339).
    pub started_at: String,
    /// How it was started: `service`, `socket`, `client` or `foreground`.
    pub started_by: String,
    /// The API's socket.
    pub socket: String,
    /// The gateway.
    pub gateway: GatewayStatus,
    /// The store.
    pub store: StoreStatus,
    /// The config.
    pub config: ConfigStatus,
    /// The audit log.
    pub audit: AuditStatus,
    /// The watcher.
    pub watch: WatchSummary,
    /// What protects the daemon's memory.
    pub hardening: Vec<Protection>,
    /// How many credentials there are.
    pub credentials: u64,
    /// How many principals are registered.
    pub principals: u64,
    /// How many grants there are.
    pub grants: u64,
    /// How many tasks are open.
    pub open_tasks: u64,
    /// How many leases hold.
    pub live_leases: u64,
    /// How many requests wait for a human.
    pub waiting_approvals: u64,
    /// The rendered files.
    #[serde(default)]
    pub rendered: RenderedStatus,
    /// How many connections are open now, and how many may be.
    pub connections: Connections,
    /// Who the caller is taken for.
    pub you: Identity,
    /// The caller's processes, nearest first.
    pub evidence: String,
}

/// The gateway's addresses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct GatewayStatus {
    /// `http://127.0.0.1:PORT`, when bound.
    pub url: Option<String>,
    /// Its socket.
    pub socket: String,
    /// Why it is not bound.
    pub error: Option<String>,
}

/// The config in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ConfigStatus {
    /// The file.
    pub path: String,
    /// When it was last read without an error (RFC 3339).
    pub loaded_at: String,
    /// What is wrong with the file as it is now; the last good one stays in force.
    pub error: Option<String>,
}

/// The audit log's state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct AuditStatus {
    /// Its folder.
    pub path: String,
    /// Why it cannot be written; nothing is handed out until it can.
    pub error: Option<String>,
}

/// One protection and whether it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Protection {
    /// What it is.
    pub name: String,
    /// Whether it holds.
    pub active: bool,
    /// What it means, or what is in its way.
    pub detail: String,
}

/// Connections in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Connections {
    /// Open now, on all sockets.
    pub open: u64,
    /// The most there may be.
    pub limit: u64,
}

/// The files that are kept filled with tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct RenderedStatus {
    /// Their folder.
    pub folder: String,
    /// How many there are.
    pub files: u64,
    /// How many of them have no fresh token.
    pub failing: u64,
    /// Whether the folder is in memory, so that no token in it reaches a disk.
    pub in_memory: bool,
}
