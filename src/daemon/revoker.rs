//! Revokes issuers' own tokens once their leases are over.
//!
//! Owns the retries: a token that its issuer could not be asked to revoke is tried again, less and less often, until it is
//! revoked or ends by itself; also after a restart. Sleeps while nothing is due.

use std::{rc::Rc, time::Duration};

use super::{handler::native, state::State};

/// The first pause, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));

/// Follows what is due, for as long as the daemon runs.
pub fn start(state: &Rc<State>) {
    let state = Rc::clone(state);
    tokio::task::spawn_local(async move {
        loop {
            let lease = tokio::select! {
                () = state.shutdown.cancelled() => return,
                lease = state.held.next_due() => lease,
            };
            let state = Rc::clone(&state);
            tokio::task::spawn_local(async move { end(&state, &lease).await });
        }
    });
}

async fn end(state: &State, lease: &str) {
    let mut pause = PAUSES.0;
    loop {
        match native::end(state, lease).await {
            Ok(true) => return,
            Ok(false) => tracing::warn!("the token of {lease} is not revoked at its issuer yet"),
            Err(error) => tracing::warn!("the token of {lease} is not revoked at its issuer yet: {error}"),
        }
        tokio::select! {
            () = state.shutdown.cancelled() => return,
            () = tokio::time::sleep(pause) => pause = (pause * 2).min(PAUSES.1),
        }
    }
}
