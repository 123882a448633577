//! `hallpass quarantine`: secrets out of files into the store, and back.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::{
    context::Context,
    input,
    output::{self, BOLD, DIM, GREEN, RED, YELLOW, one_line, safe, styled},
};
use crate::{
    api::{
        Done, List,
        problem::Code,
        quarantine::{Item, ItemDiff, Purge, Restored, TakeFiles, Taken, TakenSecret},
    },
    client::{Client, segment},
    detect::Detector,
    error::{Error, Result},
    quarantine::is_env_file,
    scan::{Progress, Scan, places, read},
};

/// How many files one request to the daemon names.
const BATCH: usize = 100;

#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Without a verb: shows what would change, and asks.\n\
    In a folder's .env files the reference that is left, hallpass:NAME, is resolved by `hallpass exec`, `hallpass env`\n\
    and the shell hooks. Assistants' own files: `hallpass adopt`."
)]
pub struct Arguments {
    #[command(subcommand)]
    verb: Option<Verb>,
    /// Files and folders; without any, the places where assistants and tools keep secrets
    paths: Vec<PathBuf>,
    /// Take what is likely too, not only what is certain
    #[arg(long)]
    all: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Only show what would change, with every value masked
    #[arg(long)]
    dry_run: bool,
    /// Leave well-formed keys that are worth nothing, and tell when one is used or copied; no tool gets anything from them
    #[arg(long)]
    decoy: bool,
}

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Files that secrets were taken out of, newest first
    List,
    /// One of them
    Show {
        /// Its id
        id: String,
    },
    /// What was changed in a file, with every value masked
    Diff {
        /// Its id
        id: String,
    },
    /// Put a file's secrets back: the same bytes, mode and owner
    Restore {
        /// Its id
        id: String,
    },
    /// Forget how a file's secrets were written; the credentials stay
    Purge {
        /// Its id
        id: String,
        /// Even though its reference still stands in the file
        #[arg(long)]
        force: bool,
    },
}

pub fn run(cx: &Context, args: Arguments) -> Result<u8> {
    let path = |id: &str, end: &str| format!("/v1/quarantine/{}{end}", segment(id));
    match args.verb {
        None => take(cx, args),
        Some(Verb::List) => cx.get("/v1/quarantine", |list: &List<Item>| match list.items.as_slice() {
            [] => "nothing was quarantined yet; `hallpass quarantine` looks for what could be".into(),
            items => items.iter().map(render_item).collect::<Vec<_>>().join("\n"),
        }),
        Some(Verb::Show { id }) => cx.get(&path(&id, ""), render_item),
        Some(Verb::Diff { id }) => cx.get(&path(&id, "/diff"), |diff: &ItemDiff| safe(&diff.diff)),
        Some(Verb::Restore { id }) => cx.post(&path(&id, "/restore"), &(), |done: &Restored| {
            let how = if done.identical {
                "has the same bytes again"
            } else {
                "has its secrets again, and keeps what was changed since"
            };
            let mut text = format!("{} {how}", one_line(&done.path));
            for name in &done.missing {
                let name = safe(name);
                text.push_str(&format!(
                    "\nthe reference to {name} had gone from the file; its value rests as the credential {name}"
                ));
            }
            text.push_str(
                "\nIts credentials stay in the store: `hallpass credential list`, `hallpass credential remove NAME`",
            );
            text
        }),
        Some(Verb::Purge { id, force }) => cx.post(&path(&id, "/purge"), &Purge { force }, |_: &Done| {
            format!("{} is forgotten; its credentials stay", safe(&id))
        }),
    }
}

/// What a quarantine of what is certain would change, for a person to agree to.
///
/// # Errors
/// What the daemon says.
pub fn preview(cx: &Context, paths: &[PathBuf]) -> Result<String> {
    let args = Arguments { verb: None, paths: paths.to_vec(), all: false, yes: false, dry_run: true, decoy: false };
    let (files, _) = files(cx, &args)?;
    Ok(render_plan(&ask(&mut cx.client()?, &files, &args, Call::Watch)?))
}

