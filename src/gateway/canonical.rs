//! The canonical target: what policy judges, and the only thing a forwarded URI is built from.
//!
//! Owns the one reading of a request target. A target that another reader could take for another
//! path (dot segments in any spelling, doubled or encoded separators, `;` parameters, bad percent
//! signs) is refused rather than repaired (RFC 3986 sections 5.2.4 and 6.2.2, WHATWG URL).

use std::{borrow::Cow, ops::Range};

use crate::{
    api::problem::Code,
    error::Error,
    http::head::{Bytes, every},
};

/// The longest target, in bytes.
pub const MAX_LENGTH: usize = 16 * 1024;
/// The most segments.
const MAX_SEGMENTS: usize = 64;

const DOTS: &str = "a dot segment, or nothing between two separators";

/// A request target that has one reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CanonicalTarget {
    /// The path, with unreserved characters decoded and other escapes in upper case.
    path: String,
    /// Where each segment is in `path`; an empty last one for a slash at the end is not among them.
    segments: Vec<Range<usize>>,
    trailing_slash: bool,
    encoded_slash: bool,
    query: Option<String>,
}

/// Why a target is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the request's target could be read in two ways: {0}")]
pub struct Ambiguous(pub &'static str);

impl From<Ambiguous> for Error {
    fn from(why: Ambiguous) -> Self {
        Self::new(Code::AmbiguousRequest, why.to_string())
            .hint("send the plain path, with no dot segments, no doubled slashes and no encoded separators")
    }
}

impl CanonicalTarget {
    /// Reads an origin-form target (RFC 9112 section 3.2.1).
    pub fn parse(target: &str) -> Result<Self, Ambiguous> {
        if target.len() > MAX_LENGTH {
            return Err(Ambiguous("it is too long"));
        }
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (target, None),
        };
        let rest = path.strip_prefix('/').ok_or(Ambiguous("it does not begin with /"))?;
        let mut canonical = Self {
            path: String::with_capacity(path.len()),
            segments: Vec::new(),
            trailing_slash: false,
            encoded_slash: false,
            query: None,
        };
        let mut parts = rest.split('/').peekable();
        while let Some(part) = parts.next() {
            canonical.path.push('/');
            if part.is_empty() {
                if parts.peek().is_some() {
                    return Err(Ambiguous("a doubled slash"));
                }
                canonical.trailing_slash = true;
                break;
            }
            canonical.push_segment(part)?;
        }
        if canonical.segments.len() > MAX_SEGMENTS {
            return Err(Ambiguous("it has too many segments"));
        }
        canonical.query = query.map(check_query).transpose()?.filter(|query| !query.is_empty()).map(str::to_owned);
        Ok(canonical)
    }

    /// How many segments there are.
    pub fn len(&self) -> usize {
        self.segments.len()
    }

    /// True for `/`.
    pub fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// A segment, decoded.
    pub fn segment(&self, index: usize) -> Option<Cow<'_, str>> {
        self.segments.get(index).and_then(|range| self.path.get(range.clone())).map(decode)
    }

    /// True for a path that ends in a slash.
    pub fn has_trailing_slash(&self) -> bool {
        self.trailing_slash
    }

    /// True where some segment holds `%2F`.
    pub fn has_encoded_slash(&self) -> bool {
        self.encoded_slash
    }

    /// The path from segment `from` on, as it is forwarded; `/` where there is none.
    pub fn path_from(&self, from: usize) -> &str {
        let start = self.segments.get(from).map_or(self.path.len(), |range| range.start);
        let rest = self.path.get(start.saturating_sub(1)..).unwrap_or_default();
        if rest.is_empty() || !rest.starts_with('/') { "/" } else { rest }
    }

    /// The query, as it came; never empty.
    pub fn query(&self) -> Option<&str> {
        self.query.as_deref()
    }

    fn push_segment(&mut self, part: &str) -> Result<(), Ambiguous> {
        let start = self.path.len();
        if every(part.as_bytes(), is_plain) {
            // Stands for itself, as most do: nothing to decode, and no separator inside.
            if part.bytes().all(|byte| byte == b'.') {
                return Err(Ambiguous(DOTS));
            }
            self.path.push_str(part);
            self.segments.push(start..self.path.len());
            return Ok(());
        }
        let mut bytes = part.bytes();
        let mut escaped = false;
        while let Some(byte) = bytes.next() {
            if byte != b'%' {
                if !is_plain(byte) {
                    return Err(Ambiguous("a character in the path that must be encoded, or a `;`"));
                }
                self.path.push(char::from(byte));
                continue;
            }
            let value = hex(bytes.next()).zip(hex(bytes.next())).map(|(high, low)| high * 16 + low);
            let value = value.ok_or(Ambiguous("a % that is not followed by two hexadecimal digits"))?;
            match value {
                _ if is_unreserved(value) => self.path.push(char::from(value)),
                b'/' => {
                    self.encoded_slash = true;
                    self.path.push_str("%2F");
                }
                0..0x20 | 0x7f => return Err(Ambiguous("an encoded control character")),
                b'%' | b'\\' | b';' | b'?' | b'#' => return Err(Ambiguous("an encoded separator or percent sign")),
                _ => {
                    self.path.push('%');
                    self.path.push(digit(value / 16));
                    self.path.push(digit(value % 16));
                }
            }
            escaped = true;
        }
        let segment = self.path.get(start..).unwrap_or_default();
        if escaped && percent_encoding::percent_decode_str(segment).decode_utf8().is_err() {
            return Err(Ambiguous("an encoded byte that is not UTF-8"));
        }
        let decoded = decode(segment);
        if decoded.contains(is_lookalike) {
            return Err(Ambiguous("a character that some servers turn into a dot or a slash"));
        }
        // Windows takes spaces at the end of a name off (Win32 file namespaces, "Naming Files").
        if decoded.split('/').any(|piece| piece.bytes().all(|byte| byte == b'.' || byte == b' ')) {
            return Err(Ambiguous(DOTS));
        }
        let range = start..self.path.len();
        self.segments.push(range);
        Ok(())
    }
}

