//! `hallpass mcp bridge`: the real binary between a client on standard input and output and a strict remote server.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc,
    },
};

use serde_json::{Value, json};

use super::{
    mcp_remote::{Remote, SESSION, Seen},
    support::{Home, PATIENCE, key, wait_until},
};

/// A started server of ours, and a client's side of it.
pub struct Peer {
    /// The process.
    pub child: Child,
    input: Option<ChildStdin>,
    lines: mpsc::Receiver<String>,
}

impl Peer {
    /// Starts `hallpass mcp ...`.
    pub fn start(home: &Home, line: &str) -> Self {
        let mut command = home.command(["mcp"].into_iter().chain(line.split(' ')));
        Self::of(&mut command, home)
    }

    /// Starts this command.
    pub fn of(command: &mut std::process::Command, home: &Home) -> Self {
        let log = std::fs::File::options().append(true).create(true).open(home.path().join("peer.log")).unwrap();
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let (input, output) = (child.stdin.take(), child.stdout.take().unwrap());
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        Self { child, input, lines }
    }

    /// Writes a line.
    pub fn write(&mut self, line: &str) {
        let input = self.input.as_mut().unwrap();
        input.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    /// Sends a message.
    pub fn send(&mut self, message: &Value) {
        self.write(&message.to_string());
    }

    /// The next line.
    pub fn line(&self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("no line came")
    }

    /// The next message.
    pub fn next(&self) -> Value {
        let line = self.line();
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("{line}"))
    }

