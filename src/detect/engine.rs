//! The engine: one pass for all rules' words, then each rule where its words stand, then names, then a choice.
//!
//! Owns the order of work and what wins where findings overlap. A rule's expression is compiled when one of
//! its words is first seen, so that a file without secrets costs one pass and no memory.

use std::{ops::Range, sync::OnceLock};

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use regex::bytes::{Regex, RegexBuilder};

use super::{
    Class, Finding, check,
    generic::{Place, judge},
    kind::FileKind,
    parse::{self, Document, Scalar},
    placeholder::is_placeholder,
    random::entropy,
    reference::is_reference,
    rule::{self, Rule},
    utf16,
};

/// How far a value of several lines may reach from its first line, in bytes.
const LONG: usize = 32 * 1024;
/// How much of a line around a word is looked at, in bytes: a minified file is one line.
const AROUND: usize = 4 * 1024;
/// What a name must say for its line to be looked at, in a file without a parser.
const HINTS: &[&str] = &[
    "key",
    "token",
    "secret",
    "passw",
    "pwd",
    "pass=",
    "pass:",
    "credential",
    "authorization",
    "bearer",
    "auth",
    "webhook",
    "dsn",
];

/// All rules, ready to look.
pub struct Detector {
    words: Option<AhoCorasick>,
    /// For each word: the rule it belongs to, or none for a hint.
    owners: Vec<Option<usize>>,
    names: Option<AhoCorasick>,
    /// For each name: its rule, and whether it is short enough to stand in other words by chance.
    named: Vec<(usize, bool)>,
    expressions: Vec<OnceLock<Option<Regex>>>,
}

impl Default for Detector {
    fn default() -> Self {
        Self::new()
    }
}

impl Detector {
    /// With the built-in rules.
    pub fn new() -> Self {
        let rules = rule::all();
        let mut words = Vec::new();
        let mut owners = Vec::new();
        let mut names = Vec::new();
        let mut named = Vec::new();
        for (index, rule) in rules.iter().enumerate() {
            for word in rule.words {
                words.push(*word);
                owners.push(Some(index));
            }
            for near in rule.near {
                names.push(*near);
                named.push((index, near.len() < 6));
            }
        }
        for hint in HINTS {
            words.push(hint);
            owners.push(None);
        }
        let expressions = rules.iter().map(|_| OnceLock::new()).collect();
        Self { words: automaton(&words), owners, names: automaton(&names), named, expressions }
    }

    /// The secrets in a file's bytes, in their order, not overlapping. `path` is looked at, not opened.
    pub fn scan(&self, path: &str, bytes: &[u8]) -> Vec<Finding> {
        if let Some(wide) = utf16::narrow(bytes) {
            let mut findings = self.scan(path, &wide.bytes);
            findings.iter_mut().for_each(|finding| finding.span = wide.widen(&finding.span));
            return findings;
        }
        let kind = FileKind::of(path);
        let mut hits: Vec<(usize, Option<usize>)> = Vec::new();
        for hit in self.words.iter().flat_map(|words| words.find_overlapping_iter(bytes)) {
            if let Some(owner) = self.owners.get(hit.pattern().as_usize()) {
                hits.push((hit.start(), *owner));
            }
        }
        if hits.is_empty() && kind == FileKind::Text {
            return Vec::new();
        }
        let document = parse::parse(kind, bytes);
        let parsed = document.is_some();
        let document = document.unwrap_or_else(|| text_document(bytes, &hits));
        let mut search = Search {
            detector: self,
            path,
            bytes,
            kind: if parsed { kind } else { FileKind::Text },
            document,
            found: Vec::new(),
            made_up: Vec::new(),
        };
        search.by_words(&hits);
        search.by_names();
        search.finish()
    }

    fn expression(&self, index: usize) -> Option<&Regex> {
        let rule = rule::all().get(index)?;
        let compile = || {
            // A value that is known by its name is matched whole.
            let pattern =
                if rule.near.is_empty() { rule.pattern.to_owned() } else { format!("^(?:{})$", rule.pattern) };
            RegexBuilder::new(&pattern).unicode(false).build().ok()
        };
        self.expressions.get(index)?.get_or_init(compile).as_ref()
    }
}

