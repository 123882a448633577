//! `ping` and `status`: how the daemon is, and who the caller is taken for.

use std::rc::Rc;

use super::rfc3339;
use crate::{
    api::{
        Pong,
        status::{AuditStatus, ConfigStatus, Connections, GatewayStatus, RenderedStatus, Status},
    },
    daemon::state::{State, callers::Caller},
    error::Result,
    sys,
};

/// Whether the daemon answers.
pub fn ping() -> Pong {
    Pong { version: env!("CARGO_PKG_VERSION").into(), pid: std::process::id() }
}

/// One screen of it all.
pub async fn status(state: &Rc<State>, caller: &Caller) -> Result<Status> {
    let store = state.store.borrow().clone();
    let store = store.status().await;
    let now = sys::now();
    let settings = state.settings();
    let you = state.identify(caller, None)?;
    let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    Ok(Status {
        version: env!("CARGO_PKG_VERSION").into(),
        pid: std::process::id(),
        started_at: rfc3339(state.started.wall_ms),
        started_by: state.started_by.clone(),
        socket: state.paths.socket().display().to_string(),
        gateway: GatewayStatus {
            url: state.gateway_port.get().map(|port| format!("http://127.0.0.1:{port}")),
            socket: state.paths.gateway_socket().display().to_string(),
            error: state.gateway_error.borrow().clone(),
        },
        store,
        config: ConfigStatus {
            path: state.paths.config().display().to_string(),
            loaded_at: rfc3339(settings.loaded.wall_ms),
            error: state.config_error.borrow().clone(),
        },
        audit: AuditStatus { path: state.paths.audit_dir().display().to_string(), error: state.audit_error() },
        watch: state.watcher.summary(),
        hardening: state.hardening.clone(),
        credentials: count(state.names.borrow().credentials().len()),
        principals: count(state.names.borrow().principals().len()),
        grants: count(settings.config.grants.len()),
        open_tasks: count(state.tasks.borrow().iter().filter(|task| task.is_open(now)).count()),
        live_leases: count(state.leases.borrow().count(now)),
        waiting_approvals: count(state.approvals.len()),
        rendered: rendered(state),
        connections: Connections { open: state.connections.get(), limit: state.connection_limit },
        you,
        evidence: caller.evidence().summary(),
    })
}

fn rendered(state: &State) -> RenderedStatus {
    let (files, failing) = super::render::counts(state);
    let folder = state.paths.rendered_dir();
    // The folder is made with the first file.
    let parent = folder.parent().unwrap_or(&folder);
    let in_memory = sys::mounts::is_in_memory(if folder.is_dir() { &folder } else { parent });
    RenderedStatus { folder: folder.display().to_string(), files, failing, in_memory }
}
