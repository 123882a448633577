//! Ends tasks: when their process ends, and when their time is up.
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

/// Follows a task that was opened: its process, where it is bound to one, and its time.
pub fn follow(state: &Rc<State>, task: &Task) {
    if let Some(key) = task.process {
        watch_process(state, task.id.clone(), key);
    }
    wake(state);
}

/// Follows the tasks that were open when the daemon stopped.
pub fn resume(state: &Rc<State>) {
    let open: Vec<Task> = state.tasks.borrow().iter().cloned().collect();
    open.iter().for_each(|task| follow(state, task));
}

/// Makes sure that a timer runs while tasks are open, and that none does while there are none.
fn wake(state: &Rc<State>) {
    if state.reaper_running.replace(true) {
        return;
    }
    let state = Rc::clone(state);
    tokio::task::spawn_local(async move {
        while let Some(next) = state.end_overdue_tasks(sys::now()) {
            let pause = next.clamp(Duration::from_millis(10), LONGEST);
            tokio::select! {
                () = state.shutdown.cancelled() => break,
                () = tokio::time::sleep(pause) => {}
            }
        }
        state.reaper_running.set(false);
    });
}
