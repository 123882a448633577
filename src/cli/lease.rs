//! `hallpass lease`: the record of issued tokens.

use clap::{Args, Subcommand};

use super::{
    context::Context,
    input,
    table::{Rows, facts},
    task, when,
};
use crate::{
    api::{
        List,
        lease::{Lease, Prove, Proved, Revoke, Revoked},
        problem::Code,
    },
    client::segment,
    error::{Error, Result},
    scope::Wanted,
};

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Leases whose token works
    List {
        /// Ended ones too
        #[arg(long)]
        all: bool,
    },
    /// One lease
    Show {
        /// Its id
        id: String,
    },
    /// End a lease and all that was narrowed from it
    Revoke(RevokeArgs),
    /// Prove one request with a token that is bound to a key: the value of its header DPoP (RFC 9449)
    Prove {
        /// The lease's id
        id: String,
        /// The request's method
        #[arg(long, default_value = "GET")]
        method: String,
        /// The request's URL
        #[arg(long)]
        url: String,
        /// The nonce that the server gave, where it gave one
        #[arg(long)]
        nonce: Option<String>,
    },
}

#[derive(Debug, Args)]
pub struct RevokeArgs {
    /// Its id
    #[arg(required_unless_present = "token", conflicts_with = "token")]
    id: Option<String>,
    /// End the lease of the token on standard input
    #[arg(long)]
    token: bool,
}

pub fn run(cx: &Context, verb: Verb) -> Result<u8> {
    match verb {
        Verb::List { all } => {
            cx.list("/v1/leases", |lease| all || lease["live"] == true, |list| render_list(list, when::now()))
        }
        Verb::Show { id } => cx.get(&path(&id, ""), |lease| render(lease, when::now())),
        Verb::Revoke(RevokeArgs { id: Some(id), .. }) => cx.post(&path(&id, "/revoke"), &(), say),
        Verb::Revoke(RevokeArgs { token: true, .. }) => {
            cx.post("/v1/revoke", &Revoke { token: input::secret("token", None)?.value }, say)
        }
        Verb::Prove { id, method, url, nonce } => {
            cx.post(&path(&id, "/proof"), &Prove { method, url, nonce }, |proved: &Proved| proved.proof.clone())
        }
        Verb::Revoke(_) => Err(Error::new(Code::Usage, "say which lease").hint("`hallpass lease list` shows them")),
    }
}

fn path(id: &str, rest: &str) -> String {
    format!("/v1/leases/{}{rest}", segment(id))
}

fn say(revoked: &Revoked) -> String {
    match revoked.leases.as_slice() {
        [] => "it had ended before".into(),
        [one] => format!("{} has ended", super::output::safe(one)),
        [one, rest @ ..] => format!("{} has ended, and {} narrowed from it", super::output::safe(one), rest.len()),
    }
}

fn what(lease: &Lease) -> String {
    Wanted { issuer: lease.issuer.clone(), scopes: lease.scopes.clone(), resources: lease.resources.clone() }
        .to_string()
}

fn ends(lease: &Lease, now: jiff::Timestamp) -> String {
    match (&lease.ended_at, lease.end_reason) {
        (Some(at), Some(reason)) => format!("{}, {}", when::relative(at, now), task::word(reason)),
        (Some(at), None) => when::relative(at, now),
        (None, _) => when::relative(&lease.expires_at, now),
    }
}

fn render_list(list: &List<Lease>, now: jiff::Timestamp) -> String {
    let mut rows = Rows::new(&["id", "principal", "may do", "task", "issued", "ends", "uses left"]);
    for lease in &list.items {
        let uses = lease.uses_left.map(|left| left.to_string()).unwrap_or_default();
        let (issued, ends) = (when::relative(&lease.issued_at, now), ends(lease, now));
        let task = lease.task.as_deref().unwrap_or_default();
        rows.row(&[&lease.id, &lease.principal, &what(lease), task, &issued, &ends, &uses]);
    }
    rows.render("no live tokens")
}

fn render(lease: &Lease, now: jiff::Timestamp) -> String {
    let upstream = lease.upstream_expires_at.as_deref().map(|at| when::relative(at, now)).unwrap_or_default();
    facts(&[
        ("id", lease.id.clone()),
        ("works", if lease.live { "yes".into() } else { "no".into() }),
        ("principal", lease.principal.clone()),
        ("may do", what(lease)),
        ("task", lease.task.clone().unwrap_or_default()),
        ("issued", when::relative(&lease.issued_at, now)),
        ("ends", ends(lease, now)),
        ("upstream's ends", upstream),
        ("revocable", if lease.revocable { "yes".into() } else { "no".into() }),
        ("uses left", lease.uses_left.map(|left| left.to_string()).unwrap_or_default()),
        ("rate", lease.rate.map(|rate| rate.to_string()).unwrap_or_default()),
        ("narrowed from", lease.parent.clone().unwrap_or_default()),
        ("allowed by", lease.grants.join(", ")),
    ])
}
