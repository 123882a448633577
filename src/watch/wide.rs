//! Which folders are too much to watch.
//!
//! Pure. A whole disk, or everybody's homes, is nobody's project: it costs a watch for each folder up to the limit,
//! and a quarantine there would touch files that no one had in mind.

use std::path::{Path, PathBuf};

use crate::{api::problem::Code, error::Error};

/// Refuses the root of the file system, the homes and what is above them; a home itself unless only projects are
/// searched in it.
///
/// # Errors
/// It is too much; the hint says what to watch instead.
pub fn check(path: &Path, projects: bool, homes: &[PathBuf]) -> Result<(), Error> {
    let refuse = |what: &str, hint: &str| Err(Error::new(Code::InvalidValue, what).hint(hint));
    if path.parent().is_none() {
        let what = "the root of the file system is not watched as a whole";
        return refuse(what, "name the folder that your projects are in, such as: hallpass watch add ~/src");
    }
    if ["/proc", "/sys", "/dev"].iter().any(|system| path.starts_with(system)) {
        return refuse("the system's own files are not watched", "name the folder that your projects are in");
    }
    for home in homes.iter().filter(|home| home.starts_with(path)) {
        if home != path {
            let what = format!("{} is above your home and is not watched as a whole", path.display());
            return refuse(&what, "name the folder that your projects are in, such as: hallpass watch add ~/src");
        }
        if !projects {
            let hint = "watch the git work trees in it with --projects, or name a folder in it; the places of assistants \
                        and tools have a mode of their own: hallpass watch places quarantine";
            return refuse("a home is not watched as a whole", hint);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_and_a_home_are_too_much() {
        let homes = [PathBuf::from("/home/you")];
        let is_ok = |path: &str, projects: bool| check(Path::new(path), projects, &homes).is_ok();
        for path in ["/", "/home", "/proc/1", "/sys"] {
            assert!(!is_ok(path, false) && !is_ok(path, true), "{path}");
        }
        assert!(!is_ok("/home/you", false) && is_ok("/home/you", true));
        for path in ["/home/you/src", "/home/your", "/srv", "/work", "/developers"] {
            assert!(is_ok(path, false), "{path}");
        }
        let hint = check(Path::new("/home/you"), false, &homes).unwrap_err().hint.unwrap();
        assert!(hint.contains("--projects"), "{hint}");
    }
}
