//! Which requests a route's scopes allow.
//!
//! Owns the patterns (`GET /repos/{owner}/{repo}/issues`) and the decision on a canonical request.
//! Matching is on decoded segments, so an escape changes neither the scope nor the resource. A slash
//! at the end of the path makes no difference to the scope (Django's APIs want one); it is forwarded
//! as it came.

use std::borrow::Cow;

use http::Method;

use super::{
    Pass,
    canonical::CanonicalTarget,
    route::{GraphqlRule, Preset},
};
use crate::{
    api::problem::Code,
    error::Error,
    scope::{Resource, Scope},
};

/// A preset, compiled.
#[derive(Clone, Debug)]
pub struct Rule {
    scope: Scope,
    patterns: Vec<Pattern>,
    resource: Option<Vec<Piece>>,
    graphql: Option<GraphqlRule>,
}

/// A request, as far as rules see it.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The method.
    pub method: &'a Method,
    /// It asks for a WebSocket.
    pub websocket: bool,
    /// The target.
    pub target: &'a CanonicalTarget,
    /// How many segments stand before the upstream's path: 1 for the route's name, or 0.
    pub from: usize,
}

/// A scope that allows the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowed {
    /// The scope.
    pub scope: Scope,
    /// What the request is on, where the scope says so.
    pub resource: Option<Resource>,
    /// The body must hold to this.
    pub graphql: Option<GraphqlRule>,
}

/// Compiles a preset, or says what is wrong with it.
pub fn compile(preset: &Preset) -> Result<Rule, Error> {
    let wrong = |why: String| Error::new(Code::InvalidValue, format!("scope {}: {why}", preset.name));
    let patterns =
        preset.allow.iter().map(|text| Pattern::parse(text)).collect::<Result<Vec<_>, _>>().map_err(wrong)?;
    if patterns.is_empty() {
        return Err(wrong("it allows no request".into()));
    }
    let resource = preset.resource.as_deref().map(template).transpose().map_err(wrong)?;
    for name in resource.iter().flatten().filter_map(Piece::name) {
        if let Some(index) = patterns.iter().position(|pattern| pattern.place(name).is_none()) {
            let pattern = preset.allow.get(index).map_or("", String::as_str);
            return Err(wrong(format!("its resource needs {{{name}}}, which `{pattern}` does not have")));
        }
    }
    Ok(Rule { scope: preset.name.clone(), patterns, resource, graphql: preset.graphql })
}

/// Every scope that allows this request, with the resource it would be on.
pub fn candidates<'a>(rules: &'a [Rule], asked: Asked<'a>) -> impl Iterator<Item = Allowed> + 'a {
    rules.iter().flat_map(move |rule| {
        rule.patterns.iter().filter(move |pattern| pattern.matches(asked)).filter_map(move |pattern| {
            let resource = match &rule.resource {
                None => None,
                Some(pieces) => Some(pattern.resource(pieces, asked)?),
            };
            Some(Allowed { scope: rule.scope.clone(), resource, graphql: rule.graphql })
        })
    })
}

/// The scope of the pass that allows this request, or what it would take.
pub fn decide(rules: &[Rule], asked: Asked<'_>, pass: &Pass) -> Result<Allowed, Error> {
    let (mut found, mut needed): (Option<Allowed>, Vec<Allowed>) = (None, Vec::new());
    for candidate in candidates(rules, asked) {
        let holds = pass.scopes.contains_one(&candidate.scope)
            && candidate.resource.as_ref().is_none_or(|resource| pass.resources.contains_one(resource));
        match (holds, &found) {
            (true, None) => found = Some(candidate),
            // Of two scopes that allow it, the one with no rule on the body asks for less.
            (true, Some(other)) if other.graphql.is_some() && candidate.graphql.is_none() => found = Some(candidate),
            (true, Some(_)) => {}
            (false, _) => needed.push(candidate),
        }
    }
    found.ok_or_else(|| refusal(asked, pass, &needed))
}

