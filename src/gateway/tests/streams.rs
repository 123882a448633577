//! Streams, upgrades, slow clients, and hallpass's own answers.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    task::LocalSet,
};
use tokio_util::sync::CancellationToken;

use super::{Bench, pass, read_answer, read_head, soon, token};
use crate::{
    api::problem::Code,
    gateway::serve_connection,
    policy::bounds::{Bound, Bounds},
};

fn request(bench: &Bench, line: &str, more: &str, seed: u8) -> String {
    format!("{line} HTTP/1.1\r\nHost: localhost:{}\r\nx-api-key: {}\r\n{more}\r\n", bench.port, token(seed).expose())
}

#[tokio::test]
async fn an_event_passes_while_the_upstream_is_silent_and_a_client_that_leaves_cancels() {
    LocalSet::new()
        .run_until(async {
            let bench = Bench::start().await;
            let mut client = bench.connect().await;
            client.write_all(request(&bench, "GET /t/v1/sse", "", 1).as_bytes()).await.unwrap();
            let mut rest = Vec::new();
            let head = soon("the head", read_head(&mut client, &mut rest)).await.unwrap();
            assert!(head.starts_with("HTTP/1.1 200"));
            while !String::from_utf8_lossy(&rest).contains("data: first\n\n") {
                assert!(soon("the event", client.read_buf(&mut rest)).await.unwrap() > 0);
            }
            drop(client);
            soon("the upstream connection to close", bench.seen.closed.notified()).await;
        })
        .await;
}

#[tokio::test]
async fn a_lease_that_ends_cuts_its_streams() {
    LocalSet::new()
        .run_until(async {
            let bench = Bench::start().await;
            let mut client = bench.connect().await;
            client.write_all(request(&bench, "GET /t/v1/sse", "", 1).as_bytes()).await.unwrap();
            let mut rest = Vec::new();
            soon("the head", read_head(&mut client, &mut rest)).await.unwrap();
            bench.fake.passes.borrow()[&token(1).hash()].ended.cancel();
            let _ = soon("the end", client.read_to_end(&mut rest)).await;
            assert!(!rest.ends_with(b"0\r\n\r\n"), "a cut stream must not look complete");
            soon("the upstream connection to close", bench.seen.closed.notified()).await;
        })
        .await;
}

#[tokio::test]
async fn a_large_body_is_held_back_and_arrives_whole() {
    LocalSet::new()
        .run_until(async {
            const TOTAL: usize = 100 * 1024 * 1024;
            let bench = Bench::start().await;
            let mut client = bench.connect().await;
            let head = request(&bench, "POST /t/v1/upload", &format!("Content-Length: {TOTAL}\r\n"), 1);
            client.write_all(head.as_bytes()).await.unwrap();
            // The upstream does not read: what can be sent is what fits in socket buffers and ours.
            let piece = vec![b'x'; 64 * 1024];
            let mut sent = 0;
            while sent < TOTAL {
                match tokio::time::timeout(Duration::from_millis(500), client.write(&piece)).await {
                    Ok(count) => sent += count.unwrap(),
                    Err(_) => break,
                }
            }
            assert!(sent < 32 * 1024 * 1024, "{sent} bytes were taken by a gateway whose upstream reads nothing");
            bench.seen.go_on.notify_one();
            while sent < TOTAL {
                let most = piece.len().min(TOTAL - sent);
                sent += soon("room", client.write(&piece[..most])).await.unwrap();
            }
            let (status, ..) = soon("the answer", read_answer(&mut client, &mut Vec::new())).await.unwrap();
            assert_eq!((status, bench.seen.uploaded.get()), (200, TOTAL as u64));
        })
        .await;
}

