//! The text that stands where a secret was.
//!
//! Owns its form, and reading it back. A name holds lower case letters, digits, `.`, `_` and `-`
//! ([`is_name`]), so a reference needs no escape in any kind of file.

use std::{ffi::OsStr, ops::Range};

use crate::{
    detect::{kind::FileKind, parse::Quote},
    principal::is_name,
};

/// The files of a folder whose references `exec`, `env` and the shell hooks resolve, the strongest first.
pub const ENV_FILES: &[&str] =
    &[".env.local", ".env.development.local", ".env.development", ".env", ".dev.vars", ".envrc"];

const PLAIN: &str = "hallpass:";
/// In a URL a bare colon would end the user's name.
const IN_URL: &str = "hallpass%3A";

/// True for the name of such a file.
pub fn is_env_file(name: &OsStr) -> bool {
    ENV_FILES.iter().any(|known| name == *known)
}

/// The reference to a credential, in the form that the file takes where the secret stood. `in_url` says that the
/// secret was part of a URL, such as its password.
pub fn reference(name: &str, kind: FileKind, quote: Quote, in_url: bool) -> Vec<u8> {
    let text = format!("{}{name}", if in_url { IN_URL } else { PLAIN });
    // A number or a word that stood bare; in these formats a text must be in quotes.
    let bare = quote == Quote::None && matches!(kind, FileKind::Json | FileKind::Toml | FileKind::Hcl);
    if bare && !in_url { format!("\"{text}\"").into_bytes() } else { text.into_bytes() }
}

/// The credential that a value refers to, when the whole value is a reference.
pub fn parse_reference(value: &str) -> Option<&str> {
    let name = value.strip_prefix(PLAIN).or_else(|| strip_in_url(value))?;
    is_name(name).then_some(name)
}

/// The reference that is the password or the user of a URL, with the place where it stands in `url`.
pub fn in_url(url: &str) -> Option<(Range<usize>, &str)> {
    let start = url.find("://")? + 3;
    let rest = url.get(start..)?;
    let authority = rest.find(['/', '?', '#']).and_then(|end| rest.get(..end)).unwrap_or(rest);
    let at = authority.rfind('@')?;
    let mut from = start;
    for part in authority.get(..at)?.split(':') {
        let end = from + part.len();
        if let Some(name) = strip_in_url(part).filter(|name| is_name(name)) {
            return Some((from..end, name));
        }
        from = end + 1;
    }
    None
}

/// True where the text stands at `at` as a whole: what follows does not make it the reference of a longer name.
pub(super) fn stands_at(bytes: &[u8], at: usize, text: &[u8]) -> bool {
    let Some(rest) = bytes.get(at..).and_then(|rest| rest.strip_prefix(text)) else { return false };
    let goes_on = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(byte);
    let ends_open = text.last().is_some_and(|last| last.is_ascii_alphanumeric());
    let longer = match rest {
        [b'.', next, ..] => goes_on(next),
        [next, ..] => goes_on(next),
        [] => false,
    };
    !(ends_open && longer)
}

fn strip_in_url(text: &str) -> Option<&str> {
    text.get(..IN_URL.len()).filter(|start| start.eq_ignore_ascii_case(IN_URL))?;
    text.get(IN_URL.len()..)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_read_back_from_every_form() {
        let kinds = [FileKind::Dotenv, FileKind::Json, FileKind::Toml, FileKind::Yaml, FileKind::Ini, FileKind::Hcl];
        for kind in kinds {
            for quote in [Quote::None, Quote::Single, Quote::Double, Quote::Block] {
                let text = String::from_utf8(reference("a.b_c-1", kind, quote, false)).unwrap();
                assert_eq!(parse_reference(text.trim_matches('"')), Some("a.b_c-1"));
                assert!(!text.contains([' ', '#', '$', '\'', '\\']));
            }
        }
        assert_eq!(reference("n", FileKind::Json, Quote::None, false), b"\"hallpass:n\"");
        for bad in ["hallpass:", "hallpass:A", "hallpass:a b", "xhallpass:a", "hallpass:-a"] {
            assert_eq!(parse_reference(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_password_of_a_url_is_found() {
        let text = String::from_utf8(reference("db", FileKind::Dotenv, Quote::None, true)).unwrap();
        let url = format!("postgres://app:{text}@host:5432/x?y=z");
        let (span, name) = in_url(&url).unwrap();
        assert_eq!((name, url.get(span).unwrap()), ("db", text.as_str()));
        assert_eq!(in_url("redis://:hallpass%3acache@h").unwrap().1, "cache");
        assert_eq!(in_url("https://host/hallpass%3Adb@x"), None);
        assert_eq!(in_url("hallpass:db"), None);
    }

    #[test]
    fn a_longer_name_is_another_reference() {
        assert!(stands_at(b"hallpass:a", 0, b"hallpass:a"));
        assert!(stands_at(b"see hallpass:a. And", 4, b"hallpass:a"));
        for longer in [&b"hallpass:ab"[..], b"hallpass:a-1", b"hallpass:a.b"] {
            assert!(!stands_at(longer, 0, b"hallpass:a"));
        }
        assert!(stands_at(b"\"hallpass:a\"b", 0, b"\"hallpass:a\""));
    }
}
