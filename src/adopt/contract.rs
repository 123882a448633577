//! Developer tools that ask a program in a contract of their own: git, Docker, AWS, Cargo and the like.
//!
//! Owns what such a tool asks for, what is kept as the credential, and the settings that make the tool ask: in the file
//! with the key, and in another one of the tool's where that is the place for them.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;
use zeroize::Zeroizing;

use super::{
    plan::{Edit, Planned, Secret, Step, Tool, released},
    template::word,
    tree::{Tree, pointer},
    words::{Named, Words, plain},
};
use crate::{
    api::{SecretText, helper::Helper},
    helper::matching::Pattern,
    principal::HUMAN,
    scope::ResourceSet,
    surface::{Replace, With, replace::Written},
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
    let mut words = Words { names: written(entry.written, text, secret.value)?, here: tree, there };
    words.put("hallpass", tool.hallpass);
    words.put("text", text);
    words.put("issuer", secret.name);
    for (index, star) in stars.iter().enumerate() {
        words.put(&(index + 1).to_string(), star);
    }
    let link = match &entry.link {
        None => None,
        Some(name) => {
            let path = tool
                .paths
                .get(name)
                .ok_or_else(|| format!("{} would not find {name}: ~/.local/bin is not on PATH", tool.surface.title))?;
            words.put("link", path);
            Some(path.clone())
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
    let mut edits = settings(tree, &entry.set, &words)?;
    for other in &entry.drop {
        let other = words.pointer(other)?;
        if tree.get(&other).is_some() {
            edits.push(Edit { at: other, to: None });
        }
    }
    let value = entry.value.as_deref().map(|text| words.fill(text, &plain)).transpose()?;
    edits.push(Edit { at, to: value.map(Value::String) });
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
    Ok(Step { with: With::Contract, want, principal, check, start: None, stored, helper, link, entry: None })
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

/// The key and what stands around it.
fn written(how: Written, text: &str, secret: &str) -> Result<Named, String> {
    let part = || "the key is only a part of what stands here".to_owned();
    let named = |pairs: &[(&str, &str)]| -> Named {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), Zeroizing::new((*value).to_owned()))).collect()
    };
    match how {
        Written::Text => Ok(named(&[("key", secret)])),
        Written::Whole if text == secret => Ok(named(&[("key", secret)])),
        Written::Whole => Err(part()),
        Written::Basic => {
            let bytes = Zeroizing::new(STANDARD.decode(secret).map_err(|_| part())?);
            let both = core::str::from_utf8(&bytes).map_err(|_| part())?.trim_end_matches('\0');
            let (user, key) = both.split_once(':').ok_or_else(part)?;
            Ok(named(&[("user", user), ("key", key)]))
        }
        Written::Url => {
            let (before, after) = text.split_once(secret).ok_or_else(part)?;
            let after = after.strip_prefix('@').ok_or_else(part)?;
            let (front, user) = before.rsplit_once("://").ok_or_else(part)?;
            let scheme = front.rsplit(|c: char| !c.is_ascii_alphanumeric() && !"+.-".contains(c)).next();
            let scheme = scheme.filter(|scheme| !scheme.is_empty()).ok_or_else(part)?;
            let user = user.strip_suffix(':').unwrap_or(user);
            if user.contains(['/', '@', ':']) {
                return Err(part());
            }
            let decode = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8().map(String::from);
            let (user, key) = (decode(user).map_err(|_| part())?, Zeroizing::new(decode(secret).map_err(|_| part())?));
            let end = after.find(|c: char| c.is_whitespace() || "\"',|".contains(c)).unwrap_or(after.len());
            let place = after.get(..end).unwrap_or(after);
            let (host, path) = place.split_once('/').unwrap_or((place, ""));
            // git says a repository with `.git` or without.
            let path = path.trim_end_matches('/');
            let path = path.strip_suffix(".git").unwrap_or(path);
            let origin = format!("{scheme}://{host}");
            let url = if path.is_empty() { origin.clone() } else { format!("{origin}/{path}") };
            Ok(named(&[
                ("user", &user),
                ("key", &key),
                ("scheme", scheme),
                ("host", host),
                ("path", path),
                ("origin", &origin),
                ("url", &url),
                ("bare", &format!("{front}://{after}")),
            ]))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(how: Written, text: &str, secret: &str, name: &str) -> Option<String> {
        let names = written(how, text, secret).ok()?;
        names.into_iter().find(|(known, _)| known == name).map(|(_, value)| value.to_string())
    }

    #[test]
    fn a_key_in_a_url_says_whom_it_is_for() {
        let text = "https://jo:s%40x@h.example:8443/acme/web.git";
        for (name, value) in [
            ("user", "jo"),
            ("key", "s@x"),
            ("host", "h.example:8443"),
            ("path", "acme/web"),
            ("url", "https://h.example:8443/acme/web"),
            ("bare", "https://h.example:8443/acme/web.git"),
        ] {
            assert_eq!(get(Written::Url, text, "s%40x", name).as_deref(), Some(value), "{name}");
        }
        let list = "https://a.example,https://jo:key@b.example,direct";
        assert_eq!(get(Written::Url, list, "key", "url").as_deref(), Some("https://b.example"));
        assert_eq!(
            get(Written::Url, list, "key", "bare").as_deref(),
            Some("https://a.example,https://b.example,direct")
        );
        assert_eq!(get(Written::Url, "https://key@b.example", "key", "user").as_deref(), Some(""));
        for odd in ["https://b.example/?t=key", "https://a/jo:key@b", "key@b", "https://jo:key:x@b"] {
            assert_eq!(get(Written::Url, odd, "key", "url"), None, "{odd}");
        }
    }

    #[test]
    fn base64_is_taken_apart_and_other_text_is_not_touched() {
        let text = STANDARD.encode("jo:pa:ss");
        assert_eq!(get(Written::Basic, &text, &text, "key").as_deref(), Some("pa:ss"));
        assert_eq!(get(Written::Basic, "a", "a", "key"), None);
        assert_eq!(get(Written::Whole, "Bearer a", "a", "key"), None);
    }
}
