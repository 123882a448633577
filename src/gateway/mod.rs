//! The gateway: a local token in, the real key out, on each allowed request.
//!
//! Owns what the gateway asks of the daemon ([`Backend`]) and one connection's service; the steps of
//! one request are in `pipeline`. A request is forwarded only as the canonical target and the
//! headers that were judged; there is no way from raw bytes to an upstream.

pub mod address;
mod answer;
pub mod base_url;
mod body;
mod call;
pub mod canonical;
pub mod catalogue;
mod endpoint;
mod exchange;
mod graphql;
pub mod guard;
mod headers;
mod inject;
mod kept;
mod link;
pub mod matcher;
mod pipeline;
mod respond;
pub mod route;
#[cfg(test)]
mod tests;
pub mod token_place;
mod upload;
mod upstream;
mod websocket;

use std::{cell::{Cell, RefCell}, future::Future, rc::Rc, time::Duration};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use crate::{
    api::problem::Code,
    error::Error,
    policy::bounds::Bounds,
    principal::Kind,
    scope::{Resource, ResourceSet, Scope, ScopeSet},
    secret::Secret,
    token::TokenHash,
};
use catalogue::Catalogue;
pub use headers::ERROR_HEADER;
use upstream::Upstreams;

use crate::http::serve::{Limits, serve_http1};

/// What the gateway needs of the daemon. Single-threaded: implemented by the daemon's shared state.
pub trait Backend: 'static {
    /// The process at the other end of `gateway.sock` (`sys::peer::Caller`).
    type Peer;

    /// The gateway's TCP port, for the Host check and so that no route points back at it.
    fn port(&self) -> Option<u16>;
    /// Who holds this token. Errors: `TokenInvalid`, `TokenExpired`, `TokenRevoked`, `TokenUsedUp`.
    fn admit(&self, token: TokenHash) -> Result<Rc<Pass>, Error>;
    /// Whose token it is or was, working or not, as far as that is still known: for the record of a refusal.
    fn holder(&self, token: TokenHash) -> Option<Holder> {
        let _ = token;
        None
    }
    /// What the caller's task may do on this route: for clients of `gateway.sock` that hold no token.
    fn admit_caller(&self, caller: &Self::Peer, route: &str) -> impl Future<Output = Result<Rc<Pass>, Error>>;
    /// A text came where a token would, and is none of ours; it is refused whatever this does.
    fn unknown(&self, text: &[u8], caller: Option<&Self::Peer>) {
        let _ = (text, caller);
    }
    /// Counts a use and the rate, checks again that the lease holds and that audit can be written.
    fn spend(&self, pass: &Pass) -> Result<(), Error>;
    /// How long a caller that met `RateLimited` should wait; goes out as `Retry-After`.
    fn retry_after(&self, pass: &Pass) -> Option<Duration> {
        let _ = pass;
        None
    }
    /// The real key.
    fn credential(&self, pass: &Pass) -> impl Future<Output = Result<Secret, Error>>;
    /// What a helper's endpoint gives for this token: the credential itself, where its lease is for exactly what the
    /// config has for the tool and `url`.
    fn hand_over(&self, token: TokenHash, tool: &str, url: &str) -> impl Future<Output = Result<HandedOver, Error>> {
        let _ = (token, tool, url);
        std::future::ready(Err(Error::new(Code::NotFound, "no helper is asked here")))
    }
    /// Puts a request on record; called once for each, when its answer's head is known.
    fn record(&self, holder: Option<&Holder>, outcome: &Outcome<'_>);
}

/// What a helper's endpoint gives.
pub struct HandedOver {
    /// The credential.
    pub secret: Secret,
    /// The user name that goes with it.
    pub username: Option<String>,
    /// When the token ends that it was asked with, Unix milliseconds.
    pub expires_ms: i64,
}

/// Whose a token is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The lease's id.
    pub lease: String,
    /// Who.
    pub principal: String,
    /// What kind of principal.
    pub kind: Kind,
    /// In which task.
    pub task: Option<String>,
    /// The issuer: upstream connections are never shared between two of them.
    pub issuer: String,
}

