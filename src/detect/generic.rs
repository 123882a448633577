//! Secrets without a rule: a name that says secret and a value that looks like one.
//!
//! Owns that judgement, tuned to be quiet. Whatever it finds is `likely`.

use super::{
    check,
    name::{self, Says, says_below},
    parse::Quote,
    placeholder::is_placeholder,
    random::{entropy, is_random, is_words},
    reference::is_reference,
    setting::Setting,
};

/// Where the value stands.
pub(super) struct Place<'a> {
    /// The last part of its key's path.
    pub name: &'a [u8],
    /// The part before it.
    pub parent: &'a [u8],
    /// How it is written.
    pub quote: Quote,
    /// In what.
    pub setting: &'a Setting,
    /// In a comment.
    pub comment: bool,
    /// It is called `key`, and stands below something that keys open.
    pub opens: bool,
    /// The file itself marks it as sensitive.
    pub sensitive: bool,
    /// The file holds nothing but secrets.
    pub vault: bool,
    /// A user stood before it, with a colon.
    pub paired: bool,
    /// `Bearer` or `Basic` stood before it.
    pub authorizes: bool,
}

const PASSWORD: (&str, &str) =
    ("generic-password", "its name says password, and it is neither a reference nor a default");

impl<'a> Place<'a> {
    /// A file that is nothing but the value.
    pub(super) fn of_file(name: &'a [u8]) -> Self {
        Self {
            name,
            parent: b"",
            quote: Quote::None,
            setting: &Setting::Config,
            comment: false,
            opens: false,
            sensitive: false,
            vault: false,
            paired: false,
            authorizes: false,
        }
    }

    fn is_plain_config(&self) -> bool {
        *self.setting == Setting::Config && !self.comment
    }
}

/// The kind and the reason; `None` where it is no secret.
pub(super) fn judge(place: &Place<'_>, value: &[u8]) -> Option<(&'static str, &'static str)> {
    if value.len() < 6 || value.len() > 4096 {
        return None;
    }
    // Before the name is read, since most values of a config file are of this kind.
    if is_url(value) && !value.iter().any(u8::is_ascii_whitespace) {
        return None;
    }
    let says = match says_below(place.parent, place.name) {
        _ if *place.setting == Setting::Passwords => Says::Password,
        _ if place.paired
            && (name::is_pair_only(place.name) || is_strong(value) && !value.iter().any(|b| b":/@".contains(b))) =>
        {
            Says::Password
        }
        _ if name::holds_pairs(place.parent, place.name) => Says::Password,
        Says::Nothing if place.sensitive || (place.authorizes && value.len() >= 20) => Says::Secret,
        Says::Nothing
            if place.vault
                && (20..=160).contains(&value.len())
                && is_plain_token(value)
                && says_below(b"secrets", place.name) == Says::Secret =>
        {
            Says::Secret
        }
        Says::Nothing if place.opens && value.len() >= 24 && value.iter().all(u8::is_ascii_alphanumeric) => {
            Says::Secret
        }
        Says::Nothing => return None,
        says => says,
    };
    let unless_id = says == Says::Secret && *place.setting == Setting::Config && !place.comment && is_uuid(value);
    if value.iter().any(u8::is_ascii_whitespace) {
        if says == Says::Secret && place.quote != Quote::None && is_noise(value) {
            return Some(("generic-secret", "its name says secret, and it looks generated"));
        }
        let phrase = says == Says::Password && place.is_plain_config() && is_phrase(value);
        return phrase.then_some(PASSWORD).filter(|_| !is_reference(value) && !is_placeholder(value, false));
    }
    let plain_word = says == Says::Password
        && place.is_plain_config()
        && name::is_password(place.name)
        && is_plain_word(value)
        && !is_placeholder(value, false);
    if plain_word {
        return Some(PASSWORD);
    }
    if decodes_to_a_placeholder(value) {
        return None;
    }
    if is_reference(value) || is_placeholder(value, false) || (is_plain(value) && !unless_id) {
        return None;
    }
    let quoted = place.quote != Quote::None;
    let signs = quoted && value.len() >= 40 && value.iter().all(u8::is_ascii_graphic);
    let generated = (is_token(value) || signs || is_list(value)) && is_random(value);
    let password = says == Says::Password
        && !place.comment
        && match place.setting {
            Setting::Config => is_password(value),
            Setting::Passwords => true,
            Setting::Prose => is_password(value) && is_strong(value),
            Setting::Within => is_password(value) && is_strong(value) && kinds(value) >= 3,
            Setting::Code => {
                let capital = u8::from(value.first().is_some_and(u8::is_ascii_uppercase));
                let mixed = is_strong(value) && kinds(value) + capital >= 3;
                quoted && is_password(value) && (mixed || (generated && value.len() >= 14))
            }
            Setting::Sample => false,
        };
    if password {
        return Some(PASSWORD);
    }
    let clear = match place.setting {
        Setting::Config | Setting::Passwords => !place.comment || value.len() >= 20,
        Setting::Sample => value.len() >= 20,
        // In running text and code only a clearly generated value counts, and in code a quoted one.
        Setting::Prose | Setting::Within => value.len() >= 20,
        Setting::Code => (value.len() >= 20 || (value.len() >= 16 && kinds(value) >= 3)) && quoted,
    };
    (clear && (generated || unless_id)).then_some(("generic-secret", "its name says secret, and it looks generated"))
}

