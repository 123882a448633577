//! The leases that hold: found by their token's hash, ended in whole families.
//!
//! Owns the map from token hash to lease and the tokens that may be shared. A lease is in the database
//! before its token leaves, and its end is there before anyone is told.

use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap, VecDeque},
    rc::{Rc, Weak},
};

use tokio_util::sync::CancellationToken;

use super::{Settings, State, db::Db};
use crate::{
    api::SecretText,
    audit::{Decision, Record},
    clock::Moment,
    error::Result,
    gateway::Pass,
    lease::{Lease, Unusable, Window},
    policy::{self, Approval, Verdict},
    principal::Kind,
    scope::Wanted,
    task::{EndReason, Ended},
    token::TokenHash,
};

/// How long an ended lease or task stays in the database, in milliseconds.
const KEEP_MS: i64 = 90 * 24 * 3600 * 1000;

/// How many tokens that ended are remembered, to say why they do not work.
const MOST_GONE: usize = 256;

/// A lease that holds, with what goes with it in memory only.
pub struct Live {
    /// The record.
    pub lease: Lease,
    /// Its requests in the current stretch of time.
    pub window: Window,
    /// Cancelled when it ends: running streams are cut.
    pub ended: CancellationToken,
    /// What the gateway made of it, under these settings.
    pub pass: RefCell<Option<(Weak<Settings>, Rc<Pass>)>>,
    hash: TokenHash,
}

/// The leases that hold.
#[derive(Default)]
pub struct Leases {
    by_hash: HashMap<TokenHash, Live>,
    by_id: HashMap<String, TokenHash>,
    shared: HashMap<ShareKey, (String, Given)>,
    /// Ended, and not written down yet: the database would take them for alive at the next start.
    unwritten: Vec<Lease>,
    /// The latest that ended, oldest first.
    gone: VecDeque<Gone>,
}

/// A lease that ended.
pub struct Gone {
    hash: TokenHash,
    /// Why its token does not work any more.
    pub why: Unusable,
    /// What it was.
    pub lease: Lease,
}

/// What is handed out: a token, and what belongs to it.
#[derive(Clone)]
pub struct Given {
    /// The token.
    pub token: SecretText,
    /// The issuer's other strings, by name.
    pub parts: BTreeMap<String, SecretText>,
}

/// What makes two requests identical.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ShareKey {
    /// The task; only a task's requests share.
    pub task: String,
    /// Who asks.
    pub principal: String,
    /// What is asked.
    pub what: Wanted,
    /// For how long, in seconds.
    pub ttl: u64,
    /// At which rate, as written.
    pub rate: Option<String>,
}

impl Leases {
    /// Loads them. What expired while no daemon ran is written down as ended with the next end.
    pub fn load(db: &Db, now: Moment) -> Result<Self> {
        let mut leases = Self::default();
        for (hash, mut lease) in db.live_leases()? {
            if lease.deadline.is_past(now) {
                lease.ended = Some(Ended { at_ms: lease.deadline.wall_ms, reason: EndReason::Expired });
                leases.unwritten.push(lease);
            } else {
                leases.insert(lease, hash);
            }
        }
        db.prune(now.wall_ms - KEEP_MS)?;
        Ok(leases)
    }

    /// The lease of a token.
    pub fn get(&self, hash: TokenHash) -> Option<&Live> {
        self.by_hash.get(&hash)
    }

    /// See [`Leases::get`].
    pub fn get_mut(&mut self, hash: TokenHash) -> Option<&mut Live> {
        self.by_hash.get_mut(&hash)
    }

    /// A lease by its id.
    pub fn by_id(&self, id: &str) -> Option<&Live> {
        self.by_id.get(id).and_then(|hash| self.by_hash.get(hash))
    }

    /// See [`Leases::by_id`].
    pub fn by_id_mut(&mut self, id: &str) -> Option<&mut Live> {
        let hash = self.by_id.get(id)?;
        self.by_hash.get_mut(hash)
    }

    /// What became of a token that is not known any more, where it is one of the latest to end. From memory:
    /// anybody may ask about any token, so the answer must not cost a look into the database.
    pub fn gone(&self, hash: TokenHash) -> Option<&Gone> {
        self.gone.iter().rev().find(|gone| gone.hash == hash)
    }

    /// How many are in memory: those that hold, and expired ones that were not swept out yet.
    pub fn len(&self) -> usize {
        self.by_hash.len()
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.by_hash.is_empty()
    }

