//! Ends tasks when their process ends, and tasks and leases when their time is up.
//!
//! Owns one watch per process with a task (a pidfd that becomes readable) and one timer for the next deadline.
//! Timers are hints, because tokio's stop while the machine sleeps: every use checks again.

use std::{rc::Rc, time::Duration};

use super::state::State;
use crate::{
    error::Result,
    sys,
    task::{ProcessKey, Task},
};

/// The longest the timer sleeps: so that a deadline that passed while the machine slept is noticed.
const LONGEST: Duration = Duration::from_secs(60);

/// Ends a process's tasks when it ends; at once when it has.
fn watch_process(state: &Rc<State>, key: ProcessKey) {
    let pidfd = sys::process::open_pidfd(key.pid).ok();
    // The pid may have been reused before the pidfd was opened; its start time tells.
    let alive = sys::process::key(key.pid) == Some(key);
    let watch = pidfd.filter(|_| alive).and_then(|fd| sys::process::watch(fd).ok());
    let state = Rc::clone(state);
    tokio::task::spawn_local(async move {
        if let Some(watch) = watch {
            tokio::select! {
                () = state.shutdown.cancelled() => return,
                _ = watch.readable() => {}
            }
        }
        if let Err(error) = state.end_process(key) {
            tracing::error!("{error}");
        }
    });
}

/// Opens a task and follows the process it is bound to, which is watched once, whatever it opens.
pub fn open(state: &Rc<State>, task: Task) -> Result<()> {
    let new = task.process.filter(|key| !state.tasks.borrow().binds(*key));
    state.open_task(task)?;
    if let Some(key) = new {
        watch_process(state, key);
    }
    Ok(())
}

/// Follows the processes of the tasks that were open when the daemon stopped, and from now on the time of all.
pub fn resume(state: &Rc<State>) {
    let bound = state.tasks.borrow().processes();
    bound.into_iter().for_each(|key| watch_process(state, key));
    keep_ending(state);
}

/// Ends what is overdue, for as long as the daemon runs; costs nothing while nothing is open.
fn keep_ending(state: &Rc<State>) {
    let state = Rc::clone(state);
    tokio::task::spawn_local(async move {
        loop {
            let now = sys::now();
            let task = state.end_overdue_tasks(now).map(|next| next.max(Duration::from_millis(10)));
            // Leases may be many: what runs on one is cut within a second of its end, in one write for all.
            let lease = state.end_expired_leases(now).map(|next| next.max(Duration::from_secs(1)));
            let pause = task.into_iter().chain(lease).min().map(|next| next.min(LONGEST));
            tokio::select! {
                () = state.shutdown.cancelled() => return,
                () = state.timer.wait(pause, now) => {}
            }
        }
    });
}
