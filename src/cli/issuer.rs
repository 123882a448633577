//! `hallpass issuer`: how credentials become tokens.

mod federation;
mod wizard;

use std::collections::BTreeMap;

use clap::{Args, Subcommand, ValueEnum};

use super::{
    context::Context,
    login, output,
    table::{Rows, facts},
    when,
};
use crate::{
    api::{
        Done, List,
        issuer::{AddIssuer, Issuer},
        lease::Inspected,
        login::{Discover, Discovered, LoggedOut, StartLogin},
        problem::Code,
    },
    client::segment,
    error::{Error, Result},
    issuer::{Narrowed, Native, github_app, oauth, oauth::register, split_url},
    scope::Wanted,
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
    /// Mint one token, which nobody gets, to see whether there is one
    Test {
        /// ISSUER:SCOPE or ISSUER:SCOPE@RESOURCE
        what: Wanted,
    },
    /// Sign in at an issuer's server: by a browser here, or by a code elsewhere
    Login {
        /// Its name
        name: String,
        /// A scope of the issuer that the login is for; may be given again. All that the config names where nothing is said
        #[arg(long = "scope", value_name = "SCOPE")]
        scopes: Vec<String>,
        #[command(flatten)]
        way: login::Way,
    },
    /// Sign out: end the login at its server and here, and every token of it
    Logout {
        /// Its name
        name: String,
    },
    /// Ask an issuer's server what it says of the token of a lease
    Inspect {
        /// The lease
        lease: String,
    },
    /// Print the document that makes its own https URL a client's id, for servers that take one: host it there
    ClientDocument {
        /// The URL at which you will host it
        url: String,
    },
    /// Remove an issuer; its credential stays
    Remove {
        /// Its name
        name: String,
    },
}

#[derive(Debug, Subcommand)]
pub enum Add {
    /// An OAuth 2.0 authorization server, by a client's credentials
    Oauth(Box<OAuth>),
    /// A GitHub App's installation: tokens for named repositories and permissions
    GithubApp(GithubApp),
    /// Anthropic, by this device's identity
    Anthropic(federation::Anthropic),
    /// OpenAI, by this device's identity
    #[command(name = "openai")]
    OpenAi(federation::OpenAi),
    /// OpenRouter, by this device's identity
    #[command(name = "openrouter")]
    OpenRouter(federation::OpenRouter),
    /// Google Cloud, by this device's identity
    Gcp(federation::Gcp),
    /// AWS: a role's credentials, by an access key or by this device's identity
    Aws(federation::Aws),
    /// Microsoft Entra: an application's token, by this device's certificate
    Entra(federation::Entra),
    /// OpenBao or Vault: tokens with fewer policies, or dynamic secrets
    Vault(federation::Vault),
    /// Assertions of this device, for an SDK that exchanges them itself
    Assertion(federation::Assertion),
}

