//! Keeps the rendered files: written before the token in them ends, gone when it may not be there any more.
//!
//! Owns when a file is made and when it has to go; [`folder`] is how. Sleeps while there is nothing to renew. Must never
//! keep a token after it is written, nor leave a file whose token does not work.

mod folder;

use std::{collections::BTreeMap, rc::Rc, time::Duration};

use zeroize::Zeroizing;

use folder::{remove, sweep, write};

use super::{
    handler::{
        helper,
        mint::{self, Order},
        native, release, rfc3339, task,
    },
    state::{
        State,
        renders::{Content, File, TASK},
    },
};
use crate::{
    api::{SecretText, problem::Code, render::Render},
    clock::{Deadline, Moment},
    error::{Error, Result},
    helper::endpoint,
    render::{self, Misfit, Values},
    scope::Wanted,
    sys,
    task::{EndReason, Task},
};

/// The longest sleep: tokio's timers stop while the machine does, and a deadline that passed then is noticed here.
const LONGEST: Duration = Duration::from_secs(60);
/// How long until what may pass by itself, such as a full disk, is tried again.
const AGAIN: Duration = Duration::from_secs(30);

/// Starts with what an earlier daemon left, and keeps the files from then on.
pub fn start(state: &Rc<State>) {
    let ours = |id: &str| id.starts_with(TASK);
    let tasks: Vec<String> = state.tasks.borrow().iter().map(|task| task.id.clone()).filter(|id| ours(id)).collect();
    // Its tokens went with the memory of which file they are in.
    for id in tasks {
        report(state.end_task(&id, EndReason::Left));
    }
    sweep(state);
    let kept = Rc::clone(state);
    let work = async move {
        loop {
            let next = look(&kept).await.map(|next| next.clamp(Duration::from_millis(10), LONGEST));
            tokio::select! {
                () = kept.renders.rung() => {}
                () = tokio::time::sleep(next.unwrap_or_default()), if next.is_some() => {}
            }
        }
    };
    let stop = state.shutdown.clone();
    tokio::task::spawn_local(async move { stop.run_until_cancelled(work).await });
}

/// Takes all of them away: nobody renews them from now on.
pub fn stop(state: &State) {
    for name in state.renders.names() {
        take_away(state, &name, EndReason::Left);
    }
    sweep(state);
}

/// Makes what is due and takes away what has to go; how long until the next time.
pub async fn look(state: &Rc<State>) -> Option<Duration> {
    let _turn = state.renders.turn.lock().await;
    let changed = state.renders.take_changed();
    let settings = state.settings();
    for name in state.renders.names() {
        let same = |render: &Render| state.renders.get(&name).is_some_and(|file| file.render == *render);
        if !settings.config.renders.iter().any(same) {
            take_away(state, &name, EndReason::Revoked);
        }
    }
    let mut next = None;
    for render in &settings.config.renders {
        let file = state.renders.get(&render.name).unwrap_or_else(|| File::new(render.clone()));
        let file = tend(state, file, changed).await;
        next = next.into_iter().chain(file.due(sys::now())).min();
        state.renders.put(file);
    }
    next
}

/// Makes one anew, whatever there is.
pub async fn renew(state: &Rc<State>, render: &Render) {
    let turn = state.renders.turn.lock().await;
    take_away(state, &render.name, EndReason::Revoked);
    drop(turn);
    look(state).await;
}

/// Forgets what is in one, so that it is made again: its credential has another value.
pub async fn forget_content(state: &State, credential: &str) {
    let _turn = state.renders.turn.lock().await;
    let settings = state.settings();
    for name in state.renders.names() {
        let Some(mut file) = state.renders.get(&name) else { continue };
        let issuer =
            wanted(state, &file.render).ok().and_then(|want| settings.config.issuers.get(&want.issuer).cloned());
        if matches!(file.content, Some(Content::Credential))
            && issuer.is_some_and(|i| i.credential.as_deref() == Some(credential))
        {
            file.content = None;
            state.renders.put(file);
            state.renders.changed();
        }
    }
}

/// Takes the files away that hold a credential itself: the store was locked.
pub async fn lock(state: &State) {
    // After whoever is reading the store for a file right now.
    let _turn = state.renders.turn.lock().await;
    for name in state.renders.names() {
        let Some(mut file) = state.renders.get(&name) else { continue };
        if matches!(file.content, Some(Content::Credential)) {
            remove(state, &name);
            file.content = None;
            file.problem = Some(Error::new(Code::StoreLocked, "the store is locked").hint("hallpass unlock"));
            state.renders.put(file);
        }
    }
}

/// What a file is to hold: for a helper's endpoint what the helper's entry says.
pub fn wanted(state: &State, render: &Render) -> Result<Wanted> {
    match (&render.want, &render.helper) {
        (Some(want), _) => Ok(want.clone()),
        (None, Some(text)) => {
            let place = endpoint::place(text)?;
            Ok(helper::entry_of_endpoint(state, &place.endpoint.tool, &place.url())?.want)
        }
        (None, None) => Err(Error::internal("a rendered file that wants nothing")),
    }
}

