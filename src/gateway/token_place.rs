//! Where a token comes in a request: wherever the real key would.
//!
//! Owns the search of all places at once. What two places say must be the same token: a client that
//! sends two different ones is confused, or is trying to confuse.

use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use http::{HeaderMap, header};
use zeroize::Zeroizing;

use super::{
    canonical::{decode_form, pairs},
    headers::Names,
    route::Auth,
};
use crate::{
    api::problem::Code,
    error::Error,
    token::{self, TokenError, TokenHash},
};

/// Headers that carry keys at one API or another; a token in any of them is taken, and none of them
/// is ever forwarded.
pub static KEY_HEADERS: Names = Names::of(&[
    "authorization",
    "x-api-key",
    "api-key",
    "apikey",
    "x-goog-api-key",
    "x-auth-token",
    "x-access-token",
    "private-token",
    "job-token",
    "x-amz-security-token",
    "x-subscription-token",
    "xi-api-key",
    "dd-api-key",
    "x-figma-token",
]);

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What a request presents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presented {
    /// A hallpass token, by its hash.
    Token(TokenHash),
    /// Something that is none of ours, perhaps a real key.
    Foreign,
    /// Nothing.
    Nothing,
}

/// Looks everywhere a key may stand on this route; what is none of ours goes to `foreign`.
pub fn find(
    headers: &HeaderMap,
    query: Option<&str>,
    auth: &Auth,
    foreign: &mut dyn FnMut(&[u8]),
) -> Result<Presented, Error> {
    let mut found = Found { token: None, foreign: false, damaged: None, tell: foreign };
    let own = match auth {
        Auth::Header { name, prefix } => Some((name.as_str(), prefix.as_str())),
        _ => None,
    };
    let mut seen = None;
    for (name, value) in headers {
        let name = name.as_str();
        if !KEY_HEADERS.has(name) && own.is_none_or(|(own, _)| own != name) {
            continue;
        }
        // Values of one name come one after the other.
        if seen.replace(name) == Some(name) {
            return Err(conflict("a header that carries a key came twice"));
        }
        let value = value.as_bytes().trim_ascii();
        let prefix = own.filter(|(own, prefix)| *own == name && !prefix.is_empty()).map(|(_, prefix)| prefix);
        match prefix.and_then(|prefix| value.strip_prefix(prefix.as_bytes())) {
            Some(rest) => found.add(rest.trim_ascii())?,
            None if name == header::AUTHORIZATION.as_str() => found.add_authorization(value)?,
            None => found.add(value)?,
        }
    }
    if let (Auth::Query { name }, Some(query)) = (auth, query) {
        for (_, value) in pairs(query).filter(|(key, _)| is_parameter(key, name)) {
            found.add(&decode_form(value))?;
        }
    }
    found.verdict()
}

/// True for a query parameter's raw name that a server would read as `name`.
pub fn is_parameter(raw: &str, name: &str) -> bool {
    decode_form(raw).trim_ascii().eq_ignore_ascii_case(name.as_bytes())
}

/// True where some text holds a whole hallpass token: it must not go to an upstream.
pub fn holds_token(text: &[u8]) -> bool {
    let prefix = token::PREFIX.as_bytes();
    text.windows(prefix.len()).enumerate().any(|(at, window)| {
        window == prefix && text.get(at..at + token::LENGTH).is_some_and(|text| token::check(text).is_ok())
    })
}

struct Found<'a> {
    token: Option<TokenHash>,
    foreign: bool,
    damaged: Option<TokenError>,
    tell: &'a mut dyn FnMut(&[u8]),
}

impl Found<'_> {
    fn add(&mut self, value: &[u8]) -> Result<(), Error> {
        if value.is_empty() {
            return Ok(());
        }
        match token::check(value) {
            Ok(hash) if self.token.is_some_and(|other| other != hash) => {
                return Err(conflict("two different tokens"));
            }
            Ok(hash) => self.token = Some(hash),
            Err(TokenError::Foreign) => self.add_foreign(value),
            Err(TokenError::Damaged) => self.damaged = Some(TokenError::Damaged),
        }
        Ok(())
    }

    fn add_foreign(&mut self, value: &[u8]) {
        self.foreign = true;
        (self.tell)(value);
    }

    fn add_authorization(&mut self, value: &[u8]) -> Result<(), Error> {
        let space = value.iter().position(|byte| *byte == b' ').unwrap_or(value.len());
        let (scheme, rest) = value.split_at(space);
        let rest = rest.trim_ascii();
        if scheme.eq_ignore_ascii_case(b"basic") {
            return self.add_basic(rest);
        }
        let known = [&b"bearer"[..], b"token", b"bot", b"apikey", b"key"];
        if known.iter().any(|word| scheme.eq_ignore_ascii_case(word)) {
            return self.add(rest.strip_prefix(b"token=").unwrap_or(rest));
        }
        self.add(value)
    }

    /// The token is the password or the user name; the other of the two does not matter.
    fn add_basic(&mut self, encoded: &[u8]) -> Result<(), Error> {
        let Ok(pair) = BASE64.decode(encoded).map(Zeroizing::new) else {
            self.foreign = true;
            return Ok(());
        };
        let colon = pair.iter().position(|byte| *byte == b':').unwrap_or(pair.len());
        let (user, password) = pair.split_at(colon);
        let password = password.get(1..).unwrap_or_default();
        match (token::looks_like(user), token::looks_like(password)) {
            (false, false) => {
                self.add_foreign(user);
                self.add_foreign(password);
            }
            (ours_user, ours_password) => {
                if ours_user {
                    self.add(user)?;
                }
                if ours_password {
                    self.add(password)?;
                }
            }
        }
        Ok(())
    }

    fn verdict(self) -> Result<Presented, Error> {
        match (self.token, self.foreign, self.damaged) {
            (None, _, Some(damaged)) => {
                Err(Error::new(Code::TokenInvalid, damaged.to_string())
                    .hint("mint a new one: hallpass mint ISSUER:SCOPE"))
            }
            (Some(_), true, _) | (Some(_), _, Some(_)) => {
                Err(conflict("a hallpass token and another key side by side"))
            }
            (Some(hash), false, None) => Ok(Presented::Token(hash)),
            (None, true, None) => Ok(Presented::Foreign),
            (None, false, None) => Ok(Presented::Nothing),
        }
    }
}

