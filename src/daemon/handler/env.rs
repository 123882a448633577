//! `env`: a task and the variables to work in it, for `exec`, for `env` and for the shell hooks.

use std::{collections::BTreeMap, collections::BTreeSet, rc::Rc, time::Duration};

use super::{
    helper,
    mint::{self, Order},
    reference, release, rfc3339, task, trust,
};
use crate::{
    api::{
        SecretText,
        problem::Code,
        session::{Env, OpenEnv, Variable},
    },
    config::IssuerKind,
    daemon::state::{State, callers::Caller},
    error::{Error, Result},
    gateway::catalogue::Route,
    helper::endpoint,
    principal::{self, HUMAN, Identity, printable},
    scope::{MAX_COUNT, ResourceSet, ScopeSet, Wanted},
    task::{EndReason, Task},
};

/// The most references that one request may hold.
const MAX_REFERENCES: usize = 256;

/// The longest reason, in characters.
const MAX_REASON: usize = 200;

/// How each token is asked for.
struct Terms {
    ttl: Option<Duration>,
    wait: Option<Duration>,
    reason: Option<String>,
}

/// Opens a task and mints what it needs. When one of the tokens is refused, the task ends again and
/// none of them works.
pub async fn open(state: &Rc<State>, caller: &Caller, request: OpenEnv) -> Result<Env> {
    let identity = state.identify(caller, request.claim.as_deref())?;
    let project = request.project.as_deref().map(|path| trust::trusted(state, path)).transpose()?;
    let mut want = request.want;
    let mut ttl = request.ttl_seconds.map(Duration::from_secs);
    let mut title = request.task;
    if let Some(project) = &project {
        want.extend(project.want.iter().cloned());
        ttl = ttl.or(project.ttl);
        title = title.or_else(|| project.task.clone());
    }
    if want.len() > MAX_COUNT || request.helpers.len() > MAX_COUNT {
        return Err(Error::new(Code::InvalidValue, format!("one request may name {MAX_COUNT} things it wants"))
            .hint("split it in two, or use a `*`"));
    }
    if request.references.len() > MAX_REFERENCES {
        return Err(Error::new(Code::InvalidValue, format!("one request may hold {MAX_REFERENCES} references"))
            .hint("run it in a folder with fewer of them, or with --no-project"));
    }
    let principal = worker(state, &identity, request.program.as_deref())?;
    let resolved = reference::resolve(state, &principal, request.references, &want)?;
    want.extend(resolved.want);
    // What a tool's helper may be given later belongs to the task, and to no variable.
    let of_tokens: BTreeSet<String> =
        want.iter().filter(|what| !release::is_asked(what)).map(|what| what.issuer.clone()).collect();
    let referred: BTreeSet<&String> = resolved.fill.iter().map(|(_, issuer)| issuer).collect();
    let (helped, want): (Vec<Wanted>, Vec<Wanted>) = want.into_iter().partition(|what| {
        is_for_helpers(state, what) && (of_tokens.contains(&what.issuer) || !referred.contains(&what.issuer))
    });
    if let Some(mixed) = helped.iter().find(|what| what.scopes.len() > 1) {
        return Err(release::no_scope(&mixed.issuer));
    }
    let want = merge(want)?;
    let asked_over_http = request.helpers.iter().map(|text| Endpoint::find(state, text)).collect::<Result<Vec<_>>>()?;
    let title = title.or_else(|| request.program.clone()).unwrap_or_else(|| "shell".into());
    // A title that names an open task of the same principal joins it; a bound task is always new.
    let (task, fresh) = match joinable(state, &identity, &title, &principal, request.bind) {
        Some(task) => (task, false),
        None => {
            let endpoints = asked_over_http.iter().map(|endpoint| &endpoint.want);
            let limit: Vec<Wanted> = want.iter().chain(&helped).chain(endpoints).cloned().collect();
            let limit = (!limit.is_empty()).then_some(limit);
            let plan = task::Plan { title: title_of(&title), principal, limit, ttl, bind: request.bind };
            (task::open(state, caller, &identity, plan)?, true)
        }
    };
    let reason = request.reason.map(|text| printable(text.trim()).chars().take(MAX_REASON).collect());
    let terms = Terms { ttl, wait: request.wait_seconds.map(Duration::from_secs), reason };
    let opened = Guard { state, task: fresh.then(|| task.id.clone()) };
    let (ttl, wait) = (terms.ttl, terms.wait);
    let mut env = variables(state, caller, &task, want, &resolved.fill, terms).await?;
    for endpoint in &asked_over_http {
        endpoint.open(state, caller, &task, (ttl, wait), &mut env).await?;
    }
    opened.keep();
    env.unresolved = resolved.left;
    Ok(env)
}

