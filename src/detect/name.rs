//! What the name of a key says of its value.
//!
//! Owns the split of names into words and the words that mean secret, password, or neither.

use std::{collections::HashSet, sync::LazyLock};

use super::{name_words::Words, rule};

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
static NEITHER: LazyLock<HashSet<&str>> =
    LazyLock::new(|| super::words(include_str!("../../data/words/neither.txt")).into_iter().collect());

/// Words for a password in other languages.
static PASSWORDS: LazyLock<HashSet<&str>> =
    LazyLock::new(|| super::words(include_str!("../../data/words/passwords.txt")).into_iter().collect());

/// First words of names that say what is done with a password, and not which one it is.
static VERBS: LazyLock<HashSet<&str>> =
    LazyLock::new(|| super::words(include_str!("../../data/words/verbs.txt")).into_iter().collect());

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
    "user",
    "personal",
    "validation",
    "decryption",
    "preshared",
    "security",
    "crypt",
    "cipher",
    "des",
    "aes",
    "fernet",
    "proxy",
    "gateway",
    "team",
    "org",
    "workspace",
];

/// Words that alone, or last, name a secret.
const SECRETS: &[&str] = &[
    "credential",
    "credentials",
    "creds",
    "authorization",
    "bearer",
    "auth",
    "pat",
    "jwt",
    "hmac",
    "cookie",
    "sas",
    "mnemonic",
    "encrypt",
    "pepper",
];
/// Parts of words that name a secret.
const SECRET_PARTS: &[&str] = &["secret", "apikey", "accesskey", "authkey", "privatekey", "secretkey"];
/// Parts of words that name a password.
const PASSWORD_PARTS: &[&str] = &["password", "passwd", "passphrase", "passcode", "passwort", "authtok"];
/// Words that end like `pass` and are none.
const NO_PASS: &[&str] = &["compass", "bypass", "encompass", "surpass", "trespass"];
/// Words that say wherever they stand that the value is no secret.
const NEVER: &[&str] = &[
    "public",
    "publishable",
    "max",
    "min",
    "next",
    "page",
    "hash",
    "hashed",
    "checksum",
    "tokenizer",
    "num",
    "per",
    "cache",
    "primary",
    "foreign",
    "existing",
];
/// Words before `key` that make it a public one, or one of data: of a site, of a table, of a lookup.
const PUBLIC_KEYS: &[&str] = &[
    "site",
    "anon",
    "subscribe",
    "search",
    "project",
    "client",
    "partition",
    "sort",
    "range",
    "unique",
    "lookup",
    "index",
    "object",
    "config",
    "feature",
    "flag",
    "route",
    "widget",
    "browser",
    "row",
    "shard",
    "group",
    "dedup",
    "dedupe",
    "idempotency",
    "routing",
    "translation",
    "i18n",
    "registry",
    "issue",
    "jira",
    "sonar",
    "blob",
    "lock",
    "hot",
];
/// Names of maps that hold nothing but secrets.
const VAULTS: &[&str] =
    &["secrets", "credentials", "passwords", "apikeys", "tokens", "secret", "creds", "apikey", "oauth", "bearer"];
/// Names that say nothing themselves: what they hold is what the name above them says.
const CARRIERS: &[&str] = &[
    "value",
    "result",
    "content",
    "contents",
    "data",
    "plaintext",
    "string",
    "stringvalue",
    "secretstring",
    "raw",
    "attributes",
    "instances",
    "current",
    "text",
];
/// Words of a map's name that make a bare `key` in it one that opens something.
const OPENERS: &[&str] = &["auth", "api", "apis", "provider", "providers", "credentials", "credential", "integrations"];

/// Who issues keys, as rules name them, in lower-case letters and digits.
static ISSUERS: LazyLock<HashSet<String>> = LazyLock::new(|| {
    let plain = |name: &str| name.chars().filter(char::is_ascii_alphanumeric).collect();
    rule::all().iter().map(|rule| plain(rule.provider)).collect()
});

/// Whether what is called so is what the name above it says.
pub(super) fn is_carrier(name: &[u8]) -> bool {
    name.len() <= 12 && CARRIERS.iter().any(|carrier| name.eq_ignore_ascii_case(carrier.as_bytes()))
}

/// Whether a `key` below this name opens something: it is named after an issuer, or says so.
pub(super) fn opens(above: &[u8]) -> bool {
    let words = Words::of(above);
    if words.iter().any(|word| NEVER.contains(&word)) {
        return false;
    }
    let plain: String = words.iter().collect();
    words.iter().any(|word| OPENERS.contains(&word)) || ISSUERS.contains(&plain)
}

/// Whether a file or a map of this name holds nothing but secrets.
pub(super) fn is_vault(name: &[u8]) -> bool {
    let words = Words::of(name);
    VAULTS.contains(&words.last()) || is_key_ring(&words) || (words.last() == "keys" && words.len() == 1)
}

/// What a key says below its parent: `auth.key` is an `auth_key`, and all that is in `secrets` is one.
pub(super) fn says_below(parent: &[u8], name: &[u8]) -> Says {
    let words = Words::of(name);
    let says = says(&words, name);
    if parent.is_empty() || says != Says::Nothing {
        return says;
    }
    let parent = Words::of(parent);
    let negated = || NEITHER.contains(words.last()) || words.iter().any(|word| NEVER.contains(&word));
    let key = words.len() == 1 && words.last() == "key" && KEYS.contains(&parent.last());
    let says_key = matches!(words.last(), "key" | "keys" | "salt") && words.nth_last(1) != "public";
    if parent.last() == "passwords" && !negated() {
        return Says::Password;
    }
    let opens = says_key && matches!(parent.last(), "encryption" | "crypt" | "cipher");
    let kept = (VAULTS.contains(&parent.last()) || is_key_ring(&parent)) && !negated();
    if opens || key || kept { Says::Secret } else { Says::Nothing }
}

