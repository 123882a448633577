//! Findings and quarantine on the wire. Nothing here holds a secret.

use serde::{Deserialize, Serialize};

/// `POST /v1/quarantine`: takes secrets out of files and leaves references.
#[derive(Clone, Debug, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TakeFiles {
    /// The files, absolute.
    pub paths: Vec<String>,
    /// What is likely too, not only what is certain.
    #[serde(default)]
    pub likely: bool,
    /// Only the findings with these fingerprints; all where nothing is said.
    #[serde(default)]
    pub only: Vec<String>,
    /// Only say what would be done.
    #[serde(default)]
    pub dry_run: bool,
    /// Leave what a person put back, as the watcher does.
    #[serde(default)]
    pub watched: bool,
    /// Leave decoys instead of references where one can be made.
    #[serde(default)]
    pub decoy: bool,
}

/// What became of one file.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Taken {
    /// The file.
    pub path: String,
    /// The quarantine's id, to restore it by; none for a dry run and where nothing was taken.
    pub id: Option<String>,
    /// What was taken out, or would be.
    pub secrets: Vec<TakenSecret>,
    /// How many findings were left because they are not certain.
    pub left: u64,
    /// The change as a diff with every value masked.
    pub diff: Option<String>,
    /// Why the file was left as it is.
    pub error: Option<String>,
    /// What helps.
    pub hint: Option<String>,
}

/// One secret that was taken out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct TakenSecret {
    /// What it is.
    pub kind: String,
    /// How sure: `certain` or `likely`.
    pub class: String,
    /// The key that it was the value of.
    pub key: Option<String>,
    /// The credential that has it now.
    pub credential: String,
    /// The same for the same secret, on this machine.
    pub fingerprint: String,
    /// Whether the gateway can stand in for it; otherwise it is released as it is, and only by a grant.
    pub route: Option<String>,
    /// What a grant for it may say, `ISSUER:SCOPES`: what tools usually need of it.
    pub want: String,
    /// Where a person revokes it at its issuer: it has been in a file.
    pub revoke: Option<String>,
    /// A decoy stands in its place and no reference: nothing comes of it.
    #[serde(default)]
    pub decoy: bool,
    /// Why no decoy could be left where one was asked for; a reference stands there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_decoy: Option<String>,
}

/// One quarantined file.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Item {
    /// Its id.
    pub id: String,
    /// The file.
    pub path: String,
    /// When (RFC 3339).
    pub taken_at: String,
    /// `quarantined`, `restored` or `open` (a crash cut it off; it is settled as soon as the store is open).
    pub state: String,
    /// What was taken out.
    pub secrets: Vec<ItemSecret>,
}

/// One secret of a quarantined file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ItemSecret {
    /// What it is.
    pub kind: String,
    /// The credential that has it.
    pub credential: String,
    /// What may be shown of it.
    pub mask: String,
    /// The same for the same secret, on this machine.
    pub fingerprint: String,
    /// Where a person revokes it.
    pub revoke: Option<String>,
    /// A decoy stands in its place.
    #[serde(default)]
    pub decoy: bool,
}

/// A quarantined file with the change that was made to it.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ItemDiff {
    /// Its id.
    pub id: String,
    /// The change, with every value masked.
    pub diff: String,
}

/// The answer to a restore.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Restored {
    /// Its id.
    pub id: String,
    /// The file.
    pub path: String,
    /// Whether it has the very bytes again that it had.
    pub identical: bool,
    /// The credentials whose references had gone from the file, so that there was nothing to fill.
    pub missing: Vec<String>,
}

/// `POST /v1/quarantine/{id}/purge`.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Purge {
    /// Even though its reference still stands in the file.
    #[serde(default)]
    pub force: bool,
}

/// A secret that the watcher saw and that is still in its file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Finding {
    /// The file.
    pub path: String,
    /// The first byte of the value.
    pub start: u64,
    /// The byte after its last.
    pub end: u64,
    /// The line that it begins on, from 1.
    pub line: u64,
    /// What it is.
    pub kind: String,
    /// How sure: `certain` or `likely`.
    pub class: String,
    /// The key that it is the value of.
    pub key: Option<String>,
    /// The same for the same secret, on this machine.
    pub fingerprint: String,
    /// When it was seen first (RFC 3339).
    pub seen_at: String,
    /// Why it is still there: the folder's mode, or what went wrong.
    pub note: String,
}
