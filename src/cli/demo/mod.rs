//! `hallpass demo`: what hallpass does, in a throw-away home, on one screen; and a real check of it.
//!
//! Owns the steps and what each of them must show. Everything is real: a daemon of its own, a key
//! made just now, an upstream on loopback that refuses every other key, a client that has only its
//! environment. Must leave nothing behind, whatever happens.

mod client;
mod home;
mod orphan;
mod screen;
mod upstream;

use std::{
    process::{Command, Output, Stdio},
    sync::atomic::{AtomicBool, Ordering},
};

use sha2::{Digest, Sha256};

use super::{context::Context, output};
use crate::{
    api::{problem::Code, status::Status},
    audit::{line::Entry, read, verify},
    error::{Error, Result},
    principal::NamedBy,
};

pub use client::run as client;
pub use orphan::run as human;

/// The name of the credential, its issuer and its route.
const ROUTE: &str = "demo";
/// What the client may do.
const SCOPE: &str = "notes:read";
/// The variables that the route's own SDK would read.
const KEY_ENV: &str = "DEMO_API_KEY";
const URL_ENV: &str = "DEMO_BASE_URL";

/// Show, in a throw-away home, what hallpass does; fails if any of it is not so.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Keep the throw-away home, and say where it is
    #[arg(long, hide = true)]
    keep: bool,
}

/// What the demo found, in the order it is shown.
#[derive(Debug, Default, serde::Serialize)]
pub struct Findings {
    /// The principal that worked.
    principal: String,
    /// The credential as the upstream saw it, masked.
    upstream_saw: String,
    /// What the upstream saw is the very credential.
    upstream_saw_the_key: bool,
    /// What the client held, shortened.
    client_held: String,
    /// The client held a token of hallpass, and no key anywhere in its environment.
    client_held_no_key: bool,
    /// What the request in scope got.
    allowed_status: u16,
    /// What the request outside it got, and why.
    refused_status: u16,
    /// The stable code of the refusal.
    refused_code: String,
    /// The upstream never saw the refused request.
    refused_before_upstream: bool,
    /// What the token got after the task.
    after_status: u16,
    /// The stable code of that.
    after_code: String,
    /// The audit lines of it all.
    audit: Vec<Entry>,
    /// How many lines the chain has, when it holds.
    audit_lines: u64,
    /// The chain holds, and the key is in no file of the home.
    audit_ok: bool,
    /// Files of the home that were searched for the key.
    files_searched: usize,
    /// None of them holds it.
    key_in_no_file: bool,
}

impl Findings {
    /// The claims that are not so.
    fn broken(&self) -> Vec<&'static str> {
        let claims = [
            (self.upstream_saw_the_key, "the upstream did not see the real key"),
            (self.client_held_no_key, "the client did not hold a token, or held a key"),
            (self.allowed_status == 200, "the request in scope was not answered"),
            (self.refused_status == 403, "the request outside the scope was not refused"),
            (self.refused_before_upstream, "the refused request reached the upstream"),
            (self.after_status == 401, "the token worked after its task"),
            (self.audit_ok, "the audit log does not hold what happened"),
            (self.key_in_no_file, "the key is in a file"),
        ];
        claims.into_iter().filter(|(so, _)| !so).map(|(_, claim)| claim).collect()
    }
}

pub fn run(cx: &Context, args: &Args) -> Result<u8> {
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM, signal_hook::consts::SIGHUP] {
        // A second one ends the demo the hard way.
        let _ = signal_hook::flag::register_conditional_default(signal, flag());
        let _ = signal_hook::flag::register(signal, flag());
    }
    let key = make_key()?;
    let upstream = upstream::Upstream::start(&key).map_err(|e| cannot("its upstream on loopback", &e))?;
    let mut home = home::Home::create(args.keep)?;
    home.start_daemon(&upstream.url())?;
    let found = steps(&home, &upstream, &key)?;
    if args.keep {
        output::note(&format!("the home is {}", home.path().display()));
    }
    drop(home);
    let broken = found.broken();
    cx.show(&found, |found| screen::render(found, &broken))?;
    if broken.is_empty() { Ok(0) } else { Err(Error::internal(format!("not so: {}", broken.join("; ")))) }
}

