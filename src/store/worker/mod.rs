//! The worker thread, its queue and its deadlines.
//!
//! Owns when a call is made, given up or refused. One thread works at a time. When a call overruns, its
//! caller gets `Timeout`, the thread is left behind and the next one takes the queue over with a backend
//! made anew. At most [`MOST_STUCK`] are left behind; then calls are refused until one comes back.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
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
    Put(String, Secret),
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
    ticket: Arc<Ticket>,
    reply: oneshot::Sender<Result<Answer, StoreError>>,
}

struct State {
    queue: VecDeque<Job>,
    /// The job that the working thread is in, and whether it may be waiting for the user.
    running: Option<(u64, bool)>,
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
        self.running.is_some_and(|(_, prompts)| prompts) || self.queue.iter().any(|job| job.call.prompts())
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
        let ticket = Arc::new(Ticket::default());
        let (reply, answer) = oneshot::channel();
        let id = {
            let mut state = self.0.state();
            // Nothing can be read until the user has answered the prompt, so nobody waits for it in vain.
            if state.asks_the_user() {
                return Err(StoreError::Locked);
            }
            ensure_worker(&self.0, &mut state)?;
            let id = state.next_id;
            state.next_id += 1;
            state.queue.push_back(Job { id, call, ticket: Arc::clone(&ticket), reply });
            id
        };
        self.0.wake.notify_one();
        // Also when this future is dropped: nobody waits any more.
        let _left = Left { shared: &self.0, id, ticket };
        match tokio::time::timeout(deadline, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(StoreError::Unavailable("the store's thread has ended".into())),
            Err(_) => Err(StoreError::Timeout),
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

/// The end of a caller's wait: takes its job out of the queue, or leaves the thread behind that is in it.
struct Left<'a> {
    shared: &'a Arc<Shared>,
    id: u64,
    ticket: Arc<Ticket>,
}

impl Drop for Left<'_> {
    fn drop(&mut self) {
        self.ticket.cancel();
        let mut state = self.shared.state();
        state.queue.retain(|job| job.id != self.id);
        if state.running.is_none_or(|(id, _)| id != self.id) {
            return;
        }
        state.running = None;
        state.generation += 1;
        state.working = false;
        state.stuck += 1;
        if !state.queue.is_empty() && ensure_worker(self.shared, &mut state).is_err() {
            for job in std::mem::take(&mut state.queue) {
                let _ = job.reply.send(Err(all_stuck()));
            }
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
