//! `watch` and `findings`: what is watched, and what was seen.

use std::rc::Rc;

use crate::{
    api::{
        List,
        problem::Code,
        quarantine::Finding,
        watch::{Mode, RemoveRoot, Root, SetPlaces, WatchStatus},
    },
    audit::{Decision, Record},
    config,
    daemon::{
        state::{State, callers::Caller},
        watcher,
    },
    error::{Error, Result},
    sys,
};

/// How the watcher is.
pub fn show(state: &State) -> WatchStatus {
    state.watcher.status(state)
}

/// Secrets that were seen and are still in their files.
pub fn findings(state: &State) -> List<Finding> {
    List { items: state.watcher.findings() }
}

/// Watches a file or folder, or gives it another mode.
pub fn add(state: &Rc<State>, caller: &Caller, root: Root) -> Result<WatchStatus> {
    if !std::path::Path::new(&root.path).is_absolute() {
        return Err(Error::new(Code::InvalidValue, "a watched path is absolute").hint("hallpass watch add FOLDER"));
    }
    if root.mode != Mode::Off {
        let homes: Vec<_> = [sys::home(), std::env::home_dir()].into_iter().flatten().collect();
        crate::watch::wide::check(std::path::Path::new(&root.path), root.projects, &homes)?;
    }
    change(state, caller, "watch.add", &format!("{} {}", root.mode, root.path), || {
        config::edit::watch::set_root(&state.paths.config(), &root)
    })
}

/// Stops watching it.
pub fn remove(state: &Rc<State>, caller: &Caller, request: RemoveRoot) -> Result<WatchStatus> {
    change(state, caller, "watch.remove", &request.path, || {
        config::edit::watch::remove_root(&state.paths.config(), &request.path)
    })
}

/// Sets the mode for the places of assistants and tools.
pub fn places(state: &Rc<State>, caller: &Caller, request: SetPlaces) -> Result<WatchStatus> {
    change(state, caller, "watch.places", &request.mode.to_string(), || {
        config::edit::watch::set_places(&state.paths.config(), request.mode)
    })
}

fn change(
    state: &Rc<State>,
    caller: &Caller,
    event: &'static str,
    detail: &str,
    edit: impl FnOnce() -> Result<()>,
) -> Result<WatchStatus> {
    let identity = state.human_only(caller, "changing what is watched")?;
    state.audit_ready()?;
    edit()?;
    state.record_after(Record::new(event, &identity.principal, identity.kind).decision(Decision::Done).detail(detail));
    state.reload()?;
    watcher::apply(state)?;
    Ok(show(state))
}
