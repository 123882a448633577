//! The config: issuers, grants, routes, rules and settings, as the daemon uses them.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use crate::{api::credential::StoreKind, gateway::catalogue::Route, policy::Grant, principal::Rule};

/// A validated config.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where credentials rest.
    pub store: StoreConfig,
    /// The gateway's stable TCP port; chosen at the first start and written back.
    pub gateway_port: Option<u16>,
    /// Whether a client may start the daemon.
    pub autostart: bool,
    /// How long a request for approval waits before it is denied.
    pub approval_timeout: Duration,
    /// Issuers by name; one for each credential that has a route.
    pub issuers: BTreeMap<String, Issuer>,
    /// All grants.
    pub grants: Vec<Grant>,
    /// Routes of the user's own; they win over built-in ones of the same name.
    pub routes: Vec<Route>,
    /// Rules that name assistants, on top of the built-in ones.
    pub assistants: Vec<Rule>,
}

/// The chosen store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreConfig {
    /// Which.
    pub kind: StoreKind,
    /// The `file` store's file; the default place where nothing is said.
    pub file: Option<PathBuf>,
    /// The age identity file that opens the `file` store without a passphrase.
    pub identity: Option<PathBuf>,
    /// How long a credential that was read stays in the daemon's locked memory.
    pub cache: Duration,
    /// How long one call to the store may take.
    pub deadline: Duration,
}

/// A configured way to turn a credential into short-lived tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    /// Its kind.
    pub kind: IssuerKind,
    /// The credential behind it.
    pub credential: String,
}

/// What an issuer is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IssuerKind {
    /// The gateway: a hallpass token that is swapped for the credential on each allowed request.
    Gateway {
        /// The route.
        route: String,
        /// The upstream, where it is not the route's own.
        base_url: Option<String>,
    },
}