#[derive(Debug, Args)]
pub struct OAuth {
    /// A new name
    name: String,
    /// The server's issuer identifier: its endpoints are read from its metadata (RFC 8414)
    #[arg(long, value_name = "URL", conflicts_with_all = ["protected_resource", "token_url"])]
    issuer: Option<String>,
    /// An API that says which server gives tokens for it (RFC 9728); the tokens are for that API
    #[arg(long, value_name = "URL", conflicts_with = "token_url")]
    protected_resource: Option<String>,
    /// The token endpoint, for a server that publishes no metadata
    #[arg(long, value_name = "URL")]
    token_url: Option<String>,
    /// A person signs in (`hallpass issuer login NAME`), instead of the client asking by its own right
    #[arg(long)]
    login: bool,
    #[command(flatten)]
    who: login::Who,
    /// The credential; the one with the issuer's name where nothing is said. With --login it is made by signing in
    #[arg(long, value_name = "NAME")]
    credential: Option<String>,
    /// How the client proves itself; what fits the server where nothing is said
    #[arg(long, value_enum)]
    auth: Option<Proof>,
    /// Where a person signs in by a browser
    #[arg(long, value_name = "URL", requires = "login")]
    authorization_url: Option<String>,
    /// Where a person's sign-in without a browser starts (RFC 8628)
    #[arg(long, value_name = "URL", requires = "login")]
    device_url: Option<String>,
    /// What the person is asked to agree to beside the words of --scope, such as offline_access; may be given again
    #[arg(long = "login-scope", value_name = "WORD", requires = "login")]
    login_scopes: Vec<String>,
    /// The port that the browser comes back to, for a server that knows only one
    #[arg(long, value_name = "PORT", requires = "login")]
    redirect_port: Option<u16>,
    /// The server ends one token and leaves the login alone: revoke each token with its lease
    #[arg(long, requires = "login")]
    revoke_access_tokens: bool,
    /// The revocation endpoint; without it a token lives to its end
    #[arg(long, value_name = "URL")]
    revocation_url: Option<String>,
    /// Where the server says what a token is worth (RFC 7662)
    #[arg(long, value_name = "URL")]
    introspection_url: Option<String>,
    /// Exchange each token for one that may do less before it is handed out (RFC 8693)
    #[arg(long)]
    exchange: bool,
    /// The service that the exchanged token is for, by the server's name for it
    #[arg(long, value_name = "NAME", requires = "exchange")]
    exchange_audience: Option<String>,
    /// Bind each token to a key of its own (RFC 9449); it is used by `mcp bridge`, or with `hallpass lease prove`
    #[arg(long)]
    dpop: bool,
    /// What is asked for beside scopes (RFC 9396): a JSON array, in which {resource} is the resource
    #[arg(long, value_name = "JSON")]
    authorization_details: Option<String>,
    /// Whom an assertion is for: the server's issuer identifier
    #[arg(long, value_name = "URL")]
    audience: Option<String>,
    /// The id of the key that signs assertions
    #[arg(long)]
    kid: Option<String>,
    /// The resource indicator, such as https://api.example.com/{resource}
    #[arg(long, value_name = "URL")]
    resource: Option<String>,
    /// A scope, as NAME=WORDS in the server's words; may be given again. Without any, scopes are sent as they are; NAME=
    /// asks for nothing, and takes what the server gives by itself
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

impl Proof {
    fn word(self) -> oauth::ClientAuth {
        match self {
            Self::ClientSecretBasic => oauth::ClientAuth::ClientSecretBasic,
            Self::ClientSecretPost => oauth::ClientAuth::ClientSecretPost,
            Self::PrivateKeyJwt => oauth::ClientAuth::PrivateKeyJwt,
        }
    }
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
            let (body, tried) = match *kind {
                Add::Oauth(a) => (oauth(cx, *a)?, None),
                Add::GithubApp(a) => (github_app(a), None),
                Add::Anthropic(a) => tried(a.common.wizard, a.scope.clone(), a.body(cx)?),
                Add::OpenAi(a) => tried(a.common.wizard, a.scope.clone(), a.body(cx)?),
                Add::OpenRouter(a) => tried(a.common.wizard, a.scope.clone(), a.body(cx)?),
                Add::Gcp(a) => tried(a.common.wizard, "cloud:read".into(), a.body(cx)?),
                Add::Aws(a) => (a.body(cx)?, None),
                Add::Entra(a) => (a.body(cx)?, None),
                Add::Vault(a) => (a.body(cx)?, None),
                Add::Assertion(a) => (a.body(cx)?, None),
            };
            let code = cx.post("/v1/issuers", &body, wizard::added)?;
            match tried {
                Some(what) => wizard::test(cx, what?),
                None => Ok(code),
            }
        }
        Verb::Test { what } => wizard::test(cx, what),
        Verb::Login { name, scopes, way } => {
            let body = StartLogin { scopes, how: way.how() };
            let started = cx.client()?.post(&format!("/v1/issuers/{}/login", segment(&name)), &body)?;
            let done = way.follow(cx, &started)?;
            cx.show(&done, login::done)
        }
        Verb::Logout { name } => logout(cx, &name),
        Verb::Inspect { lease } => {
            cx.post(&format!("/v1/leases/{}/inspect", segment(&lease)), &(), |found: &Inspected| {
                let works = if found.active { "yes" } else { "no: the server says that it is over" };
                facts(&[
                    ("works", works.into()),
                    ("may do", found.scope.clone().unwrap_or_default()),
                    ("for", found.audience.join(", ")),
                    ("until", found.expires_at.clone().unwrap_or_default()),
                ])
            })
        }
        Verb::ClientDocument { url } => {
            if !url.starts_with("https://") || split_url(&url).is_none_or(|(_, path)| path == "/") {
                return Err(Error::new(Code::InvalidValue, "the document's URL is https and has a path")
                    .hint("hallpass issuer client-document https://you.example.com/hallpass.json"));
            }
            output::json(&register::document(Some(&url), oauth::ClientAuth::None)).map(|()| 0)
        }
        Verb::Remove { name } => {
            cx.delete(&format!("/v1/issuers/{}", segment(&name)), |_: &Done| format!("issuer {name} is removed"))
        }
    }
}

/// What a wizard tries once the issuer is there.
fn tried(wizard: bool, scope: String, body: AddIssuer) -> (AddIssuer, Option<Result<Wanted>>) {
    let what = format!("{}:{scope}", body.name);
    let parsed = || what.parse().map_err(|_| Error::new(Code::Usage, format!("{what:?} is no scope")));
    let tried = wizard.then(parsed);
    (body, tried)
}

