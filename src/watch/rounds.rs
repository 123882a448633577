//! When to stop repairing a file whose tool writes the secret back.
//!
//! Pure; time is passed in. A repair that lasts is no round. After [`MAX_ROUNDS`] repairs of one secret in one
//! file that all came back within [`WINDOW`], the answer is to stop: two programs that overwrite each other for
//! ever help nobody.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// How many times a secret that came back is taken out again.
pub const MAX_ROUNDS: u32 = 3;
/// A secret that comes back later than this after its repair begins anew.
pub const WINDOW: Duration = Duration::from_secs(10 * 60);
/// How many pairs of file and secret are remembered.
const MAX_ENTRIES: usize = 4096;

/// What to do about a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Repair it.
    Repair,
    /// Leave it and tell the person this; `first` is true the first time it is said.
    Stop {
        /// What to tell.
        tell: String,
        /// Whether it was not said before.
        first: bool,
    },
}

/// The repairs of late.
#[derive(Debug, Default)]
pub struct Rounds {
    entries: HashMap<(PathBuf, String), Entry>,
}

#[derive(Debug)]
struct Entry {
    repairs: u32,
    last: Instant,
    told: bool,
}

impl Rounds {
    /// A secret with this fingerprint was found in this file.
    pub fn judge(&mut self, path: &Path, fingerprint: &str, now: Instant) -> Verdict {
        let key = (path.to_path_buf(), fingerprint.to_owned());
        let Some(entry) = self.entries.get_mut(&key) else { return Verdict::Repair };
        if now.saturating_duration_since(entry.last) > WINDOW {
            self.entries.remove(&key);
            return Verdict::Repair;
        }
        if entry.repairs < MAX_ROUNDS {
            return Verdict::Repair;
        }
        // As long as it comes back, the matter is not over.
        entry.last = now;
        let first = !std::mem::replace(&mut entry.told, true);
        let tell = format!(
            "{} was repaired {MAX_ROUNDS} times and a program wrote the secret back each time; it is left as it is. \
             End that program and run `hallpass quarantine {0}` again, or leave it the other replacement, a key that is \
             worth nothing: `hallpass quarantine --decoy {0}`. For an assistant's own file there is `hallpass adopt`",
            path.display()
        );
        Verdict::Stop { tell, first }
    }

    /// It was repaired.
    pub fn repaired(&mut self, path: &Path, fingerprint: &str, now: Instant) {
        if self.entries.len() >= MAX_ENTRIES {
            self.entries.retain(|_, entry| now.saturating_duration_since(entry.last) <= WINDOW);
        }
        if self.entries.len() >= MAX_ENTRIES {
            let oldest = self.entries.iter().min_by_key(|(_, entry)| entry.last).map(|(key, _)| key.clone());
            oldest.and_then(|key| self.entries.remove(&key));
        }
        let key = (path.to_path_buf(), fingerprint.to_owned());
        let entry = self.entries.entry(key).or_insert(Entry { repairs: 0, last: now, told: false });
        entry.repairs += 1;
        entry.last = now;
    }

    /// A person said what to do with this file: it begins anew.
    pub fn forget(&mut self, path: &Path) {
        self.entries.retain(|(of, _), _| of != path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stops(rounds: &mut Rounds, path: &str, print: &str, now: Instant) -> Option<bool> {
        match rounds.judge(Path::new(path), print, now) {
            Verdict::Repair => None,
            Verdict::Stop { tell, first } => {
                assert!(tell.contains(path), "{tell}");
                Some(first)
            }
        }
    }

    #[test]
    fn three_rounds_and_then_it_stops_and_says_so_once() {
        let (mut rounds, t) = (Rounds::default(), Instant::now());
        for n in 0..3 {
            let now = t + Duration::from_secs(n);
            assert_eq!(stops(&mut rounds, "a", "1", now), None, "round {n}");
            rounds.repaired(Path::new("a"), "1", now);
        }
        assert_eq!(stops(&mut rounds, "a", "1", t + Duration::from_secs(4)), Some(true));
        assert_eq!(stops(&mut rounds, "a", "1", t + Duration::from_secs(5)), Some(false));
        assert_eq!(stops(&mut rounds, "a", "2", t + Duration::from_secs(5)), None, "another secret");
        assert_eq!(stops(&mut rounds, "b", "1", t + Duration::from_secs(5)), None, "another file");
        // Still coming back within the window of the last time: still stopped.
        assert_eq!(stops(&mut rounds, "a", "1", t + Duration::from_secs(5) + WINDOW), Some(false));
        rounds.forget(Path::new("a"));
        assert_eq!(stops(&mut rounds, "a", "1", t + Duration::from_secs(6) + WINDOW), None);
    }

    #[test]
    fn a_repair_that_lasted_is_no_round() {
        let (mut rounds, mut now) = (Rounds::default(), Instant::now());
        for n in 0..20 {
            assert_eq!(stops(&mut rounds, "a", "1", now), None, "round {n}");
            rounds.repaired(Path::new("a"), "1", now);
            now += WINDOW + Duration::from_secs(1);
        }
    }

    #[test]
    fn it_is_bounded() {
        let (mut rounds, t) = (Rounds::default(), Instant::now());
        for n in 0..2 * MAX_ENTRIES {
            rounds.repaired(Path::new("a"), &n.to_string(), t + Duration::from_millis(n as u64));
        }
        assert!(rounds.entries.len() <= MAX_ENTRIES);
        assert!(rounds.entries.contains_key(&("a".into(), (2 * MAX_ENTRIES - 1).to_string())));
    }
}
