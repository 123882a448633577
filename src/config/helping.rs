//! The `[[helper]]` tables: what each tool gets, and for what.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

use super::{
    Issuer, IssuerKind,
    place::{Place, looks_secret},
};
use crate::{
    error::Result,
    helper::{self, matching::Pattern},
    policy::RELEASE,
    scope::Wanted,
};

/// The longest user name.
const MAX_NAME: usize = 256;

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Helper {
    /// The tool, or `*`.
    pub tool: String,
    /// What the tool asks for, as it stands in the file.
    pub url: String,
    /// The same, read.
    pub pattern: Pattern,
    /// What it gets.
    pub want: Wanted,
    /// The user name that goes with it.
    pub username: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Raw {
    tool: Spanned<String>,
    url: Spanned<String>,
    want: Spanned<String>,
    username: Option<Spanned<String>>,
}

/// What they say, in order, each place once for each tool.
pub(super) fn check(
    raw: Vec<Spanned<Raw>>,
    issuers: &BTreeMap<String, Issuer>,
    warnings: &mut Vec<String>,
    place: &Place<'_>,
) -> Result<Vec<Helper>> {
    let mut helpers: Vec<Helper> = Vec::new();
    for Raw { tool, url, want, username } in raw.into_iter().map(Spanned::into_inner) {
        if !helper::is_tool(tool.get_ref()) {
            let known: Vec<&str> = helper::Tool::words().collect();
            return Err(place.error(tool.span(), &format!("this may be {}, or *", known.join(", "))));
        }
        let pattern = Pattern::parse(url.get_ref()).map_err(|odd| place.error(url.span(), &odd.to_string()))?;
        let read: Wanted = want.get_ref().parse().map_err(|_| {
            place.error(want.span(), "this must be ISSUER:SCOPES or ISSUER:SCOPES@RESOURCES, like \"github:release\"")
        })?;
        let released = read.scopes.iter().any(|scope| scope.to_string() == RELEASE);
        if released && read.scopes.len() > 1 {
            let alone = format!("{RELEASE} is the credential itself, which leaves nothing for other scopes to narrow");
            return Err(place.error(want.span(), &alone));
        }
        if released && pattern.is_in_the_clear() {
            warnings.push(format!(
                "a helper for {} sends {} over plain http, where it can be read on the way",
                tool.get_ref(),
                read.issuer
            ));
        }
        match issuers.get(&read.issuer) {
            None => warnings
                .push(format!("a helper for {} wants something of an issuer that does not exist", tool.get_ref())),
            Some(issuer) if issuer.kind == IssuerKind::Static && !released => warnings.push(format!(
                "a helper for {} wants a token of {}, which has none: its only scope is {RELEASE}",
                tool.get_ref(),
                read.issuer
            )),
            Some(_) => {}
        }
        if let Some(name) = &username {
            let text = name.get_ref();
            if text.is_empty()
                || text.len() > MAX_NAME
                || text.chars().any(char::is_control)
                || looks_secret(text) && tool.get_ref() != "aws"
            {
                return Err(place
                    .error(name.span(), "this is no user name; a password or key belongs to the issuer's credential"));
            }
        }
        if helpers.iter().any(|other| other.tool == *tool.get_ref() && other.pattern == pattern) {
            return Err(place.error(url.span(), "another [[helper]] of this tool is for the same"));
        }
        helpers.push(Helper {
            tool: tool.into_inner(),
            url: url.into_inner(),
            pattern,
            want: read,
            username: username.map(Spanned::into_inner),
        });
    }
    Ok(helpers)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Config;

    fn parsed(text: &str) -> Result<Config> {
        Config::parse(text, Path::new("/c/config.toml"))
    }

    #[test]
    fn what_a_tool_gets_is_read_with_its_place_in_every_error() {
        let whole = "[[helper]]\ntool = \"git\"\nurl = \"https://github.com/acme/*\"\nwant = \"github:release\"\nusername = \"me\"\n";
        let config = parsed(whole).unwrap();
        let helper = &config.helpers[0];
        assert_eq!((helper.tool.as_str(), helper.username.as_deref()), ("git", Some("me")));
        assert_eq!(helper.want.to_string(), "github:release");
        assert!(config.warnings[0].contains("does not exist"), "{:?}", config.warnings);
        let mixed = ["https://u:", "hunter2-hunter2", "@h"].concat();
        for (from, to, place, says) in [
            ("\"git\"", "\"svn\"", ":2:8: tool:", "git, docker"),
            ("https://github.com/acme/*", "github.com", ":3:7: url:", "neither a URL"),
            ("https://github.com/acme/*", mixed.as_str(), ":3:7: url:", "no password"),
            ("github:release", "github", ":4:8: want:", "ISSUER:SCOPES"),
            ("github:release", "github:release,contents:read", ":4:8: want:", "credential itself"),
            ("\"me\"", "\"\"", ":5:12: username:", "no user name"),
            ("username", "usernam", ":5:1:", "did you mean `username`"),
        ] {
            let text = whole.replacen(from, to, 1);
            let error = parsed(&text).expect_err(&text);
            let all = format!("{} {}", error.detail, error.hint.unwrap());
            assert!(all.contains(place) && all.contains(says) && !all.contains("hunter2"), "{text}\n{all}");
        }
        let again = whole.replace("github.com", "GitHub.com:443");
        assert!(parsed(&format!("{whole}{again}")).unwrap_err().detail.contains(":8:7: url: another"));
        assert!(parsed(&format!("{whole}{}", again.replace("\"git\"", "\"*\""))).is_ok());
        let fixed = "[issuers.github]\nkind = \"static\"\ncredential = \"c\"\n";
        assert!(parsed(&format!("{whole}{fixed}")).unwrap().warnings.is_empty());
        let clear = whole.replace("https://github.com", "http://github.com");
        assert!(parsed(&format!("{clear}{fixed}")).unwrap().warnings[0].contains("plain http"));
        let token = whole.replace("github:release", "github:read");
        assert!(parsed(&format!("{token}{fixed}")).unwrap().warnings[0].contains("only scope"));
    }
}
