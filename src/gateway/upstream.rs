//! The way to the upstreams.
//!
//! Owns the clients: one for each issuer, so that no connection is ever shared between two keys. No
//! redirects, no proxies from the environment; the address is judged at each connect.

use std::{
    cell::RefCell,
    collections::HashMap,
    future::Future,
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use http::{Request, Response, Uri, uri::Scheme};
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier, client::Resumption};
use tokio::net::TcpStream;
use tower_service::Service;

use super::{
    address::is_public,
    answer::Answer,
    base_url::BaseUrl,
    body::Through,
    kept::{Failure, Io, Kept},
};
use crate::{api::problem::Code, error::Error};

/// Name, TCP and TLS together.
const CONNECT_TIME: Duration = Duration::from_secs(10);
/// For the first of several addresses, so that a dead one does not use up the time of the next.
const ADDRESS_TIME: Duration = Duration::from_secs(4);

/// All upstreams that were used.
#[derive(Default)]
pub(super) struct Upstreams {
    by_issuer: RefCell<HashMap<String, Rc<Upstream>>>,
    tls: RefCell<Option<ClientConfig>>,
    own_port: Arc<AtomicU16>,
}

/// The upstream of one issuer.
pub(super) struct Upstream {
    text: String,
    allow_private: bool,
    pub(super) base: BaseUrl,
    /// HTTP/2 where the server offers it.
    http: Rc<Kept>,
    /// HTTP/1.1 only, which a WebSocket needs.
    http1: Rc<Kept>,
}

impl Upstream {
    /// Sends a request; a WebSocket's over HTTP/1.1.
    pub(super) async fn send(&self, request: Request<Through>, websocket: bool) -> Result<Response<Answer>, Failure> {
        if websocket { Box::pin(self.http1.upgrade(request)).await } else { self.http.send(request).await }
    }
}

#[cfg(test)]
impl Upstream {
    pub(super) fn has_unused(&self) -> bool {
        self.http.has_unused()
    }
}

impl Upstreams {
    pub(super) fn with_tls(config: ClientConfig) -> Self {
        Self { tls: RefCell::new(Some(config)), ..Self::default() }
    }

    /// The upstream of this issuer, kept as long as its base URL stays the same.
    pub(super) fn get(
        &self,
        issuer: &str,
        base_url: &str,
        allow_private: bool,
        own_port: Option<u16>,
    ) -> Result<Rc<Upstream>, Error> {
        self.own_port.store(own_port.unwrap_or(0), Ordering::Relaxed);
        if let Some(known) = self.by_issuer.borrow().get(issuer)
            && known.text == base_url
            && known.allow_private == allow_private
        {
            return Ok(known.clone());
        }
        let base = BaseUrl::parse(base_url, allow_private)?;
        let upstream = Rc::new(Upstream {
            text: base_url.to_owned(),
            allow_private,
            http: self.client(&base, allow_private, true)?,
            http1: self.client(&base, allow_private, false)?,
            base,
        });
        self.by_issuer.borrow_mut().insert(issuer.to_owned(), upstream.clone());
        Ok(upstream)
    }

    pub(super) fn forget(&self, issuer: &str) {
        self.by_issuer.borrow_mut().remove(issuer);
    }

    fn client(&self, base: &BaseUrl, allow_private: bool, http2: bool) -> Result<Rc<Kept>, Error> {
        let tcp = Tcp { allow_private, own_port: self.own_port.clone() };
        // A plain upstream needs no roots, and must work where there are none.
        let mut config = if base.scheme == Scheme::HTTP {
            settings()?.with_root_certificates(RootCertStore::empty()).with_no_client_auth()
        } else {
            self.tls()?
        };
        // Sessions are not shared between issuers either.
        config.resumption = Resumption::in_memory_sessions(8);
        let builder = HttpsConnectorBuilder::new().with_tls_config(config);
        let builder = if allow_private { builder.https_or_http() } else { builder.https_only() };
        let builder = builder.enable_http1();
        let connector = if http2 { builder.enable_http2().wrap_connector(tcp) } else { builder.wrap_connector(tcp) };
        Kept::new(Bounded(connector), base.join("/", None)?)
            .ok_or_else(|| Error::internal("an upstream's name cannot stand in a header"))
    }

    /// The TLS settings; the platform's roots are read at the first use.
    fn tls(&self) -> Result<ClientConfig, Error> {
        if let Some(config) = &*self.tls.borrow() {
            return Ok(config.clone());
        }
        let config = settings()?
            .try_with_platform_verifier()
            .map_err(|_| {
                Error::new(Code::UpstreamUnreachable, "this system's root certificates could not be read")
                    .hint("install the package ca-certificates, or set SSL_CERT_FILE for the daemon")
            })?
            .with_no_client_auth();
        *self.tls.borrow_mut() = Some(config.clone());
        Ok(config)
    }
}

fn settings() -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, Error> {
    ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|_| Error::internal("the TLS library has no usable versions"))
}

/// What the client sees when there is no connection. Names the host, never the path or query.
pub(super) fn failure(error: &(dyn std::error::Error + 'static), host: &str) -> Error {
    let mut source = Some(error);
    while let Some(inner) = source {
        if let Some(fault) = inner.downcast_ref::<Fault>() {
            return fault.explain(host);
        }
        source = inner.source();
    }
    Error::new(Code::UpstreamUnreachable, format!("{host} could not be reached, or its certificate was not accepted"))
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("the address is not allowed")]
    Forbidden,
    #[error("the address is the gateway's own")]
    Own,
    #[error("the name does not resolve")]
    Name,
    #[error("it took too long")]
    Slow,
    #[error("no connection ({0})")]
    Tcp(io::ErrorKind),
}

