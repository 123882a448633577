//! `hallpass scan`: the secrets that lie in files.

use std::{path::PathBuf, sync::atomic::Ordering, time::Duration};

use clap::Args;

use super::{
    context::Context,
    output::{self, BOLD, DIM, RED, YELLOW, one_line, safe, styled},
};
use crate::{
    api::problem::Code,
    detect::{Detector, fingerprint::Fingerprints},
    error::{Error, Result},
    scan::{Progress, Report, Reported, Scan, baseline, decoys, hook, key, places, read, sarif, staged},
};

/// The exit code of a scan that found something: none of the others, so that a script can tell.
pub const FOUND: u8 = 5;

#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 nothing found, 5 something found, 1 a path could not be read.\n\
    A finding may stay with a comment on its line, `hallpass:allow REASON until=2027-01-31`,\n\
    or with an entry in a .hallpass-allow.toml.")]
pub struct Arguments {
    /// Files and folders; without any, the places where assistants and tools keep secrets
    paths: Vec<PathBuf>,
    /// Print a SARIF 2.1.0 log
    #[arg(long, conflicts_with = "json")]
    sarif: bool,
    /// Look at what is staged in git, and only at the lines that the commit adds
    #[arg(long, conflicts_with = "paths")]
    staged: bool,
    /// Make git run `hallpass scan --staged` before each commit here
    #[arg(long, conflicts_with_all = ["paths", "staged", "sarif"])]
    install_hook: bool,
    /// Tell only what is not in this baseline
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Write what is found to a baseline
    #[arg(long, value_name = "FILE", conflicts_with = "baseline")]
    write_baseline: Option<PathBuf>,
    /// Tell only what is certain
    #[arg(long)]
    certain: bool,
    /// Count files larger than this many MiB instead of reading them
    #[arg(long, value_name = "MIB", default_value_t = read::MAX_SIZE / 1024 / 1024)]
    max_size: u64,
}

pub fn run(cx: &Context, args: Arguments) -> Result<u8> {
    if args.install_hook {
        let (path, before) = hook::install()?;
        let path = one_line(&path.to_string_lossy());
        let done = if before { "is in place already" } else { "is written: git now asks hallpass before each commit" };
        return cx.text(&format!("{path} {done}"));
    }
    let detector = Detector::new();
    let paths = cx.paths()?;
    // Without a home a scan still tells what it finds; only its fingerprints are then of this run alone.
    let key = key::fingerprint_key(&paths).or_else(|e| {
        output::note(&format!(
            "{} {}; fingerprints will be others next time",
            styled(YELLOW, "warning:"),
            safe(&e.detail)
        ));
        crate::sys::random().map_err(|e| Error::new(Code::Io, e.to_string()))
    })?;
    let fingerprints = Fingerprints::new(key);
    let progress = Progress::default();
    let scan = Scan {
        detector: &detector,
        fingerprints: &fingerprints,
        max_size: args.max_size.saturating_mul(1024 * 1024),
        progress: &progress,
    };
    let mut report = if args.staged {
        staged::scan(&scan)?
    } else {
        let targets = if args.paths.is_empty() { places::known(&cx.paths()?)? } else { args.paths.clone() };
        shown(&progress, || scan.paths(&targets))
    };
    decoys::leave_out(&paths, &mut report);
    if args.certain {
        report.findings.retain(|finding| finding.class == "certain");
    }
    if let Some(file) = &args.baseline {
        baseline::apply(file, &mut report)?;
    }
    if let Some(file) = &args.write_baseline {
        baseline::write(file, &report)?;
        tell_the_rest(&report);
        let held = counted(report.findings.len() as u64, "finding", "findings");
        return cx.text(&format!("{} holds {held}", one_line(&file.to_string_lossy())));
    }
    if args.sarif {
        output::json(&sarif::log(&report))?;
    } else if cx.json {
        for finding in &report.findings {
            let text = serde_json::to_string(finding)
                .map_err(|_| Error::internal("a finding could not be written as JSON"))?;
            output::line(&text)?;
        }
    } else {
        output::text(&table(&report))?;
    }
    tell_the_rest(&report);
    if !report.findings.is_empty() && !cx.json && !args.sarif {
        output::note(&next_step(&args));
    }
    Ok(match (report.findings.is_empty(), report.unreadable.is_empty()) {
        (false, _) => FOUND,
        (true, false) => 1,
        (true, true) => 0,
    })
}

