//! The route catalogue: what an upstream is and which requests each of its scopes allows.
//!
//! Owns the schema of `data/routes/*.toml` and of `[[route]]` in the config.

use serde::Deserialize;

use crate::{error::Error, scope::Scope};

/// A gateway upstream.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// Its name: the first part of the path at the gateway.
    pub name: String,
    /// The upstream: `https://host[:port][/path]`.
    pub base_url: String,
    /// Where these facts come from.
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
    /// Requests that it allows: `METHOD /path` and, after ` => `, the resource where it has one.
    pub example: Vec<String>,
    /// Requests that it must not allow.
    pub counter: Vec<String>,
}

/// What a GraphQL body may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GraphqlRule {
    /// Queries only.
    Query,
}

/// All routes: the built-in ones and the user's own.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    routes: Vec<Route>,
}

impl Catalogue {
    /// The routes that come with hallpass.
    pub fn built_in() -> Result<Self, Error> {
        Ok(Self::default())
    }

    /// The same with the user's own routes, which win over built-in ones of the same name.
    pub fn with_custom(self, routes: &[Route]) -> Result<Self, Error> {
        let _ = routes;
        Ok(self)
    }

    /// The route of this name.
    pub fn get(&self, name: &str) -> Option<&Route> {
        self.routes.iter().find(|route| route.name == name)
    }

    /// All routes, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Route> {
        self.routes.iter()
    }
}

impl Route {
    /// The route as the API shows it.
    pub fn to_wire(&self, custom: bool) -> crate::api::route::Route {
        let _ = custom;
        crate::api::route::Route {
            name: self.name.clone(),
            base_url: self.base_url.clone(),
            auth: String::new(),
            scopes: Vec::new(),
            key_env: Vec::new(),
            base_url_env: Vec::new(),
            custom,
        }
    }
}

/// Makes a route of what a user asked for, or says what is wrong with it.
pub fn from_wire(add: &crate::api::route::AddRoute) -> Result<Route, Error> {
    let _ = add;
    Err(Error::internal("not yet"))
}
