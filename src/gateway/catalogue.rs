//! The route catalogue: the routes that come with hallpass and the user's own, checked and compiled.
//!
//! Owns the checks; what a route is stands in `route.rs`. No route with an error is ever served.

use std::collections::BTreeMap;

pub use super::route::{Auth, BaseUrlVariable, GraphqlRule, Preset, Route};
use super::{
    base_url::BaseUrl,
    matcher::{Rule, compile},
};
use crate::{
    api::{problem::Code, route as wire},
    error::Error,
    principal::is_name,
    scope::Scope,
};

static BUILT_IN: include_dir::Dir<'_> = include_dir::include_dir!("$CARGO_MANIFEST_DIR/data/routes");

/// All routes: the built-in ones and the user's own.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    entries: BTreeMap<String, Entry>,
}

/// A route that was checked, with its scopes compiled.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) route: Route,
    pub(super) rules: Vec<Rule>,
    custom: bool,
}

impl Catalogue {
    /// The routes that come with hallpass.
    pub fn built_in() -> Result<Self, Error> {
        let mut catalogue = Self::default();
        for file in BUILT_IN.files().filter(|file| file.path().extension().is_some_and(|ext| ext == "toml")) {
            let name = file.path().display();
            let broken = |why: String| Error::internal(format!("the built-in route {name}: {why}"));
            let text = file.contents_utf8().ok_or_else(|| broken("not UTF-8".into()))?;
            let route: Route = toml::from_str(text).map_err(|error| broken(error.to_string()))?;
            catalogue.add(route, false).map_err(|error| broken(error.detail))?;
        }
        Ok(catalogue)
    }

    /// The same with the user's own routes, which win over built-in ones of the same name.
    pub fn with_custom(mut self, routes: &[Route]) -> Result<Self, Error> {
        for route in routes {
            self.add(route.clone(), true)?;
        }
        Ok(self)
    }

    /// The route of this name.
    pub fn get(&self, name: &str) -> Option<&Route> {
        self.entries.get(name).map(|entry| &entry.route)
    }

    /// All routes, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Route> {
        self.entries.values().map(|entry| &entry.route)
    }

    /// All routes as the API shows them.
    pub fn to_wire(&self) -> Vec<wire::Route> {
        self.entries.values().map(|entry| entry.route.to_wire(entry.custom)).collect()
    }

    /// True for a route of the user's own.
    pub fn is_custom(&self, name: &str) -> bool {
        self.entries.get(name).is_some_and(|entry| entry.custom)
    }

    pub(super) fn entry(&self, name: &str) -> Option<&Entry> {
        self.entries.get(name)
    }

    /// The headers in which some route takes its key; none of them ever reaches another upstream.
    pub(super) fn key_headers(&self) -> Vec<String> {
        let name = |entry: &Entry| match &entry.route.auth {
            Auth::Header { name, .. } => Some(name.clone()),
            _ => None,
        };
        let mut names: Vec<_> = self.entries.values().filter_map(name).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    fn add(&mut self, route: Route, custom: bool) -> Result<(), Error> {
        let rules = route.check()?;
        if !custom && self.entries.contains_key(&route.name) {
            return Err(Error::new(Code::Exists, format!("there are two routes {}", route.name)));
        }
        self.entries.insert(route.name.clone(), Entry { route, rules, custom });
        Ok(())
    }
}

impl Route {
    /// True when each issuer has to name its own base URL.
    pub fn needs_base_url(&self) -> bool {
        self.base_url.contains('{')
    }

