//! Moments and deadlines on two clocks.
//!
//! Owns the rule that a TTL is counted on the boot clock (which runs through suspend and ignores
//! clock jumps) and falls back to wall time only across a reboot. Never reads a clock itself: the
//! current [`Moment`] is passed in (`sys::now()` reads it).

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// One instant read from both clocks at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Unix time in milliseconds.
    pub wall_ms: i64,
    /// Milliseconds since boot, suspend included (`CLOCK_BOOTTIME`).
    pub boot_ms: i64,
    /// Identifies the boot that `boot_ms` counts from.
    pub boot: BootId,
}

/// The first 64 bits of the kernel's random boot id; equal values mean the same boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootId(pub i64);

/// When something ends, on both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deadline {
    /// When it began, Unix milliseconds.
    pub from_wall_ms: i64,
    /// When it ends, Unix milliseconds: what users are shown, and what counts after a reboot.
    pub wall_ms: i64,
    /// When it began, boot milliseconds.
    pub from_boot_ms: i64,
    /// When it ends, boot milliseconds: what counts within one boot.
    pub boot_ms: i64,
    /// The boot that the boot times belong to.
    pub boot: BootId,
}

impl Deadline {
    /// The deadline `ttl` after `now`.
    pub fn after(now: Moment, ttl: Duration) -> Self {
        let ms = i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX / 4);
        Self {
            from_wall_ms: now.wall_ms,
            wall_ms: now.wall_ms.saturating_add(ms),
            from_boot_ms: now.boot_ms,
            boot_ms: now.boot_ms.saturating_add(ms),
            boot: now.boot,
        }
    }

    /// What is left of it; zero once it has passed.
    ///
    /// Within one boot only the boot clock counts, so setting the wall clock neither extends nor
    /// cuts a token. After a reboot the wall clock counts, and a wall clock that was set back behind
    /// the beginning gives nothing.
    pub fn remaining(&self, now: Moment) -> Duration {
        let left = if now.boot == self.boot {
            self.boot_ms.saturating_sub(now.boot_ms)
        } else if now.wall_ms < self.from_wall_ms {
            0
        } else {
            self.wall_ms.saturating_sub(now.wall_ms)
        };
        Duration::from_millis(u64::try_from(left).unwrap_or(0))
    }

    /// True once nothing is left.
    pub fn is_past(&self, now: Moment) -> bool {
        self.remaining(now).is_zero()
    }

    /// The whole length, from beginning to end.
    pub fn length(&self) -> Duration {
        let ms = self.boot_ms.saturating_sub(self.from_boot_ms);
        Duration::from_millis(u64::try_from(ms).unwrap_or(0))
    }

    /// The earlier of two deadlines, judged at `now`.
    pub fn earlier(self, other: Self, now: Moment) -> Self {
        if other.remaining(now) < self.remaining(now) { other } else { self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(wall_ms: i64, boot_ms: i64, boot: i64) -> Moment {
        Moment { wall_ms, boot_ms, boot: BootId(boot) }
    }

    #[test]
    fn a_wall_jump_within_one_boot_changes_nothing() {
        let end = Deadline::after(at(1_000_000, 5_000, 1), Duration::from_secs(60));
        assert_eq!(end.remaining(at(99_000_000_000, 6_000, 1)), Duration::from_secs(59));
        assert_eq!(end.remaining(at(0, 6_000, 1)), Duration::from_secs(59));
        assert!(end.is_past(at(1_000_000, 65_000, 1)));
    }

    #[test]
    fn after_a_reboot_the_wall_clock_counts_and_a_clock_set_back_ends_it() {
        let end = Deadline::after(at(1_000_000, 5_000, 1), Duration::from_secs(60));
        assert_eq!(end.remaining(at(1_010_000, 10, 2)), Duration::from_secs(50));
        assert!(end.is_past(at(1_060_000, 10, 2)));
        assert!(end.is_past(at(999_999, 10, 2)));
    }
}
