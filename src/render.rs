//! What stands in a rendered file.
//!
//! Owns the formats and the templates, which are data: the names in braces are exchanged, all else stays as it is.
//! Must never write a value that would end its line: what is in a file of variables would become another variable.

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// The longest template, in bytes.
pub const MAX_TEMPLATE: usize = 16 * 1024;
/// The names that a template may use.
const NAMES: [&str; 4] = ["token", "base_url", "host", "expires_at"];

/// What is in the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// The token and nothing else, with no line end: `*_TOKEN_FILE`, `{file:}`, secret files.
    #[default]
    Raw,
    /// `NAME=value` lines, with the variables that `exec` would set.
    Env,
    /// The text of `template`.
    Template,
}

impl Format {
    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Env => "env",
            Self::Template => "template",
        }
    }
}

/// What a file is made of.
pub struct Values<'a> {
    /// The token, or the credential.
    pub token: &'a str,
    /// Where to use it, where that is the gateway.
    pub base_url: Option<&'a str>,
    /// When it ends (RFC 3339), where it does.
    pub expires_at: Option<&'a str>,
    /// The variables of the format `env`.
    pub variables: &'a [(String, String)],
}

/// Why a file cannot be made so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// A name in braces that is none of ours.
    #[error("{{{0}}} is none of {{token}}, {{base_url}}, {{host}} and {{expires_at}}")]
    Name(String),
    /// No token in it.
    #[error("the template has no {{token}} in it")]
    NoToken,
    /// The template is too long, or holds a NUL.
    #[error("a template is plain text of at most 16 KiB")]
    Text,
    /// It asks for what there is not.
    #[error("{{{0}}} has no value here: the credential itself is not used at the gateway and does not expire")]
    Absent(&'static str),
    /// The value has a line end or another control character, or none that a file of variables can hold.
    #[error("the value does not fit into a line of this file; use the format raw")]
    Value,
    /// No variables are known.
    #[error("no variables are known for this; use a template")]
    NoVariables,
}

/// Checks a template before it is kept.
pub fn check(template: &str) -> Result<(), Misfit> {
    if template.len() > MAX_TEMPLATE || template.contains('\0') {
        return Err(Misfit::Text);
    }
    let mut token = false;
    for piece in pieces(template) {
        match piece {
            Piece::Name(name) if !NAMES.contains(&name) => return Err(Misfit::Name(name.to_owned())),
            Piece::Name(name) => token |= name == "token",
            Piece::Text(_) => {}
        }
    }
    if token { Ok(()) } else { Err(Misfit::NoToken) }
}

/// The file's text.
pub fn fill(format: Format, template: &str, values: &Values<'_>) -> Result<Zeroizing<String>, Misfit> {
    match format {
        Format::Raw => Ok(Zeroizing::new(values.token.to_owned())),
        Format::Env if values.variables.is_empty() => Err(Misfit::NoVariables),
        Format::Env => {
            let mut out = Zeroizing::new(String::new());
            for (name, value) in values.variables {
                // Every reader of such files takes these as they are; the others disagree about quotes.
                let plain = |c: char| c.is_ascii_alphanumeric() || "._~+/=:@%?&,-".contains(c);
                if !value.chars().all(plain) {
                    return Err(Misfit::Value);
                }
                [name, "=", value, "\n"].into_iter().for_each(|part| out.push_str(part));
            }
            Ok(out)
        }
        Format::Template => {
            if values.token.chars().any(char::is_control) {
                return Err(Misfit::Value);
            }
            let mut out = Zeroizing::new(String::new());
            for piece in pieces(template) {
                out.push_str(match piece {
                    Piece::Text(text) => text,
                    Piece::Name("token") => values.token,
                    Piece::Name("base_url") => values.base_url.ok_or(Misfit::Absent("base_url"))?,
                    Piece::Name("host") => host(values.base_url.ok_or(Misfit::Absent("host"))?),
                    Piece::Name("expires_at") => values.expires_at.ok_or(Misfit::Absent("expires_at"))?,
                    Piece::Name(other) => return Err(Misfit::Name(other.to_owned())),
                });
            }
            Ok(out)
        }
    }
}