#[tokio::test]
async fn a_websocket_is_joined() {
    LocalSet::new()
        .run_until(async {
            let bench = Bench::start().await;
            let mut client = bench.connect().await;
            let more = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
            client.write_all(request(&bench, "GET /t/v1/live", more, 2).as_bytes()).await.unwrap();
            let mut rest = Vec::new();
            let (status, head, _) = soon("101", read_answer(&mut client, &mut rest)).await.unwrap();
            assert_eq!(status, 101, "{head}");
            client.write_all(b"frames").await.unwrap();
            while rest.len() < 6 {
                assert!(soon("the echo", client.read_buf(&mut rest)).await.unwrap() > 0);
            }
            assert_eq!(rest, b"frames");
            bench.fake.passes.borrow()[&token(2).hash()].ended.cancel();
            let _ = soon("the end", client.read_to_end(&mut rest)).await;
        })
        .await;
}

#[tokio::test]
async fn half_a_head_is_closed_and_others_are_served() {
    LocalSet::new()
        .run_until(async {
            let bench = Bench::start().await;
            let (mut near, far) = tokio::io::duplex(1024);
            let limits = crate::http::serve::Limits { head_time: Duration::from_millis(50), ..crate::gateway::LIMITS };
            let quick = std::rc::Rc::new(
                crate::gateway::Gateway::new(bench.fake.clone(), crate::gateway::catalogue::Catalogue::default())
                    .with_limits(limits),
            );
            tokio::task::spawn_local(serve_connection(far, None, quick, CancellationToken::new()));
            near.write_all(b"GET /t/v1/models HTTP/1.1\r\nHost: ").await.unwrap();
            let mut answer = String::new();
            soon("the end", near.read_to_string(&mut answer)).await.unwrap();
            assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
            assert_eq!(bench.ask("GET /t/v1/models", "", "", 1).await.0, 200);
        })
        .await;
}