/// One file, as it is to be now.
async fn tend(state: &Rc<State>, mut file: File, changed: bool) -> File {
    let now = sys::now();
    let mut ended = false;
    let name = file.render.name.clone();
    if changed && is_for_another_want(state, &file) {
        // The helper's entry says something else now.
        report(state.end_task(&task_of(&name), EndReason::GrantGone));
        remove(state, &name);
        (file.content, ended) = (None, true);
    }
    if let Some(lease) = file.lease().map(str::to_owned)
        && state.leases.borrow().by_id(&lease).is_none_or(|live| live.lease.check(now).is_err())
    {
        remove(state, &name);
        (file.content, ended) = (None, true);
        // A person did that, and a new file would undo it.
        if was_revoked(state, &lease, &name) {
            file.off = true;
            let revoked = Error::new(Code::TokenRevoked, "its lease was ended, and the file went with it");
            file.problem = Some(revoked.hint(format!("hallpass render renew {name}")));
        }
    }
    let refused = matches!(file.content, Some(Content::Credential)) && changed && !is_allowed(state, &file.render);
    let waits = match (&file.content, &file.problem) {
        _ if file.off => true,
        (Some(Content::Credential), _) => !refused,
        (_, Some(_)) => !changed && !ended && file.again.is_none_or(|again| !again.is_past(now)),
        (Some(Content::Token { .. }), None) => file.due(now).is_some_and(|due| !due.is_zero()),
        (None, None) => false,
    };
    if waits {
        return file;
    }
    file.again = None;
    match make(state, &file.render).await {
        Ok(content) => {
            let old = file.lease().map(str::to_owned).filter(|_| is_native(state, &file.render));
            file.content = Some(content);
            file.problem = None;
            // It works at the API itself, not at the gateway: the one before would do so until it ends.
            if let Some(old) = old {
                report(state.end_leases(vec![old], EndReason::Left).map(drop));
            }
        }
        Err(error) => {
            if file.problem.as_ref().is_none_or(|before| before.detail != error.detail) {
                tell(state, &file.render, &error);
            }
            // A token works until it ends; a credential, or what an earlier daemon left, does not end by itself.
            if !matches!(file.content, Some(Content::Token { .. })) {
                remove(state, &name);
                file.content = None;
            }
            if passes(error.code) {
                file.again = Some(Deadline::after(now, AGAIN));
            }
            file.problem = Some(error);
        }
    }
    file
}

fn is_for_another_want(state: &State, file: &File) -> bool {
    let Some(lease) = file.lease().filter(|_| file.render.helper.is_some()) else { return false };
    let what = state.leases.borrow().by_id(lease).map(|live| live.lease.what.clone());
    what.is_some_and(|what| wanted(state, &file.render).ok() != Some(what))
}

/// Whether somebody ended its lease or its task, and not time, policy or the owner.
fn was_revoked(state: &State, lease: &str, name: &str) -> bool {
    let lease = state.db.lease(lease).ok().flatten().and_then(|lease| lease.ended);
    match lease.map(|ended| ended.reason) {
        Some(EndReason::Revoked) => true,
        Some(EndReason::TaskEnded) => {
            let task = state.db.task(&task_of(name)).ok().flatten().and_then(|task| task.ended);
            task.is_some_and(|ended| ended.reason == EndReason::Revoked)
        }
        _ => false,
    }
}

fn is_allowed(state: &State, render: &Render) -> bool {
    let what = wanted(state, render);
    what.is_ok_and(|what| mint::unattended_terms(state, &order(render, what, None)).is_ok())
}

/// Whether its tokens are the issuer's own.
fn is_native(state: &State, render: &Render) -> bool {
    wanted(state, render).is_ok_and(|what| native::of(state, &what.issuer).is_some())
}

/// What may be better in a while with nobody doing anything about it that the daemon would hear of. A locked store is
/// not among it: asking a keyring again and again would bring its prompt up again and again.
fn passes(code: Code) -> bool {
    matches!(
        code,
        Code::Io
            | Code::StateUnwritable
            | Code::Busy
            | Code::GatewayDown
            | Code::StoreUnavailable
            | Code::UpstreamUnreachable
            | Code::UpstreamTimeout
    )
}

/// Puts a refusal on record, once for as long as it is the same.
fn tell(state: &State, render: &Render, error: &Error) {
    tracing::warn!("the rendered file {} has no fresh token: {error}", render.name);
    if let Ok(what) = wanted(state, render) {
        mint::refuse(state, None, &order(render, what, Some(task_of(&render.name))), error.clone());
    }
}