/// The name/value pairs of a query, as they came, in order.
pub fn pairs(query: &str) -> impl Iterator<Item = (&str, &str)> {
    query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

/// A name or value of a query, decoded as a form (`+` is a space).
pub fn decode_form(text: &str) -> Cow<'_, [u8]> {
    if text.contains('+') {
        let spaced = text.replace('+', " ");
        return Cow::Owned(percent_encoding::percent_decode_str(&spaced).collect());
    }
    Cow::from(percent_encoding::percent_decode_str(text))
}

fn check_query(query: &str) -> Result<&str, Ambiguous> {
    let mut bytes = query.bytes();
    while let Some(byte) = bytes.next() {
        if !byte.is_ascii_graphic() || b"#\\".contains(&byte) {
            return Err(Ambiguous("a character in the query that must be encoded"));
        }
        if byte == b'%' {
            let value = hex(bytes.next()).zip(hex(bytes.next())).map(|(high, low)| high * 16 + low);
            match value {
                None => return Err(Ambiguous("a % that is not followed by two hexadecimal digits")),
                Some(0) => return Err(Ambiguous("an encoded null byte")),
                Some(_) => {}
            }
        }
    }
    // Frameworks that read the method from here (Rails, Laravel, Symfony, Express) split at either sign.
    let names = query.split(['&', ';']).map(|pair| pair.split_once('=').map_or(pair, |(name, _)| name));
    for name in names {
        let name = decode_form(name);
        let stem = name.split(|byte| *byte == b'[').next().unwrap_or_default().trim_ascii();
        if OVERRIDES.iter().any(|word| stem.eq_ignore_ascii_case(word.as_bytes())) {
            return Err(Ambiguous("a query parameter that overrides the method"));
        }
    }
    Ok(query)
}

/// Query parameters that change the method at some server.
const OVERRIDES: [&str; 4] = ["_method", "x-http-method-override", "x-http-method", "x-method-override"];

fn decode(segment: &str) -> Cow<'_, str> {
    if segment.contains('%') {
        percent_encoding::percent_decode_str(segment).decode_utf8_lossy()
    } else {
        Cow::Borrowed(segment)
    }
}

/// Characters of a path segment (`pchar`, RFC 3986 section 3.3) that stand for themselves, less `;`,
/// behind which some servers drop the rest of the segment.
fn is_plain(byte: u8) -> bool {
    static PLAIN: Bytes = Bytes::of(b"-._~!$&'()*+,=:@0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");
    PLAIN.has(byte)
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

/// Characters that compatibility folding (NFKC) or a best-fit code page turns into `.`, `/`, `\`, `%`,
/// `;`, `?` or `#`, and ones that are not seen.
fn is_lookalike(character: char) -> bool {
    matches!(character, '\u{80}'..='\u{a0}' | '\u{ad}' | '\u{2024}'..='\u{2026}' | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}' | '\u{2044}' | '\u{2060}'..='\u{206f}' | '\u{2100}' | '\u{2101}' | '\u{2105}' | '\u{2106}'
        | '\u{2215}' | '\u{2216}' | '\u{2488}'..='\u{249b}' | '\u{29f5}' | '\u{29f8}' | '\u{29f9}' | '\u{3002}'
        | '\u{fe19}' | '\u{fe30}' | '\u{fe52}' | '\u{fe54}' | '\u{fe56}' | '\u{fe5f}' | '\u{fe68}' | '\u{fe6a}'
        | '\u{feff}' | '\u{ff01}'..='\u{ff65}' | '\u{fff0}'..='\u{ffff}' | '\u{e0000}'..='\u{e0fff}')
}

fn hex(byte: Option<u8>) -> Option<u8> {
    byte.and_then(|byte| char::from(byte).to_digit(16)).and_then(|value| u8::try_from(value).ok())
}

