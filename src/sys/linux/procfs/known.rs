//! What was read of ancestors a moment ago: the same shell, editor and terminal stand above every caller.
//!
//! Owns which reads may be left out: of an ancestor, its executable's path and its script, for [`FRESH`], while it
//! is the same program. Never holds anything of a caller, and never stands in for `/proc/PID/stat`: who is above
//! whom, and under which name, is read anew for each chain.
//!
//! Why that tells no other principal than reading it all: a process is the same for good by pid and start time; that
//! it also runs the same program shows in its name and in where the kernel put that program. execve(2) puts it,
//! its stack and its arguments at random places, and they are in the stat line that is read anyway. Hidden places
//! (another user's process) are never relied on. What the places cannot show, a process that overwrites its own
//! arguments or an execve(2) without ASLR, is seen [`FRESH`] later at the latest, as if the caller had asked that
//! much earlier: a process that wants to be taken for another has plainer ways (SECURITY.md).

use std::{
    cell::RefCell,
    collections::HashMap,
    time::{Duration, Instant},
};

use super::Stat;

/// How long a reading is used again: a burst of calls, and no more.
const FRESH: Duration = Duration::from_secs(2);
/// How many processes are remembered; a chain is at most half as long.
const MOST: usize = 64;

/// What a program is known by besides its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Labels {
    /// The executable's path.
    pub(super) exe: Option<String>,
    /// The script that an interpreter runs.
    pub(super) script: Option<String>,
}

struct Known {
    stat: Stat,
    labels: Labels,
    read: Instant,
}

thread_local! {
    static KNOWN: RefCell<HashMap<i32, Known>> = RefCell::default();
}

/// The labels of an ancestor, read by `read` unless that was done a moment ago for the same program.
pub(super) fn labels(pid: i32, stat: &Stat, now: Instant, read: impl FnOnce() -> Labels) -> Labels {
    let known = KNOWN.with_borrow(|known| {
        let known = known.get(&pid).filter(|known| known.is_program(stat) && known.is_fresh(now));
        known.map(|known| known.labels.clone())
    });
    if let Some(labels) = known {
        return labels;
    }
    let labels = read();
    if stat.image.is_shown() {
        KNOWN.with_borrow_mut(|known| {
            if known.len() >= MOST {
                known.retain(|_, known| known.is_fresh(now));
            }
            if known.len() >= MOST {
                known.clear();
            }
            known.insert(pid, Known { stat: stat.clone(), labels: labels.clone(), read: now });
        });
    }
    labels
}

impl Known {
    fn is_program(&self, stat: &Stat) -> bool {
        (self.stat.start, self.stat.image, &self.stat.name) == (stat.start, stat.image, &stat.name)
    }

    fn is_fresh(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.read) < FRESH
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Image, *};

    fn stat(start: u64, name: &str, places: [u64; 5]) -> Stat {
        Stat { name: name.into(), parent: 1, session: 1, tty: 0, start, image: Image(places) }
    }

    fn ask(pid: i32, stat: &Stat, now: Instant, fresh: &str) -> String {
        let read = || Labels { exe: Some(fresh.into()), script: None };
        labels(pid, stat, now, read).exe.unwrap()
    }

    #[test]
    fn only_the_same_program_of_a_moment_ago_is_not_read_again() {
        let now = Instant::now();
        let first = stat(7, "bash", [1, 2, 3, 4, 5]);
        assert_eq!(ask(-1, &first, now, "a"), "a");
        assert_eq!(ask(-1, &first, now, "b"), "a");
        assert_eq!(ask(-1, &first, now + FRESH, "c"), "c", "its time is up");
        assert_eq!(ask(-1, &stat(8, "bash", [1, 2, 3, 4, 5]), now, "d"), "d", "another process");
        assert_eq!(ask(-1, &stat(8, "node", [1, 2, 3, 4, 5]), now, "e"), "e", "another name");
        for at in 0..5 {
            let mut places = [1, 2, 3, 4, 5];
            places[at] += 4096;
            let here = format!("place {at}");
            assert_eq!(ask(-1, &stat(8, "node", places), now, &here), here, "another program");
        }
        let hidden = stat(7, "sudo", [1, 0, 0, 0, 0]);
        assert_eq!(ask(-2, &hidden, now, "f"), "f");
        assert_eq!(ask(-2, &hidden, now, "g"), "g");
    }

    #[test]
    fn many_processes_take_little() {
        let now = Instant::now();
        for pid in 1000..2000 {
            ask(pid, &stat(1, "sh", [1, 2, 3, 4, 5]), now, "sh");
        }
        assert!(KNOWN.with_borrow(HashMap::len) <= MOST);
    }
}
