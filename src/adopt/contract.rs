//! Developer tools that ask a program in a contract of their own: git, Docker, AWS, Cargo and the like.
//!
//! Owns what such a tool asks for, what is kept as the credential, and the settings that make the tool ask: in the file
//! with the key, and in another one of the tool's where that is the place for them.

use serde_json::Value;

use super::{
    plan::{Edit, Planned, Secret, Step, Tool, released},
    template::word,
    tree::{Tree, pointer},
    words::{Words, plain},
    written::written,
};
use crate::{
    api::{SecretText, helper::Helper},
    helper::matching::Pattern,
    principal::HUMAN,
    scope::ResourceSet,
    surface::{Replace, With},
};

/// Plans one place.
pub fn add(
    tool: &Tool<'_>,
    tree: &Tree,
    secret: &Secret<'_>,
    place: &[String],
    entry: &Replace,
    stars: &[String],
    planned: &mut Planned,
) -> Result<Step, String> {
    let at = pointer(place);
    let text = tree.get(&at).and_then(Value::as_str).unwrap_or_default();
    let there = entry.beside.as_ref().and_then(|beside| tool.beside.get(beside.name()));
    if entry.beside.is_some() && there.is_none() {
        return Err("the tool's other file is the same, or has no place here".into());
    }
    let star = stars.first().map(String::as_str).unwrap_or_default();
    let mut words = Words { names: written(entry.written, text, secret.value, star)?, here: tree, there };
    words.put("hallpass", tool.hallpass);
    words.put("text", text);
    words.put("issuer", secret.name);
    words.put("variable", &variable(secret.name));
    for (index, star) in stars.iter().enumerate() {
        words.put(&(index + 1).to_string(), star);
    }
    let link = match &entry.link {
        None => None,
        Some(name) => {
            let why = || {
                let title = &tool.surface.title;
                format!("{title} would not find {name}: ~/.local/bin is not on PATH, or another program has this name")
            };
            let path =
                words.fill(tool.paths.get(name).ok_or_else(why)?, &|star| star.trim_matches('/').replace('/', "+"))?;
            words.put("link", &path);
            Some(path)
        }
    };
    let mut want = released(secret.name);
    let mut helper = None;
    if let Some(asks) = &entry.asks {
        let url = words.fill(&asks.url, &plain)?;
        let url = url.strip_prefix("sparse+").or_else(|| url.strip_prefix("registry+")).unwrap_or(&url);
        let readable = |url: &String| Pattern::parse(url).is_ok();
        let url = [url.to_owned(), format!("https://{url}")].into_iter().find(readable);
        let url = url.ok_or("what the tool asks for could be read in two ways")?;
        let resource = asks.resource.as_deref().map(|text| words.fill(text, &plain)).transpose()?;
        if let Some(resource) = resource.and_then(|text| text.parse().ok()) {
            want.resources = ResourceSet::new([resource]);
        }
        let username = asks.username.as_deref().map(|text| words.fill(text, &plain)).transpose()?;
        let username = username.filter(|name| !name.is_empty());
        helper = Some(Helper { tool: asks.tool.clone(), url, want: want.clone(), username });
    }
    words.put("want", &want.to_string());
    let key = words.get("key").unwrap_or_default();
    let stored = entry.stored.as_deref().map(|text| words.fill(text, &plain)).transpose()?.unwrap_or(key);
    for other in &entry.unless {
        taken(tree, &words.pointer(other)?)?;
    }
    let start = entry.start.as_deref().map(|text| words.fill(text, &plain)).transpose()?;
    if let Some((name, _)) = start.as_deref().and_then(|start| start.split_once('=')).filter(|(name, _)| !sets(name)) {
        return Err(format!("{} would read it from {name}, which no program can set", tool.surface.title));
    }
    let mut edits = settings(tree, &entry.set, &words)?;
    let mut gone = false;
    for other in &entry.drop {
        let other = words.pointer(other)?;
        gone |= at.strip_prefix(&other).is_some_and(|rest| rest.starts_with('/'));
        if tree.get(&other).is_some() {
            edits.push(Edit { at: other, to: None });
        }
    }
    let value = entry.value.as_deref().map(|text| words.value(&text.into())).transpose()?;
    if !gone {
        edits.push(Edit { at, to: value });
    }
    if let (Some(beside), Some(there)) = (&entry.beside, there) {
        for other in &beside.unless {
            taken(there, &words.pointer(other)?)?;
        }
        planned.beside = Some((beside.name().to_owned(), settings(there, &beside.set, &words)?));
    }
    planned.edits.append(&mut edits);
    let check = words.fill(entry.check.as_deref().unwrap_or_default(), &word)?;
    let principal = tool.principal.unwrap_or(HUMAN).to_owned();
    let stored = Some(SecretText::new(stored));
    Ok(Step { with: With::Contract, want, principal, check, start, stored, helper, link, entry: None })
}

/// Whether a shell can set a variable of this name.
fn sets(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit()) && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// A variable that is named after the issuer.
fn variable(issuer: &str) -> String {
    let letter = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    let name: String = issuer.chars().map(letter).collect();
    let first = if name.starts_with(|c: char| c.is_ascii_digit()) { "_" } else { "" };
    format!("{first}{name}_TOKEN")
}

fn taken(tree: &Tree, at: &str) -> Result<(), String> {
    match tree.get(at) {
        Some(_) => Err(format!("there is something at {at} already, and it stays")),
        None => Ok(()),
    }
}

/// What is to be written and is not there yet.
fn settings(tree: &Tree, set: &[(String, Value)], words: &Words<'_>) -> Result<Vec<Edit>, String> {
    let mut edits = Vec::new();
    for (place, template) in set {
        let (place, value) = (words.pointer(place)?, words.value(template)?);
        if tree.get(&place) == Some(&value) {
            continue;
        }
        taken(tree, &place)?;
        edits.push(Edit { at: place, to: Some(value) });
    }
    Ok(edits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_is_one_that_a_shell_can_set() {
        assert_eq!((variable("npm-2").as_str(), variable("2nd").as_str()), ("NPM_2_TOKEN", "_2ND_TOKEN"));
        assert!(sets("BUNDLE_GEMS__EXAMPLE__COM") && !sets("BUNDLE_HTTPS://GEMS__EXAMPLE__COM/") && !sets("1A"));
    }
}
