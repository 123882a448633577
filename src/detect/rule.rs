//! What a rule is. The rules themselves are `data/rules/*.toml`, compiled in by `build.rs`.

use regex::bytes::{Regex, RegexBuilder};

use super::{Class, engine};

include!(concat!(env!("OUT_DIR"), "/rules.rs"));

/// One kind of secret; `data/rules/README.md` says what each member means.
#[derive(Debug)]
pub struct Rule {
    /// The finding's kind.
    pub name: &'static str,
    /// Who issues it.
    pub provider: &'static str,
    /// The value: a regular expression over bytes.
    pub pattern: &'static str,
    /// Lower-case fragments, one of which is in every match.
    pub words: &'static [&'static str],
    /// Names, one of which is part of the key's path or of the file's.
    pub near: &'static [&'static str],
    /// Least Shannon entropy, in bits per character.
    pub entropy: f32,
    /// The name of a structure check.
    pub check: Option<&'static str>,
    /// How sure a match is.
    pub class: Class,
    /// The name of the credential it becomes.
    pub credential: &'static str,
    /// The gateway route that can stand in for it.
    pub route: Option<&'static str>,
    /// The page where a person revokes it.
    pub revoke: Option<&'static str>,
    /// Where the shape is documented.
    pub source: &'static str,
}

/// All of them.
pub fn all() -> &'static [Rule] {
    RULES
}

/// The rule of this name; `None` for a kind that no rule stands behind (the generic ones).
pub fn named(name: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.name == name)
}

impl Rule {
    /// Whether a whole value has the rule's shape and passes its check.
    pub fn fits(&self, value: &[u8]) -> bool {
        self.expression().is_some_and(|expression| self.is_shape(&expression, value)) && engine::holds(self, value)
    }

    /// The rule's expression, for a whole value.
    pub(super) fn expression(&self) -> Option<Regex> {
        RegexBuilder::new(&format!("^(?:{})$", self.pattern)).unicode(false).build().ok()
    }

    /// Whether the value alone is the secret of a match.
    pub(super) fn is_shape(&self, expression: &Regex, value: &[u8]) -> bool {
        match expression.captures(value) {
            Some(captures) => captures.name("secret").is_none_or(|secret| secret.as_bytes() == value),
            None => false,
        }
    }

    /// Whether the value may run over several lines.
    pub(super) fn is_long(&self) -> bool {
        self.pattern.contains("\\s\\S") || self.pattern.contains("\\n") || self.pattern.starts_with("(?s)")
    }
}
