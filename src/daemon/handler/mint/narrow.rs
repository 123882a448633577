//! `mint --parent`: a narrower token from one that the caller holds.
//!
//! Never wider, longer or in another task than its parent, and never without a record; no grant is asked, the parent
//! is what allows it.

use std::{rc::Rc, time::Duration};

use super::{Order, hand_out, new_token, refuse};
use crate::{
    api::{
        lease::{Mint, Minted},
        problem::Code,
    },
    clock::Deadline,
    daemon::{
        handler::release,
        state::{State, callers::Caller},
    },
    error::{Error, Result},
    lease::Lease,
    principal::{Identity, UNKNOWN},
    sys,
    token::{self, TokenHash},
};

/// How deep tokens may be narrowed.
const MAX_DEPTH: usize = 8;

/// Narrows a token that the caller holds (RFC 8693): never wider, longer or in another task.
pub fn narrow(
    state: &Rc<State>,
    caller: &Caller,
    identity: &Identity,
    hash: TokenHash,
    request: &Mint,
) -> Result<Minted> {
    let now = sys::now();
    state.audit_ready()?;
    let parent = {
        let leases = state.leases.borrow();
        let live = leases.get(hash).ok_or_else(|| dead_parent("it is not known, or has ended"))?;
        live.lease.check(now).map_err(|e| dead_parent(&e.to_string()))?;
        live.lease.clone()
    };
    let depth = {
        let leases = state.leases.borrow();
        let up = |id: &String| leases.by_id(id).and_then(|live| live.lease.parent.clone());
        std::iter::successors(parent.parent.clone(), up).take(MAX_DEPTH).count()
    };
    if depth + 1 >= MAX_DEPTH {
        return Err(Error::new(Code::Widening, format!("a token can be narrowed {MAX_DEPTH} times, one from another"))
            .hint("narrow an earlier one"));
    }
    let task = request.task.clone().or_else(|| parent.task.clone());
    // Whoever holds the token may narrow it; the child is on record under the name of who asked.
    let principal = if identity.principal == UNKNOWN { parent.principal.clone() } else { identity.principal.clone() };
    state.not_disabled(&principal)?;
    let order = Order {
        principal,
        task,
        what: request.what.clone(),
        ttl: request.ttl_seconds.map(Duration::from_secs),
        uses: request.uses.or(parent.uses_left),
        rate: request.rate,
        wait: None,
        reason: None,
    };
    // No `*` of the parent is the credential itself, as no grant's is.
    if release::is_asked(&order.what) && order.what.scopes != parent.what.scopes {
        let error = release::no_scope(&order.what.issuer);
        return Err(refuse(state, Some(caller), &order, Error { code: Code::Widening, ..error }));
    }
    if let Err(widening) = parent.allows_child(&order.what, order.task.as_deref(), order.uses) {
        let error = Error::new(Code::Widening, widening.to_string()).hint("ask for less, or mint a token of its own");
        return Err(refuse(state, Some(caller), &order, error));
    }
    let left = parent.deadline.remaining(now);
    let deadline = Deadline::after(now, order.ttl.map_or(left, |ttl| ttl.min(left))).earlier(parent.deadline, now);
    let lease = Lease {
        id: token::short_id("lease", state.random()?),
        task: order.task.clone(),
        principal: order.principal.clone(),
        what: order.what.clone(),
        bounds: parent.bounds.clone(),
        deadline,
        uses_left: order.uses,
        rate: match (parent.rate, order.rate) {
            (Some(a), Some(b)) => Some(a.stricter(b)),
            (a, b) => a.or(b),
        },
        parent: Some(parent.id.clone()),
        grants: parent.grants.clone(),
        ended: None,
        upstream: None,
    };
    let (given, hash) = new_token(state)?;
    hand_out(state, Some(caller), &order, lease, &given, hash, now)
}

fn dead_parent(why: &str) -> Error {
    Error::new(Code::TokenRevoked, format!("the token to narrow does not work: {why}")).hint("mint a new one")
}
