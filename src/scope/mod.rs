//! Scopes and resources, and when one contains another.
//!
//! Owns the lattice. Both are paths of segments (`issues:read`, `acme/web`) in which a last `*`
//! stands for everything below; containment is a partial order and any two patterns are either
//! nested or disjoint, so "narrower" always has one answer. Words: RFC 6749 section 3.3 (scope),
//! RFC 8707 (resource).

mod wanted;

use std::{collections::BTreeSet, fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

pub use wanted::{Wanted, any_resource};

/// The longest scope or resource that is accepted, in bytes.
pub const MAX_LENGTH: usize = 256;
/// The most scopes or resources that one request may name.
pub const MAX_COUNT: usize = 64;

/// What may be done, such as `chat`, `issues:read` or `issues:*`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Scope(Pattern);

/// What it may be done to, such as `acme/web`, `acme/*` or `*`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Resource(Pattern);

/// Scopes of one request, grant or lease; kept minimal (none contains another).
pub type ScopeSet = PatternSet<Scope>;
/// Resources of one request, grant or lease; kept minimal (none contains another).
pub type ResourceSet = PatternSet<Resource>;

/// Why a text is no scope or resource.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScopeError {
    /// Nothing, or nothing between two separators, or a dot segment.
    #[error("{what} {text:?} has a part that is empty, `.` or `..`; write it like {example}")]
    Empty {
        /// `scope` or `resource`.
        what: &'static str,
        /// The text, shortened.
        text: String,
        /// A text that would do.
        example: &'static str,
    },
    /// A character that has no place in it.
    #[error("{what} {text:?} has a character that is not allowed ({found:?}); letters, digits and {allowed} are")]
    Character {
        /// `scope` or `resource`.
        what: &'static str,
        /// The text, shortened.
        text: String,
        /// The first such character.
        found: char,
        /// The others that are allowed.
        allowed: &'static str,
    },
    /// A `*` that is not a whole last part.
    #[error("{what} {text:?} has a * in the middle; a * may only be the whole last part, like {example}")]
    Star {
        /// `scope` or `resource`.
        what: &'static str,
        /// The text, shortened.
        text: String,
        /// A text that would do.
        example: &'static str,
    },
    /// Too long, or too many.
    #[error("a {what} may be {MAX_LENGTH} bytes long, and a request may name {MAX_COUNT} of them")]
    TooMuch {
        /// `scope` or `resource`.
        what: &'static str,
    },
    /// `ISSUER:SCOPE@RESOURCE` without its issuer or scope.
    #[error(
        "{text:?} does not say which issuer and which scope; write ISSUER:SCOPE or ISSUER:SCOPE@RESOURCE, like github:issues:read@acme/web"
    )]
    Request {
        /// The text, shortened.
        text: String,
    },
}

/// What the two kinds of pattern have in common.
pub trait Contains {
    /// True when everything that `other` stands for, `self` stands for too.
    fn contains(&self, other: &Self) -> bool;
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Pattern {
    /// The whole text without a last `*` part.
    stem: String,
    /// It ended in `*`: everything below the stem.
    open: bool,
    separator: char,
}

impl Pattern {
    fn contains(&self, other: &Self) -> bool {
        if !self.open {
            return !other.open && self.stem == other.stem;
        }
        if self.stem.is_empty() {
            return true;
        }
        match other.stem.strip_prefix(self.stem.as_str()) {
            Some("") => other.open,
            Some(rest) => rest.starts_with(self.separator),
            None => false,
        }
    }

