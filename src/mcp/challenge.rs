//! What a server says with a 401 or 403: `WWW-Authenticate` (RFC 9110, RFC 6750, RFC 9728).
//!
//! Owns the reading of it. Pure; what follows from it is [`super::credential`]'s.

/// A challenge.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Challenge {
    /// Where the server describes how a client gets a token: an OAuth sign-in.
    pub resource_metadata: Option<String>,
    /// The scopes that it wants.
    pub scope: Option<String>,
    /// What is wrong with what it got, such as `invalid_token` or `insufficient_scope`.
    pub error: Option<String>,
}

impl Challenge {
    /// Reads a header's value. Of several challenges in it, the parameters of all count.
    pub fn read(header: &str) -> Self {
        let mut challenge = Self::default();
        for (name, value) in parameters(header) {
            let place = match name.to_ascii_lowercase().as_str() {
                "resource_metadata" => &mut challenge.resource_metadata,
                "scope" => &mut challenge.scope,
                "error" => &mut challenge.error,
                _ => continue,
            };
            place.get_or_insert(value);
        }
        challenge
    }

    /// Whether the server wants a sign-in.
    pub fn is_oauth(&self) -> bool {
        self.resource_metadata.is_some()
    }

    /// Whether it wants its nonce in the proof that goes with a token (RFC 9449 section 9).
    pub fn wants_nonce(&self) -> bool {
        self.error.as_deref() == Some("use_dpop_nonce")
    }

    /// Whether it wants a token that may do more (RFC 6750 section 3.1).
    pub fn wants_more(&self) -> bool {
        self.error.as_deref() == Some("insufficient_scope") && self.is_oauth()
    }
}

/// `name=value` and `name="value"`, wherever they stand.
fn parameters(header: &str) -> Vec<(&str, String)> {
    let mut found = Vec::new();
    let mut rest = header;
    while let Some((before, after)) = rest.split_once('=') {
        let name = before.rsplit([' ', ',', '\t']).next().unwrap_or_default();
        let (value, left) = match after.strip_prefix('"') {
            Some(quoted) => unquote(quoted),
            None => {
                let end = after.find([',', ' ', '\t']).unwrap_or(after.len());
                let (value, left) = after.split_at(end);
                (value.to_owned(), left)
            }
        };
        found.push((name, value));
        rest = left;
    }
    found
}

fn unquote(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (value, text.get(at + 1..).unwrap_or_default()),
            '\\' => value.extend(chars.next().map(|(_, c)| c)),
            c => value.push(c),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_as_servers_write_them() {
        let read = |text: &str| {
            let Challenge { resource_metadata, scope, error } = Challenge::read(text);
            [resource_metadata, scope, error].map(|part| part.unwrap_or_default()).join("|")
        };
        for (text, parts) in [
            (
                r#"Bearer resource_metadata="https://h/.well-known/oauth-protected-resource", scope="files:read files:write""#,
                "https://h/.well-known/oauth-protected-resource|files:read files:write|",
            ),
            (r#"Bearer error="insufficient_scope",scope=a, error_description="a \"b\" = c""#, "|a|insufficient_scope"),
            (r#"Basic realm="x, scope=y", Bearer error=invalid_token"#, "||invalid_token"),
            ("Bearer", "||"),
            ("", "||"),
            ("Bearer scope=\"open", "|open|"),
            ("= == ,\"", "||"),
        ] {
            assert_eq!(read(text), parts, "{text}");
        }
        assert!(Challenge::read("Bearer resource_metadata=https://h/x").is_oauth());
    }
}
