//! `/proc`: the caller and its ancestors.
//!
//! Owns parsing proc_pid_stat(5) and the command line of interpreters. Cheap on purpose, it runs for each
//! mint: per process one file that is read and one link, and the link of an ancestor once in a burst of calls
//! (`known.rs`). The reads of one process are not tied to each other; for the caller the pidfd is asked after the
//! last of them, and for its ancestors they are labels.

use rustix::{
    fd::AsFd,
    fs::{Mode, OFlags, open, readlink},
};

use crate::{
    principal::{Evidence, Process},
    sys::{
        peer::Caller,
        process::{MAX_DEPTH, has_ended},
    },
    task::ProcessKey,
};

mod known;
mod script;

use known::Labels;

/// The caller and its ancestors.
pub(in crate::sys) fn evidence(caller: &Caller) -> Evidence {
    let mut evidence = Evidence::of_uid(caller.uid);
    let mut pid = caller.pid;
    let now = std::time::Instant::now();
    while pid > 0 && evidence.chain.len() < MAX_DEPTH {
        let Some(stat) = look_at(pid) else { break };
        // A parent that is younger than its child is not its parent: the pid was reused meanwhile.
        if evidence.chain.last().is_some_and(|child| child.key.start < stat.start) {
            break;
        }
        let read = || {
            let exe = exe_of(pid);
            let script =
                script::of(exe.as_deref(), &stat.name, || Some(read_some(pid, "cmdline", &mut [0; 4096])?.to_vec()));
            Labels { exe, script }
        };
        let is_caller = evidence.chain.is_empty();
        let Labels { exe, script } = if is_caller { read() } else { known::labels(pid, &stat, now, read) };
        if is_caller {
            // The pin is asked after the process was read: still alive now means it was the caller then.
            if caller.pidfd.as_ref().is_some_and(|pidfd| has_ended(pidfd.as_fd())) {
                break;
            }
            evidence.session = stat.session;
            evidence.terminal = stat.tty != 0;
            evidence.pinned = caller.pidfd.is_some();
        }
        evidence.chain.push(Process { key: ProcessKey { pid, start: stat.start }, name: stat.name, exe, script });
        pid = stat.parent;
    }
    // A process that was orphaned keeps its terminal and loses the ancestors it had there, an assistant among
    // them. Only below the session's leader, the shell or what stands for it, is it a person's terminal.
    let whole = pid <= 1 || evidence.chain.len() < MAX_DEPTH;
    evidence.terminal &= whole && evidence.chain.iter().any(|process| process.key.pid == evidence.session);
    evidence
}

/// Names the process that has this pid now.
pub(in crate::sys) fn key(pid: i32) -> Option<ProcessKey> {
    if pid <= 0 {
        return None;
    }
    look_at(pid).map(|stat| ProcessKey { pid, start: stat.start })
}

/// The program the process runs now: its executable, else the kernel's name for it.
pub(in crate::sys) fn program(pid: i32) -> Option<String> {
    if pid <= 0 {
        return None;
    }
    match rustix::fs::readlink(format!("/proc/{pid}/exe"), Vec::with_capacity(128)) {
        Ok(link) => Some(String::from_utf8_lossy(link.to_bytes()).into_owned()),
        Err(_) => look_at(pid).map(|stat| stat.name),
    }
}

/// What is used of `/proc/PID/stat`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stat {
    name: String,
    parent: i32,
    session: i32,
    tty: i32,
    start: u64,
    image: Image,
}

/// Where the kernel put the program: code, stack, data, heap, arguments (`startcode`, `startstack`, `start_data`,
/// `start_brk`, `arg_start`). Another execve(2) puts it elsewhere, unless ASLR is off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Image([u64; 5]);

impl Image {
    /// False where the kernel shows no places: of another user's process, or of one that is not dumpable.
    fn is_shown(self) -> bool {
        let [_, stack, .., arguments] = self.0;
        stack != 0 && arguments != 0
    }
}

fn look_at(pid: i32) -> Option<Stat> {
    parse(read_some(pid, "stat", &mut [0; 1024])?)
}

/// The kernel's name may hold spaces and parentheses, so the fields count from the last `)`. A zombie has
/// ended, so it is `None`.
fn parse(stat: &[u8]) -> Option<Stat> {
    let open = stat.iter().position(|byte| *byte == b'(')?;
    let close = stat.iter().rposition(|byte| *byte == b')')?;
    let name = String::from_utf8_lossy(stat.get(open + 1..close)?).into_owned();
    let rest = std::str::from_utf8(stat.get(close + 1..)?).ok()?;
    // Field 3 of the manual page comes first.
    let mut fields = rest.split_ascii_whitespace();
    if matches!(fields.next()?, "Z" | "X" | "x") {
        return None;
    }
    let parent = fields.next()?.parse().ok()?;
    let session = fields.nth(1)?.parse().ok()?;
    let tty = fields.next()?.parse().ok()?;
    let start = fields.nth(14)?.parse().ok()?;
    // An old kernel's line ends before them; then they count as hidden.
    let mut place = |skip| fields.nth(skip).and_then(|field| field.parse().ok()).unwrap_or(0);
    let image = Image([place(3), place(1), place(16), place(1), place(0)]);
    Some(Stat { name, parent, session, tty, start, image })
}

/// The executable's path; `None` for a kernel thread, another user's process, or one that is not dumpable.
/// The mark of a file that was replaced while it runs (an update) is taken off: it is the same program.
fn exe_of(pid: i32) -> Option<String> {
    let link = readlink(format!("/proc/{pid}/exe"), Vec::with_capacity(128)).ok()?;
    let path = String::from_utf8_lossy(link.to_bytes()).into_owned();
    Some(path.strip_suffix(" (deleted)").map_or(path.clone(), Into::into))
}

