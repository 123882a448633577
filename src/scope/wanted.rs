//! `ISSUER:SCOPE@RESOURCE`: what is asked for, granted or leased, in one value.
//!
//! Owns the written form and the containment of whole requests. Pure, like the rest of `scope`.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{Resource, ResourceSet, ScopeError, ScopeSet};

/// `ISSUER:SCOPE[,SCOPE...][@RESOURCE[,RESOURCE...]]`: how a person writes what is wanted.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// The issuer's name.
    pub issuer: String,
    /// What is to be done.
    pub scopes: ScopeSet,
    /// To what; every resource of the issuer (`*`) where nothing is said.
    #[serde(default = "any_resource")]
    pub resources: ResourceSet,
}

impl Wanted {
    /// True when everything that `other` wants is inside this.
    pub fn contains(&self, other: &Self) -> bool {
        self.issuer == other.issuer && self.scopes.contains(&other.scopes) && self.resources.contains(&other.resources)
    }
}

/// The set that stands for every resource.
pub fn any_resource() -> ResourceSet {
    ResourceSet::new([Resource::any()])
}

impl FromStr for Wanted {
    type Err = ScopeError;
    fn from_str(text: &str) -> Result<Self, ScopeError> {
        let unclear = || ScopeError::Request { text: text.chars().take(80).collect() };
        let (left, resources) = match text.split_once('@') {
            Some((left, right)) => {
                (left, ResourceSet::new(right.split(',').map(str::parse).collect::<Result<Vec<_>, _>>()?))
            }
            None => (text, any_resource()),
        };
        let (issuer, scopes) = left.split_once(':').ok_or_else(unclear)?;
        if !crate::principal::is_name(issuer) || scopes.is_empty() {
            return Err(unclear());
        }
        let scopes = ScopeSet::new(scopes.split(',').map(str::parse).collect::<Result<Vec<_>, _>>()?);
        Ok(Self { issuer: issuer.into(), scopes, resources })
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.issuer, self.scopes)?;
        if self.resources == any_resource() { Ok(()) } else { write!(f, "@{}", self.resources) }
    }
}
