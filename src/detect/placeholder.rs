//! Values that stand for a secret without being one: placeholders, samples from documentation, defaults.
//!
//! Owns the words and shapes that mean so.

/// Words that no generated secret has, but for a chance that their length makes negligible.
const STRONG: &[&str] = &[
    "example",
    "placeholder",
    "changeme",
    "change_me",
    "change-me",
    "replaceme",
    "replace_me",
    "replace-me",
    "replace_with",
    "replace-with",
    "your_",
    "your-",
    "yourkey",
    "yourtoken",
    "yoursecret",
    "yourapi",
    "yourpass",
    "_here",
    "-here",
    "redacted",
    "insert_",
    "insert-",
    "xxxxx",
    "*****",
    ".....",
    "todo",
    "fixme",
    "dummy",
    "sample",
    "fake_",
    "fake-",
    "not-a-real",
    "notareal",
    "not_a_real",
    "no-real",
    "deadbeef",
    "lorem",
    "put_your",
    "enter_your",
    "my_api_key",
    "my-api-key",
    "<your",
    "masked",
    "generate_",
    "-----------",
    "test_key",
    "test-key",
    "testkey",
    "test_token",
    "test-token",
    "secret_key_base_here",
    "abcdefgh",
    "12345678",
    "qwerty",
    "a1b2c3d4",
    "0000000",
    "1111111",
    "aaaaaaaa",
    "….",
    "foobar",
    "hunter2",
    "mock_",
    "mock-",
    "mocked",
    "stub_",
    "stub-",
    "somekey",
    "some_key",
    "some-key",
    "sometoken",
    "some_token",
    "some-token",
    "some_secret",
    "some-secret",
    "thisisa",
    "this_is_",
    "this-is-",
    "dev-only",
    "dev_only",
    "insecure",
    "unsafe",
    "do-not-use",
    "donotuse",
    "do_not_use",
    "not-secret",
    "not_secret",
    "notsecret",
    "unused",
    "invalid",
    "undefined",
];

/// What a default or weak sample password is put together from.
const WEAK: &[&str] = &[
    "password",
    "passwort",
    "passwd",
    "passw0rd",
    "pass",
    "pwd",
    "secret",
    "token",
    "apikey",
    "api",
    "key",
    "auth",
    "admin",
    "administrator",
    "root",
    "user",
    "username",
    "guest",
    "test",
    "testing",
    "tester",
    "demo",
    "dev",
    "devel",
    "develop",
    "development",
    "local",
    "localhost",
    "default",
    "example",
    "sample",
    "change",
    "changeme",
    "me",
    "my",
    "your",
    "the",
    "this",
    "that",
    "here",
    "prod",
    "production",
    "staging",
    "stage",
    "postgres",
    "postgresql",
    "mysql",
    "mariadb",
    "mongo",
    "mongodb",
    "redis",
    "rabbitmq",
    "rabbit",
    "minio",
    "minioadmin",
    "elastic",
    "neo4j",
    "grafana",
    "keycloak",
    "sa",
    "db",
    "database",
    "app",
    "application",
    "web",
    "server",
    "service",
    "client",
    "docker",
    "compose",
    "none",
    "null",
    "nil",
    "empty",
    "blank",
    "true",
    "false",
    "yes",
    "no",
    "enabled",
    "disabled",
    "required",
    "optional",
    "string",
    "str",
    "text",
    "value",
    "number",
    "boolean",
    "bool",
    "int",
    "any",
    "object",
    "type",
    "hidden",
    "prompt",
    "ask",
    "input",
    "env",
    "environment",
    "variable",
    "config",
    "file",
    "path",
    "keyring",
    "keychain",
    "vault",
    "store",
    "foo",
    "bar",
    "baz",
    "qux",
    "foobar",
    "hello",
    "world",
    "welcome",
    "letmein",
    "qwerty",
    "abc",
    "xyz",
    "asdf",
    "super",
    "strong",
    "secure",
    "safe",
    "unsafe",
    "insecure",
    "very",
    "long",
    "random",
    "some",
    "a",
    "an",
    "is",
    "it",
    "not",
    "and",
    "or",
    "of",
    "for",
    "to",
    "with",
    "real",
    "fake",
    "dummy",
    "mock",
    "placeholder",
    "todo",
    "fixme",
    "tbd",
    "na",
    "xxx",
    "xx",
    "x",
    "replace",
    "insert",
    "enter",
    "set",
    "put",
    "use",
    "in",
    "only",
    "please",
    "must",
    "bot",
    "ci",
    "build",
    "github",
    "gitlab",
    "openai",
    "anthropic",
    "aws",
    "google",
    "azure",
    "hallpass",
    "basic",
    "bearer",
    "oauth",
    "oauth2",
    "jwt",
    "hs",
    "rs",
    "sha",
    "md",
    "aes",
    "rsa",
    "id",
    "name",
    "email",
    "login",
    "session",
    "cookie",
    "csrf",
    "salt",
    "hash",
    "encryption",
    "signing",
    "access",
    "refresh",
    "private",
    "public",
    "master",
    "base",
    "django",
    "rails",
    "laravel",
    "flask",
    "node",
    "next",
    "nextauth",
    "wordpress",
    "drupal",
    "symfony",
    "spring",
    "postgrest",
    "supabase",
    "stripe",
    "slack",
    "twilio",
    "sendgrid",
    "mail",
    "smtp",
    "mailhog",
    "ftp",
    "ldap",
    "sftp",
    "ssh",
    "http",
    "https",
    "host",
    "port",
    "new",
    "old",
    "temp",
    "tmp",
    "foo1",
    "bla",
    "blah",
    "s3cr3t",
    "s3cret",
    "p",
    "pw",
    "passphrase",
    "credential",
    "credentials",
    "super-secret",
    "hunter",
    "sesame",
    "open",
    "monkey",
    "dragon",
    "letme",
    "generated",
    "auto",
    "at",
    "least",
    "characters",
    "chars",
    "char",
    "min",
    "length",
    "random",
    "bytes",
    "byte",
    "hex",
    "base64",
    "see",
    "from",
    "readme",
    "docs",
    "doc",
];

