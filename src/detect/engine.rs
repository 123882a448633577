//! The engine: one pass for all rules' words, then each rule where its words stand, then names, then a choice.
//!
//! Owns the order of work. A rule's expression is compiled when one of its words is first seen, so that a file
//! without secrets costs one pass and no memory.

use std::{ops::Range, sync::OnceLock};

use regex::bytes::{Regex, RegexBuilder};

use super::{
    Class, Finding,
    around::{Named, behind_colon, is_marked_sensitive, stands_alone, telling},
    check,
    choice::{Candidate, Seen, choose},
    generic::{Place, judge},
    kind::FileKind,
    lines,
    name::{is_pair, is_public, may_be_secret, opens},
    near::NearText,
    parse::{self, Document, Quote, Scalar},
    placeholder::is_placeholder,
    random::{entropy, is_random, is_words},
    reference::is_reference,
    rule::{self, Rule},
    setting::Setting,
    utf16,
    words::Words,
};

/// How far a value of several lines may reach from its first line, in bytes.
const LONG: usize = 32 * 1024;
/// What a name must say for its line to be looked at, in a file without a parser.
const HINTS: &[&str] = &[
    "key",
    "token",
    "secret",
    "passw",
    "pwd",
    "pass=",
    "pass:",
    "<pass",
    "credential",
    "salt",
    "authorization",
    "bearer",
    "auth",
    "webhook",
    "dsn",
];
/// What may stand before the value in an authorization header or the like; the last says that Spring takes a password
/// as it is: <https://docs.spring.io/spring-security/reference/features/authentication/password-storage.html>.
const SCHEMES: &[&str] =
    &["token token=", "bearer ", "basic ", "token ", "api-key ", "apikey ", "key ", "bot ", "{noop}"];

/// All rules, ready to look.
pub struct Detector {
    /// Each with the rule it belongs to, or none for a hint.
    words: Words<Option<u32>>,
    /// Each with its rule, and whether it is short enough to stand in other words by chance.
    names: Words<(u32, bool)>,
    expressions: Vec<OnceLock<Option<Regex>>>,
}

/// Where a word of a rule or a hint stands.
struct Hit {
    at: usize,
    owner: Option<u32>,
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
        let mut words: Vec<(&str, Option<u32>)> = HINTS.iter().map(|hint| (*hint, None)).collect();
        let mut names = Vec::new();
        for (index, rule) in (0..).zip(rules) {
            // A rule that knows its value by a name is not looked for by words.
            if rule.near.is_empty() {
                words.extend(rule.words.iter().map(|word| (*word, Some(index))));
            }
            names.extend(rule.near.iter().map(|near| (*near, (index, near.len() < 6))));
        }
        let expressions = rules.iter().map(|_| OnceLock::new()).collect();
        Self { words: Words::new(words), names: Words::new(names), expressions }
    }

    /// The secrets in a file's bytes, in their order, not overlapping. `path` is looked at, not opened.
    pub fn scan(&self, path: &str, bytes: &[u8]) -> Vec<Finding> {
        if let Some(wide) = utf16::narrow(bytes) {
            let mut findings = self.scan(path, &wide.bytes);
            findings.iter_mut().for_each(|finding| finding.span = wide.widen(&finding.span));
            return findings;
        }
        let kind = FileKind::of_file(path, bytes);
        let mut hits = Vec::new();
        self.words.find(bytes, |at, owner| hits.push(Hit { at, owner }));
        let alone = if kind == FileKind::Text { stands_alone(path, bytes) } else { None };
        if hits.is_empty() && alone.is_none() && kind == FileKind::Text {
            return Vec::new();
        }
        let document = parse::parse(kind, bytes);
        let parsed = document.is_some();
        // What does not parse still has lines, and its names still mean what they mean in a config file.
        let document = document.unwrap_or_else(|| match kind {
            FileKind::Text => lines::document(bytes, hits.iter().map(|hit| hit.at)),
            _ => lines::whole(bytes),
        });
        let mut search =
            Search { detector: self, bytes, document: &document, parsed, found: Vec::new(), made_up: Vec::new() };
        let setting = Setting::of(path, kind);
        search.by_words(&hits, &setting);
        search.by_names(path, &setting);
        search.found.extend(alone);
        let Search { mut found, made_up, .. } = search;
        if parsed {
            let inner = lines::inside(bytes, &document, hits.iter().map(|hit| hit.at));
            let within = if setting == Setting::Config { Setting::Within } else { setting };
            let mut search = Search { detector: self, bytes, document: &inner, parsed, found: Vec::new(), made_up };
            search.by_names(path, &within);
            found.extend(search.found.into_iter().map(|candidate| {
                let name = document.scalar_at(candidate.span.start).and_then(|outer| outer.name);
                Candidate { name, ..candidate }
            }));
        }
        choose(found, bytes, &document)
    }

    fn expression(&self, index: u32) -> Option<&Regex> {
        let rule = rule::all().get(index as usize)?;
        let compile = || {
            // A value that is known by its name is matched whole.
            let pattern =
                if rule.near.is_empty() { rule.pattern.to_owned() } else { format!("^(?:{})$", rule.pattern) };
            RegexBuilder::new(&pattern).unicode(false).build().ok()
        };
        self.expressions.get(index as usize)?.get_or_init(compile).as_ref()
    }

    /// Adds the rules whose names are here.
    fn rules_near(&self, near: &NearText, rules: &mut Vec<u32>) {
        self.names.find(&near.text, |at, (rule, short)| {
            if (!short || near.begins(at)) && !rules.contains(&rule) {
                rules.push(rule);
            }
        });
    }
}