/// Ends a task that was opened for a request which then failed or was given up.
struct Guard<'a> {
    state: &'a Rc<State>,
    task: Option<String>,
}

impl Guard<'_> {
    fn keep(mut self) {
        self.task = None;
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if let Some(task) = self.task.take()
            && let Err(error) = self.state.end_task(&task, EndReason::Revoked)
        {
            tracing::error!("{error}");
        }
    }
}

async fn variables(
    state: &Rc<State>,
    caller: &Caller,
    task: &Task,
    want: Vec<Wanted>,
    fill: &[(String, String)],
    terms: Terms,
) -> Result<Env> {
    let settings = state.settings();
    let mut set: BTreeMap<String, SecretText> = BTreeMap::new();
    let mut leases = Vec::new();
    let mut first_end = task.deadline.wall_ms;
    for what in want {
        super::grant::known_scopes(state, &what)?;
        let issuer = what.issuer.clone();
        let order = Order {
            principal: task.principal.clone(),
            task: Some(task.id.clone()),
            what,
            // A tool that reads its key once keeps it as long as it runs: the token lives as long as
            // the grant and the task allow.
            ttl: Some(terms.ttl.unwrap_or(task::DEFAULT_TTL)),
            uses: None,
            rate: None,
            wait: terms.wait,
            reason: terms.reason.clone(),
        };
        let referring = || fill.iter().filter(|(_, of)| *of == issuer).map(|(variable, _)| variable);
        if release::is_static(state, &issuer) || release::is_asked(&order.what) {
            if referring().next().is_none() && has_helper(state, &issuer) {
                continue;
            }
            if referring().next().is_none() {
                return Err(Error::new(Code::InvalidValue, format!("nothing here says which variable gets {issuer}"))
                    .hint(format!("write it into the project's .env file: NAME=hallpass:{issuer}")));
            }
            let value = release::release(state, caller, &order).await?;
            let text = value.expose_str().ok_or_else(|| {
                Error::new(Code::InvalidValue, format!("{issuer} is not text and fits into no variable"))
            })?;
            referring().for_each(|variable| drop(set.insert(variable.clone(), SecretText::new(text))));
            continue;
        }
        let place = Place::of(state, &issuer)?;
        if place.key_env.is_empty() && referring().next().is_none() {
            if has_helper(state, &issuer) {
                continue;
            }
            return Err(Error::new(
                Code::InvalidValue,
                format!("nothing says which variable gets the token of {issuer}"),
            )
            .hint(format!("name it in the config: [issuers.{issuer}] has a table with env = [\"NAME\"]")));
        }
        let minted = mint::fill(state, caller, order).await?;
        for variable in referring().filter(|variable| !place.key_env.contains(variable)) {
            set.insert(variable.clone(), minted.access_token.clone());
        }
        for text in &place.key_env {
            let (name, part) = text.split_once('=').map_or((text.as_str(), None), |(name, part)| (name, Some(part)));
            let value = match part {
                None => &minted.access_token,
                Some(part) => minted.parts.get(part).ok_or_else(|| {
                    Error::new(Code::Config, format!("what {issuer} gave has no part {part:?}"))
                        .hint(format!("look at `env` in [issuers.{issuer}]"))
                })?,
            };
            if set.insert(name.to_owned(), value.clone()).is_some() {
                return Err(Error::new(
                    Code::InvalidValue,
                    format!("two issuers would both set {name} ({issuer} is one)"),
                )
                .hint("run them in two commands"));
            }
        }
        for (name, url) in place.base_urls {
            set.insert(name, SecretText::new(url));
        }
        if let Some(lease) = state.leases.borrow().by_id(&minted.lease) {
            first_end = first_end.min(lease.lease.deadline.wall_ms);
        }
        leases.push(minted.lease);
    }
    let scrub: BTreeSet<String> = settings
        .catalogue
        .iter()
        .flat_map(|route| route.key_env.iter().chain(&route.scrub_env))
        .filter(|name| !set.contains_key(*name))
        .cloned()
        .collect();
    Ok(Env {
        task: task.id.clone(),
        principal: task.principal.clone(),
        set: set.into_iter().map(|(name, value)| Variable { name, value }).collect(),
        scrub: scrub.into_iter().collect(),
        expires_at: rfc3339(first_end),
        leases,
        unresolved: Vec::new(),
    })
}

