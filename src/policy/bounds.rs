//! Bounds on the members of a request's JSON body.
//!
//! Owns the rule "a grant may say which values `model` or `max_tokens` may have", judged on the very
//! bytes that are forwarded. A body that cannot be read whole and without doubt is refused: a policy
//! that sees other bytes than the executor is no policy (Docker CVE-2024-41110, CVE-2026-34040).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::strict_json;

/// The largest body that is read for a bound, in bytes; a larger one is refused.
pub const MAX_BODY: usize = 4 * 1024 * 1024;

/// What the body's top-level members must be, by name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct Bounds(BTreeMap<String, Vec<Bound>>);

/// One condition on one member; the member must be there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Bound {
    /// It equals one of these.
    OneOf(Vec<Value>),
    /// It is a number from 0 to this; a negative one means "no limit" to some servers.
    Max(f64),
}

/// Why a body is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// Larger than [`MAX_BODY`].
    #[error("the body is larger than {MAX_BODY} bytes, and the grant bounds what it may hold")]
    TooLarge,
    /// Compressed or otherwise encoded.
    #[error("the body is encoded ({0}), and the grant bounds what it may hold; send it as plain JSON")]
    Encoded(String),
    /// Not one JSON object, or one that two readers could read differently.
    #[error("the body is not one plain JSON object ({0}), and the grant bounds what it may hold")]
    Unclear(String),
    /// A member is missing.
    #[error("the body must say {0:?}: the grant bounds it")]
    Missing(String),
    /// A member has a value that the grant does not allow.
    #[error("the grant does not allow this value of {0:?} in the body")]
    Outside(String),
}

impl Bounds {
    /// Bounds with one condition on one member.
    pub fn one(member: &str, bound: Bound) -> Self {
        Self(BTreeMap::from([(member.to_owned(), vec![bound])]))
    }

    /// True when the body need not be read.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Both: every condition of each.
    pub fn and(&self, other: &Self) -> Self {
        let mut all = self.clone();
        for (member, bounds) in &other.0 {
            let mine = all.0.entry(member.clone()).or_default();
            for bound in bounds {
                if !mine.contains(bound) {
                    mine.push(bound.clone());
                }
            }
        }
        all
    }

    /// The members that are bounded.
    pub fn members(&self) -> impl Iterator<Item = (&str, &[Bound])> {
        self.0.iter().map(|(name, bounds)| (name.as_str(), bounds.as_slice()))
    }

    /// Judges a whole body.
    pub fn check(&self, body: &[u8]) -> Result<(), BodyError> {
        if self.is_empty() {
            return Ok(());
        }
        if body.len() > MAX_BODY {
            return Err(BodyError::TooLarge);
        }
        let value = strict_json::parse(body)
            .map_err(|e| BodyError::Unclear(format!("line {}, column {}", e.line(), e.column())))?;
        let Value::Object(members) = value else {
            return Err(BodyError::Unclear("it is no object".into()));
        };
        for (name, bounds) in &self.0 {
            // Some servers match member names without regard to case (Go's encoding/json does, by Unicode), and
            // ProtoJSON takes a field by its lowerCamelCase name and by its own.
            if members.keys().any(|key| key != name && folded(key) == folded(name)) {
                return Err(BodyError::Unclear(format!("{name:?} in another spelling")));
            }
            let value = members.get(name).ok_or_else(|| BodyError::Missing(name.clone()))?;
            if !bounds.iter().all(|bound| bound.holds(value)) {
                return Err(BodyError::Outside(name.clone()));
            }
        }
        Ok(())
    }
}

/// The name as a reader sees it that knows neither case nor `_` and `-`: U+017F and U+212A are the only other
/// characters that fold to ASCII letters (Unicode CaseFolding.txt), and Java's `equalsIgnoreCase` takes U+0130 and
/// U+0131 for an `i`.
fn folded(name: &str) -> String {
    let letters = name.chars().filter(|c| !matches!(c, '_' | '-'));
    let plain = letters.map(|c| match c {
        '\u{17f}' => 's',
        '\u{130}' | '\u{131}' => 'i',
        other => other,
    });
    plain.flat_map(char::to_lowercase).collect()
}

impl Bound {
    fn holds(&self, value: &Value) -> bool {
        match self {
            Self::OneOf(allowed) => allowed.contains(value),
            Self::Max(most) => value.as_f64().is_some_and(|number| (0.0..=*most).contains(&number)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn model() -> Bounds {
        Bounds::one("model", Bound::OneOf(vec!["small".into()])).and(&Bounds::one("max_tokens", Bound::Max(100.0)))
    }

    #[test]
    fn members_are_held_to_their_bounds() {
        let ok = br#"{"model":"small","max_tokens":100,"messages":[]}"#;
        assert_eq!(model().check(ok), Ok(()));
        for (body, why) in [
            (&br#"{"model":"large","max_tokens":1}"#[..], "other model"),
            (br#"{"model":"small","max_tokens":101}"#, "too many"),
            (br#"{"model":"small","max_tokens":-1}"#, "no limit at all"),
            (br#"{"model":"small"}"#, "missing"),
            (br#"{"model":"small","max_tokens":"1"}"#, "a string"),
            (br#"{"model":"large","model":"small","max_tokens":1}"#, "twice"),
            (br#"{"Model":"large","model":"small","max_tokens":1}"#, "another case"),
            (br#"{"mod\u0065l":"large","model":"small","max_tokens":1}"#, "escaped twin"),
            (
                br#"{"max_to\u212Aens":9999,"max_tokens":1,"model":"small"}"#,
                "another case to a reader that knows Unicode",
            ),
            (br#"{"maxTokens":9999,"max_tokens":1,"model":"small"}"#, "ProtoJSON's other name"),
            (br#"{"max-tokens":9999,"max_tokens":1,"model":"small"}"#, "a dash"),
            (br#"{"max_token\u017F":9999,"max_tokens":1,"model":"small"}"#, "the long s"),
            (br#"[{"model":"small"}]"#, "an array"),
            (br#"{"model":"small","max_tokens":1} {}"#, "two values"),
            (b"", "nothing"),
            (b"\x1f\x8b\x08", "gzip"),
        ] {
            assert!(model().check(body).is_err(), "{why}");
        }
        assert_eq!(model().check(&vec![b' '; MAX_BODY + 1]), Err(BodyError::TooLarge));
    }

    #[test]
    fn both_bounds_must_hold() {
        let both = Bounds::one("n", Bound::Max(5.0)).and(&Bounds::one("n", Bound::Max(3.0)));
        assert!(both.check(br#"{"n":4}"#).is_err());
        assert!(both.check(br#"{"n":3}"#).is_ok());
        let one = Bounds::one("limit", Bound::Max(5.0));
        for twin in [r#"{"limit":1,"l\u0131mit":99}"#, r#"{"limit":1,"L\u0130MIT":99}"#] {
            assert!(one.check(twin.as_bytes()).is_err(), "{twin}");
        }
    }

    proptest! {
        #[test]
        fn no_body_panics(body: Vec<u8>) {
            let _ = model().check(&body);
        }
    }
}