    /// Checks everything about it, and compiles its scopes.
    pub(super) fn check(&self) -> Result<Vec<Rule>, Error> {
        let wrong = |why: String| Error::new(Code::InvalidValue, format!("route {}: {why}", self.name));
        if !is_name(&self.name) || self.name == "v1" {
            return Err(wrong("this is no name for a route; use lower-case letters, digits, `-`, `_` and `.`".into()));
        }
        let base = self.base_url.split('{').enumerate().map(|(index, piece)| match (index, piece.split_once('}')) {
            (0, _) => piece.to_owned(),
            (_, Some((_, after))) => format!("x{after}"),
            (_, None) => "{".into(),
        });
        BaseUrl::parse(&base.collect::<String>(), self.allow_private)
            .map_err(|error| Error { detail: format!("route {}: {}", self.name, error.detail), ..error })?;
        match &self.auth {
            Auth::Bearer | Auth::Basic => {}
            Auth::Header { name, prefix } => {
                if !is_key_header(name) || !prefix.bytes().all(|byte| (b' '..0x7f).contains(&byte)) {
                    return Err(wrong(format!("{name:?} is no header that may carry a key")));
                }
            }
            Auth::Query { name } => {
                if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte)) {
                    return Err(wrong(format!("{name:?} is no query parameter that may carry a key")));
                }
            }
        }
        let variables = || self.key_env.iter().chain(&self.scrub_env).chain(self.base_url_env.iter().map(|v| &v.name));
        if let Some(name) = variables().find(|name| !is_variable(name)) {
            return Err(wrong(format!("{name:?} is no name of an environment variable")));
        }
        if let Some(name) = variables().find(|name| steers_programs(name)) {
            return Err(wrong(format!("{name} decides what programs run, and cannot hold a key or an address"))
                .hint("name the variable that the tool reads its key from, such as EXAMPLE_API_KEY"));
        }
        if self.scopes.iter().any(|preset| preset.name.to_string() == crate::policy::RELEASE) {
            return Err(wrong(format!(
                "the scope {} is the credential itself; name it otherwise",
                crate::policy::RELEASE
            )));
        }
        self.scopes.iter().map(|preset| compile(preset).map_err(|error| wrong(error.detail))).collect()
    }

    /// The route as the API shows it.
    pub fn to_wire(&self, custom: bool) -> wire::Route {
        let preset = |preset: &Preset| wire::Preset {
            name: preset.name.to_string(),
            description: preset.description.clone(),
            allow: preset.allow.clone(),
            resource: preset.resource.clone(),
        };
        wire::Route {
            name: self.name.clone(),
            base_url: self.base_url.clone(),
            auth: match &self.auth {
                Auth::Bearer => "Authorization: Bearer".into(),
                Auth::Basic => "Authorization: Basic".into(),
                Auth::Header { name, prefix } if prefix.is_empty() => name.clone(),
                Auth::Header { name, prefix } => format!("{name}: {}", prefix.trim_end()),
                Auth::Query { name } => format!("?{name}="),
            },
            scopes: self.scopes.iter().map(preset).collect(),
            key_env: self.key_env.clone(),
            base_url_env: self.base_url_env.iter().map(|variable| variable.name.clone()).collect(),
            custom,
        }
    }
}

/// Makes a route of what a user asked for, or says what is wrong with it.
pub fn from_wire(add: &wire::AddRoute) -> Result<Route, Error> {
    let auth = match add.auth.as_deref().unwrap_or("bearer").split_once(':') {
        None if matches!(add.auth.as_deref(), None | Some("bearer")) => Auth::Bearer,
        None if add.auth.as_deref() == Some("basic") => Auth::Basic,
        Some(("header", name)) => Auth::Header { name: name.to_ascii_lowercase(), prefix: String::new() },
        Some(("query", name)) => Auth::Query { name: name.into() },
        _ => {
            return Err(Error::new(
                Code::InvalidValue,
                "the key can go to `bearer`, `basic`, `header:NAME` or `query:NAME`",
            )
            .hint("for example --auth header:x-api-key"));
        }
    };
    let mut scopes: Vec<Preset> = Vec::new();
    let all = [
        "read=GET /",
        "read=GET /{rest...}",
        "write=POST /",
        "write=POST /{rest...}",
        "write=PUT /{rest...}",
        "write=PATCH /{rest...}",
        "write=DELETE /{rest...}",
    ];
    let asked = add.scopes.iter().map(String::as_str);
    let asked: Vec<&str> = if add.scopes.is_empty() { all.to_vec() } else { asked.collect() };
    for text in asked {
        let (name, pattern) = text.split_once('=').ok_or_else(|| {
            Error::new(Code::InvalidValue, format!("{text:?} is no scope of a route"))
                .hint("write it like --scope 'read=GET /items/{id}'")
        })?;
        let name: Scope = name
            .parse()
            .map_err(|error: crate::scope::ScopeError| Error::new(Code::InvalidValue, error.to_string()))?;
        match scopes.iter_mut().find(|preset| preset.name == name) {
            Some(preset) => preset.allow.push(pattern.into()),
            None => scopes.push(Preset {
                description: format!("`{name}` of {}.", add.name),
                name,
                allow: vec![pattern.into()],
                resource: None,
                graphql: None,
                example: Vec::new(),
                counter: Vec::new(),
            }),
        }
    }
    let variable = |name: &String| BaseUrlVariable { name: name.clone(), suffix: String::new() };
    let route = Route {
        name: add.name.clone(),
        base_url: add.base_url.clone(),
        source: "added by the user".into(),
        auth,
        key_env: add.key_env.clone(),
        base_url_env: add.base_url_env.iter().map(variable).collect(),
        scrub_env: Vec::new(),
        encoded_slash: false,
        allow_private: add.allow_private,
        default_scopes: Vec::new(),
        scopes,
    };
    route.check().map(|_| route)
}