/// A helper that is asked over HTTP, in a task.
struct Endpoint<'a> {
    place: endpoint::Place<'a>,
    want: Wanted,
}

impl<'a> Endpoint<'a> {
    fn find(state: &State, text: &'a str) -> Result<Self> {
        let place = endpoint::place(text)?;
        let entry = helper::entry_of_endpoint(state, &place.endpoint.tool, &place.url())?;
        Ok(Self { place, want: entry.want })
    }

    /// Mints its token and sets the variables that its SDKs read.
    async fn open(
        &self,
        state: &Rc<State>,
        caller: &Caller,
        task: &Task,
        (ttl, wait): (Option<Duration>, Option<Duration>),
        env: &mut Env,
    ) -> Result<()> {
        let gateway = state.gateway_address()?;
        let order = Order {
            principal: task.principal.clone(),
            task: Some(task.id.clone()),
            what: self.want.clone(),
            ttl: Some(ttl.unwrap_or(task::DEFAULT_TTL)),
            uses: None,
            rate: None,
            wait,
            reason: None,
        };
        let minted = mint::for_endpoint(state, caller, order).await?;
        for (name, value) in self.place.variables(&gateway, minted.access_token.expose()) {
            if env.set.iter().any(|known| known.name == name) {
                let tool = &self.place.endpoint.tool;
                return Err(Error::new(Code::InvalidValue, format!("two helpers of {tool} would both set {name}"))
                    .hint("run them in two commands"));
            }
            env.set.push(Variable { name, value: SecretText::new(value) });
        }
        let gone = self.place.endpoint.scrub_env.iter().filter(|name| !env.scrub.contains(name));
        let gone: Vec<String> = gone.cloned().collect();
        env.scrub.extend(gone);
        if let Some(lease) = state.leases.borrow().by_id(&minted.lease) {
            let end = rfc3339(lease.lease.deadline.wall_ms);
            env.expires_at = std::mem::take(&mut env.expires_at).min(end);
        }
        env.leases.push(minted.lease);
        Ok(())
    }
}

/// Whether the credential itself is wanted where a token could stand in for it: a variable gets that only where its
/// reference and nothing narrower was asked for by name.
fn is_for_helpers(state: &State, what: &Wanted) -> bool {
    release::is_asked(what) && !release::is_static(state, &what.issuer)
}

/// Whether a tool's helper may ask for the issuer's credential.
fn has_helper(state: &State, issuer: &str) -> bool {
    state.settings().config.helpers.iter().any(|helper| helper.want.issuer == issuer && release::is_asked(&helper.want))
}

/// Who works in the task: the caller, unless it is the human who starts an assistant.
fn worker(state: &State, identity: &Identity, program: Option<&str>) -> Result<String> {
    let settings = state.settings();
    let assistant = program
        .filter(|_| identity.principal == HUMAN && identity.task.is_none())
        .and_then(|program| principal::of_program(program, &settings.rules));
    match assistant {
        Some((name, kind)) => {
            state.see_assistant(&name, kind)?;
            Ok(name)
        }
        None => Ok(identity.principal.clone()),
    }
}