    /// How many hold at `now`.
    pub fn count(&self, now: Moment) -> usize {
        self.by_hash.values().filter(|live| live.lease.check(now).is_ok()).count()
    }

    /// The ids of those that match.
    pub fn ids(&self, matches: impl Fn(&Lease) -> bool) -> Vec<String> {
        self.by_hash.values().filter(|live| matches(&live.lease)).map(|live| live.lease.id.clone()).collect()
    }

    /// The token of an identical earlier request, while it may be shared.
    pub fn shared(&mut self, key: &ShareKey, now: Moment) -> Option<(Lease, Given)> {
        let (id, given) = self.shared.get(key)?;
        match self.by_id(id) {
            Some(live) if live.lease.is_shareable(now) => Some((live.lease.clone(), given.clone())),
            _ => {
                self.shared.remove(key);
                None
            }
        }
    }

    /// Remembers a token for identical requests to come.
    pub fn share(&mut self, key: ShareKey, id: &str, given: Given) {
        self.shared.insert(key, (id.to_owned(), given));
    }

    fn insert(&mut self, lease: Lease, hash: TokenHash) {
        self.by_id.insert(lease.id.clone(), hash);
        self.by_hash.insert(
            hash,
            Live { lease, window: Window::default(), ended: CancellationToken::new(), pass: RefCell::default(), hash },
        );
    }

    /// Ends these and all that was narrowed from them; they work no more from here on.
    fn end(&mut self, ids: Vec<String>, reason: EndReason, at_ms: i64) -> Vec<String> {
        let mut children: HashMap<String, Vec<String>> = HashMap::new();
        for lease in self.by_hash.values().map(|live| &live.lease) {
            if let Some(parent) = &lease.parent {
                children.entry(parent.clone()).or_default().push(lease.id.clone());
            }
        }
        let mut ended = Vec::new();
        let mut queue: Vec<(String, EndReason)> = ids.into_iter().map(|id| (id, reason)).collect();
        while let Some((id, reason)) = queue.pop() {
            let Some(mut live) = self.by_id.remove(&id).and_then(|hash| self.by_hash.remove(&hash)) else { continue };
            live.ended.cancel();
            if self.gone.len() >= MOST_GONE {
                self.gone.pop_front();
            }
            let why = if reason == EndReason::Expired { Unusable::Expired } else { Unusable::Ended };
            live.lease.ended = Some(Ended { at_ms, reason });
            self.gone.push_back(Gone { hash: live.hash, why, lease: live.lease.clone() });
            self.unwritten.push(live.lease);
            queue.extend(children.remove(&id).into_iter().flatten().map(|child| (child, EndReason::ParentEnded)));
            ended.push(id);
        }
        let by_id = &self.by_id;
        self.shared.retain(|_, (id, _)| by_id.contains_key(id));
        ended
    }
}

impl State {
    /// Writes a new lease down and makes its token work.
    pub fn issue(&self, lease: Lease, hash: TokenHash, now: Moment) -> Result<()> {
        self.write_ends()?;
        self.db.insert_lease(&lease, hash)?;
        self.timer.is_due(lease.deadline, now);
        self.leases.borrow_mut().insert(lease, hash);
        Ok(())
    }

    /// Ends these leases and all that was narrowed from them; gives the ids of those that ended now.
    pub fn end_leases(&self, ids: Vec<String>, reason: EndReason) -> Result<Vec<String>> {
        let now = crate::sys::now();
        let ended = self.leases.borrow_mut().end(ids, reason, now.wall_ms);
        self.renders.ended(&ended);
        self.write_ends().map(|()| ended)
    }

    /// Writes down what ended and is not on disk yet, with its records. What fails is tried again before
    /// anything else is handed out.
    pub fn write_ends(&self) -> Result<()> {
        let leases = std::mem::take(&mut self.leases.borrow_mut().unwritten);
        let tasks = self.tasks.borrow_mut().take_unwritten();
        if leases.is_empty() && tasks.is_empty() {
            return Ok(());
        }
        if let Err(error) = self.db.write_ends(&leases, &tasks) {
            self.leases.borrow_mut().unwritten = leases;
            self.tasks.borrow_mut().put_unwritten(tasks);
            return Err(error);
        }
        for lease in &leases {
            if lease.upstream.is_some_and(|upstream| upstream.revocable) {
                self.held.is_due(&lease.id);
            }
            let why = lease.ended.as_ref().map_or("", |ended| reason_word(ended.reason));
            self.record_after(
                Record::new("lease.end", &lease.principal, self.kind_of(&lease.principal))
                    .lease(&lease.id)
                    .task(lease.task.as_deref())
                    .issuer(&lease.what.issuer)
                    .decision(Decision::Done)
                    .detail(why),
            );
        }
        Ok(())
    }

