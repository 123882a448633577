//! A file as its tool reads it: members, items and texts.
//!
//! Owns the reading, by the strictness of the format, and where a secret stands.

use serde_json::Value;

use super::{hcl, ini, plan::Edit, spans, yaml};
use crate::surface::{Format, replace::escape};

/// A file's content.
#[derive(Clone, Debug, PartialEq)]
pub struct Tree(Value);

impl Tree {
    /// Reads the bytes; `None` where the tool could not either, or the format has no members to speak of.
    pub fn read(format: Format, bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        match format {
            Format::Json => serde_json::from_str(text).ok().map(Self),
            Format::Jsonc => {
                jsonc_parser::parse_to_serde_value(text, &jsonc_parser::ParseOptions::default()).ok().map(Self)
            }
            Format::Toml => toml::from_str(text).ok().map(Self),
            Format::Yaml => yaml::read(text).map(Self),
            Format::Ini => ini::read(text).map(Self),
            Format::Lines => Some(Self(ini::read_lines(text))),
            Format::Dotenv | Format::Shell | Format::Lua | Format::Netrc => spans::read(format, text).map(Self),
            Format::Hcl => hcl::read(text).map(Self),
            Format::Json5 => None,
        }
    }

    /// Whether the tree is the old one with these changes and no others.
    pub fn is(&self, old: &Self, edits: &[Edit]) -> bool {
        let mut wanted = old.clone();
        if !edits.iter().all(|edit| wanted.change(edit).is_some()) {
            return false;
        }
        // Where nothing is written for what is empty, the last member takes it along.
        for (above, _) in edits.iter().filter(|edit| edit.to.is_none()).filter_map(|edit| edit.at.rsplit_once('/')) {
            let empty = wanted.get(above).and_then(Value::as_object).is_some_and(serde_json::Map::is_empty);
            if empty && !above.is_empty() && self.get(above).is_none() {
                let _ = wanted.change(&Edit { at: above.to_owned(), to: None });
            }
        }
        wanted == *self
    }

    fn change(&mut self, edit: &Edit) -> Option<()> {
        let parts = parts(&edit.at)?;
        let (last, folders) = parts.split_last()?;
        let mut value = &mut self.0;
        for folder in folders {
            value = match value {
                Value::Array(items) => items.get_mut(folder.parse::<usize>().ok()?)?,
                // What is not there need not go.
                Value::Object(members) if edit.to.is_none() && !members.contains_key(folder) => return Some(()),
                Value::Object(members) => {
                    members.entry(folder.clone()).or_insert_with(|| Value::Object(serde_json::Map::new()))
                }
                _ => return None,
            };
        }
        match (value, &edit.to) {
            (Value::Object(members), None) => drop(members.remove(last)),
            (Value::Object(members), Some(to)) => drop(members.insert(last.clone(), to.clone())),
            (Value::Array(items), Some(to)) => *items.get_mut(last.parse::<usize>().ok()?)? = to.clone(),
            _ => return None,
        }
        Some(())
    }

    /// Every place that the pattern means, where something stands.
    pub fn fitting(&self, pattern: &str) -> Vec<String> {
        let mut found = vec![(String::new(), &self.0)];
        for part in pattern.split('/').skip(1) {
            let mut next = Vec::new();
            for (path, value) in found {
                match value {
                    Value::Object(members) => next.extend(
                        members
                            .iter()
                            .filter(|(name, _)| part == "*" || escape(name) == part)
                            .map(|(name, value)| (format!("{path}/{}", escape(name)), value)),
                    ),
                    Value::Array(items) => next.extend(
                        items
                            .iter()
                            .enumerate()
                            .filter(|(at, _)| part == "*" || at.to_string() == part)
                            .map(|(at, value)| (format!("{path}/{at}"), value)),
                    ),
                    _ => {}
                }
            }
            found = next;
        }
        found.into_iter().map(|(path, _)| path).collect()
    }

    /// Where the value stands, as parts of pointers, in no order that means anything.
    pub fn places(&self, secret: &str) -> Vec<Vec<String>> {
        let mut found = Vec::new();
        // A list of what is left to look at, so that nesting does not use the stack.
        let mut left = vec![(Vec::new(), &self.0)];
        while let Some((path, value)) = left.pop() {
            let below = |part: &str| [path.as_slice(), &[part.to_owned()]].concat();
            match value {
                Value::Object(members) => left.extend(members.iter().map(|(name, value)| (below(name), value))),
                Value::Array(items) => {
                    left.extend(items.iter().enumerate().map(|(at, value)| (below(&at.to_string()), value)));
                }
                Value::String(text) if text.contains(secret) => found.push(path),
                _ => {}
            }
        }
        found
    }

    /// What stands at the pointer.
    pub fn get(&self, pointer: &str) -> Option<&Value> {
        self.0.pointer(pointer)
    }
}

/// The parts of a pointer.
pub fn parts(pointer: &str) -> Option<Vec<String>> {
    Some(pointer.strip_prefix('/')?.split('/').map(|part| part.replace("~1", "/").replace("~0", "~")).collect())
}

/// The pointer of these parts.
pub fn pointer(parts: &[String]) -> String {
    parts.iter().map(|part| format!("/{}", escape(part))).collect()
}
