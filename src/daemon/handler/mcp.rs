//! `mcp`: the remote MCP servers of the config.
//!
//! Owns where a bridge sends its requests: to the gateway, where a token is what it gets, else to the server itself.
//! What the bridge gets is `helper`'s, like any tool's.

use std::rc::Rc;

use super::{grant, new_name, not_found, release};
use crate::{
    api::{
        Done, List,
        mcp::{AddMcp, McpServer},
        problem::Code,
    },
    audit::{Decision, Record},
    config::{self, IssuerKind, mcp::Server},
    daemon::state::{State, callers::Caller, names::PrincipalRecord},
    error::{Error, Result},
    issuer::{Native, oauth::discovery},
    mcp::endpoint::Endpoint,
    principal::{Identity, Kind, is_name, printable},
    scope::Wanted,
    sys,
};

/// All of them, by name.
pub fn list(state: &State) -> Result<List<McpServer>> {
    let settings = state.settings();
    // One whose upstream has changed since is shown all the same; its bridge says what is wrong.
    let item = |(name, server): (&String, &Server)| wire(name, server, through(state, server).unwrap_or(None));
    Ok(List { items: settings.config.mcp.iter().map(item).collect() })
}

/// One.
pub fn show(state: &State, name: &str) -> Result<McpServer> {
    let settings = state.settings();
    let server = settings.config.mcp.get(name).ok_or_else(|| not_found("MCP server", name, "hallpass mcp list"))?;
    Ok(wire(name, server, through(state, server)?))
}

/// Adds one to the config.
pub fn add(state: &Rc<State>, caller: &Caller, request: AddMcp) -> Result<McpServer> {
    let identity = state.human_only(caller, "saying what an MCP server gets")?;
    put(state, &identity, request)
}

/// The same for whoever has the person's yes already.
pub fn put(state: &Rc<State>, identity: &Identity, request: AddMcp) -> Result<McpServer> {
    state.audit_ready()?;
    new_name("MCP server", &request.name)?;
    if let Some(want) = &request.want {
        release::keep_issuer(state, want)?;
        grant::known_scopes(state, want)?;
    }
    let server = Server { url: request.url.clone(), want: request.want.clone(), header: request.header.clone() };
    through(state, &server)?;
    config::edit::mcp::add(&state.paths.config(), &request)?;
    state.reload()?;
    if request.want.is_some() {
        be_known(state, &request.name)?;
    }
    let want = request.want.as_ref().map(Wanted::to_string).unwrap_or_default();
    state.record_after(
        Record::new("mcp.add", &identity.principal, identity.kind)
            .decision(Decision::Done)
            .detail(&printable(&format!("{} {} {want}", request.name, request.url))),
    );
    show(state, &request.name)
}

/// Removes one.
pub fn remove(state: &Rc<State>, caller: &Caller, name: &str) -> Result<Done> {
    let identity = state.human_only(caller, "removing an MCP server")?;
    take(state, &identity, name)
}

/// The same for whoever has the person's yes already.
pub fn take(state: &Rc<State>, identity: &Identity, name: &str) -> Result<Done> {
    config::edit::mcp::remove_server(&state.paths.config(), name)?;
    state.reload()?;
    state.record_after(
        Record::new("mcp.remove", &identity.principal, identity.kind).decision(Decision::Done).detail(&printable(name)),
    );
    Ok(Done { done: true })
}

/// The server's address at the gateway, where it gets a token: that works nowhere else.
fn through(state: &State, server: &Server) -> Result<Option<String>> {
    let Some(want) = server.want.as_ref().filter(|want| !release::is_asked(want)) else { return Ok(None) };
    let settings = state.settings();
    let issuer = settings.config.issuers.get(&want.issuer);
    let (route, base_url) = match issuer.map(|issuer| &issuer.kind) {
        Some(IssuerKind::Gateway { route, base_url }) => (route, base_url),
        Some(IssuerKind::Native(native)) => return is_for(native, want, server).map(|()| None),
        Some(IssuerKind::Static) | None => return Err(release::no_token(&want.issuer)),
    };
    let upstream = base_url.clone().or_else(|| settings.catalogue.get(route).map(|route| route.base_url.clone()));
    let upstream = upstream.unwrap_or_default();
    let endpoint = Endpoint::parse(&server.url).map_err(|odd| Error::new(Code::InvalidValue, odd.to_string()))?;
    let rest = endpoint.below(&upstream).ok_or_else(|| {
        Error::new(
            Code::InvalidValue,
            format!(
                "a token of {0} works at the gateway only, and this server is not below {0}'s upstream {upstream}",
                want.issuer
            ),
        )
        .hint(format!(
            "--want {}:{} sends the credential itself; or add a route for this server: hallpass route add NAME {}",
            want.issuer,
            release::SCOPE,
            endpoint.origin()
        ))
    })?;
    Ok(Some(format!("{}{rest}", state.gateway_url(route)?)))
}

/// Refuses a token that another server could be the one for: a token is never passed through (MCP authorization).
fn is_for(native: &Native, want: &Wanted, server: &Server) -> Result<()> {
    let Native::OAuth(settings) = native else { return Ok(()) };
    let indicator = settings.indicator(want).map_err(|failure| failure.explain(&want.issuer, &native.host()))?;
    let endpoint = Endpoint::parse(&server.url).map_err(|odd| Error::new(Code::InvalidValue, odd.to_string()))?;
    match indicator {
        Some(indicator) if discovery::is_part_of(&endpoint.place(), &indicator) => Ok(()),
        _ => Err(Error::new(
            Code::InvalidValue,
            format!("the tokens of {} are not for this server: its resource is another, or none", want.issuer),
        )
        .hint("hallpass mcp add NAME URL without --want, then hallpass mcp login NAME")),
    }
}

/// Makes the bridge to this server a principal, so that a grant can name it.
pub(super) fn be_known(state: &State, name: &str) -> Result<()> {
    let principal = principal(name);
    if state.names.borrow().principal(&principal).is_some() {
        return Ok(());
    }
    state.put_principal(PrincipalRecord {
        name: principal,
        kind: Kind::McpServer,
        owner: sys::user_name(),
        description: Some("the bridge to a remote MCP server".into()),
        disabled: false,
        created_ms: sys::now().wall_ms,
        last_seen_ms: None,
    })
}

fn principal(name: &str) -> String {
    let named = format!("mcp-{name}");
    if is_name(&named) { named } else { "mcp-server".into() }
}

fn wire(name: &str, server: &Server, through: Option<String>) -> McpServer {
    McpServer {
        name: name.to_owned(),
        url: server.url.clone(),
        want: server.want.clone(),
        header: server.header.clone(),
        principal: principal(name),
        through,
    }
}