fn conflict(what: &str) -> Error {
    Error::new(Code::AmbiguousRequest, format!("the request could be read in two ways: {what}"))
        .hint("send one token, in one place")
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;
    use crate::token::Token;

    fn ours(seed: u8) -> Token {
        Token::from_entropy([seed; 32])
    }

    fn look(headers: &[(&str, String)], query: Option<&str>, auth: &Auth) -> Result<Presented, Code> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap());
        }
        find(&map, query, auth, &mut |_| ()).map_err(|error| error.code)
    }

    #[test]
    fn wherever_the_key_would_be() {
        let token = ours(1);
        let text = token.expose();
        let there = Ok(Presented::Token(token.hash()));
        let basic = |pair: String| format!("Basic {}", BASE64.encode(pair));
        for (name, value) in [
            ("authorization", format!("Bearer {text}")),
            ("authorization", format!("bearer  {text}")),
            ("authorization", format!("token {text}")),
            ("authorization", format!("Token token={text}")),
            ("authorization", text.to_owned()),
            ("authorization", basic(format!("x-access-token:{text}"))),
            ("authorization", basic(format!("{text}:"))),
            ("authorization", basic(format!("{text}:{text}"))),
            ("x-api-key", text.to_owned()),
            ("api-key", text.to_owned()),
            ("x-goog-api-key", text.to_owned()),
        ] {
            assert_eq!(look(&[(name, value.clone())], None, &Auth::Bearer), there, "{name}: {value}");
        }
        let own = Auth::Header { name: "x-own".into(), prefix: "Key ".into() };
        assert_eq!(look(&[("x-own", format!("Key {text}"))], None, &own), there);
        assert_eq!(look(&[("x-own", text.into())], None, &own), there);
        let query = Auth::Query { name: "key".into() };
        assert_eq!(look(&[], Some(&format!("a=b&k%65y={text}")), &query), there);
        assert_eq!(look(&[], Some(&format!("key={text}")), &Auth::Bearer), Ok(Presented::Nothing));
        assert_eq!(
            look(&[("x-api-key", text.into()), ("authorization", format!("Bearer {text}"))], None, &Auth::Bearer),
            there
        );
    }

    #[test]
    fn two_different_ones_are_refused() {
        let (one, two) = (ours(1), ours(2));
        let bearer = |token: &Token| ("authorization", format!("Bearer {}", token.expose()));
        let clash = Err(Code::AmbiguousRequest);
        assert_eq!(look(&[bearer(&one), ("x-api-key", two.expose().into())], None, &Auth::Bearer), clash);
        assert_eq!(look(&[bearer(&one), bearer(&one)], None, &Auth::Bearer), clash);
        assert_eq!(look(&[bearer(&one), ("api-key", "other".into())], None, &Auth::Bearer), clash);
        let query = Auth::Query { name: "key".into() };
        assert_eq!(look(&[bearer(&one)], Some(&format!("key={}", two.expose())), &query), clash);
        assert_eq!(look(&[("authorization", "Bearer other".into())], None, &Auth::Bearer), Ok(Presented::Foreign));
        assert_eq!(look(&[("authorization", "Bearer hp_cut".into())], None, &Auth::Bearer), Err(Code::TokenInvalid));
        assert_eq!(look(&[("authorization", "Bearer ".into())], None, &Auth::Bearer), Ok(Presented::Nothing));
    }

    #[test]
    fn a_token_is_found_inside_other_text() {
        let token = ours(3);
        assert!(holds_token(format!("x={}&y", token.expose()).as_bytes()));
        assert!(!holds_token(b"hp_ hp_short not one"));
    }
}