    /// Ends the leases whose time is up, so that what runs on them is cut off; says when the next one's
    /// will be.
    pub fn end_expired_leases(&self, now: Moment) -> Option<std::time::Duration> {
        let expired = self.leases.borrow().ids(|lease| lease.deadline.is_past(now));
        if !expired.is_empty()
            && let Err(error) = self.end_leases(expired, EndReason::Expired)
        {
            tracing::error!("{error}");
        }
        self.leases.borrow().by_hash.values().map(|live| live.lease.deadline.remaining(now)).min()
    }

    /// Ends the leases that the grants in force no longer allow.
    pub fn end_leases_without_grant(&self) -> Result<()> {
        let settings = self.settings();
        let allowed = |lease: &Lease| {
            let request = policy::Request { principal: lease.principal.clone(), what: lease.what.clone(), ttl: None };
            let known = settings.config.issuers.contains_key(&lease.what.issuer);
            match policy::decide(&settings.config.grants, &request, None) {
                // Another grant may cover it only on conditions that this lease was issued without.
                Verdict::Allowed(terms) => {
                    let bound = lease.bounds.and(&terms.bounds) == lease.bounds;
                    known && bound && (terms.approval == Approval::Auto || terms.grants == lease.grants)
                }
                Verdict::Denied(_) => false,
            }
        };
        // A narrowed lease stands and falls with its parent, not with grants of its own.
        let gone = self.leases.borrow().ids(|lease| lease.parent.is_none() && !allowed(lease));
        self.end_leases(gone, EndReason::GrantGone).map(drop)
    }

    /// Counts one use of a lease, and checks once more that it holds.
    pub fn spend(&self, id: &str) -> Result<(), SpendError> {
        self.write_ends().map_err(SpendError::State)?;
        let now = crate::sys::now();
        let (spent, parent) = {
            let mut leases = self.leases.borrow_mut();
            let live = leases.by_id_mut(id).ok_or(SpendError::Unusable(Unusable::Ended))?;
            live.lease.check(now).map_err(SpendError::Unusable)?;
            if let Some(rate) = live.lease.rate {
                rate.admit(&mut live.window, now).map_err(SpendError::Unusable)?;
            }
            let spent = match live.lease.uses_left {
                None => None,
                Some(left) => {
                    live.lease.uses_left = Some(left.saturating_sub(1));
                    Some(live.lease.clone())
                }
            };
            (spent, live.lease.parent.clone())
        };
        // A use that is not on disk would come back after a restart, so it must be there first.
        if let Some(lease) = spent {
            self.db.update_lease(&lease).map_err(SpendError::State)?;
        }
        // A narrowed token counts against its parents too, so narrowing cannot multiply uses or rates.
        match parent {
            Some(parent) => self.spend(&parent),
            None => Ok(()),
        }
    }

    /// The kind of a principal, for its audit stream.
    pub fn kind_of(&self, principal: &str) -> Kind {
        match principal {
            crate::principal::HUMAN => Kind::Human,
            crate::principal::UNKNOWN => Kind::Unknown,
            name => self.names.borrow().principal(name).map_or(Kind::Service, |p| p.kind),
        }
    }
}

/// Why a use could not be counted.
pub enum SpendError {
    /// The token does not hold.
    Unusable(Unusable),
    /// The use could not be written down.
    State(crate::error::Error),
}

fn reason_word(reason: EndReason) -> &'static str {
    match reason {
        EndReason::Revoked => "revoked",
        EndReason::Expired => "expired",
        EndReason::Exited => "its process exited",
        EndReason::TaskEnded => "its task ended",
        EndReason::ParentEnded => "the lease it was narrowed from ended",
        EndReason::PrincipalDisabled => "its principal was disabled or removed",
        EndReason::UsedUp => "its last use was used",
        EndReason::GrantGone => "its grant or credential is gone",
        EndReason::Left => "the project was left",
    }
}

impl Live {
    /// The hash of its token.
    pub fn hash(&self) -> TokenHash {
        self.hash
    }
}