    /// Sends a request and takes the next message for its answer.
    pub fn call(&mut self, id: u32, method: &str, params: Value) -> Value {
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }));
        let answer = self.next();
        assert_eq!(answer["id"], id, "{answer}");
        answer
    }

    /// Says hello.
    pub fn hello(&mut self) -> Value {
        let info = json!({"name": "client", "version": "1"});
        let params = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": info});
        let answer = self.call(0, "initialize", params);
        self.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        answer
    }

    /// Closes standard input and waits for the end; the exit code.
    pub fn end(mut self) -> i32 {
        self.input = None;
        self.ended()
    }

    /// Waits for the end; the exit code.
    pub fn ended(&mut self) -> i32 {
        let mut code = None;
        wait_until("it ends", || {
            code = self.child.try_wait().unwrap();
            code.is_some()
        });
        code.unwrap().code().unwrap_or(-1)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A home in which the server `far` gets this key.
fn home(remote: &Remote, key: &str) -> Home {
    let home = Home::started();
    home.run(["credential", "add", "far-key"], key).ok();
    home.does(&format!("mcp add far {} --want far-key:release", remote.url()));
    home.does("grant add mcp-far far-key:release");
    home
}

fn bearer(key: &str) -> String {
    format!("Bearer {key}")
}

fn has(seen: &Seen, key: &str) -> bool {
    seen.header("authorization") == Some(&bearer(key))
}

fn live(home: &Home) -> usize {
    home.json("lease list")["items"].as_array().unwrap().iter().filter(|lease| lease["live"] == true).count()
}

fn open_tasks(home: &Home) -> usize {
    home.json("task list")["items"].as_array().unwrap().len()
}

#[test]
fn what_is_configured_is_listed_and_judged() {
    let home = Home::started();
    home.run(["credential", "add", "openai"], &key()).ok();
    home.does("mcp add docs https://mcp.example.com/mcp");
    home.does("mcp add ai https://api.openai.com/v1/mcp --want openai:chat");
    let list = home.json("mcp list");
    assert_eq!((&list["items"][1]["name"], &list["items"][1]["through"]), (&json!("docs"), &Value::Null));
    let through = list["items"][0]["through"].as_str().unwrap();
    assert!(through.starts_with("http://127.0.0.1:") && through.ends_with("/openai/v1/mcp"), "{through}");
    assert_eq!(home.json("principal show mcp-ai")["kind"], "mcp-server");
    home.fails("mcp add docs https://other.example.com/mcp", 1, "exists");
    home.fails("mcp add x http://mcp.example.com/mcp", 1, "config");
    home.fails("mcp add x https://mcp.example.com/mcp --header Host:{}", 1, "config");
    // A token is of no use anywhere but at the gateway.
    let elsewhere = home.fails("mcp add x https://mcp.example.com/mcp --want openai:chat", 1, "invalid_value");
    assert!(elsewhere["hint"].as_str().unwrap().contains("openai:release"), "{elsewhere}");
    home.fails("mcp bridge nothing", 1, "not_found");
    home.does("mcp remove docs");
    home.fails("mcp remove docs", 1, "not_found");
}

#[test]
fn messages_go_through_as_they_are_with_the_key_as_a_header() {
    let key = key();
    let remote = Remote::start();
    let home = home(&remote, &key);
    let mut peer = Peer::start(&home, "bridge far");
    let hello = peer.hello();
    assert_eq!((&hello["result"]["fromTheFuture"], &hello["x-unknown"]), (&json!({"kept": true}), &json!([1, 2])));
    // Order of members, numbers and what nobody knows stay as they are.
    let odd = r#"{"z":1.50,"method":"from/theFuture","id":"a-1","jsonrpc":"2.0","params":{"b":1,"a":[1e2,"é\u00e9"]}}"#;
    peer.write(odd);
    assert!(peer.line().contains("\"fromTheFuture\":1.5"), "a JSON answer");
    let far = remote.calls("from/theFuture").pop().unwrap();
    assert_eq!(String::from_utf8(far.body.clone()).unwrap(), odd);
    assert_eq!((far.header("mcp-session-id"), far.header("mcp-protocol-version")), (Some(SESSION), Some("2025-11-25")));
    // A request of a batch (revision 2025-03-26) is a request too.
    peer.write(r#"[{"jsonrpc":"2.0","method":"n"}]"#);
    wait_until("the batch arrived", || remote.seen().iter().any(|seen| seen.message().is_array()));
    wait_until("it listened", || remote.seen().iter().any(|seen| seen.verb == "GET"));
    assert_eq!(peer.end(), 0);
    let seen = remote.seen();
    assert!(seen.iter().all(|seen| has(seen, &key)), "every request has it");
    assert_eq!(
        seen.iter().filter(|seen| seen.verb == "DELETE" && seen.header("mcp-session-id") == Some(SESSION)).count(),
        1
    );
    remote.is_content();
    assert_eq!(open_tasks(&home), 0);
    let audit = home.does("--json audit query --event credential.release");
    assert!(audit.contains("mcp-far") && audit.contains("mcp-server"), "{audit}");
}

#[test]
fn nothing_is_sent_where_nothing_is_configured_and_its_own_header_where_one_is() {
    let remote = Remote::start();
    let home = Home::started();
    home.does(&format!("mcp add open {}", remote.url()));
    let mut peer = Peer::start(&home, "bridge open");
    peer.hello();
    assert_eq!(peer.end(), 0);
    assert!(remote.seen().iter().all(|seen| seen.header("authorization").is_none()));
    let key = key();
    home.run(["credential", "add", "k"], &key).ok();
    let ran = home.run(["mcp", "add", "own", &remote.url(), "--want", "k:release", "--header", "X-Key: v1 {}"], "");
    ran.ok();
    home.does("grant add mcp-own k:release");
    let mut peer = Peer::start(&home, "bridge own");
    peer.hello();
    let last = remote.calls("initialize").pop().unwrap();
    assert_eq!((last.header("x-key"), last.header("authorization")), (Some(format!("v1 {key}").as_str()), None));
}

#[test]
fn a_401_is_tried_again_once_with_a_new_credential() {
    let (old, new) = (key(), key());
    let wanted = Arc::new(Mutex::new(old.clone()));
    let (right, listened) = (Arc::clone(&wanted), Arc::new(AtomicBool::new(false)));
    let over = Arc::clone(&listened);
    let remote = Remote::answering(move |seen, reply| match has(seen, &right.lock().unwrap()) {
        true => {
            reply.usual(seen);
            over.fetch_or(seen.verb == "GET", Ordering::SeqCst);
        }
        false => reply.plain(401, "www-authenticate: Bearer error=\"invalid_token\"\r\n", b"no"),
    });
    let home = home(&remote, &old);
    let mut peer = Peer::start(&home, "bridge far");
    peer.hello();
    // It asks for a stream of the server's own, and is told that there is none: from then on only we send something.
    wait_until("it has listened", || listened.load(Ordering::SeqCst));
    *wanted.lock().unwrap() = new.clone();
    home.run(["credential", "rotate", "far-key"], &new).ok();
    assert_eq!(peer.call(1, "ping", json!({}))["result"]["fromTheFuture"], 1.5, "the client sees nothing of it");
    let with = || remote.calls("ping").iter().map(|seen| has(seen, &new)).collect::<Vec<_>>();
    assert_eq!(with(), [false, true]);
    // One that stays wrong is said so, once.
    *wanted.lock().unwrap() = "another".into();
    let error = peer.call(2, "ping", json!({}));
    let text = error["error"]["message"].as_str().unwrap();
    assert!(text.contains("refused the one it got, twice") && text.contains("credential rotate far-key"), "{text}");
    assert_eq!((with(), &error["error"]["data"]["from"]), (vec![false, true, true, true], &json!("hallpass")));
}

#[test]
fn a_sign_in_and_a_missing_grant_say_what_to_do() {
    let remote = Remote::answering(|_, reply| {
        reply.plain(
            401,
            "www-authenticate: Bearer resource_metadata=\"https://h/.well-known/x\", scope=\"a b\"\r\n",
            b"",
        );
    });
    let home = Home::started();
    home.does(&format!("mcp add open {}", remote.url()));
    let text = Peer::start(&home, "bridge open").call(1, "initialize", json!({})).to_string();
    assert!(
        text.contains("wants a sign-in (OAuth, for a b)") && text.contains("mcp add open URL --want KEY:release"),
        "{text}"
    );
    home.run(["credential", "add", "k"], &key()).ok();
    home.does(&format!("mcp add far {} --want k:release", remote.url()));
    let before = remote.seen().len();
    let error = Peer::start(&home, "bridge far").call(1, "initialize", json!({}));
    assert_eq!(error["error"]["data"]["code"], "no_grant");
    assert!(
        error["error"]["data"]["hint"].as_str().unwrap().contains("hallpass grant add mcp-far 'k:release'"),
        "{error}"
    );
    assert_eq!(remote.seen().len(), before, "nothing was sent");
}

#[test]
fn a_token_goes_through_the_gateway_and_a_dead_one_is_replaced() {
    let key = key();
    let remote = Remote::start();
    let home = Home::started();
    home.does(&format!("route add up http://127.0.0.1:{} --allow-private", remote.port));
    home.run(["credential", "add", "up"], &key).ok();
    home.does(&format!("mcp add far {} --want up:read,write", remote.url()));
    home.does("grant add mcp-far up:read,write");
    let mut peer = Peer::start(&home, "bridge far");
    peer.hello();
    assert_eq!(live(&home), 1);
    let lease = home.json("lease list")["items"][0]["id"].as_str().unwrap().to_owned();
    home.does(&format!("lease revoke {lease}"));
    assert_eq!(peer.call(1, "ping", json!({}))["result"]["fromTheFuture"], 1.5);
    assert!(remote.seen().iter().all(|seen| has(seen, &key)), "the server sees the key, the bridge never has it");
    assert_eq!(peer.end(), 0);
    assert_eq!((live(&home), open_tasks(&home)), (0, 0));
}

#[test]
fn what_the_server_asks_comes_through_both_ways_it_may_come() {
    let answered = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&answered);
    let remote = Remote::answering(move |seen, reply| match (seen.verb.as_str(), seen.method().as_str()) {
        ("GET", _) => {
            reply.events("");
            reply.event(": hello");
            reply.event(
                "event: message\ndata: {\"jsonrpc\":\"2.0\",\"id\":\"e\",\ndata: \"method\":\"elicitation/create\"}",
            );
            reply.closed();
        }
        ("POST", "tools/call") => {
            reply.events("");
            reply.event("id: 1\ndata:");
            reply.event(r#"data: {"jsonrpc":"2.0","id":"s","method":"sampling/createMessage","params":{}}"#);
            reply.event(r#"data: {"jsonrpc":"2.0","method":"notifications/progress"}"#);
            wait_until("the client answered", || count.load(Ordering::SeqCst) == 2);
            reply.event(&format!("data: {}", seen.result()));
            reply.end();
        }
        ("POST", "") => {
            count.fetch_add(1, Ordering::SeqCst);
            reply.usual(seen);
        }
        _ => reply.usual(seen),
    });
    let home = home(&remote, &key());
    let mut peer = Peer::start(&home, "bridge far");
    peer.hello();
    let asked = peer.next();
    assert_eq!((&asked["id"], &asked["method"]), (&json!("e"), &json!("elicitation/create")));
    peer.send(&json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": "t"}}));
    assert_eq!(peer.next()["method"], "sampling/createMessage");
    assert_eq!(peer.next()["method"], "notifications/progress");
    for id in ["e", "s"] {
        peer.send(&json!({"jsonrpc": "2.0", "id": id, "result": {"ok": true}}));
    }
    let answer = peer.next();
    assert_eq!((&answer["id"], &answer["result"]["echo"]["name"]), (&json!(7), &json!("t")));
    assert_eq!(peer.end(), 0);
    remote.is_content();
}

#[test]
fn ten_at_once_and_one_that_never_answers() {
    let remote = Remote::answering(|seen, reply| match seen.method().as_str() {
        "slow" => reply.closed(),
        _ => reply.usual(seen),
    });
    let home = home(&remote, &key());
    let mut peer = Peer::start(&home, "bridge far");
    peer.hello();
    peer.send(&json!({"jsonrpc": "2.0", "id": "slow", "method": "slow"}));
    for id in 0..10 {
        peer.send(&json!({"jsonrpc": "2.0", "id": id, "method": "ping"}));
    }
    let mut ids: Vec<u64> = (0..10).map(|_| peer.next()["id"].as_u64().unwrap()).collect();
    ids.sort_unstable();
    assert_eq!(ids, (0..10).collect::<Vec<_>>());
    // One question to the daemon was enough for all of them.
    let released = home.does("--json audit query --event credential.release");
    assert_eq!(released.matches("credential.release").count(), 1, "{released}");
    peer.send(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "slow"}}));
    wait_until("the server is told", || !remote.calls("notifications/cancelled").is_empty());
    assert_eq!(peer.end(), 0);
}

#[test]
fn large_and_broken_messages() {
    let remote = Remote::start();
    let home = home(&remote, &key());
    let mut peer = Peer::start(&home, "bridge far");
    peer.hello();
    let large = "é".repeat(2_500_000);
    let answer = peer.call(1, "echo", json!({ "text": large }));
    assert!(answer["result"]["echo"]["text"] == large.as_str(), "5 MB there and back");
    peer.write("{ nonsense");
    assert_eq!(peer.next()["error"]["code"], -32700);
    peer.write("[]");
    assert_eq!(peer.next()["error"]["code"], -32600);
    peer.write(&"x".repeat(17 * 1024 * 1024));
    let error = peer.next();
    assert!(error["id"].is_null() && error["error"]["message"].as_str().unwrap().contains("16 MiB"), "{error}");
    assert_eq!(peer.call(2, "ping", json!({}))["id"], 2, "and goes on");
}

#[test]
fn a_server_that_is_down_or_breaks_off_is_said_so() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let remote = Remote::answering(|seen, reply| match (seen.verb.as_str(), seen.method().as_str()) {
        ("POST", "cut") => {
            reply.events("");
            reply.event("data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\"}");
            reply.cut();
        }
        ("POST", "cut-json") => {
            reply.plain(200, "content-type: application/json\r\ncontent-length: 900\r\nx: ", b"{\"id\"");
            reply.cut();
        }
        ("POST", "html") => reply.plain(200, "content-type: text/html\r\n", b"<html>"),
        ("POST", "other") => reply.json(&json!({"jsonrpc": "2.0", "id": 999, "result": {}})),
        ("POST", "huge") => {
            reply.events("");
            let part = "y".repeat(1024 * 1024);
            for _ in 0..18 {
                reply.part(&format!("data: {part}\n"));
            }
            reply.cut();
        }
        ("POST", "refused") => reply.plain(
            400,
            "content-type: application/json\r\n",
            br#"{"jsonrpc":"2.0","error":{"code":-32022,"message":"m","data":{"supported":["x"]}}}"#,
        ),
        ("POST", "moved") => reply.plain(307, "location: http://127.0.0.1:1/steal?q=1\r\n", b""),
        ("POST", "broken") => reply.plain(500, "", b""),
        ("POST", "scope") => {
            reply.plain(403, "www-authenticate: Bearer error=\"insufficient_scope\", scope=\"admin\"\r\n", b"")
        }
        _ => reply.usual(seen),
    });
    let home = home(&remote, &key());
    home.does(&format!("mcp add gone http://127.0.0.1:{gone}/mcp --want far-key:release"));
    home.does("grant add mcp-gone far-key:release");
    let error = Peer::start(&home, "bridge gone").call(1, "initialize", json!({}));
    assert_eq!(error["error"]["data"]["code"], "upstream_unreachable", "{error}");
    let mut peer = Peer::start(&home, "bridge far");
    peer.hello();
    peer.send(&json!({"jsonrpc": "2.0", "id": 1, "method": "cut"}));
    assert_eq!(peer.next()["method"], "notifications/progress");
    assert!(peer.next().to_string().contains("broke off"));
    for (id, method, says) in [
        (2, "cut-json", "upstream_unreachable"),
        (3, "html", "no MCP message"),
        (4, "huge", "more than 16 MiB"),
        (5, "moved", "redirects to http://127.0.0.1:1/steal, and a credential follows no redirect"),
        (6, "broken", "answered 500"),
        (7, "scope", "wants admin"),
    ] {
        let text = peer.call(id, method, json!({})).to_string();
        assert!(text.contains(says), "{method}: {text}");
    }
    peer.send(&json!({"jsonrpc": "2.0", "id": 8, "method": "other"}));
    assert_eq!(peer.next()["id"], 999, "what came goes through");
    assert!(peer.next()["error"]["message"].as_str().unwrap().contains("something else"));
    let refused = peer.call(9, "refused", json!({}));
    assert_eq!((&refused["error"]["code"], &refused["error"]["data"]["supported"][0]), (&json!(-32022), &json!("x")));
    assert_eq!(peer.call(10, "ping", json!({}))["id"], 10);
    assert_eq!(peer.end(), 0);
}

