//! Minting and leases on the wire, in the words of OAuth (RFC 6749, RFC 8693).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::SecretText;
use crate::{
    lease::Rate,
    policy::bounds::Bounds,
    scope::{ResourceSet, ScopeSet, Wanted},
    task::EndReason,
};

/// `POST /v1/mint`.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mint {
    /// Issuer, scopes and resources.
    pub what: Wanted,
    /// How long the token lives, in seconds; what the grants allow, at most 15 minutes, where nothing
    /// is said.
    #[serde(default)]
    pub ttl_seconds: Option<u64>,
    /// The task it belongs to, by id; the one the caller runs in where nothing is said.
    #[serde(default)]
    pub task: Option<String>,
    /// Who asks, for a caller that nothing else names.
    #[serde(rename = "as", default)]
    pub claim: Option<String>,
    /// The token to narrow (RFC 8693 calls it `subject_token`).
    #[serde(default)]
    pub subject_token: Option<SecretText>,
    /// How often the token may be used; without limit where nothing is said.
    #[serde(default)]
    pub uses: Option<u32>,
    /// How many requests in a stretch of time, such as `60/min`; the stricter of this and the grant's
    /// counts.
    #[serde(default)]
    pub rate: Option<Rate>,
    /// How long to wait for a human's approval, in seconds; two minutes where nothing is said.
    #[serde(default)]
    pub wait_seconds: Option<u64>,
}

/// The answer to it.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Minted {
    /// The token (RFC 6749 section 5.1).
    pub access_token: SecretText,
    /// What belongs to it, where an issuer gave several strings: `access_key_id`, `secret_access_key`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parts: BTreeMap<String, SecretText>,
    /// Always `Bearer`.
    pub token_type: String,
    /// What kind of token it is (RFC 8693 section 2.2.1): `urn:hallpass:token-type:gateway` works only at
    /// the gateway, `urn:hallpass:token-type:endpoint` only where a helper is asked over HTTP.
    pub issued_token_type: String,
    /// Seconds until it ends.
    pub expires_in: u64,
    /// When it ends (RFC 3339).
    pub expires_at: String,
    /// When the issuer's own token ends, where that is later (RFC 3339).
    pub upstream_expires_at: Option<String>,
    /// What was granted.
    pub scope: ScopeSet,
    /// On what.
    pub resource: ResourceSet,
    /// Its lease.
    pub lease: String,
    /// Whether it can be ended early.
    pub revocable: bool,
    /// An earlier identical request of the same task got the same token.
    pub shared: bool,
    /// The base URL to use it at.
    pub base_url: Option<String>,
}

/// A lease.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Lease {
    /// Its id.
    pub id: String,
    /// Whether its token works now.
    pub live: bool,
    /// The task it belongs to.
    pub task: Option<String>,
    /// Who it was issued to.
    pub principal: String,
    /// By which issuer.
    pub issuer: String,
    /// What its token may do.
    pub scopes: ScopeSet,
    /// To what.
    pub resources: ResourceSet,
    /// What a request's JSON body may hold.
    #[serde(default, skip_serializing_if = "Bounds::is_empty")]
    pub body: Bounds,
    /// When it was issued (RFC 3339).
    pub issued_at: String,
    /// When it ends by itself (RFC 3339).
    pub expires_at: String,
    /// When the issuer's own token ends, where that is later (RFC 3339).
    pub upstream_expires_at: Option<String>,
    /// Whether it can be ended early.
    pub revocable: bool,
    /// How many uses are left.
    pub uses_left: Option<u32>,
    /// Its rate.
    pub rate: Option<Rate>,
    /// The lease it was narrowed from.
    pub parent: Option<String>,
    /// The grants that allowed it.
    pub grants: Vec<String>,
    /// When it ended early (RFC 3339).
    pub ended_at: Option<String>,
    /// Why it ended early.
    pub end_reason: Option<EndReason>,
}

/// `POST /v1/revoke` (RFC 7009): ends the lease of a token that the caller holds.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Revoke {
    /// The token.
    pub token: SecretText,
}

/// What a revocation ended: the lease and all that was narrowed from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Revoked {
    /// The leases that ended now.
    pub leases: Vec<String>,
}
