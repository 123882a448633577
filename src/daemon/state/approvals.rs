//! Requests that wait for a human.
//!
//! Owns the queue and its two answers. Identical requests wait together and are asked once; a request
//! whose asker goes away is withdrawn; a denial holds for ten minutes, so that asking again and again
//! does not wear a person down (people approve 93 % of prompts).

use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap},
    rc::Rc,
    time::Duration,
};

use tokio::sync::watch;

use crate::{
    api::problem::Code,
    clock::{Deadline, Moment},
    error::{Error, Result},
    principal::Evidence,
    scope::Wanted,
};

/// The most requests of one principal that may wait at once.
const MOST_PER_PRINCIPAL: usize = 3;
/// How long a denial answers the same request.
const DENIAL_HOLDS: Duration = Duration::from_secs(600);

/// One request.
#[derive(Clone, Debug)]
pub struct Pending {
    /// `ask_...`.
    pub id: String,
    /// Who asks.
    pub principal: String,
    /// Where the request comes from.
    pub evidence: Evidence,
    /// Where the same request came from too, while it waited: none of these may answer it either.
    pub also: Vec<Evidence>,
    /// What is asked.
    pub what: Wanted,
    /// How long the token would live.
    pub ttl: Duration,
    /// The task it is for, by id.
    pub task: Option<String>,
    /// The title of that task.
    pub task_title: Option<String>,
    /// Why, in the asker's own words.
    pub reason: Option<String>,
    /// When it is denied by itself.
    pub deadline: Deadline,
}

/// A human's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Yes.
    Approved,
    /// No.
    Denied,
}

/// What a denial is of: neither a new task nor another time gets around it.
type Key = (String, Wanted);

struct Entry {
    pending: Pending,
    answer: watch::Sender<Option<Answer>>,
    waiters: usize,
}

/// All requests that wait.
#[derive(Clone, Default)]
pub struct Approvals(Rc<RefCell<Queue>>);

#[derive(Default)]
struct Queue {
    entries: BTreeMap<String, Entry>,
    denied: HashMap<Key, Deadline>,
}

/// One asker's place in the queue; leaving it withdraws the request when nobody else waits for it.
pub struct Waiting {
    queue: Approvals,
    id: String,
    answer: watch::Receiver<Option<Answer>>,
}

impl Approvals {
    /// Joins the queue, together with an identical request that waits already.
    pub fn join(&self, pending: Pending, now: Moment) -> Result<Waiting> {
        let mut queue = self.0.borrow_mut();
        let key = key(&pending);
        queue.denied.retain(|_, until| !until.is_past(now));
        if queue.denied.contains_key(&key) {
            return Err(Error::new(Code::ApprovalDenied, format!("{} was denied a few minutes ago", pending.what))
                .hint("a denial holds for ten minutes; the person who denied it can add a grant instead"));
        }
        // What the person is shown is what each of them gets, so the time counts too.
        let same =
            |other: &Pending| self::key(other) == key && (&other.task, other.ttl) == (&pending.task, pending.ttl);
        if let Some(entry) = queue.entries.values_mut().find(|entry| same(&entry.pending)) {
            entry.waiters += 1;
            if entry.pending.evidence != pending.evidence && !entry.pending.also.contains(&pending.evidence) {
                entry.pending.also.push(pending.evidence);
            }
            let answer = entry.answer.subscribe();
            return Ok(Waiting { queue: self.clone(), id: entry.pending.id.clone(), answer });
        }
        let mine = queue.entries.values().filter(|entry| entry.pending.principal == pending.principal).count();
        if mine >= MOST_PER_PRINCIPAL {
            return Err(Error::new(
                Code::RateLimited,
                format!("{mine} requests of {} wait for approval already", pending.principal),
            )
            .hint("answer them first: `hallpass approvals` lists them"));
        }
        let (answer, receiver) = watch::channel(None);
        let id = pending.id.clone();
        queue.entries.insert(id.clone(), Entry { pending, answer, waiters: 1 });
        Ok(Waiting { queue: self.clone(), id, answer: receiver })
    }

    /// All that wait, oldest first.
    pub fn list(&self) -> Vec<Pending> {
        let mut all: Vec<Pending> = self.0.borrow().entries.values().map(|entry| entry.pending.clone()).collect();
        all.sort_by_key(|pending| pending.deadline.from_boot_ms);
        all
    }

    /// One of them.
    pub fn get(&self, id: &str) -> Option<Pending> {
        self.0.borrow().entries.get(id).map(|entry| entry.pending.clone())
    }

    /// Gives the answer to all who wait for it.
    pub fn answer(&self, id: &str, answer: Answer, now: Moment) {
        let mut queue = self.0.borrow_mut();
        let Some(entry) = queue.entries.remove(id) else { return };
        if answer == Answer::Denied {
            queue.denied.insert(key(&entry.pending), Deadline::after(now, DENIAL_HOLDS));
        }
        entry.answer.send_replace(Some(answer));
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.0.borrow().entries.len()
    }