#[test]
fn a_stream_is_resumed_and_a_lost_session_opened_again() {
    let forgotten = Arc::new(AtomicBool::new(false));
    let forget = Arc::clone(&forgotten);
    let remote = Remote::answering(move |seen, reply| match (seen.verb.as_str(), seen.method().as_str()) {
        ("POST", "tools/call") => {
            reply.events("");
            reply.event("id: 41\nretry: 10\ndata:");
            reply.cut();
        }
        ("GET", _) if seen.header("last-event-id") == Some("41") => {
            reply.events("");
            reply.event(
                r#"id: 42
data: {"jsonrpc":"2.0","id":1,"result":{"late":true}}"#,
            );
            reply.end();
        }
        ("POST", "ping") if forget.load(Ordering::SeqCst) => reply.plain(404, "", b"no such session"),
        ("POST", "initialize") => {
            forget.store(false, Ordering::SeqCst);
            reply.usual(seen);
        }
        _ => reply.usual(seen),
    });
    let home = home(&remote, &key());
    let mut peer = Peer::start(&home, "bridge far");
    peer.hello();
    assert_eq!(peer.call(1, "tools/call", json!({"name": "t"}))["result"]["late"], true);
    forgotten.store(true, Ordering::SeqCst);
    assert_eq!(peer.call(2, "ping", json!({}))["result"]["fromTheFuture"], 1.5, "the client sees nothing of it");
    let opened: Vec<String> =
        remote.calls("initialize").iter().map(|seen| String::from_utf8(seen.body.clone()).unwrap()).collect();
    assert!(opened.len() == 2 && opened[0] == opened[1], "{opened:?}");
    assert_eq!(remote.calls("notifications/initialized").len(), 2);
    assert_eq!(peer.end(), 0);
    remote.is_content();
}

