//! `mcp login`: a person signs in for a remote MCP server (MCP authorization, revision 2026-07-28).
//!
//! Owns the way from a server's address to an issuer whose tokens are for that server and for no other: its challenge, its
//! metadata, its authorization server, the client there, the scopes. What was found is written into the config, so that a
//! bridge starts without asking for any of it again. Who may have tokens of it is for grants to say, as with every issuer.

use std::{collections::BTreeMap, rc::Rc};

use bytes::Bytes;
use http::{Request, StatusCode, header};

use super::{discover, login, mcp, native, new_name, not_found};
use crate::{
    api::{
        Done,
        login::{Challenged, LoginStarted, StartMcpLogin},
        problem::Code,
    },
    config::{self, Issuer, IssuerKind, mcp::Server},
    daemon::state::{State, callers::Caller},
    error::{Error, Result},
    issuer::{
        Call, Native,
        oauth::{Flow, Settings, discovery, login::OFFLINE},
    },
    mcp::{challenge::Challenge, endpoint::Endpoint},
    policy::RELEASE,
    principal::printable,
    scope::{Scope, ScopeSet, Wanted, any_resource},
};

/// The scope where a server names none: whatever its token may do.
pub const ACCESS: &str = "access";
/// What a client says first; a server that wants a token says so instead of an answer.
const HELLO: &str = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"hallpass","version":"1"}}}"#;

/// A bridge heard what its server wants.
pub fn challenged(state: &State, name: &str, request: Challenged) -> Result<Done> {
    find(state, name)?;
    state.logins.set_challenge(name, request);
    Ok(Done { done: true })
}

/// Starts an attempt to sign in.
pub async fn start(state: &Rc<State>, caller: &Caller, name: &str, request: StartMcpLogin) -> Result<LoginStarted> {
    let identity = state.human_only(caller, "signing in")?;
    state.audit_ready()?;
    let server = find(state, name)?;
    let issuer_name = server.want.as_ref().map_or(name, |want| &want.issuer).to_owned();
    let known = known(state, &issuer_name)?;
    let endpoint = Endpoint::parse(&server.url).map_err(|odd| Error::new(Code::InvalidValue, odd.to_string()))?;
    // A server on this machine may have its authorization server here as well; one elsewhere may not.
    let private = endpoint.is_plain();
    let url = endpoint.place();
    let challenge = match state.logins.challenge(name) {
        Some(challenge) => challenge,
        None => ask(state, &url, private).await?,
    };
    let found = discover::resource(state, &url, challenge.resource_metadata.as_deref(), private).await?;
    let authorization = discover::server(state, &found.server, private).await?;
    let mut settings = discover::of_server(&authorization, private);
    settings.flow = Flow::Login;
    settings.resource = Some(found.resource);
    match known.as_ref().filter(|_| request.client == Default::default()) {
        // The same client, if it is the same server: what one server gave is used with no other.
        Some((_, old)) if old.issuer == settings.issuer => {
            settings.client_id.clone_from(&old.client_id);
            settings.client_credential.clone_from(&old.client_credential);
            settings.auth = old.auth;
            settings.registered = old.registered;
            settings.redirect_port = old.redirect_port;
        }
        _ => discover::be(state, &authorization, &request.client, &mut settings).await?,
    }
    if settings.authorization_url.is_none() && settings.device_url.is_none() {
        return Err(Error::new(
            Code::UpstreamRefused,
            format!(
                "{} has no sign-in that is safe: neither PKCE by S256 nor the device flow",
                printable(&found.server)
            ),
        )
        .hint("whoever runs it has to add one"));
    }
    let scopes = scopes(&request.scopes, &challenge, found.scopes, known.as_ref().map(|(_, old)| old));
    let want = name_them(&issuer_name, &scopes, &mut settings);
    settings.login_scopes = scopes;
    // So that there is something to refresh the token with, where the server has that scope (SEP-2207).
    if authorization.scopes.as_ref().is_some_and(|all| all.iter().any(|one| one == OFFLINE)) {
        settings.login_scopes.push(OFFLINE.to_owned());
    }
    let credential = known.map_or_else(|| issuer_name.clone(), |(credential, _)| credential);
    let issuer = Issuer {
        kind: IssuerKind::Native(Box::new(Native::OAuth(settings.clone()))),
        credential: Some(credential.clone()),
    };
    config::edit::mcp::set_login(&state.paths.config(), name, &want, &issuer)?;
    state.reload()?;
    mcp::be_known(state, name)?;
    let scopes = settings.login_scopes.clone();
    login::begin(state, &identity, &issuer_name, credential, settings, scopes, request.how).await
}

fn find(state: &State, name: &str) -> Result<Server> {
    let settings = state.settings();
    settings.config.mcp.get(name).cloned().ok_or_else(|| not_found("MCP server", name, "hallpass mcp list"))
}

