//! What the worker's thread does.
//!
//! Owns taking jobs, making them and noting what their answers say of the store. Never holds the state's
//! lock while a backend works.

use std::{
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use super::{Answer, Backend, Call, Job, Running, Shared, State, StoreError, boot_ms, go_on};
use crate::api::credential::StoreState;

/// One thread and the number it was started with.
pub(super) struct Worker {
    pub(super) shared: Arc<Shared>,
    pub(super) generation: u64,
}

impl Worker {
    /// Works until the queue is closed or somebody else has taken it over.
    pub(super) fn run(&self) {
        let mut backend = (self.shared.make)();
        while let Some(job) = self.next() {
            let epoch = self.shared.state().cache.epoch();
            let answer = perform(backend.as_mut(), &job);
            let mut state = self.shared.state();
            if state.generation != self.generation {
                return;
            }
            note(&mut state, &job.call, &answer, epoch);
            state.running = None;
            drop(state);
            let _ = job.reply.send(answer);
        }
    }

    fn next(&self) -> Option<Job> {
        let mut state = self.shared.state();
        loop {
            if state.closing || state.generation != self.generation {
                return None;
            }
            if let Some(job) = state.queue.pop_front() {
                state.running = Some(Running {
                    id: job.id,
                    prompts: job.call.prompts(),
                    ticket: Arc::clone(&job.ticket),
                    until: Instant::now() + job.deadline,
                });
                match &job.call {
                    Call::Put(values) => values.iter().for_each(|(name, _)| state.cache.forget(name)),
                    Call::Remove(name) => state.cache.forget(name),
                    Call::Rename(from, to) => {
                        state.cache.forget(from);
                        state.cache.forget(to);
                    }
                    Call::Lock => state.cache.clear(),
                    Call::Get(_) | Call::Unlock(_) | Call::State => {}
                }
                return Some(job);
            }
            // Wakes by itself only while there is a value to forget.
            state = match state.cache.expire(boot_ms()) {
                Some(left) => {
                    let wait = left.max(Duration::from_millis(10));
                    self.shared.wake.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.shared.wake.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }
}

/// The thread's end, a panic included: whoever was left behind is back.
impl Drop for Worker {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        if state.generation == self.generation {
            state.working = false;
            state.running = None;
            state.generation += 1;
            if !state.closing {
                go_on(&self.shared, &mut state);
            }
        } else {
            state.stuck = state.stuck.saturating_sub(1);
        }
    }
}

fn perform(backend: &mut dyn Backend, job: &Job) -> Result<Answer, StoreError> {
    match &job.call {
        Call::Get(name) => backend.get(name).map(Answer::Value),
        Call::Put(values) => backend.put_all(values, &job.ticket).map(|()| Answer::Done),
        Call::Remove(name) => backend.remove(name, &job.ticket).map(|()| Answer::Done),
        Call::Rename(from, to) => backend.rename(from, to, &job.ticket).map(|()| Answer::Done),
        Call::Lock => backend.lock().map(|()| Answer::Done),
        Call::Unlock(passphrase) => backend.unlock(passphrase.clone()).map(|()| Answer::Done),
        Call::State => {
            let (state, detail) = backend.state();
            Ok(Answer::State(state, detail))
        }
    }
}

/// What the answer says of the store's state, and what of it is kept.
fn note(state: &mut State, call: &Call, answer: &Result<Answer, StoreError>, epoch: u64) {
    match (call, answer) {
        (Call::Get(name), Ok(Answer::Value(value))) => state.cache.keep(epoch, name, value, boot_ms()),
        // It was locked by somebody else: what is in memory is not to be used either.
        (_, Err(StoreError::Locked)) | (Call::State, Ok(Answer::State(StoreState::Locked, _))) => state.cache.clear(),
        (Call::Put(values), _) => values.iter().for_each(|(name, _)| state.cache.forget(name)),
        (Call::Remove(name), _) => state.cache.forget(name),
        _ => {}
    }
    state.last = match answer {
        Ok(Answer::State(is, detail)) => (*is, detail.clone()),
        Ok(_) if matches!(call, Call::Lock) => (StoreState::Locked, None),
        Ok(_) | Err(StoreError::NotFound) => (StoreState::Open, None),
        Err(StoreError::Locked | StoreError::WrongPassphrase) => (StoreState::Locked, None),
        Err(StoreError::Unavailable(_) | StoreError::Damaged(_)) => {
            (StoreState::Unavailable, answer.as_ref().err().map(ToString::to_string))
        }
        Err(StoreError::Timeout | StoreError::Io(_)) => state.last.clone(),
    };
}
