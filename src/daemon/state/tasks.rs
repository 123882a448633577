//! The open tasks: found by id or by the process they are bound to, ended with their leases.
//!
//! A process stays in the task it was bound to after that has ended: what it started for one job is not the person
//! at the terminal once the job's time is up, nor by ending the job itself.

use std::collections::HashMap;

use super::{State, db::Db};
use crate::{
    audit::{Decision, Record},
    clock::Moment,
    error::Result,
    principal::{Evidence, InTask},
    task::{EndReason, Ended, ProcessKey, Task},
};

/// The open tasks.
#[derive(Default)]
pub struct Tasks {
    by_id: HashMap<String, Task>,
    /// For each process that lives: the open tasks bound to it, newest last, else the one that was ended last.
    by_process: HashMap<ProcessKey, Vec<Bound>>,
    /// Ended, and not written down yet.
    unwritten: Vec<Task>,
}

/// What a process is bound to.
struct Bound {
    id: String,
    principal: String,
}

impl Tasks {
    /// Loads those that have not ended, and those whose process may still run.
    pub fn load(db: &Db) -> Result<Self> {
        let mut tasks = Self::default();
        for task in db.live_tasks()? {
            tasks.bind(&task);
            match &task.ended {
                None => drop(tasks.by_id.insert(task.id.clone(), task)),
                Some(ended) => tasks.unbind(&task, ended.reason),
            }
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

    /// The task a caller runs in: the one bound to its nearest ancestor. It may have ended.
    pub fn of(&self, evidence: &Evidence) -> Option<InTask<'_>> {
        if self.by_process.is_empty() {
            return None;
        }
        let bound = evidence.chain.iter().find_map(|process| self.by_process.get(&process.key)?.last())?;
        Some(InTask { id: &bound.id, principal: &bound.principal })
    }

    /// The processes that tasks are bound to.
    pub fn processes(&self) -> Vec<ProcessKey> {
        self.by_process.keys().copied().collect()
    }

    /// Whether a task is or was bound to this process.
    pub fn binds(&self, process: ProcessKey) -> bool {
        self.by_process.contains_key(&process)
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

    fn bind(&mut self, task: &Task) {
        if let Some(key) = task.process {
            let bound = Bound { id: task.id.clone(), principal: task.principal.clone() };
            self.by_process.entry(key).or_default().push(bound);
        }
    }

    /// Forgets an ended task's binding where the process has another, and where the process itself ended it: it is
    /// free to begin the next, while those below it have theirs by it.
    fn unbind(&mut self, task: &Task, reason: EndReason) {
        if let Some(all) = task.process.and_then(|key| self.by_process.get_mut(&key))
            && (all.len() > 1 || reason == EndReason::Exited)
        {
            all.retain(|bound| bound.id != task.id);
        }
    }

    fn remove(&mut self, id: &str, reason: EndReason) -> Option<Task> {
        let task = self.by_id.remove(id)?;
        self.unbind(&task, reason);
        Some(task)
    }
}

impl State {
    /// Writes a new task down. Its process is followed by `reaper::open`, the caller of this.
    pub fn open_task(&self, task: Task) -> Result<()> {
        self.write_ends()?;
        self.db.put_task(&task)?;
        self.timer.is_due(task.deadline, crate::sys::now());
        let mut tasks = self.tasks.borrow_mut();
        tasks.bind(&task);
        tasks.by_id.insert(task.id.clone(), task);
        Ok(())
    }

    /// Ends the tasks that are bound to a process that has ended, and forgets it.
    pub fn end_process(&self, key: ProcessKey) -> Result<()> {
        let Some(bound) = self.tasks.borrow_mut().by_process.remove(&key) else { return Ok(()) };
        bound.iter().try_for_each(|bound| {
            let is_open = self.tasks.borrow().get(&bound.id).is_some();
            if is_open { self.end_task(&bound.id, EndReason::Exited) } else { self.db.settle_task(&bound.id) }
        })
    }

    /// Ends a task and its leases; does nothing to one that has ended.
    pub fn end_task(&self, id: &str, reason: EndReason) -> Result<()> {
        let now = crate::sys::now();
        let Some(mut task) = self.tasks.borrow_mut().remove(id, reason) else { return Ok(()) };
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