impl Fault {
    fn explain(&self, host: &str) -> Error {
        match self {
            Self::Forbidden => {
                Error::new(Code::UpstreamForbidden, format!("{host} is on this machine or in a private network"))
                    .hint("where that is meant, add the route with --allow-private")
            }
            Self::Own => Error::new(Code::UpstreamForbidden, format!("{host} is the gateway itself"))
                .hint("give the route the base URL of the real upstream"),
            Self::Name => Error::new(Code::UpstreamUnreachable, format!("the name {host} does not resolve"))
                .hint("check the network, and the route's base URL"),
            Self::Slow => {
                Error::new(Code::UpstreamTimeout, format!("{host} did not accept a connection within 10 seconds"))
            }
            Self::Tcp(kind) => Error::new(Code::UpstreamUnreachable, format!("no connection to {host}: {kind}")),
        }
    }
}

/// Opens TCP connections to addresses that are allowed.
#[derive(Clone)]
struct Tcp {
    allow_private: bool,
    own_port: Arc<AtomicU16>,
}

type Opening<T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send>>;

impl Service<Uri> for Tcp {
    type Response = TokioIo<TcpStream>;
    type Error = Fault;
    type Future = Opening<Self::Response, Fault>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let (allow_private, own_port) = (self.allow_private, self.own_port.load(Ordering::Relaxed));
        Box::pin(async move {
            let default = if uri.scheme_str() == Some("http") { 80 } else { 443 };
            let port = uri.port_u16().unwrap_or(default);
            let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_owned();
            let found = tokio::net::lookup_host((host.as_str(), port)).await.map_err(|_| Fault::Name)?;
            let mut addresses: Vec<SocketAddr> = found.collect();
            if addresses.is_empty() {
                return Err(Fault::Name);
            }
            addresses.dedup();
            if addresses.iter().any(|address| address.port() == own_port && is_here(address.ip())) {
                return Err(Fault::Own);
            }
            // One bad address among good ones is no accident: nothing of such a name is used.
            if !allow_private && !addresses.iter().all(|address| is_public(address.ip())) {
                return Err(Fault::Forbidden);
            }
            open(&addresses).await
        })
    }
}

/// True for an address that the gateway's listener would answer on.
fn is_here(address: IpAddr) -> bool {
    let address = address.to_canonical();
    address.is_loopback() || address.is_unspecified()
}

async fn open(addresses: &[SocketAddr]) -> Result<TokioIo<TcpStream>, Fault> {
    let mut fault = Fault::Slow;
    for address in addresses {
        match tokio::time::timeout(ADDRESS_TIME, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                stream.set_nodelay(true).map_err(|error| Fault::Tcp(error.kind()))?;
                return Ok(TokioIo::new(stream));
            }
            Ok(Err(error)) => fault = Fault::Tcp(error.kind()),
            Err(_) => {}
        }
    }
    Err(fault)
}

/// A connector with a deadline on the whole way: name, TCP and TLS.
#[derive(Clone)]
pub(super) struct Bounded(HttpsConnector<Tcp>);

impl Service<Uri> for Bounded {
    type Response = Io;
    type Error = Box<dyn std::error::Error + Send + Sync>;
    type Future = Opening<Self::Response, Self::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let opening = self.0.call(uri);
        Box::pin(async move {
            tokio::time::timeout(CONNECT_TIME, opening).await.unwrap_or_else(|_| Err(Box::new(Fault::Slow)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn connect(allow_private: bool, own_port: u16, uri: &str) -> Result<(), Fault> {
        let mut tcp = Tcp { allow_private, own_port: Arc::new(AtomicU16::new(own_port)) };
        tcp.call(uri.parse().unwrap()).await.map(|_| ())
    }

    #[tokio::test]
    async fn one_client_for_each_issuer_until_its_upstream_changes() {
        let upstreams = Upstreams::default();
        let get = |issuer, url| upstreams.get(issuer, url, true, None).unwrap();
        let one = get("a", "http://127.0.0.1:1");
        assert!(Rc::ptr_eq(&one, &get("a", "http://127.0.0.1:1")));
        assert!(!Rc::ptr_eq(&one, &get("b", "http://127.0.0.1:1")));
        assert!(!Rc::ptr_eq(&one, &get("a", "http://127.0.0.1:2")));
        assert!(upstreams.get("c", "http://127.0.0.1:1", false, None).is_err());
    }

    #[tokio::test]
    async fn no_private_address_and_never_our_own() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        for uri in
            ["https://127.0.0.1:1", "https://localhost:1", "https://2130706433:1", "https://[::1]:1", "https://127.1:1"]
        {
            assert!(matches!(connect(false, 0, uri).await, Err(Fault::Forbidden)), "{uri}");
        }
        assert!(connect(true, 0, &format!("http://127.0.0.1:{port}")).await.is_ok());
        assert!(matches!(connect(true, port, &format!("http://127.0.0.1:{port}")).await, Err(Fault::Own)));
        assert!(matches!(connect(true, port, &format!("http://localhost:{port}")).await, Err(Fault::Own)));
    }
}
