//! Credentials on the wire, and the store they rest in.

use serde::{Deserialize, Serialize};

use super::SecretText;

/// What is known of a credential; never its value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Credential {
    /// Its name.
    pub name: String,
    /// The human who owns it.
    pub owner: String,
    /// Where it came from: `stdin`, `prompt`, `fd`, `api`, or the file it was found in.
    pub source: String,
    /// When it was added (RFC 3339).
    pub created_at: String,
    /// When its value was last replaced (RFC 3339).
    pub rotated_at: Option<String>,
    /// When it was last used for a request or a token (RFC 3339).
    pub last_used_at: Option<String>,
    /// The length of its value in bytes.
    pub length: u64,
    /// What it is, where it came out of a file: the detection rule's name.
    #[serde(default)]
    pub kind: Option<String>,
    /// When its value was revoked at its issuer (RFC 3339).
    #[serde(default)]
    pub revoked_at: Option<String>,
    /// The issuers that use it.
    pub issuers: Vec<String>,
}

/// `POST /v1/credentials`.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddCredential {
    /// A new name: lower case letters, digits, `.`, `_` and `-`.
    pub name: String,
    /// The value. For a route with basic authentication: `user:password`.
    pub value: SecretText,
    /// The route it is the key of; the route with the same name where nothing is said. An issuer with
    /// the credential's name is made for it.
    #[serde(default)]
    pub route: Option<String>,
    /// The upstream, where it is not the route's own: a tenant's or a self-hosted server's URL.
    #[serde(default)]
    pub base_url: Option<String>,
    /// The human who owns it; the caller's user name where nothing is said.
    #[serde(default)]
    pub owner: Option<String>,
    /// Where it came from.
    #[serde(default)]
    pub source: Option<String>,
}

/// `POST /v1/credentials/{name}/rotate`.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RotateCredential {
    /// The new value.
    pub value: SecretText,
}

/// `POST /v1/credentials/{name}/rename`.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RenameCredential {
    /// The new name.
    pub to: String,
}

/// `POST /v1/credentials/{name}/reveal`: the one way out of the store; audited, for humans only.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RevealCredential {
    /// Why; goes into the audit log.
    #[serde(default)]
    pub reason: Option<String>,
}

/// `POST /v1/credentials/{name}/revoke-upstream`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RevokeUpstream {
    /// Only say what would be done.
    #[serde(default)]
    pub dry_run: bool,
    /// The base URL of the issuer that the key belongs to. Needed where a server of one's own has the same keys and the
    /// config does not say whose this one is.
    #[serde(default)]
    pub base_url: Option<String>,
}

/// The answer to it.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct RevokedUpstream {
    /// The credential.
    pub name: String,
    /// What it is: the detection rule's name.
    pub kind: String,
    /// The request that the key is sent in: method and URL.
    pub request: String,
    /// What else ends with it.
    pub effect: String,
    /// Nothing says that it is a key of this base URL: it is sent there only when the request names it.
    pub assumed: Option<String>,
    /// The page where a person sees it.
    pub page: Option<String>,
    /// When it was revoked (RFC 3339); nothing for a dry run.
    pub revoked_at: Option<String>,
    /// How many leases ended with it.
    pub leases_ended: u64,
}

/// The answer to `reveal`.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Revealed {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: SecretText,
}

/// `POST /v1/store/unlock`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Unlock {
    /// The passphrase of a `file` store; a keyring asks by its own prompt.
    #[serde(default)]
    pub passphrase: Option<SecretText>,
}

/// The store and its state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct StoreStatus {
    /// Which store was chosen.
    pub kind: StoreKind,
    /// Its state.
    pub state: StoreState,
    /// Where it is, in words.
    pub place: String,
    /// What is wrong, and what to do.
    pub detail: Option<String>,
}

/// Where credentials rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum StoreKind {
    /// The operating system's: Secret Service, Keychain, Credential Manager.
    Keyring,
    /// One age-encrypted file.
    File,
    /// The daemon's memory; gone when it stops. For tests and the demo.
    Memory,
}

/// Whether the store can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum StoreState {
    /// It answers.
    Open,
    /// It is locked; `hallpass unlock` opens it.
    Locked,
    /// It cannot be reached.
    Unavailable,
    /// Nothing was stored or read yet, so nothing is known.
    Unknown,
}

impl StoreKind {
    /// The word in the config.
    pub fn word(self) -> &'static str {
        match self {
            Self::Keyring => "keyring",
            Self::File => "file",
            Self::Memory => "memory",
        }
    }
}

impl std::fmt::Display for StoreKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}
