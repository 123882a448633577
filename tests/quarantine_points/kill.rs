//! SIGKILL at every system call.

use std::os::unix::process::ExitStatusExt;

use crate::{run_points, scene::Stage, scenes, trace};

/// Kills every operation at each of its system calls, and starts again after it. How many went wrong.
pub fn all() -> usize {
    let (mut points, mut lost) = (0, 0);
    for scene in scenes() {
        let stage = Stage::set(scene);
        let calls = trace::calls(scene, stage.path(), &[]);
        drop(stage);
        lost += run_points(&calls, |call| {
            let stage = Stage::set(scene);
            let inject = format!("inject={}:signal=KILL:when={}", call.name, call.nth);
            let out = trace::run(scene, stage.path(), &["-o", "/dev/null", "-e", &inject]);
            let said = |what: String| format!("{scene:?} killed at {} ({}): {what}", call.line, call.nth);
            // The very last one is exit_group.
            if out.status.signal() != Some(9) && call.name != "exit_group" {
                return Err(said(format!("it was not killed: {:?}", out.status)));
            }
            stage.holds_now().and_then(|()| stage.goes_on()).map_err(said)
        });
        println!("  {:?} {:?}: {} points", scene.operation, scene.kind, calls.len());
        points += calls.len();
    }
    println!("kill points: {points}, lost: {lost}");
    lost
}
