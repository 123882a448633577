//! The templates of tools that ask in a contract of their own, filled.
//!
//! Owns the names in them and the one pass in which they are filled: what comes out of a file must not be read as a
//! template, as two words of a shell or as two parts of a pointer.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;
use zeroize::Zeroizing;

use super::{template::word, tree::Tree};
use crate::surface::replace::escape;

/// Names and what they stand for.
pub type Named = Vec<(String, Zeroizing<String>)>;

/// What the names of a template stand for.
pub struct Words<'a> {
    /// By name.
    pub names: Named,
    /// The file.
    pub here: &'a Tree,
    /// The one beside it.
    pub there: Option<&'a Tree>,
}

impl Words<'_> {
    /// One name more.
    pub fn put(&mut self, name: &str, value: &str) {
        self.names.push((name.to_owned(), Zeroizing::new(value.to_owned())));
    }

    /// What a name stands for.
    pub fn get(&self, name: &str) -> Option<String> {
        let looked = |tree: &Tree, at: &str| {
            let at = self.pointer(at).ok()?;
            tree.get(&at)?.as_str().map(ToOwned::to_owned)
        };
        match name.split_once(':') {
            Some(("at", at)) => looked(self.here, at),
            Some(("there", at)) => looked(self.there?, at),
            Some(("decoded", at)) => {
                let bytes = Zeroizing::new(STANDARD.decode(looked(self.here, at)?.trim()).ok()?);
                core::str::from_utf8(&bytes).ok().map(ToOwned::to_owned)
            }
            _ => self.names.iter().find(|(known, _)| known == name).map(|(_, value)| value.to_string()),
        }
    }

    /// One template, in one pass: what is filled in is not looked at again.
    pub fn fill(&self, template: &str, write: &dyn Fn(&str) -> String) -> Result<String, String> {
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

    /// A pointer, in which what is filled in is one part.
    pub fn pointer(&self, template: &str) -> Result<String, String> {
        self.fill(template, &|value| escape(value))
    }

    /// A program with arguments is a line for a shell; one alone is itself.
    pub fn value(&self, template: &Value) -> Result<Value, String> {
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

/// As it is.
pub fn plain(text: &str) -> String {
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_filled_in_is_one_word_to_a_shell_and_one_part_of_a_pointer() {
        let tree = Tree::read(crate::surface::Format::Json, br#"{"p":{"a/b":{"id":"x'y","c":"YSBi"}}}"#).unwrap();
        let mut words = Words { names: Vec::new(), here: &tree, there: None };
        words.put("1", "a/b");
        words.put("hallpass", "/o p/{1}");
        assert_eq!(words.fill("{hallpass} {at:/p/{1}/id}", &word).unwrap(), "'/o p/{1}' 'x'\\''y'");
        assert_eq!(words.pointer("/p/{1}").unwrap(), "/p/a~1b");
        assert_eq!(words.fill("{decoded:/p/{1}/c}", &plain).unwrap(), "a b");
        assert!(words.fill("{decoded:/p/{1}/id}", &plain).is_err());
        assert!(words.fill("{at:/p/none}", &plain).unwrap_err().contains("/p/none"));
        assert!(words.fill("{there:/p}", &plain).is_err() && words.fill("{odd", &plain).is_err());
        assert_eq!(words.fill("{\"a\":{\"b\":\"{1}\"}}", &plain).unwrap(), "{\"a\":{\"b\":\"a/b\"}}");
    }
}
