//! The path-bypass corpus: `tests/data/bypass.toml` against the gateway, byte for byte.

use std::task::{Context, Waker};

use serde::Deserialize;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::{Bench, KEY, read_answer, soon, token};

#[derive(Deserialize)]
struct Corpus {
    case: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    why: String,
    #[serde(default = "get")]
    method: String,
    #[serde(default)]
    targets: Vec<String>,
    #[serde(default)]
    headers: Vec<String>,
    #[serde(default)]
    hosts: Vec<String>,
    #[serde(default)]
    auths: Vec<String>,
    #[serde(default)]
    requests: Vec<String>,
    #[serde(default)]
    refused: Vec<u16>,
    #[serde(default)]
    forwarded: Vec<String>,
    #[serde(default)]
    statuses: Vec<u16>,
}

fn get() -> String {
    "GET".into()
}

impl Case {
    /// The whole requests of this case, each with what `{tail}` stands for.
    fn requests(&self) -> Vec<(String, String)> {
        let fine = |target: &str, host: &str, auth: &str, more: &str| {
            format!("{} {target} HTTP/1.1\r\nHost: {host}\r\n{auth}\r\n{more}\r\n", self.method)
        };
        let (target, host, auth) = ("/t/v1/models", "{host}", "{auth}");
        let tail = |target: &str| target.trim_start_matches("/t/v1/").to_owned();
        let none = String::new;
        let mut all: Vec<(String, String)> = self.targets.iter().map(|t| (fine(t, host, auth, ""), tail(t))).collect();
        all.extend(self.headers.iter().map(|h| (fine(target, host, auth, &format!("{h}\r\n")), none())));
        all.extend(self.hosts.iter().map(|h| (fine(target, h, auth, ""), none())));
        all.extend(self.auths.iter().map(|a| (fine(target, host, a, ""), none())));
        all.extend(self.requests.iter().map(|request| (request.clone(), none())));
        all
    }
}

/// True when somebody has connected.
fn accepted(listener: &TcpListener) -> bool {
    listener.poll_accept(&mut Context::from_waker(Waker::noop())).is_ready()
}

/// Sends raw bytes and reads `count` answers, then whatever else comes until the gateway closes.
async fn statuses(bench: &Bench, raw: &str, count: usize) -> (Vec<u16>, String) {
    let mut stream = bench.connect().await;
    stream.write_all(raw.as_bytes()).await.unwrap();
    let (mut rest, mut found) = (Vec::new(), Vec::new());
    for _ in 0..count {
        if let Some((status, ..)) = soon("an answer", read_answer(&mut stream, &mut rest)).await {
            found.push(status);
        }
    }
    let _ = stream.shutdown().await;
    let _ = soon("the end", stream.read_to_end(&mut rest)).await;
    (found, String::from_utf8_lossy(&rest).into_owned())
}

#[tokio::test]
async fn nothing_gets_around_the_scope() {
    let local = tokio::task::LocalSet::new();
    local.run_until(corpus()).await;
}

async fn corpus() {
    let bench = Bench::start().await;
    let corpus: Corpus = toml::from_str(include_str!("../../../tests/data/bypass.toml")).unwrap();
    let (ours, other) = (token(1), token(2));
    let fill = |text: &str| {
        text.replace("{auth}", "Authorization: Bearer {token}")
            .replace("{host}", &format!("127.0.0.1:{}", bench.port))
            .replace("{port}", &bench.port.to_string())
            .replace("{token}", ours.expose())
            .replace("{token_rest}", ours.expose().trim_start_matches("hp_"))
            .replace("{other}", other.expose())
    };
    let (mut total, mut wrong) = (0, Vec::new());
    for case in &corpus.case {
        assert!(case.refused.is_empty() != case.forwarded.is_empty(), "{}: refused or forwarded", case.why);
        for (request, tail) in case.requests() {
            total += 1;
            bench.seen.requests.borrow_mut().clear();
            let count = case.statuses.len().max(case.forwarded.len()).max(1);
            let (found, after) = statuses(&bench, &fill(&request), count).await;
            // One request that is fine: when it has arrived, so has everything that came before it.
            let (status, ..) = bench.ask("GET /t/v1/models/sentinel", "", "", 1).await;
            assert_eq!(status, 200, "the gateway no longer works after {request:?}");
            let seen = std::mem::take(&mut *bench.seen.requests.borrow_mut());
            let lines: Vec<String> = seen
                .iter()
                .map(|(head, _)| head.lines().next().unwrap().trim_end_matches(" HTTP/1.1").to_owned())
                .collect();
            let mut expected: Vec<String> = case.forwarded.iter().map(|line| line.replace("{tail}", &tail)).collect();
            expected.push("GET /base/v1/models/sentinel".into());
            let fits = if case.refused.is_empty() {
                case.statuses.is_empty() || case.statuses == found
            } else {
                found.iter().all(|status| case.refused.contains(status)) && !found.is_empty()
            };
            if lines != expected || !fits || after.contains("HTTP/1.1 2") {
                wrong.push(format!("{}: {request:?}: answers {found:?}, upstream saw {lines:?}", case.why));
            }
            for (head, body) in &seen {
                let all = format!("{head}{}", String::from_utf8_lossy(body));
                let clean = !all.contains(ours.expose()) && !all.contains(other.expose());
                let lower = head.to_lowercase();
                let strange = [
                    "proxy-",
                    "x-api-key",
                    "te:",
                    "expect",
                    "via:",
                    "sec-fetch",
                    "hallpass",
                    "x-hop",
                    "trailer",
                    "keep-alive",
                ];
                let strange = strange.iter().any(|name| lower.contains(&format!("\r\n{name}")));
                if !clean || strange || all.matches(KEY).count() != 1 {
                    wrong.push(format!("{}: {request:?} went on as {all:?}", case.why));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {total}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(total >= 160, "only {total} cases");
    assert!(!accepted(&bench.sink), "a redirect was followed");
    let records = bench.fake.records.borrow();
    assert!(records.len() >= total, "each request is on record");
    assert!(!records.iter().any(|(.., path)| path.contains(ours.expose())), "a token is on record");
}
