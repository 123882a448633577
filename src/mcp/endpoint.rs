//! Where a remote MCP server is, and in which header its credential goes.
//!
//! Owns the rule that it is https, or this machine. Pure.

use http::{HeaderName, HeaderValue, Uri, uri::Scheme};

/// Where the credential goes, in a header or an address.
pub const PLACE: &str = "{}";

/// A remote server's address that was read and accepted. It may have one place for the credential, in its path or query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    uri: Uri,
}

/// Why a text is no address of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Odd {
    /// It cannot be read.
    #[error("this must be a URL like https://mcp.example.com/mcp")]
    Url,
    /// It holds a user name or password.
    #[error("a URL here has no user name and no password: a key belongs to a credential (`hallpass credential add`)")]
    UserInfo,
    /// It has a fragment.
    #[error("a URL here has no fragment (#)")]
    Fragment,
    /// It can be read on the way.
    #[error("this must be https: plain http is for this machine only")]
    Clear,
    /// It has more than one place for the credential.
    #[error("a URL here has at most one place for the credential, {{}}")]
    Places,
    /// It is no header's line.
    #[error("this must be a header with one place for the credential, like \"Authorization: Bearer {{}}\"")]
    Header,
    /// The bridge or HTTP itself needs the header.
    #[error("this header is the transport's own and cannot carry a credential")]
    Reserved,
}

impl Endpoint {
    /// Reads it.
    ///
    /// # Errors
    /// It is no URL, or one that a credential must not be sent to.
    pub fn parse(text: &str) -> Result<Self, Odd> {
        if text.contains('#') {
            return Err(Odd::Fragment);
        }
        if text.matches(PLACE).count() > 1 {
            return Err(Odd::Places);
        }
        let uri: Uri = text.parse().map_err(|_| Odd::Url)?;
        let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) else { return Err(Odd::Url) };
        if authority.as_str().contains('@') {
            return Err(Odd::UserInfo);
        }
        let host = authority.host();
        if host.is_empty()
            || (authority.as_str().len() > host.len() && authority.port_u16().is_none_or(|port| port == 0))
        {
            return Err(Odd::Url);
        }
        match () {
            () if *scheme == Scheme::HTTPS => {}
            () if *scheme == Scheme::HTTP && is_loopback(host) => {}
            () if *scheme == Scheme::HTTP => return Err(Odd::Clear),
            () => return Err(Odd::Url),
        }
        Ok(Self { uri })
    }

    /// The whole of it.
    pub fn uri(&self) -> &Uri {
        &self.uri
    }

    /// Scheme, host, port and path: what a credential is for. A path that holds the credential ends before it.
    pub fn place(&self) -> String {
        let path = self.uri.path();
        let end = path.find(PLACE).and_then(|at| path.get(..at)?.rfind('/')).map_or(path.len(), |slash| slash + 1);
        format!("{}{}", self.origin(), path.get(..end).unwrap_or(path))
    }

    /// Whether the credential is a part of it.
    pub fn has_place(&self) -> bool {
        self.uri.path_and_query().is_some_and(|rest| rest.as_str().contains(PLACE))
    }

    /// The address with this credential in its place; nothing where it would be another address then.
    pub fn fill(&self, secret: &str) -> Option<Uri> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%+=:@!$'()*,;".contains(&byte);
        let rest = self.uri.path_and_query()?.as_str();
        if secret.is_empty() || !secret.bytes().all(plain) {
            return None;
        }
        let rest = zeroize::Zeroizing::new(rest.replacen(PLACE, secret, 1));
        let mut parts = self.uri.clone().into_parts();
        parts.path_and_query = Some(rest.parse().ok()?);
        Uri::from_parts(parts).ok()
    }

    /// Scheme, host and port.
    pub fn origin(&self) -> String {
        let scheme = self.uri.scheme_str().unwrap_or_default();
        format!("{scheme}://{}", self.uri.authority().map(ToString::to_string).unwrap_or_default().to_ascii_lowercase())
    }

    /// What is asked for beyond the path.
    pub fn query(&self) -> Option<&str> {
        self.uri.query()
    }

    /// Whether it is plain http.
    pub fn is_plain(&self) -> bool {
        self.uri.scheme() == Some(&Scheme::HTTP)
    }

    /// The part of the address that is below this base URL, or nothing where it is elsewhere.
    pub fn below<'a>(&'a self, base: &str) -> Option<&'a str> {
        let base = Self::parse(base).ok()?;
        let path = base.uri.path().trim_end_matches('/');
        let rest = self.uri.path_and_query()?.as_str().strip_prefix(path)?;
        (base.origin() == self.origin() && (rest.is_empty() || rest.starts_with(['/', '?']))).then_some(rest)
    }
}

/// Names and addresses that never leave this machine.
fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || host.parse().is_ok_and(|address: core::net::IpAddr| address.is_loopback())
}