fn refusal(asked: Asked<'_>, pass: &Pass, needed: &[Allowed]) -> Error {
    let path: String = asked.target.path_from(asked.from).chars().take(200).collect();
    let method = if asked.websocket { "WS" } else { asked.method.as_str() };
    let written = |allowed: &Allowed| match &allowed.resource {
        Some(resource) => format!("{}@{resource}", allowed.scope),
        None => allowed.scope.to_string(),
    };
    let mut words: Vec<String> = needed.iter().map(written).collect();
    words.dedup();
    let Some(first) = words.first() else {
        return Error::new(Code::OutsideScope, format!("no scope of the route {} allows {method} {path}", pass.route))
            .hint(format!("`hallpass route show {}` lists what its scopes allow", pass.route));
    };
    let detail = format!(
        "this token may do {} on {}; {method} {path} needs {}",
        pass.scopes,
        pass.resources,
        words.join(" or ")
    );
    Error::new(Code::OutsideScope, detail).hint(format!("ask for it: hallpass mint {}:{first}", pass.holder.issuer))
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Pattern {
    method: Which,
    segments: Vec<Segment>,
    rest: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Which {
    Any,
    WebSocket,
    One(Method),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Word(String),
    Part { before: String, name: String, after: String },
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Name(String),
}

impl Piece {
    fn name(&self) -> Option<&str> {
        match self {
            Self::Name(name) => Some(name),
            Self::Text(_) => None,
        }
    }
}

enum Place {
    Segment(usize),
    Rest,
}

impl Pattern {
    fn parse(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| format!("`{text}` {why}; write it like `GET /items/{{id}}` or `* /{{rest...}}`");
        let (method, path) = text.split_once(' ').ok_or_else(|| wrong("has no method and path"))?;
        let method = match method {
            "*" => Which::Any,
            "WS" => Which::WebSocket,
            word if !word.is_empty() && word.bytes().all(|b| b.is_ascii_uppercase() || b == b'-') => {
                Which::One(Method::from_bytes(word.as_bytes()).map_err(|_| wrong("has no method"))?)
            }
            _ => return Err(wrong("has no method")),
        };
        let path = path.strip_prefix('/').ok_or_else(|| wrong("has a path that does not begin with /"))?;
        let path = path.strip_suffix('/').unwrap_or(path);
        let mut pattern = Self { method, segments: Vec::new(), rest: None };
        for segment in path.split('/').filter(|_| !path.is_empty()) {
            if pattern.rest.is_some() {
                return Err(wrong("has something behind {rest...}"));
            }
            let Some((before, inner)) = segment.split_once('{') else {
                if segment.is_empty() || !segment.bytes().all(is_word) {
                    return Err(wrong("has a segment that can match nothing"));
                }
                pattern.segments.push(Segment::Word(segment.into()));
                continue;
            };
            let (name, after) = inner.split_once('}').ok_or_else(|| wrong("has a { without its }"))?;
            if after.contains(['{', '}']) || !before.bytes().chain(after.bytes()).all(is_word) {
                return Err(wrong("has two parts in one segment, or an odd character"));
            }
            match name.strip_suffix("...") {
                Some(name) if before.is_empty() && after.is_empty() && is_name(name) => {
                    pattern.rest = Some(name.into())
                }
                None if is_name(name) => pattern.segments.push(Segment::Part {
                    before: before.into(),
                    name: name.into(),
                    after: after.into(),
                }),
                _ => return Err(wrong("has a part with no proper name")),
            }
        }
        Ok(pattern)
    }

    fn matches(&self, asked: Asked<'_>) -> bool {
        let method = match &self.method {
            Which::WebSocket => asked.websocket,
            _ if asked.websocket => false,
            Which::Any => true,
            Which::One(method) => method == asked.method || (*method == Method::GET && *asked.method == Method::HEAD),
        };
        let there = asked.target.len().saturating_sub(asked.from);
        let fits = match self.rest {
            Some(_) => there > self.segments.len(),
            None => there == self.segments.len(),
        };
        method
            && fits
            && self.segments.iter().enumerate().all(|(index, segment)| {
                asked.target.segment(asked.from + index).is_some_and(|text| segment.take(&text).is_some())
            })
    }

    fn place(&self, name: &str) -> Option<Place> {
        if self.rest.as_deref() == Some(name) {
            return Some(Place::Rest);
        }
        let here = |segment: &Segment| matches!(segment, Segment::Part { name: other, .. } if other == name);
        self.segments.iter().position(here).map(Place::Segment)
    }

    /// What the part of this name is in the request.
    fn part<'a>(&self, name: &str, asked: Asked<'a>) -> Option<Cow<'a, str>> {
        match self.place(name)? {
            Place::Segment(index) => {
                let text = asked.target.segment(asked.from + index)?;
                self.segments.get(index)?.take(&text).map(|part| Cow::Owned(part.to_owned()))
            }
            Place::Rest => {
                let parts: Vec<_> = (asked.from + self.segments.len()..asked.target.len())
                    .filter_map(|i| asked.target.segment(i))
                    .collect();
                Some(Cow::Owned(parts.join("/")))
            }
        }
    }

    /// The resource, or `None` where the request's parts make none.
    fn resource(&self, pieces: &[Piece], asked: Asked<'_>) -> Option<Resource> {
        let mut text = String::new();
        for piece in pieces {
            match piece {
                Piece::Text(literal) => text.push_str(literal),
                Piece::Name(name) => text.push_str(&self.part(name, asked)?),
            }
        }
        // A `*` in a path is a letter like any other; in a resource it would stand for many.
        if text.contains('*') { None } else { text.parse().ok() }
    }
}

