//! Principals on the wire.

use serde::{Deserialize, Serialize};

use crate::principal::Kind;

/// A registered principal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Principal {
    /// Its name.
    pub name: String,
    /// What sort of identity it is.
    pub kind: Kind,
    /// The human who owns it.
    pub owner: String,
    /// What it is for.
    pub description: Option<String>,
    /// A disabled principal gets nothing, and its leases are ended.
    pub disabled: bool,
    /// When it was registered (RFC 3339).
    pub created_at: String,
    /// When it last asked for something (RFC 3339).
    pub last_seen_at: Option<String>,
}

/// `POST /v1/principals`.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddPrincipal {
    /// A new name.
    pub name: String,
    /// What sort of identity it is.
    pub kind: Kind,
    /// The human who owns it; the caller's user name where nothing is said.
    #[serde(default)]
    pub owner: Option<String>,
    /// What it is for.
    #[serde(default)]
    pub description: Option<String>,
}