/// A finding before the choice.
struct Candidate {
    span: Range<usize>,
    kind: &'static str,
    class: Class,
    name: Option<u32>,
    why: &'static str,
    /// In a class, names before words (whose token it is says more than that it is a JWT) before the generic
    /// kinds; then the longer value, then the rule with the longer words.
    rank: (Class, u8, usize, usize),
}

struct Search<'a> {
    detector: &'a Detector,
    path: &'a str,
    bytes: &'a [u8],
    kind: FileKind,
    document: Document,
    found: Vec<Candidate>,
    /// What has an issuer's format and fails its check: made up, whatever its name says.
    made_up: Vec<Range<usize>>,
}

impl Search<'_> {
    fn by_words(&mut self, hits: &[(usize, Option<usize>)]) {
        // Up to where each rule has looked: a rule with two words does not look twice.
        let mut looked: std::collections::HashMap<usize, usize> = std::collections::HashMap::new();
        for (at, owner) in hits {
            let Some(index) = *owner else { continue };
            let Some(rule) = rule::all().get(index) else { continue };
            if !rule.near.is_empty() || looked.get(&index).is_some_and(|end| at < end) {
                continue;
            }
            let window = self.window(*at, rule.is_long());
            looked.insert(index, window.end);
            self.match_in(index, rule, window);
        }
    }

    fn match_in(&mut self, index: usize, rule: &'static Rule, window: Range<usize>) {
        let Some(expression) = self.detector.expression(index) else { return };
        let bytes = self.bytes;
        let text = bytes.get(window.clone()).unwrap_or_default();
        for captures in expression.captures_iter(text) {
            let (Some(whole), Some(secret)) = (captures.get(0), captures.name("secret").or_else(|| captures.get(0)))
            else {
                continue;
            };
            let touches = |byte: Option<&u8>| byte.is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
            let before = (window.start + whole.start()).checked_sub(1).and_then(|at| bytes.get(at));
            if touches(before) && !escape_before(bytes, window.start + whole.start())
                || touches(bytes.get(window.start + whole.end()))
            {
                continue;
            }
            let span = window.start + secret.start()..window.start + secret.end();
            if !holds(rule, secret.as_bytes()) {
                self.made_up.push(span);
                continue;
            }
            let scalar = scalar_at(&self.document, span.start);
            if rule.class == Class::Likely
                && scalar.is_some_and(|s| bytes.get(s.span.clone()).is_some_and(is_reference))
            {
                continue;
            }
            let name = scalar.and_then(|scalar| scalar.name);
            self.found.push(Candidate {
                kind: rule.name,
                class: rule.class,
                name,
                why: why(rule),
                rank: (rule.class, 2, span.len(), rule.words.iter().map(|word| word.len()).min().unwrap_or_default()),
                span,
            });
        }
    }

    /// The rules that know their value by a name, then the generic ones.
    fn by_names(&mut self) {
        let sample = is_sample(self.path);
        let mut near = NearText::default();
        near.file(self.path);
        let by_file = self.rules_near(&near);
        let scalars = std::mem::take(&mut self.document.scalars);
        for scalar in &scalars {
            let Some(name) = scalar.name.and_then(|index| self.document.names.get(index as usize)) else { continue };
            let Some((span, value)) = self.value(scalar) else { continue };
            let overlaps = |other: &Range<usize>| other.start < span.end && span.start < other.end;
            if value.len() < 6 || self.made_up.iter().any(overlaps) {
                continue;
            }
            let last = self.bytes.get(name.span.clone()).unwrap_or_default();
            near.clear();
            near.path(self.bytes, &self.document, scalar.name);
            let mut rules = self.rules_near(&near);
            if super::name::may_be_secret(last) {
                rules.extend(&by_file);
            }
            for index in rules {
                let Some(rule) = rule::all().get(index) else { continue };
                let matches = self.detector.expression(index).is_some_and(|expression| expression.is_match(&value));
                if matches && holds(rule, &value) && !is_reference(&value) && !is_placeholder(&value, false) {
                    self.found.push(Candidate {
                        span: span.clone(),
                        kind: rule.name,
                        class: rule.class,
                        name: scalar.name,
                        why: why(rule),
                        rank: (rule.class, 3, span.len(), 0),
                    });
                }
            }
            let place = Place { name: last, quote: scalar.quote, kind: self.kind, sample, comment: scalar.comment };
            if !near.is_encrypted()
                && let Some((kind, why)) = judge(&place, &value)
            {
                self.found.push(Candidate {
                    span: span.clone(),
                    kind,
                    class: Class::Likely,
                    name: scalar.name,
                    why,
                    rank: (Class::Likely, 1, span.len(), 0),
                });
            }
        }
        self.document.scalars = scalars;
    }

    /// A scalar's value and its place, without an authorization scheme before it.
    fn value(&self, scalar: &Scalar) -> Option<(Range<usize>, Vec<u8>)> {
        let raw = self.bytes.get(scalar.span.clone())?;
        let value = scalar.decoded.as_deref().unwrap_or(raw);
        for scheme in ["Bearer ", "bearer ", "Basic ", "basic ", "Token ", "token ", "Api-Key ", "ApiKey ", "Key "] {
            if raw.starts_with(scheme.as_bytes()) && value.starts_with(scheme.as_bytes()) {
                return Some((scalar.span.start + scheme.len()..scalar.span.end, value.get(scheme.len()..)?.to_vec()));
            }
        }
        Some((scalar.span.clone(), value.to_vec()))
    }

    fn rules_near(&self, near: &NearText) -> Vec<usize> {
        let mut rules: Vec<usize> = Vec::new();
        for hit in self.detector.names.iter().flat_map(|names| names.find_overlapping_iter(&near.text)) {
            let Some((rule, short)) = self.detector.named.get(hit.pattern().as_usize()) else { continue };
            let begins = near.begins.get(hit.start()).copied().unwrap_or_default();
            if (!short || begins) && !rules.contains(rule) {
                rules.push(*rule);
            }
        }
        rules
    }

    /// The value that the place is in, else its line.
    fn window(&self, at: usize, long: bool) -> Range<usize> {
        if let Some(scalar) = scalar_at(&self.document, at) {
            return scalar.span.clone();
        }
        let line = line_at(self.bytes, at);
        if long { line.start..self.bytes.len().min(line.start + LONG) } else { line }
    }

    fn finish(mut self) -> Vec<Finding> {
        // The best first; what overlaps a better one is dropped.
        self.found.sort_by(|a, b| b.rank.cmp(&a.rank).then(a.span.start.cmp(&b.span.start)));
        let mut taken: std::collections::BTreeMap<usize, usize> = std::collections::BTreeMap::new();
        let mut findings = Vec::new();
        for candidate in &self.found {
            let before = taken.range(..candidate.span.end).next_back();
            if before.is_some_and(|(_, end)| *end > candidate.span.start) {
                continue;
            }
            taken.insert(candidate.span.start, candidate.span.end);
            let key = candidate.name.map(|name| self.document.path(self.bytes, Some(name)));
            findings.push(Finding {
                span: candidate.span.clone(),
                kind: candidate.kind,
                class: candidate.class,
                key,
                why: candidate.why,
            });
        }
        findings.sort_by_key(|finding| finding.span.start);
        findings
    }
}