/// Whether the name says that the value may be given away.
pub(super) fn is_public(name: &[u8]) -> bool {
    Words::of(name).iter().any(|word| matches!(word, "public" | "publishable"))
}

/// Whether the map or the list holds users, each with a password.
pub(super) fn holds_pairs(parent: &[u8], name: &[u8]) -> bool {
    !parent.is_empty() && is_basic(&Words::of(parent)) && !NEITHER.contains(Words::of(name).last())
}

/// Whether the value may be a user and a password, with a colon between.
pub(super) fn is_pair(name: &[u8]) -> bool {
    let words = Words::of(name);
    matches!(words.last(), "auth" | "user" | "userinfo") || is_only_pair(&words, name)
}

/// Whether the value can be nothing else than such a pair.
pub(super) fn is_pair_only(name: &[u8]) -> bool {
    is_only_pair(&Words::of(name), name)
}

fn is_only_pair(words: &Words, name: &[u8]) -> bool {
    let bundler = words.nth(0) == "bundle" && name.windows(2).any(|two| two == b"__");
    is_basic(words) || bundler || matches!(words.last(), "userpwd" | "userpass" | "ident")
}

fn is_basic(words: &Words) -> bool {
    words.last() == "basicauth" || (words.nth_last(1) == "basic" && words.last() == "auth")
}

/// `api_keys`, `provider-keys`.
fn is_key_ring(words: &Words) -> bool {
    words.last() == "keys" && (KEYS.contains(&words.nth_last(1)) || words.nth_last(1) == "provider")
}

/// Whether the name is that of a password and of nothing that belongs to one.
pub(super) fn is_password(name: &[u8]) -> bool {
    let words = Words::of(name);
    let last = words.last();
    holds(last, PASSWORD_PARTS) || matches!(last, "pwd" | "pass" | "pw")
}

/// What the last part of a key's path says.
fn says(words: &Words, name: &[u8]) -> Says {
    let last = words.last();
    let password = words.iter().any(|word| matches!(word, "pwd" | "pass" | "pw") || holds(word, PASSWORD_PARTS))
        || last.ends_with("pwd")
        || (last.ends_with("pw") && last.len() > 3)
        || matches!(last, "masterauth" | "psk")
        || PASSWORDS.contains(last)
        || (last == "passe" && words.nth_last(1) == "de")
        || (last.ends_with("pass") && !NO_PASS.contains(&last));
    let says = match (password, password || is_secret(words, name)) {
        (true, _) => Says::Password,
        (false, true) => Says::Secret,
        (false, false) => return Says::Nothing,
    };
    // What comes last says what it is: `token_type` is a type, `account_token` a token.
    let negated = NEITHER.contains(last)
        || words.iter().any(|word| NEVER.contains(&word))
        || (words.len() > 1 && VERBS.contains(words.nth(0)));
    if negated { Says::Nothing } else { says }
}

/// Whether a file of one issuer may keep its secret under this name.
pub(super) fn may_be_secret(name: &[u8]) -> bool {
    let words = Words::of(name);
    says(&words, name) != Says::Nothing || words.iter().any(|word| matches!(word, "key" | "token" | "pass"))
}

fn is_secret(words: &Words, name: &[u8]) -> bool {
    let last = words.last();
    let has = |wanted: &str| words.iter().any(|word| word == wanted);
    if words.iter().any(|word| holds(word, SECRET_PARTS)) || SECRETS.contains(&last) {
        return true;
    }
    // Paddle's and Datadog's are made for browsers.
    if last == "token" && words.nth_last(1) == "client" {
        return false;
    }
    if last.ends_with("token") || last == "tokens" || (has("token") && !has("count")) {
        return true;
    }
    if matches!(last, "salt" | "seed") {
        return is_env(name);
    }
    let before = words.nth_last(1);
    // Laravel's `APP_KEY` is a secret; `PUSHER_APP_KEY` is half of a pair, and names its app.
    let app = matches!(before, "app" | "application") && words.len() > 2;
    if last == "key" || last == "keys" {
        return !app && !PUBLIC_KEYS.contains(&before) && (KEYS.contains(&before) || is_env(name));
    }
    last.strip_suffix("key").is_some_and(|stem| KEYS.contains(&stem))
}

fn holds(word: &str, parts: &[&str]) -> bool {
    // `str::contains` prepares for long texts, which costs more than these.
    parts.iter().any(|part| word.as_bytes().windows(part.len()).any(|here| here == part.as_bytes()))
}

/// `OPENAI_KEY`: in an environment variable a key is a secret, in code it may be anything.
fn is_env(name: &[u8]) -> bool {
    name.contains(&b'_') && name.iter().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || *b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parents() {
        assert_eq!(says_below(b"auth", b"key"), Says::Secret);
        assert_eq!(says_below(b"secrets", b"stripe"), Says::Secret);
        assert_eq!(says_below(b"secrets", b"name"), Says::Nothing);
        assert_eq!(says_below(b"web", b"key"), Says::Nothing);
    }

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
            ("APP_KEY", Says::Secret),
            ("PUSHER_APP_KEY", Says::Nothing),
            ("salt", Says::Nothing),
            ("RECAPTCHA_SITE_KEY", Says::Nothing),
            ("existingSecret", Says::Nothing),
            ("DB_SENHA", Says::Password),
            ("mot_de_passe", Says::Password),
            ("update_password", Says::Nothing),
            ("requirePassword", Says::Nothing),
        ] {
            assert_eq!(says_below(b"", name.as_bytes()), wanted, "{name}");
        }
    }
}