fn take(cx: &Context, args: Arguments) -> Result<u8> {
    let (files, unread) = files(cx, &args)?;
    let mut client = cx.client()?;
    let plan = ask(&mut client, &files, &args, Call::Plan)?;
    let some = plan.iter().any(|taken| !taken.secrets.is_empty());
    let failed = unread || plan.iter().any(|taken| taken.error.is_some());
    if args.dry_run || !some {
        let code = u8::from(failed);
        if cx.json {
            output::json(&List { items: plan })?;
        } else {
            output::text(&render_plan(&plan))?;
        }
        return Ok(code);
    }
    if !args.yes {
        output::note(&render_plan(&plan));
        let secrets: usize = plan.iter().map(|taken| taken.secrets.len()).sum();
        let files = plan.iter().filter(|taken| !taken.secrets.is_empty()).count();
        input::confirm(&format!("Take {} out of {}?", count(secrets, "secret"), count(files, "file")), false)?;
    }
    let done = ask(&mut client, &files, &args, Call::Take)?;
    let failed = unread || done.iter().any(|taken| taken.error.is_some());
    if cx.json {
        output::json(&List { items: done })?;
    } else {
        output::text(&render_done(&done))?;
    }
    Ok(u8::from(failed))
}

/// The files with findings, absolute; and whether something could not be read.
fn files(cx: &Context, args: &Arguments) -> Result<(Vec<String>, bool)> {
    let targets = if args.paths.is_empty() { places::known(&cx.paths()?)? } else { args.paths.clone() };
    let detector = Detector::new();
    // These fingerprints are shown to nobody: the daemon makes its own.
    let fingerprints = crate::detect::fingerprint::Fingerprints::new([0; 32]);
    let progress = Progress::default();
    let scan = Scan { detector: &detector, fingerprints: &fingerprints, max_size: read::MAX_SIZE, progress: &progress };
    let report = scan.paths(&targets);
    for (path, why) in &report.unreadable {
        output::note(&format!("{} {}: {}", styled(YELLOW, "warning:"), one_line(&path.to_string_lossy()), safe(why)));
    }
    let unread = !report.unreadable.is_empty();
    let (mut files, mut odd): (Vec<String>, Option<PathBuf>) = (Vec::new(), None);
    for finding in report.findings {
        let path = std::path::absolute(&finding.path)
            .map_err(|e| Error::new(Code::Io, format!("{}: {e}", finding.path.display())))?;
        match path.to_str() {
            Some(path) if files.last().is_some_and(|last| last == path) => {}
            Some(path) => files.push(path.to_owned()),
            None if odd.as_ref() == Some(&path) => {}
            // One such file is no reason to leave the others as they are.
            None => {
                let name = one_line(&path.to_string_lossy());
                output::note(&format!(
                    "{} {name} is left as it is: its name is not UTF-8, rename it",
                    styled(YELLOW, "warning:")
                ));
                odd = Some(path);
            }
        }
    }
    Ok((files, unread || odd.is_some()))
}

/// What the daemon is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    /// What would be done.
    Plan,
    /// What the watcher would do.
    Watch,
    /// To do it.
    Take,
}

fn ask(client: &mut Client, files: &[String], args: &Arguments, call: Call) -> Result<Vec<Taken>> {
    let mut all = Vec::new();
    for batch in files.chunks(BATCH) {
        let body = TakeFiles {
            paths: batch.to_vec(),
            likely: args.all,
            only: Vec::new(),
            dry_run: call != Call::Take,
            watched: call == Call::Watch,
            decoy: args.decoy,
        };
        let answer: List<Taken> = client.post("/v1/quarantine", &body)?;
        all.extend(answer.items);
    }
    Ok(all)
}

fn render_plan(plan: &[Taken]) -> String {
    let mut text = String::new();
    let mut left = 0;
    for taken in plan {
        left += taken.left;
        if let Some(diff) = &taken.diff {
            text.push_str(&format!("{}\n{}", safe(diff), unread(taken)));
            text.extend(taken.secrets.iter().filter_map(no_decoy));
        }
        text.push_str(&error_of(taken));
    }
    if left > 0 {
        text.push_str(&styled(
            DIM,
            &format!("{} left alone because not certain; `hallpass quarantine --all` takes them too", count_left(left)),
        ));
    } else if text.is_empty() {
        text.push_str("no secret found");
    }
    text
}

