//! The gateway from outside: what passes, what does not, and that the key goes nowhere else
//! (promises 5 and 6).

use super::{
    support::{Home, key},
    upstream::Upstream,
    wire,
};

fn home(grants: &[&str]) -> (Home, Upstream, String) {
    let (home, upstream, key) = (Home::started(), Upstream::start(), key());
    home.with_upstream(&upstream, &key);
    for grant in grants {
        home.does(&format!("grant add bot {grant}"));
    }
    (home, upstream, key)
}

#[test]
fn a_bounded_body_is_judged_on_the_bytes_that_are_sent() {
    let (home, upstream, _) = home(&["up:write --body model=one-of:small --body max_tokens=max:100"]);
    let token = home.does("mint up:write --as bot");
    let post = |more: &str, body: &[u8]| {
        home.through(&token, "POST /up/v1/things", &format!("Content-Type: application/json\r\n{more}"), body)
    };
    let good = br#"{"model":"small","max_tokens":100,"n":[1,2]}"#;
    assert_eq!(post("", good).status, 200);
    assert_eq!(upstream.seen()[0].body, good);
    for (more, body, why) in [
        ("", &br#"{"model":"large","max_tokens":1}"#[..], "another model"),
        ("", br#"{"max_tokens":1}"#, "no model"),
        ("", br#"{"model":"small","max_tokens":101}"#, "too many"),
        ("", br#"{"model":"small","model":"large","max_tokens":1}"#, "twice"),
        ("", br#"{"model":"large","model":"small","max_tokens":1}"#, "twice, the other way round"),
        ("", br#"{"mod\u0065l":"large","model":"small","max_tokens":1}"#, "escaped twin"),
        ("", br#"{"MODEL":"large","model":"small","max_tokens":1}"#, "another case"),
        ("Content-Encoding: gzip\r\n", good, "said to be compressed"),
        ("", b"\x1f\x8b\x08\x00", "compressed"),
        ("", b"", "empty"),
        ("", b"model=small&max_tokens=1", "a form"),
    ] {
        let reply = post(more, body);
        assert_eq!((reply.status, reply.code().as_str()), (403, "outside_bounds"), "{why}: {}", reply.text());
    }
    assert_eq!(upstream.count(), 1);
}

#[test]
fn a_web_page_gets_nothing() {
    let (home, upstream, _) = home(&["up:*"]);
    let token = home.does("mint up:* --as bot");
    for more in [
        "Origin: https://evil.example\r\n",
        "Origin: null\r\n",
        "Origin: http://127.0.0.1\r\n",
        "Sec-Fetch-Site: cross-site\r\n",
        "Cookie: a=b\r\n",
    ] {
        let reply = home.through(&token, "GET /up/v1/things", more, b"");
        assert!([400, 403].contains(&reply.status), "{more}: {}", reply.status);
        assert!(reply.header("access-control-allow-origin").is_none());
    }
    let port = home.port();
    for host in ["evil.example", "evil.example:80", "localhost.evil.example", &format!("127.0.0.2:{port}"), "127.0.0.1"]
    {
        let head = format!("GET /up/v1/things HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\r\n");
        let reply = wire::tcp(port, head.as_bytes()).unwrap();
        assert_eq!((reply.status, reply.code().as_str()), (403, "browser_refused"), "{host}");
    }
    let reply = home.through(&token, "OPTIONS /up/v1/things", "Access-Control-Request-Method: POST\r\n", b"");
    assert!(reply.header("access-control-allow-origin").is_none());
    assert!(upstream.seen().iter().all(|seen| !seen.head.to_ascii_lowercase().contains("origin:")));
    // The API's socket is no place for one either.
    let reply =
        wire::unix(&home.socket(), b"GET /v1/status HTTP/1.1\r\nHost: x\r\nOrigin: https://evil.example\r\n\r\n")
            .unwrap();
    assert_eq!(reply.status, 403);
}

#[test]
fn a_token_of_one_route_is_of_no_use_on_another() {
    let (home, upstream, _) = home(&["up:*"]);
    home.run(["credential", "add", "openai"], &key()).ok();
    let token = home.does("mint up:* --as bot");
    let reply = home.through(&token, "GET /openai/v1/models", "", b"");
    assert_eq!((reply.status, reply.code().as_str()), (403, "outside_scope"));
    assert_eq!(home.through(&token, "GET /nothing/v1/models", "", b"").status, 404);
    assert_eq!(upstream.count(), 0);
}

#[test]
fn spellings_of_a_path_do_not_get_around_the_scope() {
    let (home, upstream, _) = home(&[]);
    let url = format!("http://127.0.0.1:{}", upstream.port);
    let scope = "one=GET /v1/one/{id}";
    home.run(["route", "add", "narrow", &url, "--auth", "bearer", "--allow-private", "--scope", scope], "").ok();
    home.run(["credential", "add", "narrow"], &key()).ok();
    home.does("grant add bot narrow:one");
    let token = home.does("mint narrow:one --as bot");
    assert_eq!(home.through(&token, "GET /narrow/v1/one/7", "", b"").status, 200);
    assert_eq!(home.through(&token, "GET /narrow/v1/%6Fne/7", "", b"").status, 200, "one reading, the same");
    assert!(upstream.seen()[1].head.starts_with("GET /v1/one/7 "), "and forwarded as it was judged");
    for line in [
        "POST /narrow/v1/one/7",
        "get /narrow/v1/one/7",
        "DELETE /narrow/v1/one/7",
        "GET /narrow/v1/two/7",
        "GET /narrow/v1/one",
        "GET /narrow/v1/one/7/8",
        "GET /narrow/v1/one/../two",
        "GET /narrow/v1/one/%2e%2e",
        "GET /narrow/v1/one/.%2E",
        "GET /narrow/v1/one/%252e%252e",
        "GET /narrow/v1/one/7%2f..%2f..%2ftwo",
        "GET /narrow/v1/one/7%5c..",
        "GET /narrow/v1/ONE/7",
        "GET /narrow/v1/one/",
        "GET /narrow/v1/one//7",
        "GET /narrow/v1/one/7;/../two",
        "GET /narrow/v1/one/7#/x",
        "GET /NARROW/v1/one/7",
    ] {
        let reply = home.through(&token, line, "", b"");
        let fine = (400..500).contains(&reply.status)
            || (reply.status == 200 && upstream.seen().last().unwrap().head.contains("/v1/one/%252E%252E"));
        assert!(fine, "{line}: {} {}", reply.status, reply.text());
    }
    assert!(upstream.seen().iter().all(|seen| seen.head.starts_with("GET /v1/one/")));
}

#[test]
fn a_smuggled_request_is_refused() {
    let (home, upstream, _) = home(&["up:*"]);
    let token = home.does("mint up:* --as bot");
    let port = home.port();
    let start = format!("POST /up/v1/things HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\n");
    for framing in [
        "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        "Content-Length: +5\r\n\r\nhello",
        "Content-Length: 0x5\r\n\r\nhello",
        "Content-Length: 5\r\n folded: x\r\n\r\nhello",
        "Content-Length: 5\nX: y\r\n\r\nhello",
        "Host: other\r\nContent-Length: 0\r\n\r\n",
    ] {
        let reply = wire::tcp(port, format!("{start}{framing}").as_bytes()).unwrap();
        assert_eq!(reply.status, 400, "{framing:?}: {}", reply.text());
    }
    assert_eq!(upstream.count(), 0);
}

#[test]
fn the_way_to_another_host_is_closed() {
    let (home, upstream, _) = home(&["up:*"]);
    let token = home.does("mint up:* --as bot");
    let other = Upstream::start();
    for line in [
        format!("GET http://127.0.0.1:{}/up/v1/things", other.port),
        format!("CONNECT 127.0.0.1:{}", other.port),
        "GET //evil.example/up".into(),
        "GET /up/../openai/v1/models".into(),
        "GET /up/%2e%2e/openai/v1/models".into(),
        "GET /up/v1//things".into(),
        "GET /up/v1/%2fthings".into(),
        "GET /up/v1/..;/things".into(),
        "GET /up/v1\\things".into(),
        "GET /up/v1/%zz".into(),
        "GET /up/v1/%00".into(),
        "OPTIONS *".into(),
    ] {
        let reply = home.through(&token, &line, "", b"");
        assert!((400..500).contains(&reply.status), "{line}: {} {}", reply.status, reply.text());
    }
    assert_eq!((upstream.count(), other.count()), (0, 0));
    // Headers that some servers take for another method, path or host do not arrive.
    for more in
        ["X-HTTP-Method-Override: DELETE\r\n", "X-Original-URL: /admin\r\n", "X-Forwarded-Host: evil.example\r\n"]
    {
        let before = upstream.count();
        let reply = home.through(&token, "GET /up/v1/things", more, b"");
        let name = more.split(':').next().unwrap().to_ascii_lowercase();
        let arrived = upstream.seen().iter().skip(before).any(|seen| seen.head.to_ascii_lowercase().contains(&name));
        assert!(!arrived, "{name} arrived ({})", reply.status);
    }
}

#[test]
fn an_upstream_on_this_machine_needs_to_be_allowed_and_is_never_the_gateway() {
    let home = Home::started();
    let ran = home.line("--json route add evil http://127.0.0.1:1 --auth bearer");
    assert_ne!(ran.code(), 0, "plain http to loopback without --allow-private");
    let port = home.port();
    home.does("principal add bot --kind agent");
    // A name or an https URL that leads here is refused when it is used, if not before.
    for (number, url) in [
        format!("http://127.0.0.1:{port} --allow-private"),
        format!("http://localhost:{port} --allow-private"),
        "https://127.0.0.1:9".into(),
        "https://localhost:9".into(),
        "https://169.254.169.254".into(),
        "https://[::1]:9".into(),
        "https://0.0.0.0:9".into(),
    ]
    .iter()
    .enumerate()
    {
        let ran = home.line(&format!("--json route add r{number} {url} --auth bearer"));
        if ran.code() != 0 {
            continue;
        }
        home.run(["credential", "add", &format!("r{number}")], &key()).ok();
        home.does(&format!("grant add bot r{number}:*"));
        let token = home.does(&format!("mint r{number}:* --as bot"));
        let reply = home.through(&token, &format!("GET /r{number}/v1/ping"), "", b"");
        assert_eq!((reply.status, reply.code().as_str()), (502, "upstream_forbidden"), "{url}: {}", reply.text());
    }
    assert!(home.ping());
}

#[test]
fn the_gateways_errors_are_told_from_the_upstreams() {
    let (home, upstream, _) = home(&["up:*"]);
    let token = home.does("mint up:* --as bot");
    let port = upstream.port;
    assert!(home.works(&token));
    let refused = home.through("hp_x", "GET /up/v1/things", "", b"");
    assert_eq!(refused.header("content-type"), Some("application/problem+json"));
    home.does(&format!("route add gone http://127.0.0.1:{} --auth bearer --allow-private", free_port()));
    home.run(["credential", "add", "gone"], &key()).ok();
    home.does("grant add bot gone:*");
    let token = home.does("mint gone:* --as bot");
    let reply = home.through(&token, "GET /gone/x", "", b"");
    assert_eq!((reply.status, reply.code().as_str()), (502, "upstream_unreachable"));
    assert_ne!(port, 0);
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn a_redirect_is_the_clients_business_and_the_key_does_not_follow_it() {
    let other = Upstream::start();
    for status in [301, 302, 307, 308] {
        let location = format!("http://127.0.0.1:{}/stolen", other.port);
        let upstream = Upstream::answering(format!(
            "HTTP/1.1 {status} Moved\r\nlocation: {location}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        ));
        let (home, key) = (Home::started(), key());
        home.with_upstream(&upstream, &key);
        home.does("grant add bot up:*");
        let token = home.does("mint up:* --as bot");
        let reply = home.through(&token, "POST /up/v1/things", "", b"{}");
        assert_eq!(reply.status, status);
        assert_eq!(reply.header("location"), Some(&*location));
        assert!(!reply.head.contains(&key.to_lowercase()));
        assert_eq!(upstream.count(), 1);
    }
    assert_eq!(other.count(), 0);
}

#[test]
fn gateway_sock_takes_a_token_too() {
    let (home, upstream, _) = home(&["up:read"]);
    let token = home.does("mint up:read --as bot");
    let socket = home.path().join("run/gateway.sock");
    let head = format!("GET /up/v1/things HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n");
    assert_eq!(wire::unix(&socket, head.as_bytes()).unwrap().status, 200);
    let reply = wire::unix(&socket, b"GET /up/v1/things HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    assert!([401, 403].contains(&reply.status), "no token, and the caller has no task: {}", reply.text());
    assert_eq!(upstream.count(), 1);
}

#[test]
fn a_route_in_place_of_a_built_in_one_does_not_take_its_key_elsewhere() {
    let home = Home::started();
    home.run(["credential", "add", "openai"], &key()).ok();
    home.does("grant add human openai:chat");
    home.fails("route add openai https://evil.example", 1, "in_use");
    assert_eq!(home.json("route show openai")["base_url"], "https://api.openai.com");
    // Without a key it is one's own business, and is said.
    assert!(home.does("route add groq https://proxy.example").contains("in place of the one"));
    assert_eq!(home.json("route show groq")["base_url"], "https://proxy.example");
}
