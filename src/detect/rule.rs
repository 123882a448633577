//! What a rule is. The rules themselves are `data/rules/*.toml`, compiled in by `build.rs`.

use std::sync::LazyLock;

use regex::bytes::{Regex, RegexBuilder};

use super::{Class, engine};

/// One rule a line, written by `build.rs`, and read when a secret is first looked for.
static RULES: LazyLock<Vec<Rule>> =
    LazyLock::new(|| include_str!(concat!(env!("OUT_DIR"), "/rules.txt")).lines().filter_map(read).collect());

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
    pub words: Vec<&'static str>,
    /// A text that is in every match as well.
    pub also: Option<&'static str>,
    /// Names, one of which is part of the key's path or of the file's.
    pub near: Vec<&'static str>,
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
    /// The value may run over several lines.
    pub(super) long: bool,
}

/// All of them.
pub fn all() -> &'static [Rule] {
    &RULES
}

/// The rule of this name; `None` for a kind that no rule stands behind (the generic ones).
pub fn named(name: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.name == name)
}

/// One line of `build.rs`; the rule test counts that none is lost.
fn read(line: &'static str) -> Option<Rule> {
    let mut fields = line.split('\t');
    let mut next = || fields.next();
    let list = |field: &'static str| field.split('\u{1f}').filter(|part| !part.is_empty()).collect();
    let some = |field: &'static str| Some(field).filter(|field| !field.is_empty());
    let (name, provider, pattern) = (next()?, next()?, next()?);
    Some(Rule {
        name,
        provider,
        pattern,
        words: list(next()?),
        also: some(next()?),
        near: list(next()?),
        entropy: next()?.parse().ok()?,
        check: some(next()?),
        class: if next()? == "Certain" { Class::Certain } else { Class::Likely },
        credential: next()?,
        route: some(next()?),
        revoke: some(next()?),
        source: next()?,
        long: pattern.contains("\\s\\S") || pattern.contains("\\n") || pattern.starts_with("(?s)"),
    })
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

    /// The expression of the secret alone, where more belongs to a match.
    pub(super) fn secret_part(&self) -> Option<Regex> {
        let (_, inside) = self.pattern.split_once("<secret>")?;
        let (mut depth, mut class, mut escaped) = (0, false, false);
        let end = inside.bytes().position(|byte| {
            match byte {
                _ if escaped => {}
                b'[' => class = true,
                b']' => class = false,
                b'(' if !class => depth += 1,
                b')' if !class => depth -= 1,
                _ => {}
            }
            escaped = byte == b'\\' && !escaped;
            depth < 0
        })?;
        RegexBuilder::new(&format!("^(?:{})$", inside.get(..end)?)).unicode(false).build().ok()
    }

    /// Whether the value alone is the secret of a match.
    pub(super) fn is_shape(&self, expression: &Regex, value: &[u8]) -> bool {
        match expression.captures(value) {
            Some(captures) => captures.name("secret").is_none_or(|secret| secret.as_bytes() == value),
            None => false,
        }
    }
}
