//! Tables of hallpass's config that an adopted place needs: a remote MCP server, a rendered file.
//!
//! Owns that they come with the place and go with the last one that needs them. They are added and removed by the same
//! code as `mcp add` and `render add`; what a person added stays.

use std::rc::Rc;

use crate::{
    adopt::Entry,
    api::{mcp::AddMcp, render::Render},
    daemon::{
        handler::{mcp, quarantine, render},
        state::State,
    },
    error::Result,
    principal::Identity,
    quarantine as engine,
};

/// What the config has.
pub(super) fn known(state: &State) -> (Vec<AddMcp>, Vec<Render>) {
    let settings = state.settings();
    let servers = settings.config.mcp.iter().map(|(name, server)| AddMcp {
        name: name.clone(),
        url: server.url.clone(),
        want: server.want.clone(),
        header: server.header.clone(),
    });
    (servers.collect(), settings.config.renders.clone())
}

/// Whether the config has it already, just so.
fn is_known(state: &State, entry: &Entry) -> bool {
    let (servers, renders) = known(state);
    match entry {
        Entry::Mcp(server) => servers.contains(server),
        Entry::Render(render) => renders.contains(render),
    }
}

/// Adds it where it is not there.
pub(super) async fn make(state: &Rc<State>, who: &Identity, entry: &Entry) -> Result<()> {
    match entry {
        _ if is_known(state, entry) => Ok(()),
        Entry::Mcp(server) => mcp::put(state, who, server.clone()).map(drop),
        Entry::Render(file) => render::put(state, who, file.clone()).await.map(drop),
    }
}

/// Whether it goes with the last place that needs it: it is not there yet, or a place that is adopted brought it.
pub(super) async fn is_ours(state: &Rc<State>, entry: &Entry) -> Result<bool> {
    let word = entry.word();
    let brought = |item: &engine::Item| needs(item, &word) && item.adopted.as_ref().is_some_and(|a| a.entry_made);
    Ok(!is_known(state, entry) || taken(state).await?.iter().any(brought))
}

/// Removes what this item needed, which is no longer in quarantine, where no other place needs it.
pub(super) async fn unmake(state: &Rc<State>, who: &Identity, item: &engine::Item) -> Result<()> {
    let ours = item.adopted.as_ref().filter(|adopted| adopted.entry_made);
    let Some(entry) = ours.and_then(|adopted| adopted.entry.as_deref()) else { return Ok(()) };
    if taken(state).await?.iter().any(|other| needs(other, entry)) {
        return Ok(());
    }
    let settings = state.settings();
    match entry.split_once(':') {
        // Somebody may have removed it meanwhile.
        Some(("mcp", name)) if settings.config.mcp.contains_key(name) => mcp::take(state, who, name).map(drop),
        Some(("render", name)) if settings.config.renders.iter().any(|render| render.name == name) => {
            render::take(state, who, name).await.map(drop)
        }
        _ => Ok(()),
    }
}

fn needs(item: &engine::Item, entry: &str) -> bool {
    item.adopted.as_ref().is_some_and(|adopted| adopted.entry.as_deref() == Some(entry))
}

/// What is adopted now.
async fn taken(state: &Rc<State>) -> Result<Vec<engine::Item>> {
    let items = quarantine::items(state).await?.into_iter();
    Ok(items.filter(|(_, step)| *step == engine::State::Quarantined).map(|(item, _)| item).collect())
}