/// The open task that the title or id names. A caller inside a task can join no other one: that would
/// be a way out of its own task's limit.
fn joinable(state: &State, identity: &Identity, title: &str, principal: &str, bind: bool) -> Option<Task> {
    let tasks = state.tasks.borrow();
    let by_id = tasks.get(title).filter(|task| task.principal == principal);
    let by_title = || tasks.by_title(title, principal).filter(|_| !bind);
    let inside = |task: &&Task| identity.task.as_ref().is_none_or(|own| *own == task.id);
    by_id.or_else(by_title).filter(inside).filter(|task| task.is_open(crate::sys::now())).cloned()
}

/// Where an issuer's token goes in an environment.
struct Place {
    key_env: Vec<String>,
    base_urls: Vec<(String, String)>,
}

impl Place {
    fn of(state: &State, issuer: &str) -> Result<Self> {
        if let Some((_, native)) = super::native::of(state, issuer) {
            return Ok(Self { key_env: native.issuer().variables().to_vec(), base_urls: Vec::new() });
        }
        let route = route_of(state, issuer)?;
        let url = state.gateway_url(&route.name)?;
        let base_urls = route.base_url_env.iter().map(|one| (one.name.clone(), format!("{url}{}", one.suffix)));
        Ok(Self { base_urls: base_urls.collect(), key_env: route.key_env })
    }
}

fn title_of(text: &str) -> String {
    let name = text.rsplit('/').next().filter(|name| text.starts_with('/') && !name.is_empty()).unwrap_or(text);
    printable(name)
}

/// The route of an issuer.
pub fn route_of(state: &State, issuer: &str) -> Result<Route> {
    let settings = state.settings();
    let found = settings.config.issuers.get(issuer).and_then(|issuer| match &issuer.kind {
        IssuerKind::Gateway { route, .. } => Some(route.clone()),
        IssuerKind::Static | IssuerKind::Native(_) => None,
    });
    let route = found.as_ref().and_then(|route| settings.catalogue.get(route));
    route.cloned().ok_or_else(|| {
        Error::new(Code::NotFound, format!("the issuer {:?} has no route", printable(issuer)))
            .hint("hallpass route list")
    })
}

/// One token for each issuer, because an SDK reads one variable. Two requests of one issuer are put
/// together only where that widens neither.
fn merge(want: Vec<Wanted>) -> Result<Vec<Wanted>> {
    let mut merged: Vec<Wanted> = Vec::new();
    for wanted in want {
        let Some(same) = merged.iter_mut().find(|other| other.issuer == wanted.issuer) else {
            merged.push(wanted);
            continue;
        };
        if same.resources == wanted.resources {
            same.scopes = ScopeSet::new(same.scopes.iter().chain(wanted.scopes.iter()).cloned());
        } else if same.scopes == wanted.scopes {
            same.resources = ResourceSet::new(same.resources.iter().chain(wanted.resources.iter()).cloned());
        } else if wanted.contains(same) {
            *same = wanted;
        } else if !same.contains(&wanted) {
            return Err(Error::new(
                Code::InvalidValue,
                format!("{same} and {wanted} do not fit into one token without widening it"),
            )
            .hint("name the same resources for both, or run two commands"));
        }
    }
    Ok(merged)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_of_one_issuer_are_put_together_without_widening() {
        let merged = |texts: &[&str]| merge(texts.iter().map(|text| text.parse().unwrap()).collect());
        let one = merged(&["gh:issues:read@a/b", "gh:pulls:read@a/b", "openai:chat"]).unwrap();
        assert_eq!(
            one.iter().map(Wanted::to_string).collect::<Vec<_>>(),
            ["gh:issues:read,pulls:read@a/b", "openai:chat"]
        );
        let two = merged(&["gh:issues:read@a/b", "gh:issues:read@a/c"]).unwrap();
        assert_eq!(two[0].to_string(), "gh:issues:read@a/b,a/c");
        assert!(merged(&["gh:issues:read@a/b", "gh:pulls:read@a/c"]).is_err());
    }
}