fn oauth(cx: &Context, a: OAuth) -> Result<AddIssuer> {
    let mut scopes = BTreeMap::new();
    for text in &a.scopes {
        let pair = text.split_once('=').filter(|(name, _)| !name.is_empty());
        let (name, words) = pair.ok_or_else(|| {
            Error::new(Code::Usage, format!("--scope {text:?} names no words of the server"))
                .hint("--scope 'contacts:read=https://example.com/auth/contacts.readonly'")
        })?;
        scopes.insert(name.to_owned(), words.trim().to_owned());
    }
    let auth = a.auth.map(Proof::word);
    let missing =
        |what: &str| Error::new(Code::Usage, format!("{what} is missing")).hint("hallpass issuer add oauth --help");
    if !a.login && a.who.client_id.is_none() {
        return Err(missing("--client-id"));
    }
    let own = (!a.login).then(|| a.credential.clone().unwrap_or_else(|| a.name.clone()));
    let mut settings = match a.token_url {
        Some(token_url) => oauth::Settings {
            token_url,
            client_id: a.who.client_id.clone().ok_or_else(|| missing("--client-id"))?,
            auth: match (auth, a.login && a.who.client_credential.is_none()) {
                (Some(auth), _) => auth,
                (None, true) => oauth::ClientAuth::None,
                (None, false) => oauth::ClientAuth::ClientSecretBasic,
            },
            client_credential: a.who.client_credential.clone(),
            ..oauth::Settings::default()
        },
        None if a.issuer.is_some() || a.protected_resource.is_some() => {
            let mut client = a.who.client(auth);
            client.credential = client.credential.or(own);
            let body = Discover {
                issuer: a.issuer,
                resource: a.protected_resource,
                allow_private: a.allow_private,
                client: Some(client),
            };
            let found: Discovered = cx.client()?.post("/v1/issuers/discover", &body)?;
            found.settings
        }
        None => return Err(missing("one of --issuer, --protected-resource and --token-url")),
    };
    if a.login {
        settings.flow = oauth::Flow::Login;
        settings.authorization_url = a.authorization_url.or(settings.authorization_url);
        settings.device_url = a.device_url.or(settings.device_url);
        let words = scopes.values().flat_map(|words| words.split_ascii_whitespace()).map(ToOwned::to_owned);
        settings.login_scopes = words.chain(a.login_scopes).collect();
    } else {
        settings.client_credential = None;
        settings.authorization_url = None;
        settings.device_url = None;
        settings.names_itself = false;
    }
    settings.revocation_url = a.revocation_url.or(settings.revocation_url);
    settings.introspection_url = a.introspection_url.or(settings.introspection_url);
    settings.exchange =
        a.exchange.then(|| oauth::exchange::Exchange { audience: a.exchange_audience, ..Default::default() });
    settings.dpop = a.dpop;
    settings.authorization_details = a.authorization_details;
    settings.audience = a.audience.or(settings.audience);
    settings.kid = a.kid;
    settings.resource = a.resource.or(settings.resource);
    settings.scopes = scopes;
    settings.redirect_port = a.redirect_port;
    settings.revoke_access_tokens = a.revoke_access_tokens;
    settings.trust_omitted_scope = a.trust_omitted_scope;
    settings.env = a.env;
    settings.allow_private = a.allow_private;
    Ok(AddIssuer { name: a.name, credential: a.credential, settings: Native::OAuth(settings) })
}

/// Ends a login.
pub fn logout(cx: &Context, name: &str) -> Result<u8> {
    cx.post(&format!("/v1/issuers/{}/logout", segment(name)), &(), |out: &LoggedOut| match out.revoked {
        true => "signed out".to_owned(),
        false => "signed out here; the server was not told, or could not be: there the login holds until it expires"
            .to_owned(),
    })
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
    let parts =
        [("for each token", Narrowed::Token), ("at the issuer, for all", Narrowed::Issuer), ("never", Narrowed::Never)];
    let parts = parts.into_iter().map(|(text, by)| (text, of(by))).filter(|(_, names)| !names.is_empty());
    parts.map(|(text, names)| format!("{names}: {text}")).collect::<Vec<_>>().join("; ")
}

fn render(issuer: &Issuer) -> String {
    let life = match (issuer.least_seconds, issuer.most_seconds) {
        (Some(least), Some(most)) if least == most => format!("{}, always", when::length(least)),
        (Some(least), Some(most)) => format!("{} to {}", when::length(least), when::length(most)),
        (None, Some(most)) => format!("up to {}", when::length(most)),
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