    fn parse(text: &str, kind: &Kind) -> Result<Self, ScopeError> {
        let what = kind.what;
        if text.len() > MAX_LENGTH {
            return Err(ScopeError::TooMuch { what });
        }
        let (stem, open) = match text.strip_suffix('*') {
            Some("") => ("", true),
            Some(stem) => match stem.strip_suffix(kind.separator) {
                Some(stem) => (stem, true),
                None => return Err(ScopeError::Star { what, text: text.into(), example: kind.example }),
            },
            None => (text, false),
        };
        if stem.contains('*') {
            return Err(ScopeError::Star { what, text: text.into(), example: kind.example });
        }
        let whole = open && stem.is_empty();
        if !whole && stem.split(kind.separator).any(str::is_empty) {
            return Err(ScopeError::Empty { what, text: text.into(), example: kind.example });
        }
        let odd = |c: &char| !(c.is_ascii_alphanumeric() || kind.allowed.contains(*c) || *c == kind.separator);
        if let Some(found) = stem.chars().find(odd) {
            return Err(ScopeError::Character { what, text: text.into(), found, allowed: kind.allowed });
        }
        if kind.separator == '/' && stem.split('/').any(|part| part == "." || part == "..") {
            return Err(ScopeError::Empty { what, text: text.into(), example: kind.example });
        }
        Ok(Self { stem: stem.into(), open, separator: kind.separator })
    }

    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.stem)?;
        match (self.open, self.stem.is_empty()) {
            (true, true) => f.write_str("*"),
            (true, false) => write!(f, "{}*", self.separator),
            (false, _) => Ok(()),
        }
    }
}

struct Kind {
    what: &'static str,
    separator: char,
    allowed: &'static str,
    example: &'static str,
}

const SCOPE: Kind = Kind { what: "scope", separator: ':', allowed: "_.-", example: "issues:read or issues:*" };
const RESOURCE: Kind = Kind { what: "resource", separator: '/', allowed: "_.-@~+=:$", example: "acme/web or acme/*" };

macro_rules! pattern_type {
    ($name:ident, $kind:expr) => {
        impl FromStr for $name {
            type Err = ScopeError;
            fn from_str(text: &str) -> Result<Self, ScopeError> {
                Pattern::parse(text, &$kind).map(Self)
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.write(f)
            }
        }
        impl Contains for $name {
            fn contains(&self, other: &Self) -> bool {
                self.0.contains(&other.0)
            }
        }
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                String::deserialize(d)?.parse().map_err(D::Error::custom)
            }
        }
        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "minLength": 1, "maxLength": MAX_LENGTH,
                    "examples": [$kind.example.split(' ').next().unwrap_or("*")] })
            }
        }
    };
}
pattern_type!(Scope, SCOPE);
pattern_type!(Resource, RESOURCE);

impl Resource {
    /// `*`: every resource of the issuer.
    pub fn any() -> Self {
        Self(Pattern { stem: String::new(), open: true, separator: '/' })
    }
}

/// A minimal set of patterns: none of its members contains another.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct PatternSet<P: Ord>(BTreeSet<P>);

impl<P: Ord> Default for PatternSet<P> {
    fn default() -> Self {
        Self(BTreeSet::new())
    }
}

impl<P: Ord + Contains + Clone> PatternSet<P> {
    /// The minimal set of these patterns.
    pub fn new(patterns: impl IntoIterator<Item = P>) -> Self {
        let all: BTreeSet<P> = patterns.into_iter().collect();
        let covered = |p: &P| all.iter().any(|q| q != p && q.contains(p));
        Self(all.iter().filter(|p| !covered(p)).cloned().collect())
    }

    /// True when each member of `other` is inside some member of `self`.
    pub fn contains(&self, other: &Self) -> bool {
        other.0.iter().all(|p| self.contains_one(p))
    }

    /// True when `one` is inside some member.
    pub fn contains_one(&self, one: &P) -> bool {
        self.0.iter().any(|q| q.contains(one))
    }

    /// What both sets stand for: the narrower of each nested pair.
    pub fn meet(&self, other: &Self) -> Self {
        let narrower = |p: &P, q: &P| match (p.contains(q), q.contains(p)) {
            (true, _) => Some(q.clone()),
            (_, true) => Some(p.clone()),
            _ => None,
        };
        Self::new(self.0.iter().flat_map(|p| other.0.iter().filter_map(move |q| narrower(p, q))))
    }

