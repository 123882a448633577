//! AWS: temporary credentials of a role or of an account's user.
//!
//! Owns the four ways to them, and the session policy that narrows what is assumed to what was asked for. None can be ended
//! early; the shortest life is 15 minutes. Sources: the STS API reference (2011-06-15) and botocore's model of it; the IAM
//! Roles Anywhere guide. Actions are AWS's own (`s3:GetObject`), resources are ARNs.

mod answer;
mod policy;
mod sign;

use std::time::Duration;

use http::Request;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    Call, Credential, Draw, Failure, Issued, Issuer, Limits, Narrowed, Next, Order, Proof, federation, form::Form,
    jws::Algorithm,
};
use crate::scope::{Scope, Wanted};

/// The shortest life of any of them.
const LEAST: Duration = Duration::from_secs(900);
/// The scope of those that cannot be narrowed.
const WHOLE: &str = "session";

/// Which role, and how it is come by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "AwsSettings")]
pub struct Settings {
    /// How.
    #[serde(default)]
    pub via: Via,
    /// The region whose STS, or Roles Anywhere, is asked.
    pub region: String,
    /// The role; none for `session-token`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role_arn: Option<String>,
    /// What the role's trust policy asks of a third party.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// Leaves out the owner as source identity and principal and task as tags, which the role's trust policy has to allow.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub untagged: bool,
    /// The audience of the OIDC provider, for `web-identity`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    /// The trust anchor, for `roles-anywhere`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust_anchor_arn: Option<String>,
    /// The profile, for `roles-anywhere`: its session policy is what narrows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile_arn: Option<String>,
    /// The key whose certificate proves this device, for `roles-anywhere`, or that signs, for `web-identity`.
    #[serde(default = "rs256", skip_serializing_if = "is_rs256")]
    pub alg: Algorithm,
    /// The server, where it is not AWS's own for the region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
    /// The variables that tools read the credentials from.
    #[serde(default = "variables", skip_serializing_if = "is_usual")]
    pub env: Vec<String>,
    /// The server may be on this machine or in this network, also over plain http.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_private: bool,
}

/// How credentials are come by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Via {
    /// `AssumeRole`, by an access key.
    #[default]
    AssumeRole,
    /// `AssumeRoleWithWebIdentity`, by an assertion of this device; AWS has to be able to fetch its JWKS.
    WebIdentity,
    /// `GetSessionToken`, by an access key: the same rights, for a while.
    SessionToken,
    /// IAM Roles Anywhere, by this device's certificate.
    RolesAnywhere,
}

/// The variables of AWS's SDKs.
pub fn variables() -> Vec<String> {
    ["AWS_SESSION_TOKEN", "AWS_ACCESS_KEY_ID=access_key_id", "AWS_SECRET_ACCESS_KEY=secret_access_key"]
        .map(Into::into)
        .into()
}

fn is_usual(names: &Vec<String>) -> bool {
    *names == variables()
}

