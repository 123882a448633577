//! What `exec`, `env` and the shell hooks ask for: a task and the variables to work in it.

use serde::{Deserialize, Serialize};

use super::SecretText;
use crate::scope::Wanted;

/// `POST /v1/env`: opens a task and mints what it needs.
#[derive(Clone, Debug, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OpenEnv {
    /// The task's title, or the id of an open task.
    #[serde(default)]
    pub task: Option<String>,
    /// What is needed; with a project, on top of what its `.hallpass.toml` names.
    #[serde(default)]
    pub want: Vec<Wanted>,
    /// Helpers that are asked over HTTP: `aws:PROFILE`, `azure:RESOURCE`. Each gets a token for its endpoint at the
    /// gateway, and the variables that lead its SDKs there.
    #[serde(default)]
    pub helpers: Vec<String>,
    /// Who works on it, for a caller that nothing else names.
    #[serde(rename = "as", default)]
    pub claim: Option<String>,
    /// The program that will run in it; an assistant's name makes the assistant the principal when
    /// the caller is the human.
    #[serde(default)]
    pub program: Option<String>,
    /// The folder whose `.hallpass.toml` names what is needed.
    #[serde(default)]
    pub project: Option<String>,
    /// How long the task and its tokens live at the most, in seconds.
    #[serde(default)]
    pub ttl_seconds: Option<u64>,
    /// Bind the task to the calling process.
    #[serde(default)]
    pub bind: bool,
    /// How long to wait for a human's approval, in seconds.
    #[serde(default)]
    pub wait_seconds: Option<u64>,
    /// Why, in the asker's own words: shown to whoever has to approve it, as such.
    #[serde(default)]
    pub reason: Option<String>,
    /// What stands in the project's `.env` files, and in the caller's environment, instead of secrets.
    #[serde(default)]
    pub references: Vec<Reference>,
}

/// A variable whose value is `hallpass:NAME`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reference {
    /// The variable.
    pub variable: String,
    /// The credential that it names.
    pub credential: String,
    /// The file that says so, absolute; none for the environment.
    #[serde(default)]
    pub file: Option<String>,
}

/// A reference that was left as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Unresolved {
    /// The variable.
    pub variable: String,
    /// The credential that it names.
    pub credential: String,
    /// Why it was left.
    pub reason: String,
    /// The command that helps.
    pub hint: Option<String>,
}

/// The answer to it.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Env {
    /// The task's id.
    pub task: String,
    /// Who works on it.
    pub principal: String,
    /// The variables to set.
    pub set: Vec<Variable>,
    /// The variables that may hold a real key and must not reach the child.
    pub scrub: Vec<String>,
    /// When the first of the tokens ends (RFC 3339).
    pub expires_at: String,
    /// The leases behind the variables.
    pub leases: Vec<String>,
    /// References that nothing allows, or that name nothing.
    #[serde(default)]
    pub unresolved: Vec<Unresolved>,
}

/// One variable.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Its value: a token or a base URL; a credential only where a grant of the scope `release` says so.
    pub value: SecretText,
}

/// `POST /v1/trust`: a human accepts a project's `.hallpass.toml` as it is now.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TrustProject {
    /// The folder.
    pub path: String,
    /// Take the trust back instead.
    #[serde(default)]
    pub revoke: bool,
    /// Only say what the state is.
    #[serde(default)]
    pub check: bool,
    /// The digest of the file the human was shown; trust is given only while the file still has it.
    #[serde(default)]
    pub digest: Option<String>,
}

/// The state of a project's trust.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Trust {
    /// The folder.
    pub path: String,
    /// The file.
    pub file: String,
    /// Whether it counts now.
    pub state: TrustState,
    /// What its tasks need.
    pub want: Vec<Wanted>,
    /// SHA-256 of the file, hexadecimal.
    pub digest: String,
}

/// Whether a project's file counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TrustState {
    /// A human accepted it as it is.
    Trusted,
    /// It changed since.
    Changed,
    /// Nobody accepted it.
    Untrusted,
}
