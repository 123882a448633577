//! What an authorization server and a protected resource say of themselves (RFC 8414, OpenID Connect Discovery, RFC 9728).
//!
//! Owns where the documents may lie, in the order of the MCP authorization specification, and what is believed of them: a
//! document counts only where it names the very identifier that it was looked up by, compared as text. Pure.

use bytes::Bytes;
use http::{Response, StatusCode};
use serde_json::{Map, Value};

use crate::issuer::{
    Failure,
    answer::{self, text, unreadable},
    split_url,
};

/// The most scopes that are taken from a document.
const MAX_SCOPES: usize = 64;

/// A protected resource: which server gives tokens for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// Its identifier, which tokens for it are asked for with (RFC 8707).
    pub resource: String,
    /// The first of its authorization servers: its issuer identifier.
    pub server: String,
    /// Its scopes, where it says which there are.
    pub scopes: Option<Vec<String>>,
}

/// An authorization server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Server {
    /// Its issuer identifier.
    pub issuer: String,
    /// The token endpoint.
    pub token_url: String,
    /// Where a person signs in.
    pub authorization_url: Option<String>,
    /// Where the device flow starts (RFC 8628).
    pub device_url: Option<String>,
    /// Where clients register (RFC 7591).
    pub registration_url: Option<String>,
    /// Where tokens are revoked (RFC 7009).
    pub revocation_url: Option<String>,
    /// Where it says what a token is worth (RFC 7662).
    pub introspection_url: Option<String>,
    /// It takes PKCE's challenges by S256 (RFC 7636).
    pub pkce: bool,
    /// It names itself in its redirects (RFC 9207).
    pub names_itself: bool,
    /// A URL can be a client's id.
    pub metadata_documents: bool,
    /// How clients may prove themselves; empty where it does not say.
    pub auth_methods: Vec<String>,
    /// Its scopes, where it says which there are.
    pub scopes: Option<Vec<String>>,
}

/// The URLs that a server's metadata may lie at, in order.
pub fn server_places(issuer: &str) -> Vec<String> {
    let Some((base, path)) = split_url(issuer) else { return Vec::new() };
    match path.trim_end_matches('/') {
        "" => vec![
            format!("{base}/.well-known/oauth-authorization-server"),
            format!("{base}/.well-known/openid-configuration"),
        ],
        path => vec![
            format!("{base}/.well-known/oauth-authorization-server{path}"),
            format!("{base}/.well-known/openid-configuration{path}"),
            format!("{base}{path}/.well-known/openid-configuration"),
        ],
    }
}

/// The URLs that a resource's metadata may lie at, in order. What a challenge named comes first, and counts only where it
/// is on the resource's own server: whoever can forge a challenge should not choose where a person signs in.
pub fn resource_places(url: &str, named: Option<&str>) -> Vec<String> {
    let Some((base, path)) = split_url(url) else { return Vec::new() };
    let own = |named: &&str| split_url(named).is_some_and(|(at, _)| at.eq_ignore_ascii_case(base));
    let mut places: Vec<String> = named.filter(own).map(ToOwned::to_owned).into_iter().collect();
    let root = format!("{base}/.well-known/oauth-protected-resource");
    if !path.trim_end_matches('/').is_empty() {
        places.push(format!("{root}{}", path.trim_end_matches('/')));
    }
    places.push(root);
    places.dedup();
    places
}

/// Reads a resource's metadata; `Ok(None)` where there is none at this place.
pub fn read_resource(url: &str, answer: &Response<Bytes>) -> Result<Option<Resource>, Failure> {
    let Some(members) = document(answer)? else { return Ok(None) };
    let resource = text(&members, "resource").ok_or_else(|| unreadable("its metadata names no resource"))?;
    if !is_part_of(url, resource) {
        return Err(unreadable("its metadata is for another resource"));
    }
    let server = members.get("authorization_servers").and_then(Value::as_array).and_then(|all| all.first());
    let server = server.and_then(Value::as_str).filter(|server| split_url(server).is_some());
    let server = server.ok_or_else(|| unreadable("its metadata names no authorization server"))?;
    Ok(Some(Resource {
        resource: resource.to_owned(),
        server: server.to_owned(),
        scopes: words(&members, "scopes_supported"),
    }))
}

/// Reads a server's metadata; `Ok(None)` where there is none at this place.
pub fn read_server(issuer: &str, answer: &Response<Bytes>) -> Result<Option<Server>, Failure> {
    let Some(members) = document(answer)? else { return Ok(None) };
    // RFC 8414 section 3.3: identical, or it is not this server's. No normalisation.
    if text(&members, "issuer") != Some(issuer) {
        return Err(unreadable("its metadata names another issuer than the one that it was looked up by"));
    }
    let url = |name: &str| text(&members, name).map(ToOwned::to_owned);
    let is = |name: &str| members.get(name) == Some(&Value::Bool(true));
    Ok(Some(Server {
        issuer: issuer.to_owned(),
        token_url: url("token_endpoint").ok_or_else(|| unreadable("its metadata names no token endpoint"))?,
        authorization_url: url("authorization_endpoint"),
        device_url: url("device_authorization_endpoint"),
        registration_url: url("registration_endpoint"),
        revocation_url: url("revocation_endpoint"),
        introspection_url: url("introspection_endpoint"),
        pkce: words(&members, "code_challenge_methods_supported")
            .is_some_and(|all| all.iter().any(|one| one == "S256")),
        names_itself: is("authorization_response_iss_parameter_supported"),
        metadata_documents: is("client_id_metadata_document_supported"),
        auth_methods: words(&members, "token_endpoint_auth_methods_supported").unwrap_or_default(),
        scopes: words(&members, "scopes_supported"),
    }))
}

