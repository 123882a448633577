//! What becomes of each secret of a file: the entry that fits, the changes, and what the tool may then do.
//!
//! Owns the choice. It widens nothing: where a token of the gateway cannot stand in, the credential itself is asked for
//! by name (`release`), and said to be the least bad. What is there already is never overwritten.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    contract, file, remote,
    template::Names,
    tree::{Tree, pointer},
    wrap::Wraps,
};
use crate::{
    api::{SecretText, helper::Helper, mcp::AddMcp, render::Render},
    gateway::catalogue::{Auth, Route},
    policy::RELEASE,
    scope::{ScopeSet, Wanted, any_resource},
    surface::{Format, Replace, Surface, With, replace::fits},
};

/// The tool whose file it is.
pub struct Tool<'a> {
    /// Its entry of the catalogue.
    pub surface: &'a Surface,
    /// How the file is written.
    pub format: Format,
    /// The program that it will call, absolute.
    pub hallpass: &'a str,
    /// Whom the daemon takes it for; `None` where nothing but a claim would name it.
    pub principal: Option<&'a str>,
    /// The file's own name.
    pub file: &'a str,
    /// The catalogue's paths of links and of files beside this one, as they are here.
    pub paths: &'a BTreeMap<String, String>,
    /// What is in those files, by the same names.
    pub beside: &'a BTreeMap<String, Tree>,
    /// Remote MCP servers that hallpass's config has already.
    pub servers: &'a [AddMcp],
    /// Rendered files that it has already.
    pub renders: &'a [Render],
    /// The folder of those, absolute.
    pub rendered: &'a str,
}

/// A secret in the file and what it becomes.
pub struct Secret<'a> {
    /// What it means.
    pub value: &'a str,
    /// The name of its credential and of its issuer.
    pub name: &'a str,
    /// The route that can stand in for it, and its address at the gateway.
    pub route: Option<(&'a Route, &'a str)>,
}

/// A change of the file: what stands at the pointer afterwards, or that nothing does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Edit {
    /// The place.
    pub at: String,
    /// What it becomes; `None` goes.
    pub to: Option<Value>,
}

/// What becomes of one place with a secret.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Which of the secrets.
    pub secret: usize,
    /// The place, as a JSON pointer.
    pub at: String,
    /// What replaces it; or why nothing does.
    pub what: Result<Step, String>,
}

/// A replacement.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// How.
    pub with: With,
    /// What is asked for from now on.
    pub want: Wanted,
    /// Who asks.
    pub principal: String,
    /// A shell command that asks as the tool will, under its principal's name.
    pub check: String,
    /// What is kept as the credential, where that is not the key as it stands there.
    pub stored: Option<SecretText>,
    /// What hallpass's own config says of it from now on.
    pub helper: Option<Helper>,
    /// A link to hallpass that the tool looks for, absolute.
    pub link: Option<String>,
    /// The program that has to be started through `hallpass exec` from now on.
    pub start: Option<String>,
    /// What hallpass's config holds for it from now on, and no longer once it is undone.
    pub entry: Option<Entry>,
}

/// A table of hallpass's config that a replacement needs.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    /// A remote MCP server.
    Mcp(AddMcp),
    /// A rendered file.
    Render(Render),
}

impl Entry {
    /// Its kind and its name.
    pub fn word(&self) -> String {
        match self {
            Self::Mcp(server) => format!("mcp:{}", server.name),
            Self::Render(render) => format!("render:{}", render.name),
        }
    }
}

/// All that is planned for a file.
#[derive(Debug, Default)]
pub struct Planned {
    /// One for each place.
    pub outcomes: Vec<Outcome>,
    /// The changes that go with them.
    pub edits: Vec<Edit>,
    /// Those of another file, by its name in the catalogue.
    pub beside: Option<(String, Vec<Edit>)>,
}

