//! Issuers that mint, in the config: a table named after the kind beside the issuer's own keys.

use toml::Spanned;

use super::{place::Place, raw::check_url};
use crate::{
    error::Result,
    issuer::{Native, github_app, oauth},
    policy::RELEASE,
    scope::Scope,
};

/// The tables of all kinds; an issuer has at most one.
pub(super) struct Raw {
    pub oauth: Option<Spanned<oauth::Settings>>,
    pub github_app: Option<Spanned<github_app::Settings>>,
}

impl Raw {
    /// Whether there is one at all.
    pub fn is_empty(&self) -> bool {
        self.oauth.is_none() && self.github_app.is_none()
    }

    /// The settings of an issuer of this kind; `None` where no such kind mints.
    pub fn check(self, kind: &Spanned<String>, place: &Place<'_>) -> Result<Option<Native>> {
        let missing = |word: &str| {
            place.error(kind.span(), &format!("an issuer of the kind \"{word}\" needs a table [issuers.NAME.{word}]"))
        };
        Ok(Some(match kind.get_ref().as_str() {
            "oauth" => {
                let table = self.oauth.ok_or_else(|| missing("oauth"))?;
                let span = table.span();
                let settings = table.into_inner();
                let wrong = |what: String| place.error(span.clone(), &what);
                for (key, url) in
                    [("token_url", Some(&settings.token_url)), ("revocation_url", settings.revocation_url.as_ref())]
                {
                    if let Some(url) = url {
                        check_url(url, settings.allow_private).map_err(|why| wrong(format!("{key}: {why}")))?;
                    }
                }
                let named = |name: &String| name.parse::<Scope>().is_ok() && name != RELEASE && !name.ends_with('*');
                if !settings.scopes.keys().all(named) {
                    return Err(wrong("a name under scopes is no scope; write it like contacts:read".into()));
                }
                variables(&settings.env).map_err(wrong)?;
                Native::OAuth(settings)
            }
            "github-app" => {
                let table = self.github_app.ok_or_else(|| missing("github-app"))?;
                let span = table.span();
                let settings = table.into_inner();
                let wrong = |what: String| place.error(span.clone(), &what);
                check_url(&settings.base_url, settings.allow_private)
                    .map_err(|why| wrong(format!("base_url: {why}")))?;
                variables(&settings.env).map_err(wrong)?;
                Native::GithubApp(settings)
            }
            _ => return Ok(None),
        }))
    }
}

/// Whether all of them may stand in an environment.
fn variables(names: &[String]) -> Result<(), String> {
    let fits = |name: &String| {
        let starts = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        starts && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    if names.iter().all(fits) { Ok(()) } else { Err("a name under env is no variable's".into()) }
}
