//! `route`: the gateway's upstreams.

use std::rc::Rc;

use super::{new_name, not_found};
use crate::{
    api::{
        Done, List,
        problem::Code,
        route::{AddRoute, Route},
    },
    audit::{Decision, Record},
    config::{self, IssuerKind},
    daemon::state::{State, callers::Caller},
    error::{Error, Result},
    gateway::catalogue,
};

/// All of them, by name.
pub fn list(state: &State) -> List<Route> {
    let settings = state.settings();
    List { items: settings.catalogue.iter().map(|route| route.to_wire(is_custom(state, &route.name))).collect() }
}

/// One.
pub fn show(state: &State, name: &str) -> Result<Route> {
    let settings = state.settings();
    let route = settings.catalogue.get(name).ok_or_else(|| not_found("route", name, "hallpass route list"))?;
    Ok(route.to_wire(is_custom(state, name)))
}

/// Adds one of the user's own to the config.
pub fn add(state: &Rc<State>, caller: &Caller, request: AddRoute) -> Result<Route> {
    let identity = state.human_only(caller, "adding a route")?;
    new_name("route", &request.name)?;
    if is_custom(state, &request.name) {
        return Err(Error::new(Code::Exists, format!("there is a route {:?} already", request.name))
            .hint(format!("`hallpass route remove {}` first, or edit config.toml", request.name)));
    }
    // In place of a built-in one it would take the key there is to another host.
    let uses = |kind: &IssuerKind| matches!(kind, IssuerKind::Gateway { route, .. } if *route == request.name);
    if let Some((issuer, _)) = state.settings().config.issuers.iter().find(|(_, issuer)| uses(&issuer.kind)) {
        return Err(Error::new(
            Code::InUse,
            format!("the credential of {issuer} is for the route {} that comes with hallpass", request.name),
        )
        .hint("choose another name for the route, and give it a credential of its own"));
    }
    let route = catalogue::from_wire(&request)?;
    if state.gateway_port.get().is_some_and(|port| points_at(&route.base_url, port)) {
        return Err(Error::new(Code::InvalidValue, "this route points at the gateway itself")
            .hint("give the URL of the real upstream"));
    }
    state.record(
        Record::new("route.add", &identity.principal, identity.kind)
            .route(Some(&request.name))
            .decision(Decision::Done)
            .detail(&route.base_url),
    )?;
    config::edit::add_route(&state.paths.config(), &request)?;
    state.reload()?;
    show(state, &request.name)
}

/// Removes one of the user's own, once no issuer uses it.
pub fn remove(state: &Rc<State>, caller: &Caller, name: &str) -> Result<Done> {
    let identity = state.human_only(caller, "removing a route")?;
    let settings = state.settings();
    if !is_custom(state, name) {
        return Err(match settings.catalogue.get(name) {
            Some(_) => Error::new(Code::InvalidValue, format!("{name} is built in and cannot be removed"))
                .hint("a route that no issuer uses does nothing"),
            None => not_found("route", name, "hallpass route list"),
        });
    }
    let built_in = catalogue::Catalogue::built_in()?.get(name).is_some();
    let uses = |kind: &IssuerKind| matches!(kind, IssuerKind::Gateway { route, .. } if route == name);
    if let Some((issuer, _)) = settings.config.issuers.iter().find(|(_, i)| !built_in && uses(&i.kind)) {
        return Err(Error::new(Code::InUse, format!("issuer {issuer} uses the route {name}"))
            .hint(format!("`hallpass credential remove {issuer}` first")));
    }
    config::edit::remove_route(&state.paths.config(), name)?;
    state.reload()?;
    state.record_after(
        Record::new("route.remove", &identity.principal, identity.kind).route(Some(name)).decision(Decision::Done),
    );
    Ok(Done { done: true })
}

/// True for a URL on loopback with the gateway's port; the gateway's resolver refuses the others that
/// lead there.
fn points_at(base_url: &str, port: u16) -> bool {
    let Ok(uri) = base_url.parse::<http::Uri>() else { return false };
    let loopback = matches!(uri.host(), Some("127.0.0.1" | "localhost" | "[::1]" | "0.0.0.0"));
    loopback && uri.port_u16() == Some(port)
}

fn is_custom(state: &State, name: &str) -> bool {
    state.settings().config.routes.iter().any(|route| route.name == name)
}