/// Plans the file.
pub fn plan(tool: &Tool<'_>, tree: &Tree, secrets: &[Secret<'_>]) -> Planned {
    let mut planned = Planned::default();
    let mut wraps = Wraps::default();
    let shared = matches!(tool.format, Format::Dotenv | Format::Shell | Format::Lua);
    for (index, secret) in secrets.iter().enumerate() {
        let places = tree.places(secret.value);
        if places.is_empty() && !shared {
            let why = "it stands where no value does, in a comment or a name; `hallpass quarantine` takes it out";
            planned.outcomes.push(Outcome { secret: index, at: "/".into(), what: Err(why.into()) });
        }
        // Of a file that other programs read too, what is not this tool's is no matter of its.
        let its = |place: &Vec<String>| tool.surface.replace.iter().any(|entry| fits(&entry.at, place).is_some());
        for place in places.into_iter().filter(|place| !shared || its(place)) {
            let what = choose(tool, tree, secret, &place, &mut planned, &mut wraps);
            planned.outcomes.push(Outcome { secret: index, at: pointer(&place), what });
        }
    }
    planned.edits.extend(wraps.edits(tool, tree));
    planned.outcomes.sort_by(|a, b| a.at.cmp(&b.at));
    planned
}

/// The first entry that fits, with its changes; else why the best of them does not.
fn choose(
    tool: &Tool<'_>,
    tree: &Tree,
    secret: &Secret<'_>,
    place: &[String],
    planned: &mut Planned,
    wraps: &mut Wraps,
) -> Result<Step, String> {
    let mut first = None;
    let own = secret.route.map(|(route, _)| route.name.as_str());
    let here = |entry: &&Replace| entry.only.is_empty() || entry.only.iter().any(|name| name == tool.file);
    let entries = tool.surface.replace.iter().filter(here);
    let fitting = entries.filter_map(|entry| Some((entry, fits(&entry.at, place)?)));
    // Those of another API say nothing of this key, unless there is nothing else.
    let (mine, others): (Vec<_>, Vec<_>) =
        fitting.partition(|(entry, _)| entry.route.as_deref().is_none_or(|route| own == Some(route)));
    for (entry, stars) in mine.into_iter().chain(others) {
        let tried = match entry.with {
            With::McpWrap => wraps.add(tool, tree, secret, place, &mut planned.edits),
            With::McpBridge => remote::add(tool, tree, secret, place, entry, &stars, &mut planned.edits),
            With::Contract => contract::add(tool, tree, secret, place, entry, &stars, planned),
            _ => one(tool, tree, secret, place, entry, &stars, &mut planned.edits),
        };
        match tried {
            Ok(step) => return Ok(step),
            Err(why) => first = first.or(Some(why)),
        }
    }
    Err(first.unwrap_or_else(|| format!("{} has no way to ask for what stands here", tool.surface.title)))
}