#[test]
fn the_revision_without_sessions_gets_its_headers_and_is_cancelled_by_closing() {
    let closed = Arc::new(AtomicBool::new(false));
    let heard = Arc::clone(&closed);
    let tools = r#"{"tools":[{"name":"sql","inputSchema":{"type":"object","properties":{"region":{"type":"string","x-mcp-header":"Region"}}}}]}"#;
    let remote = Remote::answering(move |seen, reply| match seen.method().as_str() {
        "tools/list" => {
            let text = format!(r#"{{"jsonrpc":"2.0","id":{},"result":{tools}}}"#, seen.message()["id"]);
            reply.plain(200, "content-type: application/json\r\n", text.as_bytes());
        }
        "subscriptions/listen" => {
            reply.events("");
            reply.event(r#"data: {"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged"}"#);
            reply.closed();
            heard.store(true, Ordering::SeqCst);
        }
        _ => reply.usual(seen),
    });
    let home = home(&remote, &key());
    let mut peer = Peer::start(&home, "bridge far");
    let meta = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28"});
    peer.call(1, "tools/list", json!({ "_meta": meta }));
    peer.call(2, "tools/call", json!({ "_meta": meta, "name": "sql", "arguments": {"region": "süd"} }));
    let call = remote.calls("tools/call").pop().unwrap();
    assert_eq!((call.header("mcp-name"), call.header("mcp-param-region")), (Some("sql"), Some("=?base64?c8O8ZA==?=")));
    peer.send(&json!({"jsonrpc": "2.0", "id": 3, "method": "subscriptions/listen", "params": { "_meta": meta }}));
    assert_eq!(peer.next()["method"], "notifications/subscriptions/acknowledged");
    peer.send(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 3}}));
    wait_until("its connection is closed", || closed.load(Ordering::SeqCst));
    assert!(remote.calls("notifications/cancelled").is_empty());
    assert_eq!(peer.end(), 0);
    assert!(remote.seen().iter().all(|seen| seen.verb == "POST"), "no stream and no session");
    remote.is_content();
}

