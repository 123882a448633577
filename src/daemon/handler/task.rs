//! `task`: named pieces of work.

use std::{rc::Rc, time::Duration};

use super::{not_found, rfc3339};
use crate::{
    api::{
        List, MAX_ROWS,
        problem::Code,
        task::{StartTask, Task as Wire},
    },
    audit::{Decision, Record},
    clock::Deadline,
    daemon::{
        reaper,
        state::{State, callers::Caller},
    },
    error::{Error, Result},
    principal::{HUMAN, Identity, UNKNOWN, printable},
    scope::{MAX_COUNT, Wanted},
    sys,
    task::{EndReason, Task},
    token,
};

/// How long a task lives when nothing is said.
pub const DEFAULT_TTL: Duration = Duration::from_secs(8 * 3600);
/// The longest life of a task.
pub const MAX_TTL: Duration = Duration::from_secs(7 * 24 * 3600);
/// The most tasks that may be open at once.
const MAX_OPEN: usize = 4096;
/// The longest title, in characters.
const MAX_TITLE: usize = 120;

/// The newest ones.
pub fn list(state: &State) -> Result<List<Wire>> {
    let items = state.db.tasks(MAX_ROWS)?.iter().map(|task| wire(state, task)).collect();
    Ok(List { items })
}

/// One.
pub fn show(state: &State, id: &str) -> Result<Wire> {
    Ok(wire(state, &find(state, id)?))
}

/// Starts one.
pub fn start(state: &Rc<State>, caller: &Caller, request: StartTask) -> Result<Wire> {
    let identity = state.identify(caller, request.claim.as_deref())?;
    let plan = Plan {
        title: request.title,
        principal: identity.principal.clone(),
        limit: request.limit,
        ttl: request.ttl_seconds.map(Duration::from_secs),
        bind: request.bind,
    };
    let task = open(state, caller, &identity, plan)?;
    Ok(wire(state, &task))
}

/// What a new task is to be.
pub struct Plan {
    /// What to call it.
    pub title: String,
    /// Who works on it.
    pub principal: String,
    /// What tokens in it may do at the most.
    pub limit: Option<Vec<Wanted>>,
    /// How long it lives at the most.
    pub ttl: Option<Duration>,
    /// Bind it to the caller's process.
    pub bind: bool,
}

/// Opens a task for a caller that was named. A task opened inside another is no wider than that one.
pub fn open(state: &Rc<State>, caller: &Caller, identity: &Identity, plan: Plan) -> Result<Task> {
    if plan.principal == UNKNOWN {
        return Err(unknown());
    }
    state.not_disabled(&plan.principal)?;
    let (open, bound) = (state.tasks.borrow().iter().count(), state.tasks.borrow().processes().len());
    let own = || state.tasks.borrow().iter().filter(|task| task.principal == plan.principal).count();
    if super::is_full(open, own, MAX_OPEN) || (plan.bind && bound >= MAX_OPEN) {
        return Err(Error::new(Code::Busy, "too many tasks are open already")
            .hint("hallpass task list; `hallpass task end ID` ends those that nobody needs"));
    }
    let title: String = printable(plan.title.trim()).chars().take(MAX_TITLE).collect();
    if title.is_empty() {
        return Err(Error::new(Code::InvalidValue, "a task needs a title").hint("hallpass task start 'triage #42'"));
    }
    if plan.limit.as_ref().is_some_and(|limit| limit.len() > MAX_COUNT) {
        return Err(Error::new(Code::InvalidValue, format!("a task's limit may name {MAX_COUNT} things"))
            .hint("a `*` stands for everything below"));
    }
    for wanted in plan.limit.iter().flatten() {
        super::grant::known_scopes(state, wanted)?;
    }
    let now = sys::now();
    let mut deadline = Deadline::after(now, plan.ttl.unwrap_or(DEFAULT_TTL).min(MAX_TTL));
    let mut limit = plan.limit;
    if let Some(outer) = &identity.task {
        let tasks = state.tasks.borrow();
        let outer = tasks.get(outer).ok_or_else(|| ended(outer))?;
        if let Some(wide) = limit.iter().flatten().find(|wanted| !outer.allows(wanted)) {
            return Err(Error::new(Code::Denied, format!("the task {:?} was not opened for {wide}", outer.title))
                .hint("a task inside another can only be narrower"));
        }
        limit = limit.or_else(|| outer.limit.clone());
        deadline = deadline.earlier(outer.deadline, now);
    }
    let process = match plan.bind {
        true => Some(caller.evidence().caller().ok_or_else(|| {
            Error::new(Code::UnknownCaller, "the calling process cannot be seen on this system")
                .hint("leave --bind out and end the task with `hallpass task end`")
        })?),
        false => None,
    };
    let task = Task {
        id: token::short_id("task", state.random()?),
        title,
        principal: plan.principal,
        limit,
        process,
        deadline,
        ended: None,
    };
    let limit = task.limit.iter().flatten().map(Wanted::to_string).collect::<Vec<_>>().join(" ");
    // On record once it is open, so that the record is true; and no sooner open than it can be on record.
    state.audit_ready()?;
    reaper::open(state, task.clone())?;
    state.record_after(
        Record::new("task.start", &task.principal, state.kind_of(&task.principal))
            .evidence(Some(&caller.evidence().summary()))
            .task(Some(&task.id))
            .scopes((!limit.is_empty()).then_some(limit))
            .decision(Decision::Done)
            .detail(&task.title),
    );
    Ok(task)
}

