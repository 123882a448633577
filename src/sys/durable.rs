//! Files that are replaced whole.
//!
//! Owns the order that survives a crash and a full disk: a new file beside the old one, written, synced and
//! checked, then renamed over it, then the folder synced. Never touches the old file before the new one is
//! known to be good.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use crate::paths::FILE_MODE;

/// Tells one state of a file from another: what changes when somebody writes or replaces it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    modified: Option<std::time::SystemTime>,
    size: u64,
    inode: u64,
}

/// The file's stamp; `None` when there is no file.
pub fn stamp(path: &Path) -> io::Result<Option<Stamp>> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(Some(of(&metadata))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Reads a regular file of at most `most` bytes. Anything else in its place is an error, without waiting.
pub fn read_regular(path: &Path, most: u64) -> io::Result<(Vec<u8>, Stamp)> {
    let mut options = fs::OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, rustix::fs::OFlags::NONBLOCK.bits().cast_signed());
    let file = options.open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other(format!("{} is not a regular file", path.display())));
    }
    let mut bytes = Vec::new();
    file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|len| len > most) {
        return Err(io::Error::other(format!("{} is larger than {most} bytes", path.display())));
    }
    Ok((bytes, of(&metadata)))
}

/// Replaces the file (0600) by one with these bytes, durably. `check` gets what was read back from the new
/// file and may still refuse; the old file is then as it was. A link is followed to its target's place.
pub fn replace<E: From<io::Error>>(
    path: &Path,
    bytes: &[u8],
    check: impl FnOnce(&[u8]) -> Result<(), E>,
) -> Result<Stamp, E> {
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let new = beside(&target);
    let written = write_new(&new, bytes).map_err(E::from).and_then(|()| {
        let most = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let (read, stamp) = read_regular(&new, most)?;
        check(&read)?;
        fs::rename(&new, &target)?;
        Ok(stamp)
    });
    if written.is_err() {
        let _ = fs::remove_file(&new);
    }
    let stamp = written?;
    sync_folder(&target)?;
    Ok(stamp)
}

/// One name, so that what a crash left behind is taken away by the next write and never piles up.
fn beside(target: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(target.file_name().unwrap_or_default());
    name.push(".new");
    target.with_file_name(name)
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = fs::OpenOptions::new();
    // create_new follows no link.
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, FILE_MODE);
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn sync_folder(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    if let Some(folder) = path.parent() {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

fn of(metadata: &fs::Metadata) -> Stamp {
    #[cfg(unix)]
    let inode = std::os::unix::fs::MetadataExt::ino(metadata);
    #[cfg(not(unix))]
    let inode = 0;
    Stamp { modified: metadata.modified().ok(), size: metadata.len(), inode }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_check_leaves_the_old_file_and_no_other() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("f");
        let first = replace::<io::Error>(&path, b"one", |_| Ok(())).unwrap();
        assert_eq!(stamp(&path).unwrap(), Some(first));
        replace(&path, b"two", |_| Err(io::Error::other("no"))).unwrap_err();
        assert_eq!(fs::read(&path).unwrap(), b"one");
        assert_eq!(stamp(&path).unwrap(), Some(first));
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);
        let second = replace::<io::Error>(&path, b"two", |read| {
            assert_eq!(read, b"two");
            Ok(())
        });
        assert_ne!(second.unwrap(), first);
        assert_eq!(fs::read(&path).unwrap(), b"two");
    }

    #[cfg(unix)]
    #[test]
    fn what_a_crash_left_is_replaced_and_a_link_keeps_being_one() {
        let home = tempfile::tempdir().unwrap();
        let (real, link) = (home.path().join("real"), home.path().join("link"));
        fs::write(&real, "old").unwrap();
        fs::write(home.path().join(".real.new"), "half").unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        replace::<io::Error>(&link, b"new", |_| Ok(())).unwrap();
        assert!(link.symlink_metadata().unwrap().file_type().is_symlink());
        assert_eq!(fs::read(&real).unwrap(), b"new");
        assert_eq!(std::os::unix::fs::MetadataExt::mode(&fs::metadata(&real).unwrap()) & 0o777, 0o600);
    }

    #[test]
    fn what_is_too_large_or_no_file_is_an_error() {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("f"), "12345").unwrap();
        assert_eq!(read_regular(&home.path().join("f"), 5).unwrap().0, b"12345");
        assert!(read_regular(&home.path().join("f"), 4).is_err());
        assert!(read_regular(home.path(), 4).is_err());
        assert_eq!(stamp(&home.path().join("none")).unwrap(), None);
    }
}
