//! Which files are looked at, and which folders are not, by their names alone.
//!
//! Pure tables, and what the surface catalogue says. A name that is wrongly let through costs one look at a file; a folder that is wrongly entered
//! costs a watch for each folder below it.

use std::ffi::OsStr;

use crate::surface;

/// Folders that are never watched: what tools download, build and cache, and the insides of version control.
const IGNORED: &[&str] = &[
    ".bzr",
    ".cache",
    ".direnv",
    ".eggs",
    ".git",
    ".gradle",
    ".hg",
    ".ipynb_checkpoints",
    ".jj",
    ".m2",
    ".mypy_cache",
    ".next",
    ".nox",
    ".npm",
    ".nuxt",
    ".nyc_output",
    ".output",
    ".parcel-cache",
    ".pnpm-store",
    ".pytest_cache",
    ".ruff_cache",
    ".svelte-kit",
    ".svn",
    ".terraform",
    ".terragrunt-cache",
    ".tox",
    ".trash",
    ".turbo",
    ".venv",
    ".yarn",
    "__pycache__",
    "_build",
    "bazel-bin",
    "bazel-out",
    "bower_components",
    "build",
    "cache",
    "cmakefiles",
    "coverage",
    "deriveddata",
    "dist",
    "elm-stuff",
    "jspm_packages",
    "node_modules",
    "out",
    "pods",
    "site-packages",
    "target",
    "vendor",
    "venv",
];

/// Files that a tool writes and nobody puts a secret in, though their ending says config.
const NEVER: &[&str] = &[
    ".package-lock.json",
    "composer.lock",
    "npm-shrinkwrap.json",
    "package-lock.json",
    "packages.lock.json",
    "pnpm-lock.yaml",
    "project.assets.json",
];

/// Endings of configs.
const ENDINGS: &[&str] = &[
    "cfg",
    "cnf",
    "conf",
    "config",
    "env",
    "fish",
    "hcl",
    "ini",
    "json",
    "json5",
    "jsonc",
    "properties",
    "tf",
    "tfvars",
    "toml",
    "yaml",
    "yml",
];

/// Configs without an ending that says so.
const NAMES: &[&str] = &[
    ".bash_profile",
    ".bashrc",
    ".boto",
    ".condarc",
    ".curlrc",
    ".dockercfg",
    ".envrc",
    ".gemrc",
    ".git-credentials",
    ".gitconfig",
    ".netrc",
    ".npmrc",
    ".pgpass",
    ".profile",
    ".pypirc",
    ".s3cfg",
    ".terraformrc",
    ".vault-token",
    ".wgetrc",
    ".yarnrc",
    ".zprofile",
    ".zshenv",
    ".zshrc",
    "_netrc",
    "authinfo",
    "config",
    "credentials",
    "kubeconfig",
    "npmrc",
    "settings.xml",
];

/// True for a file that may hold a secret by its name: environment files, configs, and backups of either.
pub fn is_candidate(name: &OsStr) -> bool {
    let Some(name) = name.to_str() else { return false };
    if name.len() > 255 {
        return false;
    }
    let name = name.to_ascii_lowercase();
    let name = without_backup(&name);
    if NEVER.contains(&name) {
        return false;
    }
    is_environment(name)
        || NAMES.contains(&name)
        || ending(name).is_some_and(|ending| ENDINGS.contains(&ending))
        || surface::is_project_config_name(name)
}

/// True for a folder that is never entered, unless somebody named it as a root.
pub fn is_ignored(name: &OsStr) -> bool {
    let Some(name) = name.to_str() else { return false };
    IGNORED.binary_search(&name.to_ascii_lowercase().as_str()).is_ok()
}

/// True for a folder that is not searched for projects: a hidden one, or an ignored one.
pub fn is_hidden(name: &OsStr) -> bool {
    name.as_encoded_bytes().first() == Some(&b'.') || is_ignored(name)
}

/// `.env`, `.env.local`, `.env-prod`, `prod.env.bak`, `.dev.vars`.
fn is_environment(name: &str) -> bool {
    let rest = name.strip_prefix(".env").or_else(|| name.strip_prefix(".dev.vars"));
    if rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '-', '_'])) {
        return !name.ends_with(".lock");
    }
    name.contains(".env.")
}

fn ending(name: &str) -> Option<&str> {
    name.rsplit_once('.').map(|(_, ending)| ending)
}

/// The name of what this is a backup of: `settings.json` for `settings.json.bak`, `settings.json~` and
/// `settings.json.backup.1700000000`.
fn without_backup(name: &str) -> &str {
    let name = name.trim_end_matches('~');
    if let Some((before, _)) = name.split_once(".backup") {
        return before;
    }
    [".bak", ".old", ".orig", ".save"].iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates() {
        for name in [
            ".env",
            ".env.local",
            ".ENV",
            ".env~",
            ".env.bak",
            ".env-production",
            "prod.env",
            "prod.env.bak",
            ".envrc",
            ".dev.vars",
            ".dev.vars.production",
            "terraform.tfvars",
            "terraform.tfvars.json",
            "a.auto.tfvars",
            ".claude.json",
            ".claude.json.backup",
            ".claude.json.backup.1700000000000",
            ".mcp.json",
            "settings.local.json",
            "settings.json~",
            "config.toml",
            "config.toml.bak",
            "config",
            "credentials",
            "docker-compose.yml",
            "kubeconfig",
            "pip.conf",
            "application.properties",
            ".npmrc",
            ".pypirc",
            ".netrc",
            "_netrc",
            ".my.cnf",
            "config.fish",
            "tasks.json5",
            ".bazelrc",
        ] {
            assert!(is_candidate(OsStr::new(name)), "{name}");
        }
    }

    #[test]
    fn never() {
        for name in [
            "package-lock.json",
            "pnpm-lock.yaml",
            "npm-shrinkwrap.json",
            "yarn.lock",
            "Cargo.lock",
            "uv.lock",
            ".env.lock",
            "app.min.js",
            "index.js",
            "logo.png",
            "environment.ts",
            ".environment",
            "main.rs",
            ".env4.swp",
            "4913",
            "go.sum",
            "",
            "json",
        ] {
            assert!(!is_candidate(OsStr::new(name)), "{name}");
        }
        assert!(!is_candidate(OsStr::new(&format!("{}.json", "a".repeat(300)))));
    }

    #[test]
    fn folders() {
        assert!(IGNORED.is_sorted());
        for name in ["node_modules", "target", ".git", ".venv", "__pycache__", "Pods", "DerivedData"] {
            assert!(is_ignored(OsStr::new(name)), "{name}");
        }
        for name in [".claude", ".cursor", ".vscode", "src", "env", "environments", "backups"] {
            assert!(!is_ignored(OsStr::new(name)), "{name}");
        }
        assert!(is_hidden(OsStr::new(".claude")) && is_hidden(OsStr::new("target")) && !is_hidden(OsStr::new("src")));
    }
}
