//! A file that the daemon keeps filled, where a tool reads a file and asks no program.
//!
//! Owns the entry of hallpass's config: its name, and what stands in the file around the token.

use super::{
    plan::{Secret, Tool},
    template::word,
};
use crate::{
    api::render::Render,
    principal::is_name,
    render::{self, Format},
    scope::Wanted,
    surface::Replace,
};

/// Reads the file as the tool does. The path is one word already.
pub const CHECK: &str =
    "cat {entry} || { echo 'hallpass render show {name}: it says why there is no file' >&2; false; }";
/// As many files of a tool may be for one credential.
const MOST: usize = 9;

/// The entry: one that is there with the same in it, else a new one.
pub fn entry(
    tool: &Tool<'_>,
    secret: &Secret<'_>,
    place: &[String],
    text: &str,
    entry: &Replace,
    want: &Wanted,
    principal: &str,
) -> Result<Render, String> {
    let member = place.last().map(String::as_str).unwrap_or_default();
    let around = text.replacen(secret.value, "{token}", 1);
    let template = entry.file.as_ref().map(|file| file.replace("{member}", member).replace("{text}", &around));
    if let Some(template) = &template {
        if text.contains(['{', '\n']) {
            return Err("what stands around the key does not fit into a line of a file".into());
        }
        render::check(template).map_err(|odd| odd.to_string())?;
    }
    if word(tool.rendered) != tool.rendered {
        return Err(format!("the path {} would have to be quoted", tool.rendered));
    }
    let first = format!("{}-{}", tool.surface.name, secret.name);
    let first = if is_name(&first) { first } else { tool.surface.name.clone() };
    let named = |name: String| Render {
        name,
        want: Some(want.clone()),
        helper: None,
        principal: principal.to_owned(),
        format: if template.is_some() { Format::Template } else { Format::Raw },
        template: template.clone(),
        ttl_seconds: None,
    };
    let names = std::iter::once(first.clone()).chain((2..=MOST).map(|number| format!("{first}-{number}")));
    let free = |render: &Render| tool.renders.iter().all(|known| known.name != render.name || known == render);
    names.map(named).find(free).ok_or_else(|| format!("there are {MOST} rendered files of this name already"))
}
