//! Tasks: named pieces of work that tokens belong to.
//!
//! Owns the record and the rule for when a task is over. Never watches a process or a clock itself.

use serde::{Deserialize, Serialize};

use crate::{
    clock::{Deadline, Moment},
    scope::Wanted,
};

/// A named piece of work; when it ends its tokens end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// `task_...`.
    pub id: String,
    /// What the person called it.
    pub title: String,
    /// Who works on it: the principal of every token minted in it.
    pub principal: String,
    /// What tokens minted in it may do at the most, on top of the principal's grants; `None` leaves
    /// that to the grants alone.
    pub limit: Option<Vec<Wanted>>,
    /// The process whose end is the task's end.
    pub process: Option<ProcessKey>,
    /// When it ends by itself.
    pub deadline: Deadline,
    /// When and why it ended, once it has.
    pub ended: Option<Ended>,
}

/// Names one process for good: a pid alone can be reused, pid and start time together cannot within
/// a boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ProcessKey {
    /// The process id.
    pub pid: i32,
    /// Its start time in clock ticks since boot (`/proc/PID/stat`, field 22).
    pub start: u64,
}

/// The end of a task or a lease.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// Unix milliseconds.
    pub at_ms: i64,
    /// Why.
    pub reason: EndReason,
}

/// Why a task or a lease ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EndReason {
    /// Somebody ended or revoked it.
    Revoked,
    /// Its time was up.
    Expired,
    /// Its process ended.
    Exited,
    /// The task it belonged to ended.
    TaskEnded,
    /// The lease it was narrowed from ended.
    ParentEnded,
    /// Its principal was disabled or removed, or the principal's owner was.
    PrincipalDisabled,
    /// Its last use was used up.
    UsedUp,
    /// The credential or the grant behind it went away.
    GrantGone,
    /// The project left (`shell/` hooks) or its trust was withdrawn.
    Left,
}

impl Task {
    /// True while tokens may be minted and used in it.
    pub fn is_open(&self, now: Moment) -> bool {
        self.ended.is_none() && !self.deadline.is_past(now)
    }

    /// False once there is nothing left of it to know: it has ended, and so has the process it was bound to, as far as
    /// the task can tell.
    pub fn matters(&self) -> bool {
        match &self.ended {
            None => true,
            Some(ended) => self.process.is_some() && ended.reason != EndReason::Exited,
        }
    }

    /// True when the task allows what is wanted, whatever the grants say.
    pub fn allows(&self, wanted: &Wanted) -> bool {
        match &self.limit {
            None => true,
            Some(limit) => limit.iter().any(|one| one.contains(wanted)),
        }
    }
}
