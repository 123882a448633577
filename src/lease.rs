//! Leases: the record of each issued token, and whether it still holds.
//!
//! Owns expiry, sharing, narrowing, use counts and rates. Pure: the daemon passes the time in and
//! stores the result.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    clock::{Deadline, Moment},
    policy::bounds::Bounds,
    scope::Wanted,
    task::Ended,
};

/// The record of one issued token. The token itself is not in it: the daemon keeps its hash.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lease {
    /// `lease_...`.
    pub id: String,
    /// The task it belongs to.
    pub task: Option<String>,
    /// Who it was issued to.
    pub principal: String,
    /// Issuer, scopes and resources.
    pub what: Wanted,
    /// What the body of a request may hold.
    pub bounds: Bounds,
    /// When it ends.
    pub deadline: Deadline,
    /// How often it may still be used; `None` is without limit.
    pub uses_left: Option<u32>,
    /// How many requests are allowed in a stretch of time.
    pub rate: Option<Rate>,
    /// The lease it was narrowed from.
    pub parent: Option<String>,
    /// The grants that allowed it, by id.
    pub grants: Vec<String>,
    /// When and why it ended early.
    pub ended: Option<Ended>,
    /// The issuer's own token behind it, where it is no token of hallpass's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream: Option<Upstream>,
}

/// An issuer's own token, as far as its lease knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upstream {
    /// When it ends by itself, in milliseconds since 1970 (UTC).
    pub ends_ms: i64,
    /// Whether the issuer ends it early when it is asked to.
    pub revocable: bool,
}

/// At most `count` requests in any window of `per_seconds`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Rate {
    /// How many requests.
    pub count: u32,
    /// In how many seconds.
    pub per_seconds: u32,
}

/// Why a token cannot be used now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// It ended before its time.
    #[error("the token was revoked or its task has ended")]
    Ended,
    /// Its time is up.
    #[error("the token has expired")]
    Expired,
    /// All of its uses are spent.
    #[error("the token has no uses left")]
    UsedUp,
    /// Too many requests; the window opens again after this long.
    #[error("the token's rate is used up for now")]
    TooFast {
        /// When to try again.
        retry_after: Duration,
    },
}

/// Why a lease cannot be narrowed into another.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Widening {
    /// The child would do more than its parent.
    #[error("a narrower token may only do what its parent may: {parent}")]
    Scope {
        /// What the parent may do.
        parent: String,
    },
    /// The child would belong to another task.
    #[error("a narrower token belongs to its parent's task")]
    Task,
    /// The child would have more uses than its parent has left.
    #[error("a narrower token cannot have more uses than its parent has left ({left})")]
    Uses {
        /// What the parent has left.
        left: u32,
    },
}

/// The requests of one lease in the current window: kept in memory, as long as the daemon runs.
#[derive(Clone, Copy, Debug, Default)]
pub struct Window {
    start_ms: i64,
    used: u32,
}

impl Lease {
    /// Whether it still holds, apart from its rate.
    pub fn check(&self, now: Moment) -> Result<(), Unusable> {
        if self.ended.is_some() {
            Err(Unusable::Ended)
        } else if self.deadline.is_past(now) {
            Err(Unusable::Expired)
        } else if self.uses_left == Some(0) {
            Err(Unusable::UsedUp)
        } else {
            Ok(())
        }
    }

    /// True while an identical request of the same task may be given this lease's token again: until
    /// 80 % of its life are over, and never for one that counts its uses.
    pub fn is_shareable(&self, now: Moment) -> bool {
        let left = self.deadline.remaining(now);
        self.uses_left.is_none() && self.check(now).is_ok() && left > self.deadline.length() / 5
    }

    /// When the issuer's own token ends, where that is later than the lease.
    pub fn outlived_until_ms(&self) -> Option<i64> {
        self.upstream.map(|upstream| upstream.ends_ms).filter(|ends| *ends > self.deadline.wall_ms)
    }

    /// Whether its token works no more once the lease has ended.
    pub fn is_revocable(&self) -> bool {
        self.upstream.is_none_or(|upstream| upstream.revocable)
    }

    /// Checks that a child with these properties is no wider than this lease.
    pub fn allows_child(&self, what: &Wanted, task: Option<&str>, uses: Option<u32>) -> Result<(), Widening> {
        if !self.what.contains(what) {
            return Err(Widening::Scope { parent: self.what.to_string() });
        }
        if self.task.as_deref() != task {
            return Err(Widening::Task);
        }
        match (self.uses_left, uses) {
            (Some(left), Some(wanted)) if wanted > left => Err(Widening::Uses { left }),
            _ => Ok(()),
        }
    }
}

impl Rate {
    /// Counts one request, or says when the next one may come.
    pub fn admit(self, window: &mut Window, now: Moment) -> Result<(), Unusable> {
        let length = i64::from(self.per_seconds).saturating_mul(1000).max(1);
        let age = now.boot_ms.saturating_sub(window.start_ms);
        if window.used == 0 || age >= length || age < 0 {
            *window = Window { start_ms: now.boot_ms, used: 1 };
            return Ok(());
        }
        if window.used < self.count {
            window.used += 1;
            return Ok(());
        }
        let wait = u64::try_from(length - age).unwrap_or(0);
        Err(Unusable::TooFast { retry_after: Duration::from_millis(wait) })
    }