#[test]
fn tokens_die_with_the_bridge() {
    let remote = Remote::start();
    let home = Home::started();
    home.does(&format!("route add up http://127.0.0.1:{} --allow-private", remote.port));
    home.run(["credential", "add", "up"], &key()).ok();
    home.does(&format!("mcp add far {} --want up:read,write", remote.url()));
    home.does("grant add mcp-far up:read,write");
    // Closed before anything was said.
    assert_eq!(Peer::start(&home, "bridge far").end(), 0);
    let mut peer = Peer::start(&home, "bridge far");
    peer.hello();
    assert_eq!((live(&home), home.json("task list")["items"][0]["title"].as_str()), (1, Some("mcp:far")));
    peer.child.kill().unwrap();
    wait_until("its tokens are dead", || live(&home) == 0 && open_tasks(&home) == 0);
    // What a person ends stays ended.
    let mut peer = Peer::start(&home, "bridge far");
    peer.hello();
    let task = home.json("task list")["items"][0]["id"].as_str().unwrap().to_owned();
    home.does(&format!("task end {task}"));
    assert_eq!(peer.call(1, "ping", json!({}))["error"]["data"]["code"], "task_ended");
    // SIGTERM is a clean end too.
    let pid = rustix::process::Pid::from_child(&peer.child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(peer.ended(), 0);
}

#[test]
fn many_at_once_lose_nothing() {
    let remote = Remote::start();
    let home = home(&remote, &key());
    let mut peer = Peer::start(&home, "bridge far");
    peer.hello();
    for id in 0..200 {
        peer.send(&json!({"jsonrpc": "2.0", "id": id, "method": "ping", "params": {"text": "x".repeat(10_000)}}));
    }
    let mut ids: Vec<u64> = (0..200).map(|_| peer.next()["id"].as_u64().unwrap()).collect();
    ids.sort_unstable();
    assert_eq!(ids, (0..200).collect::<Vec<_>>());
}
