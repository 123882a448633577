//! Running a command as if hallpass were not there: its signals, its exit code, its leftovers.
//!
//! Owns the process part of `hallpass exec`. Knows nothing of tasks and tokens, and prints nothing.

use std::{io, process::Command, time::Duration};

use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, kill_process, waitpid};
use signal_hook::{
    consts::signal::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH},
    iterator::{SignalsInfo, exfiltrator::origin::WithOrigin},
    low_level::siginfo::{Cause, Origin},
};

use crate::sys::tree::{self, Below};

/// What is passed on to the command when it was sent to hallpass alone. SIGTSTP and SIGCONT keep
/// their usual effect: a terminal stops and continues the whole process group.
const PASSED_ON: &[i32] = &[SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH];
/// How often leftovers are looked for; they are grandchildren, whose end nothing announces.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Runs the command to its end and to the end of what it left in this session; the exit code, 128 +
/// the signal's number when a signal ended it. `waiting` is told of leftovers once.
///
/// # Errors
/// The command could not be started.
pub fn run(command: &mut Command, waiting: impl FnOnce(&[Below])) -> io::Result<u8> {
    // A command that daemonises leaves orphans; as their reaper we see them.
    tree::adopt_orphans();
    let ignored = tree::ignored_signals();
    // What hallpass was started to ignore (nohup) the command ignores too.
    let watched = PASSED_ON.iter().filter(|signal| ignored & (1 << (*signal - 1)) == 0).chain([&SIGCHLD]);
    let mut signals = SignalsInfo::<WithOrigin>::new(watched)?;
    let child = command.spawn()?;
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).ok_or_else(|| io::Error::other("no pid"))?;
    let mut told_to_end = false;
    let code = loop {
        if let Some(code) = reap(pid) {
            break code;
        }
        for origin in signals.wait() {
            if origin.signal != SIGCHLD && is_for_us_alone(&origin) {
                told_to_end |= matches!(origin.signal, SIGTERM | SIGHUP);
                pass_on(pid, origin.signal);
            }
        }
    };
    if !told_to_end {
        wait_for_leftovers(&mut signals, pid, waiting);
    }
    Ok(code)
}

/// A terminal's signals reach the command by the process group already, and what the command or its
/// children sent to their group need not come back to them.
fn is_for_us_alone(origin: &Origin) -> bool {
    if matches!(origin.cause, Cause::Kernel) {
        return false;
    }
    origin.process.is_none_or(|sender| !tree::below().iter().any(|p| p.pid == sender.pid))
}

fn pass_on(pid: Pid, number: i32) {
    if let Some(signal) = Signal::from_named_raw(number) {
        // It may have ended meanwhile; SIGCHLD tells.
        let _ = kill_process(pid, signal);
    }
}

/// Reaps what has ended; the exit code once the command is among it.
fn reap(command: Pid) -> Option<u8> {
    let mut code = None;
    loop {
        match waitpid(None, WaitOptions::NOHANG) {
            Ok(Some((pid, status))) if pid == command => code = Some(exit_code(status)),
            Ok(Some(_)) | Err(rustix::io::Errno::INTR) => {}
            Ok(None) | Err(_) => return code,
        }
    }
}

fn exit_code(status: WaitStatus) -> u8 {
    let code = match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => code,
        (None, Some(signal)) => 128 + signal,
        (None, None) => 1,
    };
    u8::try_from(code & 0xff).unwrap_or(1)
}

fn wait_for_leftovers(signals: &mut SignalsInfo<WithOrigin>, command: Pid, waiting: impl FnOnce(&[Below])) {
    let session = tree::session();
    let left = || -> Vec<Below> { tree::below().into_iter().filter(|p| p.session == session).collect() };
    let mut first = Some(waiting);
    loop {
        reap(command);
        let left = left();
        if left.is_empty() || signals.pending().any(|o| o.signal != SIGCHLD && o.signal != SIGWINCH) {
            return;
        }
        if let Some(tell) = first.take() {
            tell(&left);
        }
        std::thread::sleep(LOOK_AGAIN);
    }
}
