//! What the name of a key says of its value.
//!
//! Owns the split of names into words and the words that mean secret, password, or neither.

use std::sync::LazyLock;

/// What a name promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Says {
    /// Nothing, or that it is no secret.
    Nothing,
    /// A generated secret: a key, a token.
    Secret,
    /// A password: it may be short and made by a person.
    Password,
}

/// Words that turn the name into one of something else: an id, a length, the name of a variable.
static NEITHER: LazyLock<Vec<&str>> = LazyLock::new(|| super::words(include_str!("../../data/words/neither.txt")));

/// Words before `key` that make it a secret one.
const KEYS: &[&str] = &[
    "api",
    "access",
    "secret",
    "private",
    "auth",
    "encryption",
    "encrypt",
    "signing",
    "sign",
    "master",
    "service",
    "admin",
    "app",
    "application",
    "license",
    "licence",
    "account",
    "root",
    "server",
    "client",
    "write",
    "ingest",
    "integration",
    "subscription",
    "shared",
    "storage",
    "session",
    "cookie",
    "jwt",
    "hmac",
    "webhook",
    "deploy",
    "project",
    "user",
    "personal",
    "security",
    "crypt",
    "cipher",
    "aes",
    "fernet",
    "proxy",
    "gateway",
    "team",
    "org",
    "workspace",
];

/// What the last part of a key's path says.
pub(super) fn says(name: &[u8]) -> Says {
    let words = words(name);
    let has = |wanted: &str| words.iter().any(|word| word == wanted);
    let holds = |wanted: &str| words.iter().any(|word| word.contains(wanted));
    if holds("password")
        || holds("passwd")
        || holds("passphrase")
        || holds("passcode")
        || has("pwd")
        || ends(&words, "pwd")
        || ends(&words, "pass")
        || has("pass")
        || has("pw")
        || ends(&words, "passwort")
    {
        return if negated(&words) { Says::Nothing } else { Says::Password };
    }
    let last = words.last().map(String::as_str).unwrap_or_default();
    let before = words.len().checked_sub(2).and_then(|at| words.get(at)).map(String::as_str).unwrap_or_default();
    let secret = holds("secret")
        || holds("apikey")
        || holds("accesskey")
        || holds("authkey")
        || holds("privatekey")
        || holds("secretkey")
        || last.ends_with("token")
        || last == "tokens"
        || (has("token") && !has("count"))
        || matches!(
            last,
            "credential"
                | "credentials"
                | "creds"
                | "authorization"
                | "bearer"
                | "auth"
                | "pat"
                | "jwt"
                | "hmac"
                | "cookie"
                | "sas"
                | "psk"
                | "salt"
                | "seed"
                | "mnemonic"
                | "pepper"
        )
        || ((last == "key" || last == "keys") && (KEYS.contains(&before) || is_env(name)))
        || (last.ends_with("key") && last.len() > 3 && KEYS.iter().any(|word| last.strip_suffix("key") == Some(word)));
    if secret && !negated(&words) { Says::Secret } else { Says::Nothing }
}

/// Whether a file of one issuer may keep its secret under this name.
pub(super) fn may_be_secret(name: &[u8]) -> bool {
    says(name) != Says::Nothing || words(name).iter().any(|word| matches!(word.as_str(), "key" | "token" | "pass"))
}

/// The words of a name, in lower case: `apiKey`, `API_KEY` and `api-key` are the same two.
pub(super) fn words(name: &[u8]) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut before = b' ';
    for (at, byte) in name.iter().enumerate() {
        if !byte.is_ascii_alphanumeric() {
            before = b' ';
            continue;
        }
        let next_is_lower = name.get(at + 1).is_some_and(u8::is_ascii_lowercase);
        let begins = !before.is_ascii_alphanumeric()
            || (byte.is_ascii_uppercase()
                && (before.is_ascii_lowercase() || (before.is_ascii_uppercase() && next_is_lower)));
        if begins {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut() {
            word.push(char::from(byte.to_ascii_lowercase()));
        }
        before = *byte;
    }
    words
}

fn negated(words: &[String]) -> bool {
    // What comes last says what it is: `token_type` is a type, `account_token` a token.
    let last = words.last().map(String::as_str).unwrap_or_default();
    NEITHER.contains(&last)
        || words.iter().any(|word| {
            matches!(
                word.as_str(),
                "public"
                    | "publishable"
                    | "max"
                    | "min"
                    | "next"
                    | "page"
                    | "hash"
                    | "hashed"
                    | "tokenizer"
                    | "num"
                    | "per"
                    | "cache"
                    | "primary"
                    | "foreign"
            )
        })
}

fn ends(words: &[String], with: &str) -> bool {
    words.last().is_some_and(|word| {
        word.ends_with(with) && !matches!(word.as_str(), "compass" | "bypass" | "encompass" | "surpass" | "trespass")
    })
}

/// `OPENAI_KEY`: in an environment variable a key is a secret, in code it may be anything.
fn is_env(name: &[u8]) -> bool {
    name.contains(&b'_') && name.iter().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || *b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (name, wanted) in [
            ("OPENAI_API_KEY", Says::Secret),
            ("apiKey", Says::Secret),
            ("APIKey", Says::Secret),
            ("apikey", Says::Secret),
            ("authToken", Says::Secret),
            ("_authToken", Says::Secret),
            ("client_secret", Says::Secret),
            ("STRIPE_KEY", Says::Secret),
            ("Authorization", Says::Secret),
            ("PGPASSWORD", Says::Password),
            ("DB_PASS", Says::Password),
            ("smtpPassword", Says::Password),
            ("access_key_id", Says::Nothing),
            ("token_type", Says::Nothing),
            ("max_tokens", Says::Nothing),
            ("primary_key", Says::Nothing),
            ("password_file", Says::Nothing),
            ("NEXT_PUBLIC_API_KEY", Says::Nothing),
            ("key", Says::Nothing),
            ("monkey", Says::Nothing),
            ("api_key_env", Says::Nothing),
            ("description", Says::Nothing),
            ("bypass", Says::Nothing),
        ] {
            assert_eq!(says(name.as_bytes()), wanted, "{name}");
        }
    }
}
