//! Which headers pass, in both directions.
//!
//! Owns the removal of hop-by-hop headers (RFC 9110 section 7.6.1), of everything that carries a key,
//! and of what an upstream must not say to a browser through us.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::token_place::{KEY_HEADERS, holds_token};
use crate::{api::problem::Code, error::Error};

/// The header on hallpass's own errors, which tells them from the upstream's.
pub const ERROR_HEADER: &str = "hallpass-error";

/// A list of header names that is asked by their lengths first: most headers are on none.
pub struct Names {
    /// A bit for each length.
    lengths: u64,
    names: &'static [&'static str],
}

impl Names {
    /// These, all lower case.
    pub const fn of(names: &'static [&'static str]) -> Self {
        let (mut lengths, mut rest) = (0, names);
        while let [first, more @ ..] = rest {
            lengths |= 1 << first.len();
            rest = more;
        }
        Self { lengths, names }
    }

    /// True for one of them.
    pub fn has(&self, name: &str) -> bool {
        let lengths = u32::try_from(name.len()).ok().and_then(|length| self.lengths.checked_shr(length));
        lengths.is_some_and(|lengths| lengths & 1 == 1) && self.names.contains(&name)
    }
}

/// The headers that go on to the upstream; the key is not among them yet. `keys` are the headers in
/// which some route takes its key.
pub fn forwarded(mut headers: HeaderMap, keys: &[String]) -> Result<HeaderMap, Error> {
    let named = connection_names(&headers);
    let stays_here =
        |name: &&HeaderName| is_hop(name, &named) || is_dropped(name.as_str()) || carries_key(name.as_str(), keys);
    let gone: Vec<HeaderName> = headers.keys().filter(stays_here).cloned().collect();
    for name in gone {
        headers.remove(name);
    }
    match headers.iter().find(|(_, value)| holds_token(value.as_bytes())) {
        Some((name, _)) => Err(Error::new(
            Code::AmbiguousRequest,
            format!("the header {name} holds a hallpass token, and would be sent to the upstream"),
        )
        .hint("send the token where the API takes its key")),
        None => Ok(headers),
    }
}

/// The headers of the upstream's answer that go back to the client.
pub fn returned(headers: HeaderMap) -> HeaderMap {
    let named = connection_names(&headers);
    if !headers.keys().any(|name| is_hop(name, &named) || is_for_browsers(name.as_str())) {
        return headers;
    }
    let mut out = HeaderMap::with_capacity(headers.keys_len() + 1);
    // A length beside a transfer coding counts for nothing (RFC 9112 section 6.3), and would cut the body short here.
    let chunked = headers.contains_key(header::TRANSFER_ENCODING);
    let mut current = None;
    for (name, value) in headers {
        if name.is_some() {
            current = name;
        }
        let Some(name) = &current else { continue };
        let is_void = chunked && *name == header::CONTENT_LENGTH;
        if !is_hop(name, &named) && !is_for_browsers(name.as_str()) && !is_void {
            out.append(name.clone(), value);
        }
    }
    out
}

/// The words of all `Connection` headers: more headers that concern this hop only.
fn connection_names(headers: &HeaderMap) -> Vec<Vec<u8>> {
    let words = |value: &HeaderValue| {
        value
            .as_bytes()
            .split(|byte| *byte == b',')
            .map(|word| word.trim_ascii().to_ascii_lowercase())
            .collect::<Vec<_>>()
    };
    let boring = |word: &Vec<u8>| word.is_empty() || word == b"close" || word == b"keep-alive";
    headers.get_all(header::CONNECTION).iter().flat_map(words).filter(|word| !boring(word)).collect()
}

fn is_hop(name: &HeaderName, named: &[Vec<u8>]) -> bool {
    let text = name.as_str();
    matches!(text, "connection" | "keep-alive" | "te" | "trailer" | "transfer-encoding" | "upgrade" | "http2-settings")
        || text.starts_with("proxy-")
        || named.iter().any(|word| word == text.as_bytes())
}

/// Headers of a request that are ours to say, or that nobody else should learn.
fn is_dropped(name: &str) -> bool {
    matches!(
        name,
        "host"
            | "content-length"
            | "expect"
            | "via"
            | "cookie"
            | "cookie2"
            | "date"
            | "origin"
            | "referer"
            | ERROR_HEADER
    ) || name.starts_with("sec-fetch-")
}

/// True for a header that carries a key at some API, however its `-` are written.
fn carries_key(name: &str, keys: &[String]) -> bool {
    let is = |name: &str| KEY_HEADERS.has(name) || keys.iter().any(|key| key == name);
    is(name) || (name.contains('_') && is(&name.replace('_', "-")))
}

fn is_for_browsers(name: &str) -> bool {
    matches!(
        name,
        "set-cookie"
            | "set-cookie2"
            | "alt-svc"
            | "strict-transport-security"
            | "public-key-pins"
            | "clear-site-data"
            | "report-to"
            | "reporting-endpoints"
            | "nel"
            | "refresh"
            | ERROR_HEADER
    ) || name.starts_with("access-control-")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::Token;

    fn map(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(*name, HeaderValue::from_str(value).unwrap());
        }
        map
    }

    fn names(map: &HeaderMap) -> Vec<&str> {
        map.keys().map(HeaderName::as_str).collect()
    }

    #[test]
    fn no_key_and_nothing_of_this_hop_goes_on() {
        let sent = map(&[
            ("host", "a"),
            ("connection", "keep-alive, X-Secret"),
            ("x-secret", "1"),
            ("authorization", "Bearer x"),
            ("x-api-key", "x"),
            ("x-own-key", "x"),
            ("x_own_key", "x"),
            ("proxy-authorization", "x"),
            ("te", "trailers"),
            ("sec-fetch-mode", "cors"),
            ("accept", "a"),
            ("accept", "b"),
            ("anthropic-version", "1"),
            ("accept-encoding", "gzip"),
        ]);
        let out = forwarded(sent, &["x-own-key".into()]).unwrap();
        let mut passed = names(&out);
        passed.sort_unstable();
        assert_eq!(passed, ["accept", "accept-encoding", "anthropic-version"]);
        assert_eq!(out.get_all("accept").iter().count(), 2);
        let token = Token::from_entropy([1; 32]);
        assert!(forwarded(map(&[("x-note", token.expose())]), &[]).is_err());
    }

    #[test]
    fn nothing_for_a_browser_comes_back() {
        let sent = map(&[
            ("access-control-allow-origin", "*"),
            ("set-cookie", "a=b"),
            ("alt-svc", "h3"),
            ("hallpass-error", "x"),
            ("retry-after", "3"),
            ("x-ratelimit-remaining", "1"),
            ("location", "https://other.example/"),
            ("connection", "x-hop"),
            ("x-hop", "1"),
        ]);
        assert_eq!(names(&returned(sent)), ["retry-after", "x-ratelimit-remaining", "location"]);
        assert_eq!(names(&returned(map(&[("content-length", "3"), ("etag", "1")]))), ["content-length", "etag"]);
        let both = map(&[("content-length", "3"), ("transfer-encoding", "chunked"), ("etag", "1")]);
        assert_eq!(names(&returned(both)), ["etag"]);
    }
}
