//! An upstream that ends something early: its answer before the upload's end, its connection before the next request.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
    thread,
};

use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};

use super::{
    support::{Home, MEMORY, PATIENCE, key},
    wire,
};

/// More than all buffers on the way together hold.
const UPLOAD: usize = 96 * 1024 * 1024;
/// What the daemon may take for it.
const ROOM: u64 = 24 * 1024 * 1024;

/// Adds this route, its credential and a grant; a token for it.
fn token(home: &Home, route: &str, base_url: &str) -> String {
    home.does(&format!("route add {route} {base_url} --auth bearer --allow-private"));
    home.run(["credential", "add", route], &key()).ok();
    home.does("principal add bot --kind agent");
    home.does(&format!("grant add bot {route}:*"));
    home.does(&format!("mint {route}:* --as bot"))
}

#[test]
fn an_answer_before_the_uploads_end_reaches_the_client() {
    // One that reads on until the client stops, and one that closes on unread bytes, which resets the connection.
    for lingers in [true, false] {
        let home = Home::started();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let token = token(&home, "up", &format!("http://{}", listener.local_addr().unwrap()));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                thread::spawn(move || small_only(stream, lingers));
            }
        });
        assert!(home.works(&token));
        let (port, before) = (home.port(), peak_memory(&home));
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        let mut writer = stream.try_clone().unwrap();
        let head = format!(
            "POST /up/v1/things HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\nContent-Length: {UPLOAD}\r\n\r\n"
        );
        let upload = thread::spawn(move || {
            let piece = vec![b'x'; 64 * 1024];
            // Ends with an error once the daemon has closed: nobody wants the rest.
            writer
                .write_all(head.as_bytes())
                .and_then(|()| (0..UPLOAD / piece.len()).try_for_each(|_| writer.write_all(&piece)))
        });
        let reply = wire::read_reply(&mut stream).unwrap();
        assert_eq!((reply.status, &*reply.body), (413, &b"too large"[..]), "lingers: {lingers}");
        drop(stream);
        assert!(upload.join().unwrap().is_err(), "lingers: {lingers}: the whole body was taken");
        let grown = peak_memory(&home) - before;
        assert!(grown < ROOM, "lingers: {lingers}: {grown} bytes for an upload that nobody read");
        assert!(home.works(&token), "lingers: {lingers}");
    }
}

/// Answers small requests, and 413 as soon as a large one has begun.
fn small_only(mut stream: TcpStream, lingers: bool) -> io::Result<()> {
    let (mut all, mut buffer) = (Vec::new(), vec![0; 64 * 1024]);
    while !all.windows(4).any(|four| four == b"\r\n\r\n") {
        let count = stream.read(&mut buffer)?;
        all.extend_from_slice(&buffer[..count]);
    }
    if !String::from_utf8_lossy(&all).to_ascii_lowercase().contains(&format!("content-length: {UPLOAD}\r\n")) {
        return stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok");
    }
    stream.read_exact(&mut buffer)?;
    stream.write_all(b"HTTP/1.1 413 Too Large\r\ncontent-length: 9\r\nconnection: close\r\n\r\ntoo large")?;
    if lingers {
        stream.shutdown(Shutdown::Write)?;
        while stream.read(&mut buffer)? > 0 {}
    }
    Ok(())
}

/// The most memory that the daemon has had, in bytes.
fn peak_memory(home: &Home) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", home.pid().unwrap())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

#[test]
fn a_connection_that_is_going_away_gets_no_new_request_and_finishes_the_old_one() {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let mut home = Home::new(MEMORY);
    let roots = home.path().join("roots.pem");
    std::fs::write(&roots, certified.cert.pem()).unwrap();
    let mut daemon = home.command(["daemon"]);
    daemon.env("SSL_CERT_FILE", &roots);
    home.start_with(daemon);

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let token = token(&home, "two", &format!("https://localhost:{}", listener.local_addr().unwrap().port()));
    let (connections, (told, taken), (release, released)) = (Arc::new(AtomicUsize::new(0)), channel(), channel());
    let (config, counted) = (tls(&certified), connections.clone());
    thread::spawn(move || {
        let mut first = Some((told, released));
        for stream in listener.incoming().flatten() {
            counted.fetch_add(1, Ordering::SeqCst);
            let tls = StreamOwned::new(ServerConnection::new(config.clone()).unwrap(), stream);
            let leaving = first.take();
            thread::spawn(move || serve(tls, leaving));
        }
    });
    let ask = || home.through(&token, "GET /two/v1/things", "", b"");
    thread::scope(|scope| {
        let first = scope.spawn(ask);
        taken.recv_timeout(PATIENCE).expect("the GOAWAY was not taken");
        let second = ask();
        assert_eq!((second.status, second.text()), (200, "later".into()));
        release.send(()).unwrap();
        let first = first.join().unwrap();
        assert_eq!((first.status, first.text()), (200, "first".into()));
    });
    assert_eq!(ask().text(), "later");
    assert_eq!(connections.load(Ordering::SeqCst), 2);
}

fn tls(certified: &rcgen::CertifiedKey<rcgen::KeyPair>) -> Arc<ServerConfig> {
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der()));
    let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    Arc::new(config)
}

// Frame types (RFC 9113 section 6).
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
/// `:status: 200` (RFC 7541 appendix A).
const STATUS_200: &[u8] = &[0x88];

/// HTTP/2 by hand, so that the test says when which frame goes out. With `leaving`, the first request is met
/// with a GOAWAY that spares it; once the client has read that, `leaving` is told, and waits to be told.
fn serve(mut stream: impl Read + Write, leaving: Option<(Sender<()>, Receiver<()>)>) -> io::Result<()> {
    stream.read_exact(&mut [0; 24])?;
    frame(&mut stream, SETTINGS, 0, 0, &[])?;
    let mut asked = 0;
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head)?;
        let (kind, flags) = (head[3], head[4]);
        let id = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        stream.read_exact(&mut payload)?;
        match (kind, &leaving) {
            (SETTINGS, _) if flags & 1 == 0 => frame(&mut stream, SETTINGS, 1, 0, &[])?,
            (PING, Some((told, released))) if flags & 1 == 1 => {
                told.send(()).map_err(io::Error::other)?;
                released.recv().map_err(io::Error::other)?;
                answer(&mut stream, asked, b"first")?;
            }
            (PING, _) if flags & 1 == 0 => frame(&mut stream, PING, 1, 0, &payload)?,
            (HEADERS, None) => answer(&mut stream, id, b"later")?,
            (HEADERS, Some(_)) => {
                assert_eq!(asked, 0, "a request after the GOAWAY was read");
                asked = id;
                frame(&mut stream, GOAWAY, 0, 0, &[id.to_be_bytes(), [0; 4]].concat())?;
                frame(&mut stream, PING, 0, 0, &[7; 8])?;
            }
            _ => {}
        }
    }
}

fn answer(stream: &mut impl Write, id: u32, body: &[u8]) -> io::Result<()> {
    frame(stream, HEADERS, 4, id, STATUS_200)?;
    frame(stream, DATA, 1, id, body)
}

fn frame(stream: &mut impl Write, kind: u8, flags: u8, id: u32, payload: &[u8]) -> io::Result<()> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let head = [&length[1..], &[kind, flags], &id.to_be_bytes()].concat();
    stream.write_all(&[&head, payload].concat())?;
    stream.flush()
}