fn one(
    tool: &Tool<'_>,
    tree: &Tree,
    secret: &Secret<'_>,
    place: &[String],
    entry: &Replace,
    stars: &[String],
    edits: &mut Vec<Edit>,
) -> Result<Step, String> {
    let at = pointer(place);
    let text = tree.get(&at).and_then(Value::as_str).unwrap_or_default();
    let own = secret.route.map(|(route, _)| route.name.as_str());
    if let Some(wanted) = entry.route.as_deref().filter(|wanted| own != Some(wanted)) {
        return Err(format!("this place is for a key of {wanted}, and what stands there is none"));
    }
    let whole = text == secret.value;
    let variable = secret.route.and_then(|(route, _)| route.key_env.first()).map(String::as_str).unwrap_or_default();
    let want = match entry.with {
        With::Nothing => return Err(entry.say.clone().unwrap_or_default()),
        With::Exec if whole => {
            let (route, _) = secret.route.ok_or("no route can stand in for this key")?;
            // Where the place is named after a variable, that is the one which is read.
            let own = entry.at.ends_with("/*") && !entry.value.as_deref().is_some_and(|to| to.contains("{variable}"));
            if let Some(name) = place.last().filter(|last| own && !route.key_env.contains(last)) {
                return Err(format!("`hallpass exec` sets {variable} and not {name} for this API"));
            }
            if route.key_env.is_empty() {
                return Err(format!("clients of {} read their key from no variable", route.name));
            }
            wanted(secret.name, scopes(route, &entry.scopes))
        }
        With::Helper if whole => {
            let (route, _) = secret.route.ok_or("no route can stand in for this key")?;
            wanted(secret.name, scopes(route, &entry.scopes))
        }
        With::RenderedFile
            if entry.set.iter().any(|(_, to)| to.as_str().is_some_and(|to| to.contains("{base_url}"))) =>
        {
            let (route, _) = secret.route.filter(|_| whole).ok_or("no route can stand in for what stands here")?;
            wanted(secret.name, scopes(route, &entry.scopes))
        }
        With::RenderedFile if text.matches(secret.value).count() == 1 => released(secret.name),
        With::Release if whole => released(secret.name),
        With::Headers => {
            let (name, prefix) = header(secret.route.map(|(route, _)| route)).ok_or("its API takes no header")?;
            let named = place.last().is_some_and(|last| last.eq_ignore_ascii_case(&name));
            let header = format!("{prefix}{}", secret.value);
            // A list of headers in a variable, as OpenTelemetry has it.
            let listed = [&header, &header.replace(' ', "%20")].map(|header| format!("{name}={header}"));
            if !(named && text == header || listed.iter().any(|listed| text.eq_ignore_ascii_case(listed))) {
                return Err(format!("the helper would send {name}: {prefix}..., which is not what stands here"));
            }
            released(secret.name)
        }
        _ => return Err("the key is only a part of what stands here".into()),
    };
    let want_text = want.to_string();
    let base_url = secret.route.map(|(_, url)| url).unwrap_or_default();
    let upstream = secret.route.map(|(route, _)| route.base_url.trim_end_matches('/'));
    let principal = tool.principal.unwrap_or(crate::principal::HUMAN).to_owned();
    let render = match entry.with {
        With::RenderedFile => Some(file::entry(tool, secret, place, text, entry, &want, &principal)?),
        _ => None,
    };
    let path = render.as_ref().map(|render| format!("{}/{}", tool.rendered, render.name)).unwrap_or_default();
    let names = Names {
        hallpass: tool.hallpass,
        want: &want_text,
        issuer: secret.name,
        base_url,
        rest: "",
        variable,
        entry: &path,
        stars,
    };
    for place in &entry.unless {
        let place = names.pointer(place);
        if tree.get(&place).is_some() {
            return Err(format!("{place} is set, which the tool does not take together with this"));
        }
    }
    let mut own = Vec::new();
    for (place, template) in &entry.set {
        let pattern = names.pointer(place);
        // With a star: wherever an address of the API stands already, be it nowhere.
        let places = if pattern.contains('*') { below(tree, &pattern, upstream) } else { vec![pattern] };
        for place in places {
            own.extend(set(tree, &place, template, &names, upstream, edits)?);
        }
    }
    if let (With::Exec, Some((route, _))) = (entry.with, secret.route)
        && route.base_url_env.is_empty()
        && own.is_empty()
    {
        return Err(format!("nothing tells the tool where the gateway's {} is", route.name));
    }
    let to = entry.value.as_deref().map(|to| match render.is_some() && entry.file.is_none() {
        true => text.replacen(secret.value, &names.text(to), 1),
        false => names.text(to),
    });
    own.push(Edit { at, to: to.map(Value::String) });
    edits.append(&mut own);
    let call = match entry.with {
        With::Headers => "{hallpass} helper headers{as} --want {want}",
        With::Release => "{hallpass} helper key{as} --want {want}",
        With::Exec => "{hallpass} exec --no-project --task check{as} --grant {want} -- true",
        With::RenderedFile => file::CHECK,
        With::Helper | With::McpWrap | With::McpBridge | With::Contract | With::Nothing => "{hallpass} mint {want}{as}",
    };
    let call = call.replace("{name}", render.as_ref().map_or("", |render| &render.name));
    let check = names.text(&call.replace("{as}", &claim(&principal)));
    let start = entry.start.clone();
    let entry_of = render.map(Entry::Render);
    let with = entry.with;
    Ok(Step { with, want, principal, check, start, stored: None, helper: None, link: None, entry: entry_of })
}