struct Search<'a> {
    detector: &'a Detector,
    bytes: &'a [u8],
    document: &'a Document,
    /// The document is the file's; of a text it holds what lines seem to say.
    parsed: bool,
    found: Vec<Candidate>,
    /// What has an issuer's format and fails its check: made up, whatever its name says.
    made_up: Vec<Range<usize>>,
}

impl<'a> Search<'a> {
    fn by_words(&mut self, hits: &[Hit], setting: &Setting) {
        // Up to where each rule has looked: a rule with two words does not look twice.
        let mut looked = vec![0; rule::all().len()];
        for hit in hits {
            let Some(index) = hit.owner else { continue };
            let (Some(rule), Some(end)) = (rule::all().get(index as usize), looked.get_mut(index as usize)) else {
                continue;
            };
            if hit.at < *end {
                continue;
            }
            // Once for the whole file: its words may be on every line.
            let lacks = |also: &str| memchr::memmem::find(self.bytes, also.as_bytes()).is_none();
            if *end == 0 && rule.also.is_some_and(lacks) {
                *end = usize::MAX;
                continue;
            }
            let window = self.window(hit.at, rule.long);
            *end = window.end.max(1);
            self.match_in(index, rule, window, setting);
        }
    }

    fn match_in(&mut self, index: u32, rule: &'static Rule, window: Range<usize>, setting: &Setting) {
        let bytes = self.bytes;
        let text = bytes.get(window.clone()).unwrap_or_default();
        if rule.also.is_some_and(|also| memchr::memmem::find(text, also.as_bytes()).is_none()) {
            return;
        }
        let Some(expression) = self.detector.expression(index) else { return };
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
                // What only lacks a habit of its issuer's may be a key of another year: then its name decides.
                let slip = rule.check.is_some_and(check::is_habit) && is_plausible(rule, secret.as_bytes());
                if !slip {
                    self.made_up.push(span);
                }
                continue;
            }
            // In a file of samples the password of a URL is a sample as well.
            if rule.class == Class::Likely && *setting == Setting::Sample && !is_random(secret.as_bytes()) {
                continue;
            }
            let scalar = self.document.scalar_at(span.start);
            if rule.class == Class::Likely
                && scalar.is_some_and(|s| bytes.get(s.span.clone()).is_some_and(is_reference))
            {
                continue;
            }
            let name = scalar.and_then(|scalar| scalar.name);
            // A mark of three characters (a JWT's `eyJ`) says less than a name.
            let mark = rule.words.iter().map(|word| word.len()).min().unwrap_or_default();
            self.push(rule, span, name, if mark > 3 { Seen::Mark } else { Seen::Shape });
        }
    }

    /// The rules that know their value by a name, then the generic ones.
    fn by_names(&mut self, path: &str, setting: &Setting) {
        let mut near = NearText::of_file(path);
        let mut by_file = Vec::new();
        self.detector.rules_near(&near, &mut by_file);
        let mut rules = Vec::new();
        let file = Named::of(path, setting);
        for scalar in &self.document.scalars {
            let Some(name) = scalar.name.and_then(|index| self.document.names.get(index as usize)) else { continue };
            let Some((span, value)) = self.value(scalar) else { continue };
            let overlaps = |other: &Range<usize>| other.start < span.end && span.start < other.end;
            if value.len() < 6 || self.made_up.iter().any(overlaps) {
                continue;
            }
            let last = self.bytes.get(name.span.clone()).unwrap_or_default();
            near.set(self.bytes, self.document, scalar.name);
            rules.clear();
            self.detector.rules_near(&near, &mut rules);
            if !by_file.is_empty() && may_be_secret(last) {
                rules.extend(&by_file);
            }
            // Before any expression: compiling one costs more than all else here.
            if !rules.is_empty() && (is_public(last) || is_reference(value) || is_placeholder(value, false)) {
                continue;
            }
            for index in &rules {
                let Some(rule) = rule::all().get(*index as usize) else { continue };
                let Some(expression) = self.detector.expression(*index) else { continue };
                let Some(captures) = expression.captures(value) else { continue };
                let part = captures.name("secret").or_else(|| captures.get(0));
                let Some(part) = part.filter(|part| holds(rule, part.as_bytes())) else { continue };
                // Of a value with escapes only the whole has a place.
                let whole = part.len() == value.len() || span.len() != value.len();
                let place = if whole { span.clone() } else { span.start + part.start()..span.start + part.end() };
                self.push(rule, place, scalar.name, Seen::Name);
            }
            let authorizes = self.bytes.get(scalar.span.start..span.start).is_some_and(|scheme| {
                scheme.eq_ignore_ascii_case(b"bearer ") || scheme.eq_ignore_ascii_case(b"basic ")
            });
            let behind = behind_colon(span.clone(), value);
            // The name is read only where there is a colon.
            let paired = behind.0.len() < span.len() && is_pair(last);
            let (span, value) = if paired { behind } else { (span, value) };
            let path = telling(self.bytes, self.document, scalar.name);
            let [last, parent, ..] = path;
            let place = Place {
                name: last,
                parent,
                vault: file.vault && parent.is_empty(),
                paired,
                authorizes,
                quote: scalar.quote,
                setting,
                comment: scalar.comment,
                opens: last.eq_ignore_ascii_case(b"key")
                    && (file.keys
                        || (file.top_keys && parent.is_empty())
                        || path.iter().skip(1).any(|name| opens(name))),
                sensitive: name.span.len() == 5 && is_marked_sensitive(self.bytes, &span),
            };
            if let Some((kind, why)) = judge(&place, value).filter(|_| !near.is_encrypted()) {
                let (class, seen) = (Class::Likely, Seen::Generic);
                self.found.push(Candidate { span, kind, class, name: scalar.name, why, seen, mark: 0 });
            }
        }
    }

    fn push(&mut self, rule: &'static Rule, span: Range<usize>, name: Option<u32>, seen: Seen) {
        let mark = rule.words.iter().map(|word| word.len()).min().unwrap_or_default();
        self.found.push(Candidate { span, kind: rule.name, class: rule.class, name, why: why(rule), seen, mark });
    }

    /// A scalar's value and its place, without an authorization scheme before it.
    fn value(&self, scalar: &'a Scalar) -> Option<(Range<usize>, &'a [u8])> {
        let raw = self.bytes.get(scalar.span.clone())?;
        let value = scalar.decoded.as_deref().unwrap_or(raw);
        // The span of a block ends before its last line's end.
        let value = if scalar.quote == Quote::Block { value.trim_ascii_end() } else { value };
        let begins = |text: &[u8], with: &str| {
            text.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with.as_bytes()))
        };
        let scheme = SCHEMES.iter().find(|scheme| begins(raw, scheme) && begins(value, scheme));
        let skip = scheme.map_or(0, |scheme| scheme.len());
        Some((scalar.span.start + skip..scalar.span.end, value.get(skip..)?))
    }

    /// The value that the place is in, else its line.
    fn window(&self, at: usize, long: bool) -> Range<usize> {
        if let Some(scalar) = self.document.scalar_at(at).filter(|_| self.parsed) {
            return scalar.span.clone();
        }
        let line = lines::line_at(self.bytes, at);
        if long { line.start..self.bytes.len().min(line.start + LONG) } else { line }
    }
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
    // An identifier may begin as a key does: `mxb_some_function_name`.
    let named = rule.check.is_none()
        && (12..value.len()).contains(&rest.len())
        && !rest.iter().any(u8::is_ascii_digit)
        && is_words(rest);
    let stands_for_one =
        named || is_placeholder(rest, generated) || (rule.class == Class::Likely && is_reference(value));
    !stands_for_one && (rule.entropy == 0.0 || entropy(value) >= rule.entropy)
}

fn why(rule: &Rule) -> &'static str {
    match (rule.check.is_some(), rule.near.is_empty()) {
        (true, _) => "it has the issuer's format, and its structure checks",
        (false, true) => "it has the issuer's format",
        (false, false) => "its name says whose it is, and it has that issuer's format",
    }
}

/// The `n` of `\n` is no letter before a value.
fn escape_before(bytes: &[u8], at: usize) -> bool {
    at.checked_sub(2).and_then(|from| bytes.get(from..at)).is_some_and(|pair| matches!(pair, b"\\n" | b"\\t" | b"\\r"))
}
