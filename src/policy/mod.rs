//! Policy: may this principal have these scopes on these resources for this long?
//!
//! Owns the decision, and the answer to "what would allow it". Pure. Nothing widens by itself: with
//! no grant the verdict is a denial that names the exact command (DESIGN promise 10).

pub mod bounds;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    lease::Rate,
    scope::{ResourceSet, ScopeSet, Wanted},
    task::Task,
};
use bounds::Bounds;

/// The scope that hands out a credential itself. No `*` gives it: a grant has to name it.
pub const RELEASE: &str = "release";

/// Policy: this principal may have these scopes on these resources from this issuer.
#[derive(Clone, Debug, PartialEq)]
pub struct Grant {
    /// `grant_...`, or the name given in the config.
    pub id: String,
    /// Who it is for.
    pub principal: String,
    /// Issuer, scopes and resources.
    pub what: Wanted,
    /// The longest life of one token.
    pub max_ttl: Duration,
    /// What it takes.
    pub approval: Approval,
    /// What a request's JSON body may hold.
    pub bounds: Bounds,
    /// The rate of each lease.
    pub rate: Option<Rate>,
}

/// What it takes to get a token under a grant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Approval {
    /// Nothing more.
    #[default]
    Auto,
    /// A human's `hallpass approve`.
    Ask,
    /// It is refused, whatever other grants say.
    Never,
}

/// What is asked for, and by whom.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// Who asks.
    pub principal: String,
    /// Issuer, scopes and resources.
    pub what: Wanted,
    /// How long; `None` takes what the grants allow, at most [`DEFAULT_TTL`].
    pub ttl: Option<Duration>,
}

/// How long a token lives when neither the request nor the grant says less.
pub const DEFAULT_TTL: Duration = Duration::from_secs(15 * 60);

/// The decision, with its reasons.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// It is allowed under these terms; with [`Approval::Ask`], once a human has approved.
    Allowed(Terms),
    /// It is refused.
    Denied(Denial),
}

/// The terms under which a token may be issued: the strictest of the grants it needs.
#[derive(Clone, Debug, PartialEq)]
pub struct Terms {
    /// The grants used, by id.
    pub grants: Vec<String>,
    /// How long the token lives.
    pub ttl: Duration,
    /// `Auto` or `Ask`.
    pub approval: Approval,
    /// All bounds of all grants used.
    pub bounds: Bounds,
    /// The strictest rate of the grants used.
    pub rate: Option<Rate>,
}

/// Why it is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denial {
    /// The caller could not be named, and `unknown` has no grants.
    #[error("hallpass cannot tell who is asking, and an unknown caller may do nothing")]
    Unknown,
    /// No grant covers it.
    #[error("no grant lets {principal} do {what}")]
    NoGrant {
        /// Who asked.
        principal: String,
        /// The part that no grant covers.
        what: Wanted,
    },
    /// A grant with `approval = never` covers it.
    #[error("grant {grant} says never for {what}")]
    Never {
        /// That grant.
        grant: String,
        /// The part that it covers.
        what: Wanted,
    },
    /// The task was opened for less.
    #[error("the task {title:?} was opened for {limit}, and {what} is not in it")]
    OutsideTask {
        /// The task's title.
        title: String,
        /// What it was opened for.
        limit: String,
        /// What was asked.
        what: Wanted,
    },
    /// The task is over.
    #[error("the task {title:?} has ended")]
    TaskEnded {
        /// The task's title.
        title: String,
    },
}

/// Decides. Each scope on each resource must be inside one grant; the terms are the strictest of the
/// grants used, and a `never` that touches any of it wins.
pub fn decide(grants: &[Grant], request: &Request, task: Option<&Task>) -> Verdict {
    if request.principal == crate::principal::UNKNOWN {
        return Verdict::Denied(Denial::Unknown);
    }
    if let Some(task) = task.filter(|task| !task.allows(&request.what)) {
        let limit = task.limit.iter().flatten().map(Wanted::to_string).collect::<Vec<_>>().join(" ");
        return Verdict::Denied(Denial::OutsideTask { title: task.title.clone(), limit, what: request.what.clone() });
    }
    let mine: Vec<&Grant> =
        grants.iter().filter(|g| g.principal == request.principal && g.what.issuer == request.what.issuer).collect();
    let mut used: Vec<&Grant> = Vec::new();
    for piece in pieces(&request.what) {
        if let Some(never) = mine.iter().find(|g| g.approval == Approval::Never && overlaps(&g.what, &piece)) {
            return Verdict::Denied(Denial::Never { grant: never.id.clone(), what: piece });
        }
        // The least demanding grant that covers the piece: auto before ask, then the longer life.
        let best = mine
            .iter()
            .filter(|g| g.approval != Approval::Never && g.what.contains(&piece) && names_release(&g.what, &piece))
            .min_by_key(|g| (g.approval, !g.bounds.is_empty(), std::cmp::Reverse(g.max_ttl)));
        match best {
            Some(grant) if used.iter().any(|g| g.id == grant.id) => {}
            Some(grant) => used.push(grant),
            None => return Verdict::Denied(Denial::NoGrant { principal: request.principal.clone(), what: piece }),
        }
    }
    Verdict::Allowed(terms(&used, request.ttl))
}

/// False only where the credential itself is asked for and the grant does not say so in that word.
fn names_release(grant: &Wanted, asked: &Wanted) -> bool {
    let named = |what: &Wanted| what.scopes.iter().any(|scope| scope.to_string() == RELEASE);
    !named(asked) || named(grant)
}

