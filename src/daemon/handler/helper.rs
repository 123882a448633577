//! `helper`: what each tool gets, and one tool's question.
//!
//! Owns the way from a tool's question to an order: the entry of the config, narrowed by what the tool is about to do.
//! Whether it is allowed, and how it is given, is `mint`'s and `release`'s; there is no second way to either.

use std::{rc::Rc, time::Duration};

use super::{
    grant,
    mint::{self, Order},
    release,
};
use crate::{
    api::{
        Done, List, SecretText,
        helper::{Given, Header, Helper, HelperAnswer, HelperRequest, RemoveHelper},
        problem::Code,
    },
    audit::{Decision, Record},
    config::{self, IssuerKind},
    daemon::state::{State, callers::Caller},
    error::{Error, Result},
    gateway::catalogue::{Auth, Route},
    helper::{
        self,
        matching::{self, Pattern, Subject},
    },
    principal::printable,
    scope::{Contains, Resource, ResourceSet, Scope, ScopeSet, Wanted},
};

/// All of them, in the config's order.
pub fn list(state: &State) -> List<Helper> {
    List { items: state.settings().config.helpers.iter().map(wire).collect() }
}

/// Adds one to the config.
pub fn add(state: &Rc<State>, caller: &Caller, request: Helper) -> Result<Helper> {
    let identity = state.human_only(caller, "saying what a tool gets")?;
    state.audit_ready()?;
    release::keep_issuer(state, &request.want)?;
    grant::known_scopes(state, &request.want)?;
    config::edit::helper::add(&state.paths.config(), &request)?;
    state.reload()?;
    state.record_after(
        Record::new("helper.add", &identity.principal, identity.kind)
            .decision(Decision::Done)
            .detail(&printable(&format!("{} {} {}", request.tool, request.url, request.want))),
    );
    Ok(request)
}

/// Whether the config could say this: that it says something else of the place already is the reason why not.
pub(super) fn fits(state: &State, request: &Helper) -> std::result::Result<(), String> {
    let settings = state.settings();
    let pattern = Pattern::parse(&request.url).map_err(|odd| odd.to_string())?;
    let own = |known: &&config::helping::Helper| known.tool == request.tool && known.pattern == pattern;
    match settings.config.helpers.iter().find(own) {
        Some(known) if known.want != request.want || known.username != request.username => {
            Err(format!("hallpass has a helper for {} there already, which gives {}", request.tool, known.want))
        }
        _ => Ok(()),
    }
}

/// Adds it where the config does not say it yet.
pub(super) fn ensure(state: &Rc<State>, caller: &Caller, request: &Helper) -> Result<()> {
    let known = state.settings().config.helpers.iter().any(|known| wire(known) == *request);
    if known { Ok(()) } else { add(state, caller, request.clone()).map(drop) }
}

/// Removes one.
pub fn remove(state: &Rc<State>, caller: &Caller, request: RemoveHelper) -> Result<Done> {
    let identity = state.human_only(caller, "removing what a tool gets")?;
    config::edit::helper::remove_entry(&state.paths.config(), &request.tool, &request.url)?;
    state.reload()?;
    state.record_after(
        Record::new("helper.remove", &identity.principal, identity.kind)
            .decision(Decision::Done)
            .detail(&printable(&format!("{} {}", request.tool, request.url))),
    );
    Ok(Done { done: true })
}

