//! Gateway routes on the wire.

use serde::{Deserialize, Serialize};

/// A gateway upstream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Route {
    /// Its name: the first part of the path at the gateway.
    pub name: String,
    /// The upstream.
    pub base_url: String,
    /// Where the key goes, in words: `Authorization: Bearer`, `x-api-key`, `?key=`.
    pub auth: String,
    /// Its scope presets.
    pub scopes: Vec<Preset>,
    /// The variables its SDKs read the key from.
    pub key_env: Vec<String>,
    /// The variables its SDKs read the base URL from.
    pub base_url_env: Vec<String>,
    /// True for a route from the config, false for a built-in one.
    pub custom: bool,
}

/// A named scope of a route: which requests it allows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Preset {
    /// The scope.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// The requests it allows, as `METHOD /path/{part}`.
    pub allow: Vec<String>,
    /// How the resource is written, such as `{owner}/{repo}`.
    pub resource: Option<String>,
}

/// `POST /v1/routes`: a route of one's own, kept in the config.
#[derive(Clone, Debug, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddRoute {
    /// A new name.
    pub name: String,
    /// The upstream: an https URL with an optional path.
    pub base_url: String,
    /// Where the key goes: `bearer`, `header:NAME`, `basic`, or `query:NAME`.
    #[serde(default)]
    pub auth: Option<String>,
    /// Scope presets as `NAME=METHOD /path/{part}`; without any, `read` (GET and HEAD) and `write`
    /// (every other method) on all paths.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// The variables its SDKs read the key from.
    #[serde(default)]
    pub key_env: Vec<String>,
    /// The variables its SDKs read the base URL from.
    #[serde(default)]
    pub base_url_env: Vec<String>,
    /// Allow an upstream on loopback or in a private network, and plain http to it.
    #[serde(default)]
    pub allow_private: bool,
}
