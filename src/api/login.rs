//! Signing in at an authorization server, on the wire.

use serde::{Deserialize, Serialize};

use crate::issuer::oauth;

/// How a person signs in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// By a browser on this machine; by a code that is entered elsewhere where the server has no page for a browser.
    #[default]
    Here,
    /// By a code that is entered elsewhere; by a browser on this machine where the server has no such code.
    Elsewhere,
    /// By a browser on this machine, or not at all.
    Browser,
    /// By a code that is entered elsewhere, or not at all.
    Device,
}

/// `POST /v1/issuers/{name}/login`: a person wants to sign in.
#[derive(Clone, Debug, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StartLogin {
    /// The issuer's scopes that the login is for; all that its config names where nothing is said.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// By which way.
    #[serde(default)]
    pub how: How,
}

/// What the person does now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct LoginStarted {
    /// The attempt; `POST /v1/issuers/{issuer}/login/{id}` waits for its end.
    pub id: String,
    /// The issuer.
    pub issuer: String,
    /// The address to open.
    pub url: String,
    /// The code to enter there, where it is the device flow.
    pub user_code: Option<String>,
    /// For how long the server waits, in seconds.
    pub expires_in: u64,
    /// What is asked for, in the server's words.
    pub scopes: Vec<String>,
}

/// A person has signed in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct LoggedIn {
    /// The issuer.
    pub issuer: String,
    /// What its tokens may do at the most, in the server's words.
    pub scopes: Vec<String>,
    /// Whether it goes on without a person; else the one token that there is ends some time.
    pub renews: bool,
}

/// A login is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct LoggedOut {
    /// Whether the server has ended it as well; else it may hold there until it expires.
    pub revoked: bool,
}

/// `POST /v1/issuers/discover`: what an authorization server says of itself. Exactly one of both addresses is given.
#[derive(Clone, Debug, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Discover {
    /// The server's issuer identifier (RFC 8414).
    #[serde(default)]
    pub issuer: Option<String>,
    /// A resource that it gives tokens for (RFC 9728).
    #[serde(default)]
    pub resource: Option<String>,
    /// Both may be on this machine or in this network, also over plain http.
    #[serde(default)]
    pub allow_private: bool,
    /// The client that it shall be; without it only the server is described.
    #[serde(default)]
    pub client: Option<Client>,
}

/// Who asks an authorization server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Client {
    /// The id that the server gave, where somebody registered the client there.
    #[serde(default)]
    pub client_id: Option<String>,
    /// The credential that is its secret or private key, where it has one.
    #[serde(default)]
    pub credential: Option<String>,
    /// How it proves itself; what fits the server where nothing is said.
    #[serde(default)]
    pub auth: Option<oauth::ClientAuth>,
    /// The URL at which the client's metadata document lies, for servers that take such a URL as the client's id.
    #[serde(default)]
    pub document: Option<String>,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Discovered {
    /// The settings of an issuer for it.
    pub settings: oauth::Settings,
    /// The scopes that the resource, else the server, says there are.
    pub scopes: Vec<String>,
}

/// `POST /v1/mcp/{name}/challenge`: what a remote MCP server asked for, as its bridge heard it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Challenged {
    /// Where the server describes itself.
    #[serde(default)]
    pub resource_metadata: Option<String>,
    /// The scopes that it wants.
    #[serde(default)]
    pub scope: Option<String>,
}

/// `POST /v1/mcp/{name}/login`: a person signs in for a remote MCP server.
#[derive(Clone, Debug, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StartMcpLogin {
    /// Scopes in the server's words, beside what it asked for; what it asked for, or has, where nothing is said.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// By which way.
    #[serde(default)]
    pub how: How,
    /// Who asks; the registration that there is, or a new one, where nothing is said.
    #[serde(default)]
    pub client: Client,
}
