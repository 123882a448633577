//! One request, step by step, in the one order that is safe.
//!
//! Owns that order: guard, target, route, token, scope, body, spend, key, upstream. Nothing reaches
//! the upstream before the use is counted and the audit log can take it; every request is put on
//! record once, also when the client leaves before the answer.

use std::{cell::Cell, rc::Rc};

use http::{Request, Response, StatusCode};

use super::{
    Backend, Gateway, Outcome, Pass, Routes,
    answer::Answer,
    body::{self, Through},
    canonical::CanonicalTarget,
    catalogue::Entry,
    endpoint, graphql,
    guard::{self, Arrival},
    headers,
    inject::{inject, strip_query},
    kept::Failure,
    matcher::{Allowed, Asked, decide},
    respond::problem,
    route::GraphqlRule,
    token_place::{self, Presented, holds_token},
    upstream, websocket,
};
use crate::{
    api::problem::Code,
    error::Error,
    http::request_body::RequestBody,
    scope::{Resource, Scope},
    token::TokenHash,
};

/// The route of clients that speak to `gateway.sock` with no route in front of their paths.
const BARE_ROUTE: &str = "anthropic";

/// What all requests of a connection have in common.
pub(super) struct Connection<B: Backend> {
    pub(super) gateway: Rc<Gateway<B>>,
    pub(super) peer: Option<B::Peer>,
    /// An upstream that has agreed to a WebSocket goes here.
    pub(super) agreed: Rc<Cell<Option<websocket::Agreed>>>,
}

/// Answers one request, whatever comes of it.
pub(super) async fn answer<B: Backend>(
    connection: Rc<Connection<B>>,
    request: Result<Request<RequestBody>, Error>,
) -> Response<Through<Answer>> {
    let gateway = &*connection.gateway;
    let mut trail = Trail::new(gateway.backend.clone());
    let outcome = match request {
        Err(error) => Err(error),
        Ok(request) => forward(&connection, request, &mut trail).await,
    };
    let response = match outcome {
        Ok(response) => response,
        Err(error) => {
            let retry_after = trail.pass.as_deref().and_then(|pass| gateway.backend.retry_after(pass));
            (trail.code, trail.detail) = (Some(error.code), Some(error.detail.clone()));
            problem(error, retry_after)
        }
    };
    trail.close(response.status().as_u16());
    response
}

async fn forward<B: Backend>(
    connection: &Connection<B>,
    request: Request<RequestBody>,
    trail: &mut Trail<B>,
) -> Result<Response<Through<Answer>>, Error> {
    let (gateway, peer) = (&*connection.gateway, connection.peer.as_ref());
    trail.method = request.method().clone();
    let backend = &*gateway.backend;
    let routes: Rc<Routes> = gateway.routes.borrow().clone();
    let port = backend.port();
    guard::check(&request, if peer.is_some() { Arrival::Unix(port) } else { Arrival::Tcp(port) })?;
    let websocket = websocket::is_asked_for(&request)?;
    let target = request.uri().path_and_query().map_or("", |target| target.as_str());
    let target = CanonicalTarget::parse(target)?;
    if endpoint::is_one(&target) {
        return asked(backend, peer, &request, &target, trail).await;
    }
    let (entry, from) = find_route(&routes, &target, peer.is_some())?;
    let route = &entry.route;
    trail.route = Some(route.name.clone());
    if holds_token(target.path_from(from).as_bytes()) {
        return Err(Error::new(
            Code::AmbiguousRequest,
            "the path holds a hallpass token, and would be sent to the upstream",
        ));
    }
    target.path_from(from).clone_into(&mut trail.path);
    if target.has_encoded_slash() && !route.encoded_slash {
        return Err(Error::new(Code::AmbiguousRequest, "the request could be read in two ways: an encoded slash")
            .hint(format!("the route {} takes no %2F in its paths", route.name)));
    }

    let presented = {
        let mut unknown = |text: &[u8]| backend.unknown(text, peer);
        token_place::find(request.headers(), target.query(), &route.auth, &mut unknown)?
    };
    if let Presented::Token(hash) = presented {
        trail.token = Some(hash);
    }
    let pass = admit(backend, peer, presented, &route.name).await?;
    trail.pass = Some(Rc::clone(&pass));
    if pass.route != route.name {
        return Err(Error::new(
            Code::OutsideScope,
            format!("this token works on the route {}, not on {}", pass.route, route.name),
        )
        .hint(format!("ask for one: hallpass mint {}:SCOPE", route.name)));
    }
    let allowed = decide(&entry.rules, Asked { method: request.method(), websocket, target: &target, from }, &pass)?;
    (trail.scope, trail.resource) = (Some(allowed.scope.clone()), allowed.resource.clone());

    let (mut parts, incoming) = request.into_parts();
    let blame = incoming.blame();
    let mut query = strip_query(target.query(), &route.auth)?;
    let body = judged_body(incoming, &parts, &pass, &allowed, websocket, target.query()).await?;
    let mut headers = headers::forwarded(std::mem::take(&mut parts.headers), &routes.key_headers)?;
    let base_url = base_url(entry, &pass)?;
    let upstream = gateway.upstreams.get(&pass.holder.issuer, base_url, route.allow_private, port)?;

    backend.spend(&pass)?;
    trail.spent = true;
    let key = backend.credential(&pass).await?;
    inject(&mut headers, &mut query, &route.auth, &key)?;
    drop(key);
    if websocket {
        websocket::mark(&mut headers);
    }
    let uri = upstream.base.join(target.path_from(from), Some(&query))?;
    let mut outgoing = Request::new(body);
    (*outgoing.method_mut(), *outgoing.uri_mut(), *outgoing.headers_mut()) = (parts.method, uri, headers);
    let host = upstream.base.authority.host();
    // A lease that ends while its request is under way takes the request with it.
    let answered = tokio::select! {
        biased;
        () = pass.ended.cancelled() => {
            return Err(Error::new(Code::TokenRevoked, "the token ended while its request was under way"));
        }
        answered = upstream.send(outgoing, websocket) => answered,
    };
    let answered = answered.map_err(|failure| match (blame.fault(), failure) {
        // The upstream got only a part of its body.
        (Some(fault), _) => fault.into(),
        (None, Failure::Slow) => Error::new(Code::UpstreamTimeout, format!("{host} gave no answer within 10 minutes")),
        (None, Failure::Broken) => Error::new(
            Code::UpstreamUnreachable,
            format!("{host} closed the connection before it answered, or sent what is no HTTP"),
        ),
        (None, Failure::Connect(error)) => upstream::failure(&*error, host),
    })?;
    returned(answered, websocket, &pass, &connection.agreed)
}

