//! `approve`, `deny` and the list of what waits: a human's answer, from a terminal of their own.

use std::rc::Rc;

use super::{not_found, rfc3339};
use crate::{
    api::{Done, List, approval::ApprovalRequest, problem::Code},
    audit::{Decision, Record},
    daemon::state::{
        State,
        approvals::{Answer, Pending, may_answer},
        callers::Caller,
    },
    error::{Error, Result},
    principal::NamedBy,
    sys,
};

/// All that wait, oldest first.
pub fn list(state: &State) -> List<ApprovalRequest> {
    List { items: state.approvals.list().iter().map(wire).collect() }
}

/// Approves one.
pub fn approve(state: &Rc<State>, caller: &Caller, id: &str) -> Result<Done> {
    answer(state, caller, id, Answer::Approved)
}

/// Denies one.
pub fn deny(state: &Rc<State>, caller: &Caller, id: &str) -> Result<Done> {
    answer(state, caller, id, Answer::Denied)
}

fn answer(state: &Rc<State>, caller: &Caller, id: &str, answer: Answer) -> Result<Done> {
    let identity = state.human_only(caller, "answering a request")?;
    if identity.named_by != NamedBy::Terminal {
        return Err(Error::new(Code::HumanOnly, "only a person at a terminal can answer a request")
            .hint("run it in a terminal; headless_human does not count here"));
    }
    let pending = state.approvals.get(id).ok_or_else(|| {
        not_found("waiting request", id, "it was answered, withdrawn or timed out: `hallpass approvals`")
    })?;
    may_answer(&pending, caller.evidence())?;
    caller.recheck()?;
    let (event, decision) = match answer {
        Answer::Approved => ("approval.approve", Decision::Allowed),
        Answer::Denied => ("approval.deny", Decision::Denied),
    };
    let detail = format!("{id} asked by {}", pending.principal);
    state.record(
        Record::new(event, &identity.principal, identity.kind)
            .evidence(Some(&caller.evidence().summary()))
            .task(pending.task.as_deref())
            .issuer(&pending.what.issuer)
            .scopes(Some(pending.what.scopes.to_string()))
            .resources(Some(pending.what.resources.to_string()))
            .decision(decision)
            .detail(&detail),
    )?;
    state.approvals.answer(id, answer, sys::now());
    Ok(Done { done: true })
}

fn wire(pending: &Pending) -> ApprovalRequest {
    ApprovalRequest {
        id: pending.id.clone(),
        principal: pending.principal.clone(),
        evidence: pending.evidence.summary(),
        what: pending.what.clone(),
        ttl_seconds: pending.ttl.as_secs(),
        task_title: pending.task_title.clone(),
        reason: pending.reason.clone(),
        asked_at: rfc3339(pending.deadline.from_wall_ms),
        expires_at: rfc3339(pending.deadline.wall_ms),
    }
}
