//! The guard: what is refused before anything else is looked at.
//!
//! Owns the promise that a web page cannot talk to the gateway (exact Host, nothing a browser adds,
//! no CORS) and that no header may stand for another target, host or method than the ones judged.

use http::{HeaderMap, Method, Request, header};

use super::headers::Names;
use crate::{api::problem::Code, error::Error};

/// Headers that only a browser sends, or that only make sense for one.
static BROWSER: Names =
    Names::of(&["origin", "referer", "sec-fetch-site", "sec-fetch-dest", "sec-fetch-user", "cookie", "cookie2"]);

/// Headers by which some server takes the request for another one. With `_` as `-`, because servers
/// behind CGI, WSGI or Rack cannot tell the two apart.
static OVERRIDES: Names = Names::of(&[
    "forwarded",
    "x-original-url",
    "x-original-uri",
    "x-rewrite-url",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-method",
    "x-original-method",
    "x-host",
    "x-real-ip",
    "x-original-host",
    "x-http-host-override",
    "x-requested-path",
]);

/// Where a connection came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// Loopback TCP, at this port.
    Tcp(Option<u16>),
    /// `gateway.sock`; the port counts too, because a client may keep its base URL.
    Unix(Option<u16>),
}

/// Lets a request through to the gateway's own checks, or says why not.
pub fn check<T>(request: &Request<T>, arrival: Arrival) -> Result<(), Error> {
    let uri = request.uri();
    if uri.scheme().is_some() || uri.authority().is_some() || !uri.path().starts_with('/') {
        return Err(ambiguous("the target is not a plain path (RFC 9112 section 3.2.1)"));
    }
    if matches!(*request.method(), Method::CONNECT | Method::TRACE) || request.method().as_str() == "TRACK" {
        return Err(Error::new(Code::MethodNotAllowed, "the gateway forwards no CONNECT and no TRACE"));
    }
    check_host(request.headers(), arrival)?;
    for name in request.headers().keys() {
        check_name(name.as_str())?;
    }
    Ok(())
}

/// Refuses headers that a browser sends, and ones that stand for another target or method.
fn check_name(name: &str) -> Result<(), Error> {
    if BROWSER.has(name) || name.starts_with("access-control-request-") {
        return Err(Error::new(
            Code::Browser,
            format!("requests with the header {name} come from web pages, which may not use the gateway"),
        )
        .hint("call the gateway from a program that does not run in a browser"));
    }
    let folded = name.contains('_').then(|| name.replace('_', "-"));
    if folded.as_deref().is_some_and(|folded| DOUBLES.contains(&folded)) {
        return Err(ambiguous("a header whose name is another's with `_` for `-`"));
    }
    let name = folded.as_deref().unwrap_or(name);
    if OVERRIDES.has(name) || name.starts_with("x-forwarded") || name.starts_with("x-http-method") {
        return Err(ambiguous("a header that stands for another host, target or method"));
    }
    Ok(())
}

/// Headers that must not come in a second spelling.
const DOUBLES: [&str; 14] = [
    "content-length",
    "transfer-encoding",
    "content-type",
    "content-encoding",
    "host",
    "authorization",
    "proxy-authorization",
    "x-api-key",
    "api-key",
    "x-goog-api-key",
    "cookie",
    "origin",
    "connection",
    "upgrade",
];

fn check_host(headers: &HeaderMap, arrival: Arrival) -> Result<(), Error> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return Err(ambiguous("not exactly one Host"));
    };
    let host = host.as_bytes();
    let (port, unix) = match arrival {
        Arrival::Tcp(port) => (port, false),
        Arrival::Unix(port) => (port, true),
    };
    let ours = [&b"127.0.0.1"[..], b"localhost"].iter().any(|name| match host.strip_prefix(*name) {
        Some(rest) => rest.strip_prefix(b":").is_some_and(|text| {
            port.is_some_and(|port| std::str::from_utf8(text).is_ok_and(|text| is_port(text, port)))
        }),
        None => false,
    });
    if ours || (unix && matches!(host, b"localhost" | b"hallpass")) {
        return Ok(());
    }
    Err(Error::new(Code::Browser, "the Host is not the gateway's own").hint(match port {
        Some(port) => format!("use the base URL http://127.0.0.1:{port}/ROUTE"),
        None => "use the base URL that `hallpass env` prints".into(),
    }))
}

