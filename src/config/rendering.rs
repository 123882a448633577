//! The `[[render]]` tables: files that are kept filled with a token.

use std::{collections::BTreeMap, time::Duration};

use serde::Deserialize;
use toml::Spanned;

use super::{
    Issuer, IssuerKind, MAX_TTL,
    place::{Place, looks_secret},
};
use crate::{
    api::render::Render,
    error::Result,
    helper::endpoint,
    policy::RELEASE,
    principal,
    render::{self, Format},
    scope::Wanted,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Raw {
    name: Spanned<String>,
    want: Option<Spanned<String>>,
    helper: Option<Spanned<String>>,
    #[serde(rename = "as")]
    principal: Spanned<String>,
    format: Option<Spanned<String>>,
    template: Option<Spanned<String>>,
    ttl: Option<Spanned<String>>,
}

/// What they say, in order, each name once.
pub(super) fn check(
    raw: Vec<Spanned<Raw>>,
    issuers: &BTreeMap<String, Issuer>,
    warnings: &mut Vec<String>,
    place: &Place<'_>,
) -> Result<Vec<Render>> {
    let mut renders: Vec<Render> = Vec::new();
    for raw in raw {
        let span = raw.span();
        let Raw { name, want, helper, principal, format, template, ttl } = raw.into_inner();
        place.name(&name)?;
        place.name(&principal)?;
        if principal.get_ref() == principal::UNKNOWN {
            return Err(place.error(principal.span(), "the principal \"unknown\" has no grants"));
        }
        if renders.iter().any(|other| other.name == *name.get_ref()) {
            return Err(place.error(name.span(), "another [[render]] has this name"));
        }
        let want = want.map(|want| wanted(&want, issuers, warnings, place)).transpose()?;
        if let Some(helper) = &helper {
            endpoint::place(helper.get_ref())
                .map_err(|error| place.error(helper.span(), &error.hint.unwrap_or(error.detail)))?;
        }
        if want.is_some() == helper.is_some() {
            return Err(place.error(span, "it needs either `want` or `helper`"));
        }
        let format = match &format {
            None if template.is_some() => Format::Template,
            None => Format::Raw,
            Some(word) => match word.get_ref().as_str() {
                "raw" => Format::Raw,
                "env" => Format::Env,
                "template" => Format::Template,
                _ => return Err(place.error(word.span(), "the format is \"raw\", \"env\" or \"template\"")),
            },
        };
        match &template {
            Some(text) if format == Format::Template => {
                render::check(text.get_ref()).map_err(|odd| place.error(text.span(), &odd.to_string()))?;
                if text.get_ref().split(|c: char| c.is_whitespace() || "=\"'".contains(c)).any(looks_secret) {
                    let pasted = "something here looks like a key: the template says {token} where the token goes";
                    return Err(place.error(text.span(), pasted));
                }
            }
            Some(text) => return Err(place.error(text.span(), "only the format \"template\" has a template")),
            None if format == Format::Template => {
                return Err(place.error(span, "the format \"template\" needs a `template`"));
            }
            None => {}
        }
        let ttl = ttl.map(|ttl| place.duration(&ttl, Duration::from_secs(1), MAX_TTL)).transpose()?;
        renders.push(Render {
            name: name.into_inner(),
            want,
            helper: helper.map(Spanned::into_inner),
            principal: principal.into_inner(),
            format,
            template: template.map(Spanned::into_inner),
            ttl_seconds: ttl.map(|ttl| ttl.as_secs()),
        });
    }
    Ok(renders)
}

fn wanted(
    want: &Spanned<String>,
    issuers: &BTreeMap<String, Issuer>,
    warnings: &mut Vec<String>,
    place: &Place<'_>,
) -> Result<Wanted> {
    let read: Wanted = want.get_ref().parse().map_err(|_| {
        place.error(want.span(), "this must be ISSUER:SCOPES or ISSUER:SCOPES@RESOURCES, like \"openai:chat\"")
    })?;
    let released = read.scopes.iter().any(|scope| scope.to_string() == RELEASE);
    if released && read.scopes.len() > 1 {
        let alone = format!("{RELEASE} is the credential itself, which leaves nothing for other scopes to narrow");
        return Err(place.error(want.span(), &alone));
    }
    match issuers.get(&read.issuer) {
        None => warnings.push("a rendered file wants something of an issuer that does not exist".into()),
        Some(issuer) if issuer.kind == IssuerKind::Static && !released => warnings.push(format!(
            "a rendered file wants a token of {}, which has none: its only scope is {RELEASE}",
            read.issuer
        )),
        Some(_) => {}
    }
    Ok(read)
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
    fn what_is_in_a_file_is_read_with_its_place_in_every_error() {
        let whole =
            "[[render]]\nname = \"npm\"\nwant = \"npm:read\"\nas = \"ci\"\ntemplate = \"A={token}\\n\"\nttl = \"1h\"\n";
        let config = parsed(whole).unwrap();
        let render = &config.renders[0];
        assert_eq!((render.format, render.ttl_seconds), (Format::Template, Some(3600)));
        assert!(config.warnings[0].contains("does not exist"), "{:?}", config.warnings);
        let key = ["sk-", "live-", &"a1b2".repeat(8)].concat();
        for (from, to, place, says) in [
            ("\"npm\"", "\"../npm\"", ":2:8: name:", "no name"),
            ("npm:read", "npm", ":3:8: want:", "ISSUER:SCOPES"),
            ("npm:read", "npm:release,read", ":3:8: want:", "credential itself"),
            ("want = \"npm:read\"", "", ":1:1:", "either `want` or `helper`"),
            ("want = \"npm:read\"", "helper = \"git:x\"", ":3:10: helper:", "aws:PROFILE"),
            ("\"ci\"", "\"unknown\"", ":4:6: as:", "has no grants"),
            ("{token}", "{tokn}", ":5:12: template:", "{tokn} is none of"),
            ("{token}", key.as_str(), ":5:12: template:", "no {token}"),
            ("{token}", &format!("{{token}} {key}"), ":5:12: template:", "looks like a key"),
            ("template =", "format = \"env\"\ntemplate =", ":6:12: template:", "only the format"),
            ("template = \"A={token}\\n\"", "format = \"template\"", ":1:1:", "needs a `template`"),
            ("\"1h\"", "\"2d\"", ":6:7: ttl:", "between"),
        ] {
            let text = whole.replacen(from, to, 1);
            let error = parsed(&text).expect_err(&text);
            let all = format!("{} {}", error.detail, error.hint.unwrap());
            assert!(all.contains(place) && all.contains(says) && !all.contains("live-"), "{text}\n{all}");
        }
        assert!(parsed(&format!("{whole}{whole}")).unwrap_err().detail.contains("another [[render]]"));
        let helper = whole.replace("want = \"npm:read\"", "helper = \"aws:work\"");
        assert_eq!(parsed(&helper).unwrap().renders[0].helper.as_deref(), Some("aws:work"));
    }
}