/// Numbers, dates, ids, addresses: what no secret looks like.
fn is_plain(value: &[u8]) -> bool {
    let all = |ok: fn(&u8) -> bool| value.iter().all(ok);
    all(|b| b.is_ascii_digit() || b"+-.,:_/ ".contains(b))
        || is_uuid(value)
        || is_url(value)
        || is_email(value)
        || is_public_key(value)
        || is_openpgp_id(value)
}

/// The id of an OpenPGP key, short, long or whole (`signingkey` of git).
fn is_openpgp_id(value: &[u8]) -> bool {
    matches!(value.len(), 8 | 16 | 40) && value.iter().all(|b| b.is_ascii_digit() || matches!(b, b'A'..=b'F'))
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
    let start = value.get(..26).unwrap_or(value);
    start.windows(3).position(|part| part == b"://").is_some_and(|at| at > 0)
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
        // LaunchDarkly's, made for apps.
        "mob-",
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
    let code = value.ends_with(b")") && value.contains(&b'(');
    let dotted = value.contains(&b'.') && is_words(value) && !value.iter().any(u8::is_ascii_digit);
    let name = value.iter().all(|b| b.is_ascii_uppercase() || *b == b'_') && value.contains(&b'_');
    !code && !dotted && !name && (kinds(value) >= 2 || value.len() >= 12)
}

/// What is a password only because its name says nothing but that: a word in small letters, a number.
fn is_plain_word(value: &[u8]) -> bool {
    let word = value.iter().all(u8::is_ascii_lowercase) && value.len() <= 32;
    let number = value.iter().all(u8::is_ascii_digit) && matches!(value.len(), 8..=20);
    word || number
}

/// Words and something that no sentence has: not a label (`Forgot your password?`).
fn is_phrase(value: &[u8]) -> bool {
    let plain = value.iter().all(|b| b.is_ascii_graphic() || *b == b' ');
    plain
        && value.len() <= 64
        && value.iter().any(u8::is_ascii_digit)
        && !value.ends_with(b"?")
        && !value.ends_with(b".")
}

/// Kubernetes keeps passwords in base64: what counts is what it says.
fn decodes_to_a_placeholder(value: &[u8]) -> bool {
    if !value.len().is_multiple_of(4) || value.len() > 128 {
        return false;
    }
    check::decode(value).is_some_and(|text| {
        let text = text.trim_ascii();
        text.len() >= 3 && text.iter().all(u8::is_ascii_graphic) && (is_placeholder(text, false) || is_reference(text))
    })
}

/// Letters and a digit, eight characters or more: no word of a language.
fn is_strong(value: &[u8]) -> bool {
    value.len() >= 8 && value.iter().any(u8::is_ascii_digit) && value.iter().any(u8::is_ascii_alphabetic)
}

/// How many kinds of characters: small, capital (the first letter of a word aside), digits, others.
fn kinds(value: &[u8]) -> u8 {
    let has = |kind: fn(&u8) -> bool| u8::from(value.iter().any(kind));
    let capitals = value.iter().skip(1).any(u8::is_ascii_uppercase);
    has(u8::is_ascii_lowercase) + u8::from(capitals) + has(u8::is_ascii_digit) + has(u8::is_ascii_punctuation)
}

/// All kinds of characters, blanks among them: the salts that WordPress makes.
fn is_noise(value: &[u8]) -> bool {
    value.len() >= 48
        && value.len() <= 80
        && kinds(value) == 4
        && entropy(value) >= 4.5
        && value.iter().filter(|byte| byte.is_ascii_whitespace()).count() * 8 <= value.len()
        && value.iter().filter(|byte| byte.is_ascii_punctuation()).count() >= 4
        && !is_words(value)
}

/// Letters and digits, and what names have between them.
fn is_plain_token(value: &[u8]) -> bool {
    value.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

/// Tokens with commas between them (`APP_KEYS`).
fn is_list(value: &[u8]) -> bool {
    value.contains(&b',') && value.split(|byte| *byte == b',').all(|part| is_token(part) && is_random(part))
}

/// Only characters that tokens are made of.
fn is_token(value: &[u8]) -> bool {
    value.iter().all(|b| b.is_ascii_graphic() && !b"<>(){}[]\\`,;\"'".contains(b))
}
