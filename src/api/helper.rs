//! Helpers on the wire: what each tool gets, and one tool's question.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::SecretText;
use crate::scope::Wanted;

/// What a tool gets for a place: a `[[helper]]` of the config.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Helper {
    /// The tool, or `*` for any.
    pub tool: String,
    /// What the tool asks for: a URL, whose last part may be `*` for all that is below; or `profile:NAME`,
    /// `audience:NAME`, `cluster:URL` for tools that name no URL.
    pub url: String,
    /// Issuer, scopes and resources. The scope `release` hands out the credential itself.
    pub want: Wanted,
    /// The user name that goes with it, where the tool's contract has one; for `aws` the access key's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
}

/// `POST /v1/helpers/remove`.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoveHelper {
    /// The tool, as it is listed.
    pub tool: String,
    /// What it asks for, as it is listed.
    pub url: String,
}

/// `POST /v1/helper`: a tool asks for what it needs.
#[derive(Clone, Debug, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HelperRequest {
    /// The tool.
    pub tool: String,
    /// What it asks for, as it names it.
    pub url: String,
    /// What it is about to do, such as `read` or `publish`. Where the issuer has a scope of this name, and the want
    /// covers it, that is the only scope.
    #[serde(default)]
    pub operation: Option<String>,
    /// The user name that it has already.
    #[serde(default)]
    pub username: Option<String>,
    /// To what it is about to do it, such as `acme/web`: only that of the want's resources.
    #[serde(default)]
    pub resource: Option<String>,
    /// What is wanted, instead of what the config says. Policy decides all the same.
    #[serde(default)]
    pub want: Option<Wanted>,
    /// The place that `want` is for, as a `[[helper]]` would say it. A tool that speaks to many hosts has to say so
    /// where no entry covers what it asks for: else whoever names a host gets what is wanted.
    #[serde(rename = "for", default)]
    pub place: Option<String>,
    /// Who asks, for a caller that nothing else names.
    #[serde(rename = "as", default)]
    pub claim: Option<String>,
    /// How long to wait for a human's approval, in seconds; the config's time where nothing is said.
    #[serde(default)]
    pub wait_seconds: Option<u64>,
}

/// What the tool gets.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct HelperAnswer {
    /// Whether it is a token or the credential itself.
    pub kind: Given,
    /// The token, or the credential.
    pub secret: SecretText,
    /// What belongs to the token, where an issuer gave several strings.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parts: BTreeMap<String, SecretText>,
    /// The user name that goes with it: the config's, else the tool's own.
    pub username: Option<String>,
    /// When it ends (RFC 3339); a credential does not.
    pub expires_at: Option<String>,
    /// The base URL to use it at, where it is a token.
    pub base_url: Option<String>,
    /// How it goes into a request's header, where it does.
    pub header: Option<Header>,
    /// Its issuer.
    pub issuer: String,
    /// Its lease, where it is a token.
    pub lease: Option<String>,
    /// What the answer holds for: `for`, or the `url` of the config's entry.
    pub url: Option<String>,
}

/// What was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Given {
    /// A hallpass token, which works only at the gateway.
    Gateway,
    /// The issuer's own token, which ends by itself.
    Native,
    /// The credential as it is: it does not expire.
    Static,
}

/// A header that carries it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Header {
    /// The header's name.
    pub name: String,
    /// What stands before it, such as `Bearer `.
    pub prefix: String,
    /// It goes there in base64 (RFC 7617).
    pub base64: bool,
}
