//! A GitHub App's installation tokens: for named repositories and named permissions, for one hour.
//!
//! Owns the App's own JWT, the request, and the comparison of what came with what was asked. It always sends both the
//! repositories and the permissions: without either GitHub gives everything that the installation has. Source:
//! <https://docs.github.com/rest/apps/apps#create-an-installation-access-token-for-an-app> and GitHub's OpenAPI
//! description.

use std::{collections::BTreeMap, sync::LazyLock, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header, request};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{
    Call, Credential, Draw, Failure, Issued, Issuer, Limits, Narrowed, Next, Order,
    answer::{self, is_bearer, text, unreadable},
    jws,
};
use crate::{
    scope::{Scope, Wanted},
    secret::Secret,
};

/// Every token lives for one hour.
const LIFE: Duration = Duration::from_secs(3600);
/// How far back an App's JWT is dated, and how long it holds, in seconds; GitHub takes at most ten minutes.
const BACK: i64 = 60;
const AHEAD: i64 = 300;
/// The most repositories that one request may name.
const MOST: usize = 500;

/// Which App, and which of its installations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "GithubAppSettings")]
pub struct Settings {
    /// The App's client id, or its number. Its private key, in PEM, is the credential.
    pub client_id: String,
    /// The installation's number: the last part of its settings page's address.
    pub installation_id: u64,
    /// The API's URL; a GitHub Enterprise Server's ends in `/api/v3`.
    #[serde(default = "public", skip_serializing_if = "is_public")]
    pub base_url: String,
    /// The variables that tools read the token from.
    #[serde(default = "variables", skip_serializing_if = "is_usual")]
    pub env: Vec<String>,
    /// The server may be on this machine or in this network, also over plain http.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_private: bool,
}

fn public() -> String {
    "https://api.github.com".into()
}

fn is_public(url: &String) -> bool {
    *url == public()
}

/// The variables that GitHub's tools read a token from.
pub fn variables() -> Vec<String> {
    vec!["GITHUB_TOKEN".into(), "GH_TOKEN".into()]
}

fn is_usual(names: &Vec<String>) -> bool {
    *names == variables()
}

/// The levels of each permission, the lowest first.
static PERMISSIONS: LazyLock<BTreeMap<String, Vec<String>>> = LazyLock::new(|| {
    #[derive(Deserialize)]
    struct File {
        permissions: BTreeMap<String, Vec<String>>,
    }
    let file: Result<File, _> = toml::from_str(include_str!("../../data/scopes/github-app.toml"));
    file.map(|file| file.permissions).unwrap_or_default()
});

impl Issuer for Settings {
    fn limits(&self) -> Limits {
        Limits {
            least: Some(LIFE),
            most: Some(LIFE),
            revocable: true,
            scope: Narrowed::Token,
            resource: Narrowed::Token,
            life: Narrowed::Never,
        }
    }

    fn urls(&self) -> Vec<(&'static str, &str)> {
        vec![("base_url", &self.base_url)]
    }

    fn allow_private(&self) -> bool {
        self.allow_private
    }

    fn check(&self, what: &Wanted) -> Result<(), Failure> {
        permissions(what)?;
        repositories(what).map(drop)
    }

    fn scopes(&self) -> Vec<Scope> {
        let levels = |(name, levels): (&String, &Vec<String>)| {
            levels.iter().map(|level| format!("{name}:{level}")).collect::<Vec<_>>()
        };
        PERMISSIONS.iter().flat_map(levels).filter_map(|name| name.parse().ok()).collect()
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
        let call = self.request(&order, credential.stored()?, draw)?;
        Ok(Next::call(call, move |answer, draw| self.read(&order, answer, draw).map(Next::Done)))
    }

    fn revoke<'a>(&'a self, token: &'a Secret, _: &'a Credential, _: &Draw) -> Result<Option<Next<'a, bool>>, Failure> {
        let call = self.call(Method::DELETE, "/installation/token", token.expose(), Bytes::new())?;
        // 401 is said of a token that works no more.
        let over =
            |answer: &Response<Bytes>| matches!(answer.status(), StatusCode::NO_CONTENT | StatusCode::UNAUTHORIZED);
        Ok(Some(Next::call(call, move |answer, _| Ok(Next::Done(over(answer))))))
    }
}