/// A header with a place for the credential: `Authorization: Bearer {}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderRule {
    /// The header's name.
    pub name: HeaderName,
    /// What stands before the credential.
    pub before: String,
    /// What stands behind it.
    pub after: String,
}

impl HeaderRule {
    /// Reads it.
    ///
    /// # Errors
    /// It is no header, has not exactly one `{}`, or is a header that is not free.
    pub fn parse(text: &str) -> Result<Self, Odd> {
        let (name, value) = text.split_once(':').ok_or(Odd::Header)?;
        let (before, after) = value.trim().split_once(PLACE).ok_or(Odd::Header)?;
        let plain = |text: &str| text.bytes().all(|byte| (b' '..0x7f).contains(&byte));
        if after.contains(PLACE) || !plain(before) || !plain(after) {
            return Err(Odd::Header);
        }
        let name: HeaderName = name.trim().parse().map_err(|_| Odd::Header)?;
        if RESERVED.contains(&name.as_str()) || name.as_str().starts_with("mcp-") {
            return Err(Odd::Reserved);
        }
        Ok(Self { name, before: before.to_owned(), after: after.to_owned() })
    }

    /// The header's value with this credential; nothing where it does not fit into a header.
    pub fn fill(&self, secret: &str) -> Option<HeaderValue> {
        let text = zeroize::Zeroizing::new(format!("{}{secret}{}", self.before, self.after));
        let mut value = HeaderValue::from_str(&text).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

const RESERVED: &[&str] = &[
    "accept",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "last-event-id",
    "origin",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn https_or_this_machine() {
        for good in
            ["https://h/mcp?x=1", "http://127.0.0.1:80/", "http://localhost:1", "http://[::1]:3/mcp", "https://h:8443"]
        {
            assert!(Endpoint::parse(good).is_ok(), "{good}");
        }
        for (bad, why) in [
            ("http://h/mcp", Odd::Clear),
            ("http://127.0.0.1.evil.com/", Odd::Clear),
            ("http://localhost.evil.com/", Odd::Clear),
            ("https://u@h/", Odd::UserInfo),
            ("https://h/#x", Odd::Fragment),
            ("ftp://h/", Odd::Url),
            ("https://h:0/", Odd::Url),
            ("/mcp", Odd::Url),
            ("h", Odd::Url),
        ] {
            assert_eq!(Endpoint::parse(bad), Err(why), "{bad}");
        }
    }

    #[test]
    fn what_is_below_a_base_url() {
        let at = |url: &str, base: &str| Endpoint::parse(url).unwrap().below(base).map(str::to_owned);
        assert_eq!(at("https://H/v1/mcp?a=b", "https://h/v1").as_deref(), Some("/mcp?a=b"));
        assert_eq!(at("https://h/v1", "https://h/v1/").as_deref(), Some(""));
        for base in ["https://h/v", "https://h:8443/v1", "http://localhost/v1", "https://h.evil/v1"] {
            assert_eq!(at("https://h/v1/mcp", base), None, "{base}");
        }
    }

    #[test]
    fn an_address_may_hold_the_credential_and_stays_the_same_address() {
        let at = |text: &str| Endpoint::parse(text).unwrap();
        let query = at("https://h/mcp?key={}&x=1");
        assert!(query.has_place() && !at("https://h/mcp").has_place());
        assert_eq!(query.fill("a.B-9").unwrap(), "https://h/mcp?key=a.B-9&x=1");
        assert_eq!(at("https://h/s/{}/mcp").fill("k").unwrap(), "https://h/s/k/mcp");
        assert_eq!((query.place(), at("https://h/s/x{}/mcp").place()), ("https://h/mcp".into(), "https://h/s/".into()));
        for odd in ["", "a&b", "a/b", "a#b", "a b", "a\nb", "é"] {
            assert_eq!(query.fill(odd), None, "{odd}");
        }
        assert_eq!(Endpoint::parse("https://h/{}?k={}"), Err(Odd::Places));
        for odd in ["https://{}/mcp", "https://h{}/mcp", "{}://h"] {
            assert!(Endpoint::parse(odd).is_err(), "{odd}");
        }
    }

    #[test]
    fn a_header_has_one_place_and_is_free() {
        let rule = HeaderRule::parse("X-Api-Key: k={};").unwrap();
        assert_eq!(rule.fill("s").unwrap(), "k=s;");
        assert!(rule.fill("s").unwrap().is_sensitive() && rule.fill("a\nb").is_none());
        for bad in ["Authorization", "Authorization: Bearer", "A: {}{}", "A b: {}", "A: \u{e9}{}"] {
            assert_eq!(HeaderRule::parse(bad), Err(Odd::Header), "{bad}");
        }
        for bad in ["Host: {}", "Mcp-Session-Id: {}", "content-length: {}"] {
            assert_eq!(HeaderRule::parse(bad), Err(Odd::Reserved), "{bad}");
        }
    }
}
