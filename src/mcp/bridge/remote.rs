//! HTTP to the one server of a bridge.
//!
//! Owns the client: https with the system's roots, or plain http to this machine; no redirects, no proxies. hyper, as in
//! the gateway: it is there already, and sends the address as it was judged.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper_rustls::{ConfigBuilderExt as _, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use rustls::{ClientConfig, RootCertStore};

use crate::{
    api::problem::Code,
    error::{Error, Result},
    mcp::{MAX_MESSAGE, endpoint::Endpoint},
};

/// Name, TCP and TLS together, roughly: each address gets its part.
const CONNECT_TIME: Duration = Duration::from_secs(10);
/// How long a connection is kept for the next request.
const IDLE_TIME: Duration = Duration::from_secs(30);
/// How long the body of a JSON answer may take once it has begun.
const BODY_TIME: Duration = Duration::from_secs(120);

/// The client.
pub struct Http {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    uri: Uri,
    host: String,
    /// The address holds the credential: no part of it may be said.
    pub hides_path: bool,
}

impl Http {
    /// A client for this server.
    ///
    /// # Errors
    /// The system has no root certificates.
    pub fn new(endpoint: &Endpoint) -> Result<Self> {
        let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|_| Error::internal("the TLS library has no usable versions"))?;
        let tls = match endpoint.is_plain() {
            true => builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth(),
            false => builder
                .try_with_platform_verifier()
                .map_err(|_| {
                    Error::new(Code::UpstreamUnreachable, "this system's root certificates could not be read")
                        .hint("install the package ca-certificates, or set SSL_CERT_FILE")
                })?
                .with_no_client_auth(),
        };
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT_TIME));
        let https = HttpsConnectorBuilder::new().with_tls_config(tls);
        let https = if endpoint.is_plain() { https.https_or_http() } else { https.https_only() };
        let connector = https.enable_http1().enable_http2().wrap_connector(tcp);
        Ok(Self {
            client: Client::builder(TokioExecutor::new()).pool_idle_timeout(IDLE_TIME).build(connector),
            uri: endpoint.uri().clone(),
            host: endpoint.uri().authority().map(ToString::to_string).unwrap_or_default(),
            hides_path: endpoint.has_place(),
        })
    }

    /// Sends one request, to the server's address or to the same with the credential in it; its answer's head. `wait`
    /// bounds the time until then.
    ///
    /// # Errors
    /// There is no answer.
    pub async fn send(
        &self,
        method: Method,
        address: Option<Uri>,
        headers: HeaderMap,
        body: Bytes,
        wait: Option<Duration>,
    ) -> Result<Response<Incoming>> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = address.unwrap_or_else(|| self.uri.clone());
        *request.headers_mut() = headers;
        let agent = HeaderValue::from_static(concat!("hallpass/", env!("CARGO_PKG_VERSION")));
        request.headers_mut().insert(header::USER_AGENT, agent);
        let sent = self.client.request(request);
        let answered = match wait {
            Some(wait) => tokio::time::timeout(wait, sent).await.map_err(|_| {
                Error::new(
                    Code::UpstreamTimeout,
                    format!("{} did not answer within {} seconds", self.host, wait.as_secs()),
                )
            })?,
            None => sent.await,
        };
        answered.map_err(|error| self.failure(&error))
    }

    /// All of a body, as far as a message may go.
    ///
    /// # Errors
    /// It is too large, takes too long or breaks off.
    pub async fn body(&self, body: Incoming) -> Result<Bytes> {
        let whole = tokio::time::timeout(BODY_TIME, Limited::new(body, MAX_MESSAGE).collect()).await;
        let whole = whole.map_err(|_| {
            Error::new(
                Code::UpstreamTimeout,
                format!("{} did not finish its answer within {} seconds", self.host, BODY_TIME.as_secs()),
            )
        })?;
        whole.map(|whole| whole.to_bytes()).map_err(|error| match error.is::<http_body_util::LengthLimitError>() {
            true => self.too_large(),
            false => self.broke_off(),
        })
    }

    /// The server's name in an error.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The error for a message that is too large.
    pub fn too_large(&self) -> Error {
        let limit = MAX_MESSAGE / (1024 * 1024);
        Error::new(Code::TooLarge, format!("{} sent a message of more than {limit} MiB", self.host))
    }

    /// The error for an answer that ended in the middle.
    pub fn broke_off(&self) -> Error {
        Error::new(Code::UpstreamUnreachable, format!("{} broke off in the middle of its answer", self.host))
            .hint("try again")
    }

    /// Names the host, and never what a foreign error may hold.
    fn failure(&self, error: &hyper_util::client::legacy::Error) -> Error {
        let host = &self.host;
        if !error.is_connect() {
            return Error::new(Code::UpstreamUnreachable, format!("{host} closed the connection without an answer"))
                .hint("try again");
        }
        let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
        let mut why = String::new();
        while let Some(inner) = source {
            if let Some(io) = inner.downcast_ref::<std::io::Error>() {
                why = format!(": {}", io.kind());
            }
            source = inner.source();
        }
        Error::new(Code::UpstreamUnreachable, format!("no connection to {host}{why}"))
            .hint("is the server running, and is its certificate one that this system accepts?")
    }
}
