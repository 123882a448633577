//! A route: what an upstream is and which requests each of its scopes allows.
//!
//! Owns the schema of `data/routes/*.toml` and of `[[routes]]` in the config. Facts only: what follows from them
//! is decided elsewhere.

use serde::Deserialize;

use crate::scope::Scope;

/// A gateway upstream.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// Its name: the first part of the path at the gateway.
    pub name: String,
    /// The upstream: `https://host[:port][/path]`. With a `{placeholder}` in it, each issuer has to
    /// name its own.
    pub base_url: String,
    /// Where these facts come from.
    #[serde(default)]
    pub source: String,
    /// Where the key goes.
    pub auth: Auth,
    /// The variables its SDKs and CLIs read the key from; the token goes there.
    #[serde(default)]
    pub key_env: Vec<String>,
    /// The variables its SDKs and CLIs read the base URL from.
    #[serde(default)]
    pub base_url_env: Vec<BaseUrlVariable>,
    /// Other variables that may hold a real key and must not reach a child.
    #[serde(default)]
    pub scrub_env: Vec<String>,
    /// Accept `%2F` inside a path segment (GitLab's project ids); refused elsewhere.
    #[serde(default)]
    pub encoded_slash: bool,
    /// Allow an upstream on loopback or in a private network, and plain http to it.
    #[serde(default)]
    pub allow_private: bool,
    /// The scopes that a tool gets when it is adopted and nothing says what it does; the first preset where none are.
    #[serde(default, rename = "default")]
    pub default_scopes: Vec<Scope>,
    /// Its scope presets.
    #[serde(default, rename = "scope")]
    pub scopes: Vec<Preset>,
}

/// Where the key goes in a request to the upstream.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum Auth {
    /// `Authorization: Bearer KEY`.
    Bearer,
    /// A header of its own.
    Header {
        /// Its name, lower case.
        name: String,
        /// What stands before the key, such as `Token `.
        #[serde(default)]
        prefix: String,
    },
    /// `Authorization: Basic base64(KEY)`, with `user:password` as the key.
    Basic,
    /// A query parameter.
    Query {
        /// Its name.
        name: String,
    },
}

/// A variable that holds a base URL.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BaseUrlVariable {
    /// Its name.
    pub name: String,
    /// What the SDK expects after the upstream's base URL, such as `/v1`.
    #[serde(default)]
    pub suffix: String,
}

/// A named scope: which requests it allows.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preset {
    /// The scope.
    pub name: Scope,
    /// What it is for, one line.
    pub description: String,
    /// `METHOD /path/{part}/{rest...}`, METHOD one of the HTTP methods, `*` for any, or `WS` for a
    /// WebSocket upgrade. `{part}` is one segment or a piece of one (`{model}:generateContent`),
    /// `{rest...}` one segment or more, at the end.
    pub allow: Vec<String>,
    /// How the resource is made of the path's parts, such as `{owner}/{repo}`. Without one, the
    /// request is on no particular resource, and a token for any resource serves.
    #[serde(default)]
    pub resource: Option<String>,
    /// `query`: the body must be a GraphQL document that holds nothing but queries.
    #[serde(default)]
    pub graphql: Option<GraphqlRule>,
    /// Requests that it allows, as a check on the patterns: `METHOD /path` and, after ` => `, the resource where it has one.
    #[serde(default)]
    pub example: Vec<String>,
    /// Requests that it must not allow.
    #[serde(default)]
    pub counter: Vec<String>,
}

/// What a GraphQL body may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GraphqlRule {
    /// Queries only.
    Query,
}
