//! The surface catalogue: where each assistant and tool keeps its configuration, and what it does with it.
//!
//! Owns reading `data/surfaces` and the expansion of its paths. Pure: it looks at no file system and no
//! environment of its own; what is there is the caller's to find out.

mod expand;
mod kept;
pub mod replace;

pub use expand::{Os, expand};
pub use kept::{is_config_folder, is_project_config, is_project_config_name};
pub use replace::{Replace, Run, With};

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::{api::problem::Code, error::Error};

static BUILT_IN: include_dir::Dir<'_> = include_dir::include_dir!("$CARGO_MANIFEST_DIR/data/surfaces");

/// An assistant or a tool, as `data/surfaces/README.md` describes it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Surface {
    /// Kebab-case; the file's name.
    pub name: String,
    /// What people call it.
    pub title: String,
    /// An assistant or a developer tool.
    pub kind: Kind,
    /// The principal that `data/assistants.toml` has for it, where that is not its name.
    pub principal: Option<String>,
    /// The vendor's pages that the facts come from.
    pub source: Vec<String>,
    /// How it can ask hallpass instead of holding a key, the best first: `KIND:SETTING`.
    #[serde(default)]
    pub hooks: Vec<String>,
    /// How its configuration names a variable or a file instead of a value.
    #[serde(default)]
    pub variables: Vec<String>,
    /// Variables that its children do not get, in any case of letters, with `*` for any text; `*` is all but `keeps`.
    #[serde(default)]
    pub scrubs: Vec<String>,
    /// What `*` leaves.
    #[serde(default)]
    pub keeps: Vec<String>,
    /// Its files.
    pub file: Vec<File>,
    /// What may replace a secret in them, the best first.
    #[serde(default)]
    pub replace: Vec<Replace>,
}

/// What a surface is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A coding assistant, or an editor with one.
    Assistant,
    /// A tool that holds credentials of its own.
    Tool,
}

/// A file of a surface, or several of one kind.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Whose it is.
    pub scope: Scope,
    /// Its paths on every system.
    #[serde(default)]
    pub all: Vec<String>,
    /// Besides, on Linux.
    #[serde(default)]
    pub linux: Vec<String>,
    /// Besides, on macOS.
    #[serde(default)]
    pub macos: Vec<String>,
    /// Besides, on Windows.
    #[serde(default)]
    pub windows: Vec<String>,
    /// How it is written.
    pub format: Format,
    /// Whether its tool takes comments; `None` is not known.
    pub comments: Option<bool>,
    /// Whether its tool takes trailing commas; `None` is not known.
    pub trailing_commas: Option<bool>,
    /// Places inside it that hold secrets, as JSON pointers with `*`.
    #[serde(default)]
    pub secrets: Vec<String>,
    /// Copies that its tool makes of it.
    #[serde(default)]
    pub backups: Vec<String>,
    /// What its tool does when it writes it.
    #[serde(default)]
    pub on_write: Vec<OnWrite>,
    /// Whether its tool sees a change without a restart; `None` is not known.
    pub reloads: Option<bool>,
}

/// Whose a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// The person's: below the home.
    User,
    /// A project's: its paths are relative to the project's folder.
    Project,
    /// An administrator's.
    Managed,
}

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)]
pub enum Format {
    Json,
    Jsonc,
    Json5,
    Toml,
    Yaml,
    Dotenv,
    Ini,
    Netrc,
    Hcl,
    Shell,
    Lua,
    /// One thing a line, in the tool's own way.
    Lines,
}

/// What a tool does when it writes its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnWrite {
    /// Writes the values of variables where their names stood.
    Flattens,
    /// Leaves comments where they are.
    KeepsComments,
    /// Keeps a copy of the file as it was.
    BacksUp,
    /// Writes what it has in memory: an edit made meanwhile is lost.
    Overwrites,
}

/// All surfaces.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    surfaces: Vec<Surface>,
}

impl Catalogue {
    /// Those that come with hallpass.
    ///
    /// # Errors
    /// An entry is broken, which the tests exclude.
    pub fn built_in() -> Result<Self, Error> {
        let mut surfaces = Vec::new();
        for file in BUILT_IN.files().filter(|file| file.path().extension().is_some_and(|ext| ext == "toml")) {
            let name = file.path().display();
            let broken = |why: String| Error::new(Code::Internal, format!("the built-in surface {name}: {why}"));
            let text = file.contents_utf8().ok_or_else(|| broken("not UTF-8".into()))?;
            surfaces.push(toml::from_str(text).map_err(|error| broken(error.to_string()))?);
        }
        Ok(Self { surfaces })
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Surface> {
        self.surfaces.iter()
    }

    /// The one of this name.
    pub fn get(&self, name: &str) -> Option<&Surface> {
        self.iter().find(|surface| surface.name == name)
    }

    /// The user's files and folders and their backups, whether they are there or not, each once. A `*` in a
    /// component of a path stands for any text. `env` looks up a variable.
    pub fn user_places(&self, os: Os, home: &Path, env: impl Fn(&str) -> Option<String>) -> Vec<PathBuf> {
        let files = self.files(Scope::User);
        let patterns = files.flat_map(|file| file.paths(os).chain(file.backups.iter()));
        let mut places: Vec<PathBuf> = patterns.filter_map(|pattern| expand(pattern, home, &env)).collect();
        places.sort();
        places.dedup();
        places
    }

    /// The files of projects, relative to a project's folder, each once; a `*` stands for any text in a component.
    pub fn project_names(&self, os: Os) -> Vec<&str> {
        let mut names: Vec<&str> =
            self.files(Scope::Project).flat_map(|file| file.paths(os)).map(String::as_str).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    fn files(&self, scope: Scope) -> impl Iterator<Item = &File> {
        self.iter().flat_map(|surface| &surface.file).filter(move |file| file.scope == scope)
    }
}

impl Surface {
    /// Whether the programs that it starts do not get this variable.
    pub fn hides(&self, variable: &str) -> bool {
        let kept = self.keeps.iter().any(|name| name == variable);
        let upper = variable.to_uppercase();
        let is = |pattern: &String| match pattern.strip_prefix('*').and_then(|rest| rest.strip_suffix('*')) {
            Some(inner) => upper.contains(inner),
            None => pattern == "*" || kept::fits(pattern, &upper),
        };
        !kept && self.scrubs.iter().any(is)
    }

    /// Which of its files this one is, by the name.
    pub fn file_of(&self, path: &str) -> Option<&File> {
        let name = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
        // `${VARIABLE:-~/.tool/name}` ends with a brace.
        let is = |pattern: &String| kept::fits(name(pattern).trim_end_matches('}'), &name(path));
        self.file.iter().find(|file| file.paths(Os::current()).any(is))
    }
}

impl File {
    /// Its paths on this system, as they are written in the catalogue.
    pub fn paths(&self, os: Os) -> impl Iterator<Item = &String> {
        let own = match os {
            Os::Linux => &self.linux,
            Os::MacOs => &self.macos,
            Os::Windows => &self.windows,
        };
        self.all.iter().chain(own)
    }
}

#[cfg(test)]
mod tests;
