//! What an authorization server, or a resource that it gives tokens for, says of itself; and who hallpass is there.
//!
//! Owns the requests, and the order in which a client is looked for: the one that somebody registered, the one that this
//! server gave before, the document that the user hosts, a new registration. A registration rests in the store under the
//! server that gave it.

use ring::digest;

use super::native;
use crate::{
    api::{
        login::{Client, Discover, Discovered},
        problem::Code,
    },
    audit::{Decision, Record},
    daemon::state::{State, callers::Caller},
    error::{Error, Result},
    issuer::{
        Call, Failure,
        oauth::{
            ClientAuth, Settings,
            discovery::{self, Resource, Server},
            register::{self, Registration},
        },
    },
    principal::printable,
    secret::Secret,
    store::StoreError,
};

/// What keeps these connections apart from those of issuers; no issuer's name has a slash.
pub const APART: &str = "discovery/";

/// Describes a server, for a person who configures an issuer.
pub async fn discover(state: &State, caller: &Caller, request: Discover) -> Result<Discovered> {
    state.human_only(caller, "asking a server what it is")?;
    let Discover { issuer, resource, allow_private, client } = request;
    let (found, issuer) = match (resource, issuer) {
        (Some(url), None) => {
            let found = self::resource(state, &url, None, allow_private).await?;
            let issuer = found.server.clone();
            (Some(found), issuer)
        }
        (None, Some(issuer)) => (None, issuer),
        _ => {
            return Err(Error::new(Code::InvalidValue, "a server is found by its issuer identifier, or by a resource")
                .hint("hallpass issuer add oauth NAME --issuer URL"));
        }
    };
    let server = server(state, &issuer, allow_private).await?;
    let mut settings = of_server(&server, allow_private);
    settings.resource = found.as_ref().map(|found| found.resource.clone());
    if let Some(client) = client {
        be(state, &server, &client, &mut settings).await?;
    }
    let scopes = found.and_then(|found| found.scopes).or(server.scopes).unwrap_or_default();
    Ok(Discovered { settings, scopes })
}

/// A resource's description. `named` is where a challenge said that it lies.
pub async fn resource(state: &State, url: &str, named: Option<&str>, allow_private: bool) -> Result<Resource> {
    for place in discovery::resource_places(url, named) {
        let answer = get(state, &place, allow_private).await?;
        match discovery::read_resource(url, &answer) {
            Ok(Some(found)) => return Ok(found),
            Ok(None) => {}
            Err(failure) => return Err(odd(url, &failure)),
        }
    }
    Err(Error::new(Code::NotFound, format!("{} does not say which server gives tokens for it", printable(url)))
        .hint("name the server yourself: hallpass issuer add oauth NAME --issuer URL"))
}

/// A server's description.
pub async fn server(state: &State, issuer: &str, allow_private: bool) -> Result<Server> {
    for place in discovery::server_places(issuer) {
        let answer = get(state, &place, allow_private).await?;
        match discovery::read_server(issuer, &answer) {
            Ok(Some(server)) => return Ok(server),
            Ok(None) => {}
            Err(failure) => return Err(odd(issuer, &failure)),
        }
    }
    Err(Error::new(Code::NotFound, format!("{} publishes no metadata (RFC 8414)", printable(issuer)))
        .hint("hallpass issuer add oauth NAME --token-url URL names its endpoints one by one"))
}

/// The settings that follow from a server's description.
pub fn of_server(server: &Server, allow_private: bool) -> Settings {
    Settings {
        token_url: server.token_url.clone(),
        issuer: Some(server.issuer.clone()),
        audience: Some(server.issuer.clone()),
        // A server that has no S256 is not signed in at.
        authorization_url: server.authorization_url.clone().filter(|_| server.pkce),
        device_url: server.device_url.clone(),
        revocation_url: server.revocation_url.clone(),
        introspection_url: server.introspection_url.clone(),
        names_itself: server.names_itself,
        allow_private,
        ..Settings::default()
    }
}