fn steps(home: &home::Home, upstream: &upstream::Upstream, key: &str) -> Result<Findings> {
    let status: Status = home.client()?.get("/v1/status")?;
    // Below an assistant the work is the assistant's, whatever it calls itself.
    let principal = match status.you.named_by {
        NamedBy::Ancestry | NamedBy::Task => status.you.principal.clone(),
        _ => "demo-agent".to_owned(),
    };
    let url = status.gateway.url.ok_or_else(|| {
        Error::new(Code::GatewayDown, status.gateway.error.unwrap_or_else(|| "the gateway has no port".into()))
    })?;
    orphan::set_up(home, &orphan::Plan::new(&principal, key))?;
    check_stopped()?;

    let output = exec(home, &principal)?;
    let held: client::Held = serde_json::from_slice(&output.stdout).map_err(|_| {
        let said = String::from_utf8_lossy(&output.stderr);
        Error::internal(format!("the demo's client gave no answer: {}", output::safe(said.trim())))
    })?;
    check_stopped()?;

    let seen = upstream.seen();
    let mut found = Findings { principal, ..Findings::default() };
    found.upstream_saw_the_key = seen.len() == 1
        && seen.iter().all(|request| Sha256::digest(request.key.as_bytes()) == Sha256::digest(key.as_bytes()));
    found.upstream_saw = seen.first().map(|request| mask(&request.key)).unwrap_or_default();
    found.refused_before_upstream = seen.iter().all(|request| request.method == "GET");
    found.client_held = shorten(&held.token);
    found.client_held_no_key =
        crate::token::check(held.token.as_bytes()).is_ok() && !held.environment.iter().any(|v| v.contains(key));
    found.allowed_status = held.allowed.status;
    found.refused_status = held.refused.status;
    found.refused_code = held.refused.code.unwrap_or_default();

    // exec has returned, so the task has ended: the same token, the same request.
    let after = client::call(&format!("{url}/{ROUTE}"), "GET", "/notes", &held.token)?;
    found.after_status = after.status;
    found.after_code = after.code.unwrap_or_default();

    let dir = home.paths().audit_dir();
    found.audit = read::query(&dir, &read::Filter::default())?;
    let report = verify::verify(&dir)?;
    found.audit_lines = report.streams.iter().map(|stream| stream.lines).sum();
    let has =
        |decision: &str| found.audit.iter().any(|e| e.event.starts_with("gateway") && e.decision.word() == decision);
    found.audit_ok = report.ok && has("denied") && found.audit.iter().any(|e| e.event.contains("credential"));
    let (searched, clean) = home.search_for(key.as_bytes());
    (found.files_searched, found.key_in_no_file) = (searched, clean);
    Ok(found)
}

/// The client, as a person would run it: `hallpass exec --grant demo:notes:read -- CLIENT`.
fn exec(home: &home::Home, principal: &str) -> Result<Output> {
    let program = std::env::current_exe().map_err(|e| cannot("this program's own path", &e))?;
    let mut command = Command::new(&program);
    command.args(["exec", "--as", principal, "--task", "demo", "--grant", &format!("{ROUTE}:{SCOPE}"), "--"]);
    command.arg(&program).arg("demo-client").stdin(Stdio::null());
    home.environment(&mut command);
    command.output().map_err(|e| cannot("hallpass exec", &e))
}

/// A key that was never anywhere before, in the shape of a real one.
fn make_key() -> Result<String> {
    let random = crate::sys::random::<20>().map_err(|e| cannot("randomness", &e))?;
    let digits: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(["sk-", "demo-", &digits].concat())
}

fn mask(key: &str) -> String {
    let (head, tail) = (key.get(..8).unwrap_or_default(), key.get(key.len().saturating_sub(4)..).unwrap_or_default());
    format!("{head}{}{tail}", "*".repeat(12))
}

fn shorten(token: &str) -> String {
    let (head, tail) =
        (token.get(..8).unwrap_or_default(), token.get(token.len().saturating_sub(4)..).unwrap_or_default());
    format!("{head}...{tail}")
}

fn flag() -> std::sync::Arc<AtomicBool> {
    static FLAG: std::sync::OnceLock<std::sync::Arc<AtomicBool>> = std::sync::OnceLock::new();
    std::sync::Arc::clone(FLAG.get_or_init(Default::default))
}

/// Gives up between two steps once Ctrl-C was pressed.
fn check_stopped() -> Result<()> {
    if flag().load(Ordering::Relaxed) {
        return Err(Error::new(Code::Usage, "stopped; nothing is left behind"));
    }
    Ok(())
}

fn cannot(what: &str, error: &std::io::Error) -> Error {
    Error::new(Code::Io, format!("the demo needs {what}: {error}")).hint("`hallpass doctor` tells more")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_masked_key_shows_its_ends_only() {
        let key = make_key().unwrap();
        let masked = mask(&key);
        assert!(masked.starts_with("sk-demo-") && masked.ends_with(&key[key.len() - 4..]));
        assert!(!masked.contains(&key[8..20]));
    }

    #[test]
    fn each_claim_that_is_not_so_is_named() {
        assert_eq!(Findings::default().broken().len(), 8);
        let good = screen::tests::good();
        assert!(good.broken().is_empty());
    }
}
