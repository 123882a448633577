//! A route's upstream: where its requests go.
//!
//! Owns the reading of a base URL and the rule that it is https on the public internet unless the
//! route says otherwise.

use std::net::IpAddr;

use http::uri::{Authority, PathAndQuery, Scheme, Uri};

use super::{address::is_public, canonical::CanonicalTarget};
use crate::{api::problem::Code, error::Error};

/// A base URL that was read and accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl {
    /// `https`, or `http` where the route allows a private upstream.
    pub scheme: Scheme,
    /// Host, and the port where it is not the scheme's own.
    pub authority: Authority,
    /// What every path begins with: empty, or `/...` without a slash at the end.
    pub path: String,
}

impl BaseUrl {
    /// Reads a base URL.
    pub fn parse(text: &str, allow_private: bool) -> Result<Self, Error> {
        let wrong = |why: &str| {
            Error::new(Code::InvalidValue, format!("the base URL {why}"))
                .hint("write it like https://api.example.com or https://api.example.com/v1")
        };
        if text.contains(['#', '?', '\\']) {
            return Err(wrong("has a query or a fragment, or a backslash"));
        }
        let uri: Uri = text.parse().map_err(|_| wrong("is no URL"))?;
        let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) else {
            return Err(wrong("has no scheme or no host"));
        };
        if authority.as_str().contains('@') {
            return Err(wrong("holds a user name or password; give the key to `hallpass credential add`"));
        }
        let host = authority.host();
        if host.is_empty() || host.len() > 253 {
            return Err(wrong("has no host"));
        }
        if authority.as_str().len() > host.len() && authority.port_u16().is_none_or(|port| port == 0) {
            return Err(wrong("has a port that is no number from 1 to 65535"));
        }
        let http = *scheme == Scheme::HTTP;
        if !http && *scheme != Scheme::HTTPS {
            return Err(wrong("is neither https nor http"));
        }
        if http && !allow_private {
            return Err(wrong("is not https, so the key would travel in the clear")
                .hint("use https, or for an upstream of your own on this machine add --allow-private"));
        }
        if is_private_name(host) && !allow_private {
            return Err(Error::new(
                Code::UpstreamForbidden,
                "the base URL points at this machine or a private network",
            )
            .hint("where that is meant, add the route with --allow-private"));
        }
        let port = authority.port_u16().filter(|port| *port != if http { 80 } else { 443 });
        let host = host.to_ascii_lowercase();
        let authority = port.map_or(host.clone(), |port| format!("{host}:{port}"));
        let authority = authority.parse().map_err(|_| wrong("has no usable host"))?;
        let path = uri.path().trim_end_matches('/');
        if !path.is_empty() {
            let canonical = CanonicalTarget::parse(path).map_err(|why| wrong(&format!("has a path with {}", why.0)))?;
            if canonical.path_from(0) != path {
                return Err(wrong("has a path that is not in its plainest form"));
            }
        }
        Ok(Self { scheme: scheme.clone(), authority, path: path.to_owned() })
    }

    /// The whole URI for a canonical path, and a query.
    pub fn join(&self, path: &str, query: Option<&[u8]>) -> Result<Uri, Error> {
        let mut target = Vec::with_capacity(self.path.len() + path.len() + query.map_or(0, |query| query.len() + 1));
        target.extend_from_slice(self.path.as_bytes());
        target.extend_from_slice(path.as_bytes());
        if let Some(query) = query.filter(|query| !query.is_empty()) {
            target.push(b'?');
            target.extend_from_slice(query);
        }
        let target = PathAndQuery::from_maybe_shared(bytes::Bytes::from(target));
        let unusable = || Error::new(Code::AmbiguousRequest, "the target cannot be forwarded as it is");
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(target.map_err(|_| unusable())?);
        Uri::from_parts(parts).map_err(|_| unusable())
    }
}

/// True for a host that is not public by its very name; others are judged by what they resolve to.
fn is_private_name(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = bare.parse::<IpAddr>() {
        return !is_public(address);
    }
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    !host.contains('.') || host.ends_with(".localhost") || host.ends_with(".local") || host.ends_with(".internal")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken() {
        let base = BaseUrl::parse("https://API.example.com:443/v1/", false).unwrap();
        assert_eq!((base.authority.as_str(), base.path.as_str()), ("api.example.com", "/v1"));
        assert_eq!(base.join("/models", Some(b"a=1")).unwrap(), "https://api.example.com/v1/models?a=1");
        let own = BaseUrl::parse("http://127.0.0.1:8080", true).unwrap();
        assert_eq!(own.join("/x", None).unwrap(), "http://127.0.0.1:8080/x");
    }

    #[test]
    fn what_is_not() {
        for text in [
            "",
            "api.example.com",
            "/v1",
            "http://api.example.com",
            "ftp://api.example.com",
            "https://",
            "https://user@api.example.com",
            "https://user:pw@api.example.com",
            "https://api.example.com?x",
            "https://api.example.com/#x",
            "https://127.0.0.1",
            "https://localhost",
            "https://10.0.0.1/v1",
            "https://[::1]",
            "https://169.254.169.254",
            "https://metadata.google.internal",
            "https://api.example.com/a/../b",
            "https://api.example.com/%2e%2e/b",
            "https://api.example.com:0",
            "https://api.example.com:99999",
            "https://a b",
            "https://api.example.com\\@evil",
            "https://2130706433",
        ] {
            assert!(BaseUrl::parse(text, false).is_err(), "{text:?} was taken");
        }
    }
}