impl Settings {
    fn request(&self, order: &Order<'_>, key: &Secret, draw: &Draw) -> Result<Call, Failure> {
        let body = json!({ "repositories": repositories(order.what)?.1, "permissions": permissions(order.what)? });
        let now = draw.now_ms.div_euclid(1000);
        let claims =
            json!({ "iss": self.client_id, "iat": now.saturating_sub(BACK), "exp": now.saturating_add(AHEAD) });
        let jwt = jws::sign(key.expose(), None, &claims).map_err(|error| Failure::Credential(error.to_string()))?;
        let path = format!("/app/installations/{}/access_tokens", self.installation_id);
        self.call(Method::POST, &path, jwt.as_bytes(), body.to_string().into())
    }

    fn read(&self, order: &Order<'_>, answer: &Response<Bytes>, draw: &Draw) -> Result<Issued, Failure> {
        if answer.status() != StatusCode::CREATED {
            return Err(self.refusal(answer));
        }
        let members = answer::object(answer)?;
        let token = text(&members, "token").filter(|token| is_bearer(token));
        let token = Secret::take_string(token.ok_or_else(|| unreadable("it holds no token"))?.to_owned());
        match judge(order, &members, draw) {
            Ok(ends_ms) => Ok(Issued::token(token, ends_ms)),
            Err(what) => Err(Failure::Answer { what, token: Some(token) }),
        }
    }

    fn call(&self, method: Method, path: &str, bearer: &[u8], body: Bytes) -> Result<Call, Failure> {
        let odd = || Failure::Settings("its base_url is no https URL".into());
        let (base, prefix) = super::split_url(self.base_url.trim_end_matches('/')).ok_or_else(odd)?;
        let path = format!("{}{path}", prefix.trim_end_matches('/'));
        let mut value = HeaderValue::from_bytes(&[b"Bearer ", bearer].concat())
            .map_err(|_| Failure::Credential("it fits into no header".into()))?;
        value.set_sensitive(true);
        let typed = |request: request::Builder| {
            if body.is_empty() { request } else { request.header(header::CONTENT_TYPE, "application/json") }
        };
        let request = typed(Request::builder().method(method).uri(path))
            .header(header::AUTHORIZATION, value)
            .header(header::ACCEPT, "application/vnd.github+json")
            // GitHub refuses requests without one.
            .header(header::USER_AGENT, "hallpass")
            .header("x-github-api-version", "2022-11-28")
            .body(body.clone())
            .map_err(|_| odd())?;
        Ok(Call { base_url: base.to_owned(), allow_private: self.allow_private, request })
    }

    fn refusal(&self, answer: &Response<Bytes>) -> Failure {
        if let Some(later) = answer::later(answer) {
            return later;
        }
        match answer.status() {
            StatusCode::UNAUTHORIZED => {
                Failure::Credential("the App's key does not fit its client_id, or this machine's clock is off".into())
            }
            // Primary rate limits of GitHub come as 403 with nothing left.
            StatusCode::FORBIDDEN if answer.headers().get("x-ratelimit-remaining").is_some_and(|left| left == "0") => {
                Failure::Later { after: None, status: 403 }
            }
            StatusCode::FORBIDDEN => {
                Failure::Administrator("the installation is suspended, or the App may not do that".into())
            }
            StatusCode::NOT_FOUND => Failure::Settings(format!("the App has no installation {}", self.installation_id)),
            StatusCode::UNPROCESSABLE_ENTITY => Failure::Administrator(
                "the installation has not all of the permissions or repositories that were asked for".into(),
            ),
            other => Failure::Administrator(format!("it answered {other}")),
        }
    }
}