#[tokio::test]
async fn bounds_and_graphql_are_judged_on_what_is_sent() {
    LocalSet::new()
        .run_until(async {
            let bench = Bench::start().await;
            let bounded = crate::gateway::Pass {
                bounds: Bounds::one("model", Bound::OneOf(vec!["small".into()])),
                ..pass("chat")
            };
            bench.fake.passes.borrow_mut().insert(token(3).hash(), bounded);
            let json = "Content-Type: application/json\r\n";
            let small = r#"{"model":"small" }"#;
            assert_eq!(bench.ask("POST /t/v1/chat", json, small, 3).await.0, 200);
            assert_eq!(bench.seen.requests.borrow().last().unwrap().1, small.as_bytes());
            for (headers, body) in [
                (json, r#"{"model":"large"}"#),
                (json, ""),
                ("", small),
                ("Content-Type: application/json\r\nContent-Encoding: gzip\r\n", small),
            ] {
                assert_eq!(bench.ask("POST /t/v1/chat", headers, body, 3).await.0, 403, "{headers:?} {body:?}");
            }
            assert_eq!(bench.ask("POST /t/graphql", json, r#"{"query":"{ a }"}"#, 2).await.0, 200);
            assert_eq!(bench.ask("POST /t/graphql", json, r#"{"query":"mutation { a }"}"#, 2).await.0, 403);
            assert_eq!(bench.ask("POST /t/graphql?query=x", json, r#"{"query":"{ a }"}"#, 2).await.0, 403);
            assert_eq!((bench.seen.requests.borrow().len(), bench.fake.spent.get()), (2, 2));
        })
        .await;
}

#[tokio::test]
async fn our_own_answers_are_told_apart() {
    LocalSet::new()
        .run_until(async {
            let bench = Bench::start().await;
            let (status, head, _) = bench.ask("GET /t/v1/models", "", "", 1).await;
            assert_eq!(status, 200);
            assert!(
                !head.contains("set-cookie")
                    && !head.contains("access-control")
                    && head.contains("x-ratelimit-remaining: 3"),
                "{head}"
            );
            let (status, head, body) = bench.ask("DELETE /t/admin", "", "", 1).await;
            let problem: serde_json::Value = serde_json::from_slice(&body).unwrap();
            assert_eq!((status, problem["code"].as_str()), (403, Some("outside_scope")));
            assert!(head.contains("hallpass-error: outside_scope"), "{head}");
            assert!(problem["detail"].as_str().unwrap().contains("needs admin"), "{problem}");
            bench.fake.limited.set(true);
            let (status, head, _) = bench.ask("GET /t/v1/models", "", "", 1).await;
            assert!(status == 429 && head.contains("retry-after: 7"), "{head}");
            assert_eq!(bench.fake.records.borrow().last().unwrap().1, Some(Code::RateLimited));
        })
        .await;
}

#[tokio::test]
async fn the_socket_serves_callers_without_a_token() {
    LocalSet::new()
        .run_until(async {
            let bench = Bench::start().await;
            *bench.fake.caller.borrow_mut() = Some(pass("models:read"));
            for (target, auth, expected) in
                [("/t/v1/models", "", "200"), ("/t/v1/models", "x-api-key: sk\r\n", "200"), ("/t/admin", "", "403")]
            {
                let (mut near, far) = tokio::io::duplex(4096);
                tokio::task::spawn_local(serve_connection(
                    far,
                    Some(()),
                    bench.gateway.clone(),
                    CancellationToken::new(),
                ));
                near.write_all(
                    format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{auth}\r\n").as_bytes(),
                )
                .await
                .unwrap();
                let mut answer = String::new();
                soon("the end", near.read_to_string(&mut answer)).await.unwrap();
                assert!(answer.starts_with(&format!("HTTP/1.1 {expected}")), "{target}: {answer}");
            }
        })
        .await;
}

#[tokio::test]
async fn a_connection_that_says_nothing_costs_little() {
    LocalSet::new()
        .run_until(async {
            let bench = Bench::start().await;
            let waiting =
                serve_connection(bench.connect().await, None, bench.gateway.clone(), CancellationToken::new());
            assert!(size_of_val(&waiting) < 1200, "{} bytes", size_of_val(&waiting));
        })
        .await;
}

#[tokio::test]
async fn a_body_that_the_client_spoils_is_the_clients_fault() {
    LocalSet::new()
        .run_until(async {
            let bench = Bench::start().await;
            for (chunks, code) in [
                ("5\r\nhello\r\nzz\r\n", Code::AmbiguousRequest),
                ("5;x=y\r\nhello\r\n0\r\n\r\n", Code::AmbiguousRequest),
            ] {
                let mut client = bench.connect().await;
                let head = request(&bench, "POST /t/v1/chat", "Transfer-Encoding: chunked\r\n", 1);
                client.write_all(format!("{head}{chunks}").as_bytes()).await.unwrap();
                let (status, head, _) = soon("an answer", read_answer(&mut client, &mut Vec::new())).await.unwrap();
                assert!(status == 400 && head.contains("connection: close"), "{chunks:?}: {head}");
                assert_eq!(bench.fake.records.borrow().last().unwrap().1, Some(code));
                soon("the upstream connection to close", bench.seen.closed.notified()).await;
            }
            assert!(bench.seen.requests.borrow().is_empty());
        })
        .await;
}

#[tokio::test]
async fn a_small_body_of_a_refused_request_does_not_end_its_connection() {
    LocalSet::new()
        .run_until(async {
            let bench = Bench::start().await;
            let (mut client, mut rest) = (bench.connect().await, Vec::new());
            for (line, expected) in [("DELETE /t/admin", 403), ("POST /t/v1/chat", 200)] {
                let head = request(&bench, line, "Content-Length: 2\r\n", 1);
                client.write_all(format!("{head}{{}}").as_bytes()).await.unwrap();
                let (status, head, _) = soon("an answer", read_answer(&mut client, &mut rest)).await.unwrap();
                assert!(status == expected && !head.contains("connection: close"), "{head}");
            }
        })
        .await;
}
