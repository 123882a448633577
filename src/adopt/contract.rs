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
};
use crate::{
    api::{SecretText, helper::Helper},
    helper::matching::Pattern,
    principal::HUMAN,
    scope::ResourceSet,
    surface::{
        Replace, With,
        replace::{Written, escape},
    },
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
    Ok(Step { with: With::Contract, want, principal, check, start: None, stored, helper, link })
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

type Named = Vec<(String, Zeroizing<String>)>;

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

/// What the names of a template stand for.
struct Words<'a> {
    names: Named,
    here: &'a Tree,
    there: Option<&'a Tree>,
}

impl Words<'_> {
    fn put(&mut self, name: &str, value: &str) {
        self.names.push((name.to_owned(), Zeroizing::new(value.to_owned())));
    }

    fn get(&self, name: &str) -> Option<String> {
        let looked = |tree: &Tree, at: &str| {
            let at = self.pointer(at).ok()?;
            tree.get(&at)?.as_str().map(ToOwned::to_owned)
        };
        match name.split_once(':') {
            Some(("at", at)) => looked(self.here, at),
            Some(("there", at)) => looked(self.there?, at),
            _ => self.names.iter().find(|(known, _)| known == name).map(|(_, value)| value.to_string()),
        }
    }

    /// One template, in one pass: what is filled in is not looked at again.
    fn fill(&self, template: &str, write: &dyn Fn(&str) -> String) -> Result<String, String> {
        let (mut text, mut rest) = (String::new(), template);
        while let Some((before, after)) = rest.split_once('{') {
            if !after.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit()) {
                // What JSON has in a command.
                text.push_str(&format!("{before}{{"));
                rest = after;
                continue;
            }
            // `{at:/{1}/x}` has one within.
            let mut open = 1;
            let end = after.bytes().position(|byte| {
                open += i32::from(byte == b'{') - i32::from(byte == b'}');
                open == 0
            });
            let (name, after) =
                end.and_then(|end| Some((after.get(..end)?, after.get(end + 1..)?))).unwrap_or((after, ""));
            let value = self.get(name).ok_or_else(|| {
                let at = name.split_once(':').map_or(name, |(_, at)| at);
                format!("the tool says nothing at {}", self.pointer(at).unwrap_or_default())
            })?;
            text.push_str(before);
            text.push_str(&write(&value));
            rest = after;
        }
        text.push_str(rest);
        Ok(text)
    }

    fn pointer(&self, template: &str) -> Result<String, String> {
        self.fill(template, &|value| escape(value))
    }

    /// A program with arguments is a line for a shell; one alone is itself.
    fn value(&self, template: &Value) -> Result<Value, String> {
        Ok(match template {
            Value::String(text) if text.contains("{hallpass} ") || text.contains("{link} ") => {
                self.fill(text, &word)?.into()
            }
            Value::String(text) => self.fill(text, &plain)?.into(),
            Value::Array(items) => items.iter().map(|item| self.value(item)).collect::<Result<Vec<_>, _>>()?.into(),
            Value::Object(members) => {
                let filled = members.iter().map(|(name, value)| Ok((name.clone(), self.value(value)?)));
                Value::Object(filled.collect::<Result<_, String>>()?)
            }
            other => other.clone(),
        })
    }
}

fn plain(text: &str) -> String {
    text.to_owned()
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

    #[test]
    fn what_is_filled_in_is_one_word_to_a_shell_and_one_part_of_a_pointer() {
        let tree = Tree::read(crate::surface::Format::Json, br#"{"p":{"a/b":{"id":"x'y"}}}"#).unwrap();
        let mut words = Words { names: Vec::new(), here: &tree, there: None };
        words.put("1", "a/b");
        words.put("hallpass", "/o p/{1}");
        assert_eq!(words.fill("{hallpass} {at:/p/{1}/id}", &word).unwrap(), "'/o p/{1}' 'x'\\''y'");
        assert_eq!(words.pointer("/p/{1}").unwrap(), "/p/a~1b");
        assert!(words.fill("{at:/p/none}", &plain).unwrap_err().contains("/p/none"));
        assert!(words.fill("{there:/p}", &plain).is_err() && words.fill("{odd", &plain).is_err());
        assert_eq!(words.fill("{\"a\":{\"b\":\"{1}\"}}", &plain).unwrap(), "{\"a\":{\"b\":\"a/b\"}}");
    }
}