fn render_done(done: &[Taken]) -> String {
    let mut text = String::new();
    let mut revoke: Vec<String> = Vec::new();
    let mut wants: Vec<String> = Vec::new();
    for taken in done {
        if let Some(id) = &taken.id {
            text.push_str(&format!(
                "{} {}  {}\n",
                styled(GREEN, "✓"),
                styled(BOLD, &one_line(&taken.path)),
                styled(DIM, id)
            ));
            for secret in &taken.secrets {
                let name = safe(&secret.credential);
                let key = secret.key.as_deref().unwrap_or(&secret.kind);
                let (now, how) = match secret.decoy {
                    true => (format!("a decoy; its value is the credential {name}"), decoy_hint(secret, &name)),
                    false if secret.route.is_some() => (format!("hallpass:{name}"), "a token of it".to_owned()),
                    false => {
                        (format!("hallpass:{name}"), "its value, as it is: no route can stand in for it".to_owned())
                    }
                };
                text.push_str(&format!("    {} is now {now}  {}\n", safe(key), styled(DIM, &how)));
                text.extend(no_decoy(secret));
                if !secret.decoy && !wants.contains(&secret.want) {
                    wants.push(secret.want.clone());
                }
                let by_api =
                    crate::revoke::of_kind(&secret.kind).map(|_| format!(", or: hallpass revoke-upstream {name}"));
                let by_api = by_api.unwrap_or_default();
                revoke.extend(
                    secret.revoke.iter().map(|page| format!("  {}: {}{by_api}", safe(&secret.kind), safe(page))),
                );
            }
        }
        if taken.id.is_some() {
            text.push_str(&unread(taken));
        }
        text.push_str(&error_of(taken));
    }
    if !wants.is_empty() {
        let wants: Vec<String> = wants.iter().map(|want| safe(want)).collect();
        text.push_str(&format!(
            "\nWhat tools get of them is yours to say: hallpass grant add human {}\n",
            wants.join(" ")
        ));
    }
    revoke.sort();
    revoke.dedup();
    if !revoke.is_empty() {
        text.push_str(&format!(
            "\n{}\nThey have been in a file, and copies may exist: make new ones and revoke these.\n{}\n",
            styled(BOLD, "Now at the issuers"),
            revoke.join("\n")
        ));
    }
    text.push_str("\n`hallpass quarantine restore ID` puts a file back as it was.");
    text
}

/// What is said of a file whose references nothing fills in.
fn unread(taken: &Taken) -> String {
    let name = Path::new(&taken.path).file_name().unwrap_or_default();
    if is_env_file(name) || taken.secrets.iter().all(|secret| secret.decoy) {
        return String::new();
    }
    format!(
        "{} what reads {} gets the words hallpass:NAME, and no value: `hallpass adopt` knows most assistants' files; \
         other programs can read a variable, which `hallpass exec --grant` sets\n",
        styled(YELLOW, "!"),
        one_line(&name.to_string_lossy())
    )
}

/// A tool that reads a decoy gets nothing, so the variable has to come from elsewhere.
fn decoy_hint(secret: &TakenSecret, name: &str) -> String {
    let scope = if secret.route.is_some() { "SCOPE" } else { "release" };
    format!("tools get nothing from it; the variable comes from: hallpass exec --grant {name}:{scope} -- COMMAND")
}

/// What is said where a decoy was asked for and a reference is left.
fn no_decoy(secret: &TakenSecret) -> Option<String> {
    let why = secret.no_decoy.as_deref()?;
    let key = secret.key.as_deref().unwrap_or(&secret.kind);
    Some(format!("{} {} gets a reference and no decoy: {}\n", styled(YELLOW, "!"), safe(key), safe(why)))
}

fn error_of(taken: &Taken) -> String {
    let Some(error) = &taken.error else { return String::new() };
    let hint = taken.hint.as_deref().map(|hint| format!(" ({})", safe(hint))).unwrap_or_default();
    format!("{} {}: {}{hint}\n", styled(RED, "✗"), one_line(&taken.path), safe(error))
}

fn render_item(item: &Item) -> String {
    let state = match item.state.as_str() {
        "quarantined" => styled(GREEN, "quarantined"),
        "restored" => styled(DIM, "restored"),
        other => styled(YELLOW, &safe(other)),
    };
    let mut text =
        format!("{}  {state}  {}  {}", safe(&item.id), safe(&item.taken_at), styled(BOLD, &one_line(&item.path)));
    for secret in &item.secrets {
        let now = if secret.decoy { "a decoy of " } else { "hallpass:" };
        let (kind, mask, name) = (safe(&secret.kind), safe(&secret.mask), safe(&secret.credential));
        text.push_str(&format!("\n    {kind}  {mask} -> {now}{name}"));
    }
    text
}

fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

fn count_left(number: u64) -> String {
    if number == 1 { "1 finding was".into() } else { format!("{number} findings were") }
}
