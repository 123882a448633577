//! Points, shared out among processes. Not threads: a thread that forks would for a moment have the locks and open
//! files of the others.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

use crate::{
    scene::{self, Scene},
    scenes,
};

const PARTS: usize = 2;

/// Runs these kinds of points and prints how many there were; true when nothing was lost.
pub fn run(kinds: &[&str]) -> bool {
    if let Err(why) = scene::may_mount() {
        println!("skipped: the bind-mounted file ({why})");
    }
    let mut fine = true;
    for kind in kinds {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        let mut parts: Vec<_> = (0..PARTS)
            .map(|number| {
                let mut command = Command::new(std::env::current_exe().unwrap());
                command.args(["part", kind, &number.to_string()]).stdout(Stdio::piped()).spawn().unwrap()
            })
            .collect();
        for part in &mut parts {
            for line in BufReader::new(part.stdout.take().unwrap()).lines().map_while(Result::ok) {
                match line.strip_prefix("count ").and_then(|rest| rest.split_once(' ')) {
                    Some((number, what)) => {
                        *counts.entry(what.to_owned()).or_default() += number.parse::<usize>().unwrap()
                    }
                    None => println!("{line}"),
                }
            }
        }
        fine &= parts.iter_mut().all(|part| part.wait().unwrap().success());
        let lost = counts.remove("lost").unwrap_or_default();
        let all: usize = counts.values().sum();
        let counts: Vec<_> = counts.iter().map(|(what, count)| format!("{count} {what}")).collect();
        println!("{kind} points: {all} ({}), lost: {lost}", counts.join(", "));
        fine &= lost == 0 && all > 0;
    }
    fine
}

/// This part's share of the points of each scene. Each says what it counts as; what goes wrong is printed.
pub fn share<P>(
    number: usize,
    points: impl Fn(Scene) -> Vec<P>,
    each: impl Fn(Scene, &P) -> Result<&'static str, String>,
) {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::from([("lost", 0)]);
    for scene in scenes() {
        for point in points(scene).iter().skip(number).step_by(PARTS) {
            let what = each(scene, point).unwrap_or_else(|what| {
                println!("LOST {scene:?} {what}");
                "lost"
            });
            *counts.entry(what).or_default() += 1;
        }
    }
    for (what, count) in counts {
        println!("count {count} {what}");
    }
}
