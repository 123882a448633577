//! What the tools take and give: their schemas come from here, so every description is for a model to read.

use serde::{Deserialize, Serialize};

/// Ask for a token.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RequestAccess {
    /// What is needed, as ISSUER:SCOPE or ISSUER:SCOPE@RESOURCE, such as github:issues:read@acme/web. Ask for the
    /// least that does the job.
    pub want: String,
    /// Why, in a sentence. Where a person has to approve, they see it as your words.
    pub reason: String,
    /// How long it is needed, in seconds; 900 where nothing is said. The grant may give less.
    #[serde(default)]
    pub ttl_seconds: Option<u64>,
    /// How long to wait for a person's approval, in seconds; 50 where nothing is said, 600 at the most.
    #[serde(default)]
    pub wait_seconds: Option<u64>,
}

/// Narrow a token for a sub-agent.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HandOver {
    /// The lease to narrow, from request_access.
    pub lease: String,
    /// What the sub-agent needs of it, as ISSUER:SCOPE@RESOURCE; all of it where nothing is said. Never more.
    #[serde(default)]
    pub want: Option<String>,
    /// How long the sub-agent needs it, in seconds; never longer than the lease itself.
    #[serde(default)]
    pub ttl_seconds: Option<u64>,
    /// How many requests it may be used for.
    #[serde(default)]
    pub uses: Option<u32>,
}

/// Name a lease.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OneLease {
    /// Its id, from request_access, hand_over or list_access.
    pub lease: String,
}

/// What you may have, and what you have.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct Access {
    /// Who hallpass takes you for.
    pub principal: String,
    /// The task that your tokens belong to; they end with it.
    pub task: String,
    /// What a person has granted you.
    pub may_have: Vec<MayHave>,
    /// The leases that hold now.
    pub holds: Vec<Holding>,
}

/// A grant.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct MayHave {
    /// What to ask for, or a part of it.
    pub want: String,
    /// auto: given at once. ask: a person approves each time. never: refused.
    pub approval: String,
    /// The longest life of one token, in seconds.
    pub max_ttl_seconds: u64,
}

/// A lease.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct Holding {
    /// Its id.
    pub lease: String,
    /// What its token may do.
    pub want: String,
    /// When it ends (RFC 3339).
    pub expires_at: String,
    /// The lease it was narrowed from.
    pub narrowed_from: Option<String>,
    /// How to run a command with it; nothing where it was not given out here.
    pub run: Option<String>,
}

/// A token that was given out. The token itself is not in here, and never in a model's context.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct Handle {
    /// The lease's id: pass this on, it is no secret that works by itself elsewhere.
    pub lease: String,
    /// What its token may do.
    pub want: String,
    /// When it ends (RFC 3339).
    pub expires_at: String,
    /// The environment variables that the command below sets.
    pub variables: Vec<String>,
    /// How to use it: run this with your command behind the two dashes.
    pub run: String,
}

/// What has ended.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct Ended {
    /// The leases that ended.
    pub leases: Vec<String>,
    /// What that means.
    pub note: String,
}