impl Segment {
    /// The part that the text has here (nothing for a word), or `None` where it does not fit.
    fn take<'t>(&self, text: &'t str) -> Option<&'t str> {
        match self {
            Self::Word(word) => (word == text).then_some(""),
            Self::Part { before, after, .. } => {
                text.strip_prefix(before.as_str())?.strip_suffix(after.as_str()).filter(|part| !part.is_empty())
            }
        }
    }
}

fn template(text: &str) -> Result<Vec<Piece>, String> {
    let wrong = || format!("the resource `{text}` is not made of {{parts}} of the path");
    let (mut pieces, mut rest) = (Vec::new(), text);
    while let Some((before, inner)) = rest.split_once('{') {
        let (name, after) = inner.split_once('}').ok_or_else(wrong)?;
        let name = name.strip_suffix("...").unwrap_or(name);
        if !is_name(name) {
            return Err(wrong());
        }
        if !before.is_empty() {
            pieces.push(Piece::Text(before.into()));
        }
        pieces.push(Piece::Name(name.into()));
        rest = after;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest.into()));
    }
    if pieces.iter().all(|piece| piece.name().is_none()) { Err(wrong()) } else { Ok(pieces) }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,=:@".contains(&byte)
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(allow: &[&str], resource: Option<&str>) -> Result<Rule, Error> {
        compile(&Preset {
            name: "issues:read".parse().unwrap(),
            description: String::new(),
            allow: allow.iter().map(|text| (*text).to_owned()).collect(),
            resource: resource.map(Into::into),
            graphql: None,
            example: Vec::new(),
            counter: Vec::new(),
        })
    }

    fn found(rule: &Rule, method: &str, target: &str) -> Option<String> {
        let target = CanonicalTarget::parse(target).unwrap();
        let (websocket, method) = if method == "WS" { (true, "GET") } else { (false, method) };
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let asked = Asked { method: &method, websocket, target: &target, from: 1 };
        let found = candidates(std::slice::from_ref(rule), asked).next();
        found.map(|allowed| allowed.resource.map_or("none".into(), |resource| resource.to_string()))
    }

    #[test]
    fn patterns_and_resources() {
        let issues = rule(&["GET /repos/{owner}/{repo}/issues"], Some("{owner}/{repo}")).unwrap();
        assert_eq!(found(&issues, "GET", "/github/repos/acme/web/issues").as_deref(), Some("acme/web"));
        assert_eq!(found(&issues, "HEAD", "/github/repos/acme/web/issues").as_deref(), Some("acme/web"));
        assert_eq!(found(&issues, "GET", "/github/%72epos/acme/w%65b/issues").as_deref(), Some("acme/web"));
        for (method, target) in [
            ("POST", "/github/repos/acme/web/issues"),
            ("GET", "/github/repos/acme/web"),
            ("GET", "/github/repos/acme/web/issues/1"),
            ("GET", "/github/Repos/acme/web/issues"),
            ("WS", "/github/repos/acme/web/issues"),
            ("GET", "/github/repos/acme/*/issues"),
            ("GET", "/github/repos/acme/a%20b/issues"),
            ("get", "/github/repos/acme/web/issues"),
        ] {
            assert_eq!(found(&issues, method, target), None, "{method} {target}");
        }
        let model =
            rule(&["POST /models/{model}:generate", "* /raw/{rest...}", "WS /live", "GET /", "GET /p/{x}/"], None)
                .unwrap();
        assert!(found(&model, "POST", "/g/models/x:generate").is_some());
        assert!(found(&model, "POST", "/g/models/x%3Agenerate").is_some());
        assert!(found(&model, "POST", "/g/models/:generate").is_none());
        assert!(found(&model, "DELETE", "/g/raw/a/b/").is_some());
        assert!(found(&model, "DELETE", "/g/raw").is_none());
        assert!(found(&model, "WS", "/g/live").is_some());
        assert!(found(&model, "GET", "/g/live").is_none());
        assert!(found(&model, "GET", "/g").is_some());
        assert!(found(&model, "GET", "/g/p/1/").is_some());
        assert!(found(&model, "GET", "/g/p/1").is_some());
        let rest = rule(&["GET /c/{path...}"], Some("{path}")).unwrap();
        assert_eq!(found(&rest, "GET", "/g/c/a/b").as_deref(), Some("a/b"));
    }

    #[test]
    fn patterns_that_cannot_be_meant() {
        for bad in [
            "GET",
            "GET x",
            "get /x",
            " /x",
            "GET /{}",
            "GET /{a",
            "GET /{a...}/b",
            "GET /a{b...}",
            "GET /{a}{b}",
            "GET /a//b",
            "GET /a b",
            "GET /%2e",
        ] {
            assert!(rule(&[bad], None).is_err(), "{bad:?} was taken");
        }
        assert!(rule(&["GET /x"], Some("{owner}")).is_err());
        assert!(rule(&["GET /{x}"], Some("fixed")).is_err());
        assert!(rule(&[], None).is_err());
    }
}
