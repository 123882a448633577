//! Google Cloud's workload identity federation: an assertion of this device, exchanged for a token.
//!
//! Owns the three calls: the exchange at the Security Token Service, the impersonation of a service account with a life of its
//! own, and the boundary that holds a token to named buckets. Each is only made where it is needed. None can be ended early.
//! Sources: Google's discovery documents sts v1 (20261028) and iamcredentials v1 (20260630);
//! <https://docs.cloud.google.com/iam/docs/downscoping-short-lived-credentials>.

use std::{collections::BTreeMap, sync::LazyLock, time::Duration};

use bytes::Bytes;
use http::{Response, StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Call, Credential, Draw, Failure, Issued, Issuer, Limits, Narrowed, Next, Order, Proof,
    answer::{self, is_bearer, text, unreadable},
    federation::{self, sensitive},
    form::Form,
    jws::Algorithm,
};
use crate::{
    scope::{Scope, Wanted, any_resource},
    secret::Secret,
};

/// The longest life of an impersonated token without a policy of the organization's.
const MOST: Duration = Duration::from_secs(3600);
/// The most rules of a boundary.
const RULES: usize = 10;
/// The scope for the first exchange where a service account is impersonated after it.
const IAM: &str = "https://www.googleapis.com/auth/iam";
/// A token's type.
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

/// Which provider, and whose token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "GcpSettings")]
pub struct Settings {
    /// The provider: `//iam.googleapis.com/projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/PROVIDER`.
    pub audience: String,
    /// The service account that is impersonated, by its address; without one the token is the federated identity's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account: Option<String>,
    /// The project that is billed, where Google asks for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_project: Option<String>,
    /// The Security Token Service.
    #[serde(default = "sts", skip_serializing_if = "is_sts")]
    pub sts_url: String,
    /// The service that impersonates.
    #[serde(default = "iam", skip_serializing_if = "is_iam")]
    pub iam_url: String,
    /// How this device's assertions are signed.
    #[serde(default = "super::assertion::es256", skip_serializing_if = "super::assertion::is_es256")]
    pub alg: Algorithm,
    /// The variables that tools read the token from.
    #[serde(default = "variables", skip_serializing_if = "is_usual")]
    pub env: Vec<String>,
    /// The server may be on this machine or in this network, also over plain http.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_private: bool,
}

/// The variable that gcloud reads a token from.
pub fn variables() -> Vec<String> {
    vec!["CLOUDSDK_AUTH_ACCESS_TOKEN".into()]
}

fn is_usual(names: &Vec<String>) -> bool {
    *names == variables()
}

/// Google's own.
pub fn sts() -> String {
    "https://sts.googleapis.com/v1/token".into()
}

fn is_sts(url: &String) -> bool {
    *url == sts()
}

/// Google's own.
pub fn iam() -> String {
    "https://iamcredentials.googleapis.com".into()
}

