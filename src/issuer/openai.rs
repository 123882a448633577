//! OpenAI's workload identity federation: a token of one service account by an assertion of this device.
//!
//! Owns the request (RFC 8693's exchange, as JSON). Sources:
//! <https://developers.openai.com/api/reference/workload-identity-federation>, PyPI openai 3.54.0 `auth/_workload.py`. What the
//! token may do is the service account's and the mapping's to say; the answer does not repeat it.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    Credential, Draw, Failure, Issued, Issuer, Limits, Narrowed, Next, Order, Proof,
    assertion::{es256, is_es256},
    federation,
    jws::Algorithm,
};
use crate::scope::{Scope, Wanted};

/// Which provider, and whose token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "OpenAiSettings")]
pub struct Settings {
    /// The workload identity provider.
    pub identity_provider_id: String,
    /// The service account.
    pub service_account_id: String,
    /// What the mapping gives, by a name of your own: the server is not asked for it.
    #[serde(default = "api", skip_serializing_if = "is_api")]
    pub scope: String,
    /// The audience of the provider.
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
    vec!["OPENAI_API_KEY".into()]
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
    "https://api.openai.com/v1".into()
}

fn is_usual_audience(text: &String) -> bool {
    *text == usual_audience()
}

fn public() -> String {
    "https://auth.openai.com/oauth/token".into()
}

fn is_public(text: &String) -> bool {
    *text == public()
}

impl Issuer for Settings {
    fn limits(&self) -> Limits {
        Limits {
            least: None,
            most: None,
            revocable: false,
            scope: Narrowed::Issuer,
            resource: Narrowed::Issuer,
            life: Narrowed::Issuer,
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
        let jwt = credential.assertion(&order, &self.audience, federation::ASSERTION_LIFE, self.alg, draw)?;
        let body = json!({
            "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange", "subject_token": jwt,
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "identity_provider_id": self.identity_provider_id, "service_account_id": self.service_account_id,
        });
        let call = federation::post_json(&self.token_url, self.allow_private, &body, &[])?;
        Ok(Next::call(call, |answer, draw| federation::access_token(answer, draw.now_ms, |_| Ok(())).map(Next::Done)))
    }
}
