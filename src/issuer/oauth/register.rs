//! Making hallpass known to an authorization server: a client id metadata document, or dynamic registration (RFC 7591).
//!
//! Owns what a client says of itself, and the reading of what the server made of it. A registration belongs to the server
//! that gave it, and is used with no other.

use bytes::Bytes;
use http::{Request, Response, header};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{ClientAuth, authorize::REDIRECT_PATH, discovery::Server};
use crate::issuer::{
    Call, Failure,
    answer::{self, text, unreadable},
    split_url,
};

/// A client that a server knows.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registration {
    /// The server's issuer identifier.
    pub issuer: String,
    /// The client's id there.
    pub client_id: String,
    /// Its secret, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<String>,
    /// How it proves itself.
    pub auth: ClientAuth,
}

/// What a client says of itself. `client_id` is the URL of the document, where it is one.
pub fn document(client_id: Option<&str>, auth: ClientAuth) -> Value {
    let mut document = json!({
        "client_name": "hallpass",
        "application_type": "native",
        // Any port of the loopback address (RFC 8252 section 7.3).
        "redirect_uris": [format!("http://127.0.0.1{REDIRECT_PATH}")],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": auth,
    });
    if let (Some(url), Some(members)) = (client_id, document.as_object_mut()) {
        members.insert("client_id".into(), url.into());
    }
    document
}

/// How a client proves itself at this server: without a secret where that is enough.
pub fn method(server: &Server) -> ClientAuth {
    let takes = |word: &str| server.auth_methods.iter().any(|known| known == word);
    match () {
        () if takes("none") => ClientAuth::None,
        () if takes("client_secret_post") && !takes("client_secret_basic") => ClientAuth::ClientSecretPost,
        // RFC 8414 section 2: the one that holds where nothing is said.
        () if takes("client_secret_basic") => ClientAuth::ClientSecretBasic,
        () => ClientAuth::None,
    }
}

/// The request for a registration.
pub fn request(server: &Server, allow_private: bool) -> Result<Call, Failure> {
    let url = server.registration_url.as_deref().and_then(split_url);
    let (base_url, path) = url.ok_or_else(|| Failure::Settings("the server registers no clients".into()))?;
    let body = document(None, method(server)).to_string();
    let request = Request::post(path)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::ACCEPT, "application/json")
        .body(Bytes::from(body))
        .map_err(|_| Failure::Settings("the server's registration endpoint has an odd path".into()))?;
    Ok(Call { base_url: base_url.to_owned(), allow_private, request })
}

/// What came of it.
pub fn read(server: &Server, answer: &Response<Bytes>) -> Result<Registration, Failure> {
    if let Some(later) = answer::later(answer) {
        return Err(later);
    }
    if !answer.status().is_success() {
        return Err(Failure::Administrator(format!("it registers no client like this ({})", answer.status().as_u16())));
    }
    let members = answer::object(answer)?;
    let client_id = text(&members, "client_id").filter(|id| !id.is_empty() && id.len() <= 1024);
    let client_secret = text(&members, "client_secret").filter(|secret| !secret.is_empty()).map(ToOwned::to_owned);
    let auth = match members.get("token_endpoint_auth_method") {
        Some(word) => serde_json::from_value(word.clone())
            .map_err(|_| unreadable("it registered the client with a proof that hallpass has not"))?,
        None if client_secret.is_none() => ClientAuth::None,
        None => match method(server) {
            ClientAuth::None if server.auth_methods.is_empty() => ClientAuth::ClientSecretBasic,
            known => known,
        },
    };
    let needs_secret = matches!(auth, ClientAuth::ClientSecretBasic | ClientAuth::ClientSecretPost);
    if matches!(auth, ClientAuth::PrivateKeyJwt) || needs_secret && client_secret.is_none() {
        return Err(unreadable("it registered the client without what it would have to prove itself with"));
    }
    Ok(Registration {
        issuer: server.issuer.clone(),
        client_id: client_id.ok_or_else(|| unreadable("it holds no client id"))?.to_owned(),
        client_secret,
        auth,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::issuer::oauth::tests::answer;

    fn server(methods: &[&str]) -> Server {
        Server {
            issuer: "https://as".into(),
            registration_url: Some("https://as/register".into()),
            auth_methods: methods.iter().map(ToString::to_string).collect(),
            ..Server::default()
        }
    }

    #[test]
    fn a_native_client_with_pkce_and_no_secret_where_that_is_enough() {
        let call = request(&server(&["client_secret_basic", "none"]), false).unwrap();
        let said: Value = serde_json::from_slice(call.request.body()).unwrap();
        assert_eq!(said["token_endpoint_auth_method"], "none");
        assert_eq!(said["redirect_uris"], json!(["http://127.0.0.1/callback"]));
        assert!(said.get("client_id").is_none());
        assert_eq!(document(Some("https://me/c.json"), ClientAuth::None)["client_id"], "https://me/c.json");
        for (methods, proof) in [
            (&["client_secret_post"][..], ClientAuth::ClientSecretPost),
            (&["client_secret_basic", "client_secret_post"], ClientAuth::ClientSecretBasic),
            (&[], ClientAuth::None),
        ] {
            assert_eq!(method(&server(methods)), proof);
        }
        assert!(request(&Server { registration_url: None, ..server(&[]) }, false).is_err());
    }

    #[test]
    fn a_registration_is_what_the_server_made_of_it() {
        let read = |status: u16, body: Value| read(&server(&["none"]), &answer(status, &body));
        let plain = read(201, json!({ "client_id": "c" })).unwrap();
        assert_eq!(
            (plain.client_id.as_str(), plain.auth, plain.issuer.as_str()),
            ("c", ClientAuth::None, "https://as")
        );
        let body =
            json!({ "client_id": "c", "client_secret": "s", "token_endpoint_auth_method": "client_secret_post" });
        assert_eq!(read(200, body).unwrap().auth, ClientAuth::ClientSecretPost);
        for odd in [
            json!({}),
            json!({ "client_id": "c", "token_endpoint_auth_method": "client_secret_basic" }),
            json!({ "client_id": "c", "token_endpoint_auth_method": "tls_client_auth" }),
        ] {
            assert!(matches!(read(201, odd.clone()), Err(Failure::Answer { .. })), "{odd}");
        }
        assert!(matches!(read(403, json!({ "error": "x" })), Err(Failure::Administrator(_))));
    }
}