    /// A rate that keeps both. Fewer requests per second are not enough: `35999/h` is slower than `10/s`
    /// and still lets 35999 through at once. Where neither keeps the other, it is the smaller count in the
    /// longer time, which is stricter than either.
    pub fn stricter(self, other: Self) -> Self {
        Self { count: self.count.min(other.count), per_seconds: self.per_seconds.max(other.per_seconds) }
            .loosest_of(self, other)
    }

    /// One of the two where it keeps the other, else `self`.
    fn loosest_of(self, a: Self, b: Self) -> Self {
        let per_second = |r: Self, s: Self| u64::from(r.count) * u64::from(s.per_seconds);
        let keeps = |r: Self, s: Self| r.count <= s.count && per_second(r, s) <= per_second(s, r);
        match (keeps(a, b), keeps(b, a)) {
            (true, _) => a,
            (_, true) => b,
            _ => self,
        }
    }
}

impl TryFrom<String> for Rate {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Rate> for String {
    fn from(rate: Rate) -> Self {
        rate.to_string()
    }
}

impl std::str::FromStr for Rate {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no rate; write it like 10/s, 60/min or 500/h");
        let (count, per) = text.split_once('/').ok_or_else(wrong)?;
        let count: u32 = count.trim().parse().map_err(|_| wrong())?;
        let per_seconds = match per.trim() {
            "s" | "sec" | "second" => 1,
            "m" | "min" | "minute" => 60,
            "h" | "hour" => 3600,
            "d" | "day" => 86_400,
            _ => return Err(wrong()),
        };
        if count == 0 { Err(wrong()) } else { Ok(Self { count, per_seconds }) }
    }
}

impl std::fmt::Display for Rate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let unit = match self.per_seconds {
            1 => "s",
            60 => "min",
            3600 => "h",
            _ => "day",
        };
        write!(f, "{}/{unit}", self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::BootId;
    use proptest::prelude::*;

    fn at(ms: i64) -> Moment {
        Moment { wall_ms: ms, boot_ms: ms, boot: BootId(1) }
    }

    fn lease(ttl_s: u64, uses: Option<u32>) -> Lease {
        Lease {
            id: "lease_1".into(),
            task: Some("task_1".into()),
            principal: "p".into(),
            what: "github:issues:*@acme/*".parse().unwrap(),
            bounds: Bounds::default(),
            deadline: Deadline::after(at(0), Duration::from_secs(ttl_s)),
            uses_left: uses,
            rate: None,
            parent: None,
            grants: vec![],
            ended: None,
            upstream: None,
        }
    }

    #[test]
    fn a_lease_is_shared_until_it_is_80_percent_old() {
        let l = lease(100, None);
        assert!(l.is_shareable(at(79_999)));
        assert!(!l.is_shareable(at(80_000)));
        assert_eq!(l.check(at(99_999)), Ok(()));
        assert_eq!(l.check(at(100_000)), Err(Unusable::Expired));
        assert!(!lease(100, Some(2)).is_shareable(at(0)));
    }

    #[test]
    fn a_child_is_never_wider_nor_in_another_task() {
        let l = lease(100, Some(3));
        let ok = "github:issues:read@acme/web".parse().unwrap();
        assert_eq!(l.allows_child(&ok, Some("task_1"), Some(3)), Ok(()));
        assert!(l.allows_child(&ok, Some("task_2"), None).is_err());
        assert!(l.allows_child(&ok, None, None).is_err());
        assert!(l.allows_child(&ok, Some("task_1"), Some(4)).is_err());
        for wide in ["github:*@acme/web", "github:issues:read", "gitlab:issues:read@acme/web"] {
            assert!(l.allows_child(&wide.parse().unwrap(), Some("task_1"), None).is_err(), "{wide}");
        }
    }

    proptest! {
        #[test]
        fn no_window_admits_more_than_its_rate(count in 1u32..20, steps in prop::collection::vec(0i64..400, 1..200)) {
            let rate = Rate { count, per_seconds: 1 };
            let (mut window, mut now, mut admitted) = (Window::default(), 0, Vec::new());
            for step in steps {
                now += step;
                if rate.admit(&mut window, at(now)).is_ok() { admitted.push(now); }
            }
            for start in &admitted {
                let inside = admitted.iter().filter(|t| **t >= *start && **t < *start + 1000).count();
                // A fixed window may let through twice its count across its edge, never more.
                prop_assert!(inside <= 2 * count as usize);
            }
        }
    }

    #[test]
    fn the_stricter_of_two_rates_keeps_both() {
        let stricter = |a: &str, b: &str| {
            let (a, b): (Rate, Rate) = (a.parse().unwrap(), b.parse().unwrap());
            assert_eq!(a.stricter(b), b.stricter(a));
            a.stricter(b).to_string()
        };
        assert_eq!(stricter("10/s", "5/s"), "5/s");
        assert_eq!(stricter("60/min", "1/s"), "1/s");
        assert_eq!(stricter("10/s", "5/h"), "5/h");
        // Slower on the whole, and a burst of 35999: not to be had for a grant of ten a second.
        assert_eq!(stricter("10/s", "35999/h"), "10/h");
    }

    #[test]
    fn rates_are_read_and_written() {
        for text in ["10/s", "60/min", "500/h", "3/day"] {
            assert_eq!(text.parse::<Rate>().unwrap().to_string(), text);
        }
        for bad in ["", "0/s", "x/s", "5", "5/fortnight", "-1/s"] {
            assert!(bad.parse::<Rate>().is_err(), "{bad}");
        }
    }
}