fn is_iam(url: &String) -> bool {
    *url == iam()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Preset {
    oauth: String,
    #[serde(default)]
    role: Option<String>,
}

static PRESETS: LazyLock<BTreeMap<String, Preset>> =
    LazyLock::new(|| toml::from_str(include_str!("../../data/scopes/gcp.toml")).unwrap_or_default());

impl Issuer for Settings {
    fn limits(&self) -> Limits {
        Limits {
            least: None,
            most: Some(MOST),
            revocable: false,
            scope: Narrowed::Token,
            resource: Narrowed::Token,
            life: if self.service_account.is_some() { Narrowed::Token } else { Narrowed::Issuer },
        }
    }

    fn proof(&self) -> Proof {
        Proof::Device
    }

    fn urls(&self) -> Vec<(&'static str, &str)> {
        vec![("sts_url", &self.sts_url), ("iam_url", &self.iam_url)]
    }

    fn allow_private(&self) -> bool {
        self.allow_private
    }

    fn flaw(&self) -> Option<String> {
        let account = |c: char| c.is_ascii_alphanumeric() || "-.@_".contains(c);
        if !self.audience.starts_with("//iam.googleapis.com/") {
            return Some("audience begins with //iam.googleapis.com/projects/".into());
        }
        let odd = self.service_account.as_ref().is_some_and(|name| !name.contains('@') || !name.chars().all(account));
        odd.then(|| "service_account is no address of one".into())
    }

    fn check(&self, what: &Wanted) -> Result<(), Failure> {
        presets(what)?;
        boundary(what).map(drop)
    }

    fn scopes(&self) -> Vec<Scope> {
        PRESETS.keys().filter_map(|name| name.parse().ok()).collect()
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
        let scopes: Vec<&str> = presets(order.what)?.into_iter().map(|preset| preset.oauth.as_str()).collect();
        let jwt = credential.assertion(
            &order,
            &format!("https:{}", self.audience),
            federation::ASSERTION_LIFE,
            self.alg,
            draw,
        )?;
        let first = if self.service_account.is_some() { IAM.to_owned() } else { scopes.join(" ") };
        let call = self.exchange(jwt.as_bytes(), "urn:ietf:params:oauth:token-type:jwt", &first, None)?;
        Ok(Next::call(call, move |answer, draw| {
            let federated = federation::access_token(answer, draw.now_ms, |_| Ok(()))?;
            match &self.service_account {
                None => self.bounded(order, federated),
                Some(account) => {
                    let call = self.impersonate(account, &federated.token, &scopes, order.ttl.min(MOST))?;
                    Ok(Next::call(call, move |answer, draw| self.bounded(order, impersonated(answer, draw)?)))
                }
            }
        }))
    }
}

impl Settings {
    /// The exchange of RFC 8693.
    fn exchange(&self, token: &[u8], kind: &str, scope: &str, boundary: Option<&Value>) -> Result<Call, Failure> {
        let mut form = Form::default();
        form.add("grant_type", b"urn:ietf:params:oauth:grant-type:token-exchange");
        form.add("requested_token_type", ACCESS_TOKEN.as_bytes());
        form.add("subject_token", token);
        form.add("subject_token_type", kind.as_bytes());
        let mut options = serde_json::Map::new();
        if let Some(boundary) = boundary {
            options.insert("accessBoundary".into(), boundary.clone());
        } else {
            form.add("audience", self.audience.as_bytes());
            form.add("scope", scope.as_bytes());
            if let Some(project) = &self.user_project {
                options.insert("userProject".into(), project.as_str().into());
            }
        }
        if !options.is_empty() {
            form.add("options", Value::Object(options).to_string().as_bytes());
        }
        federation::post_form(&self.sts_url, self.allow_private, form)
    }

    fn impersonate(&self, account: &str, token: &Secret, scopes: &[&str], ttl: Duration) -> Result<Call, Failure> {
        let path = format!("/v1/projects/-/serviceAccounts/{account}:generateAccessToken");
        let body = json!({ "scope": scopes, "lifetime": format!("{}s", ttl.as_secs().max(1)) });
        let bearer = [(header::AUTHORIZATION, sensitive(&[b"Bearer ", token.expose()].concat())?)];
        let body = body.to_string().into();
        federation::post_below(&self.iam_url, &path, self.allow_private, "application/json", body, &bearer)
    }

    /// The token, held to the buckets that were asked for.
    fn bounded<'a>(&'a self, order: Order<'a>, issued: Issued) -> Result<Next<'a, Issued>, Failure> {
        let Some(boundary) = boundary(order.what)? else { return Ok(Next::Done(issued)) };
        let call = self.exchange(issued.token.expose(), ACCESS_TOKEN, "", Some(&boundary))?;
        Ok(Next::call(call, move |answer, draw| {
            if answer.status() != StatusCode::OK {
                return Err(federation::refusal(answer));
            }
            // It ends with the one that it was made of, where nothing is said.
            let says_end = answer::object(answer)?.contains_key("expires_in");
            if says_end {
                return federation::access_token(answer, draw.now_ms, |_| Ok(())).map(Next::Done);
            }
            let members = answer::object(answer)?;
            let token = text(&members, "access_token").filter(|token| is_bearer(token));
            let token = Secret::take_string(token.ok_or_else(|| unreadable("it holds no token"))?.to_owned());
            Ok(Next::Done(Issued::token(token, issued.ends_ms)))
        }))
    }
}

fn impersonated(answer: &Response<Bytes>, draw: &Draw) -> Result<Issued, Failure> {
    if answer.status() != StatusCode::OK {
        return Err(match answer.status() {
            StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => Failure::Administrator(
                "this device's principal may not impersonate the service account: it needs \
                 roles/iam.workloadIdentityUser on it"
                    .into(),
            ),
            StatusCode::BAD_REQUEST => Failure::Administrator(
                "the life is longer than the organization's policy allows, or a scope is none".into(),
            ),
            _ => federation::refusal(answer),
        });
    }
    let members = answer::object(answer)?;
    let token = text(&members, "accessToken").filter(|token| is_bearer(token));
    let token = Secret::take_string(token.ok_or_else(|| unreadable("it holds no token"))?.to_owned());
    match federation::until(text(&members, "expireTime"), draw.now_ms) {
        Ok(ends_ms) => Ok(Issued::token(token, ends_ms)),
        Err(what) => Err(Failure::Answer { what, token: Some(token) }),
    }
}

fn presets(what: &Wanted) -> Result<Vec<&'static Preset>, Failure> {
    let of = |scope: &Scope| {
        let known = PRESETS.get(&scope.to_string());
        known.ok_or_else(|| Failure::Narrow(format!("{scope} is none of its scopes; name them one by one")))
    };
    what.scopes.iter().map(of).collect()
}

