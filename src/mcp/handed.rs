//! Tokens that are handed on without passing through a model: a file for each, in the runtime folder.
//!
//! Owns the files. Only the id of a lease is ever said; `hallpass exec --lease ID -- COMMAND` reads what belongs to it.
//! The files go with the process that wrote them, and what is in them is dead then in any case.

use std::{fs, io::Write as _, path::PathBuf};

use crate::{
    api::{problem::Code, session::Env},
    error::{Error, Result},
    paths::Paths,
    sys,
};

/// The largest such file, in bytes.
const MAX_FILE: u64 = 256 * 1024;

/// Writes what belongs to a lease: the variables of one command.
///
/// # Errors
/// The file cannot be written.
pub fn write(paths: &Paths, lease: &str, env: &Env) -> Result<()> {
    sys::private_dir(&paths.handed())?;
    let text = zeroize::Zeroizing::new(serde_json::to_vec(env).map_err(|_| Error::internal("no JSON"))?);
    let path = file(paths, lease)?;
    let written = sys::private_file(&path, false).and_then(|mut file| file.write_all(&text));
    written.map_err(|e| Error::new(Code::Io, format!("{} cannot be written: {e}", path.display())))
}

/// Reads it.
///
/// # Errors
/// There is none, or its time is up.
pub fn read(paths: &Paths, lease: &str) -> Result<Env> {
    let gone = || {
        Error::new(Code::NotFound, "there is nothing for this lease, or it has ended")
            .hint("ask for another; `hallpass lease list` shows what there is")
    };
    let text =
        crate::config::read_file(&file(paths, lease)?, MAX_FILE)?.map(zeroize::Zeroizing::new).ok_or_else(gone)?;
    let env: Env = serde_json::from_str(&text).map_err(|_| gone())?;
    let ended = env.expires_at.parse::<jiff::Timestamp>().is_ok_and(|end| end <= jiff::Timestamp::now());
    if ended { Err(gone()) } else { Ok(env) }
}

/// Removes it.
pub fn remove(paths: &Paths, lease: &str) {
    if let Ok(path) = file(paths, lease) {
        let _ = fs::remove_file(path);
    }
}

/// The leases that there is something for.
pub fn all(paths: &Paths) -> Vec<String> {
    let files = fs::read_dir(paths.handed()).into_iter().flatten().flatten();
    files.filter_map(|file| file.file_name().into_string().ok()).filter(|name| is_lease(name)).collect()
}

fn file(paths: &Paths, lease: &str) -> Result<PathBuf> {
    if !is_lease(lease) {
        return Err(Error::new(Code::InvalidValue, "this is no lease's id").hint("it begins with lease_"));
    }
    Ok(paths.handed().join(lease))
}

fn is_lease(text: &str) -> bool {
    text.strip_prefix("lease_")
        .is_some_and(|rest| (1..=64).contains(&rest.len()) && rest.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(expires_at: &str) -> Env {
        Env {
            task: "task_1".into(),
            principal: "bot".into(),
            set: vec![],
            scrub: vec![],
            expires_at: expires_at.into(),
            leases: vec![],
            unresolved: vec![],
        }
    }

    #[test]
    fn what_is_handed_on_is_ours_alone_and_ends() {
        use std::os::unix::fs::PermissionsExt as _;
        let home = tempfile::tempdir().unwrap();
        let paths = Paths::under(home.path(), None);
        write(&paths, "lease_abc", &env("2999-01-01T00:00:00Z")).unwrap();
        assert_eq!(read(&paths, "lease_abc").unwrap().task, "task_1");
        let mode = fs::metadata(paths.handed().join("lease_abc")).unwrap().permissions().mode();
        assert_eq!((mode & 0o777, all(&paths)), (0o600, vec!["lease_abc".to_owned()]));
        write(&paths, "lease_abc", &env("2020-01-01T00:00:00Z")).unwrap();
        assert_eq!(read(&paths, "lease_abc").unwrap_err().code, Code::NotFound);
        remove(&paths, "lease_abc");
        assert!(all(&paths).is_empty());
        for odd in ["lease_", "lease_../x", "../lease_a", "abc"] {
            assert_eq!(read(&paths, odd).unwrap_err().code, Code::InvalidValue, "{odd}");
        }
    }
}