/// A helper that is asked over HTTP: its answer, also where that is a refusal.
async fn asked<B: Backend>(
    backend: &B,
    peer: Option<&B::Peer>,
    request: &Request<RequestBody>,
    target: &CanonicalTarget,
    trail: &mut Trail<B>,
) -> Result<Response<Through<Answer>>, Error> {
    let found = endpoint::find(target)?;
    trail.route = target.segment(0).map(std::borrow::Cow::into_owned);
    if !holds_token(target.path_from(1).as_bytes()) {
        target.path_from(1).clone_into(&mut trail.path);
    }
    // Boxed: it may read the store, and every request would carry its size around.
    let outcome = Box::pin(endpoint::serve(backend, peer, found, request, target, &mut trail.token)).await;
    Ok(match outcome {
        Ok(text) => endpoint::respond(found, Ok(text)),
        Err(error) => {
            let response = endpoint::respond(found, Err(&error));
            (trail.code, trail.detail) = (Some(error.code), Some(error.detail));
            response
        }
    })
}

/// Turns the upstream's answer into the client's.
fn returned(
    mut answered: Response<Answer>,
    websocket: bool,
    pass: &Pass,
    agreed: &Cell<Option<websocket::Agreed>>,
) -> Result<Response<Through<Answer>>, Error> {
    let switching = answered.status() == StatusCode::SWITCHING_PROTOCOLS;
    if switching && !(websocket && websocket::is_agreed(&answered)) {
        return Err(Error::new(Code::UpstreamUnreachable, "the upstream left HTTP without being asked to"));
    }
    if switching {
        let upstream = hyper::upgrade::on(&mut answered);
        agreed.set(Some(websocket::Agreed { upstream, ended: pass.ended.clone() }));
    }
    let (mut parts, incoming) = answered.into_parts();
    parts.headers = headers::returned(parts.headers);
    parts.version = http::Version::HTTP_11;
    parts.extensions.clear();
    if switching {
        websocket::mark(&mut parts.headers);
        return Ok(Response::from_parts(parts, Through::empty()));
    }
    let body = match incoming {
        Answer::Whole(bytes) => Through::Whole(bytes),
        answer => Through::stream(answer, pass.ended.clone()),
    };
    Ok(Response::from_parts(parts, body))
}

/// The route that the path names, and how many segments that took.
fn find_route<'a>(routes: &'a Routes, target: &CanonicalTarget, unix: bool) -> Result<(&'a Entry, usize), Error> {
    let first = target.segment(0).unwrap_or_default();
    if let Some(entry) = routes.catalogue.entry(&first) {
        return Ok((entry, 1));
    }
    if unix
        && first == "v1"
        && let Some(entry) = routes.catalogue.entry(BARE_ROUTE)
    {
        return Ok((entry, 0));
    }
    let name: String = crate::principal::printable(&first).chars().take(64).collect();
    Err(Error::new(Code::NotFound, format!("there is no route {name:?}"))
        .hint("the first part of the path names the route; `hallpass route list` shows all of them"))
}

