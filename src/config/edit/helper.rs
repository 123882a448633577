//! Edits of the `[[helper]]` tables.

use std::path::Path;

use toml_edit::Table;

use super::{change, push, remove};
use crate::{
    api::{helper::Helper, problem::Code},
    error::{Error, Result},
    helper::matching::Pattern,
};

/// Adds what a tool gets. The same place of the same tool is [`Code::Exists`].
pub fn add(path: &Path, helper: &Helper) -> Result<()> {
    let pattern = Pattern::parse(&helper.url).map_err(|odd| Error::new(Code::InvalidValue, odd.to_string()))?;
    change(path, |doc, config| {
        if config.helpers.iter().any(|known| known.tool == helper.tool && known.pattern == pattern) {
            return Err(Error::new(
                Code::Exists,
                format!("there is a helper for {} and this place already", helper.tool),
            )
            .hint("hallpass helper list"));
        }
        let mut table = Table::new();
        table.insert("tool", helper.tool.as_str().into());
        table.insert("url", helper.url.as_str().into());
        table.insert("want", helper.want.to_string().into());
        if let Some(name) = &helper.username {
            table.insert("username", name.as_str().into());
        }
        push(doc, "helper", table)
    })
}

/// Removes what a tool gets for this place.
pub fn remove_entry(path: &Path, tool: &str, url: &str) -> Result<()> {
    let pattern = Pattern::parse(url).map_err(|odd| Error::new(Code::InvalidValue, odd.to_string()))?;
    change(path, |doc, config| {
        let at = config.helpers.iter().position(|known| known.tool == tool && known.pattern == pattern);
        let at = at.ok_or_else(|| {
            Error::new(Code::NotFound, "there is no helper of this tool for this place").hint("hallpass helper list")
        })?;
        remove(doc, "helper", at)
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
        let before = "# mine\n[gateway]\nport = 7171 # this one\n\n# for work\n[[helper]]\ntool = \"git\"\nurl = \"https://h/a/*\"\nwant = \"a:release\" # the only way\n# the end\n";
        fs::write(&path, before).unwrap();
        let helper = Helper {
            tool: "docker".into(),
            url: "https://ghcr.io".into(),
            want: "a:release@x/y".parse().unwrap(),
            username: Some("me".into()),
        };
        add(&path, &helper).unwrap();
        assert_eq!(add(&path, &helper).unwrap_err().code, Code::Exists);
        let config = Config::load(&path).unwrap();
        assert_eq!((config.helpers.len(), config.helpers[1].want.to_string().as_str()), (2, "a:release@x/y"));
        assert_eq!(config.helpers[1].username.as_deref(), Some("me"));
        remove_entry(&path, "docker", "https://GHCR.io:443/").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), before);
        assert_eq!(remove_entry(&path, "docker", "https://ghcr.io").unwrap_err().code, Code::NotFound);
        let odd = Helper { tool: "svn".into(), ..helper };
        assert_eq!(add(&path, &odd).unwrap_err().code, Code::Config);
        assert_eq!(fs::read_to_string(&path).unwrap(), before);
    }
}
