//! Every detection rule finds its examples at their exact places and leaves its counter-examples alone.
//!
//! The examples hold no key: this test makes them up as `data/rules/README.md` describes, the same on every run.

use std::{collections::BTreeSet, fs};

use hallpass::detect::{Detector, check, rule};

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
        let mut random =
            Random(entry.name.bytes().fold(seed + 1, |sum, byte| sum.wrapping_mul(0x0100_0000_01b3) ^ u64::from(byte)));
        let mut text = String::new();
        let mut start = None;
        let mut value = None;
        let mut rest = template;
        while let Some(next) = rest.chars().next() {
            if let Some(after) = rest.strip_prefix("[[").filter(|_| start.is_none()) {
                start = Some(text.len());
                rest = after;
            } else if let Some(after) = rest.strip_prefix("]]").filter(|_| start.is_some() && value.is_none()) {
                value = start.map(|start| start..text.len());
                rest = after;
            } else if let Some((made, after)) = made_up(rest, &mut random, &text[start.unwrap_or(0)..], entry) {
                text.push_str(&made);
                rest = after;
            } else {
                text.push(next);
                rest = &rest[next.len_utf8()..];
            }
        }
        Self { path: path.to_owned(), text, value }
    }
}

fn made_up<'a>(rest: &'a str, random: &mut Random, before: &str, entry: &Entry) -> Option<(String, &'a str)> {
    let (inside, after) = rest.strip_prefix('<')?.split_once('>')?;
    let made = match inside.split_once(':') {
        None if inside == "seal" => check::seal(entry.check.as_deref()?, before.as_bytes())?,
        None if inside == "uuid" => [8, 4, 4, 4, 12].map(|n| random.text(n, HEX_LOWER)).join("-"),
        None if inside == "jwt" => {
            let payload = format!(r#"{{"sub":"{}","iat":1700000000}}"#, random.text(12, ALNUM));
            format!(
                "{}.{}.{}",
                base64_url(r#"{"alg":"HS256","typ":"JWT"}"#),
                base64_url(&payload),
                random.text(43, WORD)
            )
        }
        None => return None,
        Some(("base64of", text)) => {
            use base64::Engine as _;
            base64::engine::general_purpose::STANDARD_NO_PAD.encode(text)
        }
        Some((kind @ ("pem" | "pem1"), name)) => pem(name, random, if kind == "pem" { "\n" } else { "\\n" }),
        Some((class, length)) => random.text(length.parse().ok()?, alphabet(class)?),
    };
    Some((made, after))
}

const HEX_LOWER: &str = "0123456789abcdef";
const ALNUM: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const WORD: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";

fn alphabet(class: &str) -> Option<&'static str> {
    Some(match class {
        "lower" => "abcdefghijklmnopqrstuvwxyz",
        "upper" => "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        "letters" => "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
        "digits" => "0123456789",
        "hex" => HEX_LOWER,
        "HEX" => "0123456789ABCDEF",
        "alnum" => ALNUM,
        "loweralnum" => "abcdefghijklmnopqrstuvwxyz0123456789",
        "upperalnum" => "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789",
        "word" => WORD,
        "base32" => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567",
        "base64" => "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
        _ => return None,
    })
}

fn base64_url(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text)
}

/// A block that decodes to something of the right shape and is no key.
fn pem(name: &str, random: &mut Random, line_end: &str) -> String {
    use base64::Engine as _;
    let start: &[u8] = match name {
        name if name.starts_with("OPENSSH") => b"openssh-key-v1\0",
        name if name.starts_with("PGP") => &[0x95],
        _ => &[0x30, 0x82, 0x04, 0xa4],
    };
    let der: Vec<u8> = start.iter().copied().chain((0..300).map(|_| random.next() as u8)).collect();
    let body = base64::engine::general_purpose::STANDARD.encode(der);
    let mut lines = vec![format!("{}BEGIN {name}-----", "-".repeat(5))];
    lines.extend(body.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line).into_owned()));
    lines.push(format!("-----END {name}-----"));
    lines.join(line_end)
}

/// xorshift64*: the same on every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32
    }

    fn text(&mut self, length: usize, alphabet: &str) -> String {
        (0..length).map(|_| char::from(alphabet.as_bytes()[self.next() as usize % alphabet.len()])).collect()
    }
}
