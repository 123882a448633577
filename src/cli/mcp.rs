//! `hallpass mcp`: remote MCP servers without a key in the client's config, and a server to ask through.

use std::os::fd::{AsFd as _, BorrowedFd};

use clap::{Args, Subcommand};

use super::{
    context::Context,
    login,
    output::{self, safe},
    table::Rows,
};
use crate::{
    api::{
        Done, List,
        login::StartMcpLogin,
        mcp::{AddMcp, McpServer},
        problem::Code,
    },
    client::segment,
    error::{Error, Result},
    mcp::{
        bridge,
        credential::{Asked, Source},
        endpoint::{Endpoint, HeaderRule},
        serve,
    },
    policy::RELEASE,
    scope::Wanted,
};

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Add a remote MCP server, and what it is sent
    Add(Add),
    /// All remote MCP servers
    List,
    /// Remove one
    Remove {
        /// Its name
        name: String,
    },
    /// Sign in for a remote MCP server (OAuth)
    ///
    /// Finds the server's authorization server, writes it into the config as an issuer of the server's name, and asks you
    /// to agree. A grant says who may have the tokens.
    Login(Login),
    /// Sign out again
    Logout {
        /// Its name
        name: String,
    },
    /// Speak MCP on standard input and output with a remote server: what a client's config runs
    ///
    /// Each request carries a fresh credential. Put {"command": "hallpass", "args": ["mcp", "bridge", "NAME"]} where the
    /// client lists its servers.
    Bridge {
        /// The server, as `hallpass mcp list` shows it
        name: String,
    },
    /// Be an MCP server through which an agent asks for what it needs
    ///
    /// Put {"command": "hallpass", "args": ["mcp", "serve"]} where the client lists its servers. Its tools list what the
    /// agent may have, ask for it with a reason, hand a narrower token to a sub-agent and end the task. None of them
    /// returns a key or a token.
    Serve {
        /// Who asks, where neither a task nor an assistant says so
        #[arg(long = "as", value_name = "PRINCIPAL")]
        claim: Option<String>,
    },
}

#[derive(Debug, Args)]
pub struct Add {
    /// What to call it
    name: String,
    /// Its address: https, or http on this machine; {} in it is where a credential goes that is part of the URL
    url: String,
    /// What it is sent: ISSUER:release is the credential itself, other scopes are a token through the gateway.
    /// Nothing is sent where this is left out
    #[arg(long, value_name = "ISSUER:SCOPES")]
    want: Option<Wanted>,
    /// The header that carries it, such as 'X-Api-Key: {}'; without it the one that the issuer's API reads
    #[arg(long, value_name = "NAME: {}")]
    header: Option<String>,
}

#[derive(Debug, Args)]
pub struct Login {
    /// The server, as `hallpass mcp list` shows it
    name: String,
    /// A scope, in the server's words; may be given again. What the server asked for where nothing is said
    #[arg(long = "scope", value_name = "WORD")]
    scopes: Vec<String>,
    #[command(flatten)]
    who: login::Who,
    #[command(flatten)]
    way: login::Way,
}

pub fn run(cx: &Context, verb: Verb) -> Result<u8> {
    match verb {
        Verb::List => cx.get("/v1/mcp", render),
        Verb::Add(Add { name, url, want, header }) => {
            let body = AddMcp { name, url, want, header };
            cx.post("/v1/mcp", &body, |server: &McpServer| added(server))
        }
        Verb::Remove { name } => {
            cx.delete(&format!("/v1/mcp/{}", segment(&name)), |_: &Done| safe(&format!("{name} is removed")))
        }
        Verb::Login(login) => sign_in(cx, login),
        Verb::Logout { name } => {
            let server: McpServer = cx.client()?.get(&format!("/v1/mcp/{}", segment(&name)))?;
            super::issuer::logout(cx, server.want.as_ref().map_or(&name, |want| &want.issuer))
        }
        Verb::Bridge { name } => bridge_to(cx, &name),
        Verb::Serve { claim } => serve::run(cx.paths()?, claim).map(|()| 0),
    }
}

