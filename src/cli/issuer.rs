//! `hallpass issuer`: how credentials become tokens.

use std::collections::BTreeMap;

use clap::{Args, Subcommand, ValueEnum};

use super::{
    context::Context,
    output::safe,
    table::{Rows, facts},
    when,
};
use crate::{
    api::{
        Done, List,
        issuer::{AddIssuer, Issuer},
        problem::Code,
    },
    client::segment,
    error::{Error, Result},
    issuer::{Narrowed, Native, github_app, oauth},
};

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// All issuers
    List,
    /// One issuer: what its tokens can be narrowed to, how long they live, whether they can be revoked
    Show {
        /// Its name
        name: String,
    },
    /// Add an issuer whose own server mints
    #[command(subcommand)]
    Add(Box<Add>),
    /// Remove an issuer; its credential stays
    Remove {
        /// Its name
        name: String,
    },
}

#[derive(Debug, Subcommand)]
pub enum Add {
    /// An OAuth 2.0 authorization server, by a client's credentials
    Oauth(OAuth),
    /// A GitHub App's installation: tokens for named repositories and permissions
    GithubApp(GithubApp),
}

#[derive(Debug, Args)]
pub struct OAuth {
    /// A new name
    name: String,
    /// The token endpoint
    #[arg(long, value_name = "URL")]
    token_url: String,
    /// The client's id; its secret or private key is the credential
    #[arg(long)]
    client_id: String,
    /// The credential; the one with the issuer's name where nothing is said
    #[arg(long, value_name = "NAME")]
    credential: Option<String>,
    /// How the client proves itself
    #[arg(long, value_enum, default_value_t = Proof::ClientSecretBasic)]
    auth: Proof,
    /// The revocation endpoint; without it a token lives to its end
    #[arg(long, value_name = "URL")]
    revocation_url: Option<String>,
    /// Whom an assertion is for: the server's issuer identifier
    #[arg(long, value_name = "URL")]
    audience: Option<String>,
    /// The id of the key that signs assertions
    #[arg(long)]
    kid: Option<String>,
    /// The resource indicator, such as https://api.example.com/{resource}
    #[arg(long, value_name = "URL")]
    resource: Option<String>,
    /// A scope, as NAME=WORDS in the server's words; may be given again. Without any, scopes are sent as they are
    #[arg(long = "scope", value_name = "NAME=WORDS")]
    scopes: Vec<String>,
    /// Take an answer that names no scope for what was asked
    #[arg(long)]
    trust_omitted_scope: bool,
    /// A variable that tools read the token from; may be given again
    #[arg(long, value_name = "NAME")]
    env: Vec<String>,
    /// Allow a server on this machine or in a private network, and plain http to it
    #[arg(long)]
    allow_private: bool,
}

/// The words of OAuth's registry.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Proof {
    #[value(name = "client_secret_basic")]
    ClientSecretBasic,
    #[value(name = "client_secret_post")]
    ClientSecretPost,
    #[value(name = "private_key_jwt")]
    PrivateKeyJwt,
}

#[derive(Debug, Args)]
pub struct GithubApp {
    /// A new name
    name: String,
    /// The App's client id or number; its private key in PEM is the credential
    #[arg(long)]
    client_id: String,
    /// The installation's number: the last part of the address of its settings page
    #[arg(long)]
    installation_id: u64,
    /// The credential; the one with the issuer's name where nothing is said
    #[arg(long, value_name = "NAME")]
    credential: Option<String>,
    /// The API's URL; a GitHub Enterprise Server's ends in /api/v3
    #[arg(long, value_name = "URL", default_value = "https://api.github.com")]
    base_url: String,
    /// A variable that tools read the token from; GITHUB_TOKEN and GH_TOKEN where nothing is said
    #[arg(long, value_name = "NAME")]
    env: Vec<String>,
    /// Allow a server on this machine or in a private network, and plain http to it
    #[arg(long)]
    allow_private: bool,
}

pub fn run(cx: &Context, verb: Verb) -> Result<u8> {
    match verb {
        Verb::List => cx.get("/v1/issuers", render_list),
        Verb::Show { name } => cx.get(&format!("/v1/issuers/{}", segment(&name)), render),
        Verb::Add(kind) => {
            let body = match *kind {
                Add::Oauth(a) => oauth(a)?,
                Add::GithubApp(a) => github_app(a),
            };
            cx.post("/v1/issuers", &body, |issuer: &Issuer| {
                let name = safe(&issuer.name);
                format!(
                    "issuer {name} is added\n\nhallpass grant add PRINCIPAL '{name}:SCOPE' says who may ask it for what"
                )
            })
        }
        Verb::Remove { name } => {
            cx.delete(&format!("/v1/issuers/{}", segment(&name)), |_: &Done| format!("issuer {name} is removed"))
        }
    }
}

