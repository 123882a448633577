//! The worker thread, its queue and its deadlines.
//!
//! Owns when a call is made, given up or refused. One thread works at a time. When a call overruns, its
//! caller gets `Timeout`, the thread is left behind and the next one takes the queue over with a backend
//! made anew. At most [`MOST_STUCK`] are left behind; then calls are refused until one comes back.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

use super::{
    StoreError,
    backend::{Backend, Ticket},
    cache::Cache,
};
use crate::{api::credential::StoreState, secret::Secret};

mod thread;

/// How many threads may be stuck in a call at once.
pub(super) const MOST_STUCK: usize = 4;

/// Makes the backend, on the worker's thread, anew for each worker.
pub(super) type Make = Box<dyn Fn() -> Box<dyn Backend> + Send + Sync>;

/// One call.
pub(super) enum Call {
    Get(String),
    Put(Vec<(String, Secret)>),
    Remove(String),
    Rename(String, String),
    Lock,
    Unlock(Option<Secret>),
    State,
}

impl Call {
    /// It may wait for the user at a prompt.
    fn prompts(&self) -> bool {
        matches!(self, Self::Unlock(None))
    }
}

/// Its answer.
pub(super) enum Answer {
    Done,
    Value(Secret),
    State(StoreState, Option<String>),
}

struct Job {
    id: u64,
    call: Call,
    deadline: Duration,
    ticket: Arc<Ticket>,
    reply: oneshot::Sender<Result<Answer, StoreError>>,
}

/// The job that the working thread is in.
struct Running {
    id: u64,
    prompts: bool,
    ticket: Arc<Ticket>,
    until: Instant,
}

struct State {
    queue: VecDeque<Job>,
    running: Option<Running>,
    /// The working thread; one with another number has been left behind.
    generation: u64,
    working: bool,
    stuck: usize,
    next_id: u64,
    closing: bool,
    last: (StoreState, Option<String>),
    cache: Cache,
}

impl State {
    /// The user is being asked, or will be before any call that comes now.
    fn asks_the_user(&self) -> bool {
        self.running.as_ref().is_some_and(|job| job.prompts) || self.queue.iter().any(|job| job.call.prompts())
    }
}

struct Shared {
    state: Mutex<State>,
    wake: Condvar,
    make: Make,
}

/// The queue and its thread. The thread ends when this is dropped.
pub(super) struct Pool(Arc<Shared>);

impl Pool {
    pub(super) fn start(make: Make, keep: Duration) -> Self {
        let state = State {
            queue: VecDeque::new(),
            running: None,
            generation: 0,
            working: false,
            stuck: 0,
            next_id: 0,
            closing: false,
            last: (StoreState::Unknown, None),
            cache: Cache::new(keep),
        };
        let shared = Arc::new(Shared { state: Mutex::new(state), wake: Condvar::new(), make });
        // A thread that cannot be started now is tried again by the first call.
        let _ = ensure_worker(&shared, &mut shared.state());
        Self(shared)
    }

    /// A value that was read a short while ago.
    pub(super) fn cached(&self, name: &str) -> Option<Secret> {
        self.0.state().cache.get(name, boot_ms())
    }

    pub(super) fn clear_cache(&self) {
        self.0.state().cache.clear();
    }

    pub(super) fn is_busy(&self) -> bool {
        let state = self.0.state();
        state.running.is_some() || !state.queue.is_empty()
    }

    pub(super) fn last_known(&self) -> (StoreState, Option<String>) {
        self.0.state().last.clone()
    }

    /// Makes the call, or gives it up after `deadline`.
    pub(super) async fn call(&self, call: Call, deadline: Duration) -> Result<Answer, StoreError> {
        let (reply, answer) = oneshot::channel();
        let id = {
            let mut state = self.0.state();
            // Its caller may have gone away, and then nobody else gives it up.
            if state.running.as_ref().is_some_and(|job| job.until <= Instant::now()) {
                leave_behind(&self.0, &mut state);
            }
            // Nothing can be read until the user has answered the prompt, so nobody waits for it in vain.
            if state.asks_the_user() {
                return Err(StoreError::Locked);
            }
            ensure_worker(&self.0, &mut state)?;
            let id = state.next_id;
            state.next_id += 1;
            state.queue.push_back(Job { id, call, deadline, ticket: Arc::default(), reply });
            id
        };
        self.0.wake.notify_one();
        // A caller that goes away earlier leaves its call to be finished: a client that hangs up must not
        // cost the store its thread, nor the passphrase that the thread's backend holds.
        match tokio::time::timeout(deadline, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(StoreError::Unavailable("the store's thread has ended".into())),
            Err(_) => {
                self.give_up(id);
                Err(StoreError::Timeout)
            }
        }
    }

    /// Takes a job whose time is up out of the queue, or leaves the thread behind that is in it; also one
    /// that is overdue with a job of somebody else.
    fn give_up(&self, id: u64) {
        let mut state = self.0.state();
        state.queue.retain(|job| job.id != id);
        if state.running.as_ref().is_some_and(|job| job.id == id || job.until <= Instant::now()) {
            leave_behind(&self.0, &mut state);
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.closing = true;
        state.cache.clear();
        drop(state);
        self.0.wake.notify_all();
    }
}

impl Shared {
    /// A panic in a backend poisons nothing that matters here: the state is changed in whole steps.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Gives the working thread up: its call may change nothing any more, and another thread takes the queue over.
fn leave_behind(shared: &Arc<Shared>, state: &mut State) {
    if let Some(job) = state.running.take() {
        job.ticket.cancel();
    }
    state.generation += 1;
    state.working = false;
    state.stuck += 1;
    go_on(shared, state);
}

/// Has the waiting calls made by a new thread, or refuses them.
fn go_on(shared: &Arc<Shared>, state: &mut State) {
    if !state.queue.is_empty() && ensure_worker(shared, state).is_err() {
        for job in std::mem::take(&mut state.queue) {
            let _ = job.reply.send(Err(all_stuck()));
        }
    }
}

fn all_stuck() -> StoreError {
    StoreError::Unavailable(format!("{MOST_STUCK} calls to it hang; look for a prompt on the screen"))
}

fn ensure_worker(shared: &Arc<Shared>, state: &mut State) -> Result<(), StoreError> {
    if state.working {
        return Ok(());
    }
    if state.stuck >= MOST_STUCK {
        return Err(all_stuck());
    }
    let (own, generation) = (Arc::clone(shared), state.generation);
    std::thread::Builder::new()
        .name("store".into())
        .spawn(move || thread::Worker { shared: own, generation }.run())
        .map_err(|error| StoreError::Unavailable(format!("no thread for it: {}", error.kind())))?;
    state.working = true;
    Ok(())
}

fn boot_ms() -> i64 {
    crate::sys::now().boot_ms
}
