//! Credentials that were read, for a while.
//!
//! Owns which of them are still good. Time is passed in (boot milliseconds). Never outlives a lock: the
//! epoch makes a value that was read before a change or a lock unwelcome after it.

use std::{collections::BTreeMap, time::Duration};

use crate::secret::Secret;

/// Values by name, each with its end.
pub(super) struct Cache {
    keep_ms: i64,
    values: BTreeMap<String, (Secret, i64)>,
    epoch: u64,
}

impl Cache {
    /// Keeps each value that long; zero keeps none.
    pub(super) fn new(keep: Duration) -> Self {
        Self { keep_ms: i64::try_from(keep.as_millis()).unwrap_or(i64::MAX), values: BTreeMap::new(), epoch: 0 }
    }

    /// The value, while it is good.
    pub(super) fn get(&self, name: &str, now_ms: i64) -> Option<Secret> {
        self.values.get(name).filter(|(_, end)| now_ms < *end).map(|(value, _)| value.clone())
    }

    /// To be taken before a read and given to [`Self::keep`] after it.
    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Keeps a value that was read since `epoch`, unless something was changed or locked meanwhile.
    pub(super) fn keep(&mut self, epoch: u64, name: &str, value: &Secret, now_ms: i64) {
        if epoch == self.epoch && self.keep_ms > 0 {
            self.values.insert(name.into(), (value.clone(), now_ms.saturating_add(self.keep_ms)));
        }
    }

    /// Forgets one value: it changes.
    pub(super) fn forget(&mut self, name: &str) {
        self.epoch += 1;
        self.values.remove(name);
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        self.epoch += 1;
        self.values.clear();
    }

    /// Forgets what is over; returns how long until the next one is.
    pub(super) fn expire(&mut self, now_ms: i64) -> Option<Duration> {
        self.values.retain(|_, (_, end)| now_ms < *end);
        let next = self.values.values().map(|(_, end)| end.saturating_sub(now_ms)).min()?;
        Some(Duration::from_millis(u64::try_from(next).unwrap_or(0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_good_until_its_end_and_then_gone_from_memory() {
        let mut cache = Cache::new(Duration::from_millis(100));
        cache.keep(cache.epoch(), "a", &Secret::take(b"x".to_vec()), 1_000);
        assert_eq!(cache.get("a", 1_099).unwrap().expose(), b"x");
        assert_eq!(cache.expire(1_040), Some(Duration::from_millis(60)));
        assert!(cache.get("a", 1_100).is_none());
        assert_eq!(cache.expire(1_100), None);
        assert!(cache.values.is_empty());
    }

    #[test]
    fn what_was_read_before_a_lock_or_a_change_is_not_kept_after_it() {
        let mut cache = Cache::new(Duration::from_secs(1));
        for change in [Cache::clear, |cache: &mut Cache| cache.forget("a")] {
            let before = cache.epoch();
            change(&mut cache);
            cache.keep(before, "a", &Secret::take(b"old".to_vec()), 0);
            assert!(cache.get("a", 0).is_none());
        }
        let mut off = Cache::new(Duration::ZERO);
        off.keep(off.epoch(), "a", &Secret::take(b"x".to_vec()), 0);
        assert!(off.get("a", 0).is_none());
    }
}
