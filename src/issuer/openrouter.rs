//! OpenRouter's workload identity federation: a token that stands for one of the organization's API keys.
//!
//! Owns the request (RFC 8693's exchange, as a form). The token lives for at most 15 minutes, and no longer than the assertion.
//! Which key it stands for, the policy at OpenRouter says.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    Credential, Draw, Failure, Issued, Issuer, Limits, Narrowed, Next, Order, Proof,
    assertion::{es256, is_es256},
    federation,
    form::Form,
    jws::Algorithm,
};
use crate::scope::{Scope, Wanted};

/// Where the exchange is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "OpenRouterSettings")]
pub struct Settings {
    /// What the policy gives, by a name of your own: the server is not asked for it.
    #[serde(default = "api", skip_serializing_if = "is_api")]
    pub scope: String,
    /// The audience of the policy.
    #[serde(default = "usual_audience", skip_serializing_if = "is_usual_audience")]
    pub audience: String,
    /// The exchange's URL.
    #[serde(default = "public", skip_serializing_if = "is_public")]
    pub token_url: String,
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
    vec!["OPENROUTER_API_KEY".into()]
}

fn is_usual(names: &Vec<String>) -> bool {
    *names == variables()
}

fn api() -> String {
    "api".into()
}

fn is_api(text: &String) -> bool {
    *text == api()
}

fn usual_audience() -> String {
    "https://openrouter.ai/api/v1".into()
}

fn is_usual_audience(text: &String) -> bool {
    *text == usual_audience()
}

fn public() -> String {
    "https://openrouter.ai/api/v1/oauth/token".into()
}

fn is_public(text: &String) -> bool {
    *text == public()
}

/// The longest life of a token.
const MOST: Duration = Duration::from_secs(900);

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
        vec![("token_url", &self.token_url)]
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
        let life = i64::try_from(order.ttl.min(MOST).as_secs()).unwrap_or(0).max(1);
        let jwt = credential.assertion(&order, &self.audience, life, self.alg, draw)?;
        let mut form = Form::default();
        form.add("grant_type", b"urn:ietf:params:oauth:grant-type:token-exchange");
        form.add("subject_token", jwt.as_bytes());
        form.add("subject_token_type", b"urn:ietf:params:oauth:token-type:jwt");
        let call = federation::post_form(&self.token_url, self.allow_private, form)?;
        Ok(Next::call(call, |answer, draw| federation::access_token(answer, draw.now_ms, |_| Ok(())).map(Next::Done)))
    }
}