fn oauth(a: OAuth) -> Result<AddIssuer> {
    let mut scopes = BTreeMap::new();
    for text in &a.scopes {
        let pair = text.split_once('=').filter(|(name, words)| !name.is_empty() && !words.trim().is_empty());
        let (name, words) = pair.ok_or_else(|| {
            Error::new(Code::Usage, format!("--scope {text:?} names no words of the server"))
                .hint("--scope 'contacts:read=https://example.com/auth/contacts.readonly'")
        })?;
        scopes.insert(name.to_owned(), words.trim().to_owned());
    }
    let settings = oauth::Settings {
        token_url: a.token_url,
        client_id: a.client_id,
        auth: match a.auth {
            Proof::ClientSecretBasic => oauth::ClientAuth::ClientSecretBasic,
            Proof::ClientSecretPost => oauth::ClientAuth::ClientSecretPost,
            Proof::PrivateKeyJwt => oauth::ClientAuth::PrivateKeyJwt,
        },
        revocation_url: a.revocation_url,
        audience: a.audience,
        kid: a.kid,
        resource: a.resource,
        scopes,
        trust_omitted_scope: a.trust_omitted_scope,
        env: a.env,
        allow_private: a.allow_private,
    };
    Ok(AddIssuer { name: a.name, credential: a.credential, settings: Native::OAuth(settings) })
}

fn github_app(a: GithubApp) -> AddIssuer {
    let settings = github_app::Settings {
        client_id: a.client_id,
        installation_id: a.installation_id,
        base_url: a.base_url.trim_end_matches('/').to_owned(),
        env: if a.env.is_empty() { github_app::variables() } else { a.env },
        allow_private: a.allow_private,
    };
    AddIssuer { name: a.name, credential: a.credential, settings: Native::GithubApp(settings) }
}

fn render_list(list: &List<Issuer>) -> String {
    let mut rows = Rows::new(&["name", "kind", "tokens from", "credential"]);
    for issuer in &list.items {
        rows.row(&[&issuer.name, &issuer.kind, &tokens_from(issuer), &proof(issuer)]);
    }
    rows.render("no issuers; hallpass credential add NAME makes one")
}

fn tokens_from(issuer: &Issuer) -> String {
    match (&issuer.host, &issuer.route) {
        (Some(host), _) => host.clone(),
        (None, Some(route)) => format!("the gateway, route {route}"),
        (None, None) => "none: the credential itself is released".into(),
    }
}

fn proof(issuer: &Issuer) -> String {
    issuer.credential.clone().unwrap_or_else(|| "none: this device's identity".into())
}

fn narrowed(issuer: &Issuer) -> String {
    let Some(narrows) = &issuer.narrows else { return String::new() };
    let of = |what: Narrowed| {
        let all = [("scope", narrows.scope), ("resource", narrows.resource), ("life", narrows.life)];
        all.into_iter().filter(|(_, by)| *by == what).map(|(name, _)| name).collect::<Vec<_>>().join(", ")
    };
    let parts = [("for each token", Narrowed::Token), ("at the issuer, for all", Narrowed::Issuer), ("never", Narrowed::Never)];
    let parts = parts.into_iter().map(|(text, by)| (text, of(by))).filter(|(_, names)| !names.is_empty());
    parts.map(|(text, names)| format!("{names}: {text}")).collect::<Vec<_>>().join("; ")
}

fn render(issuer: &Issuer) -> String {
    let life = match (issuer.least_seconds, issuer.most_seconds) {
        (Some(least), Some(most)) if least == most => format!("{}, always", when::length(least)),
        (_, Some(most)) => format!("up to {}", when::length(most)),
        _ if issuer.host.is_some() => "its server decides".into(),
        _ => "it does not end".into(),
    };
    let end = match (issuer.revocable, &issuer.host) {
        (true, Some(_)) => "yes: hallpass revokes its tokens at its server when their leases end",
        (true, None) => "yes",
        (false, _) => "no: a token lives to its end, whatever becomes of its lease",
    };
    let scopes = if issuer.scopes.is_empty() { "any: sent as they are".into() } else { issuer.scopes.join(", ") };
    facts(&[
        ("name", issuer.name.clone()),
        ("kind", issuer.kind.clone()),
        ("tokens from", tokens_from(issuer)),
        ("credential", proof(issuer)),
        ("variables", issuer.env.join(", ")),
        ("life", life),
        ("narrowed", narrowed(issuer)),
        ("can be revoked", end.into()),
        ("scopes", scopes),
    ])
}