/// A scope's name for one of a server's words that is no name itself: `https://h/auth/x` is `h-auth-x`.
pub fn name_of(word: &str) -> String {
    let rest = word.split_once("://").map_or(word, |(_, rest)| rest);
    let plain = |c: char| if c.is_ascii_alphanumeric() || "_.-".contains(c) { c.to_ascii_lowercase() } else { '-' };
    let name: String = rest.chars().map(plain).take(200).collect();
    let name = name.trim_matches(['-', '.']).to_owned();
    if name.is_empty() || name == "release" { format!("scope-{name}").trim_end_matches('-').to_owned() } else { name }
}

/// The members of a document; `None` where the answer is that there is none.
fn document(answer: &Response<Bytes>) -> Result<Option<Map<String, Value>>, Failure> {
    if let Some(later) = answer::later(answer) {
        return Err(later);
    }
    // Some servers answer every path that they do not know with a page.
    let page =
        answer.headers().get(http::header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/"));
    if answer.status() != StatusCode::OK || page { Ok(None) } else { answer::object(answer).map(Some) }
}

/// A list of words; what is none of them is left out.
fn words(members: &Map<String, Value>, name: &str) -> Option<Vec<String>> {
    let all = members.get(name)?.as_array()?;
    let is_word = |word: &&str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_graphic());
    Some(all.iter().filter_map(Value::as_str).filter(is_word).take(MAX_SCOPES).map(ToOwned::to_owned).collect())
}

/// Whether `url` is the resource, or below it.
pub fn is_part_of(url: &str, resource: &str) -> bool {
    let (Some((at, path)), Some((of, above))) = (split_url(url), split_url(resource)) else { return false };
    let (path, above) = (path.trim_end_matches('/'), above.trim_end_matches('/'));
    let rest = path.strip_prefix(above);
    at.eq_ignore_ascii_case(of) && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answer(status: u16, kind: &str, body: &Value) -> Response<Bytes> {
        let builder = Response::builder().status(status).header("content-type", kind);
        builder.body(Bytes::from(body.to_string())).unwrap()
    }

    #[test]
    fn the_places_of_a_servers_metadata_in_order() {
        assert_eq!(
            server_places("https://a.b/t/1"),
            [
                "https://a.b/.well-known/oauth-authorization-server/t/1",
                "https://a.b/.well-known/openid-configuration/t/1",
                "https://a.b/t/1/.well-known/openid-configuration"
            ]
        );
        assert_eq!(server_places("https://a.b").len(), 2);
        assert_eq!(server_places("https://a.b/")[0], "https://a.b/.well-known/oauth-authorization-server");
        assert!(server_places("https://a.b?x").is_empty());
    }

    #[test]
    fn the_places_of_a_resources_metadata_in_order() {
        let root = "https://h/.well-known/oauth-protected-resource";
        assert_eq!(resource_places("https://h/mcp", None), [format!("{root}/mcp"), root.into()]);
        assert_eq!(resource_places("https://h/", None), [root]);
        assert_eq!(resource_places("https://h/mcp", Some("https://h/x.json"))[0], "https://h/x.json");
        assert_eq!(resource_places("https://h/mcp", Some("https://evil/x.json")).len(), 2);
    }

    #[test]
    fn a_resource_is_the_one_that_was_asked_for_or_above_it() {
        let read = |resource: &str| {
            let body = json!({ "resource": resource, "authorization_servers": ["https://as"], "scopes_supported": ["a", 7, "b c"] });
            read_resource("https://h/mcp", &answer(200, "application/json", &body))
        };
        let found = read("https://h/mcp").unwrap().unwrap();
        assert_eq!((found.server.as_str(), found.scopes), ("https://as", Some(vec!["a".into()])));
        assert!(read("https://h").is_ok() && read("https://H/").is_ok());
        for odd in ["https://h/mc", "https://evil/mcp", "https://h/mcp/x", "http://h/mcp", "https://h.evil/mcp", ""] {
            assert!(matches!(read(odd), Err(Failure::Answer { .. })), "{odd}");
        }
        let none = json!({ "resource": "https://h/mcp", "authorization_servers": [] });
        assert!(read_resource("https://h/mcp", &answer(200, "application/json", &none)).is_err());
        assert_eq!(read_resource("https://h/mcp", &answer(404, "application/json", &json!({}))).unwrap(), None);
        assert_eq!(read_resource("https://h/mcp", &answer(200, "text/html", &json!({}))).unwrap(), None);
    }

    #[test]
    fn a_server_is_known_by_its_own_name_as_text() {
        let read = |issuer: &str| {
            let body = json!({ "issuer": issuer, "token_endpoint": "https://as/token",
                "code_challenge_methods_supported": ["plain", "S256"], "authorization_response_iss_parameter_supported": true });
            read_server("https://as/t", &answer(200, "application/json", &body))
        };
        let server = read("https://as/t").unwrap().unwrap();
        assert!(server.pkce && server.names_itself && !server.metadata_documents);
        for odd in ["https://as/t/", "https://AS/t", "https://as", "https://evil/t", ""] {
            assert!(matches!(read(odd), Err(Failure::Answer { .. })), "{odd}");
        }
        let bare = json!({ "issuer": "https://as/t" });
        assert!(read_server("https://as/t", &answer(200, "application/json", &bare)).is_err());
        assert!(matches!(read_server("https://as/t", &answer(503, "text/html", &bare)), Err(Failure::Later { .. })));
    }
}
