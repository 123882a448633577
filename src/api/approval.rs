//! Approvals on the wire.

use serde::{Deserialize, Serialize};

use crate::scope::Wanted;

/// A request that waits for a human. Everything in it was found out by the daemon; nothing is the
/// asker's own text but the task's title and the reason, which are marked as such.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ApprovalRequest {
    /// Its id.
    pub id: String,
    /// Who asks.
    pub principal: String,
    /// The processes it comes from, nearest first.
    pub evidence: String,
    /// Issuer, scopes and resources.
    pub what: Wanted,
    /// How long the token would live, in seconds.
    pub ttl_seconds: u64,
    /// The title of the task, in the asker's own words.
    pub task_title: Option<String>,
    /// Why, in the asker's own words.
    #[serde(default)]
    pub reason: Option<String>,
    /// When it was asked (RFC 3339).
    pub asked_at: String,
    /// When it is denied by itself (RFC 3339).
    pub expires_at: String,
}
