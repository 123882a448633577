//! Edits of `config.toml` by commands.
//!
//! Owns the promise that an edit keeps comments and order, never makes the file invalid, never leaves
//! half a file, and never loses what somebody else wrote in the meantime. A link is followed: the file
//! it points at is replaced, and the link stays.

mod file;
pub mod helper;
pub mod mcp;
pub mod render;
pub mod watch;

use std::{path::Path, time::Duration};

use toml_edit::{Array, ArrayOfTables, DocumentMut, InlineTable, Item, Table, Value};

use super::{Issuer, IssuerKind, StoreConfig, duration};
use crate::{
    api::{grant::AddGrant, problem::Code, route::AddRoute},
    error::{Error, Result},
    policy::{Approval, bounds::Bound},
};
use file::change;

/// Adds a grant under this id. The same grant under another id is [`Code::Exists`].
pub fn add_grant(path: &Path, grant: &AddGrant, id: &str) -> Result<()> {
    change(path, |doc, config| {
        let max_ttl = grant.max_ttl_seconds.map_or(super::DEFAULT_MAX_TTL, Duration::from_secs);
        let same = config.grants.iter().find(|known| {
            known.principal == grant.principal
                && known.what == grant.what
                && known.max_ttl == max_ttl
                && known.approval == grant.approval
                && known.bounds == grant.body
                && known.rate == grant.rate
        });
        if let Some(same) = same {
            return Err(Error::new(Code::Exists, format!("grant {} says the same already", same.id)));
        }
        if config.grants.iter().any(|known| known.id == id) {
            return Err(Error::new(Code::Exists, format!("there is a grant {id} already")));
        }
        let mut table = Table::new();
        table.insert("id", id.into());
        table.insert("principal", grant.principal.as_str().into());
        table.insert("issuer", grant.what.issuer.as_str().into());
        table.insert("scopes", texts(grant.what.scopes.iter()).into());
        table.insert("resources", texts(grant.what.resources.iter()).into());
        table.insert("max_ttl", duration::format(max_ttl).into());
        let approval = match grant.approval {
            Approval::Auto => "auto",
            Approval::Ask => "ask",
            Approval::Never => "never",
        };
        table.insert("approval", approval.into());
        if let Some(rate) = grant.rate {
            table.insert("rate", rate.to_string().into());
        }
        if !grant.body.is_empty() {
            let mut body = InlineTable::new();
            for (member, bounds) in grant.body.members() {
                let mut list: Array = bounds.iter().map(bound).collect::<Result<Vec<_>>>()?.into_iter().collect();
                let only = if list.len() == 1 { Some(list.remove(0)) } else { None };
                body.insert(member, only.unwrap_or(Value::Array(list)));
            }
            table.insert("body", body.into());
        }
        push(doc, "grants", table)
    })
}

/// Removes the grant with this id.
pub fn remove_grant(path: &Path, id: &str) -> Result<()> {
    change(path, |doc, config| {
        let at = config.grants.iter().position(|grant| grant.id == id);
        let at = at.ok_or_else(|| {
            Error::new(Code::NotFound, "there is no grant with this id").hint("`hallpass grant list` shows the ids")
        })?;
        remove(doc, "grants", at)
    })
}

/// Adds an issuer.
pub fn add_issuer(path: &Path, name: &str, issuer: &Issuer) -> Result<()> {
    add_issuers(path, &[(name, issuer.clone())])
}

/// Adds issuers, in one write: all or none.
pub fn add_issuers(path: &Path, issuers: &[(&str, Issuer)]) -> Result<()> {
    change(path, |doc, config| {
        if let Some((name, _)) = issuers.iter().find(|(name, _)| config.issuers.contains_key(*name)) {
            return Err(Error::new(Code::Exists, format!("there is an issuer {name} already")));
        }
        let all = subtable(doc, "issuers", true)?;
        for (name, issuer) in issuers {
            all.insert(name, Item::Table(issuer_table(issuer)?));
        }
        Ok(())
    })
}

fn issuer_table(issuer: &Issuer) -> Result<Table> {
    let mut table = Table::new();
    if let Some(credential) = &issuer.credential {
        table.insert("credential", credential.as_str().into());
    }
    table.insert("kind", issuer.kind.word().into());
    match &issuer.kind {
        IssuerKind::Gateway { route, base_url } => {
            table.insert("route", route.as_str().into());
            if let Some(url) = base_url {
                table.insert("base_url", url.as_str().into());
            }
        }
        IssuerKind::Static => {}
        IssuerKind::Native(native) => {
            // One table, named after the kind.
            let settings = toml::to_string(native).ok().and_then(|text| text.parse::<DocumentMut>().ok());
            let mut settings = settings.ok_or_else(|| Error::internal("these settings cannot be written"))?;
            if let Some(mut own) = settings.remove(native.word()) {
                forget_position(&mut own);
                table.insert(native.word(), own);
            }
        }
    }
    Ok(table)
}

