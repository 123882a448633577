//! Assertions of this device for one audience, handed out as they are: what a vendor's own SDK exchanges by itself.
//!
//! Owns nothing but the claims' life: no server is asked. A JWT (RFC 7519) tells whom it is about, and what that is worth is
//! the audience's to say. None can be taken back, so that they live for minutes.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    Credential, Draw, Failure, Issued, Issuer, Limits, Narrowed, Next, Order, Proof, federation, jws::Algorithm,
};
use crate::{
    scope::{Scope, Wanted},
    secret::Secret,
};

/// The one thing that an assertion does.
const SCOPE: &str = "assert";
/// The longest life.
const MOST: Duration = Duration::from_secs(3600);

/// For whom they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "AssertionSettings")]
pub struct Settings {
    /// Who is to believe them (`aud`).
    pub audience: String,
    /// How they are signed.
    #[serde(default = "es256", skip_serializing_if = "is_es256")]
    pub alg: Algorithm,
    /// The variables that tools read the assertion from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
}

/// What signs where nothing is said.
pub(super) fn es256() -> Algorithm {
    Algorithm::ES256
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde's form
pub(super) fn is_es256(alg: &Algorithm) -> bool {
    *alg == Algorithm::ES256
}

impl Issuer for Settings {
    fn limits(&self) -> Limits {
        Limits {
            least: None,
            most: Some(MOST),
            revocable: false,
            scope: Narrowed::Issuer,
            resource: Narrowed::Issuer,
            life: Narrowed::Token,
        }
    }

    fn proof(&self) -> Proof {
        Proof::Device
    }

    fn urls(&self) -> Vec<(&'static str, &str)> {
        Vec::new()
    }

    fn allow_private(&self) -> bool {
        false
    }

    fn flaw(&self) -> Option<String> {
        self.audience.is_empty().then(|| "audience: nobody is none".into())
    }

    fn check(&self, what: &Wanted) -> Result<(), Failure> {
        federation::only(what, SCOPE)
    }

    fn scopes(&self) -> Vec<Scope> {
        SCOPE.parse().into_iter().collect()
    }

    fn variables(&self) -> &[String] {
        &self.env
    }

    fn mint<'a>(
        &'a self,
        order: Order<'a>,
        credential: &'a Credential,
        draw: &Draw,
    ) -> Result<Next<'a, Issued>, Failure> {
        let life = i64::try_from(order.ttl.min(MOST).as_secs()).unwrap_or(0).max(1);
        let jwt = credential.assertion(&order, &self.audience, life, self.alg, draw)?;
        Ok(Next::Done(Issued::token(Secret::take_string(jwt), draw.now_ms.saturating_add(life * 1000))))
    }
}