/// The permissions in GitHub's form; the highest level of each.
fn permissions(what: &Wanted) -> Result<BTreeMap<String, String>, Failure> {
    let mut all: BTreeMap<String, (usize, String)> = BTreeMap::new();
    for scope in what.scopes.iter() {
        let text = scope.to_string();
        let (name, level) = text.split_once(':').unwrap_or((text.as_str(), ""));
        let rank = PERMISSIONS.get(name).and_then(|levels| levels.iter().position(|known| known == level));
        let rank = rank.ok_or_else(|| {
            Failure::Narrow(format!("{text} is no permission of a GitHub App; write it like issues:read"))
        })?;
        let had = all.entry(name.to_owned()).or_insert_with(|| (rank, level.to_owned()));
        if had.0 < rank {
            *had = (rank, level.to_owned());
        }
    }
    Ok(all.into_iter().map(|(name, (_, level))| (name, level)).collect())
}

/// The owner, and the repositories' names.
fn repositories(what: &Wanted) -> Result<(String, Vec<String>), Failure> {
    let mut owner: Option<String> = None;
    let mut names = Vec::new();
    for resource in what.resources.iter() {
        let text = resource.to_string();
        let (of, name) = match text.split_once('/') {
            Some((of, name)) if !name.is_empty() && !name.contains(['/', '*']) => (of, name),
            _ => return Err(Failure::Narrow("a token is for named repositories; name them: @OWNER/REPOSITORY".into())),
        };
        if owner.get_or_insert_with(|| of.to_owned()) != of {
            return Err(Failure::Narrow("a token is for the repositories of one owner".into()));
        }
        names.push(name.to_owned());
    }
    if names.len() > MOST {
        return Err(Failure::Narrow(format!("a token is for at most {MOST} repositories")));
    }
    owner.map(|owner| (owner, names)).ok_or_else(|| Failure::Narrow("name a repository: @OWNER/REPOSITORY".into()))
}