/// Whether this stands for a secret. `generated` says that a rule's shape already matched: only marks that
/// chance does not make count then.
pub(super) fn is_placeholder(value: &[u8], generated: bool) -> bool {
    let lower = value.to_ascii_lowercase();
    let has = |word: &str| word.len() <= lower.len() && lower.windows(word.len()).any(|part| part == word.as_bytes());
    if generated {
        // In a long random value a word of five letters may stand by chance; a longer one, or a run, does not.
        return STRONG.iter().any(|word| word.len() >= 6 && has(word))
            || has("xxxxx")
            || has("*****")
            || has(".....")
            || is_run(&lower);
    }
    STRONG.iter().any(|word| has(word)) || is_run(&lower) || is_weak(&lower) || value.contains(&b'\xe2')
}

/// Whether it is put together from nothing but words that stand for a secret: `postgres`, `my-secret-token-123`.
pub(super) fn is_weak(lower: &[u8]) -> bool {
    let mut letters = lower.split(|b| !b.is_ascii_alphabetic()).filter(|part| !part.is_empty());
    let digits = lower.iter().filter(|b| b.is_ascii_digit()).count();
    digits <= 4 && letters.all(consists_of_weak_words)
}

fn consists_of_weak_words(text: &[u8]) -> bool {
    // The furthest places that words reach, from the start on: at most one entry per character.
    let mut reached = vec![false; text.len() + 1];
    if let Some(start) = reached.first_mut() {
        *start = true;
    }
    for at in 0..text.len() {
        if !reached.get(at).copied().unwrap_or_default() {
            continue;
        }
        for word in WEAK {
            if text.get(at..).is_some_and(|rest| rest.starts_with(word.as_bytes()))
                && let Some(place) = reached.get_mut(at + word.len())
            {
                *place = true;
            }
        }
    }
    reached.last().copied().unwrap_or_default()
}

/// Mostly one character, or mostly a row of neighbours (`abcdef`, `123456`).
fn is_run(lower: &[u8]) -> bool {
    if lower.len() < 4 {
        return true;
    }
    let steps = |wanted: fn(u8, u8) -> bool| {
        let mut longest = 0;
        let mut now = 0;
        for pair in lower.windows(2) {
            let [a, b] = pair else { continue };
            now = if wanted(*a, *b) { now + 1 } else { 0 };
            longest = longest.max(now);
        }
        longest + 1
    };
    let same = steps(|a, b| a == b);
    let row = steps(|a, b| b == a.wrapping_add(1) && b.is_ascii_alphanumeric());
    let distinct = lower.iter().collect::<std::collections::HashSet<_>>().len();
    same >= 7
        || row >= 8
        || distinct <= 3
        || (same * 2 >= lower.len() && lower.len() >= 6)
        || row * 10 >= lower.len() * 8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_and_values() {
        for text in [
            "your-api-key",
            "changeme123",
            "xxxxxxxxxxxx",
            "postgres",
            "my_secret_token",
            "000000000000",
            "abcdefghijklmnop",
            "sk-your-key-here",
            "minioadmin",
            "devpassword",
            "...",
            "password123",
        ] {
            assert!(is_placeholder(text.as_bytes(), false), "{text}");
        }
        for text in ["kP9vQ2mZx7Lw", "Tr0ub4dor&3", "9f8a7c6be1d04732", "blue-Giraffe-77-lamp"] {
            assert!(!is_placeholder(text.as_bytes(), false), "{text}");
        }
    }
}