/// A header of its own for the key: a lower-case name that means nothing to HTTP itself.
fn is_key_header(name: &str) -> bool {
    let taken = [
        "host",
        "connection",
        "cookie",
        "upgrade",
        "te",
        "trailer",
        "expect",
        "via",
        "transfer-encoding",
        "keep-alive",
    ];
    !name.is_empty()
        && name.len() <= 64
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && !taken.contains(&name)
        && !name.starts_with("content-")
        && !name.starts_with("sec-")
        && !name.starts_with("proxy-")
}

fn is_variable(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && !name.starts_with(|first: char| first.is_ascii_digit())
}

/// True for a variable by which the system or a runtime decides what it loads, runs or reads: a token in its place
/// breaks the program, and an address in its place could run another (ld.so(8), dyld(1), bash(1), node(1), git(1)).
fn steers_programs(name: &str) -> bool {
    const NAMES: [&str; 30] = [
        "PATH", "HOME", "USER", "LOGNAME", "SHELL", "PWD", "TERM", "LANG", "TMPDIR", "TMP", "TEMP", "IFS", "ENV",
        "BASH_ENV", "PROMPT_COMMAND", "PS4", "ZDOTDIR", "SHELLOPTS", "BASHOPTS", "NODE_OPTIONS", "NODE_PATH",
        "PERL5OPT", "PERL5LIB", "RUBYOPT", "RUBYLIB", "JAVA_TOOL_OPTIONS", "CLASSPATH", "SSH_AUTH_SOCK", "EDITOR",
        "PAGER",
    ];
    const STARTS: [&str; 13] = [
        "LD_", "DYLD_", "XDG_", "LC_", "DBUS_", "HALLPASS_", "PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "GIT_SSH",
        "GIT_CONFIG", "GIT_EXEC", "GIT_ASKPASS",
    ];
    NAMES.contains(&name) || STARTS.iter().any(|start| name.starts_with(start))
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;
    use crate::gateway::{
        canonical::CanonicalTarget,
        matcher::{Allowed, Asked, candidates},
    };

    fn allowed(rules: &[Rule], request: &str) -> Vec<Allowed> {
        let (method, path) = request.split_once(' ').unwrap();
        let target = CanonicalTarget::parse(path).unwrap();
        let websocket = method == "WS";
        let method = Method::from_bytes(if websocket { b"GET" } else { method.as_bytes() }).unwrap();
        candidates(rules, Asked { method: &method, websocket, target: &target, from: 0 }).collect()
    }

    #[test]
    fn every_example_is_allowed_and_no_counter_is() {
        let catalogue = Catalogue::built_in().unwrap();
        assert!(catalogue.iter().count() > 0);
        let mut wrong = Vec::new();
        for entry in catalogue.entries.values() {
            for preset in &entry.route.scopes {
                assert!(
                    !preset.example.is_empty() && !preset.counter.is_empty(),
                    "{} {}",
                    entry.route.name,
                    preset.name
                );
                for example in &preset.example {
                    let (request, resource) =
                        example.split_once(" => ").map_or((example.as_str(), None), |(a, b)| (a, Some(b)));
                    let by = allowed(&entry.rules, request).into_iter().find(|by| by.scope == preset.name);
                    let got = by.as_ref().map(|by| by.resource.as_ref().map(ToString::to_string));
                    if got != Some(resource.map(str::to_owned)) {
                        wrong.push(format!("{} {}: example {example:?} gives {got:?}", entry.route.name, preset.name));
                    }
                }
                for counter in &preset.counter {
                    if allowed(&entry.rules, counter).iter().any(|by| by.scope == preset.name) {
                        wrong.push(format!("{} {}: counter {counter:?} is allowed", entry.route.name, preset.name));
                    }
                }
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    fn add(name: &str, base_url: &str) -> wire::AddRoute {
        wire::AddRoute {
            name: name.into(),
            base_url: base_url.into(),
            auth: None,
            scopes: Vec::new(),
            key_env: Vec::new(),
            base_url_env: Vec::new(),
            allow_private: false,
        }
    }

    #[test]
    fn a_route_of_ones_own() {
        let route = from_wire(&add("mine", "https://api.example.com/v2")).unwrap();
        let rules = route.check().unwrap();
        let names = |request| allowed(&rules, request).into_iter().map(|by| by.scope.to_string()).collect::<Vec<_>>();
        assert_eq!(names("GET /a/b"), ["read"]);
        assert_eq!(names("HEAD /"), ["read"]);
        assert_eq!(names("DELETE /a"), ["write"]);
        assert!(names("OPTIONS /a").is_empty());
        let custom = Catalogue::built_in().unwrap().with_custom(&[route]).unwrap();
        assert!(custom.is_custom("mine") && custom.get("mine").is_some());
        let one = wire::AddRoute {
            scopes: vec!["r=GET /a".into(), "r=GET /b".into()],
            auth: Some("query:key".into()),
            ..add("x", "https://api.example.com")
        };
        let one = from_wire(&one).unwrap();
        assert_eq!((one.scopes.len(), one.scopes[0].allow.len()), (1, 2));
        assert_eq!(one.to_wire(true).auth, "?key=");
    }

    #[test]
    fn a_route_that_cannot_be_meant() {
        let good = add("mine", "https://api.example.com");
        for (bad, why) in [
            (add("Mine", "https://api.example.com"), "name"),
            (add("mine", "http://api.example.com"), "http"),
            (add("mine", "https://127.0.0.1:1"), "loopback"),
            (add("mine", "https://u:p@api.example.com"), "userinfo"),
            (wire::AddRoute { auth: Some("cookie".into()), ..good.clone() }, "auth"),
            (wire::AddRoute { auth: Some("header:host".into()), ..good.clone() }, "host"),
            (wire::AddRoute { auth: Some("header:a b".into()), ..good.clone() }, "header"),
            (wire::AddRoute { auth: Some("query:".into()), ..good.clone() }, "query"),
            (wire::AddRoute { scopes: vec!["read".into()], ..good.clone() }, "scope"),
            (wire::AddRoute { scopes: vec!["read=get /x".into()], ..good.clone() }, "pattern"),
            (wire::AddRoute { key_env: vec!["A=B; rm".into()], ..good.clone() }, "variable"),
            (wire::AddRoute { key_env: vec!["PATH".into()], ..good.clone() }, "what runs"),
            (wire::AddRoute { key_env: vec!["OK".into(), "LD_PRELOAD".into()], ..good.clone() }, "what is loaded"),
            (wire::AddRoute { base_url_env: vec!["HOME".into()], ..good.clone() }, "what is read"),
        ] {
            assert!(from_wire(&bad).is_err(), "{why}");
        }
        assert!(from_wire(&wire::AddRoute { allow_private: true, ..add("mine", "http://127.0.0.1:1") }).is_ok());
    }
}
