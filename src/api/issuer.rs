//! Issuers on the wire.

use serde::{Deserialize, Serialize};

use crate::issuer::{github_app, oauth};

/// A configured way to turn a credential into short-lived tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Issuer {
    /// Its name.
    pub name: String,
    /// Its kind: `gateway`, `static`, `oauth`, `github-app`.
    pub kind: String,
    /// The credential behind it.
    pub credential: String,
    /// The gateway's route, where its tokens are the gateway's.
    pub route: Option<String>,
    /// The host that mints, where it is the issuer's own server.
    pub host: Option<String>,
    /// Its scopes; empty where any scope is passed on as it is.
    pub scopes: Vec<String>,
    /// The variables that tools read its token from.
    pub env: Vec<String>,
    /// The shortest life that its server gives a token, in seconds; nothing where hallpass decides, or nobody knows.
    pub least_seconds: Option<u64>,
    /// The longest, in seconds.
    pub most_seconds: Option<u64>,
    /// Whether a token works no more once its lease has ended.
    pub revocable: bool,
}

/// `POST /v1/issuers`: an issuer whose own server mints, kept in the config. Exactly one kind is given.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddIssuer {
    /// A new name.
    pub name: String,
    /// The credential behind it: the client's secret or private key; the one of the same name where nothing is said.
    #[serde(default)]
    pub credential: Option<String>,
    /// An OAuth 2.0 authorization server.
    #[serde(default)]
    pub oauth: Option<oauth::Settings>,
    /// A GitHub App's installation.
    #[serde(default)]
    pub github_app: Option<github_app::Settings>,
}
