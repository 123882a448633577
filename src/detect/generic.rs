//! Secrets without a rule: a name that says secret and a value that looks like one.
//!
//! Owns that judgement, tuned to be quiet. Whatever it finds is `likely`.

use super::{
    kind::FileKind,
    name::{Says, says},
    parse::Quote,
    placeholder::is_placeholder,
    random::{is_random, is_words},
    reference::is_reference,
};

/// Where the value stands.
pub(super) struct Place<'a> {
    /// The last part of its key's path.
    pub name: &'a [u8],
    /// How it is written.
    pub quote: Quote,
    /// In what.
    pub kind: FileKind,
    /// In a file of samples (`.env.example`), where a password is a sample too.
    pub sample: bool,
    /// In a comment.
    pub comment: bool,
}

/// The kind and the reason; `None` where it is no secret.
pub(super) fn judge(place: &Place<'_>, value: &[u8]) -> Option<(&'static str, &'static str)> {
    let says = says(place.name);
    if says == Says::Nothing || value.len() < 6 || value.len() > 4096 || value.iter().any(u8::is_ascii_whitespace) {
        return None;
    }
    if is_reference(value) || is_placeholder(value, false) || is_plain(value) {
        return None;
    }
    let quiet = place.kind == FileKind::Text || place.comment || place.sample;
    if says == Says::Password && !quiet {
        return is_password(value)
            .then_some(("generic-password", "its name says password, and it is neither a reference nor a default"));
    }
    // In running text and code only a quoted, clearly generated value counts.
    let clear = !quiet || (value.len() >= 20 && (place.quote != Quote::None || place.kind != FileKind::Text));
    (clear && is_token(value) && is_random(value))
        .then_some(("generic-secret", "its name says secret, and it looks generated"))
}

/// Numbers, dates, ids, addresses: what no secret looks like.
fn is_plain(value: &[u8]) -> bool {
    let all = |ok: fn(&u8) -> bool| value.iter().all(ok);
    all(|b| b.is_ascii_digit() || b"+-.,:_/ ".contains(b))
        || is_uuid(value)
        || is_url(value)
        || is_email(value)
        || is_public_key(value)
}

pub(super) fn is_uuid(value: &[u8]) -> bool {
    value.len() == 36
        && value
            .iter()
            .enumerate()
            .all(|(at, b)| if matches!(at, 8 | 13 | 18 | 23) { *b == b'-' } else { b.is_ascii_hexdigit() })
}

fn is_url(value: &[u8]) -> bool {
    // What a URL holds is for the rules, which know where its password stands.
    value.windows(3).position(|part| part == b"://").is_some_and(|at| at > 0 && at < 24)
}

fn is_email(value: &[u8]) -> bool {
    let mut parts = value.split(|b| *b == b'@');
    matches!((parts.next(), parts.next(), parts.next()), (Some(user), Some(host), None)
        if !user.is_empty() && host.contains(&b'.') && host.iter().all(|b| b.is_ascii_alphanumeric() || b".-".contains(b))
            && host.rsplit(|b| *b == b'.').next().is_some_and(|end| end.len() >= 2 && end.iter().all(u8::is_ascii_lowercase)))
}

fn is_public_key(value: &[u8]) -> bool {
    [
        "pk_live_",
        "pk_test_",
        "pk.",
        "phc_",
        "sb_publishable_",
        "pub_",
        "public-",
        "MIIBIjANBg",
        "AAAAB3NzaC1",
        "AAAAC3NzaC1",
    ]
    .iter()
    .any(|mark| value.starts_with(mark.as_bytes()))
}

/// Two kinds of characters, or long; not code, not a path, not a name of something.
fn is_password(value: &[u8]) -> bool {
    let has = |kind: fn(&u8) -> bool| u8::from(value.iter().any(kind));
    let kinds = has(u8::is_ascii_lowercase)
        + has(u8::is_ascii_uppercase)
        + has(u8::is_ascii_digit)
        + has(u8::is_ascii_punctuation);
    let code = value.ends_with(b")") && value.contains(&b'(');
    let dotted = value.contains(&b'.') && is_words(value) && !value.iter().any(u8::is_ascii_digit);
    let name = value.iter().all(|b| b.is_ascii_uppercase() || *b == b'_') && value.contains(&b'_');
    !code && !dotted && !name && (kinds >= 2 || value.len() >= 12)
}

/// Only characters that tokens are made of.
fn is_token(value: &[u8]) -> bool {
    value.iter().all(|b| b.is_ascii_graphic() && !b"<>(){}[]\\`,;\"'".contains(b))
}
