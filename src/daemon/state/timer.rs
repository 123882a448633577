//! When the next task or lease ends.
//!
//! Owns what the reaper waits for. A hint, never the judge: every use checks the deadline itself.

use std::{cell::Cell, time::Duration};

use tokio::sync::Notify;

use crate::clock::{Deadline, Moment};

/// When the reaper looks next, in boot milliseconds, and a way to have it look earlier.
#[derive(Default)]
pub struct Timer {
    planned: Cell<Option<i64>>,
    earlier: Notify,
}

impl Timer {
    /// Something ends then.
    pub fn is_due(&self, deadline: Deadline, now: Moment) {
        let due = now.boot_ms.saturating_add(ms(deadline.remaining(now)));
        if self.planned.get().is_none_or(|planned| due < planned) {
            self.planned.set(Some(due));
            self.earlier.notify_one();
        }
    }

    /// Waits this long, for ever with `None`, or until something is due earlier.
    pub async fn wait(&self, pause: Option<Duration>, now: Moment) {
        self.planned.set(pause.map(|pause| now.boot_ms.saturating_add(ms(pause))));
        tokio::select! {
            () = self.earlier.notified() => {}
            () = tokio::time::sleep(pause.unwrap_or_default()), if pause.is_some() => {}
        }
    }
}

fn ms(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}