/// Runs it with a line of progress where a person is looking.
fn shown(progress: &Progress, work: impl FnOnce() -> Report + Send) -> Report {
    use std::io::IsTerminal as _;
    if !std::io::stderr().is_terminal() {
        return work();
    }
    let bar = indicatif::ProgressBar::new_spinner();
    bar.enable_steady_tick(Duration::from_millis(100));
    let (done, waiting) = std::sync::mpsc::channel::<()>();
    std::thread::scope(|scope| {
        let shown = bar.clone();
        scope.spawn(move || {
            while waiting.recv_timeout(Duration::from_millis(100)) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                let count = |number: &std::sync::atomic::AtomicU64| number.load(Ordering::Relaxed);
                shown.set_message(format!(
                    "{} files, {} MB, {} found",
                    count(&progress.files),
                    count(&progress.bytes) / 1_000_000,
                    count(&progress.found)
                ));
            }
        });
        let report = work();
        drop(done);
        bar.finish_and_clear();
        report
    })
}

fn table(report: &Report) -> String {
    let mut text = String::new();
    for findings in report.findings.chunk_by(|a, b| a.path == b.path) {
        if let Some(first) = findings.first() {
            text.push_str(&format!("{}\n", styled(BOLD, &one_line(&first.path.to_string_lossy()))));
        }
        let keys: Vec<String> =
            findings.iter().map(|finding| safe(finding.key.as_deref().unwrap_or_default())).collect();
        // One very long name is no reason to push all kinds out of sight.
        let width = keys.iter().map(|key| key.chars().count()).max().unwrap_or_default().min(40);
        findings.iter().zip(&keys).for_each(|(finding, key)| text.push_str(&line(finding, key, width)));
        text.push('\n');
    }
    let files = format!("{}, {} looked at", counted(report.files, "file", "files"), size(report.bytes));
    let certain = report.findings.iter().filter(|finding| finding.class == "certain").count();
    match report.findings.len() {
        0 => text.push_str(&format!("no secret found ({files})")),
        found => text.push_str(&format!(
            "{} found, {certain} of them certain ({files})",
            counted(found as u64, "secret", "secrets")
        )),
    }
    text
}

fn line(finding: &Reported, key: &str, width: usize) -> String {
    let place = format!("{}:{}", finding.line, finding.column);
    let class = if finding.class == "certain" { styled(RED, "certain") } else { styled(YELLOW, "likely ") };
    // What is certain needs no reason.
    let why = if finding.class == "certain" { String::new() } else { styled(DIM, &format!("  {}", finding.why)) };
    format!("  {place:<9} {class}  {key:<width$}  {}{why}\n", finding.kind)
}

fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// What a person does about it.
fn next_step(args: &Arguments) -> String {
    if args.staged {
        return "take it out of the commit, or say why it may stay: a comment `hallpass:allow REASON` on its line"
            .into();
    }
    let mut command = "hallpass quarantine".to_owned();
    for path in &args.paths {
        command = format!("{command} {}", super::quote::word(&one_line(&path.to_string_lossy())));
    }
    format!("`{command}` moves them into the store and leaves references that work")
}

fn size(bytes: u64) -> String {
    match bytes {
        0..10_000 => format!("{bytes} bytes"),
        10_000..10_000_000 => format!("{} kB", bytes / 1000),
        _ => format!("{} MB", bytes / 1_000_000),
    }
}

/// What was not looked at, and what is wrong with allow entries: on standard error, whatever the form of the rest.
fn tell_the_rest(report: &Report) {
    for warning in &report.warnings {
        output::note(&format!("{} {}", styled(YELLOW, "warning:"), safe(warning)));
    }
    for (path, why) in report.unreadable.iter().take(20) {
        output::note(&format!(
            "{} {} was not read: {}",
            styled(YELLOW, "warning:"),
            one_line(&path.to_string_lossy()),
            safe(why)
        ));
    }
    if report.unreadable.len() > 20 {
        output::note(&format!(
            "{} {} more could not be read",
            styled(YELLOW, "warning:"),
            report.unreadable.len() - 20
        ));
    }
    let skipped: Vec<String> = [
        (report.binary, "binary file", "binary files"),
        (report.huge, "too large", "too large"),
        (report.special, "that is no plain file", "that are no plain files"),
        (report.allowed, "finding that is allowed or in the baseline", "findings that are allowed or in the baseline"),
    ]
    .into_iter()
    .filter(|(count, ..)| *count > 0)
    .map(|(count, one, many)| counted(count, one, many))
    .collect();
    if !skipped.is_empty() {
        output::note(&styled(DIM, &format!("left out: {}", skipped.join(", "))));
    }
}
