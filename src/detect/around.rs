//! What a file says of a value beside the name that it has: the file's own name, the names above, the bytes around.
//!
//! Owns those looks. What follows from them is `generic`'s.

use std::ops::Range;

use super::{
    Class,
    choice::{Candidate, Seen},
    generic::{Place, judge},
    name::{is_carrier, is_vault, opens},
    parse::Document,
    random::is_random,
    setting::Setting,
};

/// What the name of a config file says of all its values.
pub(super) struct Named {
    /// It holds nothing but secrets.
    pub vault: bool,
    /// A `key` in it opens something.
    pub keys: bool,
    /// A `key` at its top does.
    pub top_keys: bool,
}

impl Named {
    /// Of the file at `path`.
    pub fn of(path: &str, setting: &Setting) -> Self {
        let config = *setting == Setting::Config;
        let stem = stem(path);
        let folder = path.rsplit(['/', '\\']).nth(1).unwrap_or_default();
        Self {
            // Design has tokens as well.
            vault: config && is_vault(stem.as_bytes()) && !stem.ends_with("tokens"),
            keys: matches!(stem, "auth" | "credentials" | "providers"),
            top_keys: config && (opens(folder.as_bytes()) || opens(stem.as_bytes())),
        }
    }
}

/// The last four names of a path, the last one first, without those at its end that say nothing (`value`).
pub(super) fn telling<'a>(bytes: &'a [u8], document: &Document, name: Option<u32>) -> [&'a [u8]; 4] {
    let mut path: [&[u8]; 4] = [b""; 4];
    let text = |index: u32| document.names.get(index as usize).and_then(|name| bytes.get(name.span.clone()));
    let parent = |index: u32| document.names.get(index as usize).and_then(|name| name.parent);
    let mut next = name;
    let mut filled = 0;
    while let Some(index) = next {
        let text = text(index).unwrap_or_default();
        next = parent(index);
        // A variable of Terraform has its default, which elsewhere is a sample's.
        let default = text == b"default" && root(bytes, document, index) == b"variable";
        if filled == 0 && next.is_some() && (is_carrier(text) || default) {
            continue;
        }
        let Some(place) = path.get_mut(filled) else { break };
        *place = text;
        filled += 1;
    }
    path
}

/// The first name of a path.
fn root<'a>(bytes: &'a [u8], document: &Document, mut index: u32) -> &'a [u8] {
    while let Some(parent) = document.names.get(index as usize).and_then(|name| name.parent) {
        index = parent;
    }
    let span = document.names.get(index as usize).map(|name| name.span.clone());
    span.and_then(|span| bytes.get(span)).unwrap_or_default()
}

/// What follows the colon of `user:password`.
pub(super) fn behind_colon(span: Range<usize>, value: &[u8]) -> (Range<usize>, &[u8]) {
    let colon = value.iter().position(|byte| *byte == b':').filter(|_| span.len() == value.len());
    let rest = colon.and_then(|at| Some((at, value.get(at + 1..)?))).filter(|(_, rest)| !rest.starts_with(b"//"));
    match rest {
        Some((at, rest)) => (span.start + at + 1..span.end, rest),
        None => (span, value),
    }
}

/// Terraform marks an output beside its value: `"sensitive": true`.
pub(super) fn is_marked_sensitive(bytes: &[u8], span: &Range<usize>) -> bool {
    let before = bytes.get(span.start.saturating_sub(128)..span.start).unwrap_or_default();
    let before = before.rsplit(|byte| *byte == b'{').next().unwrap_or_default();
    let after = bytes.get(span.end..bytes.len().min(span.end + 128)).unwrap_or_default();
    let after = after.split(|byte| *byte == b'}').next().unwrap_or_default();
    [before, after].iter().any(|text| {
        let mark = b"\"sensitive\"";
        let at = text.windows(mark.len()).position(|part| part == mark);
        let rest = at.and_then(|at| text.get(at + mark.len()..)).unwrap_or_default();
        rest.trim_ascii_start().strip_prefix(b":").is_some_and(|rest| rest.trim_ascii_start().starts_with(b"true"))
    })
}

/// The one line of a file whose name says that it is a secret (`.vault-token`, `api_key.txt`).
pub(super) fn stands_alone(path: &str, bytes: &[u8]) -> Option<Candidate> {
    let value = bytes.trim_ascii();
    let start = bytes.len() - bytes.trim_ascii_start().len();
    if value.len() < 16 || value.len() > 512 || !value.iter().all(u8::is_ascii_graphic) {
        return None;
    }
    // `master.key`, `prod.token` and all that lies in a folder of secrets, else what the file is called.
    let mut parts = path.rsplit(['/', '\\']);
    let ending = parts.next().and_then(|name| name.rsplit_once('.')).map(|(_, ending)| ending).unwrap_or_default();
    let kept = parts.next().is_some_and(|folder| is_vault(folder.trim_start_matches('.').as_bytes()));
    let name: &[u8] = match ending {
        "key" | "token" | "secret" | "passwd" | "password" | "pass" => b"secret",
        _ if kept => b"secret",
        _ => stem(path).as_bytes(),
    };
    let (kind, why) = judge(&Place::of_file(name), value).filter(|_| is_random(value))?;
    let (class, seen) = (Class::Likely, Seen::Generic);
    Some(Candidate { span: start..start + value.len(), kind, class, name: None, why, seen, mark: 0 })
}

/// The name of a file without its folder and its last ending.
fn stem(path: &str) -> &str {
    let name = path.rsplit(['/', '\\']).next().unwrap_or_default();
    let plain = name.strip_prefix('.').unwrap_or(name);
    plain.rsplit_once('.').map_or(plain, |(stem, _)| stem)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::{kind::FileKind, parse::parse};

    #[test]
    fn a_name_that_says_nothing_gives_way_to_the_one_above() {
        let told = |text: &'static [u8], kind| {
            let document = parse(kind, text).unwrap();
            telling(text, &document, document.scalars[0].name)[0]
        };
        assert_eq!(told(br#"{"outputs": {"db_password": {"value": "x"}}}"#, FileKind::Json), b"db_password");
        assert_eq!(told(br#"{"db_password": {"default": "x"}}"#, FileKind::Json), b"default");
        assert_eq!(told(br#"variable "db_password" { default = "x" }"#, FileKind::Hcl), b"db_password");
        assert_eq!(told(br#"{"value": "x"}"#, FileKind::Json), b"value");
    }

    #[test]
    fn a_mark_beside_the_value() {
        let text = br#"{"a": {"value": "x", "sensitive": true}, "b": {"value": "y"}}"#;
        let at = |byte: u8| text.iter().position(|b| *b == byte).unwrap();
        assert!(is_marked_sensitive(text, &(at(b'x')..at(b'x') + 1)));
        assert!(!is_marked_sensitive(text, &(at(b'y')..at(b'y') + 1)));
    }

    #[test]
    fn a_user_stands_before_the_colon() {
        assert_eq!(behind_colon(10..14, b"me:x"), (13..14, &b"x"[..]));
        assert_eq!(behind_colon(10..18, b"https://"), (10..18, &b"https://"[..]));
    }
}
