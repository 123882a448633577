//! SIGKILL at every system call.

use std::os::unix::process::ExitStatusExt;

use crate::{parts, scene::Stage, trace};

/// Kills every operation at each of its system calls, and starts again after it.
pub fn part(number: usize) {
    parts::share(number, trace::of_scene, |scene, call| {
        let stage = Stage::set(scene);
        let inject = format!("inject={}:signal=KILL:when={}", call.name, call.nth);
        let out = trace::run(scene, stage.path(), &["-o", "/dev/null", "-e", &inject]);
        let said = |what: String| format!("killed at {} ({}): {what}", call.line, call.nth);
        // The very last one is exit_group.
        if out.status.signal() != Some(9) && call.name != "exit_group" {
            return Err(said(format!("it was not killed: {:?}", out.status)));
        }
        stage.holds_now().and_then(|()| stage.goes_on()).map_err(said)?;
        Ok(if scene.operation.word() == "take" { "in a take" } else { "in a restore" })
    });
}
