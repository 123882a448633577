//! A word to whoever waits: a call that takes longer than a moment may wait for a human.
//!
//! Owns one line on standard error.

use super::output;

/// What to call when a call takes longer than a moment; nothing where `quiet`.
pub fn note(quiet: bool) -> Option<fn()> {
    (!quiet).then_some(say)
}

fn say() {
    output::note("waiting; if it is for a person, `hallpass approvals` in another terminal shows what for");
}
