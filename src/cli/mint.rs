//! `hallpass mint`: one token on standard output, and nothing else there.
//!
//! The fast path: reads no config and no catalogue, and asks the daemon once.

use std::{ffi::OsString, time::Duration};

use super::{context::Context, input, output, task, waiting, wanted, when};
use crate::{
    api::lease::{Mint, Minted},
    error::Result,
    lease::Rate,
    scope::{Resource, Scope},
};

/// Get a token that does one job, for minutes.
///
/// Prints only the token; --json prints everything about it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The issuer, with or without its scopes and resources: github, openai:chat,
    /// github:issues:read@acme/web
    #[arg(value_name = "ISSUER[:SCOPES][@RESOURCES]")]
    what: String,
    /// A scope, such as issues:read; may be given again
    #[arg(long = "scope", value_delimiter = ',')]
    scopes: Vec<Scope>,
    /// A resource, such as acme/web; may be given again
    #[arg(long = "resource", value_delimiter = ',')]
    resources: Vec<Resource>,
    /// How long it lives, such as 15m
    #[arg(long, value_parser = super::when::seconds)]
    ttl: Option<u64>,
    /// The task it belongs to, by id or title; a title that no open task has starts one
    #[arg(long)]
    task: Option<String>,
    /// Who asks, where neither a task nor an assistant says so
    #[arg(long = "as", value_name = "PRINCIPAL")]
    claim: Option<String>,
    /// How often it may be used; 1 is single use
    #[arg(long)]
    uses: Option<u32>,
    /// How many requests in a stretch of time, such as 60/min
    #[arg(long)]
    rate: Option<Rate>,
    /// Narrow the token on standard input instead of asking by a grant
    #[arg(long, conflicts_with = "parent_fd")]
    parent: bool,
    /// Narrow the token on this file descriptor
    #[arg(long, value_name = "FD")]
    parent_fd: Option<i32>,
    /// How long to wait for a human's approval, such as 2m
    #[arg(long, value_parser = super::when::seconds)]
    wait: Option<u64>,
}

/// Reads the words after `mint` in their plain form, and whether `--json` is among them; `None` for all else, which
/// the whole parser then reads, or refuses. Making even a small parser of clap's takes longer than the rest of a
/// warm `mint` outside the kernel.
pub fn quick(words: &[OsString]) -> Option<(bool, Args)> {
    let (mut json, mut what) = (false, None);
    let (mut scopes, mut resources) = (Vec::new(), Vec::new());
    let (mut ttl, mut task, mut claim, mut uses, mut rate, mut parent_fd, mut wait) =
        (None, None, None, None, None, None, None);
    let mut words = words.iter().map(|word| word.to_str().filter(|word| !word.is_empty()));
    while let Some(word) = words.next() {
        let word = word?;
        if !word.starts_with('-') {
            once(&mut what, word.to_owned())?;
            continue;
        }
        if word == "--json" {
            json = (!json).then_some(true)?;
            continue;
        }
        let value = words.next()??;
        if value.starts_with('-') {
            return None;
        }
        match word {
            "--scope" => value.split(',').try_for_each(|part| part.parse().map(|scope| scopes.push(scope)).ok())?,
            "--resource" => value.split(',').try_for_each(|part| part.parse().map(|one| resources.push(one)).ok())?,
            "--ttl" => once(&mut ttl, when::seconds(value).ok()?)?,
            "--task" => once(&mut task, value.to_owned())?,
            "--as" => once(&mut claim, value.to_owned())?,
            "--uses" => once(&mut uses, value.parse().ok()?)?,
            "--rate" => once(&mut rate, value.parse().ok()?)?,
            "--parent-fd" => once(&mut parent_fd, value.parse().ok()?)?,
            "--wait" => once(&mut wait, when::seconds(value).ok()?)?,
            _ => return None,
        }
    }
    let what = what?;
    Some((json, Args { what, scopes, resources, ttl, task, claim, uses, rate, parent: false, parent_fd, wait }))
}

/// Keeps the value of an option that may be given once.
fn once<T>(place: &mut Option<T>, value: T) -> Option<()> {
    place.replace(value).is_none().then_some(())
}

pub fn run(cx: &Context, args: Args) -> Result<u8> {
    let what = wanted::assemble(&args.what, &args.scopes, &args.resources)?;
    let subject_token = match (args.parent, args.parent_fd) {
        (_, Some(fd)) => Some(input::from_fd(fd)?),
        (true, None) => Some(input::secret("token to narrow", None)?.value),
        (false, None) => None,
    };
    let mut client = cx.client()?;
    let task = match &args.task {
        Some(text) => Some(task::find_or_start(&mut client, text, args.claim.as_deref(), args.ttl)?),
        None => None,
    };
    let body = Mint {
        what,
        ttl_seconds: args.ttl,
        task,
        claim: args.claim,
        subject_token,
        uses: args.uses,
        rate: args.rate,
        wait_seconds: args.wait,
    };
    // The daemon's own default for an approval is two minutes.
    let extra = Duration::from_secs(args.wait.unwrap_or(120));
    let waits = waiting::note(cx.json);
    if cx.json {
        output::json(&client.post_waiting::<_, serde_json::Value>("/v1/mint", &body, extra, waits)?)?;
    } else {
        let minted: Minted = client.post_waiting("/v1/mint", &body, extra, waits)?;
        if let Some(asked) = args.ttl.filter(|asked| shorter(&minted, *asked)) {
            let (asked, got) = (when::length(asked), when::length(minted.expires_in));
            output::note(&match minted.shared {
                true => format!("the same token as before: the task has it already, and it ends in {got}"),
                false => format!("{asked} was asked for, {got} is what is allowed"),
            });
        }
        output::line(minted.access_token.expose())?;
    }
    Ok(0)
}

/// Whether it lives shorter than was asked for, other than by the moment that passed.
fn shorter(minted: &Minted, asked: u64) -> bool {
    minted.expires_in.saturating_add(5) < asked
}