/// A key's path or a file's name in lower-case letters and digits, and where its words begin.
#[derive(Default)]
struct NearText {
    text: Vec<u8>,
    begins: Vec<bool>,
}

impl NearText {
    fn clear(&mut self) {
        self.text.clear();
        self.begins.clear();
    }

    /// SOPS and SealedSecrets keep ciphertext below names that would say secret.
    fn is_encrypted(&self) -> bool {
        ["encrypteddata", "sops"].iter().any(|mark| self.text.windows(mark.len()).any(|part| part == mark.as_bytes()))
    }

    fn file(&mut self, path: &str) {
        let mut parts: Vec<&str> = path.rsplit(['/', '\\']).take(2).collect();
        parts.reverse();
        parts.iter().for_each(|part| self.add(part.as_bytes()));
    }

    fn path(&mut self, bytes: &[u8], document: &Document, name: Option<u32>) {
        let mut chain = Vec::new();
        let mut next = name;
        while let Some(name) = next.and_then(|index| document.names.get(index as usize)) {
            chain.push(name.span.clone());
            next = name.parent;
        }
        for span in chain.into_iter().rev() {
            self.add(bytes.get(span).unwrap_or_default());
        }
    }

    fn add(&mut self, part: &[u8]) {
        let mut before = b' ';
        for byte in part {
            if byte.is_ascii_alphanumeric() {
                let hump = byte.is_ascii_uppercase() && !before.is_ascii_uppercase();
                self.begins.push(hump || !before.is_ascii_alphanumeric());
                self.text.push(byte.to_ascii_lowercase());
            }
            before = *byte;
        }
    }
}

