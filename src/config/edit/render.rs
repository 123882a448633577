//! Edits of the `[[render]]` tables.

use std::{path::Path, time::Duration};

use toml_edit::Table;

use super::{change, push, remove};
use crate::{
    api::{problem::Code, render::Render},
    config::duration,
    error::{Error, Result},
    render::Format,
};

/// Adds a rendered file. A name that is taken is [`Code::Exists`].
pub fn add(path: &Path, render: &Render) -> Result<()> {
    change(path, |doc, config| {
        if config.renders.iter().any(|known| known.name == render.name) {
            return Err(Error::new(Code::Exists, format!("there is a rendered file {} already", render.name))
                .hint(format!("hallpass render show {}", render.name)));
        }
        let mut table = Table::new();
        table.insert("name", render.name.as_str().into());
        if let Some(want) = &render.want {
            table.insert("want", want.to_string().into());
        }
        if let Some(helper) = &render.helper {
            table.insert("helper", helper.as_str().into());
        }
        table.insert("as", render.principal.as_str().into());
        if render.format != Format::Template {
            table.insert("format", render.format.word().into());
        }
        if let Some(template) = &render.template {
            table.insert("template", template.as_str().into());
        }
        if let Some(ttl) = render.ttl_seconds {
            table.insert("ttl", duration::format(Duration::from_secs(ttl)).into());
        }
        push(doc, "render", table)
    })
}

/// Removes one.
pub fn remove_entry(path: &Path, name: &str) -> Result<()> {
    change(path, |doc, config| {
        let at = config.renders.iter().position(|known| known.name == name);
        let at = at.ok_or_else(|| {
            Error::new(Code::NotFound, "there is no rendered file with this name").hint("hallpass render list")
        })?;
        remove(doc, "render", at)
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
        let before = "# mine\n[gateway]\nport = 7171 # this one\n\n# for the editor\n[[render]]\nname = \"a\"\nwant = \"x:y\" # narrow\nas = \"bot\"\n# the end\n";
        fs::write(&path, before).unwrap();
        let render = Render {
            name: "b".into(),
            want: Some("x:y@z".parse().unwrap()),
            helper: None,
            principal: "bot".into(),
            format: Format::Template,
            template: Some("A=\"{token}\"\nB={base_url}\n".into()),
            ttl_seconds: Some(5400),
        };
        add(&path, &render).unwrap();
        assert_eq!(add(&path, &render).unwrap_err().code, Code::Exists);
        assert_eq!(Config::load(&path).unwrap().renders[1], render);
        remove_entry(&path, "b").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), before);
        assert_eq!(remove_entry(&path, "b").unwrap_err().code, Code::NotFound);
        let odd = Render { name: "../x".into(), ..render };
        assert_eq!(add(&path, &odd).unwrap_err().code, Code::Config);
        assert_eq!(fs::read_to_string(&path).unwrap(), before);
    }
}
