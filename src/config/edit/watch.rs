//! Edits of the `[watch]` table.

use std::path::Path;

use toml_edit::{ArrayOfTables, Item, Table, value};

use super::{change, set, subtable};
use crate::{
    api::{
        problem::Code,
        watch::{Mode, Root},
    },
    error::{Error, Result},
};

/// Adds a root, or gives the one of this path another mode.
pub fn set_root(path: &Path, root: &Root) -> Result<()> {
    change(path, |doc, config| {
        let watch = subtable(doc, "watch", false)?;
        let roots = watch.entry("root").or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()));
        let roots = roots
            .as_array_of_tables_mut()
            .ok_or_else(|| Error::new(Code::Config, "watch.root is no [[watch.root]]"))?;
        let at = config.watch.roots.iter().position(|known| known.path == root.path);
        let mut table = Table::new();
        let table = match at.and_then(|at| roots.get_mut(at)) {
            Some(table) => table,
            None => {
                table.insert("path", value(root.path.as_str()));
                roots.push(table);
                match roots.iter_mut().last() {
                    Some(table) => table,
                    None => return Ok(()),
                }
            }
        };
        set(table, "mode", root.mode.to_string().into());
        if root.projects {
            table.insert("projects", value(true));
        } else {
            table.remove("projects");
        }
        Ok(())
    })
}

/// Removes the root of this path.
pub fn remove_root(path: &Path, root: &str) -> Result<()> {
    change(path, |doc, config| {
        let at = config.watch.roots.iter().position(|known| known.path == root).ok_or_else(|| {
            Error::new(Code::NotFound, "this path is not watched").hint("`hallpass watch list` shows what is")
        })?;
        if let Some(roots) = subtable(doc, "watch", false)?.get_mut("root").and_then(Item::as_array_of_tables_mut) {
            roots.remove(at);
        }
        Ok(())
    })
}

/// Sets the mode for the places of assistants and tools.
pub fn set_places(path: &Path, mode: Mode) -> Result<()> {
    change(path, |doc, _| {
        set(subtable(doc, "watch", false)?, "places", mode.to_string().into());
        Ok(())
    })
}