/// `None` only for a set of many megabytes, which the rule test would show.
fn automaton(words: &[&str]) -> Option<AhoCorasick> {
    let build = |words: &[&str]| {
        AhoCorasick::builder()
            .match_kind(MatchKind::Standard)
            .ascii_case_insensitive(true)
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .build(words)
    };
    build(words).ok()
}

/// Whether the rule's other conditions hold for the value.
pub(super) fn holds(rule: &Rule, value: &[u8]) -> bool {
    is_plausible(rule, value) && rule.check.is_none_or(|name| check::named(name).is_some_and(|check| check(value)))
}

/// The same without the check of its structure.
pub(super) fn is_plausible(rule: &Rule, value: &[u8]) -> bool {
    let generated = rule.class == Class::Certain || value.len() >= 20;
    // A mark of the issuer's own that looks like a placeholder (`AAAAAAAAAAAA`, `sk_test_`) says nothing of the rest.
    let rests = rule.words.iter().filter_map(|word| {
        let (start, rest) = value.split_at_checked(word.len())?;
        start.eq_ignore_ascii_case(word.as_bytes()).then_some(rest)
    });
    let rest = rests.min_by_key(|rest| rest.len()).unwrap_or(value);
    let stands_for_one = is_placeholder(rest, generated) || (rule.class == Class::Likely && is_reference(value));
    !stands_for_one && (rule.entropy == 0.0 || entropy(value) >= rule.entropy)
}

fn why(rule: &Rule) -> &'static str {
    match (rule.check.is_some(), rule.near.is_empty()) {
        (true, _) => "it has the issuer's format, and its structure checks",
        (false, true) => "it has the issuer's format",
        (false, false) => "its name says whose it is, and it has that issuer's format",
    }
}

fn scalar_at(document: &Document, at: usize) -> Option<&Scalar> {
    document.scalar_at(at)
}

/// The `n` of `\n` is no letter before a value.
fn escape_before(bytes: &[u8], at: usize) -> bool {
    at.checked_sub(2).and_then(|from| bytes.get(from..at)).is_some_and(|pair| matches!(pair, b"\\n" | b"\\t" | b"\\r"))
}

fn line_at(bytes: &[u8], at: usize) -> Range<usize> {
    let from = at.saturating_sub(AROUND);
    let to = bytes.len().min(at + AROUND);
    let before = bytes.get(from..at).unwrap_or_default();
    let after = bytes.get(at..to).unwrap_or_default();
    let start = before.iter().rposition(|b| *b == b'\n').map_or(from, |place| from + place + 1);
    let end = after.iter().position(|b| *b == b'\n').map_or(to, |place| at + place);
    start..end
}

/// The assignments on the lines that a hint or a word stands on.
fn text_document(bytes: &[u8], hits: &[(usize, Option<usize>)]) -> Document {
    let mut document = Document::default();
    let mut end = 0;
    for (at, _) in hits {
        if *at < end {
            continue;
        }
        let line = line_at(bytes, *at);
        end = line.end.max(at + 1);
        parse::text::assignments(bytes, line, false, &mut document);
    }
    document
}

/// Files of samples: what stands in for a secret there is one by intent.
fn is_sample(path: &str) -> bool {
    let name = path.rsplit(['/', '\\']).next().unwrap_or_default().to_ascii_lowercase();
    ["example", "sample", "template", "dist", "defaults", "tpl"]
        .iter()
        .any(|mark| name.split(['.', '-', '_']).any(|part| part == *mark))
}
