//! The pure steps that every request takes, one by one: `cargo bench --bench micro`.
//!
//! A harness of its own, in twenty lines: each step is run in batches for a third of a second, and the
//! median batch counts. Statistics beyond that (criterion, divan) would be dependencies for digits that
//! no decision needs; `-- --json` prints one line for benches/compare/run.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

use std::{
    collections::HashMap,
    hint::black_box,
    time::{Duration, Instant},
};

use hallpass::{
    audit::{Audit, Decision, Record},
    detect::Detector,
    gateway::canonical::CanonicalTarget,
    policy::{self, Approval, Grant, Verdict},
    principal::Kind,
    scope::Wanted,
    sys,
    token::{self, Token},
};

fn main() {
    let json = std::env::args().any(|arg| arg == "--json");
    let mut results = serde_json::Map::new();
    let mut show = |name: &str, ns: f64| {
        if !json {
            println!("{name:<28} {ns:>10.1} ns");
        }
        results.insert(name.into(), ns.into());
    };
    show("token check: checksum, SHA-256, look-up among 10,000", token_check());
    show("policy decide, 100 grants", policy_decide());
    show("canonical target parse", canonical_parse());
    show("scope containment", scope_containment());
    show("audit record, written", audit_record());
    show("one `.env`, 40 lines, 3 keys", one_env());
    if json {
        println!("{}", serde_json::Value::Object(results));
    }
}

/// Nanoseconds of one call, in the median batch.
fn time(mut step: impl FnMut(usize)) -> f64 {
    const BATCH: usize = 500;
    let mut batches = Vec::new();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(350) {
        let start = Instant::now();
        (0..BATCH).for_each(&mut step);
        batches.push(start.elapsed());
    }
    batches.sort_unstable();
    let median = batches.get(batches.len() / 2).copied().unwrap_or_default();
    median.as_nanos() as f64 / BATCH as f64
}

fn wanted(text: &str) -> Wanted {
    text.parse().expect("wanted")
}

/// What the gateway does with a token: prefix, digits, checksum, SHA-256, and the look-up among 10,000.
fn token_check() -> f64 {
    let tokens: Vec<Token> = (0..10_000).map(|_| Token::from_entropy(sys::random().expect("random"))).collect();
    let known: HashMap<_, usize> = tokens.iter().enumerate().map(|(at, token)| (token.hash(), at)).collect();
    let texts: Vec<&[u8]> = tokens.iter().step_by(7).map(|token| token.expose().as_bytes()).collect();
    time(|turn| {
        let text = texts.get(turn % texts.len()).expect("text");
        let hash = token::check(black_box(text)).expect("token");
        black_box(known.get(&hash).expect("known"));
    })
}

fn policy_decide() -> f64 {
    let grants: Vec<Grant> = (0..100)
        .map(|n| Grant {
            id: format!("grant_{n}"),
            principal: format!("bot{}", n % 10),
            what: wanted(&format!("github:issues:read,pulls:*@acme/repo{n},acme/web")),
            max_ttl: Duration::from_secs(3600),
            approval: Approval::Auto,
            bounds: Default::default(),
            rate: None,
        })
        .collect();
    let request = policy::Request { principal: "bot7".into(), what: wanted("github:issues:read@acme/web"), ttl: None };
    time(|_| {
        let verdict = policy::decide(black_box(&grants), black_box(&request), None);
        assert!(matches!(black_box(verdict), Verdict::Allowed(_)));
    })
}

fn canonical_parse() -> f64 {
    let target = "/github/repos/acme/web/issues/4711/comments?per_page=100&page=2";
    time(|_| {
        black_box(CanonicalTarget::parse(black_box(target)).expect("target"));
    })
}

fn scope_containment() -> f64 {
    let (wide, narrow) = (wanted("github:issues:*,pulls:read@acme/*"), wanted("github:issues:read@acme/web"));
    time(|_| assert!(black_box(&wide).contains(black_box(&narrow))))
}

/// One line of the audit log, with its write(2): hash chained, not yet synced.
fn audit_record() -> f64 {
    let dir = tempfile::tempdir().expect("folder");
    let mut audit = Audit::open(&dir.path().join("audit")).expect("audit");
    time(|_| {
        let record = Record {
            issuer: Some("github"),
            lease: Some("lease_0123456789abcdefg"),
            scopes: Some("issues:read".into()),
            resources: Some("acme/web".into()),
            decision: Decision::Allowed,
            ..Record::new("mint", "bot", Kind::Agent)
        };
        audit.record(record, sys::now()).expect("record");
    })
}

/// What the daemon's engine does with a `.env` that was written, its expressions compiled.
fn one_env() -> f64 {
    let mut text = String::new();
    for n in 0..37 {
        text.push_str(&format!("SERVICE_{n}_URL=http://localhost:80{n:02}/v1 # on this machine\n"));
    }
    let digits = |n: usize| "aB3dE5gH7jK9mN1pQ2rS4tU6vW8yZ0".chars().cycle().skip(n).take(93).collect::<String>();
    text.push_str(&format!("ANTHROPIC_API_KEY=sk-{}-api03-{}AA\n", "ant", digits(1)));
    text.push_str(&format!("SLACK_TOKEN=xo{}-123456789012-123456789012-{}\n", "xb", &digits(4)[..24]));
    text.push_str(&format!("SESSION_SECRET={}\n", &digits(7)[..40]));
    let detector = Detector::new();
    assert!(!detector.scan("project/.env", text.as_bytes()).is_empty());
    time(|_| {
        black_box(detector.scan(black_box("project/.env"), black_box(text.as_bytes())));
    })
}
