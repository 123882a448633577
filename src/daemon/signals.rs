//! Signals: stop in order, stop at once, read the config again.

use std::rc::Rc;

use tokio::signal::unix::{SignalKind, signal};

use super::state::State;
use crate::error::{Error, Result};

/// Handles signals until the daemon stops. A second SIGTERM or SIGINT ends the wait for clients that
/// are still being served.
pub fn watch(state: &Rc<State>, at_once: tokio_util::sync::CancellationToken) -> Result<()> {
    let failed = |e: std::io::Error| Error::internal(format!("signals cannot be handled: {e}"));
    let mut term = signal(SignalKind::terminate()).map_err(failed)?;
    let mut int = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut hup = signal(SignalKind::hangup()).map_err(failed)?;
    let state = Rc::clone(state);
    tokio::task::spawn_local(async move {
        loop {
            tokio::select! {
                _ = term.recv() => {}
                _ = int.recv() => {}
                _ = hup.recv() => {
                    match state.reload() {
                        Ok(()) => {
                            tracing::info!("the config was read again");
                            if let Err(error) = super::watcher::apply(&state) {
                                tracing::error!("{error}");
                            }
                        }
                        Err(error) => tracing::error!("the config stays as it was: {error}"),
                    }
                    continue;
                }
            }
            if state.shutdown.is_cancelled() {
                at_once.cancel();
                return;
            }
            tracing::info!("stopping");
            state.shutdown.cancel();
        }
    });
    Ok(())
}
