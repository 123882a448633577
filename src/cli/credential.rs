//! `hallpass credential`: the long-lived secrets. A value is never an argument.

use clap::{Args, Subcommand};

use super::{
    context::Context,
    input, output,
    table::{Rows, facts},
    when,
};
use crate::{
    api::{
        Done, List,
        credential::{AddCredential, Credential, RenameCredential, RevealCredential, Revealed, RotateCredential},
    },
    client::segment,
    error::Result,
};

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Put a credential into the store: from a hidden prompt, standard input, or --fd
    Add(Add),
    /// All credentials, without their values
    List,
    /// What is known of one credential; never its value
    Show {
        /// Its name
        name: String,
    },
    /// Print a credential's value; asks first, and is recorded
    Reveal(Reveal),
    /// Give a credential another name
    Rename {
        /// Its name
        name: String,
        /// Its new name
        to: String,
    },
    /// Replace a credential's value: from a hidden prompt, standard input, or --fd
    Rotate {
        /// Its name
        name: String,
        /// Read the value from this file descriptor
        #[arg(long)]
        fd: Option<i32>,
    },
    /// Remove a credential; tokens that need it end
    Remove {
        /// Its name
        name: String,
    },
}

#[derive(Debug, Args)]
pub struct Add {
    /// A new name, such as openai or github-work
    name: String,
    /// The route it is the key of, where the name is not the route's own
    #[arg(long)]
    route: Option<String>,
    /// The upstream, where it is not the route's own (a tenant, a self-hosted server)
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
    /// The human who owns it; you, where nothing is said
    #[arg(long)]
    owner: Option<String>,
    /// Read the value from this file descriptor
    #[arg(long)]
    fd: Option<i32>,
}

#[derive(Debug, Args)]
pub struct Reveal {
    /// Its name
    name: String,
    /// Why; goes into the audit log
    #[arg(long)]
    reason: Option<String>,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

pub fn run(cx: &Context, verb: Verb) -> Result<u8> {
    match verb {
        Verb::Add(args) => add(cx, args),
        Verb::List => cx.get("/v1/credentials", |list: &List<Credential>| render_list(list, when::now())),
        Verb::Show { name } => cx.get(&path(&name, ""), |one| render(one, when::now())),
        Verb::Reveal(args) => reveal(cx, args),
        Verb::Rename { name, to } => cx.post(&path(&name, "/rename"), &RenameCredential { to }, |c: &Credential| {
            format!("{name} is {} now", c.name)
        }),
        Verb::Rotate { name, fd } => {
            let given = input::secret(&format!("new value of {name}"), fd)?;
            let body = RotateCredential { value: given.value };
            cx.post(&path(&name, "/rotate"), &body, |c: &Credential| format!("{} has a new value", c.name))
        }
        Verb::Remove { name } => cx.delete(&path(&name, ""), |_: &Done| format!("{name} is removed")),
    }
}

fn add(cx: &Context, args: Add) -> Result<u8> {
    let given = input::secret(&format!("value of {}", args.name), args.fd)?;
    let body = AddCredential {
        name: args.name,
        value: given.value,
        route: args.route,
        base_url: args.base_url,
        owner: args.owner,
        source: Some(given.source.into()),
    };
    cx.post("/v1/credentials", &body, |c: &Credential| match c.issuers.first() {
        Some(issuer) => format!(
            "{} is kept; `hallpass route show {issuer}` lists what a token may do, `hallpass grant add` allows it",
            c.name
        ),
        None => format!("{} is kept; no route uses it yet (`hallpass route list`)", c.name),
    })
}

fn reveal(cx: &Context, args: Reveal) -> Result<u8> {
    if !args.yes {
        // A name that is not there is better said before the question than after it.
        cx.client()?.get::<Credential>(&path(&args.name, ""))?;
    }
    input::confirm(&format!("Show the value of {} here? This is recorded.", args.name), args.yes)?;
    let body = RevealCredential { reason: args.reason };
    let path = path(&args.name, "/reveal");
    if cx.json {
        return cx.post(&path, &body, |_: &Revealed| String::new());
    }
    let shown: Revealed = cx.client()?.post(&path, &body)?;
    output::line(shown.value.expose())?;
    Ok(0)
}

fn path(name: &str, rest: &str) -> String {
    format!("/v1/credentials/{}{rest}", segment(name))
}

fn render_list(list: &List<Credential>, now: jiff::Timestamp) -> String {
    let mut rows = Rows::new(&["name", "used by", "owner", "added", "last used"]);
    for c in &list.items {
        let added = when::relative(&c.created_at, now);
        let used = when::relative_or(c.last_used_at.as_deref(), "never", now);
        rows.row(&[&c.name, &c.issuers.join(", "), &c.owner, &added, &used]);
    }
    rows.render("no credentials yet; `hallpass credential add openai` adds one")
}

fn render(c: &Credential, now: jiff::Timestamp) -> String {
    let mut rows = vec![
        ("name", c.name.clone()),
        ("used by", c.issuers.join(", ")),
        ("owner", c.owner.clone()),
        ("source", c.source.clone()),
        ("length", format!("{} bytes", c.length)),
        ("added", when::relative(&c.created_at, now)),
        ("rotated", when::relative_or(c.rotated_at.as_deref(), "never", now)),
        ("last used", when::relative_or(c.last_used_at.as_deref(), "never", now)),
    ];
    rows.extend(c.kind.as_ref().map(|kind| ("kind", kind.clone())));
    rows.extend(c.revoked_at.as_ref().map(|at| ("revoked at its issuer", when::relative(at, now))));
    facts(&rows)
}