/// Tables that come from another text would stand at its places in this one.
fn forget_position(item: &mut Item) {
    if let Some(table) = item.as_table_mut() {
        table.set_position(None);
        table.iter_mut().for_each(|(_, item)| forget_position(item));
    }
}

/// Removes an issuer; grants for it stay, and the config warns of them.
pub fn remove_issuer(path: &Path, name: &str) -> Result<()> {
    change(path, |doc, _| {
        remove_named(doc, "issuers", name)
            .ok_or_else(|| Error::new(Code::NotFound, "there is no issuer with this name"))
    })
}

/// Makes every issuer that uses the credential `from` use `to`.
pub fn rename_issuer_credential(path: &Path, from: &str, to: &str) -> Result<()> {
    change(path, |doc, config| {
        let Some(table) = doc.get_mut("issuers").and_then(Item::as_table_like_mut) else { return Ok(()) };
        for (name, _) in config.issuers.iter().filter(|(_, issuer)| issuer.credential.as_deref() == Some(from)) {
            if let Some(issuer) = table.get_mut(name).and_then(Item::as_table_like_mut) {
                set(issuer, "credential", to.into());
            }
        }
        Ok(())
    })
}

/// Adds a route of the user's own.
pub fn add_route(path: &Path, route: &AddRoute) -> Result<()> {
    change(path, |doc, config| {
        if config.routes.iter().any(|known| known.name == route.name) {
            return Err(Error::new(Code::Exists, format!("there is a route {} already", route.name))
                .hint(format!("hallpass route remove {}", route.name)));
        }
        push(doc, "routes", route_table(route)?)
    })
}

/// Removes a route of the user's own.
pub fn remove_route(path: &Path, name: &str) -> Result<()> {
    change(path, |doc, config| {
        let at = config.routes.iter().position(|route| route.name == name);
        let at = at.ok_or_else(|| {
            Error::new(Code::NotFound, "there is no route of your own with this name")
                .hint("built-in routes cannot be removed; `hallpass route list` shows which are yours")
        })?;
        remove(doc, "routes", at)
    })
}

/// Sets the gateway's TCP port.
pub fn set_gateway_port(path: &Path, port: u16) -> Result<()> {
    change(path, |doc, _| {
        set(subtable(doc, "gateway", false)?, "port", i64::from(port).into());
        Ok(())
    })
}

/// Sets the store; what is as it would be anyway is not written.
pub fn set_store(path: &Path, store: &StoreConfig) -> Result<()> {
    change(path, |doc, config| {
        let table = subtable(doc, "store", false)?;
        set(table, "kind", store.kind.word().into());
        let text = |path: &Path| {
            path.to_str()
                .map(str::to_owned)
                .ok_or_else(|| Error::new(Code::InvalidValue, format!("{} is not UTF-8", path.display())))
        };
        let paths = [("file", &store.file, &config.store.file), ("identity", &store.identity, &config.store.identity)];
        for (key, path, old) in paths {
            match path {
                _ if path == old => {}
                Some(path) => set(table, key, text(path)?.into()),
                None => drop(table.remove(key)),
            }
        }
        let times = [("cache", store.cache, config.store.cache), ("deadline", store.deadline, config.store.deadline)];
        for (key, time, _) in times.into_iter().filter(|(_, time, old)| time != old) {
            set(table, key, duration::format(time).into());
        }
        Ok(())
    })
}

