//! The tree of processes below this one, for `exec`.
//!
//! Owns adopting orphans and finding what is left of a session. Elsewhere than on Linux nothing is
//! adopted and nothing found: `exec` then waits for its command alone.

/// One process below this one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Below {
    /// Its pid.
    pub pid: i32,
    /// Its parent.
    pub parent: i32,
    /// Its session.
    pub session: i32,
    /// The kernel's short name.
    pub name: String,
}

/// From now on orphans below this process become its children, not init's (prctl(2),
/// `PR_SET_CHILD_SUBREAPER`); false where the kernel refuses.
pub fn adopt_orphans() -> bool {
    #[cfg(target_os = "linux")]
    return rustix::process::set_child_subreaper(Some(rustix::process::getpid())).is_ok();
    #[cfg(not(target_os = "linux"))]
    false
}

/// The processes below this one that have not ended.
pub fn below() -> Vec<Below> {
    let me = i32::try_from(std::process::id()).unwrap_or_default();
    descendants(me, read_all())
}

/// This process's session; 0 where its leader is outside this pid namespace (a container that was entered
/// without setsid(2)). Read from `/proc`, as it is for the processes below: rustix's `getsid` cannot say 0.
pub fn session() -> i32 {
    let line = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    parse(&line).map_or(0, |this| this.session)
}

/// The signals that this process was started with as ignored, as a bit mask (signal 1 is bit 0).
pub fn ignored_signals() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    line.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default()
}

fn read_all() -> Vec<Below> {
    let Ok(folder) = std::fs::read_dir("/proc") else { return Vec::new() };
    let pids = folder.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    pids.filter_map(|pid| parse(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)).collect()
}

/// One line of `/proc/PID/stat` (proc(5)); `None` for one that has ended and waits to be reaped.
fn parse(stat: &str) -> Option<Below> {
    // The name is in parentheses and may itself hold spaces and parentheses.
    let (pid, rest) = stat.split_once(" (")?;
    let (name, rest) = rest.rsplit_once(") ")?;
    let mut fields = rest.split(' ');
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    let session = fields.nth(1)?.parse().ok()?;
    if matches!(state, "Z" | "X") {
        return None;
    }
    Some(Below { pid: pid.parse().ok()?, parent, session, name: name.to_owned() })
}

fn descendants(of: i32, mut all: Vec<Below>) -> Vec<Below> {
    let mut found: Vec<Below> = Vec::new();
    loop {
        let (new, rest): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|p| p.parent == of || found.iter().any(|f| f.pid == p.parent));
        if new.is_empty() {
            return found;
        }
        found.extend(new);
        all = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_stat() {
        let one = parse("12 (a b) c) S 7 12 5 0 -1 4194560 1").unwrap();
        assert_eq!(one, Below { pid: 12, parent: 7, session: 5, name: "a b) c".into() });
        assert_eq!(parse("12 (gone) Z 7 12 5 0"), None);
        assert_eq!(parse("rubbish"), None);
    }

    #[test]
    fn descendants_are_found_whatever_their_order() {
        let p = |pid, parent| Below { pid, parent, session: 1, name: String::new() };
        let found = descendants(1, vec![p(4, 3), p(3, 2), p(2, 1), p(9, 8)]);
        assert_eq!(found.iter().map(|p| p.pid).collect::<Vec<_>>(), [2, 3, 4]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_child_is_below_and_an_ended_one_is_not() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        assert!(below().iter().any(|p| p.pid == pid && p.session == session()));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!below().iter().any(|p| p.pid == pid));
    }
}