/// Makes these settings those of a client of the server.
pub async fn be(state: &State, server: &Server, client: &Client, settings: &mut Settings) -> Result<()> {
    if let Some(id) = &client.client_id {
        settings.client_id.clone_from(id);
        settings.client_credential.clone_from(&client.credential);
        settings.auth = client.auth.unwrap_or_else(|| match (&client.credential, register::method(server)) {
            (None, _) => ClientAuth::None,
            (Some(_), ClientAuth::None) => ClientAuth::ClientSecretBasic,
            (Some(_), method) => method,
        });
        return Ok(());
    }
    if let Some(known) = registration(state, &server.issuer).await? {
        take(settings, known);
        return Ok(());
    }
    if let Some(url) = client.document.as_ref().filter(|_| server.metadata_documents) {
        settings.client_id.clone_from(url);
        settings.auth = ClientAuth::None;
        return Ok(());
    }
    if server.registration_url.is_none() {
        return Err(Error::new(
            Code::InvalidValue,
            format!("{} does not know hallpass, and registers no client by itself", printable(&server.issuer)),
        )
        .hint("register a client there, with the redirect http://127.0.0.1/callback, and give its --client-id"));
    }
    let failed = |failure: Failure| odd(&server.issuer, &failure);
    let call = register::request(server, settings.allow_private).map_err(failed)?;
    let answer = native::send(state, APART, call).await?;
    let new = register::read(server, &answer).map_err(failed)?;
    let text = serde_json::to_vec(&new).map_err(|_| Error::internal("a registration that cannot be written"))?;
    let store = state.store.borrow().clone();
    store.put(&place(&server.issuer), Secret::take(text)).await?;
    state.record_after(
        Record::new("issuer.register", crate::principal::HUMAN, crate::principal::Kind::Human)
            .decision(Decision::Done)
            .detail(&printable(&server.issuer)),
    );
    take(settings, new);
    Ok(())
}

/// The secret of the client that a server's registration made, where it has one.
pub async fn registered_secret(state: &State, settings: &Settings) -> Result<Secret> {
    let issuer = settings.issuer.as_deref().unwrap_or_default();
    let known = registration(state, issuer).await?.filter(|known| known.client_id == settings.client_id);
    let known = known.ok_or_else(|| {
        Error::new(Code::NotFound, format!("the store has lost the registration at {}", printable(issuer)))
            .hint("remove the issuer and add it again: it is registered anew")
    })?;
    Ok(Secret::take_string(known.client_secret.unwrap_or_default()))
}

async fn registration(state: &State, issuer: &str) -> Result<Option<Registration>> {
    let store = state.store.borrow().clone();
    match store.get(&place(issuer)).await {
        Ok(text) => {
            let known: Option<Registration> = serde_json::from_slice(text.expose()).ok();
            // By the server's own name as well: two that share a place would share a client.
            Ok(known.filter(|known| known.issuer == issuer))
        }
        Err(StoreError::NotFound) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Under which name a server's registration rests in the store; no credential's name has a slash.
fn place(issuer: &str) -> String {
    let hash = digest::digest(&digest::SHA256, issuer.as_bytes());
    let hex: String = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("registration/{hex}")
}

fn take(settings: &mut Settings, known: Registration) {
    settings.registered = true;
    settings.client_id = known.client_id;
    settings.auth = known.auth;
}

async fn get(state: &State, url: &str, allow_private: bool) -> Result<http::Response<bytes::Bytes>> {
    let call = Call::get(url, allow_private).map_err(|failure| odd(url, &failure))?;
    native::send(state, APART, call).await
}

fn odd(url: &str, failure: &Failure) -> Error {
    let what = match failure {
        Failure::Answer { what, .. } => what.clone(),
        Failure::Later { status, .. } => format!("it answered {status}"),
        Failure::Settings(what) | Failure::Administrator(what) => what.clone(),
        _ => "it gave no answer that can be used".into(),
    };
    Error::new(Code::UpstreamRefused, format!("{} is not trusted: {what}", printable(url)))
        .hint("whoever runs it has to put that right; nothing was changed here")
}
