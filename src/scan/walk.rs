//! Which files a scan looks at.
//!
//! Owns the walk. Ignore files are followed, with one exception that other scanners lack: places where secrets
//! are kept on purpose (`.env*`, assistants' configs) are ignored by git so that nobody commits them, and are
//! looked at all the same. Folders of other people's code are not entered.

use std::path::{Path, PathBuf};

use ignore::{DirEntry, WalkBuilder, WalkState};

use super::read::Buffer;
use crate::surface;

/// Folders with no files of the user's own: caches, dependencies, build output, git's objects.
const SKIPPED: &[&str] = &[
    "node_modules",
    "target",
    ".git",
    ".hg",
    ".svn",
    ".jj",
    "venv",
    ".venv",
    "site-packages",
    "__pycache__",
    ".tox",
    ".nox",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
    ".cache",
    ".rustup",
    ".npm",
    ".pnpm-store",
    ".yarn",
    "bower_components",
    "vendor",
    ".terraform",
    ".next",
    ".nuxt",
    ".turbo",
    ".parcel-cache",
    ".svelte-kit",
    "DerivedData",
    "Pods",
];

/// The same within folders that hold the user's own settings besides.
const SKIPPED_INSIDE: &[(&str, &[&str])] = &[
    (".cargo", &["bin", "git", "registry"]),
    (".gradle", &["caches", "daemon", "jdks", "native", "wrapper"]),
    (".m2", &["repository", "wrapper"]),
];

/// Folders whose configs are looked at although git ignores them, besides those that the surface catalogue names.
const MORE_CONFIG_FOLDERS: &[&str] = &[".aider", ".crush", ".goose", ".idea", ".kilocode", ".opencode", ".secrets"];

/// Calls `each` for every file, from several threads that have a buffer each, and `failed` for what could not be
/// looked at.
pub fn files(paths: &[PathBuf], each: &(dyn Fn(&Path, &mut Buffer) + Sync), failed: &(dyn Fn(PathBuf, String) + Sync)) {
    let mut buffer = Buffer::default();
    let mut folders = Vec::new();
    for path in paths {
        // A named file is looked at whatever it is called; a link too, since somebody named it.
        match std::fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => folders.push(path.clone()),
            Ok(_) => each(path, &mut buffer),
            Err(e) => failed(path.clone(), e.to_string()),
        }
    }
    drop(buffer);
    let Some((first, rest)) = folders.split_first() else { return };
    for ignored_too in [false, true] {
        let mut walk = WalkBuilder::new(first);
        rest.iter().for_each(|folder| {
            walk.add(folder);
        });
        walk.hidden(false).follow_links(false).standard_filters(!ignored_too).hidden(false).require_git(false);
        // The daemon may share the machine with a person: no more than half a dozen threads.
        walk.threads(std::thread::available_parallelism().map_or(1, usize::from).min(6));
        walk.filter_entry(|entry| entry.depth() == 0 || !is_skipped(entry));
        walk.build_parallel().run(|| {
            let mut buffer = Buffer::default();
            Box::new(move |entry| {
                match entry {
                    // Each walk has its own files, so that none is looked at twice.
                    Ok(entry) if is_file(&entry) && is_kept_on_purpose(entry.path()) == ignored_too => {
                        each(entry.path(), &mut buffer)
                    }
                    Ok(_) => {}
                    Err(e) if ignored_too => drop(e),
                    Err(e) => failed(error_path(&e), e.to_string()),
                }
                WalkState::Continue
            })
        });
    }
}

/// A place where secrets are kept: looked at although an ignore file names it.
pub fn is_kept_on_purpose(path: &Path) -> bool {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return false };
    let lower = name.to_ascii_lowercase();
    let starts = |marks: &[&str]| marks.iter().any(|mark| lower.starts_with(mark));
    let ends = |marks: &[&str]| marks.iter().any(|mark| lower.ends_with(mark));
    starts(&[
        ".env",
        ".dev.vars",
        ".npmrc",
        ".netrc",
        ".pypirc",
        ".mcp",
        "mcp.",
        "mcp_",
        ".git-credentials",
        ".claude.json",
        ".yarnrc",
    ]) || ends(&[".env", ".tfvars", ".local.json", ".local.toml", ".local.yaml", ".local.yml", ".pem", ".key"])
        || path
            .parent()
            .into_iter()
            .flat_map(Path::components)
            .filter_map(|part| part.as_os_str().to_str())
            .any(|part| surface::is_config_folder(part) || MORE_CONFIG_FOLDERS.contains(&part))
        || surface::is_project_config(path)
}