/// The login that the server has already: its credential and settings. Nothing where it has none yet.
fn known(state: &State, issuer: &str) -> Result<Option<(String, Settings)>> {
    match native::of(state, issuer) {
        Some((Issuer { credential: Some(credential), .. }, Native::OAuth(settings)))
            if settings.flow == Flow::Login =>
        {
            Ok(Some((credential, settings)))
        }
        None if !state.settings().config.issuers.contains_key(issuer) => {
            if state.names.borrow().credential(issuer).is_none() {
                new_name("issuer", issuer)?
            }
            Ok(None)
        }
        _ => Err(Error::new(Code::Exists, format!("{issuer} is an issuer of another kind, and nobody signs in there"))
            .hint("give the MCP server another name: hallpass mcp remove, then hallpass mcp add")),
    }
}

/// What the server says to somebody without a token.
async fn ask(state: &State, url: &str, allow_private: bool) -> Result<Challenged> {
    let odd = || Error::new(Code::InvalidValue, "the server's address has a query, which no token can be for");
    let (base_url, path) = crate::issuer::split_url(url).ok_or_else(odd)?;
    let request = Request::post(path)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::ACCEPT, "application/json, text/event-stream")
        .body(Bytes::from_static(HELLO.as_bytes()))
        .map_err(|_| odd())?;
    let call = Call { base_url: base_url.to_owned(), allow_private, request };
    let answer = native::send(state, discover::APART, call).await?;
    if answer.status() != StatusCode::UNAUTHORIZED {
        return Ok(Challenged::default());
    }
    let all = answer.headers().get_all(header::WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
    let Challenge { resource_metadata, scope, .. } = Challenge::read(&all.collect::<Vec<_>>().join(", "));
    Ok(Challenged { resource_metadata, scope })
}

/// What is asked for: what the server just wanted, else all that it has, else nothing; and what was agreed to before.
fn scopes(
    named: &[String],
    challenge: &Challenged,
    supported: Option<Vec<String>>,
    old: Option<&Settings>,
) -> Vec<String> {
    let wanted = challenge.scope.as_ref().map(|all| all.split_ascii_whitespace().map(ToOwned::to_owned).collect());
    let wanted: Vec<String> = match named {
        [] => wanted.or(supported).unwrap_or_default(),
        named => named.to_vec(),
    };
    let before = old.map(|old| old.login_scopes.as_slice()).unwrap_or_default();
    let mut all: Vec<String> = wanted.into_iter().chain(before.iter().filter(|one| *one != OFFLINE).cloned()).collect();
    all.retain(|word| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_graphic()));
    all.sort_unstable();
    all.dedup();
    all
}

/// The names that grants call the server's scopes by: their own where those are names.
fn name_them(issuer: &str, scopes: &[String], settings: &mut Settings) -> Wanted {
    let plain = |word: &String| word.parse::<Scope>().ok().filter(|_| word != RELEASE && !word.ends_with('*'));
    let mut named: BTreeMap<String, String> = BTreeMap::new();
    if scopes.is_empty() {
        named.insert(ACCESS.to_owned(), String::new());
    }
    for word in scopes {
        let name = plain(word).map_or_else(|| discovery::name_of(word), |name| name.to_string());
        named.entry(name).and_modify(|words| *words = format!("{words} {word}")).or_insert_with(|| word.clone());
    }
    let all = named.keys().filter_map(|name| name.parse().ok());
    let want = Wanted { issuer: issuer.to_owned(), scopes: ScopeSet::new(all), resources: any_resource() };
    if named.iter().any(|(name, words)| name != words) {
        settings.scopes = named;
    }
    want
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_comes_before_all_that_there_is_and_adds_to_what_was_agreed() {
        let challenge =
            |scope: Option<&str>| Challenged { scope: scope.map(ToOwned::to_owned), ..Challenged::default() };
        let of = |named: &[&str], scope, supported: Option<&[&str]>, old: &[&str]| {
            let owned = |all: &[&str]| all.iter().map(ToString::to_string).collect::<Vec<_>>();
            let old = Settings { login_scopes: owned(old), ..Settings::default() };
            scopes(&owned(named), &challenge(scope), supported.map(owned), Some(&old)).join(" ")
        };
        assert_eq!(of(&[], Some("b a"), Some(&["a", "b", "c"]), &[]), "a b");
        assert_eq!(of(&[], None, Some(&["c", "b"]), &[]), "b c");
        assert_eq!(of(&[], None, None, &[]), "");
        assert_eq!(of(&[], Some("b"), None, &["a", OFFLINE]), "a b");
        assert_eq!(of(&["x"], Some("b"), None, &[]), "x");
    }

    #[test]
    fn the_servers_words_have_names_that_a_grant_can_hold() {
        let named = |words: &[&str]| {
            let mut settings = Settings::default();
            let words: Vec<String> = words.iter().map(ToString::to_string).collect();
            let want = name_them("x", &words, &mut settings);
            (want.to_string(), settings.scopes)
        };
        assert_eq!(named(&["files:read", "files:write"]), ("x:files:read,files:write".into(), BTreeMap::new()));
        let (want, scopes) = named(&["https://www.example.com/auth/drive.readonly", "openid"]);
        assert_eq!(want, "x:openid,www.example.com-auth-drive.readonly");
        assert_eq!(scopes["openid"], "openid");
        let (want, scopes) = named(&[]);
        assert_eq!((want.as_str(), scopes[ACCESS].as_str()), ("x:access", ""));
        assert!(named(&["release"]).0 != "x:release", "the credential itself is no scope of a server");
    }
}
