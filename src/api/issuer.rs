//! Issuers on the wire.

use serde::{Deserialize, Serialize};

use crate::issuer::{Narrowed, Native};

/// A configured way to turn a credential into short-lived tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Issuer {
    /// Its name.
    pub name: String,
    /// Its kind: `gateway`, `static`, or one of those whose own server mints.
    pub kind: String,
    /// The credential behind it; nothing where this device's identity is.
    pub credential: Option<String>,
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
    /// What its server lets be narrowed, where it mints.
    pub narrows: Option<Narrows>,
}

/// What decides about an issuer's tokens: each of them, the issuer's configuration, or nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Narrows {
    /// What a token may do.
    pub scope: Narrowed,
    /// To what.
    pub resource: Narrowed,
    /// For how long.
    pub life: Narrowed,
}

/// `POST /v1/issuers`: an issuer whose own server mints, kept in the config.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddIssuer {
    /// A new name.
    pub name: String,
    /// The credential behind it: the client's secret or private key; the one of the same name where nothing is said. None
    /// where this device's identity is.
    #[serde(default)]
    pub credential: Option<String>,
    /// The settings, under the name of the kind.
    pub settings: Native,
}
