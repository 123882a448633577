//! Values that only point at a secret, or that are public by design: never findings.
//!
//! Owns what a reference looks like in the tools that hallpass meets.

use std::sync::LazyLock;

/// Marks at the start of a value that fetches the secret from elsewhere when it is used.
static SCHEMES: LazyLock<Vec<&str>> = LazyLock::new(|| {
    include_str!("../../data/words/references.txt").lines().filter(|line| !line.starts_with('#')).collect()
});

/// Whether the value points at a secret instead of being one.
pub(super) fn is_reference(value: &[u8]) -> bool {
    let value = value.trim_ascii();
    let Some(first) = value.first() else { return true };
    let within = |open: &[u8], close: &[u8]| value.starts_with(open) && value.ends_with(close);
    if within(b"${", b"}") || within(b"$(", b")") || within(b"{{", b"}}") || within(b"<", b">") || within(b"%", b"%") {
        return true;
    }
    if within(b"{", b"}") || within(b"[", b"]") || within(b"#{", b"}#") || within(b"__", b"__") || within(b"`", b"`") {
        return true;
    }
    if within(b"%(", b")s") || within(b"@", b"@") || within(b"((", b"))") || within(b"<%", b"%>") {
        return true;
    }
    match first {
        // `$NAME`, and a crypt(3) hash, which is no secret that anybody could use.
        b'$' => {
            let rest = value.get(1..).unwrap_or_default();
            is_name(rest) || rest.contains(&b'{') || is_crypt_hash(value)
        }
        // A command whose output is the secret, as Pi and Gemini have it.
        b'!' => value.get(1).is_some_and(|next| next.is_ascii_alphabetic()) && value.contains(&b' '),
        b'/' | b'~' | b'.' => is_path(value),
        b'*' | b'&' => is_name(value.get(1..).unwrap_or_default()),
        _ => is_md5(value) || starts_with_scheme(value) || holds_a_variable(value) || crate::token::looks_like(value),
    }
}

fn starts_with_scheme(value: &[u8]) -> bool {
    SCHEMES.iter().any(|scheme| {
        value.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme.as_bytes()))
            && value.len() > scheme.len()
    })
}

/// `Bearer ${TOKEN}` and the like.
fn holds_a_variable(value: &[u8]) -> bool {
    let holds = |open: &[u8], close: u8| {
        value
            .windows(open.len())
            .position(|part| part == open)
            .is_some_and(|at| value.get(at..).unwrap_or_default().contains(&close))
    };
    holds(b"${", b'}') || holds(b"{{", b'}') || holds(b"$(", b')')
}

fn is_name(text: &[u8]) -> bool {
    text.first().is_some_and(|b| b.is_ascii_alphabetic() || *b == b'_')
        && text.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b':' | b'.'))
}

/// crypt(5): `$id$salt$hash`, bcrypt's among them.
fn is_crypt_hash(value: &[u8]) -> bool {
    ["$2a$", "$2b$", "$2y$", "$1$", "$5$", "$7$", "$6$", "$y$", "$argon2", "$apr1$", "$pbkdf2", "$scrypt"]
        .iter()
        .any(|mark| value.starts_with(mark.as_bytes()))
}

/// PostgreSQL's older form of a hashed password.
fn is_md5(value: &[u8]) -> bool {
    value.len() == 35 && value.strip_prefix(b"md5").is_some_and(|rest| rest.iter().all(u8::is_ascii_hexdigit))
}

fn is_path(value: &[u8]) -> bool {
    [&b"/"[..], b"~/", b"./", b"../"].iter().any(|start| value.starts_with(start))
        && value.iter().all(|b| b.is_ascii_alphanumeric() || b"/._-~@ ".contains(b))
        // Base64 may begin with `/`: a path has words between its slashes.
        && value.split(|b| *b == b'/').all(|part| part.len() < 40)
        && (value.len() < 24 || !super::random::is_random(value) || value.starts_with(b"~/") || value.starts_with(b"./"))
}
