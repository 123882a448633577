//! `hallpass principal`: who may ask.

use clap::{Args, Subcommand};

use super::{
    context::Context,
    table::{Rows, facts},
    when,
};
use crate::{
    api::{
        Done, List,
        principal::{AddPrincipal, Principal},
    },
    client::segment,
    error::Result,
    principal::Kind,
};

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Register a principal
    Add(Add),
    /// All registered principals
    List,
    /// One principal
    Show {
        /// Its name
        name: String,
    },
    /// Disable a principal; its tokens end now
    Disable {
        /// Its name
        name: String,
    },
    /// Enable a principal again
    Enable {
        /// Its name
        name: String,
    },
    /// Remove a principal; its tokens end now
    Remove {
        /// Its name
        name: String,
    },
}

#[derive(Debug, Args)]
pub struct Add {
    /// A new name, such as triage-bot
    name: String,
    /// human, assistant, agent, mcp-server or service
    #[arg(long, default_value = "agent")]
    kind: Kind,
    /// The human who owns it; you, where nothing is said
    #[arg(long)]
    owner: Option<String>,
    /// What it is for
    #[arg(long)]
    description: Option<String>,
}

pub fn run(cx: &Context, verb: Verb) -> Result<u8> {
    match verb {
        Verb::Add(Add { name, kind, owner, description }) => {
            let body = AddPrincipal { name, kind, owner, description };
            cx.post("/v1/principals", &body, |p: &Principal| {
                format!("{} is registered; `hallpass grant add {} ISSUER:SCOPE` allows it something", p.name, p.name)
            })
        }
        Verb::List => cx.get("/v1/principals", |list: &List<Principal>| render_list(list, when::now())),
        Verb::Show { name } => cx.get(&path(&name, ""), |one| render(one, when::now())),
        Verb::Disable { name } => {
            cx.post(&path(&name, "/disable"), &(), |p: &Principal| format!("{} is disabled; its tokens ended", p.name))
        }
        Verb::Enable { name } => {
            cx.post(&path(&name, "/enable"), &(), |p: &Principal| format!("{} is enabled", p.name))
        }
        Verb::Remove { name } => cx.delete(&path(&name, ""), |_: &Done| {
            format!("{name} is removed; its tokens ended, and its grants are removed with it")
        }),
    }
}

fn path(name: &str, rest: &str) -> String {
    format!("/v1/principals/{}{rest}", segment(name))
}

fn state(p: &Principal) -> &'static str {
    if p.disabled { "disabled" } else { "enabled" }
}

fn render_list(list: &List<Principal>, now: jiff::Timestamp) -> String {
    let mut rows = Rows::new(&["name", "kind", "owner", "state", "last seen", "for"]);
    for p in &list.items {
        let seen = when::relative_or(p.last_seen_at.as_deref(), "never", now);
        rows.row(&[&p.name, p.kind.word(), &p.owner, state(p), &seen, p.description.as_deref().unwrap_or_default()]);
    }
    rows.render("no principals yet; `hallpass principal add triage-bot` registers one")
}

fn render(p: &Principal, now: jiff::Timestamp) -> String {
    facts(&[
        ("name", p.name.clone()),
        ("kind", p.kind.word().into()),
        ("owner", p.owner.clone()),
        ("for", p.description.clone().unwrap_or_default()),
        ("state", state(p).into()),
        ("registered", when::relative(&p.created_at, now)),
        ("last seen", when::relative_or(p.last_seen_at.as_deref(), "never", now)),
    ])
}
