//! `.hallpass.toml`: what the tasks of a project need.
//!
//! Owns the file's format and its digest. It holds no secret and grants nothing: it counts only once
//! the user trusted the folder with this digest, and again after the file changes.

use std::{
    ops::Range,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use toml::Spanned;

use crate::{
    config::{
        self, duration,
        place::{Place, looks_secret},
    },
    error::Result,
    scope::{MAX_COUNT, Wanted},
};

/// The file's name.
pub const FILE: &str = ".hallpass.toml";
/// The largest file that is read, in bytes.
pub const MAX_FILE: u64 = 64 * 1024;

/// What a project's file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    /// SHA-256 of the file's bytes, in hex: what was trusted.
    pub digest: String,
    /// What its tasks want; never empty.
    pub want: Vec<Wanted>,
    /// The title of its tasks.
    pub task: Option<String>,
    /// How long its tasks last.
    pub ttl: Option<Duration>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    task: Option<Spanned<String>>,
    ttl: Option<Spanned<String>>,
    want: Spanned<Vec<Spanned<String>>>,
}

/// Reads the file of this folder. A missing file is an error; [`find`] looks for one.
pub fn read(dir: &Path) -> Result<Project> {
    let path = dir.join(FILE);
    let text = config::read_file(&path, MAX_FILE)?.ok_or_else(|| {
        crate::error::Error::new(
            crate::api::problem::Code::NotFound,
            format!("there is no {FILE} in {}", dir.display()),
        )
        .hint(format!("write one, for example: want = [\"github:issues:read@acme/web\"] in {}", path.display()))
    })?;
    parse(&text, &path)
}

/// The nearest folder, from this one upwards, that holds the file.
pub fn find(from: &Path) -> Option<PathBuf> {
    from.ancestors().find(|dir| dir.join(FILE).symlink_metadata().is_ok()).map(Path::to_path_buf)
}

fn parse(text: &str, path: &Path) -> Result<Project> {
    let place = Place::new(text, path);
    let raw: Raw = toml::from_str(text).map_err(|e| place.parse_error(&e))?;
    let wrong = |span: Range<usize>, detail: &str| Err(place.error(span, detail));
    if raw.want.get_ref().is_empty() {
        return wrong(raw.want.span(), "this list is empty, so the file asks for nothing");
    }
    if raw.want.get_ref().len() > MAX_COUNT {
        return wrong(raw.want.span(), &format!("this list may have {MAX_COUNT} members"));
    }
    let mut want = Vec::new();
    for text in raw.want.get_ref() {
        match text.get_ref().parse::<Wanted>() {
            Ok(wanted) => want.push(wanted),
            Err(e) if text.get_ref().len() <= 80 && !looks_secret(text.get_ref()) => {
                return wrong(text.span(), &e.to_string());
            }
            Err(_) => return wrong(text.span(), "write ISSUER:SCOPE or ISSUER:SCOPE@RESOURCE"),
        }
    }
    if let Some(task) = &raw.task
        && (task.get_ref().is_empty() || task.get_ref().len() > 200 || task.get_ref().chars().any(char::is_control))
    {
        return wrong(task.span(), "a task's title is one line of 1 to 200 bytes");
    }
    let ttl = match &raw.ttl {
        Some(ttl) => match duration::parse(ttl.get_ref()) {
            Ok(found) if (Duration::from_secs(1)..=config::MAX_TTL).contains(&found) => Some(found),
            Ok(_) => return wrong(ttl.span(), "this must be between 1s and 1d"),
            Err(e) => return wrong(ttl.span(), &e),
        },
        None => None,
    };
    Ok(Project {
        digest: crate::audit::line::hex(&Sha256::digest(text)),
        want,
        task: raw.task.map(Spanned::into_inner),
        ttl,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::problem::Code;

    fn parsed(text: &str) -> Result<Project> {
        parse(text, Path::new("p/.hallpass.toml"))
    }

    #[test]
    fn a_whole_file() {
        let text = "task = \"triage\"\nttl = \"1h\"\nwant = [\"github:issues:read@acme/web\", \"openai:chat\"]\n";
        let project = parsed(text).unwrap();
        assert_eq!(project.want[0].to_string(), "github:issues:read@acme/web");
        assert_eq!((project.task.as_deref(), project.ttl), (Some("triage"), Some(Duration::from_secs(3600))));
        assert_eq!(project.digest.len(), 64);
        let other = parsed(&text.replace("read", "write")).unwrap();
        assert_ne!(project.digest, other.digest);
    }

    #[test]
    fn errors_have_a_place_and_no_value() {
        for (text, place) in [
            ("want = []", ":1:8: want: this list is empty"),
            ("tusk = \"x\"\nwant = [\"a:b\"]", ":1:1: the key `tusk` is not known"),
            ("want = [\n \"a:b\",\n \"nothing\"]", ":3:2: "),
            ("ttl = \"9d\"\nwant = [\"a:b\"]", ":1:7: ttl: this must be"),
            ("want = [\"a:b\"", ":1:"),
        ] {
            let error = parsed(text).unwrap_err();
            assert_eq!(error.code, Code::Config);
            assert!(error.detail.contains(place), "{}", error.detail);
        }
        let key = ["hp_", &"a1B2".repeat(10)].concat();
        for text in [
            format!("want = [\"{key}\"]"),
            format!("want = [\"a:b\"]\nttl = \"{key}\""),
            format!("{key} = 1"),
            key.clone(),
        ] {
            let error = parsed(&text).unwrap_err();
            assert!(!format!("{error:?}").contains("a1B2"), "{error:?}");
        }
    }

    #[test]
    fn the_nearest_folder_upwards_and_only_a_plain_file() {
        let root = tempfile::tempdir().unwrap();
        let deep = root.path().join("a/b/c");
        std::fs::create_dir_all(&deep).unwrap();
        std::fs::write(root.path().join("a").join(FILE), "want = [\"a:b\"]").unwrap();
        assert_eq!(find(&deep), Some(root.path().join("a")));
        assert_eq!(read(&root.path().join("a")).unwrap().want.len(), 1);
        assert_eq!(read(&deep).unwrap_err().code, Code::NotFound);
        assert!(std::process::Command::new("mkfifo").arg(deep.join(FILE)).status().unwrap().success());
        assert!(read(&deep).is_err());
        std::fs::write(root.path().join(FILE), "#".repeat(70_000)).unwrap();
        assert!(read(root.path()).unwrap_err().detail.contains("larger"));
    }
}
