//! `hallpass doctor`: what is wrong, what it means, and the command that mends it.
//!
//! Owns the list of checks. Works when the daemon is down, starts none, and changes nothing.

mod daemon;
mod machine;

use super::{
    context::Context,
    output::{BOLD, DIM, GREEN, RED, YELLOW, safe, styled},
};
use crate::error::Result;

/// Find what is wrong, with the command that mends it.
///
/// Exit code 1 when something fails.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Show what is in order too
    #[arg(short, long)]
    verbose: bool,
}

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// In order.
    Ok,
    /// It works, and could be better.
    Warn,
    /// Something does not work.
    Fail,
}

/// One check.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Check {
    /// What was looked at.
    name: &'static str,
    /// How it is.
    outcome: Outcome,
    /// What was found, and what it means.
    detail: String,
    /// The command or step that mends it.
    mend: Option<String>,
}

impl Check {
    fn ok(name: &'static str, detail: impl Into<String>) -> Self {
        Self { name, outcome: Outcome::Ok, detail: detail.into(), mend: None }
    }

    fn warn(name: &'static str, detail: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { name, outcome: Outcome::Warn, detail: detail.into(), mend: Some(mend.into()) }
    }

    fn fail(name: &'static str, detail: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { name, outcome: Outcome::Fail, detail: detail.into(), mend: Some(mend.into()) }
    }
}

pub fn run(cx: &Context, args: &Args) -> Result<u8> {
    let paths = cx.paths()?;
    let mut checks = machine::checks(&paths);
    checks.extend(daemon::checks(&paths));
    cx.show(&checks, |checks| render(checks, args.verbose))?;
    Ok(u8::from(checks.iter().any(|check| check.outcome == Outcome::Fail)))
}

fn render(checks: &[Check], verbose: bool) -> String {
    let mut lines = Vec::new();
    for check in checks.iter().filter(|check| verbose || check.outcome != Outcome::Ok) {
        let mark = match check.outcome {
            Outcome::Ok => styled(GREEN, "ok  "),
            Outcome::Warn => styled(YELLOW, "warn"),
            Outcome::Fail => styled(RED, "fail"),
        };
        lines.push(format!("{mark}  {}: {}", styled(BOLD, check.name), safe(&check.detail)));
        lines.extend(check.mend.iter().map(|mend| format!("      {}", styled(DIM, &safe(mend)))));
    }
    let count = |outcome| checks.iter().filter(|check| check.outcome == outcome).count();
    let (good, warned, failed) = (count(Outcome::Ok), count(Outcome::Warn), count(Outcome::Fail));
    lines.push(match (warned, failed) {
        (0, 0) => styled(GREEN, &format!("{good} checks, all in order")),
        _ => format!("{good} in order, {warned} to look at, {failed} failed"),
    });
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_order_is_not_in_the_way() {
        let checks = [Check::ok("a", "fine"), Check::fail("b", "broken \u{1b}[2J", "run x")];
        let plain = |verbose| anstream::adapter::strip_str(&render(&checks, verbose)).to_string();
        assert_eq!(plain(false), "fail  b: broken \u{fffd}[2J\n      run x\n1 in order, 0 to look at, 1 failed");
        assert!(plain(true).starts_with("ok    a: fine\n"));
    }

    #[test]
    fn every_check_that_is_not_ok_says_how_to_mend_it() {
        let home = tempfile::tempdir().unwrap();
        let paths = crate::paths::Paths::under(home.path(), None);
        let mut checks = machine::checks(&paths);
        checks.extend(daemon::checks(&paths));
        assert!(checks.len() >= 8);
        for check in checks {
            assert_eq!(check.mend.is_none(), check.outcome == Outcome::Ok, "{check:?}");
        }
    }
}