/// Mints and writes.
async fn make(state: &Rc<State>, render: &Render) -> Result<Content> {
    let what = wanted(state, render)?;
    let task = task_of(&render.name);
    if render.helper.is_none() && (release::is_asked(&what) || release::is_static(state, &what.issuer)) {
        let order = order(render, what, None);
        let value = release::unattended(state, &order, &task).await?;
        let text = value.expose_str().ok_or_else(|| {
            Error::new(Code::InvalidValue, format!("{} is not text", order.what.issuer)).hint("give another credential")
        })?;
        let variables = variables(state, render, &order.what.issuer, (text, &BTreeMap::new()), None);
        let values = Values { token: text, base_url: None, expires_at: None, variables: &variables };
        write(state, &render.name, &filled(render, &values)?)?;
        return Ok(Content::Credential);
    }
    if render.helper.is_none() {
        mint::has_token(state, &what)?;
    }
    open_task(state, render, &what)?;
    let order = order(render, what, Some(task));
    let minted = mint::unattended(state, &order).await?;
    let base_url = match &render.helper {
        Some(text) => Some(endpoint::place(text)?.address(&state.gateway_address()?)),
        None => minted.base_url,
    };
    let token = minted.access_token.expose();
    let variables = variables(state, render, &order.what.issuer, (token, &minted.parts), base_url.as_deref());
    let values =
        Values { token, base_url: base_url.as_deref(), expires_at: Some(&minted.expires_at), variables: &variables };
    let written = filled(render, &values).and_then(|text| write(state, &render.name, &text));
    if let Err(error) = written {
        // A token that nobody has is of no use to anybody.
        report(state.end_leases(vec![minted.lease], EndReason::Left).map(drop));
        return Err(error);
    }
    let deadline = state.leases.borrow().by_id(&minted.lease).map(|live| live.lease.deadline);
    let deadline = deadline.ok_or_else(|| Error::internal("a lease ended while its file was written"))?;
    Ok(Content::Token { lease: minted.lease, deadline })
}

fn filled(render: &Render, values: &Values<'_>) -> Result<Zeroizing<String>> {
    render::fill(render.format, render.template.as_deref().unwrap_or_default(), values).map_err(|misfit| {
        let hint = match misfit {
            Misfit::Absent(_) | Misfit::Name(_) | Misfit::NoToken | Misfit::Text => {
                "change the template in config.toml"
            }
            Misfit::Value | Misfit::NoVariables => "hallpass render remove it, and add it with --line or as raw",
        };
        Error::new(Code::InvalidValue, misfit.to_string()).hint(hint)
    })
}

/// What `exec` would set.
fn variables(
    state: &State,
    render: &Render,
    issuer: &str,
    (token, parts): (&str, &BTreeMap<String, SecretText>),
    base_url: Option<&str>,
) -> Vec<(String, String)> {
    if let Some(place) = render.helper.as_deref().and_then(|text| endpoint::place(text).ok()) {
        return state.gateway_address().map(|gateway| place.variables(&gateway, token)).unwrap_or_default();
    }
    if let Some((_, native)) = native::of(state, issuer) {
        let value = |part: &str| parts.get(part).map(|part| part.expose().to_owned());
        let variable = |said: &String| match said.split_once('=') {
            Some((name, part)) => Some((name.to_owned(), value(part)?)),
            None => Some((said.clone(), token.to_owned())),
        };
        return native.issuer().variables().iter().filter_map(variable).collect();
    }
    let Ok(route) = super::handler::env::route_of(state, issuer) else { return Vec::new() };
    let keys = route.key_env.iter().map(|name| (name.clone(), token.to_owned()));
    let urls = route
        .base_url_env
        .iter()
        .filter_map(|variable| Some((variable.name.clone(), format!("{}{}", base_url?, variable.suffix))));
    keys.chain(urls).collect()
}

fn task_of(name: &str) -> String {
    format!("{TASK}{name}")
}

fn order(render: &Render, what: Wanted, task: Option<String>) -> Order {
    // A tool that reads its file once keeps the token as long as it runs.
    let ttl = render.ttl_seconds.map_or(task::DEFAULT_TTL, Duration::from_secs);
    Order {
        principal: render.principal.clone(),
        task,
        what,
        ttl: Some(ttl),
        uses: None,
        rate: None,
        wait: None,
        reason: None,
    }
}

/// The task that the file's tokens belong to. It lives as long as they are renewed.
fn open_task(state: &State, render: &Render, what: &Wanted) -> Result<()> {
    let id = task_of(&render.name);
    mint::unattended_terms(state, &order(render, what.clone(), None))?;
    state.open_task(Task {
        title: id.clone(),
        id,
        principal: render.principal.clone(),
        limit: Some(vec![what.clone()]),
        process: None,
        deadline: Deadline::after(sys::now(), task::MAX_TTL),
        ended: None,
    })
}

fn take_away(state: &State, name: &str, reason: EndReason) {
    state.renders.forget(name);
    remove(state, name);
    report(state.end_task(&task_of(name), reason));
}

fn report(result: Result<()>) {
    if let Err(error) = result {
        tracing::error!("{error}");
    }
}

/// When it is written again, for people.
pub fn renews_at(file: &File, now: Moment) -> Option<String> {
    let due = file.due(now).filter(|_| file.problem.is_none())?;
    Some(rfc3339(now.wall_ms.saturating_add(i64::try_from(due.as_millis()).unwrap_or(i64::MAX))))
}