/// Exactly this port, written as everybody writes it.
fn is_port(text: &str, port: u16) -> bool {
    !text.starts_with(['0', '+']) && text.parse() == Ok(port)
}

fn ambiguous(why: &str) -> Error {
    Error::new(Code::AmbiguousRequest, format!("the request could be read in two ways: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(arrival: Arrival, headers: &[(&str, &str)]) -> Option<Code> {
        let mut request = Request::builder().uri("/openai/v1/models");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        check(&request.body(()).unwrap(), arrival).err().map(|error| error.code)
    }

    #[test]
    fn only_our_own_host() {
        let tcp = Arrival::Tcp(Some(4180));
        for host in ["127.0.0.1:4180", "localhost:4180"] {
            assert_eq!(judge(tcp, &[("host", host)]), None);
        }
        for host in [
            "127.0.0.1",
            "localhost",
            "127.0.0.1:80",
            "127.0.0.1:04180",
            "127.0.0.1:+4180",
            "evil.example:4180",
            "127.0.0.1.evil:4180",
            "[::1]:4180",
            "LOCALHOST:4180.",
            "hallpass",
            "",
            "127.0.0.1:4180 ",
            "user@127.0.0.1:4180",
            "127.1:4180",
            "0.0.0.0:4180",
        ] {
            assert_eq!(judge(tcp, &[("host", host)]), Some(Code::Browser), "{host:?}");
        }
        let unix = Arrival::Unix(None);
        assert_eq!(judge(unix, &[("host", "localhost")]), None);
        assert_eq!(judge(unix, &[("host", "hallpass")]), None);
        assert_eq!(judge(unix, &[("host", "evil.example")]), Some(Code::Browser));
        assert_eq!(judge(Arrival::Tcp(None), &[("host", "localhost:1")]), Some(Code::Browser));
        assert_eq!(judge(tcp, &[]), Some(Code::AmbiguousRequest));
    }

    #[test]
    fn nothing_a_browser_sends_and_nothing_that_overrides() {
        let with = |name, value| judge(Arrival::Unix(None), &[("host", "localhost"), (name, value)]);
        for name in [
            "origin",
            "referer",
            "sec-fetch-site",
            "cookie",
            "access-control-request-method",
            "access-control-request-private-network",
        ] {
            assert_eq!(with(name, "x"), Some(Code::Browser), "{name}");
        }
        for name in [
            "forwarded",
            "x-forwarded-host",
            "x-forwarded_for",
            "x-original-url",
            "x_rewrite_url",
            "x-http-method-override",
            "content_length",
            "x_api_key",
        ] {
            assert_eq!(with(name, "x"), Some(Code::AmbiguousRequest), "{name}");
        }
        // Node's fetch (undici) adds this one by itself.
        assert_eq!(with("sec-fetch-mode", "cors"), None);
        assert_eq!(with("x_custom", "1"), None);
    }

    #[test]
    fn only_plain_paths_and_forwardable_methods() {
        for (method, uri) in [
            ("GET", "http://localhost/x"),
            ("CONNECT", "localhost:1"),
            ("OPTIONS", "*"),
            ("TRACE", "/x"),
            ("TRACK", "/x"),
        ] {
            let request = Request::builder().method(method).uri(uri).header("host", "localhost").body(()).unwrap();
            assert!(check(&request, Arrival::Unix(None)).is_err(), "{method} {uri}");
        }
    }
}
