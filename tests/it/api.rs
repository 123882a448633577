//! Every operation with what it does not expect: never a fault of ours, always a problem document.

use hallpass::api::operations::ALL;

use super::support::{Home, key};

/// Statuses of 500 and above that are answers, not faults.
const MEANT: &[u16] = &[503, 504, 507];

fn bodies() -> Vec<(&'static str, String)> {
    vec![
        ("nothing", String::new()),
        ("garbage", "\u{0}\u{1}{{{]".into()),
        ("a list", "[]".into()),
        ("a list with a thing", "[{}]".into()),
        ("null", "null".into()),
        ("a number", "1e999".into()),
        ("an empty object", "{}".into()),
        ("an unknown member", r#"{"zzz":1}"#.into()),
        ("deep", format!("{}{}", "[".repeat(5000), "]".repeat(5000))),
        ("deep objects", format!("{}1{}", "{\"a\":".repeat(5000), "}".repeat(5000))),
        ("wrong types", r#"{"name":1,"what":[],"value":{},"title":null,"principal":[],"path":7,"token":{},"to":[]}"#.into()),
        ("huge texts", format!(r#"{{"name":"{0}","to":"{0}","title":"{0}","path":"{0}","what":"{0}"}}"#, "a".repeat(9000))),
        ("odd texts", r#"{"name":"..\u0000/\ud83d\ude00","to":"\u202e","title":"\u001b[2J","path":"/\u0000","what":"a:b@\u0000"}"#.into()),
        ("a lone surrogate", r#"{"name":"\ud800","value":"x"}"#.into()),
        ("huge numbers", r#"{"what":{"issuer":"openai","scopes":["chat"]},"ttl_seconds":18446744073709551615,"uses":4294967295,"wait_seconds":0}"#.into()),
        ("a negative number", r#"{"what":{"issuer":"openai","scopes":["chat"]},"ttl_seconds":-1}"#.into()),
    ]
}

fn ids() -> Vec<String> {
    ["x", "..%2f..%2fetc%2fpasswd", "%00", "%zz", "%ff%fe", "a%20b", ".", "-", "task_", "lease_zzz"]
        .into_iter()
        .map(str::to_owned)
        .chain(["a".repeat(4000)])
        .collect()
}

fn check(what: &str, reply: &super::wire::Reply) {
    let meant = reply.status < 500 || MEANT.contains(&reply.status);
    assert!(reply.status >= 200 && meant, "{what}: {} {}", reply.status, reply.text());
    if reply.status >= 400 {
        assert_eq!(reply.header("content-type"), Some("application/problem+json"), "{what}");
        let problem = reply.json();
        assert_eq!(problem["status"], reply.status, "{what}: {problem}");
        assert!(problem["type"].as_str().unwrap().starts_with("urn:hallpass:error:"), "{what}");
        assert!(!problem["detail"].as_str().unwrap().is_empty(), "{what}");
        assert!(!reply.text().contains('\u{1b}'), "{what}: control characters come back");
    } else {
        reply.json();
    }
}

#[test]
fn no_operation_falls_over_what_it_does_not_expect() {
    let home = Home::started();
    home.run(["credential", "add", "openai"], &key()).ok();
    for operation in ALL {
        let plain = operation.path.replace("{name}", "x").replace("{id}", "x");
        for method in ["GET", "POST", "DELETE", "PUT", "PATCH", "OPTIONS", "TRACE", "X"] {
            if method == operation.method {
                continue;
            }
            let reply = home.api(method, &plain, "");
            let taken = ALL.iter().any(|other| other.method == method && other.path == operation.path);
            if !taken {
                assert!([405, 404, 400].contains(&reply.status), "{method} {plain}: {}", reply.status);
                check(&format!("{method} {plain}"), &reply);
            }
        }
        for (what, body) in bodies() {
            // What locks the store or removes things would make the rest meaningless; it comes last.
            let reply = home.api(operation.method, &plain, &body);
            check(&format!("{} {plain} with {what}", operation.method), &reply);
        }
        if operation.path.contains('{') {
            for id in ids() {
                let path = operation.path.replace("{name}", &id).replace("{id}", &id);
                let reply = home.api(operation.method, &path, "{}");
                assert!(reply.status >= 400, "{} {path}: {}", operation.method, reply.text());
                check(&format!("{} {path}", operation.method), &reply);
            }
        }
    }
    for path in ["/", "/v1", "/v1/", "/v2/ping", "/v1/ping/", "//v1/ping", "/v1/ping?x=1", "/v1/../v1/ping", "*"] {
        let reply = home.api("GET", path, "");
        assert!((400..500).contains(&reply.status), "{path}: {}", reply.status);
        check(path, &reply);
    }
    assert!(home.ping());
    assert!(!home.log().contains("panicked"), "{}", home.log());
}

#[test]
fn the_document_is_served_and_names_every_operation() {
    let home = Home::started();
    let document = home.api("GET", "/v1/openapi.json", "").json();
    for operation in ALL {
        let method = operation.method.to_ascii_lowercase();
        assert_eq!(document["paths"][operation.path][&method]["operationId"], operation.id);
    }
}
