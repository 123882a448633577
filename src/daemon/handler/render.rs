//! `render`: files that are kept filled with a token.
//!
//! Owns what a person, or `adopt` in a person's name, may say of them. What is in a file, and for how long, is the
//! renderer's and policy's.

use std::rc::Rc;

use super::{not_found, release, rfc3339};
use crate::{
    api::{
        Done, List,
        problem::Code,
        render::{Render, RenderState, Rendered},
    },
    audit::{Decision, Record},
    config,
    daemon::{
        renderer,
        state::{
            State,
            callers::Caller,
            renders::{Content, File},
        },
    },
    error::{Error, Result},
    principal::{Identity, printable},
    sys,
};

/// All of them, in the config's order.
pub fn list(state: &State) -> List<Rendered> {
    List { items: state.settings().config.renders.iter().map(|render| wire(state, render)).collect() }
}

/// One.
pub fn show(state: &State, name: &str) -> Result<Rendered> {
    find(state, name).map(|render| wire(state, &render))
}

/// Adds one to the config, and makes it.
pub async fn add(state: &Rc<State>, caller: &Caller, request: Render) -> Result<Rendered> {
    let identity = state.human_only(caller, "keeping a file with a token in it")?;
    put(state, &identity, request).await
}

/// The same for whoever has the person's yes already. The path of the file does not depend on whether a token could be
/// had for it: that is in the answer's `state`, `problem` and `hint`.
pub async fn put(state: &Rc<State>, identity: &Identity, render: Render) -> Result<Rendered> {
    // An assistant may be given something before it was ever seen.
    match state.settings().rules.iter().find(|rule| rule.principal == render.principal) {
        Some(rule) => state.see_assistant(&rule.principal, rule.kind)?,
        None => state.registered(&render.principal)?,
    };
    if let Some(want) = &render.want {
        release::keep_issuer(state, want)?;
        super::grant::known_scopes(state, want)?;
    }
    renderer::wanted(state, &render)?;
    state.audit_ready()?;
    config::edit::render::add(&state.paths.config(), &render)?;
    state.reload()?;
    let what = render.want.as_ref().map(ToString::to_string).or_else(|| render.helper.clone()).unwrap_or_default();
    state.record_after(
        Record::new("render.add", &identity.principal, identity.kind)
            .decision(Decision::Done)
            .detail(&printable(&format!("{} {what} for {}", render.name, render.principal))),
    );
    renderer::look(state).await;
    show(state, &render.name)
}

/// Removes one with its file, and ends its token.
pub async fn remove(state: &Rc<State>, caller: &Caller, name: &str) -> Result<Done> {
    let identity = state.human_only(caller, "removing a rendered file")?;
    take(state, &identity, name).await
}

/// The same for whoever has the person's yes already.
pub async fn take(state: &Rc<State>, identity: &Identity, name: &str) -> Result<Done> {
    find(state, name)?;
    config::edit::render::remove_entry(&state.paths.config(), name)?;
    state.reload()?;
    renderer::look(state).await;
    state.record_after(
        Record::new("render.remove", &identity.principal, identity.kind).decision(Decision::Done).detail(name),
    );
    Ok(Done { done: true })
}

/// Makes one anew: its token ends, and another one is in it.
pub async fn renew(state: &Rc<State>, caller: &Caller, name: &str) -> Result<Rendered> {
    state.human_only(caller, "making a rendered file anew")?;
    let render = find(state, name)?;
    renderer::renew(state, &render).await;
    show(state, name)
}

/// How many there are, and how many of them have nothing fresh in them.
pub fn counts(state: &State) -> (u64, u64) {
    let all = list(state).items;
    let failing = all.iter().filter(|one| matches!(one.state, RenderState::Missing | RenderState::Stale)).count();
    let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    (count(all.len()), count(failing))
}

fn find(state: &State, name: &str) -> Result<Render> {
    let settings = state.settings();
    let found = settings.config.renders.iter().find(|render| render.name == name).cloned();
    found.ok_or_else(|| not_found("rendered file", name, "hallpass render list"))
}

fn wire(state: &State, render: &Render) -> Rendered {
    let now = sys::now();
    let file = state.renders.get(&render.name).filter(|file| file.render == *render);
    let file = file.unwrap_or_else(|| File::new(render.clone()));
    let path = state.paths.rendered(&render.name);
    // Somebody else may have removed it: the daemon looks when it is asked, and not before.
    let there = path.symlink_metadata().is_ok_and(|meta| meta.is_file());
    let (condition, lease, expires_at) = match &file.content {
        None => (RenderState::Missing, None, None),
        Some(Content::Credential) => (RenderState::Static, None, None),
        Some(Content::Token { lease, deadline }) => {
            let condition = if file.problem.is_some() { RenderState::Stale } else { RenderState::Ready };
            (condition, Some(lease.clone()), Some(rfc3339(deadline.wall_ms)))
        }
    };
    let lost = (file.content.is_some() && !there).then(|| {
        Error::new(Code::NotFound, "somebody removed the file").hint(format!("hallpass render renew {}", render.name))
    });
    let problem = lost.clone().or_else(|| file.problem.clone());
    Rendered {
        render: render.clone(),
        path: path.display().to_string(),
        state: if lost.is_some() { RenderState::Missing } else { condition },
        lease,
        expires_at,
        renews_at: renderer::renews_at(&file, now),
        hint: problem.as_ref().and_then(|problem| problem.hint.clone()),
        problem: problem.map(|problem| problem.detail),
    }
}