async fn admit<B: Backend>(
    backend: &B,
    peer: Option<&B::Peer>,
    presented: Presented,
    route: &str,
) -> Result<Rc<Pass>, Error> {
    let known: Option<TokenHash> = match presented {
        Presented::Token(hash) => Some(hash),
        Presented::Foreign | Presented::Nothing => None,
    };
    match (known, peer, presented) {
        (Some(hash), ..) => backend.admit(hash),
        // Boxed: it may mint, and every request would carry its size around.
        (None, Some(peer), _) => Box::pin(backend.admit_caller(peer, route)).await,
        (None, None, Presented::Foreign) => Err(Error::new(
            Code::TokenMissing,
            "the key in this request is not a hallpass token",
        )
        .hint(format!(
            "take a token in its place: hallpass mint {route}:SCOPE; a real key that was sent here should be rotated"
        ))),
        (None, None, _) => Err(Error::new(Code::TokenMissing, "no token came with the request")
            .hint(format!("take one: hallpass mint {route}:SCOPE, or run the program with `hallpass exec`"))),
    }
}

/// The body as it is forwarded: streamed, or read whole and judged where something bounds it.
async fn judged_body(
    incoming: RequestBody,
    parts: &http::request::Parts,
    pass: &Pass,
    allowed: &Allowed,
    websocket: bool,
    query: Option<&str>,
) -> Result<Through, Error> {
    if pass.bounds.is_empty() && allowed.graphql.is_none() {
        return Ok(Through::stream(incoming, pass.ended.clone()));
    }
    if websocket {
        return Err(Error::new(Code::OutsideBounds, "what goes over a WebSocket cannot be held to the grant's bounds"));
    }
    if allowed.graphql == Some(GraphqlRule::Query) && (parts.method != http::Method::POST || query.is_some()) {
        return Err(Error::new(
            Code::OutsideScope,
            "this scope takes GraphQL only as a POST with the document in its body",
        ));
    }
    body::require_plain_json(&parts.headers)?;
    let whole = body::collect(incoming).await?;
    pass.bounds.check(&whole).map_err(body::refused)?;
    if allowed.graphql == Some(GraphqlRule::Query) {
        graphql::require_queries(&whole)?;
    }
    Ok(Through::whole(whole))
}

fn base_url<'a>(entry: &'a Entry, pass: &'a Pass) -> Result<&'a str, Error> {
    match &pass.base_url {
        Some(own) => Ok(own),
        None if entry.route.needs_base_url() => {
            Err(Error::new(Code::Config, format!("the route {} needs a base URL of its own", entry.route.name))
                .hint(format!("write it to the config: [issuers.{}] base_url = \"https://...\"", pass.holder.issuer)))
        }
        None => Ok(&entry.route.base_url),
    }
}

/// What is known of a request so far; goes on record when it is closed, or dropped with the client.
struct Trail<B: Backend> {
    backend: Rc<B>,
    method: http::Method,
    route: Option<String>,
    path: String,
    token: Option<TokenHash>,
    pass: Option<Rc<Pass>>,
    scope: Option<Scope>,
    resource: Option<Resource>,
    code: Option<Code>,
    detail: Option<String>,
    spent: bool,
    closed: bool,
}

impl<B: Backend> Trail<B> {
    fn new(backend: Rc<B>) -> Self {
        Self {
            backend,
            method: http::Method::GET,
            route: None,
            path: String::new(),
            token: None,
            pass: None,
            scope: None,
            resource: None,
            code: None,
            detail: None,
            spent: false,
            closed: false,
        }
    }

    fn close(&mut self, status: u16) {
        self.closed = true;
        // A token that ended, or is used up, is refused under the name of whoever it was given to.
        let refused = if self.pass.is_none() { self.token.and_then(|token| self.backend.holder(token)) } else { None };
        self.backend.record(
            self.pass.as_deref().map(|pass| &pass.holder).or(refused.as_ref()),
            &Outcome {
                route: self.route.as_deref(),
                method: self.method.as_str(),
                path: &self.path,
                scope: self.scope.as_ref(),
                resource: self.resource.as_ref(),
                status,
                code: self.code,
                detail: self.detail.as_deref(),
            },
        );
    }
}

impl<B: Backend> Drop for Trail<B> {
    fn drop(&mut self) {
        if !self.closed {
            let left = if self.spent { "the client left before the answer came" } else { "the client left" };
            self.detail = Some(left.into());
            // nginx's word for it: client closed request.
            self.close(499);
        }
    }
}