/// What signs where nothing is said: what AWS takes everywhere.
fn rs256() -> Algorithm {
    Algorithm::RS256
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde's form
fn is_rs256(alg: &Algorithm) -> bool {
    *alg == rs256()
}

impl Issuer for Settings {
    fn limits(&self) -> Limits {
        let most = match self.via {
            Via::SessionToken => 129_600,
            _ => 43_200,
        };
        let by = if self.is_narrowed() { Narrowed::Token } else { Narrowed::Issuer };
        let by = if self.via == Via::SessionToken { Narrowed::Never } else { by };
        Limits {
            least: Some(LEAST),
            most: Some(Duration::from_secs(most)),
            revocable: false,
            scope: by,
            resource: by,
            life: Narrowed::Token,
        }
    }

    fn proof(&self) -> Proof {
        match self.via {
            Via::AssumeRole | Via::SessionToken => Proof::Stored,
            Via::WebIdentity | Via::RolesAnywhere => Proof::Device,
        }
    }

    fn urls(&self) -> Vec<(&'static str, &str)> {
        self.base_url.iter().map(|url| ("base_url", url.as_str())).collect()
    }

    fn server(&self) -> String {
        self.url(if self.via == Via::RolesAnywhere { "rolesanywhere" } else { "sts" })
    }

    fn allow_private(&self) -> bool {
        self.allow_private
    }

    fn flaw(&self) -> Option<String> {
        let arn = |text: &Option<String>| text.as_ref().is_some_and(|arn| arn.starts_with("arn:"));
        let region = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if self.region.is_empty() || !self.region.chars().all(region) {
            return Some("region is none; write it like eu-central-1".into());
        }
        let missing = match self.via {
            Via::SessionToken => None,
            _ if !arn(&self.role_arn) => Some("role_arn"),
            Via::WebIdentity if self.audience.is_none() => Some("audience"),
            Via::RolesAnywhere if !arn(&self.trust_anchor_arn) => Some("trust_anchor_arn"),
            Via::RolesAnywhere if !arn(&self.profile_arn) => Some("profile_arn"),
            _ => None,
        };
        missing.map(|name| format!("{name} is missing, or none"))
    }

    fn check(&self, what: &Wanted) -> Result<(), Failure> {
        if self.is_narrowed() { policy::of(what).map(drop) } else { federation::only(what, WHOLE) }
    }

    fn scopes(&self) -> Vec<Scope> {
        if self.is_narrowed() { Vec::new() } else { WHOLE.parse().into_iter().collect() }
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
        let life = self.limits().most.map_or(order.ttl, |most| order.ttl.min(most)).max(LEAST).as_secs();
        if self.via == Via::RolesAnywhere {
            let call = self.create_session(&order, credential, life, draw)?;
            let role = self.role_arn.as_deref().unwrap_or_default();
            return Ok(Next::call(call, move |answer, draw| {
                answer::of_roles_anywhere(answer, draw.now_ms, role).map(Next::Done)
            }));
        }
        let call = self.ask_sts(&order, credential, life, draw)?;
        Ok(Next::call(call, move |answer, draw| {
            answer::of_sts(answer, draw.now_ms, |text| self.judge(&order, text)).map(Next::Done)
        }))
    }
}

impl Settings {
    /// Whether a session policy narrows each token.
    fn is_narrowed(&self) -> bool {
        matches!(self.via, Via::AssumeRole | Via::WebIdentity)
    }

    fn url(&self, service: &str) -> String {
        let own = || format!("https://{service}.{}.amazonaws.com", self.region);
        self.base_url.as_ref().map_or_else(own, |url| url.trim_end_matches('/').to_owned())
    }

    /// A request to STS.
    fn ask_sts(&self, order: &Order<'_>, credential: &Credential, life: u64, draw: &Draw) -> Result<Call, Failure> {
        let mut form = Form::default();
        let mut add = |name: &str, value: &str| form.add(name, value.as_bytes());
        add("Version", "2011-06-15");
        add("DurationSeconds", &life.to_string());
        let action = match self.via {
            Via::SessionToken => "GetSessionToken",
            Via::WebIdentity => "AssumeRoleWithWebIdentity",
            Via::AssumeRole | Via::RolesAnywhere => "AssumeRole",
        };
        add("Action", action);
        if self.is_narrowed() {
            add("RoleArn", self.role_arn.as_deref().unwrap_or_default());
            add("RoleSessionName", &policy::session_name(order.who));
            add("Policy", &policy::of(order.what)?);
        }
        if self.via == Via::AssumeRole {
            if let Some(id) = &self.external_id {
                add("ExternalId", id);
            }
            if !self.untagged {
                add("SourceIdentity", &policy::name(&order.who.owner));
                for (n, (key, value)) in policy::tags(order.who).iter().enumerate() {
                    add(&format!("Tags.member.{}.Key", n + 1), key);
                    add(&format!("Tags.member.{}.Value", n + 1), value);
                }
            }
        }
        if self.via == Via::WebIdentity {
            let audience = self.audience.as_deref().unwrap_or_default();
            let jwt = credential.assertion(order, audience, federation::ASSERTION_LIFE, self.alg, draw)?;
            add("WebIdentityToken", &jwt);
        }
        let mut call = federation::post_form(&format!("{}/", self.url("sts")), self.allow_private, form)?;
        if self.via != Via::WebIdentity {
            let keys = sign::Keys::read(credential.stored()?)?;
            let host = host(&call.base_url).to_owned();
            let scope = sign::Scope { service: "sts", region: &self.region, host: &host, now_ms: draw.now_ms };
            sign::by_key(&mut call.request, &keys, &scope)?;
        }
        Ok(call)
    }

    /// A request to Roles Anywhere.
    fn create_session(
        &self,
        order: &Order<'_>,
        credential: &Credential,
        life: u64,
        draw: &Draw,
    ) -> Result<Call, Failure> {
        let device = credential.device()?;
        let said = |error: crate::identity::certificate::CertificateError| {
            Failure::Credential(format!("{error}; hallpass identity certificate --request"))
        };
        let chain = device.chain(self.alg, draw.now_ms).map_err(said)?;
        let signer = device.signer(self.alg).map_err(|error| Failure::Credential(error.to_string()))?;
        let encoded = |text: &Option<String>| {
            let text = text.as_deref().unwrap_or_default();
            percent_encoding::percent_encode(text.as_bytes(), UNRESERVED).to_string()
        };
        let query = format!(
            "profileArn={}&roleArn={}&trustAnchorArn={}",
            encoded(&self.profile_arn),
            encoded(&self.role_arn),
            encoded(&self.trust_anchor_arn)
        );
        let mut body = json!({ "durationSeconds": life });
        if let (false, Some(members)) = (self.untagged, body.as_object_mut()) {
            members.insert("roleSessionName".into(), policy::session_name(order.who).into());
        }
        let base_url = self.url("rolesanywhere");
        let mut request = Request::post(format!("/sessions?{query}"))
            .header(http::header::CONTENT_TYPE, "application/json")
            .body(body.to_string().into())
            .map_err(|_| Failure::Settings("its ARNs fit into no URL".into()))?;
        let host = host(&base_url).to_owned();
        let scope = sign::Scope { service: "rolesanywhere", region: &self.region, host: &host, now_ms: draw.now_ms };
        sign::by_certificate(&mut request, &signer, &chain, &scope)?;
        Ok(Call { base_url, allow_private: self.allow_private, request })
    }

    /// STS says whose credentials they are; what the policy left of the role it does not.
    fn judge(&self, order: &Order<'_>, text: &str) -> Result<(), String> {
        if !self.is_narrowed() {
            return Ok(());
        }
        let role = self.role_arn.as_deref().unwrap_or_default().rsplit('/').next().unwrap_or_default();
        let wanted = format!("assumed-role/{role}/{}", policy::session_name(order.who));
        let all: Vec<&str> = text.split("<Arn>").skip(1).filter_map(|rest| rest.split("</Arn>").next()).collect();
        if all.len() == 1 && all.iter().all(|arn| arn.trim().ends_with(&wanted)) {
            Ok(())
        } else {
            Err("it is of another role, or another session".into())
        }
    }
}

/// RFC 3986 section 2.3: what is not encoded.
const UNRESERVED: &percent_encoding::AsciiSet =
    &percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

fn host(url: &str) -> &str {
    url.split_once("://").map_or(url, |(_, rest)| rest.split('/').next().unwrap_or(rest))
}
