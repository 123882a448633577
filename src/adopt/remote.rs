//! Remote MCP servers, reached through `hallpass mcp bridge` by clients that cannot send a fresh header.
//!
//! Owns what becomes of such a server in its client's file, and its entry in hallpass's config. The bridge sends one
//! header and nothing that is hidden: a server that is told more than that stays as it is.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    plan::{Edit, Entry, Secret, Step, Tool, claim, released},
    template::{Names, word},
    tree::{Tree, pointer},
    wrap::{mcp_name, name},
};
use crate::{
    api::mcp::AddMcp,
    mcp::endpoint::{Endpoint, HeaderRule, Odd, PLACE},
    principal::is_name,
    surface::{Replace, With},
};

/// What clients call the address.
const ADDRESS: &[&str] = &["url", "httpUrl", "serverUrl", "uri"];
/// What they call its headers.
const HEADERS: &[&str] = &["headers", "http_headers", "requestOptions"];
/// What else says that a server is remote, and how it is spoken to.
const KINDS: &[&str] = &["type", "transport"];
/// As many servers may have one name.
const MOST: usize = 9;

/// Plans one place: `SERVER/headers/NAME`, or the address itself.
pub fn add(
    tool: &Tool<'_>,
    tree: &Tree,
    secret: &Secret<'_>,
    place: &[String],
    entry: &Replace,
    stars: &[String],
    edits: &mut Vec<Edit>,
) -> Result<Step, String> {
    for other in &entry.unless {
        let other = names(tool, "", stars).pointer(other);
        if tree.get(&other).is_some() {
            return Err(format!("{other} is set, which says that it is reached in another way"));
        }
    }
    let server = |cut: usize| place.get(..place.len().checked_sub(cut)?).filter(|server| !server.is_empty());
    let address = |server: &[String]| {
        ADDRESS.iter().find_map(|name| tree.get(&format!("{}/{name}", pointer(server))).and_then(Value::as_str))
    };
    let found = (1..=3).filter_map(server).find_map(|server| Some((server, address(server)?)));
    let (server, address) = found.ok_or("this is no remote server: it has no address")?;
    let at = pointer(server);
    let members = tree.get(&at).and_then(Value::as_object).ok_or("this is no server")?;
    let text = tree.get(&pointer(place)).and_then(Value::as_str).unwrap_or_default();
    if text.matches(secret.value).count() != 1 || text.contains(PLACE) {
        return Err("the key stands here more than once".into());
    }
    let is_address = place.len() == server.len() + 1;
    let url = if is_address { text.replacen(secret.value, PLACE, 1) } else { address.to_owned() };
    if url.contains("${") || url.contains("{env:") {
        return Err("its address names a variable, which the client fills in and hallpass would not".into());
    }
    let path = url.split(['?', '#']).next().unwrap_or_default();
    if KINDS.iter().any(|kind| members.get(*kind).and_then(Value::as_str) == Some("sse")) || path.ends_with("/sse") {
        return Err("it is spoken to by the older HTTP+SSE transport, which the bridge does not speak".into());
    }
    Endpoint::parse(&url).map_err(|odd| odd.to_string())?;
    let mut others = Vec::new();
    for (header, _) in HEADERS.iter().filter_map(|name| members.get(*name)).flat_map(headers) {
        let own = !is_address && place.last().is_some_and(|last| last == header);
        // What the bridge says by itself.
        let reserved = HeaderRule::parse(&format!("{header}: {PLACE}")) == Err(Odd::Reserved);
        if !own && !reserved {
            others.push(header.as_str());
        }
    }
    if !others.is_empty() {
        return Err(format!("the bridge sends one header, and this server gets {} too", others.join(", ")));
    }
    let header = match is_address {
        true => None,
        false => {
            let name = place.last().map(String::as_str).unwrap_or_default();
            let rule = format!("{name}: {}", text.replacen(secret.value, PLACE, 1));
            HeaderRule::parse(&rule).map_err(|odd| odd.to_string())?;
            Some(rule)
        }
    };
    let own = name(tree, server);
    let want = released(secret.name);
    let server_of = config(tool, &own, AddMcp { name: String::new(), url, want: Some(want.clone()), header })?;
    let shape = shape(tool, entry, &server_of.name);
    if let Some(taken) = shape.keys().find(|name| members.contains_key(*name) && !KINDS.contains(&name.as_str())) {
        return Err(format!("there is something at {at}/{taken} already, and it stays"));
    }
    let remote = ADDRESS.iter().chain(HEADERS).chain(KINDS);
    let goes = remote.filter(|name| members.contains_key(**name) && !shape.contains_key(**name));
    edits.extend(goes.map(|name| Edit { at: format!("{at}/{name}"), to: None }));
    let stays = |name: &String, to: &Value| members.get(name) == Some(to);
    let comes = shape.into_iter().filter(|(name, to)| !stays(name, to));
    edits.extend(comes.map(|(name, to)| Edit { at: format!("{at}/{name}"), to: Some(to) }));
    let principal = tool.principal.map_or_else(|| mcp_name(&server_of.name), ToOwned::to_owned);
    let program = word(tool.hallpass);
    let check = format!(
        "{program} mcp bridge {} </dev/null && {program} helper key{} --want {want}",
        server_of.name,
        claim(&principal)
    );
    Ok(Step {
        with: With::McpBridge,
        want,
        principal,
        check,
        stored: None,
        helper: None,
        link: None,
        start: None,
        entry: Some(Entry::Mcp(server_of)),
    })
}

/// The headers in it: Continue keeps them one deeper.
fn headers(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    let inner = value.get("headers").filter(|inner| inner.is_object()).unwrap_or(value);
    inner.as_object().into_iter().flatten()
}

/// The server in hallpass's config: one that says the same already, else under a name that is free.
fn config(tool: &Tool<'_>, own: &str, server: AddMcp) -> Result<AddMcp, String> {
    let plain = own.to_ascii_lowercase().replace(' ', "-");
    let first = if is_name(&plain) { plain } else { "server".into() };
    let names = std::iter::once(first.clone()).chain((2..=MOST).map(|number| format!("{first}-{number}")));
    let named = names.map(|name| AddMcp { name, ..server.clone() });
    let free = |server: &AddMcp| tool.servers.iter().all(|known| known.name != server.name || known == server);
    named.into_iter().find(free).ok_or_else(|| format!("there are {MOST} servers named {first} already"))
}

/// What the client runs.
fn shape(tool: &Tool<'_>, entry: &Replace, name: &str) -> BTreeMap<String, Value> {
    let usual = || {
        BTreeMap::from([
            ("command".to_owned(), json!("{hallpass}")),
            ("args".to_owned(), json!(["mcp", "bridge", "{entry}"])),
        ])
    };
    let shape = if entry.shape.is_empty() { usual() } else { entry.shape.clone() };
    let names = names(tool, name, &[]);
    shape.into_iter().map(|(name, value)| (name, names.fill(&value))).collect()
}

/// What the catalogue's templates stand for here.
fn names<'a>(tool: &Tool<'a>, entry: &'a str, stars: &'a [String]) -> Names<'a> {
    let none = "";
    Names {
        hallpass: tool.hallpass,
        want: none,
        issuer: none,
        base_url: none,
        rest: none,
        variable: none,
        entry,
        stars,
    }
}
