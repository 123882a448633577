//! A file as its tool reads it: members, items and texts.
//!
//! Owns the reading, by the strictness of the format, and where a secret stands.

use serde_json::Value;

use super::ini;
use crate::surface::{Format, replace::escape};

/// A file's content.
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
            Format::Ini | Format::Dotenv => ini::read(text).map(Self),
            Format::Lines => Some(Self(ini::read_lines(text))),
            _ => None,
        }
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

/// The pointer of these parts.
pub fn pointer(parts: &[String]) -> String {
    parts.iter().map(|part| format!("/{}", escape(part))).collect()
}
