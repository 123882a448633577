//! Anthropic's workload identity federation: a token for one workspace by an assertion of this device.
//!
//! Owns the request (RFC 7523's jwt-bearer, as JSON) and the life: the server gives a token twice the life that the assertion
//! has left, at least a minute and at most what the rule says. Sources:
//! <https://platform.claude.com/docs/en/build-with-claude/wif-reference>, PyPI anthropic 2.12.0 `lib/credentials`.

use std::time::Duration;

use http::{HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    Credential, Draw, Failure, Issued, Issuer, Limits, Narrowed, Next, Order, Proof,
    answer::text,
    assertion::{es256, is_es256},
    federation,
    jws::Algorithm,
};
use crate::scope::{Scope, Wanted};

/// Which rule, and what it leads to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "AnthropicSettings")]
pub struct Settings {
    /// The federation rule (`fdrl_...`).
    pub federation_rule_id: String,
    /// The organization's UUID.
    pub organization_id: String,
    /// The service account (`svac_...`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account_id: Option<String>,
    /// The workspace (`wrkspc_...` or `default`), where the rule has several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace_id: Option<String>,
    /// The scope of the rule: `workspace:inference` or `workspace:developer`.
    #[serde(default = "inference", skip_serializing_if = "is_inference")]
    pub scope: String,
    /// The audience of the rule.
    #[serde(default = "usual_audience", skip_serializing_if = "is_usual_audience")]
    pub audience: String,
    /// The API's URL.
    #[serde(default = "public", skip_serializing_if = "is_public")]
    pub base_url: String,
    /// How this device's assertions are signed.
    #[serde(default = "es256", skip_serializing_if = "is_es256")]
    pub alg: Algorithm,
    /// The variables that tools read the token from.
    #[serde(default = "variables", skip_serializing_if = "is_usual")]
    pub env: Vec<String>,
    /// The server may be on this machine or in this network, also over plain http.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_private: bool,
}

/// The variables that tools read the token from, where nothing is said.
pub fn variables() -> Vec<String> {
    vec!["ANTHROPIC_AUTH_TOKEN".into()]
}

fn is_usual(names: &Vec<String>) -> bool {
    *names == variables()
}

fn inference() -> String {
    "workspace:inference".into()
}

fn is_inference(text: &String) -> bool {
    *text == inference()
}

fn usual_audience() -> String {
    "https://api.anthropic.com".into()
}

fn is_usual_audience(text: &String) -> bool {
    *text == usual_audience()
}

fn public() -> String {
    "https://api.anthropic.com".into()
}

fn is_public(text: &String) -> bool {
    *text == public()
}

/// The shortest life of a token.
const LEAST: Duration = Duration::from_secs(60);
/// The longest life of an assertion, in seconds: what a federation issuer takes where its administrator says nothing.
const MOST_ASSERTED: i64 = 3540;
/// The versions of the API that the exchange is part of.
const BETA: &str = "oauth-2025-04-20,oidc-federation-2026-04-01";

impl Issuer for Settings {
    fn limits(&self) -> Limits {
        Limits {
            least: Some(LEAST),
            most: Some(Duration::from_secs(86400)),
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
        vec![("base_url", &self.base_url)]
    }

    fn allow_private(&self) -> bool {
        self.allow_private
    }

    fn check(&self, what: &Wanted) -> Result<(), Failure> {
        federation::only(what, &self.scope)
    }

    fn scopes(&self) -> Vec<Scope> {
        self.scope.parse().into_iter().collect()
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
        let least = LEAST.as_secs();
        let life = i64::try_from(order.ttl.as_secs().max(least).div_ceil(2)).unwrap_or(i64::MAX).min(MOST_ASSERTED);
        let jwt = credential.assertion(&order, &self.audience, life, self.alg, draw)?;
        let mut body = json!({
            "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": jwt,
            "federation_rule_id": self.federation_rule_id, "organization_id": self.organization_id,
        });
        for (name, value) in [("service_account_id", &self.service_account_id), ("workspace_id", &self.workspace_id)] {
            if let (Some(value), Some(members)) = (value, body.as_object_mut()) {
                members.insert(name.into(), value.as_str().into());
            }
        }
        let url = format!("{}/v1/oauth/token", self.base_url.trim_end_matches('/'));
        let beta = (HeaderName::from_static("anthropic-beta"), HeaderValue::from_static(BETA));
        let call = federation::post_json(&url, self.allow_private, &body, &[beta])?;
        Ok(Next::call(call, move |answer, draw| {
            let issued = federation::access_token(answer, draw.now_ms, |members| match text(members, "scope") {
                Some(scope) if scope == self.scope => Ok(()),
                Some(_) => Err("its scope is not the one that was asked for".into()),
                None => Err("the server does not say what it may do".into()),
            });
            issued.map(Next::Done)
        }))
    }
}
