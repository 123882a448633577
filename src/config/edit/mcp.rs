//! Edits of the `[mcp.NAME]` tables.

use std::path::Path;

use toml_edit::{Item, Table};

use super::{change, issuer_table, remove_named, set, subtable};
use crate::{
    api::{mcp::AddMcp, problem::Code},
    config::Issuer,
    error::{Error, Result},
    scope::Wanted,
};

/// Adds a server. The same name is [`Code::Exists`].
pub fn add(path: &Path, server: &AddMcp) -> Result<()> {
    change(path, |doc, config| {
        if config.mcp.contains_key(&server.name) {
            return Err(Error::new(Code::Exists, format!("there is an MCP server {} already", server.name))
                .hint(format!("hallpass mcp remove {}", server.name)));
        }
        let mut table = Table::new();
        table.insert("url", server.url.as_str().into());
        if let Some(want) = &server.want {
            table.insert("want", want.to_string().into());
        }
        if let Some(header) = &server.header {
            table.insert("header", header.as_str().into());
        }
        subtable(doc, "mcp", true)?.insert(&server.name, Item::Table(table));
        Ok(())
    })
}

/// Writes down what a person signs in for: the server's want, and the issuer of its tokens, in one write.
pub fn set_login(path: &Path, server: &str, want: &Wanted, issuer: &Issuer) -> Result<()> {
    change(path, |doc, _| {
        let gone = || Error::new(Code::NotFound, "there is no MCP server with this name").hint("hallpass mcp list");
        let table = subtable(doc, "mcp", false)?.get_mut(server).and_then(Item::as_table_like_mut);
        set(table.ok_or_else(gone)?, "want", want.to_string().into());
        subtable(doc, "issuers", true)?.insert(&want.issuer, Item::Table(issuer_table(issuer)?));
        Ok(())
    })
}

/// Removes one.
pub fn remove_server(path: &Path, name: &str) -> Result<()> {
    change(path, |doc, _| {
        remove_named(doc, "mcp", name).ok_or_else(|| {
            Error::new(Code::NotFound, "there is no MCP server with this name").hint("hallpass mcp list")
        })
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::config::Config;

    #[test]
    fn comments_and_order_stay() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.toml");
        let before = "# mine\n[gateway]\nport = 7171 # this one\n\n# docs\n[mcp.docs]\nurl = \"https://h/mcp\" # the only way\n# the end\n";
        fs::write(&path, before).unwrap();
        let server = AddMcp {
            name: "linear".into(),
            url: "https://mcp.linear.app/mcp".into(),
            want: Some("a:release".parse().unwrap()),
            header: Some("X-Key: {}".into()),
        };
        add(&path, &server).unwrap();
        assert_eq!(add(&path, &server).unwrap_err().code, Code::Exists);
        let config = Config::load(&path).unwrap();
        assert_eq!(config.mcp.keys().collect::<Vec<_>>(), ["docs", "linear"]);
        assert_eq!(config.mcp["linear"].header.as_deref(), Some("X-Key: {}"));
        remove_server(&path, "linear").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), before);
        assert_eq!(remove_server(&path, "linear").unwrap_err().code, Code::NotFound);
        let clear = AddMcp { url: "http://h/mcp".into(), ..server };
        assert_eq!(add(&path, &clear).unwrap_err().code, Code::Config);
        assert_eq!(fs::read_to_string(&path).unwrap(), before);
    }
}
