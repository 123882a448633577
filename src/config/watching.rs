//! The `[watch]` table: its shape, and what a path in it may be.

use std::path::Path;

use serde::Deserialize;
use toml::Spanned;

use super::{Watching, place::Place};
use crate::{
    api::watch::{Mode, Root},
    error::Result,
};

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Raw {
    places: Option<Mode>,
    #[serde(default)]
    root: Vec<RawRoot>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRoot {
    path: Spanned<String>,
    mode: Mode,
    #[serde(default)]
    projects: bool,
}

/// What it says, with absolute paths, each once.
pub(super) fn check(raw: Raw, place: &Place<'_>) -> Result<Watching> {
    let mut roots: Vec<Root> = Vec::new();
    for RawRoot { path, mode, projects } in raw.root {
        let home = path.get_ref().strip_prefix("~/").and_then(|rest| Some(crate::sys::home()?.join(rest)));
        let full = home.map_or_else(|| path.get_ref().clone(), |path| path.to_string_lossy().into_owned());
        if !Path::new(&full).is_absolute() {
            return Err(place.error(path.span(), "a watched path is absolute, or begins with ~/"));
        }
        if roots.iter().any(|root| root.path == full) {
            return Err(place.error(path.span(), "this path is there twice"));
        }
        roots.push(Root { path: full, mode, projects });
    }
    Ok(Watching { places: raw.places, roots })
}