/// The request cut into single scopes on single resources.
fn pieces(what: &Wanted) -> Vec<Wanted> {
    let mut all = Vec::new();
    for scope in what.scopes.iter() {
        for resource in what.resources.iter() {
            all.push(Wanted {
                issuer: what.issuer.clone(),
                scopes: ScopeSet::new([scope.clone()]),
                resources: ResourceSet::new([resource.clone()]),
            });
        }
    }
    all
}

/// Whether a `never` touches it. Resources are compared without regard to case here, because many upstreams
/// do so (GitHub's owners and repositories): `acme/SECRET` is no way around a never for `acme/secret`.
fn overlaps(a: &Wanted, b: &Wanted) -> bool {
    let folded = |set: &ResourceSet| {
        ResourceSet::new(set.iter().filter_map(|resource| resource.to_string().to_ascii_lowercase().parse().ok()))
    };
    !a.scopes.meet(&b.scopes).is_empty() && !folded(&a.resources).meet(&folded(&b.resources)).is_empty()
}

fn terms(used: &[&Grant], ttl: Option<Duration>) -> Terms {
    let longest = used.iter().map(|g| g.max_ttl).min().unwrap_or_default();
    let mut bounds = Bounds::default();
    for grant in used {
        bounds = bounds.and(&grant.bounds);
    }
    Terms {
        grants: used.iter().map(|g| g.id.clone()).collect(),
        ttl: ttl.unwrap_or(DEFAULT_TTL).min(longest),
        approval: used.iter().map(|g| g.approval).max().unwrap_or(Approval::Never),
        bounds,
        rate: used.iter().filter_map(|g| g.rate).reduce(Rate::stricter),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn grant(id: &str, what: &str, approval: Approval, ttl: u64) -> Grant {
        Grant {
            id: id.into(),
            principal: "bot".into(),
            what: what.parse().unwrap(),
            max_ttl: Duration::from_secs(ttl),
            approval,
            bounds: Bounds::default(),
            rate: None,
        }
    }

    fn ask(what: &str) -> Request {
        Request { principal: "bot".into(), what: what.parse().unwrap(), ttl: None }
    }

    #[test]
    fn the_strictest_of_the_grants_used_sets_the_terms() {
        let grants = [
            grant("a", "gh:issues:*@acme/*", Approval::Auto, 600),
            grant("b", "gh:pulls:read@acme/web", Approval::Ask, 60),
        ];
        let Verdict::Allowed(terms) = decide(&grants, &ask("gh:issues:read,pulls:read@acme/web"), None) else {
            panic!("denied")
        };
        assert_eq!((terms.ttl, terms.approval), (Duration::from_secs(60), Approval::Ask));
        assert_eq!(terms.grants, ["a", "b"]);
        let Verdict::Allowed(terms) = decide(&grants, &ask("gh:issues:read@acme/web"), None) else { panic!("denied") };
        assert_eq!((terms.ttl, terms.approval), (Duration::from_secs(600), Approval::Auto));
    }

    #[test]
    fn no_star_gives_the_credential_itself() {
        let allowed = |grant_of: &str, asked: &str| {
            matches!(decide(&[grant("a", grant_of, Approval::Auto, 600)], &ask(asked), None), Verdict::Allowed(_))
        };
        assert!(allowed("gh:release", "gh:release") && allowed("gh:release@acme/*", "gh:release@acme/web"));
        assert!(!allowed("gh:*", "gh:release") && allowed("gh:*", "gh:*") && allowed("gh:*", "gh:releases"));
        assert!(!allowed("gh:release:*", "gh:release") && !allowed("gh:release", "gh:*"));
    }

    #[test]
    fn never_wins_and_unknown_gets_nothing() {
        let grants = [grant("a", "gh:*", Approval::Auto, 600), grant("no", "gh:admin:*", Approval::Never, 600)];
        assert!(matches!(decide(&grants, &ask("gh:*"), None), Verdict::Denied(Denial::Never { .. })));
        assert!(matches!(decide(&grants, &ask("gh:chat"), None), Verdict::Allowed(_)));
        let grants = [
            grant("a", "gh:chat@acme/*", Approval::Auto, 600),
            grant("no", "gh:chat@acme/secret", Approval::Never, 600),
        ];
        assert!(matches!(decide(&grants, &ask("gh:chat@acme/SECRET"), None), Verdict::Denied(Denial::Never { .. })));
        let unknown = Request { principal: "unknown".into(), ..ask("gh:chat") };
        assert_eq!(decide(&grants, &unknown, None), Verdict::Denied(Denial::Unknown));
        let other = Request { principal: "other".into(), ..ask("gh:chat") };
        assert!(matches!(decide(&grants, &other, None), Verdict::Denied(Denial::NoGrant { .. })));
    }

    proptest! {
        #[test]
        fn what_is_allowed_is_inside_the_grants(
            granted in prop::collection::vec("[ab](:[ab]){0,1}(:\\*)?@[ab](/[ab]){0,1}", 0..4),
            asked in "[ab](:[ab]){0,1}(:\\*)?@[ab](/[ab]){0,1}",
        ) {
            let grants: Vec<Grant> = granted.iter().enumerate()
                .map(|(i, g)| grant(&i.to_string(), &format!("x:{g}"), Approval::Auto, 60)).collect();
            let asked = ask(&format!("x:{asked}"));
            let covered = grants.iter().any(|g| g.what.contains(&asked.what));
            prop_assert_eq!(matches!(decide(&grants, &asked, None), Verdict::Allowed(_)), covered);
        }
    }
}