/// What a token, or a caller's task, may do at the gateway.
#[derive(Clone, Debug)]
pub struct Pass {
    /// Whose it is.
    pub holder: Holder,
    /// The route it works on, and no other.
    pub route: String,
    /// The upstream, where it is not the route's own.
    pub base_url: Option<String>,
    /// The credential's name.
    pub credential: String,
    /// What may be done.
    pub scopes: ScopeSet,
    /// And to what.
    pub resources: ResourceSet,
    /// And with which members in the body.
    pub bounds: Bounds,
    /// Ends requests that are under way when the lease does.
    pub ended: CancellationToken,
}

/// What came of a request, for the audit log.
#[derive(Clone, Copy, Debug)]
pub struct Outcome<'a> {
    /// The route, where the request named one.
    pub route: Option<&'a str>,
    /// The method.
    pub method: &'a str,
    /// The path behind the route, canonical, with no query; empty where it could not be read.
    pub path: &'a str,
    /// The scope that allowed it.
    pub scope: Option<&'a Scope>,
    /// The resource it was on.
    pub resource: Option<&'a Resource>,
    /// The status of the answer.
    pub status: u16,
    /// The code, where hallpass itself answered with an error.
    pub code: Option<Code>,
    /// What went wrong, with no query and no secret.
    pub detail: Option<&'a str>,
}

/// What a client of the gateway may take: long answers, large bodies, no dawdling.
const LIMITS: Limits = Limits {
    head_time: Duration::from_millis(9800),
    body_time: Duration::from_secs(30),
    idle_time: Duration::from_secs(75),
    write_time: Duration::from_secs(120),
    max_head: 64 * 1024,
    max_headers: 100,
    max_body: None,
};

/// The gateway of one daemon.
pub struct Gateway<B: Backend> {
    backend: Rc<B>,
    limits: Limits,
    routes: RefCell<Rc<Routes>>,
    upstreams: Upstreams,
}

struct Routes {
    catalogue: Rc<Catalogue>,
    key_headers: Vec<String>,
}

impl Routes {
    fn new(catalogue: Catalogue) -> Rc<Self> {
        Rc::new(Self { key_headers: catalogue.key_headers(), catalogue: Rc::new(catalogue) })
    }
}

impl<B: Backend> Gateway<B> {
    /// A gateway for these routes.
    pub fn new(backend: Rc<B>, catalogue: Catalogue) -> Self {
        Self { backend, limits: LIMITS, routes: RefCell::new(Routes::new(catalogue)), upstreams: Upstreams::default() }
    }

    /// The same with other limits on its clients.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The same with other TLS settings than the platform's roots. `config` must name no ALPN protocols.
    #[must_use]
    pub fn with_tls(mut self, config: rustls::ClientConfig) -> Self {
        self.upstreams = Upstreams::with_tls(config);
        self
    }

    /// The routes as they are now.
    pub fn catalogue(&self) -> Rc<Catalogue> {
        self.routes.borrow().catalogue.clone()
    }

    /// Takes new routes for the requests that come from now on.
    pub fn set_catalogue(&self, catalogue: Catalogue) {
        *self.routes.borrow_mut() = Routes::new(catalogue);
    }

    /// Closes the idle upstream connections of an issuer that was removed or has a new key.
    pub fn forget(&self, issuer: &str) {
        self.upstreams.forget(issuer);
    }
}

/// Serves one connection until it closes; `peer` is set on `gateway.sock`.
pub async fn serve_connection<S, B>(io: S, peer: Option<B::Peer>, gateway: Rc<Gateway<B>>, shutdown: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
    B: Backend,
{
    let limits = gateway.limits;
    // The upstream that has agreed to a WebSocket.
    let agreed = Rc::new(Cell::new(None));
    let connection = Rc::new(pipeline::Connection { gateway, peer, agreed: agreed.clone() });
    let handler = move |request| pipeline::answer(connection.clone(), request);
    let raw = serve_http1(io, limits, handler, shutdown.clone()).await;
    // A WebSocket goes on here when HTTP is over, and so counts as its connection until it ends: else one token
    // could open them until no file descriptor is left for anybody.
    if let Some((client, upstream)) = raw.zip(agreed.take()) {
        tokio::select! {
            () = websocket::join(client, upstream) => {}
            () = shutdown.cancelled() => {}
        }
    }
}