    /// True when none waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Waiting {
    /// The request's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Waits for the answer; `None` when the time is up or the daemon stops.
    pub async fn answer(&mut self, at_most: Duration) -> Option<Answer> {
        let wait = self.answer.wait_for(Option::is_some);
        match tokio::time::timeout(at_most, wait).await {
            Ok(Ok(answer)) => *answer,
            _ => None,
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut queue = self.queue.0.borrow_mut();
        if let Some(entry) = queue.entries.get_mut(&self.id) {
            entry.waiters = entry.waiters.saturating_sub(1);
            if entry.waiters == 0 {
                queue.entries.remove(&self.id);
            }
        }
    }
}

fn key(pending: &Pending) -> Key {
    (pending.principal.clone(), pending.what.clone())
}

/// Whether this caller may answer that request: a human at a terminal of their own. Not the asker,
/// not a descendant of it, and not from the asker's session, where the asker could be typing.
pub fn may_answer(pending: &Pending, approver: &Evidence) -> Result<()> {
    let is_theirs = |asker: &Evidence| {
        let descends = asker.caller().is_some_and(|key| approver.descends_from(key));
        descends || (asker.session != 0 && asker.session == approver.session)
    };
    if std::iter::once(&pending.evidence).chain(&pending.also).any(is_theirs) {
        return Err(Error::new(Code::HumanOnly, "the one who asks cannot also approve")
            .hint("run it from another terminal than the one the request comes from"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clock::BootId, principal::Process, task::ProcessKey};

    fn now(ms: i64) -> Moment {
        Moment { wall_ms: ms, boot_ms: ms, boot: BootId(1) }
    }

    fn evidence(pids: &[i32], session: i32) -> Evidence {
        let process =
            |pid: &i32| Process { key: ProcessKey { pid: *pid, start: 1 }, name: "x".into(), exe: None, script: None };
        Evidence { uid: 1, chain: pids.iter().map(process).collect(), session, terminal: true, pinned: true }
    }

    fn pending(id: &str, what: &str) -> Pending {
        Pending {
            id: id.into(),
            principal: "bot".into(),
            evidence: evidence(&[20, 10, 1], 10),
            also: Vec::new(),
            what: what.parse().unwrap(),
            ttl: Duration::from_secs(60),
            task: None,
            task_title: None,
            reason: None,
            deadline: Deadline::after(now(0), Duration::from_secs(60)),
        }
    }

    #[test]
    fn identical_requests_wait_together_and_leave_together() {
        let queue = Approvals::default();
        let first = queue.join(pending("a", "x:chat"), now(0)).unwrap();
        let second = queue.join(pending("b", "x:chat"), now(0)).unwrap();
        assert_eq!((first.id(), second.id(), queue.len()), ("a", "a", 1));
        drop(first);
        assert_eq!(queue.len(), 1);
        drop(second);
        assert!(queue.is_empty());
    }

    #[test]
    fn a_denial_holds_and_the_queue_of_one_principal_is_short() {
        let queue = Approvals::default();
        let _a = queue.join(pending("a", "x:chat"), now(0)).unwrap();
        queue.answer("a", Answer::Denied, now(0));
        assert!(queue.join(pending("b", "x:chat"), now(599_000)).is_err());
        assert!(queue.join(pending("c", "x:chat"), now(601_000)).is_ok());
        let _held: Vec<_> =
            (0..3).map(|i| queue.join(pending(&format!("q{i}"), &format!("x:s{i}")), now(0)).unwrap()).collect();
        assert!(queue.join(pending("q4", "x:s4"), now(0)).is_err());
    }

    #[test]
    fn neither_the_asker_nor_its_descendants_nor_its_session_may_answer() {
        let asked = pending("a", "x:chat");
        assert!(may_answer(&asked, &evidence(&[20, 10, 1], 10)).is_err());
        assert!(may_answer(&asked, &evidence(&[30, 20, 1], 30)).is_err());
        assert!(may_answer(&asked, &evidence(&[31, 10, 1], 10)).is_err());
        assert!(may_answer(&asked, &evidence(&[50, 40, 1], 40)).is_ok());
    }

    #[test]
    fn one_who_joins_gets_what_was_shown_and_may_not_answer_either() {
        let queue = Approvals::default();
        let _first = queue.join(pending("a", "x:chat"), now(0)).unwrap();
        let longer = Pending { ttl: Duration::from_secs(86_400), ..pending("b", "x:chat") };
        assert_eq!(queue.join(longer, now(0)).unwrap().id(), "b");
        let elsewhere = Pending { evidence: evidence(&[50, 40, 1], 40), ..pending("c", "x:chat") };
        let second = queue.join(elsewhere, now(0)).unwrap();
        assert_eq!(second.id(), "a");
        let asked = queue.get("a").unwrap();
        assert!(may_answer(&asked, &evidence(&[51, 40, 1], 40)).is_err());
        assert!(may_answer(&asked, &evidence(&[70, 60, 1], 60)).is_ok());
        // A denial is of the thing, whatever task it was asked in and for how long.
        queue.answer("a", Answer::Denied, now(0));
        let again = Pending { task: Some("task_2".into()), ttl: Duration::from_secs(1), ..pending("d", "x:chat") };
        assert!(queue.join(again, now(1)).is_err());
    }
}
