//! A remote MCP server that wants a sign-in, and its authorization server: what a bridge does with their answers.
//!
//! One stand-in for both; the MCP conformance suite runs the whole of it (tests/peers/conformance.sh).

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::{
    login::{field, pair, redirect},
    mcp::Peer,
    support::{Home, random},
    upstream::{Seen, Upstream},
};

#[derive(Default)]
struct Rights {
    /// What the tokens that were given may do.
    tokens: Vec<(String, String)>,
    /// What the server wants.
    wants: String,
    /// What the resource metadata calls the resource, where not by its address.
    other_resource: Option<String>,
}

struct Remote {
    upstream: Upstream,
    rights: Arc<Mutex<Rights>>,
}

fn answer(status: &str, more: &str, body: &Value) -> String {
    let body = body.to_string();
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\n{more}content-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}

impl Remote {
    fn start() -> Self {
        let rights = Arc::new(Mutex::new(Rights { wants: "a".into(), ..Rights::default() }));
        let known = Arc::clone(&rights);
        let upstream = Upstream::judging(move |seen| Self::judge(seen, &mut known.lock().unwrap()));
        Self { upstream, rights }
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/mcp", self.upstream.port)
    }

    fn judge(seen: &Seen, rights: &mut Rights) -> String {
        let header = |name: &str| seen.head.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let own = format!("http://{}", header("host:").unwrap());
        let path = seen.head.split(' ').nth(1).unwrap();
        match path {
            "/.well-known/oauth-protected-resource/mcp" => {
                let resource = rights.other_resource.clone().unwrap_or_else(|| format!("{own}/mcp"));
                answer("200 OK", "", &json!({ "resource": resource, "authorization_servers": [format!("{own}/as")] }))
            }
            "/.well-known/oauth-authorization-server/as" => answer(
                "200 OK",
                "",
                &json!({ "issuer": format!("{own}/as"), "authorization_endpoint": format!("{own}/as/authorize"),
                    "token_endpoint": format!("{own}/as/token"), "registration_endpoint": format!("{own}/as/register"),
                    "code_challenge_methods_supported": ["S256"] }),
            ),
            "/as/register" => answer("201 Created", "", &json!({ "client_id": "me" })),
            "/as/token" => {
                assert_eq!(field(seen, "resource"), format!("{own}/mcp"));
                let token = format!("at-{}", random());
                // What the last sign-in was for stands in its code.
                rights.tokens.push((token.clone(), field(seen, "code").replace('+', " ")));
                answer("200 OK", "", &json!({ "access_token": token, "token_type": "Bearer", "expires_in": 600 }))
            }
            "/mcp" => {
                let metadata = format!("resource_metadata=\"{own}/.well-known/oauth-protected-resource/mcp\"");
                let bearer = header("authorization:").and_then(|value| value.strip_prefix("Bearer "));
                let known = bearer.and_then(|bearer| rights.tokens.iter().find(|(token, _)| token == bearer));
                let challenge =
                    |more: &str| format!("www-authenticate: Bearer {metadata}, scope=\"{}\"{more}\r\n", rights.wants);
                match known {
                    None => answer("401 Unauthorized", &challenge(""), &json!({})),
                    Some((_, may)) if !rights.wants.split(' ').all(|one| may.split(' ').any(|own| own == one)) => {
                        answer("403 Forbidden", &challenge(", error=\"insufficient_scope\""), &json!({}))
                    }
                    Some(_) => {
                        let said: Value = serde_json::from_slice(&seen.body).unwrap_or_default();
                        answer("200 OK", "", &json!({ "jsonrpc": "2.0", "id": said["id"], "result": { "ok": true } }))
                    }
                }
            }
            other => answer("404 Not Found", "", &json!({ "path": other })),
        }
    }
}

/// Signs in at this server, as its bridge's error says; what is asked for.
fn sign_in(home: &Home) -> String {
    let started = home.api("POST", "/v1/mcp/far/login", "{}").json();
    let (id, url) = (started["id"].as_str().unwrap(), started["url"].as_str().unwrap());
    let query = url.split_once('?').unwrap().1;
    let scope = pair(query, "scope");
    let code = scope.replace(' ', "%2B");
    assert_eq!(redirect(url, &format!("code={code}&state={}", pair(query, "state")), None), 200);
    let done = home.api("POST", &format!("/v1/issuers/far/login/{id}"), "null");
    assert_eq!(done.status, 200, "{}", done.text());
    scope
}

#[test]
fn a_bridge_takes_a_sign_in_up_and_asks_for_more_when_the_server_does() {
    let remote = Remote::start();
    let home = Home::started();
    home.does(&format!("mcp add far {}", remote.url()));
    let mut peer = Peer::start(&home, "bridge far");
    let error = peer.call(1, "ping", json!({}));
    assert!(error["error"]["data"]["hint"].as_str().unwrap().contains("hallpass mcp login far"), "{error}");
    assert_eq!(sign_in(&home), "a");
    // Signed in is not granted: that is for a person to say, and the error says how.
    let error = peer.call(2, "ping", json!({}));
    assert_eq!(error["error"]["data"]["code"], "no_grant", "{error}");
    assert!(remote.upstream.seen().iter().all(|seen| !seen.head.contains("Bearer at-")), "nothing was sent");
    home.does("grant add mcp-far far:*");
    assert_eq!(peer.call(3, "ping", json!({}))["result"]["ok"], true);

    // It wants more: an error names the command, and nothing widens before a person has agreed.
    remote.rights.lock().unwrap().wants = "a b".into();
    let error = peer.call(4, "ping", json!({}));
    let hint = error["error"]["data"]["hint"].as_str().unwrap();
    assert!(error["error"]["message"].as_str().unwrap().contains("a b") && hint.contains("mcp login far"), "{error}");
    assert_eq!(sign_in(&home), "a b");
    assert_eq!(peer.call(5, "ping", json!({}))["result"]["ok"], true);
    assert_eq!(home.json("mcp list")["items"][0]["want"]["scopes"], json!(["a", "b"]));
    assert_eq!(peer.end(), 0);
    let config = std::fs::read_to_string(home.path().join("config.toml")).unwrap();
    for (token, _) in &remote.rights.lock().unwrap().tokens {
        assert!(!config.contains(token) && !home.log().contains(token));
    }
}

