//! The file's shape, and the way from there to a [`Config`].
//!
//! Owns what each key may be, and the place (line, column, key) in every error. Unknown keys are
//! errors: a mistyped `approval` must not silently mean `auto`.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    path::Path,
    time::Duration,
};

use serde::Deserialize;
use toml::Spanned;

use super::{
    Config, DEFAULT_MAX_TTL, Issuer, IssuerKind, MAX_TTL, StoreConfig, duration, helping, mcp, minting,
    place::{Place, looks_secret},
    rendering, watching,
};
use crate::{
    api::{credential::StoreKind, problem::Code},
    error::{Error, Result},
    gateway::catalogue::Route,
    issuer::Native,
    policy::{
        Approval, Grant,
        bounds::{Bound, Bounds},
    },
    principal::{self, Rule},
    scope::{MAX_COUNT, ResourceSet, ScopeSet, Wanted, any_resource},
};

/// What is said of a kind that there is not.
const KINDS: &str = "an issuer's kind is \"gateway\", with a route, \"static\", or one of those that mint, which \
                     `hallpass issuer add --help` lists";

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    store: Store,
    #[serde(default)]
    gateway: Gateway,
    #[serde(default)]
    daemon: Daemon,
    #[serde(default)]
    approval: ApprovalTable,
    #[serde(default)]
    issuers: BTreeMap<Spanned<String>, RawIssuer>,
    #[serde(default)]
    grants: Vec<Spanned<RawGrant>>,
    #[serde(default)]
    routes: Vec<Spanned<Route>>,
    #[serde(default)]
    assistants: Vec<Spanned<Rule>>,
    #[serde(default)]
    helper: Vec<Spanned<helping::Raw>>,
    #[serde(default)]
    render: Vec<Spanned<rendering::Raw>>,
    #[serde(default)]
    mcp: BTreeMap<Spanned<String>, mcp::Raw>,
    #[serde(default)]
    watch: watching::Raw,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Store {
    kind: Option<StoreKind>,
    file: Option<Spanned<String>>,
    identity: Option<Spanned<String>>,
    cache: Option<Spanned<String>>,
    deadline: Option<Spanned<String>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Gateway {
    port: Option<Spanned<u16>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Daemon {
    autostart: Option<bool>,
    headless_human: Option<bool>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct ApprovalTable {
    timeout: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawIssuer {
    kind: Spanned<String>,
    route: Option<Spanned<String>>,
    credential: Option<Spanned<String>>,
    base_url: Option<Spanned<String>>,
    oauth: Option<Spanned<crate::issuer::oauth::Settings>>,
    #[serde(rename = "github-app")]
    github_app: Option<Spanned<crate::issuer::github_app::Settings>>,
    assertion: Option<Spanned<crate::issuer::assertion::Settings>>,
    anthropic: Option<Spanned<crate::issuer::anthropic::Settings>>,
    openai: Option<Spanned<crate::issuer::openai::Settings>>,
    openrouter: Option<Spanned<crate::issuer::openrouter::Settings>>,
    gcp: Option<Spanned<crate::issuer::gcp::Settings>>,
    aws: Option<Spanned<crate::issuer::aws::Settings>>,
    entra: Option<Spanned<crate::issuer::entra::Settings>>,
    vault: Option<Spanned<crate::issuer::vault::Settings>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawGrant {
    id: Option<Spanned<String>>,
    principal: Spanned<String>,
    issuer: Spanned<String>,
    scopes: Spanned<Vec<Spanned<String>>>,
    resources: Option<Spanned<Vec<Spanned<String>>>>,
    max_ttl: Option<Spanned<String>>,
    #[serde(default)]
    approval: Approval,
    rate: Option<Spanned<String>>,
    #[serde(default)]
    body: BTreeMap<String, OneOrMany>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    Many(Vec<Bound>),
    One(Bound),
}

/// Reads and checks the whole text.
pub(super) fn parse(text: &str, path: &Path) -> Result<Config> {
    let place = Place::new(text, path);
    let file: File = toml::from_str(text).map_err(|e| place.parse_error(&e))?;
    let mut warnings = Vec::new();
    let routes = routes(file.routes, &place)?;
    let issuers = issuers(file.issuers, &routes, &place)?;
    let grants = grants(file.grants, &issuers, &mut warnings, &place)?;
    let assistants = assistants(file.assistants, &place)?;
    let helpers = helping::check(file.helper, &issuers, &mut warnings, &place)?;
    let renders = rendering::check(file.render, &issuers, &mut warnings, &place)?;
    let mcp = mcp::check(file.mcp, &issuers, &mut warnings, &place)?;
    let watch = watching::check(file.watch, &place)?;
    let seconds = |value: Option<Spanned<String>>, default: Duration, least: u64, most: u64| match value {
        Some(value) => place.duration(&value, Duration::from_secs(least), Duration::from_secs(most)),
        None => Ok(default),
    };
    let default = Config::default();
    let file_path = |value: Option<Spanned<String>>| value.map(|v| super::resolve(v.get_ref(), path));
    let gateway_port = match &file.gateway.port {
        Some(port) if *port.get_ref() < 1024 => {
            return Err(place.error(port.span(), "the port must be between 1024 and 65535"));
        }
        other => other.as_ref().map(|port| *port.get_ref()),
    };
    Ok(Config {
        store: StoreConfig {
            kind: file.store.kind.unwrap_or(default.store.kind),
            file: file_path(file.store.file),
            identity: file_path(file.store.identity),
            cache: seconds(file.store.cache, default.store.cache, 0, 3600)?,
            deadline: seconds(file.store.deadline, default.store.deadline, 1, 120)?,
        },
        gateway_port,
        autostart: file.daemon.autostart.unwrap_or(default.autostart),
        headless_human: file.daemon.headless_human.unwrap_or(default.headless_human),
        approval_timeout: seconds(file.approval.timeout, default.approval_timeout, 5, 3600)?,
        issuers,
        grants,
        routes,
        assistants,
        helpers,
        renders,
        mcp,
        watch,
        warnings,
    })
}

fn issuers(
    raw: BTreeMap<Spanned<String>, RawIssuer>,
    routes: &[Route],
    place: &Place<'_>,
) -> Result<BTreeMap<String, Issuer>> {
    let mut issuers = BTreeMap::new();
    for (name, issuer) in raw {
        place.name(&name)?;
        if let Some(credential) = &issuer.credential {
            place.name(credential)?;
        }
        let tables: Vec<_> = [
            minting::table(issuer.oauth, Native::OAuth),
            minting::table(issuer.github_app, Native::GithubApp),
            minting::table(issuer.assertion, Native::Assertion),
            minting::table(issuer.anthropic, Native::Anthropic),
            minting::table(issuer.openai, Native::OpenAi),
            minting::table(issuer.openrouter, Native::OpenRouter),
            minting::table(issuer.gcp, Native::Gcp),
            minting::table(issuer.aws, Native::Aws),
            minting::table(issuer.entra, Native::Entra),
            minting::table(issuer.vault, Native::Vault),
        ]
        .into_iter()
        .flatten()
        .collect();
        let kind = match (issuer.kind.get_ref().as_str(), issuer.route, issuer.base_url) {
            (word, None, None) if Native::is_word(word) => {
                IssuerKind::Native(Box::new(minting::check(&issuer.kind, issuer.credential.is_some(), tables, place)?))
            }
            _ if !tables.is_empty() => {
                return Err(place.error(issuer.kind.span(), "an issuer has the table of its own kind, and no other"));
            }
            _ if issuer.credential.is_none() => {
                return Err(place.error(issuer.kind.span(), "`credential` is missing"));
            }
            ("gateway", Some(route), base_url) => {
                place.name(&route)?;
                if let Some(url) = &base_url {
                    let private = routes.iter().any(|r| r.name == *route.get_ref() && r.allow_private);
                    check_url(url.get_ref(), private).map_err(|e| place.error(url.span(), &e))?;
                }
                IssuerKind::Gateway { route: route.into_inner(), base_url: base_url.map(Spanned::into_inner) }
            }
            ("gateway", None, _) => return Err(place.error(issuer.kind.span(), "a gateway issuer needs a route")),
            ("static", None, None) => IssuerKind::Static,
            ("static", ..) => {
                return Err(place.error(issuer.kind.span(), "a static issuer has neither route nor base_url"));
            }
            _ => return Err(place.error(issuer.kind.span(), KINDS)),
        };
        issuers.insert(name.into_inner(), Issuer { kind, credential: issuer.credential.map(Spanned::into_inner) });
    }
    Ok(issuers)
}

fn grants(
    raw: Vec<Spanned<RawGrant>>,
    issuers: &BTreeMap<String, Issuer>,
    warnings: &mut Vec<String>,
    place: &Place<'_>,
) -> Result<Vec<Grant>> {
    let mut grants: Vec<Grant> = Vec::new();
    let mut ids = BTreeSet::new();
    for (at, grant) in raw.into_iter().enumerate() {
        let span = grant.span();
        let grant = grant.into_inner();
        if let Some(id) = &grant.id {
            place.name(id)?;
        }
        // An id that depends only on the place in the file: it names the line in `explain` and errors.
        let id = grant.id.as_ref().map_or_else(|| format!("grant_line_{}", at + 1), |id| id.get_ref().clone());
        if !ids.insert(id.clone()) {
            return Err(place.error(grant.id.map_or(span, |id| id.span()), "another grant has this id"));
        }
        place.name(&grant.principal)?;
        if grant.principal.get_ref() == principal::UNKNOWN {
            return Err(place.error(grant.principal.span(), "the principal \"unknown\" has no grants"));
        }
        place.name(&grant.issuer)?;
        let scopes = place.list(&grant.scopes)?;
        let resources = grant.resources.as_ref().map(|list| place.list(list)).transpose()?;
        let max_ttl = match &grant.max_ttl {
            Some(ttl) => place.duration(ttl, Duration::from_secs(1), MAX_TTL)?,
            None => DEFAULT_MAX_TTL,
        };
        let rate = grant
            .rate
            .as_ref()
            .map(|rate| {
                rate.get_ref()
                    .parse()
                    .map_err(|_| place.error(rate.span(), "this is no rate; write it like 10/s, 60/min or 500/h"))
            })
            .transpose()?;
        if !issuers.contains_key(grant.issuer.get_ref()) {
            let (line, _) = place.line_column(grant.issuer.span().start);
            warnings.push(format!(
                "line {line}: grant {id} is for the issuer {}, which does not exist (`hallpass credential add {}` makes it)",
                grant.issuer.get_ref(),
                grant.issuer.get_ref()
            ));
        }
        grants.push(Grant {
            id,
            principal: grant.principal.into_inner(),
            what: Wanted {
                issuer: grant.issuer.into_inner(),
                scopes: ScopeSet::new(scopes),
                resources: resources.map_or_else(any_resource, ResourceSet::new),
            },
            max_ttl,
            approval: grant.approval,
            bounds: bounds(grant.body),
            rate,
        });
    }
    Ok(grants)
}

fn bounds(body: BTreeMap<String, OneOrMany>) -> Bounds {
    let mut all = Bounds::default();
    for (member, list) in body {
        let list = match list {
            OneOrMany::Many(list) => list,
            OneOrMany::One(one) => vec![one],
        };
        for bound in list {
            all = all.and(&Bounds::one(&member, bound));
        }
    }
    all
}

fn routes(raw: Vec<Spanned<Route>>, place: &Place<'_>) -> Result<Vec<Route>> {
    let mut routes: Vec<Route> = Vec::new();
    for route in raw {
        let span = route.span();
        let route = route.into_inner();
        if !principal::is_name(&route.name) {
            return Err(place.error(span, "the route's name must be lower case letters, digits, '.', '_' and '-'"));
        }
        if routes.iter().any(|other| other.name == route.name) {
            return Err(place.error(span, "another route has this name"));
        }
        check_url(&route.base_url, route.allow_private).map_err(|e| place.error(span, &format!("base_url: {e}")))?;
        routes.push(route);
    }
    Ok(routes)
}

fn assistants(raw: Vec<Spanned<Rule>>, place: &Place<'_>) -> Result<Vec<Rule>> {
    raw.into_iter()
        .map(|rule| {
            let span = rule.span();
            let rule = rule.into_inner();
            if !principal::is_name(&rule.principal)
                || [principal::HUMAN, principal::UNKNOWN].contains(&&*rule.principal)
            {
                return Err(place.error(span, "the rule's principal must be a name, and neither human nor unknown"));
            }
            if rule.process.iter().chain(&rule.script).all(String::is_empty) {
                return Err(place.error(span, "the rule names no process and no script, so it would match nothing"));
            }
            if rule.process.iter().chain(&rule.script).any(String::is_empty) {
                return Err(place.error(span, "a process or script of the rule is empty"));
            }
            Ok(rule)
        })
        .collect()
}

/// Checks an upstream's URL: https, a host, and nothing that could hide where it goes.
pub fn check_url(url: &str, allow_private: bool) -> Result<(), String> {
    let rest = match (url.strip_prefix("https://"), url.strip_prefix("http://")) {
        (Some(rest), _) => rest,
        (None, Some(rest)) if allow_private => rest,
        (None, Some(_)) => {
            return Err("the upstream must be https; plain http needs a route with allow_private = true".into());
        }
        (None, None) => return Err("the upstream must be an https URL, like https://api.example.com/v1".into()),
    };
    let uri: http::Uri = url.parse().map_err(|_| "this is no URL".to_owned())?;
    if rest.contains(['@', '?', '#', '\\', '%']) || rest.split('/').any(|part| part == "." || part == "..") {
        return Err("the upstream's URL may have a host, a port and a plain path, and nothing else".into());
    }
    if uri.host().is_none_or(str::is_empty) {
        return Err("the upstream's URL names no host".into());
    }
    Ok(())
}

impl Place<'_> {
    pub(super) fn name(&self, name: &Spanned<String>) -> Result<()> {
        if principal::is_name(name.get_ref()) {
            return Ok(());
        }
        Err(self.error(
            name.span(),
            "this is no name: lower case letters, digits, '.', '_' and '-', at most 64, a letter or digit first",
        ))
    }

    pub(super) fn duration(&self, value: &Spanned<String>, least: Duration, most: Duration) -> Result<Duration> {
        let found = duration::parse(value.get_ref()).map_err(|e| self.error(value.span(), &e))?;
        if (least..=most).contains(&found) {
            return Ok(found);
        }
        let detail = format!("this must be between {} and {}", duration::format(least), duration::format(most));
        Err(self.error(value.span(), &detail))
    }

    fn list<T: std::str::FromStr>(&self, list: &Spanned<Vec<Spanned<String>>>) -> Result<Vec<T>>
    where
        T::Err: std::fmt::Display,
    {
        if list.get_ref().is_empty() {
            return Err(self.error(list.span(), "this list is empty, so it would allow nothing"));
        }
        if list.get_ref().len() > MAX_COUNT {
            return Err(self.error(list.span(), &format!("this list may have {MAX_COUNT} members")));
        }
        list.get_ref()
            .iter()
            .map(|one| {
                one.get_ref().parse().map_err(|e: T::Err| {
                    let detail = e.to_string();
                    let safe = !looks_secret(one.get_ref()) && one.get_ref().len() <= 40;
                    self.error(one.span(), if safe { &detail } else { "this is no scope or resource" })
                })
            })
            .collect()
    }
}

impl Place<'_> {
    /// An error of the config at this place.
    pub(crate) fn error(&self, span: Range<usize>, detail: &str) -> Error {
        let (line, column) = self.line_column(span.start);
        let key = self.key(span.start).map_or_else(String::new, |key| format!("{key}: "));
        Error::new(Code::Config, format!("{}:{line}:{column}: {key}{detail}", self.path.display()))
            .hint(format!("edit line {line} of {}", self.path.display()))
    }
}
