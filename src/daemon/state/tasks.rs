//! The open tasks: found by id or by the process they are bound to, ended with their leases.

use std::collections::HashMap;

use super::{State, db::Db};
use crate::{
    audit::{Decision, Record},
    clock::Moment,
    error::Result,
    principal::Evidence,
    task::{EndReason, Ended, ProcessKey, Task},
};

/// The open tasks.
#[derive(Default)]
pub struct Tasks {
    by_id: HashMap<String, Task>,
    by_process: HashMap<ProcessKey, String>,
    /// Ended, and not written down yet.
    unwritten: Vec<Task>,
}

impl Tasks {
    /// Loads those that have not ended.
    pub fn load(db: &Db) -> Result<Self> {
        let mut tasks = Self::default();
        for task in db.live_tasks()? {
            tasks.insert(task);
        }
        Ok(tasks)
    }

    /// A task that has not ended.
    pub fn get(&self, id: &str) -> Option<&Task> {
        self.by_id.get(id)
    }

    /// The open task of that title and principal.
    pub fn by_title(&self, title: &str, principal: &str) -> Option<&Task> {
        self.by_id.values().find(|task| task.title == title && task.principal == principal)
    }

    /// The task a caller runs in: the one bound to its nearest ancestor.
    pub fn of(&self, evidence: &Evidence) -> Option<&Task> {
        if self.by_process.is_empty() {
            return None;
        }
        evidence.chain.iter().find_map(|process| self.by_process.get(&process.key).and_then(|id| self.by_id.get(id)))
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Task> {
        self.by_id.values()
    }

    /// See [`State::write_ends`].
    pub(super) fn take_unwritten(&mut self) -> Vec<Task> {
        std::mem::take(&mut self.unwritten)
    }

    pub(super) fn put_unwritten(&mut self, tasks: Vec<Task>) {
        self.unwritten = tasks;
    }

    fn insert(&mut self, task: Task) {
        if let Some(key) = task.process {
            self.by_process.insert(key, task.id.clone());
        }
        self.by_id.insert(task.id.clone(), task);
    }

    fn remove(&mut self, id: &str) -> Option<Task> {
        let task = self.by_id.remove(id)?;
        if let Some(key) = task.process {
            self.by_process.remove(&key);
        }
        Some(task)
    }
}

impl State {
    /// Writes a new task down. Whoever opens it also has it followed (`reaper::follow`).
    pub fn open_task(&self, task: Task) -> Result<()> {
        self.write_ends()?;
        self.db.put_task(&task)?;
        self.timer.is_due(task.deadline, crate::sys::now());
        self.tasks.borrow_mut().insert(task);
        Ok(())
    }

    /// Ends a task and its leases; does nothing to one that has ended.
    pub fn end_task(&self, id: &str, reason: EndReason) -> Result<()> {
        let now = crate::sys::now();
        let Some(mut task) = self.tasks.borrow_mut().remove(id) else { return Ok(()) };
        task.ended = Some(Ended { at_ms: now.wall_ms, reason });
        self.tasks.borrow_mut().unwritten.push(task.clone());
        let leases = self.leases.borrow().ids(|lease| lease.task.as_deref() == Some(id));
        let ended = self.end_leases(leases, EndReason::TaskEnded);
        let detail = format!("{reason:?}").to_lowercase();
        self.record_after(
            Record::new("task.end", &task.principal, self.kind_of(&task.principal))
                .task(Some(id))
                .decision(Decision::Done)
                .detail(&detail),
        );
        ended.map(drop)
    }

    /// Ends the tasks whose time is up, and says when the next one's will be.
    pub fn end_overdue_tasks(&self, now: Moment) -> Option<std::time::Duration> {
        let overdue: Vec<String> =
            self.tasks.borrow().iter().filter(|task| task.deadline.is_past(now)).map(|task| task.id.clone()).collect();
        for id in overdue {
            if let Err(error) = self.end_task(&id, EndReason::Expired) {
                tracing::error!("{error}");
            }
        }
        self.tasks.borrow().iter().map(|task| task.deadline.remaining(now)).min()
    }
}