fn route_table(route: &AddRoute) -> Result<Table> {
    let invalid = |what: &str| Error::new(Code::InvalidValue, what);
    let mut table = Table::new();
    table.insert("name", route.name.as_str().into());
    table.insert("base_url", route.base_url.as_str().into());
    table.insert("source", "hallpass route add".into());
    let mut auth = InlineTable::new();
    let (kind, name) = match route.auth.as_deref().unwrap_or("bearer").split_once(':') {
        Some((kind @ ("header" | "query"), name)) if !name.is_empty() => (kind, Some(name)),
        None if matches!(route.auth.as_deref(), None | Some("bearer" | "basic")) => {
            (route.auth.as_deref().unwrap_or("bearer"), None)
        }
        _ => return Err(invalid("the key goes to one of: bearer, header:NAME, basic, query:NAME")),
    };
    auth.insert("kind", kind.into());
    if let Some(name) = name {
        let name = if kind == "header" { name.to_ascii_lowercase() } else { name.to_owned() };
        auth.insert("name", name.into());
    }
    table.insert("auth", auth.into());
    if !route.key_env.is_empty() {
        table.insert("key_env", texts(route.key_env.iter()).into());
    }
    if !route.base_url_env.is_empty() {
        let variable = |name: &String| Value::InlineTable(InlineTable::from_iter([("name", name.as_str())]));
        table.insert("base_url_env", route.base_url_env.iter().map(variable).collect::<Array>().into());
    }
    if route.allow_private {
        table.insert("allow_private", true.into());
    }
    let mut presets: Vec<(String, String, Vec<String>)> = Vec::new();
    for text in &route.scopes {
        let (name, rule) =
            text.split_once('=').ok_or_else(|| invalid("a scope is written NAME=METHOD /path/{part}"))?;
        match presets.iter_mut().find(|(known, ..)| known == name) {
            Some((_, _, rules)) => rules.push(rule.to_owned()),
            None => presets.push((name.to_owned(), "your own".to_owned(), vec![rule.to_owned()])),
        }
    }
    if presets.is_empty() {
        let all =
            |methods: &[&str]| methods.iter().flat_map(|m| [format!("{m} /"), format!("{m} /{{rest...}}")]).collect();
        presets.push(("read".into(), "GET and HEAD on every path".into(), all(&["GET", "HEAD"])));
        let others = all(&["POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);
        presets.push(("write".into(), "every other method on every path".into(), others));
    }
    let mut scopes = ArrayOfTables::new();
    for (name, description, allow) in presets {
        let mut scope = Table::new();
        scope.insert("name", name.into());
        scope.insert("description", description.into());
        scope.insert("allow", texts(allow.iter()).into());
        scope.insert("example", Array::new().into());
        scope.insert("counter", Array::new().into());
        scopes.push(scope);
    }
    table.insert("scope", Item::ArrayOfTables(scopes));
    Ok(table)
}

fn bound(bound: &Bound) -> Result<Value> {
    let text = toml::to_string(bound).map_err(|_| Error::new(Code::InvalidValue, "this bound cannot be written"))?;
    let doc: DocumentMut = text.parse().map_err(|_| Error::new(Code::InvalidValue, "this bound cannot be written"))?;
    Ok(Value::InlineTable(doc.as_table().clone().into_inline_table()))
}

fn texts<T: ToString>(list: impl Iterator<Item = T>) -> Array {
    list.map(|one| one.to_string()).collect()
}

/// Sets a key and keeps the comment behind its old value.
fn set(table: &mut dyn toml_edit::TableLike, key: &str, mut value: Value) {
    if let Some(old) = table.get(key).and_then(Item::as_value) {
        *value.decor_mut() = old.decor().clone();
    }
    table.insert(key, Item::Value(value));
}

fn subtable<'a>(doc: &'a mut DocumentMut, name: &str, implicit: bool) -> Result<&'a mut dyn toml_edit::TableLike> {
    let item = doc.entry(name).or_insert_with(|| {
        let mut table = Table::new();
        table.set_implicit(implicit);
        Item::Table(table)
    });
    item.as_table_like_mut().ok_or_else(|| shape(name))
}

fn push(doc: &mut DocumentMut, name: &str, table: Table) -> Result<()> {
    match doc.entry(name).or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new())) {
        Item::ArrayOfTables(list) => list.push(table),
        Item::Value(Value::Array(list)) => list.push(Value::InlineTable(table.into_inline_table())),
        _ => return Err(shape(name)),
    }
    Ok(())
}

fn remove(doc: &mut DocumentMut, name: &str, at: usize) -> Result<()> {
    match doc.get_mut(name) {
        Some(Item::ArrayOfTables(list)) if at < list.len() => {
            let kept = list.get(at).and_then(kept_comments);
            list.remove(at);
            if let Some(kept) = kept {
                match list.get_mut(at) {
                    Some(next) => {
                        let own = next.decor().prefix().and_then(|p| p.as_str()).unwrap_or_default().to_owned();
                        next.decor_mut().set_prefix(kept + &own);
                    }
                    None => {
                        let trailing = kept + doc.trailing().as_str().unwrap_or_default();
                        doc.set_trailing(trailing);
                    }
                }
            }
        }
        Some(Item::Value(Value::Array(list))) if at < list.len() => drop(list.remove(at)),
        _ => return Err(shape(name)),
    }
    Ok(())
}

/// Removes the table `[group.name]`; nothing where there is none.
fn remove_named(doc: &mut DocumentMut, group: &str, name: &str) -> Option<()> {
    let removed = doc.get_mut(group).and_then(Item::as_table_like_mut)?.remove(name)?;
    if let Some(kept) = removed.as_table().and_then(kept_comments) {
        let trailing = kept + doc.trailing().as_str().unwrap_or_default();
        doc.set_trailing(trailing);
    }
    Some(())
}

/// The comments above a table that stay when it goes: those right above it go with it, those a blank line further up
/// were not about it.
fn kept_comments(table: &Table) -> Option<String> {
    let above = table.decor().prefix().and_then(|prefix| prefix.as_str())?;
    let kept = above.rfind("\n\n").and_then(|end| above.get(..=end))?;
    kept.contains('#').then(|| kept.to_owned())
}

fn shape(name: &str) -> Error {
    Error::new(Code::Config, format!("`{name}` in the config has a shape that hallpass cannot edit"))
        .hint("edit the file by hand")
}