/// Ends one and its leases.
pub fn end(state: &Rc<State>, caller: &Caller, id: &str) -> Result<Wire> {
    let task = find(state, id)?;
    let identity = state.identify(caller, None)?;
    may_touch(&identity, &task.principal, Some(id)).or_else(|error| {
        // Whoever opened a bound task may end it, whatever its principal is.
        let mine = task.process.is_some_and(|key| caller.evidence().descends_from(key));
        if mine { Ok(()) } else { Err(error) }
    })?;
    // The bound process itself says so when its work is done, as `exec` does: that is its end.
    let done = task.process.is_some() && task.process == caller.evidence().caller();
    state.end_task(id, if done { EndReason::Exited } else { EndReason::Revoked })?;
    show(state, id)
}

/// Whether this caller may end what that principal holds: its own, or anyone's as the human.
pub fn may_touch(identity: &Identity, principal: &str, task: Option<&str>) -> Result<()> {
    let own = identity.principal == principal || (task.is_some() && identity.task.as_deref() == task);
    if own || (identity.principal == HUMAN && identity.task.is_none()) {
        return Ok(());
    }
    // Ending a principal's work needs no more than being able to claim its name would.
    if identity.principal == UNKNOWN && identity.task.is_none() {
        return Ok(());
    }
    Err(Error::new(Code::Denied, format!("this belongs to {principal}, not to {}", identity.principal))
        .hint("a person at a terminal can end it"))
}

/// The error for a caller that could not be named.
pub fn unknown() -> Error {
    Error::new(Code::UnknownCaller, "hallpass cannot tell who is asking, and an unknown caller may do nothing")
        .hint("run it from a terminal, in a task (`hallpass exec`), or with --as NAME for a principal you registered")
}

/// The error for a task that is over.
pub fn ended(id: &str) -> Error {
    Error::new(Code::TaskEnded, format!("the task {} has ended", printable(id)))
        .hint("`hallpass exec` or `hallpass task start TITLE` begins another, outside of it")
}

fn find(state: &State, id: &str) -> Result<Task> {
    if let Some(task) = state.tasks.borrow().get(id) {
        return Ok(task.clone());
    }
    state.db.task(id)?.ok_or_else(|| not_found("task", id, "hallpass task list"))
}

/// A task on the wire.
pub fn wire(state: &State, task: &Task) -> Wire {
    let now = sys::now();
    let live = state.leases.borrow().ids(|l| l.task.as_deref() == Some(&task.id) && l.check(now).is_ok()).len();
    let ended = task.ended.as_ref().map(|ended| (ended.at_ms, ended.reason)).or_else(|| {
        // Its time is up and the timer has not come round to it yet.
        task.deadline.is_past(now).then_some((task.deadline.wall_ms, EndReason::Expired))
    });
    Wire {
        id: task.id.clone(),
        title: task.title.clone(),
        principal: task.principal.clone(),
        limit: task.limit.clone(),
        pid: task.process.map(|key| key.pid),
        started_at: rfc3339(task.deadline.from_wall_ms),
        expires_at: rfc3339(task.deadline.wall_ms),
        ended_at: ended.map(|(at, _)| rfc3339(at)),
        end_reason: ended.map(|(_, reason)| reason),
        live_leases: u64::try_from(live).unwrap_or(u64::MAX),
    }
}
