//! Rendered files on the wire: files that the daemon keeps filled with a token.

use serde::{Deserialize, Serialize};

use crate::{render::Format, scope::Wanted};

/// A file that is kept filled: a `[[render]]` of the config. It has a `want` or a `helper`, never both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Render {
    /// Its name, and the file's.
    pub name: String,
    /// Issuer, scopes and resources. The scope `release` puts the credential itself into the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub want: Option<Wanted>,
    /// `aws:PROFILE` or `azure:RESOURCE`: a token for that helper's endpoint at the gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub helper: Option<String>,
    /// Who has it: nobody asks for a file, so it is said here. Its grants decide.
    #[serde(rename = "as")]
    pub principal: String,
    /// What is in the file.
    #[serde(default)]
    pub format: Format,
    /// The file's text, with `{token}` and the like in it; for the format `template`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// How long each of its tokens lives, in seconds; what the grants allow, at most 8 hours, where nothing is said.
    /// The file is written again when 80 % of that are over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_seconds: Option<u64>,
}

/// A rendered file as it is now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Rendered {
    /// What the config says.
    pub render: Render,
    /// Where the file is. It stays there.
    pub path: String,
    /// How it is.
    pub state: RenderState,
    /// The lease of the token in it.
    pub lease: Option<String>,
    /// When that token ends (RFC 3339).
    pub expires_at: Option<String>,
    /// When the file is written again (RFC 3339).
    pub renews_at: Option<String>,
    /// What is in the way of a fresh one.
    pub problem: Option<String>,
    /// What to do about that.
    pub hint: Option<String>,
}

/// How a rendered file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RenderState {
    /// It holds a token that works.
    Ready,
    /// It holds the credential itself, which does not expire.
    Static,
    /// It holds a token that works still, and could not be renewed.
    Stale,
    /// There is no file.
    Missing,
}