fn digit(value: u8) -> char {
    char::from_digit(u32::from(value), 16).unwrap_or('0').to_ascii_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(target: &CanonicalTarget) -> String {
        let query = target.query().map(|query| format!("?{query}")).unwrap_or_default();
        format!("{}{query}", target.path_from(0))
    }

    #[test]
    fn one_reading() {
        for (from, to) in [
            ("/openai/v1/models", "/openai/v1/models"),
            ("/openai/v1/models/", "/openai/v1/models/"),
            ("/%6fpenai/%76%31", "/openai/v1"),
            ("/a/b%20c%c3%a9", "/a/b%20c%C3%A9"),
            ("/g/acme%2fweb", "/g/acme%2Fweb"),
            ("/a/m:gen?x=1&y=%2e%2e", "/a/m:gen?x=1&y=%2e%2e"),
            ("/a?", "/a"),
            ("/", "/"),
            ("/a/...b", "/a/...b"),
        ] {
            assert_eq!(written(&CanonicalTarget::parse(from).unwrap()), to);
        }
        let target = CanonicalTarget::parse("/github/repos/acme%2Fweb/x/").unwrap();
        assert_eq!((target.path_from(1), target.path_from(9)), ("/repos/acme%2Fweb/x/", "/"));
        assert_eq!(target.segment(2).as_deref(), Some("acme/web"));
        assert!(target.has_encoded_slash() && target.has_trailing_slash());
        assert_eq!(CanonicalTarget::parse("/openai").unwrap().path_from(1), "/");
        assert_eq!(CanonicalTarget::parse("/openai/").unwrap().path_from(1), "/");
    }

    #[test]
    fn two_readings_are_refused() {
        for bad in [
            "",
            "a",
            "*",
            "http://x/a",
            "//a",
            "/a//b",
            "/a//",
            "/.",
            "/a/..",
            "/a/../b",
            "/a/%2e%2E/b",
            "/a/.%2e",
            "/a/...",
            "/a/..%2fb",
            "/a/%2e%2e%2fb",
            "/a/..%20/b",
            "/a/%20../b",
            "/a/.%20.%2fb",
            "/a%2f%2fb",
            "/a/%2f",
            "/a/b%2f",
            "/a%5cb",
            "/a%00",
            "/a%0d%0ab",
            "/a%25",
            "/a%252e",
            "/a;b",
            "/a/..;/b",
            "/a%3bb",
            "/a%",
            "/a%2",
            "/a%zz",
            "/a%u002e",
            "/a b",
            "/a\\b",
            "/a#b",
            "/a\0",
            "/é",
            "/a%c0%ae",
            "/a%ff",
            "/%ef%bc%8e%ef%bc%8e/a",
            "/a%e2%88%95b",
            "/a%3fb",
            "/a%23b",
            "/a|b",
            "/a{b}",
            "/a\"",
            "/a?b#c",
            "/a?b%",
            "/a?b%00",
            "/a?_method=DELETE",
            "/a?x=1;_method=PUT",
            "/a?%5Fmethod=PUT",
            "/a?_METHOD=x",
            "/a?_method[]=x",
            "/a?b\\c",
        ] {
            assert!(CanonicalTarget::parse(bad).is_err(), "{bad:?} was taken");
        }
        assert!(CanonicalTarget::parse(&format!("/{}", "a".repeat(MAX_LENGTH))).is_err());
        assert!(CanonicalTarget::parse(&"/a".repeat(MAX_SEGMENTS + 1)).is_err());
    }

    fn target() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            Just("/"),
            Just("."),
            Just(".."),
            Just("%2e"),
            Just("%2F"),
            Just("%2f"),
            Just("a"),
            Just("%61"),
            Just("%7E"),
            Just(":"),
            Just("%c3%a9"),
            Just("%C3"),
            Just("?"),
            Just("="),
            Just("&"),
            Just("%"),
            Just("25"),
            Just(";"),
            Just("%20"),
        ];
        prop::collection::vec(piece, 0..14).prop_map(|pieces| format!("/{}", pieces.concat()))
    }

    proptest! {
        #[test]
        fn what_is_forwarded_reads_the_same_again(text in target()) {
            if let Ok(once) = CanonicalTarget::parse(&text) {
                let twice = CanonicalTarget::parse(&written(&once)).unwrap();
                prop_assert_eq!(&once, &twice);
                for index in 0..once.len() {
                    let segment = once.segment(index).unwrap();
                    prop_assert!(!segment.split('/').any(|piece| piece.is_empty() || piece == "." || piece == ".."));
                }
                let path = once.path_from(0);
                prop_assert!(!path.contains("//") && !path.contains("/../") && !path.ends_with("/..") && path.is_ascii());
                let lower = path.to_lowercase();
                prop_assert!(!["%2e", "%5c", "%25", "%00", "%3b"].iter().any(|escape| lower.contains(escape)));
            }
        }

        #[test]
        fn any_text_is_read_the_same_twice_or_refused(text in "/[ -~é]{0,60}") {
            if let Ok(once) = CanonicalTarget::parse(&text) {
                prop_assert_eq!(&CanonicalTarget::parse(&written(&once)).unwrap(), &once);
            }
        }
    }
}
