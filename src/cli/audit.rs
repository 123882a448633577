//! `hallpass audit`: reads the audit log's files; needs no daemon.

use clap::{Args, Subcommand};

use super::{
    context::Context,
    output::{self, DIM, GREEN, RED, safe, styled},
    table::Rows,
    when,
};
use crate::{
    audit::{
        line::Entry,
        read::{self, Filter},
        verify::{self, Report},
    },
    error::{Error, Result},
    principal::Kind,
};

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// The last lines; with --follow, the coming ones too
    Tail(Tail),
    /// Lines that match
    Query(Query),
    /// Whether a line was changed, removed or reordered; exit code 1 when one was
    Verify(Verify),
}

#[derive(Debug, Args)]
pub struct Tail {
    /// How many lines
    #[arg(short = 'n', long, default_value_t = 20)]
    lines: usize,
    /// Go on with what comes
    #[arg(short, long)]
    follow: bool,
    #[command(flatten)]
    which: Which,
}

#[derive(Debug, Args)]
pub struct Query {
    #[command(flatten)]
    which: Which,
    /// Not older than this, such as 2h
    #[arg(long, value_parser = when::seconds)]
    since: Option<u64>,
    /// Not younger than this, such as 10m
    #[arg(long, value_parser = when::seconds)]
    until: Option<u64>,
    /// At most this many, the newest
    #[arg(long)]
    limit: Option<usize>,
}

#[derive(Debug, Args)]
pub struct Verify {
    /// A head that was kept elsewhere, as KIND:SEQ:HASH; may be given again
    #[arg(long = "head", value_name = "HEAD")]
    heads: Vec<String>,
}

#[derive(Debug, Args)]
pub struct Which {
    /// Of this principal
    #[arg(long)]
    principal: Option<String>,
    /// Of this kind of principal
    #[arg(long)]
    kind: Option<Kind>,
    /// In this task
    #[arg(long)]
    task: Option<String>,
    /// With this lease
    #[arg(long)]
    lease: Option<String>,
    /// This event, such as mint, gateway.request, or gateway for all of its events
    #[arg(long)]
    event: Option<String>,
}

pub fn run(cx: &Context, verb: Verb) -> Result<u8> {
    let dir = cx.paths()?.audit_dir();
    match verb {
        Verb::Verify(args) => {
            let kept = args.heads.iter().map(|head| head.parse()).collect::<Result<Vec<verify::KeptHead>>>()?;
            let report = verify::verify_against(&dir, &kept)?;
            cx.show(&report, render_report)?;
            Ok(u8::from(!report.ok))
        }
        Verb::Query(args) => {
            let ago = |seconds: u64| when::now().as_millisecond() - i64::try_from(seconds).unwrap_or(0) * 1000;
            let mut filter = args.which.filter();
            filter.since_ms = args.since.map(ago);
            filter.until_ms = args.until.map(ago);
            filter.limit = args.limit;
            show(cx, &read::query(&dir, &filter)?)
        }
        Verb::Tail(args) => tail(cx, &dir, &args),
    }
}

impl Which {
    fn filter(&self) -> Filter {
        Filter {
            principal: self.principal.clone(),
            kind: self.kind,
            task: self.task.clone(),
            lease: self.lease.clone(),
            event: self.event.clone(),
            ..Filter::default()
        }
    }
}

/// JSON lines with `--json`, so that a follower can read them one by one.
fn show(cx: &Context, entries: &[Entry]) -> Result<u8> {
    if cx.json {
        entries.iter().try_for_each(line)?;
    } else {
        output::text(&render(entries))?;
    }
    Ok(0)
}

fn line(entry: &Entry) -> Result<()> {
    output::line(&serde_json::to_string(entry).map_err(|_| Error::internal("an audit line could not be written"))?)
}

fn tail(cx: &Context, dir: &std::path::Path, args: &Tail) -> Result<u8> {
    let mut filter = args.which.filter();
    let mut follower = read::Tail::new(dir, filter.clone())?;
    filter.limit = Some(args.lines);
    show(cx, &read::query(dir, &filter)?)?;
    if !args.follow {
        return Ok(0);
    }
    let mut failed = None;
    read::follow(&mut follower, |entry| {
        let said = if cx.json { line(entry) } else { output::text(&one(entry)) };
        failed = said.err();
        failed.is_none() && !output::is_closed()
    })?;
    failed.map_or(Ok(0), Err)
}

/// What an entry did, in words.
pub fn what(entry: &Entry) -> String {
    let mut parts: Vec<String> = Vec::new();
    if let Some(method) = &entry.method {
        parts.push(format!("{method} {}", entry.path.as_deref().unwrap_or_default()));
    } else if let Some(issuer) = &entry.issuer {
        let scope = entry.scope.as_deref().map(|s| format!(":{s}")).unwrap_or_default();
        let resource = entry.resource.as_deref().filter(|r| *r != "*").map(|r| format!("@{r}")).unwrap_or_default();
        parts.push(format!("{issuer}{scope}{resource}"));
    }
    parts.extend(entry.status.map(|status| status.to_string()));
    parts.extend(entry.code.map(|code| code.word().to_owned()));
    parts.extend(entry.detail.clone().filter(|_| entry.method.is_none() && entry.issuer.is_none()));
    parts.join("  ")
}

fn clock(entry: &Entry) -> &str {
    entry.time.get(..19).unwrap_or(&entry.time)
}

fn one(entry: &Entry) -> String {
    let decision = entry.decision.word();
    let shown = match decision {
        "denied" | "failed" => styled(RED, decision),
        _ => decision.to_owned(),
    };
    let (event, who) = (safe(&entry.event), safe(&entry.principal));
    format!("{}  {event:<16}  {who:<14}  {shown}  {}", clock(entry), safe(&what(entry)))
}

fn render(entries: &[Entry]) -> String {
    let mut rows = Rows::new(&["time (UTC)", "event", "principal", "task", "decision", "what"]);
    for entry in entries {
        let task = entry.task.as_deref().unwrap_or_default();
        let decision = entry.decision.word();
        rows.row(&[clock(entry), &entry.event, &entry.principal, task, decision, &what(entry)]);
    }
    rows.render("nothing on record")
}

fn render_report(report: &Report) -> String {
    let mut lines = Vec::new();
    for stream in &report.streams {
        let state = match &stream.fault {
            None => styled(GREEN, "ok  "),
            Some(_) => styled(RED, "bad "),
        };
        lines.push(format!("{state}  {:<11} {} lines", stream.kind.word(), stream.lines));
        lines.extend(stream.head.iter().map(|head| format!("      {}", styled(DIM, &safe(head)))));
        if let Some(fault) = &stream.fault {
            lines.push(format!("      {}, line {}: {}", safe(&fault.file), fault.line, safe(&fault.detail)));
        }
        lines.extend(stream.notes.iter().map(|note| format!("      {}", safe(note))));
    }
    lines.extend(report.notes.iter().map(|note| safe(note)));
    if report.streams.is_empty() {
        lines.push("nothing on record".into());
    }
    lines.join("\n")
}
