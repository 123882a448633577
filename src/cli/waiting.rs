//! A word to whoever waits: a call that takes longer than a moment may wait for a human.
//!
//! Owns one line on standard error. Must never hold a call up, or outlive it.

use std::{
    sync::mpsc::{self, RecvTimeoutError, Sender},
    thread::JoinHandle,
    time::Duration,
};

use super::output;

/// Longer than any answer that waits for nobody.
const MOMENT: Duration = Duration::from_millis(1500);

/// Says so once if it still lives after a moment.
pub struct Note(Option<(Sender<()>, JoinHandle<()>)>);

impl Note {
    /// Starts to count; says nothing where `quiet`.
    pub fn start(quiet: bool) -> Self {
        if quiet {
            return Self(None);
        }
        let (alive, gone) = mpsc::channel::<()>();
        let thread = std::thread::Builder::new().spawn(move || {
            if gone.recv_timeout(MOMENT) == Err(RecvTimeoutError::Timeout) {
                output::note("waiting; if it is for a person, `hallpass approvals` in another terminal shows what for");
            }
        });
        Self(thread.ok().map(|thread| (alive, thread)))
    }
}

impl Drop for Note {
    fn drop(&mut self) {
        if let Some((alive, thread)) = self.0.take() {
            drop(alive);
            let _ = thread.join();
        }
    }
}