/// The boundary for the buckets that are named: `BUCKET`, or `BUCKET/PREFIX/*` for what begins so.
fn boundary(what: &Wanted) -> Result<Option<Value>, Failure> {
    if what.resources == any_resource() {
        return Ok(None);
    }
    let mut rules = Vec::new();
    let presets = presets(what)?;
    for resource in what.resources.iter() {
        let text = resource.to_string();
        let path = text.strip_suffix("/*").unwrap_or(&text);
        let (bucket, prefix) = path.split_once('/').map_or((path, None), |(bucket, prefix)| (bucket, Some(prefix)));
        let plain = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._/".contains(&b));
        if bucket.is_empty() || !plain(path) || (prefix.is_some() && path.len() == text.len()) {
            return Err(Failure::Narrow(format!(
                "{text} is no bucket; write BUCKET, or BUCKET/FOLDER/* for what is below"
            )));
        }
        for preset in &presets {
            let role = preset.role.as_ref().ok_or_else(|| {
                Failure::Narrow("only storage scopes can be narrowed to a resource, which is a bucket".into())
            })?;
            let mut rule = json!({
                "availableResource": format!("//storage.googleapis.com/projects/_/buckets/{bucket}"),
                "availablePermissions": [format!("inRole:{role}")],
            });
            if let (Some(prefix), Some(members)) = (prefix, rule.as_object_mut()) {
                let below = format!("projects/_/buckets/{bucket}/objects/{prefix}/");
                let expression = format!("resource.name.startsWith('{below}')");
                members.insert("availabilityCondition".into(), json!({ "expression": expression }));
            }
            rules.push(rule);
        }
    }
    if rules.len() > RULES {
        return Err(Failure::Narrow(format!(
            "a token can be held to {RULES} buckets or folders; ask for fewer at once"
        )));
    }
    Ok(Some(json!({ "accessBoundaryRules": rules })))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<Option<Value>, Failure> {
        boundary(&text.parse().unwrap())
    }

    #[test]
    fn a_boundary_holds_a_token_to_buckets_and_folders() {
        assert_eq!(PRESETS.len(), 8);
        assert_eq!(of("gcp:cloud:read").unwrap(), None);
        let made = of("gcp:storage:read@b1,b2/logs/*").unwrap().unwrap();
        let rules = made["accessBoundaryRules"].as_array().unwrap();
        assert_eq!(
            rules[0],
            json!({ "availableResource": "//storage.googleapis.com/projects/_/buckets/b1",
            "availablePermissions": ["inRole:roles/storage.objectViewer"] })
        );
        let condition = "resource.name.startsWith('projects/_/buckets/b2/objects/logs/')";
        assert_eq!(rules[1]["availabilityCondition"]["expression"], condition);
        for odd in [
            "gcp:cloud:read@b",
            "gcp:storage:read@b/file",
            "gcp:storage:read@b:x",
            "gcp:nothing@b",
            "gcp:storage:*@b",
            "gcp:storage:read@a,b,c,d,e,f,g,h,i,j,k",
        ] {
            assert!(matches!(of(odd), Err(Failure::Narrow(_))), "{odd}");
        }
    }
}