    /// The members, in order.
    pub fn iter(&self) -> impl Iterator<Item = &P> {
        self.0.iter()
    }

    /// How many members there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True when it stands for nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<P: Ord + fmt::Display> fmt::Display for PatternSet<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, p) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            write!(f, "{p}")?;
        }
        Ok(())
    }
}

impl<'de, P: Deserialize<'de> + Ord + Contains + Clone> Deserialize<'de> for PatternSet<P> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let all = Vec::<P>::deserialize(d)?;
        if all.len() > MAX_COUNT {
            return Err(D::Error::custom(format!("more than {MAX_COUNT} scopes or resources in one list")));
        }
        Ok(Self::new(all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn scope() -> impl Strategy<Value = Scope> {
        (prop::collection::vec("[ab]", 0..3), any::<bool>()).prop_map(|(parts, open)| {
            let mut parts = parts;
            if open || parts.is_empty() {
                parts.push("*".into());
            }
            parts.join(":").parse().unwrap()
        })
    }

    fn set() -> impl Strategy<Value = ScopeSet> {
        prop::collection::vec(scope(), 0..4).prop_map(ScopeSet::new)
    }

    proptest! {
        #[test]
        fn containment_is_a_partial_order(a in scope(), b in scope(), c in scope()) {
            prop_assert!(a.contains(&a));
            if a.contains(&b) && b.contains(&a) { prop_assert_eq!(&a, &b); }
            if a.contains(&b) && b.contains(&c) { prop_assert!(a.contains(&c)); }
        }

        #[test]
        fn sets_are_ordered_too_and_meet_is_their_greatest_lower_bound(a in set(), b in set(), c in set()) {
            prop_assert!(a.contains(&a));
            if a.contains(&b) && b.contains(&a) { prop_assert_eq!(&a, &b); }
            if a.contains(&b) && b.contains(&c) { prop_assert!(a.contains(&c)); }
            let meet = a.meet(&b);
            prop_assert!(a.contains(&meet) && b.contains(&meet));
            prop_assert_eq!(&meet, &b.meet(&a));
            if a.contains(&c) && b.contains(&c) { prop_assert!(meet.contains(&c)); }
        }

        #[test]
        fn what_is_written_reads_back(a in set(), b in scope()) {
            prop_assert_eq!(&b.to_string().parse::<Scope>().unwrap(), &b);
            if !a.is_empty() {
                let wanted = Wanted { issuer: "x".into(), scopes: a, resources: any_resource() };
                prop_assert_eq!(wanted.to_string().parse::<Wanted>().unwrap(), wanted);
            }
        }

        #[test]
        fn no_text_panics(text in ".{0,300}") {
            let _ = text.parse::<Scope>();
            let _ = text.parse::<Resource>();
            let _ = text.parse::<Wanted>();
        }
    }

    #[test]
    fn the_written_forms() {
        let wanted: Wanted = "github:issues:read@acme/web".parse().unwrap();
        assert_eq!(wanted.issuer, "github");
        assert_eq!(wanted.to_string(), "github:issues:read@acme/web");
        assert_eq!("openai:chat,embeddings".parse::<Wanted>().unwrap().scopes.len(), 2);
        for bad in ["", "github", ":x", "x:", "x:a**", "x:*a", "x:a::b", "x:a@", "x:a@../b", "x:a b", "x:é"] {
            assert!(bad.parse::<Wanted>().is_err(), "{bad:?} was taken");
        }
        let all: Resource = "acme/*".parse().unwrap();
        assert!(all.contains(&"acme/web".parse().unwrap()));
        assert!(!all.contains(&"acme-evil/web".parse().unwrap()));
        assert!(!all.contains(&"acme".parse().unwrap()));
    }
}
