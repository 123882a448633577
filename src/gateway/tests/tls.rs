//! An upstream over TLS and HTTP/2, with a certificate that is checked.

use std::{cell::RefCell, rc::Rc, sync::Arc};

use bytes::Bytes;
use http::{Request, Response, Version};
use http_body_util::Full;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::{io::AsyncWriteExt, net::TcpListener, task::LocalSet};
use tokio_util::sync::CancellationToken;

use super::{Bench, KEY, pass, read_answer, soon, token};
use crate::gateway::{Gateway, catalogue::Catalogue, serve_connection};

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// Asks an upstream that has a certificate for `localhost`, trusting it or not.
async fn ask(trusted: bool) -> (u16, Vec<String>) {
    let bench = Bench::start().await;
    let rcgen::CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(signing_key.serialize_der()));
    let mut server = rustls::ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let mut roots = rustls::RootCertStore::empty();
    if trusted {
        roots.add(cert.der().clone()).unwrap();
    }
    let client = rustls::ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let seen: Rc<RefCell<Vec<String>>> = Rc::default();
    let for_server = seen.clone();
    tokio::task::spawn_local(async move {
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(server));
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(stream) = acceptor.accept(stream).await else { continue };
            let (sender, mut lines) = tokio::sync::mpsc::unbounded_channel();
            let service = service_fn(move |request: Request<Incoming>| {
                assert_eq!(request.version(), Version::HTTP_2);
                let key = request.headers()["authorization"].to_str().unwrap().to_owned();
                let _ = sender.send(format!("{} {key} {}", request.uri(), request.headers().contains_key("host")));
                async { Ok::<_, std::convert::Infallible>(Response::new(Full::new(Bytes::from_static(b"ok")))) }
            });
            tokio::spawn(
                hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(stream), service),
            );
            let seen = for_server.clone();
            tokio::task::spawn_local(async move {
                while let Some(line) = lines.recv().await {
                    seen.borrow_mut().push(line);
                }
            });
        }
    });
    let mut own = pass("models:read");
    own.base_url = Some(base_url);
    bench.fake.passes.borrow_mut().insert(token(4).hash(), own);
    let routes: Vec<_> = bench.gateway.catalogue().iter().cloned().collect();
    let gateway = Gateway::new(bench.fake.clone(), Catalogue::default().with_custom(&routes).unwrap()).with_tls(client);
    let near = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut stream = tokio::net::TcpStream::connect(near.local_addr().unwrap()).await.unwrap();
    let (far, _) = near.accept().await.unwrap();
    tokio::task::spawn_local(serve_connection(far, None, Rc::new(gateway), CancellationToken::new()));
    let request = format!(
        "GET /t/v1/models HTTP/1.1\r\nHost: localhost:{}\r\nx-api-key: {}\r\n\r\n",
        bench.port,
        token(4).expose()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let (status, ..) = soon("an answer", read_answer(&mut stream, &mut Vec::new())).await.unwrap();
    let lines = seen.borrow().clone();
    (status, lines)
}

#[tokio::test]
async fn http2_over_tls_and_no_key_without_a_good_certificate() {
    LocalSet::new()
        .run_until(async {
            let (status, lines) = ask(true).await;
            assert_eq!((status, lines.len()), (200, 1), "{lines:?}");
            assert!(
                lines[0].starts_with("https://localhost:")
                    && lines[0].ends_with(&format!("/v1/models Bearer {KEY} false")),
                "{lines:?}"
            );
            let (status, lines) = ask(false).await;
            assert_eq!((status, lines), (502, Vec::new()));
        })
        .await;
}