/// Gives a tool what the config says, where a grant allows it.
pub async fn give(state: &Rc<State>, caller: &Caller, request: HelperRequest) -> Result<HelperAnswer> {
    let identity = state.identify(caller, request.claim.as_deref())?;
    if !helper::is_tool(&request.tool) {
        let known: Vec<&str> = helper::Tool::words().collect();
        return Err(Error::new(Code::InvalidValue, "this is no tool that has a helper")
            .hint(format!("the tools are: {}", known.join(", "))));
    }
    let entry = entry(state, &request.tool, &request.url);
    if request.want.is_some() {
        covered(&request, entry.is_some())?;
    }
    let want = request.want.or_else(|| Some(entry.as_ref()?.want.clone())).ok_or_else(|| nothing(&request.tool))?;
    // That there is no such issuer is not the same as that nothing is configured.
    grant::known_scopes(state, &want).map_err(|error| match error.code {
        Code::NotFound => Error { code: Code::Config, ..error },
        _ => error,
    })?;
    let resource = request.resource.as_deref().map(|text| below_route(state, &want.issuer, &request.url, text));
    let what = narrow(state, want, request.operation.as_deref(), resource)?;
    let (principal, task) = mint::place(state, &identity, None)?;
    let wait = request.wait_seconds.map(Duration::from_secs);
    let order = Order { principal, task, what, ttl: None, uses: None, rate: None, wait, reason: None };
    let username = entry.as_ref().and_then(|entry| entry.username.clone()).or(request.username);
    let url = request.place.or_else(|| entry.map(|entry| entry.url));
    let issuer = order.what.issuer.clone();
    let route = route(state, &issuer);
    if release::is_static(state, &issuer) || release::is_asked(&order.what) {
        let value = release::release(state, caller, &order).await?;
        let text = value.expose_str().ok_or_else(|| {
            Error::new(Code::InvalidValue, format!("{issuer} is not text, and no tool's contract takes that"))
                .hint(format!("hallpass credential rotate {issuer}"))
        })?;
        return Ok(HelperAnswer {
            kind: Given::Static,
            secret: SecretText::new(text),
            username,
            expires_at: None,
            base_url: None,
            header: route.map_or_else(|| Some(bearer()), |route| header(&route.auth)),
            issuer,
            lease: None,
            url,
        });
    }
    let minted = mint::fill(state, caller, order).await?;
    // The gateway takes a token as a bearer everywhere; a client may expect its own header all the same.
    let header = route.and_then(|route| header(&route.auth)).filter(|header| !header.base64);
    let header =
        header.or_else(|| (minted.token_type == "DPoP").then(|| Header { prefix: "DPoP ".into(), ..bearer() }));
    let kind = if super::native::of(state, &issuer).is_some() { Given::Native } else { Given::Gateway };
    Ok(HelperAnswer {
        kind,
        secret: minted.access_token,
        username,
        expires_at: Some(minted.expires_at),
        base_url: minted.base_url,
        header: Some(header.unwrap_or_else(bearer)),
        issuer,
        lease: Some(minted.lease),
        url,
    })
}

/// Refuses a want without a place where the tool speaks to many hosts: a link in a repository that was cloned, or a
/// redirect, would be enough to get what is wanted.
fn covered(request: &HelperRequest, by_entry: bool) -> Result<()> {
    let Some(place) = &request.place else {
        if by_entry || !helper::Tool::of_word(&request.tool).is_some_and(helper::Tool::has_places) {
            return Ok(());
        }
        return Err(Error::new(
            Code::InvalidValue,
            format!("{} speaks to many hosts: which of them is this for?", request.tool),
        )
        .hint("say it beside --want, such as --for 'https://github.com/acme/*'"));
    };
    let pattern = Pattern::parse(place).map_err(|odd| Error::new(Code::InvalidValue, format!("--for: {odd}")))?;
    match Subject::parse(&request.url) {
        Ok(subject) if pattern.covers(&subject) => Ok(()),
        _ => Err(nothing(&request.tool)),
    }
}

/// The entry of the config for what a tool asks for.
pub fn entry(state: &State, tool: &str, url: &str) -> Option<config::helping::Helper> {
    let subject = Subject::parse(url).ok()?;
    let settings = state.settings();
    let entries = settings.config.helpers.iter().map(|helper| (helper.tool.as_str(), &helper.pattern, helper));
    matching::choose(entries, tool, &subject).cloned()
}