fn is_skipped(entry: &DirEntry) -> bool {
    let Some(name) = entry.file_name().to_str().filter(|_| entry.file_type().is_some_and(|kind| kind.is_dir())) else {
        return false;
    };
    let parent = || entry.path().parent().and_then(Path::file_name);
    SKIPPED.contains(&name)
        || SKIPPED_INSIDE
            .iter()
            .any(|(folder, inside)| inside.contains(&name) && parent().is_some_and(|parent| parent == *folder))
}

fn is_file(entry: &DirEntry) -> bool {
    entry.file_type().is_some_and(|kind| kind.is_file())
}

fn error_path(error: &ignore::Error) -> PathBuf {
    match error {
        ignore::Error::WithPath { path, .. } => path.clone(),
        ignore::Error::WithDepth { err, .. } | ignore::Error::WithLineNumber { err, .. } => error_path(err),
        _ => PathBuf::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, sync::Mutex};

    use super::*;

    #[test]
    fn ignored_env_files_are_seen_and_each_file_once() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for name in [
            ".env",
            "src/a.rs",
            "build/out.txt",
            "build/.env.local",
            "node_modules/x/.env",
            ".cargo/credentials.toml",
            ".cargo/registry/src/a/.env",
            ".git/config",
            ".claude/settings.local.json",
            "b.log",
        ] {
            fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
            fs::write(root.join(name), "x").unwrap();
        }
        fs::write(root.join(".gitignore"), ".env*\nbuild/\n.claude\n*.log\n").unwrap();
        let seen = Mutex::new(Vec::new());
        files(
            &[root.to_path_buf()],
            &|path, _| seen.lock().unwrap().push(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned()),
            &|path, why| panic!("{path:?}: {why}"),
        );
        let seen = seen.into_inner().unwrap();
        let once: BTreeSet<&str> = seen.iter().map(String::as_str).collect();
        assert_eq!(once.len(), seen.len());
        let wanted = [
            ".env",
            ".gitignore",
            ".cargo/credentials.toml",
            ".claude/settings.local.json",
            "build/.env.local",
            "src/a.rs",
        ];
        assert_eq!(once, BTreeSet::from(wanted));
    }
    #[test]
    fn configs_of_every_assistant_are_seen_though_all_is_ignored() {
        let folder = tempfile::tempdir().unwrap();
        let catalogue = surface::Catalogue::built_in().unwrap();
        let names = catalogue.project_names(surface::Os::current());
        // Git's own folder is not entered.
        let wanted: BTreeSet<String> =
            names.iter().filter(|name| !name.starts_with(".git/")).map(|name| name.replace('*', "mine")).collect();
        for name in wanted.iter().map(String::as_str).chain([".gitignore", "other.json", "src/settings.json"]) {
            fs::create_dir_all(folder.path().join(name).parent().unwrap()).unwrap();
            fs::write(folder.path().join(name), "*").unwrap();
        }
        let seen = Mutex::new(BTreeSet::new());
        let each = |path: &Path, _: &mut Buffer| {
            let name = path.strip_prefix(folder.path()).unwrap().to_str().unwrap().to_owned();
            assert!(seen.lock().unwrap().insert(name), "{path:?} twice");
        };
        files(&[folder.path().to_path_buf()], &each, &|path, why| panic!("{path:?}: {why}"));
        assert_eq!(seen.into_inner().unwrap(), wanted);
        assert!(!MORE_CONFIG_FOLDERS.iter().any(|folder| surface::is_config_folder(folder)), "it is in the catalogue");
    }
}