/// One thing that is written besides: nothing where it stands there already.
fn set(
    tree: &Tree,
    place: &str,
    template: &Value,
    names: &Names<'_>,
    upstream: Option<&str>,
    edits: &[Edit],
) -> Result<Option<Edit>, String> {
    let there = tree.get(place);
    let address = template.as_str().filter(|text| text.starts_with("{base_url}"));
    let rest = there.and_then(Value::as_str).zip(upstream).and_then(|(there, base)| after(there, base));
    if address.is_some_and(|text| text.contains("{rest}")) && there.is_none() {
        return Err(format!("{place} is not there, and nothing else says what follows the API's own address"));
    }
    let value = Names { rest: rest.unwrap_or_default(), ..*names }.fill(template);
    match there {
        Some(there) if *there == value => return Ok(None),
        Some(_) if address.is_some() && rest.is_some() => {}
        Some(_) if address.is_some() => {
            return Err(format!("{place} is another address than that of the key's own API"));
        }
        Some(_) => return Err(format!("there is something at {place} already, and it stays")),
        None => {}
    }
    match edits.iter().find(|edit| edit.at == place) {
        Some(other) if other.to.as_ref() != Some(&value) => {
            Err(format!("{place} is needed for another key of this file"))
        }
        Some(_) => Ok(None),
        None => Ok(Some(Edit { at: place.to_owned(), to: Some(value) })),
    }
}

/// The places that the pattern means and at which an address of the API stands.
fn below(tree: &Tree, pattern: &str, upstream: Option<&str>) -> Vec<String> {
    let is = |place: &String| {
        tree.get(place).and_then(Value::as_str).zip(upstream).is_some_and(|(there, base)| after(there, base).is_some())
    };
    tree.fitting(pattern).into_iter().filter(is).collect()
}

/// What names the principal on a command line; a person needs no name.
pub(super) fn claim(principal: &str) -> String {
    if principal == crate::principal::HUMAN { String::new() } else { format!(" --as {principal}") }
}

/// What follows the API's address in one that is it, or below it.
fn after<'a>(url: &'a str, base: &str) -> Option<&'a str> {
    url.strip_prefix(base).filter(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// What the place says, else the route's default, else its first preset.
pub(super) fn scopes(route: &Route, said: &[String]) -> ScopeSet {
    let said: Vec<_> = said.iter().filter_map(|text| text.parse().ok()).collect();
    let first = || route.scopes.iter().take(1).map(|preset| preset.name.clone()).collect();
    let default = || if route.default_scopes.is_empty() { first() } else { route.default_scopes.clone() };
    ScopeSet::new(if said.is_empty() { default() } else { said })
}

pub(super) fn wanted(issuer: &str, scopes: ScopeSet) -> Wanted {
    Wanted { issuer: issuer.to_owned(), scopes, resources: any_resource() }
}

/// The credential itself.
pub(super) fn released(issuer: &str) -> Wanted {
    wanted(issuer, ScopeSet::new(RELEASE.parse().ok()))
}

/// The header that `hallpass helper headers` prints for it.
fn header(route: Option<&Route>) -> Option<(String, String)> {
    let bearer = || ("Authorization".to_owned(), "Bearer ".to_owned());
    match route.map(|route| &route.auth) {
        None | Some(Auth::Bearer) => Some(bearer()),
        Some(Auth::Header { name, prefix }) => Some((name.clone(), prefix.clone())),
        Some(Auth::Basic | Auth::Query { .. }) => None,
    }
}
