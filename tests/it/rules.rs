//! Every detection rule finds its examples at their exact places and leaves its counter-examples alone.
//!
//! The examples hold no key: this test makes them up as `data/rules/README.md` describes, the same on every run.

use std::{collections::BTreeSet, fs};

use hallpass::detect::{Detector, check, rule};

use crate::made_up::{Random, expand};

#[derive(serde::Deserialize)]
struct Entry {
    name: String,
    provider: String,
    check: Option<String>,
    examples: Vec<String>,
    counter_examples: Vec<String>,
}

#[derive(serde::Deserialize)]
struct File {
    rule: Vec<Entry>,
}

fn entries() -> Vec<Entry> {
    let mut paths: Vec<_> = fs::read_dir("data/rules").unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "toml"));
    paths.sort();
    paths.iter().flat_map(|path| toml::from_str::<File>(&fs::read_to_string(path).unwrap()).unwrap().rule).collect()
}

/// The first example of each rule: its name, the file, its text and where the value stands.
pub fn examples() -> impl Iterator<Item = (String, String, String, std::ops::Range<usize>)> {
    entries().into_iter().filter_map(|entry| {
        let made = Made::of(entry.examples.first()?, &entry, 0);
        Some((entry.name, made.path, made.text, made.value?))
    })
}

#[test]
fn every_rule_finds_its_examples_and_no_counter_example() {
    let detector = Detector::new();
    let mut wrong = Vec::new();
    for entry in entries() {
        if entry.examples.len() < 2 || entry.counter_examples.len() < 2 {
            wrong.push(format!("{}: needs two examples and two counter-examples", entry.name));
        }
        // Each example with several values made up: a rule that depends on luck shows.
        for round in 0..3 {
            for (n, example) in entry.examples.iter().enumerate() {
                let made = Made::of(example, &entry, n as u64 * 100 + round);
                let found = detector.scan(&made.path, made.text.as_bytes());
                let hit = found.iter().find(|finding| Some(finding.span.start..finding.span.end) == made.value);
                match hit {
                    _ if made.value.is_none() => wrong.push(format!("{}: example {n} has no [[value]]", entry.name)),
                    Some(finding) if finding.kind == entry.name => {}
                    Some(finding) => {
                        wrong.push(format!("{}: example {n} is found as {}: {}", entry.name, finding.kind, made.text))
                    }
                    None => {
                        let seen: Vec<_> = found.iter().map(|f| (f.kind, f.span.clone())).collect();
                        wrong.push(format!(
                            "{}: example {n} is not found at {:?}, but {seen:?}: {}",
                            entry.name, made.value, made.text
                        ));
                    }
                }
            }
            for (n, example) in entry.counter_examples.iter().enumerate() {
                let made = Made::of(example, &entry, n as u64 * 100 + round);
                if detector.scan(&made.path, made.text.as_bytes()).iter().any(|finding| finding.kind == entry.name) {
                    wrong.push(format!("{}: counter-example {n} is found: {}", entry.name, made.text));
                }
            }
        }
    }
    wrong.dedup();
    assert!(wrong.is_empty(), "{} mistakes:\n{}", wrong.len(), wrong.join("\n"));
}

/// What people put where a key goes, over and over until it is as long: only what a check proves is a key with it.
const FILLS: &[&str] =
    &["x", "X", "0", "abcdefghijklmnopqrstuvwxyz", "1234567890", "EXAMPLE", "your_key_here_", "0123456789abcdef"];

#[test]
fn no_rule_that_is_certain_takes_a_sample_for_a_key() {
    let detector = Detector::new();
    let mut wrong = Vec::new();
    let whole = |entry: &Entry| ["<jwt", "<pem"].iter().any(|block| entry.examples[0].contains(block));
    for entry in entries().iter().filter(|entry| entry.check.is_none() && !whole(entry)) {
        for fill in FILLS {
            let example = filled(&entry.examples[0], fill);
            let made = Made::of(&example, entry, 0);
            let certain = |finding: &&hallpass::detect::Finding| finding.class == hallpass::detect::Class::Certain;
            if let Some(finding) = detector.scan(&made.path, made.text.as_bytes()).iter().find(certain) {
                wrong.push(format!("{}: {}", finding.kind, made.text));
            }
        }
    }
    assert!(wrong.is_empty(), "{} mistakes:\n{}", wrong.len(), wrong.join("\n"));
}

/// The example with all that would be made up in it, but for whole blocks, of this text instead.
fn filled(example: &str, fill: &str) -> String {
    let mut text = String::new();
    let mut rest = example;
    while let Some((before, after)) = rest.split_once('<') {
        text.push_str(before);
        let (inside, behind) = after.split_once('>').unwrap_or((after, ""));
        match inside.split_once(':').map(|(class, length)| (class, length.parse::<usize>())) {
            Some((_, Ok(length))) => text.extend(fill.chars().cycle().take(length)),
            None if inside == "uuid" => text.push_str("00000000-0000-0000-0000-000000000000"),
            _ => text.push_str(&format!("<{inside}>")),
        }
        rest = behind;
    }
    text.push_str(rest);
    text
}

#[test]
fn every_rule_is_sound() {
    let mut names = BTreeSet::new();
    for entry in entries() {
        assert!(names.insert(entry.name.clone()), "{} is there twice", entry.name);
        assert!(
            entry.check.as_deref().is_none_or(|name| check::named(name).is_some()),
            "{}: no such check",
            entry.name
        );
        assert!(!entry.provider.is_empty());
    }
    assert_eq!(names.len(), rule::all().len(), "build.rs loses none");
    let routes: BTreeSet<String> =
        fs::read_dir("data/routes").unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    for rule in rule::all() {
        let compiled = regex::bytes::RegexBuilder::new(rule.pattern).unicode(false).build();
        assert!(compiled.is_ok(), "{}: {compiled:?}", rule.name);
        assert!(rule.words.iter().all(|word| word.len() >= 3), "{}: a word needs three characters", rule.name);
        let plain = |name: &str| name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()) && name.len() >= 3;
        assert!(rule.near.iter().all(|near| plain(near)), "{}: `near` is lower-case letters and digits", rule.name);
        assert!(
            rule.route.is_none_or(|route| routes.contains(&format!("{route}.toml"))),
            "{}: no such route",
            rule.name
        );
        assert!(!rule.source.is_empty(), "{}: needs a source", rule.name);
    }
}

#[test]
fn there_are_rules_for_250_providers() {
    let providers: BTreeSet<&str> = rule::all().iter().map(|rule| rule.provider).collect();
    println!("{} rules for {} providers", rule::all().len(), providers.len());
    assert!(providers.len() >= 250, "{}", providers.len());
}

/// An example with everything made up.
struct Made {
    path: String,
    text: String,
    value: Option<std::ops::Range<usize>>,
}

impl Made {
    fn of(example: &str, entry: &Entry, seed: u64) -> Self {
        let (path, template) = match example.split_once('|') {
            Some((path, rest))
                if !path.is_empty() && path.bytes().all(|b| b.is_ascii_alphanumeric() || b"./_-".contains(&b)) =>
            {
                (path, rest)
            }
            _ => (".env", example),
        };
        let made = expand(template, entry.check.as_deref(), &mut Random::of(&entry.name, seed));
        Self { path: path.to_owned(), text: made.text, value: made.values.first().cloned() }
    }
}
