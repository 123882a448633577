//! Puts the real key into a request, once, where its upstream takes it.
//!
//! Owns the only place where a credential's bytes become part of a request. The header is marked
//! sensitive, so it shows in no `Debug` and is never indexed by HTTP/2's compression.

use base64::{Engine, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use zeroize::Zeroizing;

use super::{
    route::Auth,
    token_place::{holds_token, is_parameter},
};
use crate::{api::problem::Code, error::Error, secret::Secret};

/// What becomes of the query.
pub type Query = Zeroizing<Vec<u8>>;

/// The client's query without the parameter that carried the token.
pub fn strip_query(query: Option<&str>, auth: &Auth) -> Result<Query, Error> {
    let Some(query) = query else { return Ok(Query::default()) };
    let mut out = Vec::with_capacity(query.len() + 96);
    for piece in query.split('&') {
        let (raw, value) = piece.split_once('=').unwrap_or((piece, ""));
        if let Auth::Query { name } = auth {
            if is_parameter(raw, name) {
                continue;
            }
            // Some servers split at `;` too, and would see a second key there.
            let hidden = value.split(';').skip(1).map(|pair| pair.split_once('=').map_or(pair, |(name, _)| name));
            if hidden.chain(raw.split(';')).any(|other| is_parameter(other, name)) {
                return Err(Error::new(
                    Code::AmbiguousRequest,
                    "the query could be read in two ways: a key behind a `;`",
                ));
            }
        }
        if !out.is_empty() {
            out.push(b'&');
        }
        out.extend_from_slice(piece.as_bytes());
    }
    let decoded: Vec<u8> = percent_encoding::percent_decode(&out).collect();
    if holds_token(&decoded) || holds_token(&out) {
        return Err(Error::new(
            Code::AmbiguousRequest,
            "the query holds a hallpass token, and would be sent to the upstream",
        )
        .hint("send the token where the API takes its key"));
    }
    Ok(Query::new(out))
}

/// Adds the key.
pub fn inject(headers: &mut HeaderMap, query: &mut Query, auth: &Auth, key: &Secret) -> Result<(), Error> {
    let (name, prefix) = match auth {
        Auth::Bearer => (header::AUTHORIZATION, "Bearer "),
        Auth::Basic => (header::AUTHORIZATION, "Basic "),
        Auth::Header { name, prefix } => {
            let name = HeaderName::from_bytes(name.as_bytes())
                .map_err(|_| Error::internal("a route's header has no usable name"))?;
            (name, prefix.as_str())
        }
        Auth::Query { name } => {
            if !query.is_empty() {
                query.push(b'&');
            }
            query.extend_from_slice(name.as_bytes());
            query.push(b'=');
            for piece in percent_encoding::percent_encode(key.expose(), percent_encoding::NON_ALPHANUMERIC) {
                query.extend_from_slice(piece.as_bytes());
            }
            return Ok(());
        }
    };
    // As long as it will be: what a longer one is copied from would not be wiped.
    let mut text = Zeroizing::new(Vec::with_capacity(prefix.len() + key.len() * 2 + 4));
    text.extend_from_slice(prefix.as_bytes());
    if *auth == Auth::Basic {
        text.extend_from_slice(Zeroizing::new(STANDARD.encode(key.expose())).as_bytes());
    } else {
        text.extend_from_slice(key.expose());
    }
    let mut value = HeaderValue::from_bytes(&text).map_err(|_| {
        Error::new(Code::InvalidValue, "the credential has a character that cannot stand in a header")
            .hint("add it again without line ends: hallpass credential rotate NAME")
    })?;
    value.set_sensitive(true);
    headers.insert(name, value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::Token;

    fn key() -> Secret {
        Secret::take(b"real:key/1".to_vec())
    }

    #[test]
    fn once_and_where_it_belongs() {
        for (auth, name, value) in [
            (Auth::Bearer, "authorization", "Bearer real:key/1"),
            (Auth::Basic, "authorization", "Basic cmVhbDprZXkvMQ=="),
            (Auth::Header { name: "x-own".into(), prefix: "Key ".into() }, "x-own", "Key real:key/1"),
        ] {
            let (mut headers, mut query) = (HeaderMap::new(), Query::default());
            inject(&mut headers, &mut query, &auth, &key()).unwrap();
            assert_eq!(headers.get(name).unwrap(), value);
            assert!(headers.get(name).unwrap().is_sensitive() && query.is_empty());
        }
        let auth = Auth::Query { name: "key".into() };
        let (mut headers, mut query) = (HeaderMap::new(), strip_query(Some("a=1&key=old&b=2"), &auth).unwrap());
        inject(&mut headers, &mut query, &auth, &key()).unwrap();
        assert_eq!(&**query, b"a=1&b=2&key=real%3Akey%2F1");
        assert!(
            inject(&mut HeaderMap::new(), &mut Query::default(), &Auth::Bearer, &Secret::take(b"a\nb".to_vec()))
                .is_err()
        );
    }

    #[test]
    fn the_rest_of_a_query_stays_as_it_was() {
        let stripped = |query: &str| {
            strip_query(Some(query), &Auth::Query { name: "key".into() })
                .map(|query| String::from_utf8(query.to_vec()).unwrap())
        };
        assert_eq!(stripped("a&b=&c=%20x+y&d=1=2").unwrap(), "a&b=&c=%20x+y&d=1=2");
        assert_eq!(stripped("k%65y=1&KEY=2").unwrap(), "");
        assert!(stripped("a=1;key=2").is_err());
        assert!(stripped("a;key=2").is_err());
        let token = Token::from_entropy([1; 32]);
        assert!(stripped(&format!("a={}", token.expose())).is_err());
        assert!(stripped(&format!("a={}", token.expose().replace('_', "%5f"))).is_err());
    }
}
