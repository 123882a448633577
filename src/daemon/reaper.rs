//! Ends tasks when their process ends, and tasks and leases when their time is up.
//!
//! Owns one watch per bound task (a pidfd that becomes readable) and one timer for the next deadline.
//! Timers are hints, because tokio's stop while the machine sleeps: every use checks again.

use std::{rc::Rc, time::Duration};

use super::state::State;
use crate::{
    sys,
    task::{EndReason, ProcessKey, Task},
};

/// The longest the timer sleeps: so that a deadline that passed while the machine slept is noticed.
const LONGEST: Duration = Duration::from_secs(60);

/// Ends the task when the process ends; at once when it has.
fn watch_process(state: &Rc<State>, task: String, key: ProcessKey) {
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
        if let Err(error) = state.end_task(&task, EndReason::Exited) {
            tracing::error!("{error}");
        }
    });
}

/// Follows a task that was opened: its process, where it is bound to one.
pub fn follow(state: &Rc<State>, task: &Task) {
    if let Some(key) = task.process {
        watch_process(state, task.id.clone(), key);
    }
}

/// Follows the tasks that were open when the daemon stopped, and from now on the time of all.
pub fn resume(state: &Rc<State>) {
    let open: Vec<Task> = state.tasks.borrow().iter().cloned().collect();
    open.iter().for_each(|task| follow(state, task));
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