/// The same for a helper that is asked over HTTP: what it gives there is the credential itself.
pub fn entry_of_endpoint(state: &State, tool: &str, url: &str) -> Result<config::helping::Helper> {
    let entry = entry(state, tool, url).ok_or_else(|| {
        Error::new(Code::NotFound, format!("the config says nothing of what {tool} gets for {}", printable(url)))
            .hint(format!("hallpass helper add {tool} '{}' ISSUER:{}", printable(url), release::SCOPE))
    })?;
    if release::only(&entry.want).is_err() {
        return Err(Error::new(
            Code::InvalidValue,
            format!("{tool} speaks to its server directly, and a token of {} is of no use there", entry.want.issuer),
        )
        .hint(format!(
            "hallpass helper remove {tool} '{}', then add it for {}:{}",
            entry.url,
            entry.want.issuer,
            release::SCOPE
        )));
    }
    Ok(entry)
}

/// The order for what the tool is about to do, and for nothing else that the want covers.
fn narrow(state: &State, want: Wanted, operation: Option<&str>, resource: Option<&str>) -> Result<Wanted> {
    let route = route(state, &want.issuer);
    let presets = route.as_ref().map(|route| route.scopes.as_slice()).unwrap_or_default();
    let operation = operation.and_then(|word| word.parse::<Scope>().ok());
    let operation =
        operation.filter(|scope| want.scopes.contains_one(scope) && presets.iter().any(|preset| preset.name == *scope));
    let scopes = operation.map_or_else(|| want.scopes.clone(), |scope| ScopeSet::new([scope]));
    // A text that is no resource narrows nothing: the whole want is asked for, which takes the wider grant.
    let resource = resource.and_then(|text| text.parse::<Resource>().ok());
    let told_apart = release::is_asked(&want)
        || presets
            .iter()
            .any(|preset| preset.resource.is_some() && scopes.iter().any(|one| one.contains(&preset.name)));
    let resources = match resource.filter(|_| told_apart) {
        None => want.resources.clone(),
        Some(resource) => want.resources.meet(&ResourceSet::new([resource.clone()])),
    };
    if resources.is_empty() {
        return Err(Error::new(Code::OutsideScope, format!("the helper is for {want}, and this is another resource"))
            .hint("hallpass helper list"));
    }
    Ok(Wanted { issuer: want.issuer, scopes, resources })
}

/// A path at the gateway begins with the route's name, which is no part of the resource.
fn below_route<'a>(state: &State, issuer: &str, url: &str, resource: &'a str) -> &'a str {
    let Some(route) = route(state, issuer) else { return resource };
    let inside = |gateway: String| url.strip_prefix(&gateway).is_some_and(|rest| rest.starts_with('/'));
    let rest = resource.strip_prefix(route.name.as_str()).and_then(|rest| rest.strip_prefix('/'));
    rest.filter(|_| state.gateway_url(&route.name).is_ok_and(inside)).unwrap_or(resource)
}

fn route(state: &State, issuer: &str) -> Option<Route> {
    let settings = state.settings();
    match &settings.config.issuers.get(issuer)?.kind {
        IssuerKind::Gateway { route, .. } => settings.catalogue.get(route).cloned(),
        IssuerKind::Static | IssuerKind::Native(_) => None,
    }
}

fn bearer() -> Header {
    Header { name: "Authorization".into(), prefix: "Bearer ".into(), base64: false }
}

fn header(auth: &Auth) -> Option<Header> {
    match auth {
        Auth::Bearer => Some(bearer()),
        Auth::Basic => Some(Header { prefix: "Basic ".into(), base64: true, ..bearer() }),
        Auth::Header { name, prefix } => Some(Header { name: name.clone(), prefix: prefix.clone(), base64: false }),
        Auth::Query { .. } => None,
    }
}

fn nothing(tool: &str) -> Error {
    Error::new(Code::NotFound, format!("the config says nothing of what {tool} gets here"))
        .hint(format!("hallpass helper add {tool} URL ISSUER:SCOPE"))
}

fn wire(helper: &config::helping::Helper) -> Helper {
    Helper {
        tool: helper.tool.clone(),
        url: helper.url.clone(),
        want: helper.want.clone(),
        username: helper.username.clone(),
    }
}