/// When the token ends, if the answer is exactly what was asked.
fn judge(order: &Order<'_>, members: &Map<String, Value>, draw: &Draw) -> Result<i64, String> {
    let unclear = |_: Failure| "it cannot be compared with what was asked".to_owned();
    let (owner, asked) = repositories(order.what).map_err(unclear)?;
    let wanted = permissions(order.what).map_err(unclear)?;
    let got = members.get("permissions").and_then(Value::as_object).ok_or("it does not say what it may do")?;
    for (name, level) in got {
        let level = level.as_str().unwrap_or_default();
        // Every token that may read a repository may read its metadata; GitHub adds that by itself.
        let added = name == "metadata" && level == "read";
        if !added && wanted.get(name).map(String::as_str) != Some(level) {
            return Err("it may do other things than were asked".into());
        }
    }
    if wanted.keys().any(|name| !got.contains_key(name)) {
        return Err("it may do less than was asked".into());
    }
    if text(members, "repository_selection") != Some("selected") {
        return Err("it is for all repositories of the installation".into());
    }
    let listed =
        members.get("repositories").and_then(Value::as_array).ok_or("it does not say for which repositories")?;
    let named = |one: &Value| one.get("full_name").and_then(Value::as_str).unwrap_or_default().to_ascii_lowercase();
    let listed: Vec<String> = listed.iter().map(named).collect();
    let asked: Vec<String> = asked.iter().map(|name| format!("{owner}/{name}").to_ascii_lowercase()).collect();
    if listed.len() != asked.len() || asked.iter().any(|one| !listed.contains(one)) {
        return Err("it is for other repositories than were asked".into());
    }
    let ends = text(members, "expires_at").and_then(|text| text.parse::<jiff::Timestamp>().ok());
    let ends_ms = ends.ok_or("it does not say when it ends")?.as_millisecond();
    let most = draw.now_ms.saturating_add(i64::try_from(2 * LIFE.as_millis()).unwrap_or(i64::MAX));
    if ends_ms <= draw.now_ms || ends_ms > most {
        return Err("its end is in the past, or later than a token's may be".into());
    }
    Ok(ends_ms)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::issuer::{
        jws::tests::{new_key, verified},
        tests::nobody,
    };

    const DRAW: Draw = Draw { now_ms: 1_700_000_000_000, nonce: [7; 16] };

    fn settings() -> Settings {
        Settings {
            client_id: "Iv1.abc".into(),
            installation_id: 42,
            base_url: "https://ghe.acme.dev/api/v3".into(),
            env: variables(),
            allow_private: false,
        }
    }

    fn order(what: &Wanted) -> Order<'_> {
        Order { what, ttl: Duration::from_secs(60), who: nobody() }
    }

    fn answer(status: u16, body: &Value) -> Response<Bytes> {
        let body = Bytes::from(body.to_string());
        Response::builder().status(status).header("content-type", "application/json").body(body).unwrap()
    }

    #[test]
    fn the_request_names_repositories_and_permissions() {
        let (pem, public) = new_key();
        let what: Wanted = "gh:issues:read,contents:read,contents:write@acme/web,acme/api".parse().unwrap();
        let call = settings().request(&order(&what), &Secret::take(pem), &DRAW).unwrap();
        assert_eq!(call.base_url, "https://ghe.acme.dev");
        assert_eq!(call.request.uri().path(), "/api/v3/app/installations/42/access_tokens");
        let body: Value = serde_json::from_slice(call.request.body()).unwrap();
        let wanted =
            json!({ "repositories": ["api", "web"], "permissions": { "contents": "write", "issues": "read" } });
        assert_eq!(body, wanted);
        let jwt = call.request.headers()["authorization"].to_str().unwrap().strip_prefix("Bearer ").unwrap();
        let (_, claims) = verified(jwt, &public);
        assert_eq!(claims, json!({ "iss": "Iv1.abc", "iat": 1_699_999_940, "exp": 1_700_000_300 }));
    }

    #[test]
    fn everything_is_never_asked_for() {
        for odd in [
            "gh:issues:read",
            "gh:issues:read@acme/*",
            "gh:*@acme/web",
            "gh:issues@acme/web",
            "gh:issues:admin@acme/web",
            "gh:issues:read@acme/web,other/web",
            "gh:issues:read@acme/web/x",
            "gh:sudo:write@acme/web",
        ] {
            assert!(matches!(settings().check(&odd.parse().unwrap()), Err(Failure::Narrow(_))), "{odd}");
        }
        assert!(settings().check(&"gh:issues:read@acme/web".parse().unwrap()).is_ok());
        assert_eq!(PERMISSIONS.len(), 55);
    }

    #[test]
    fn exactly_what_was_asked_is_a_token() {
        let what: Wanted = "gh:issues:read@acme/web".parse().unwrap();
        let good = json!({ "token": "ghs_1_a.b-c", "expires_at": "2023-11-14T23:13:20Z",
            "permissions": { "issues": "read", "metadata": "read" }, "repository_selection": "selected",
            "repositories": [{ "full_name": "Acme/web" }] });
        let read = |body: &Value| settings().read(&order(&what), &answer(201, body), &DRAW);
        assert_eq!(read(&good).unwrap().ends_ms, 1_700_003_600_000);
        let with = |name: &str, value: Value| {
            let mut body = good.clone();
            body[name] = value;
            body
        };
        for odd in [
            with("permissions", json!({ "issues": "write" })),
            with("permissions", json!({ "issues": "read", "contents": "read" })),
            with("permissions", json!({ "metadata": "read" })),
            with("permissions", Value::Null),
            with("repository_selection", json!("all")),
            with("repositories", json!([{ "full_name": "acme/web" }, { "full_name": "acme/api" }])),
            with("repositories", json!([{ "full_name": "evil/web" }])),
            with("repositories", json!([])),
            with("expires_at", json!("2023-11-14T20:13:20Z")),
            with("expires_at", json!("2024-11-14T20:13:20Z")),
            with("expires_at", json!("soon")),
        ] {
            assert!(matches!(read(&odd), Err(Failure::Answer { token: Some(_), .. })), "{odd}");
        }
        assert!(matches!(
            settings().read(&order(&what), &answer(422, &json!({})), &DRAW),
            Err(Failure::Administrator(_))
        ));
        assert!(matches!(settings().read(&order(&what), &answer(502, &json!({})), &DRAW), Err(Failure::Later { .. })));
    }
}