fn read_some<'a>(pid: i32, name: &str, buffer: &'a mut [u8]) -> Option<&'a [u8]> {
    let file = open(format!("/proc/{pid}/{name}"), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let mut len = 0;
    while let Some(rest) = buffer.get_mut(len..).filter(|rest| !rest.is_empty()) {
        let wanted = rest.len();
        match rustix::io::read(&file, rest) {
            // These files give less than asked only at their end.
            Ok(more) if more < wanted => {
                len += more;
                break;
            }
            Ok(more) => len += more,
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return None,
        }
    }
    buffer.get(..len)
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead, BufReader},
        process::{Command, Stdio},
    };

    use super::*;

    fn caller(pid: i32) -> Caller {
        Caller { uid: crate::sys::uid(), pid, pidfd: crate::sys::process::open_pidfd(pid).ok() }
    }

    #[test]
    fn a_name_with_parentheses_and_spaces() {
        let fields: Vec<String> = (4..=52).map(|n| n.to_string()).collect();
        let line = format!("77 (a) b (c) S {}\n", fields.join(" "));
        let image = Image([26, 28, 45, 47, 48]);
        let wanted = Stat { name: "a) b (c".into(), parent: 4, session: 6, tty: 7, start: 22, image };
        assert_eq!(parse(line.as_bytes()), Some(wanted));
        assert_eq!(parse(line.replace(" S ", " Z ").as_bytes()), None);
        for bad in ["", "77 (a", "77 (a) S 1 2", ")(", "77 (a) S x y z"] {
            assert_eq!(parse(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn this_process_is_the_parent_of_its_child() {
        let mut child = Command::new("sh")
            .args(["-c", "echo up; read x"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // The line shows that exec is over.
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut String::new()).unwrap();
        let pid = child.id() as i32;
        let seen = evidence(&caller(pid));
        assert_eq!(seen.caller(), key(pid));
        assert!(seen.pinned);
        let shell = seen.chain.first().unwrap();
        assert!(shell.name == "sh" && shell.script.is_none(), "{shell:?}");
        let parent = seen.chain.get(1).unwrap();
        assert_eq!(Some(parent.key), key(std::process::id() as i32));
        assert_eq!(parent.exe.as_deref(), std::env::current_exe().unwrap().to_str());
        assert_eq!(seen.chain.last().unwrap().key.pid, 1, "the chain goes up to init");
        assert_eq!(seen.session, crate::sys::tree::session());
        child.kill().unwrap();
        // Dead but not reaped, then reaped: neither is a process any more.
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while key(pid).is_some() {
            assert!(std::time::Instant::now() < deadline);
            std::thread::yield_now();
        }
        child.wait().unwrap();
        assert_eq!(key(pid), None);
        assert!(evidence(&caller(pid)).chain.is_empty());
    }

    #[test]
    fn a_pin_that_has_ended_makes_the_pid_worthless() {
        let mut child = Command::new("true").spawn().unwrap();
        let pinned = crate::sys::process::open_pidfd(child.id() as i32).unwrap();
        child.wait().unwrap();
        // As if the pid had been reused by this very process.
        let caller = Caller { uid: 0, pid: std::process::id() as i32, pidfd: Some(pinned) };
        let seen = evidence(&caller);
        assert!(seen.chain.is_empty() && !seen.pinned && !seen.terminal);
    }

    #[test]
    fn a_script_is_seen_and_pid_zero_is_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("tool.sh");
        std::fs::write(&script, "echo up\nread x\n").unwrap();
        let mut child = Command::new("sh").arg(&script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut String::new()).unwrap();
        let seen = evidence(&caller(child.id() as i32));
        assert_eq!(seen.chain.first().unwrap().script.as_deref(), script.to_str());
        child.kill().unwrap();
        child.wait().unwrap();
        for pid in [0, -1] {
            assert!(key(pid).is_none() && evidence(&Caller { uid: 7, pid, pidfd: None }).chain.is_empty());
        }
    }

    #[test]
    fn an_ancestor_that_becomes_another_program_is_seen_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let (first, second) = (folder.path().join("a.sh"), folder.path().join("b.sh"));
        // The same shell, name and pid, before and after: only the script is another.
        std::fs::write(&first, format!("sleep 60 & echo $!\nread x\nexec sh {}\n", second.display())).unwrap();
        std::fs::write(&second, "echo up\nread x\n").unwrap();
        let mut shell = Command::new("sh").arg(&first).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(shell.stdout.take().unwrap()).lines();
        let below = caller(lines.next().unwrap().unwrap().parse().unwrap());
        let script = || evidence(&below).chain.get(1).unwrap().script.clone();
        assert_eq!(script().as_deref(), first.to_str());
        assert_eq!(script().as_deref(), first.to_str());
        std::io::Write::write_all(shell.stdin.as_mut().unwrap(), b"go\n").unwrap();
        assert_eq!(lines.next().unwrap().unwrap(), "up");
        assert_eq!(script().as_deref(), second.to_str());
        for pid in [below.pid, shell.id() as i32] {
            rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), rustix::process::Signal::KILL)
                .unwrap();
        }
        shell.wait().unwrap();
    }

    #[test]
    fn a_walk_is_cheap() {
        let own = caller(std::process::id() as i32);
        let depth = u32::try_from(evidence(&own).chain.len()).unwrap();
        let best = (0..200).map(|_| {
            let start = std::time::Instant::now();
            assert!(!evidence(&own).chain.is_empty());
            start.elapsed() / depth
        });
        let best = best.min().unwrap();
        assert!(best < std::time::Duration::from_micros(60), "{best:?} per process, in an unoptimised build");
    }
}