/// A server and its authorization server that bind tokens to keys (RFC 9449), and both want a nonce.
fn binding(seen: &Seen) -> String {
    let header = |name: &str| seen.head.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let nonce = |error: &str| format!("dpop-nonce: n1\r\nwww-authenticate: DPoP error=\"{error}\"\r\n");
    let Some(proof) = header("dpop:") else { return answer("401 Unauthorized", &nonce("invalid_token"), &json!({})) };
    let claims =
        base64::Engine::decode(&base64::prelude::BASE64_URL_SAFE_NO_PAD, proof.split('.').nth(1).unwrap()).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    let path = seen.head.split(' ').nth(1).unwrap();
    assert_eq!(claims["htm"], "POST");
    assert!(claims["htu"].as_str().unwrap().ends_with(path), "{claims}");
    if claims["nonce"] != "n1" {
        let status = if path == "/token" { "400 Bad Request" } else { "401 Unauthorized" };
        return answer(status, &nonce("use_dpop_nonce"), &json!({ "error": "use_dpop_nonce" }));
    }
    if path == "/token" {
        return answer(
            "200 OK",
            "",
            &json!({ "access_token": "at-bound", "token_type": "DPoP", "expires_in": 600, "scope": "a" }),
        );
    }
    assert_eq!(header("authorization:"), Some("DPoP at-bound"));
    // The SHA-256 of the token.
    assert_eq!(claims["ath"].as_str().unwrap().len(), 43);
    let said: Value = serde_json::from_slice(&seen.body).unwrap_or_default();
    answer("200 OK", "", &json!({ "jsonrpc": "2.0", "id": said["id"], "result": { "ok": true } }))
}

#[test]
fn a_bridge_proves_each_request_with_a_token_that_is_bound_to_a_key() {
    let remote = Upstream::judging(binding);
    let own = format!("http://127.0.0.1:{}", remote.port);
    let home = Home::started();
    home.run(["credential", "add", "far"], &random()).ok();
    home.does(&format!(
        "issuer add oauth far --token-url {own}/token --client-id me --dpop --resource {own}/mcp --allow-private"
    ));
    home.does(&format!("mcp add far {own}/mcp --want far:a"));
    home.does("grant add mcp-far far:a");
    let mut peer = Peer::start(&home, "bridge far");
    for id in 1..3 {
        assert_eq!(peer.call(id, "ping", json!({}))["result"]["ok"], true);
    }
    let proofs: std::collections::HashSet<_> = remote
        .seen()
        .iter()
        .filter_map(|seen| seen.head.lines().find_map(|line| line.strip_prefix("dpop:").map(ToOwned::to_owned)))
        .collect();
    assert_eq!(proofs.len(), remote.seen().len(), "each request has a proof of its own");
    let lease = home.json("lease list")["items"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(peer.end(), 0);
    home.fails(&format!("lease prove {lease} --url {own}/mcp"), 1, "not_found");
}

#[test]
fn a_token_for_one_server_is_sent_to_no_other() {
    let (remote, other) = (Remote::start(), Remote::start());
    let home = Home::started();
    home.does(&format!("mcp add far {}", remote.url()));
    sign_in(&home);
    let problem = home.fails(&format!("mcp add other {} --want far:a", other.url()), 1, "invalid_value");
    assert!(problem["detail"].as_str().unwrap().contains("not for this server"), "{problem}");
    home.does(&format!("mcp add same {}/deeper --want far:a", remote.url()));
}

#[test]
fn what_is_said_of_another_resource_or_elsewhere_is_not_believed() {
    let remote = Remote::start();
    let home = Home::started();
    home.does(&format!("mcp add far {}", remote.url()));
    let before = std::fs::read(home.path().join("config.toml")).unwrap();
    remote.rights.lock().unwrap().other_resource = Some("https://evil.example.com/mcp".into());
    let refused = home.api("POST", "/v1/mcp/far/login", "{}");
    assert_eq!(refused.json()["code"], "upstream_refused", "{}", refused.text());
    // A challenge may name any place; only the server's own is asked.
    remote.rights.lock().unwrap().other_resource = None;
    let elsewhere = Upstream::answering(answer("200 OK", "", &json!({})));
    let metadata = format!("http://127.0.0.1:{}/x.json", elsewhere.port);
    home.api("POST", "/v1/mcp/far/challenge", &json!({ "resource_metadata": metadata }).to_string());
    assert_eq!(home.api("POST", "/v1/mcp/far/login", "{}").status, 200);
    assert!(elsewhere.seen().is_empty());
    assert_ne!(std::fs::read(home.path().join("config.toml")).unwrap(), before);
}
