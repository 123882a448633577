//! The `[mcp.NAME]` tables: remote MCP servers that `hallpass mcp bridge` connects to.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

use super::{
    Issuer, IssuerKind,
    place::{Place, looks_secret},
};
use crate::{
    error::Result,
    mcp::endpoint::{Endpoint, HeaderRule},
    policy::RELEASE,
    scope::Wanted,
};

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Its address, as it stands in the file.
    pub url: String,
    /// What it is sent; nothing where it needs none.
    pub want: Option<Wanted>,
    /// The header that carries the credential, where it is not the one that the issuer's API reads.
    pub header: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Raw {
    url: Spanned<String>,
    want: Option<Spanned<String>>,
    header: Option<Spanned<String>>,
}

/// What they say, by name.
pub(super) fn check(
    raw: BTreeMap<Spanned<String>, Raw>,
    issuers: &BTreeMap<String, Issuer>,
    warnings: &mut Vec<String>,
    place: &Place<'_>,
) -> Result<BTreeMap<String, Server>> {
    let mut servers = BTreeMap::new();
    for (name, Raw { url, want, header }) in raw {
        place.name(&name)?;
        let endpoint = Endpoint::parse(url.get_ref()).map_err(|odd| place.error(url.span(), &odd.to_string()))?;
        let mut query = endpoint.query().unwrap_or_default().split(['&', '=']);
        if query.any(looks_secret) {
            return Err(place.error(url.span(), "what looks like a key in a URL belongs to a credential"));
        }
        let read = want
            .as_ref()
            .map(|text| {
                text.get_ref().parse::<Wanted>().map_err(|_| {
                    place.error(
                        text.span(),
                        "this must be ISSUER:SCOPES or ISSUER:SCOPES@RESOURCES, like \"github:release\"",
                    )
                })
            })
            .transpose()?;
        if let Some(header) = &header {
            HeaderRule::parse(header.get_ref()).map_err(|odd| place.error(header.span(), &odd.to_string()))?;
            if header.get_ref().split([':', ' ']).any(looks_secret) {
                return Err(place.error(header.span(), "a key belongs to a credential; {} is its place here"));
            }
        }
        let alone = |want: &Wanted| want.scopes.iter().any(|scope| scope.to_string() == RELEASE);
        if endpoint.has_place() && (header.is_some() || !read.as_ref().is_some_and(alone)) {
            let why = format!(
                "what goes into a URL is the credential itself, and nothing goes into a header then: want = \"ISSUER:{RELEASE}\""
            );
            return Err(place.error(url.span(), &why));
        }
        if let (Some(text), Some(read)) = (&want, &read) {
            let released = read.scopes.iter().any(|scope| scope.to_string() == RELEASE);
            if released && read.scopes.len() > 1 {
                let alone =
                    format!("{RELEASE} is the credential itself, which leaves nothing for other scopes to narrow");
                return Err(place.error(text.span(), &alone));
            }
            let name = name.get_ref();
            match issuers.get(&read.issuer) {
                None => warnings.push(format!("mcp.{name} wants something of an issuer that does not exist")),
                Some(issuer) if issuer.kind == IssuerKind::Static && !released => warnings.push(format!(
                    "mcp.{name} wants a token of {}, which has none: its only scope is {RELEASE}",
                    read.issuer
                )),
                Some(_) => {}
            }
        }
        let server = Server { url: url.into_inner(), want: read, header: header.map(Spanned::into_inner) };
        servers.insert(name.into_inner(), server);
    }
    Ok(servers)
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
    fn a_server_is_read_with_its_place_in_every_error() {
        let whole = "[mcp.linear]\nurl = \"https://mcp.linear.app/mcp\"\nwant = \"linear:release\"\nheader = \"Authorization: Bearer {}\"\n";
        let config = parsed(whole).unwrap();
        let server = &config.mcp["linear"];
        assert_eq!(server.want.as_ref().unwrap().to_string(), "linear:release");
        assert!(config.warnings[0].contains("does not exist"), "{:?}", config.warnings);
        let pasted = ["https://h/mcp?key=", "sk-", "hunter2hunter2"].concat();
        for (from, to, at, says) in [
            ("linear]", "Linear]", ":1:", ""),
            ("https://", "http://", ":2:7: url:", "https"),
            ("https://mcp.linear.app/mcp", pasted.as_str(), ":2:7: url:", "belongs to a credential"),
            ("linear:release", "linear", ":3:8: want:", "ISSUER:SCOPES"),
            ("linear:release", "linear:release,a", ":3:8: want:", "credential itself"),
            ("Authorization:", "Host:", ":4:10: header:", "cannot carry"),
            ("{}", "x", ":4:10: header:", "one place"),
            ("app/mcp", "app/{}", ":2:7: url:", "nothing goes into a header"),
            ("header", "haeder", ":4:1:", "did you mean `header`"),
        ] {
            let text = whole.replacen(from, to, 1);
            let error = parsed(&text).expect_err(&text);
            let all = format!("{} {}", error.detail, error.hint.unwrap_or_default());
            assert!(all.contains(at) && all.contains(says) && !all.contains("hunter2"), "{text}\n{all}");
        }
        let open = "[mcp.docs]\nurl = \"http://127.0.0.1:1/mcp\"\n";
        assert!(parsed(open).unwrap().warnings.is_empty());
        let fixed = "[issuers.linear]\nkind = \"static\"\ncredential = \"c\"\n";
        assert!(parsed(&format!("{whole}{fixed}")).unwrap().warnings.is_empty());
        assert!(
            parsed(&format!("{}{fixed}", whole.replace("release", "read"))).unwrap().warnings[0].contains("only scope")
        );
    }
}