/// Host, port and path of a URL: how `.npmrc` names a registry.
fn host(url: &str) -> &str {
    url.split_once("://").map_or(url, |(_, rest)| rest)
}

enum Piece<'a> {
    Text(&'a str),
    Name(&'a str),
}

/// The text, cut at `{name}`. A brace with anything else behind it is a brace: templates may be JSON.
fn pieces(text: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        if let Some((name, after)) = leading(rest) {
            rest = after;
            return Some(Piece::Name(name));
        }
        let next = rest.char_indices().skip(1).find(|(at, _)| rest.get(*at..).is_some_and(|r| leading(r).is_some()));
        let (piece, after) = rest.split_at_checked(next.map_or(rest.len(), |(at, _)| at)).unwrap_or((rest, ""));
        rest = after;
        Some(Piece::Text(piece))
    })
}

fn leading(text: &str) -> Option<(&str, &str)> {
    let (name, after) = text.strip_prefix('{')?.split_once('}')?;
    let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    is_name.then_some((name, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values<'a>(token: &'a str, variables: &'a [(String, String)]) -> Values<'a> {
        Values {
            token,
            base_url: Some("http://127.0.0.1:7171/npm"),
            expires_at: Some("2026-01-02T03:04:05Z"),
            variables,
        }
    }

    #[test]
    fn each_format() {
        let text = |format, template| fill(format, template, &values("hp_t", &[])).map(|text| text.to_string());
        assert_eq!(text(Format::Raw, "").unwrap(), "hp_t");
        assert_eq!(
            text(Format::Template, "//{host}/:_authToken={token}\nurl={base_url} {expires_at}\n").unwrap(),
            "//127.0.0.1:7171/npm/:_authToken=hp_t\nurl=http://127.0.0.1:7171/npm 2026-01-02T03:04:05Z\n"
        );
        assert_eq!(text(Format::Template, r#"{"key":"{token}","x":{}}é{"#).unwrap(), r#"{"key":"hp_t","x":{}}é{"#);
        let variables = [("A".to_owned(), "hp_t".to_owned()), ("B".to_owned(), "http://h/v1".to_owned())];
        let env = fill(Format::Env, "", &values("hp_t", &variables)).unwrap();
        assert_eq!(env.as_str(), "A=hp_t\nB=http://h/v1\n");
        assert_eq!(text(Format::Env, ""), Err(Misfit::NoVariables));
    }

    #[test]
    fn no_value_becomes_another_line_and_no_name_is_guessed() {
        for odd in ["a\nB=c", "a b", "$(id)", "a#b", "'a'"] {
            let variables = [("A".to_owned(), odd.to_owned())];
            assert_eq!(fill(Format::Env, "", &values(odd, &variables)), Err(Misfit::Value), "{odd}");
        }
        assert_eq!(fill(Format::Template, "A={token}", &values("a\nB=c", &[])), Err(Misfit::Value));
        assert_eq!(check("A={tokn}"), Err(Misfit::Name("tokn".into())));
        assert_eq!(check("A={base_url}"), Err(Misfit::NoToken));
        assert_eq!(check(&"x".repeat(MAX_TEMPLATE + 1)), Err(Misfit::Text));
        let fixed = Values { token: "k", base_url: None, expires_at: None, variables: &[] };
        assert_eq!(fill(Format::Template, "{token} {base_url}", &fixed), Err(Misfit::Absent("base_url")));
    }

    proptest::proptest! {
        #[test]
        fn what_is_no_name_stays_byte_for_byte(text in "[a{}_A\"é\n]{0,24}") {
            if check(&format!("{text}{{token}}")).is_ok() && !text.contains("{token}") {
                let out = fill(Format::Template, &format!("{text}|{{token}}"), &values("T", &[])).unwrap();
                proptest::prop_assert_eq!(out.as_str(), format!("{text}|T"));
            }
        }
    }
}
