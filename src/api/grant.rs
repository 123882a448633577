//! Grants on the wire.

use serde::{Deserialize, Serialize};

use crate::{
    lease::Rate,
    policy::{Approval, bounds::Bounds},
    scope::{ResourceSet, ScopeSet, Wanted},
};

/// A line of policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Grant {
    /// Its id.
    pub id: String,
    /// Who it is for.
    pub principal: String,
    /// From which issuer.
    pub issuer: String,
    /// What may be done.
    pub scopes: ScopeSet,
    /// To what.
    pub resources: ResourceSet,
    /// The longest life of one token, in seconds.
    pub max_ttl_seconds: u64,
    /// What it takes.
    pub approval: Approval,
    /// What a request's JSON body may hold.
    #[serde(default, skip_serializing_if = "Bounds::is_empty")]
    pub body: Bounds,
    /// The rate of each lease, such as `60/min`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
}

/// `POST /v1/grants`.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddGrant {
    /// Who it is for.
    pub principal: String,
    /// Issuer, scopes and resources.
    pub what: Wanted,
    /// The longest life of one token, in seconds; an hour where nothing is said.
    #[serde(default)]
    pub max_ttl_seconds: Option<u64>,
    /// What it takes; `auto` where nothing is said.
    #[serde(default)]
    pub approval: Approval,
    /// What a request's JSON body may hold.
    #[serde(default)]
    pub body: Bounds,
    /// The rate of each lease, such as `60/min`.
    #[serde(default)]
    pub rate: Option<Rate>,
}

/// `POST /v1/grants/explain`: would this be allowed, by which line, and what would the narrowest
/// grant be?
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Explain {
    /// For whom; the caller where nothing is said.
    #[serde(default)]
    pub principal: Option<String>,
    /// Issuer, scopes and resources.
    pub what: Wanted,
}

/// The answer to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Explanation {
    /// For whom.
    pub principal: String,
    /// Whether a token would be issued now, without a human's approval.
    pub allowed: bool,
    /// What it takes, where a grant covers it.
    pub approval: Option<Approval>,
    /// The grants that cover it, or the one that says never.
    pub grants: Vec<Grant>,
    /// The reason, in one sentence.
    pub reason: String,
    /// The narrowest command that would allow exactly this; nothing where it is allowed.
    pub narrowest: Option<String>,
}
