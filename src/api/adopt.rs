//! Adopt on the wire. Nothing here holds a secret.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{helper::Helper, quarantine::Restored};

/// `POST /v1/adopt`: files in which each key becomes a call.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AdoptFiles {
    /// The files, with the tools whose they are.
    pub files: Vec<ToolFile>,
    /// The program that the tools will call, absolute.
    pub program: String,
    /// Only say what would be done.
    #[serde(default)]
    pub dry_run: bool,
}

/// A file of a tool.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ToolFile {
    /// Absolute.
    pub path: String,
    /// The surface's name.
    pub tool: String,
    /// The catalogue's paths of links and of the tool's other files, as they are for this person.
    #[serde(default)]
    pub paths: BTreeMap<String, String>,
}

/// What became of one file.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct AdoptedFile {
    /// The file.
    pub path: String,
    /// The surface's name.
    pub tool: String,
    /// The places with a key.
    pub places: Vec<Place>,
    /// The change as a diff with every value masked.
    pub diff: String,
    /// Whether the tool sees it without a restart; nothing where that is not known.
    pub reloads: Option<bool>,
    /// Why the file, or the rest of it, was left as it is.
    pub error: Option<String>,
    /// What helps.
    pub hint: Option<String>,
}

/// One key in a file and what becomes of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Place {
    /// Where, as a JSON pointer.
    pub at: String,
    /// What the key is.
    pub kind: String,
    /// The credential that it becomes.
    pub credential: String,
    /// What replaces it: `helper`, `headers`, `mcp-wrap`, `mcp-bridge`, `rendered-file`, `exec`,
    /// `release` or `contract`; nothing where it stays.
    pub with: Option<String>,
    /// What the tool may then have: `ISSUER:SCOPES`. The scope `release` is the credential itself.
    pub want: Option<String>,
    /// Whom the grant is for.
    pub principal: Option<String>,
    /// What hallpass's own config says of it from now on, where the tool names what it asks for.
    pub helper: Option<Helper>,
    /// The link to hallpass that the tool looks for, absolute: whoever asks for this makes it first.
    pub link: Option<String>,
    /// The program that has to be started through `hallpass exec` from now on.
    pub start: Option<String>,
    /// Why it stays.
    pub why: Option<String>,
}

/// An adopted place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Adopted {
    /// The quarantine's id.
    pub id: String,
    /// The surface's name.
    pub tool: String,
    /// The file.
    pub path: String,
    /// Where, as a JSON pointer.
    pub at: String,
    /// What the tool asks for.
    pub want: String,
    /// A shell command that asks as the tool does; empty where another place has it.
    pub check: String,
    /// What replaced the key; empty for what was adopted by an earlier version.
    pub with: String,
}

/// `POST /v1/adopt/undo`: every file as it was.
#[derive(Clone, Debug, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Undo {
    /// Only of this tool.
    #[serde(default)]
    pub tool: Option<String>,
}

/// What an undo did with one file.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Undone {
    /// The file.
    pub path: String,
    /// What was put back.
    pub restored: Option<Restored>,
    /// Why it was not.
    pub error: Option<String>,
    /// What helps.
    pub hint: Option<String>,
}
