//! Remote MCP servers on the wire.

use serde::{Deserialize, Serialize};

use crate::scope::Wanted;

/// `POST /v1/mcp`: a `[mcp.NAME]` of the config.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddMcp {
    /// What to call it.
    pub name: String,
    /// Its address: https, or http on this machine.
    pub url: String,
    /// What it is sent: issuer, scopes and resources. The scope `release` is the credential itself; any other is a
    /// gateway token, which needs the address to be below the issuer's upstream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub want: Option<Wanted>,
    /// The header that carries it, with `{}` in its place; the one that the issuer's API reads where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
}

/// A remote MCP server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct McpServer {
    /// Its name.
    pub name: String,
    /// Its address.
    pub url: String,
    /// What it is sent.
    pub want: Option<Wanted>,
    /// The header that carries it, where the config says so.
    pub header: Option<String>,
    /// The principal that a bridge to it is, where no task and no assistant says otherwise.
    pub principal: String,
    /// Its address at the gateway, where a gateway token is what it gets.
    pub through: Option<String>,
}