fn sign_in(cx: &Context, asked: Login) -> Result<u8> {
    let Login { name, scopes, who, way } = asked;
    let body = StartMcpLogin { scopes, how: way.how(), client: who.client(None) };
    let path = format!("/v1/mcp/{}", segment(&name));
    let started = cx.client()?.post(&format!("{path}/login"), &body)?;
    let done = way.follow(cx, &started)?;
    let server: McpServer = cx.client()?.get(&path)?;
    cx.show(&done, |done| {
        let want = server.want.as_ref().map(ToString::to_string).unwrap_or_default();
        format!(
            "{}\nwho may have its tokens is for a grant to say: hallpass grant add {} '{want}'",
            login::done(done),
            safe(&server.principal)
        )
    })
}

fn added(server: &McpServer) -> String {
    let start = format!("start it in a client with: hallpass mcp bridge {}", safe(&server.name));
    let Some(want) = &server.want else {
        let login = format!("where it wants a sign-in: hallpass mcp login {}", safe(&server.name));
        return format!("it is sent no credential; {login}\n{start}");
    };
    let what = match want.scopes.iter().any(|scope| scope.to_string() == RELEASE) {
        true => format!("the credential {} itself, which does not expire,", safe(&want.issuer)),
        false if server.through.is_some() => format!("a token for {want}, through the gateway,"),
        false => format!("a token for {want}"),
    };
    format!(
        "{} gets {what} once a grant allows it: hallpass grant add {} '{want}'\nunder an assistant, the grant is the assistant's; {start}",
        safe(&server.name),
        safe(&server.principal)
    )
}

fn render(list: &List<McpServer>) -> String {
    let mut rows = Rows::new(&["name", "url", "gets", "by"]);
    for server in &list.items {
        let want = server.want.as_ref().map(ToString::to_string).unwrap_or_default();
        let by = if server.through.is_some() { "gateway" } else { "" };
        rows.row(&[&server.name, &server.url, &want, by]);
    }
    rows.render("there are none; `hallpass mcp add NAME URL --want ISSUER:release` adds one")
}

fn bridge_to(cx: &Context, name: &str) -> Result<u8> {
    let paths = cx.paths()?;
    let server: McpServer = cx.client()?.get(&format!("/v1/mcp/{}", segment(name)))?;
    let wrong = |why: String| Error::new(Code::Config, format!("mcp.{name}: {why}")).hint("hallpass mcp list");
    let own = Endpoint::parse(&server.url).map_err(|odd| wrong(odd.to_string()))?;
    let rule = server.header.as_deref().map(HeaderRule::parse).transpose().map_err(|odd| wrong(odd.to_string()))?;
    let endpoint = server.through.as_deref().map(Endpoint::parse).transpose().map_err(|odd| wrong(odd.to_string()))?;
    let asked = Asked {
        server: name.to_owned(),
        claim: server.principal,
        want: server.want,
        place: own.place(),
        rule,
        address: Some(own.clone()).filter(Endpoint::has_place),
        through_gateway: endpoint.is_some(),
    };
    let source = Source::new(paths, asked);
    let own_end = |end: BorrowedFd<'_>| {
        end.try_clone_to_owned().map_err(|e| Error::new(Code::Io, format!("standard input or output is closed: {e}")))
    };
    let setup = bridge::Setup {
        name: name.to_owned(),
        endpoint: endpoint.unwrap_or(own),
        source,
        input: own_end(std::io::stdin().as_fd())?,
        output: own_end(std::io::stdout().as_fd())?,
        write: |line| output::raw(line).is_ok() && !output::is_closed(),
        say: |text| output::note(&safe(text)),
    };
    bridge::run(setup)?;
    Ok(0)
}
