//! Private folders and files.
//!
//! Owns making and checking them without following a link in the last step, so that nobody who can write
//! to a folder above can make hallpass write elsewhere. Tightens the mode of what is its own; refuses
//! what is not.

use std::{
    fs::{self, File},
    io,
    path::Path,
};

use crate::{
    api::problem::Code,
    error::{Error, Result},
    paths::{DIR_MODE, FILE_MODE},
};

/// Makes the folder (0700, its parents too where they are missing) and verifies it: a real folder, ours,
/// 0700. A mode that is too wide is mended, anything else is an error that names the command that helps.
pub fn private_dir(path: &Path) -> Result<()> {
    made(path)?;
    verify(path, true)
}

/// The same for a folder that somebody else has named, such as the one of `HALLPASS_SOCKET`: one that is there stays as
/// it is, and is an error where it is not private. It may be anything, `/etc` or a home.
pub fn own_dir(path: &Path) -> Result<()> {
    made(path)?;
    verify(path, false)
}

fn made(path: &Path) -> Result<()> {
    match make(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            let hint = match error.kind() {
                io::ErrorKind::ReadOnlyFilesystem => "the file system is read-only; remount it, or set HALLPASS_HOME",
                io::ErrorKind::StorageFull => "the disk is full; make room and try again",
                _ => "set HALLPASS_HOME to a folder that you can write to",
            };
            Err(Error::new(Code::Io, format!("cannot make the folder {}: {error}", path.display())).hint(hint))
        }
        _ => Ok(()),
    }
}

/// True for a real folder (no link) that belongs to `uid`.
pub fn is_own_dir(path: &Path, uid: u32) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        path.symlink_metadata().is_ok_and(|m| m.is_dir() && m.uid() == uid)
    }
    #[cfg(not(unix))]
    {
        let _ = uid;
        path.symlink_metadata().is_ok_and(|m| m.is_dir())
    }
}

/// Opens a file of ours for reading and writing, making it (0600) where it is missing; `append` makes
/// every write go to the end. Its contents are kept. Follows no link and takes nothing but a regular
/// file of this user: a FIFO or a device in its place is an error, at once. A wider mode is mended.
pub fn private_file(path: &Path, append: bool) -> io::Result<File> {
    let mut options = fs::OpenOptions::new();
    options.read(true).create(true);
    if append {
        options.append(true)
    } else {
        options.write(true).truncate(false)
    };
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        // Without NONBLOCK, opening a FIFO waits for its other end.
        let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
        options.mode(FILE_MODE).custom_flags(flags.bits().cast_signed());
    }
    let file = options.open(path).map_err(|error| {
        if is_link(path) { io::Error::other(format!("{} is a link", path.display())) } else { error }
    })?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other(format!("{} is not a regular file", path.display())));
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::{MetadataExt, PermissionsExt};
        if metadata.uid() != super::uid() {
            let text = format!("{} belongs to another user (uid {})", path.display(), metadata.uid());
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
        }
        if metadata.mode() & 0o077 != 0 {
            file.set_permissions(fs::Permissions::from_mode(FILE_MODE))?;
        }
        let flags = rustix::fs::fcntl_getfl(&file)?;
        rustix::fs::fcntl_setfl(&file, flags - rustix::fs::OFlags::NONBLOCK)?;
    }
    Ok(file)
}

/// Opens a folder by a path that should hold no link: what stands behind it stays the same, whatever is renamed
/// above it later. Where the kernel can tell, a link anywhere in the path is an error, else one at its end.
#[cfg(unix)]
pub fn open_folder(path: &Path) -> io::Result<std::os::fd::OwnedFd> {
    use rustix::{
        fs::{Mode, OFlags, open},
        io::{Errno, retry_on_intr},
    };
    match retry_on_intr(|| super::platform::open_folder(path)) {
        // An old kernel, or a container that allows no openat2.
        Err(Errno::NOSYS | Errno::PERM) => {}
        other => return other.map_err(Into::into),
    }
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    retry_on_intr(|| open(path, flags, Mode::empty())).map_err(Into::into)
}

fn is_link(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|m| m.file_type().is_symlink())
}

fn make(path: &Path) -> io::Result<()> {
    // The usual case costs one lstat.
    if path.symlink_metadata().is_ok() {
        return Ok(());
    }
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, DIR_MODE);
    let missing: Vec<_> = path.ancestors().take_while(|folder| folder.symlink_metadata().is_err()).collect();
    builder.create(path)?;
    // What is synced in a folder is lost with a folder that its own parent forgets when the power goes.
    #[cfg(unix)]
    for folder in missing.iter().filter_map(|folder| folder.parent()) {
        // A folder that may be written and not read cannot be synced.
        if let Ok(folder) = File::open(if folder.as_os_str().is_empty() { Path::new(".") } else { folder }) {
            folder.sync_all()?;
        }
    }
    Ok(())
}

#[cfg(unix)]
fn verify(path: &Path, mend: bool) -> Result<()> {
    use rustix::fs::{Mode, OFlags, fchmod, fstat, open};
    let refuse = |what: String, hint: String| Err(Error::new(Code::Io, what).hint(hint));
    let shown = path.display();
    if is_link(path) {
        return refuse(
            format!("{shown} is a link, and hallpass follows none"),
            format!("`rm {shown}`, or set HALLPASS_HOME to the folder it points at"),
        );
    }
    let folder = match open(path, OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty()) {
        Ok(folder) => folder,
        Err(rustix::io::Errno::NOTDIR) => {
            return refuse(format!("{shown} is not a folder"), format!("move it away: `mv {shown} {shown}.old`"));
        }
        Err(errno) => {
            let text = format!("cannot open the folder {shown}: {}", io::Error::from(errno));
            return refuse(text, format!("see `ls -ld {shown}`; it must be yours: `chmod 700 {shown}`"));
        }
    };
    let stat = fstat(&folder).map_err(|errno| Error::new(Code::Io, format!("cannot read {shown}: {errno}")))?;
    if stat.st_uid != super::uid() {
        return refuse(
            format!("{shown} belongs to another user (uid {})", stat.st_uid),
            format!("`sudo chown -R {} {shown}` if it is yours, or set HALLPASS_HOME", super::user_name()),
        );
    }
    if stat.st_mode & 0o777 != DIR_MODE && !mend {
        return refuse(
            format!("{shown} is not for hallpass alone (its mode is {:o}, and must be 700)", stat.st_mode & 0o777),
            format!("name a folder of its own, such as {shown}/hallpass; it is made where it is missing"),
        );
    }
    if stat.st_mode & 0o777 != DIR_MODE {
        fchmod(&folder, Mode::from_raw_mode(DIR_MODE)).map_err(|errno| {
            let text = format!("{shown} has the mode {:o} and it cannot be changed: {errno}", stat.st_mode & 0o777);
            Error::new(Code::Io, text).hint(format!("`chmod 700 {shown}`"))
        })?;
    }
    Ok(())
}

#[cfg(not(unix))]
fn verify(path: &Path, _mend: bool) -> Result<()> {
    if path.is_dir() { Ok(()) } else { Err(Error::new(Code::Io, format!("{} is not a folder", path.display()))) }
}

/// Sets room aside for a file, from `offset` on, without changing its length (fallocate(2)). `false` where the
/// platform or the file system cannot; an error, such as a full disk, where there is no room.
#[cfg(target_os = "linux")]
pub fn reserve(file: &File, offset: u64, length: u64) -> io::Result<bool> {
    use rustix::{
        fs::{FallocateFlags, fallocate},
        io::Errno,
    };
    match fallocate(file, FallocateFlags::KEEP_SIZE, offset, length) {
        Ok(()) => Ok(true),
        Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL | Errno::NODEV | Errno::SPIPE) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Not done on this platform.
#[cfg(not(target_os = "linux"))]
pub fn reserve(_file: &File, _offset: u64, _length: u64) -> io::Result<bool> {
    Ok(false)
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::{
        io::{Read, Write},
        os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    };

    use super::*;

    fn mode(path: &Path) -> u32 {
        path.symlink_metadata().unwrap().mode() & 0o777
    }

    #[test]
    fn a_folder_is_made_with_its_parents_and_tightened_when_it_is_ours() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("a/b");
        private_dir(&path).unwrap();
        assert_eq!((mode(&path), mode(&home.path().join("a"))), (0o700, 0o700));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        private_dir(&path).unwrap();
        assert_eq!(mode(&path), 0o700);
        assert!(is_own_dir(&path, crate::sys::uid()));
        assert!(!is_own_dir(&path, crate::sys::uid() + 1));
    }

    #[test]
    fn a_folder_that_somebody_else_named_stays_as_it_is() {
        let home = tempfile::tempdir().unwrap();
        let (shared, new) = (home.path().join("shared"), home.path().join("new"));
        fs::create_dir(&shared).unwrap();
        fs::set_permissions(&shared, fs::Permissions::from_mode(0o755)).unwrap();
        assert!(own_dir(&shared).unwrap_err().detail.contains("755"));
        assert_eq!(mode(&shared), 0o755, "it may be /etc");
        own_dir(&new).unwrap();
        assert_eq!(mode(&new), 0o700);
    }

    #[test]
    fn a_link_a_file_and_a_foreign_folder_are_refused() {
        let home = tempfile::tempdir().unwrap();
        let (real, link, file) = (home.path().join("real"), home.path().join("link"), home.path().join("file"));
        fs::create_dir(&real).unwrap();
        fs::set_permissions(&real, fs::Permissions::from_mode(0o755)).unwrap();
        symlink(&real, &link).unwrap();
        fs::write(&file, "").unwrap();
        let refused = private_dir(&link).unwrap_err();
        assert!(refused.detail.contains("is a link") && refused.hint.is_some(), "{refused:?}");
        assert_eq!(mode(&real), 0o755, "what a link points at is not touched");
        assert!(!is_own_dir(&link, crate::sys::uid()));
        assert!(private_dir(&file).unwrap_err().detail.contains("not a folder"));
        assert!(private_dir(&file.join("below")).is_err());
        if crate::sys::uid() != 0 {
            assert!(private_dir(Path::new("/")).unwrap_err().detail.contains("another user"));
        }
    }

    #[test]
    fn a_file_is_private_kept_and_appended_to() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("f");
        fs::write(&path, "one\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        private_file(&path, true).unwrap().write_all(b"two\n").unwrap();
        assert_eq!(mode(&path), 0o600);
        let mut text = String::new();
        private_file(&path, false).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "one\ntwo\n");
        private_file(&home.path().join("new"), false).unwrap();
        assert_eq!(mode(&home.path().join("new")), 0o600);
    }

    #[test]
    fn a_fifo_a_link_and_a_device_are_errors_and_do_not_hang() {
        let home = tempfile::tempdir().unwrap();
        let fifo = home.path().join("fifo");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &fifo,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::from_raw_mode(0o600),
            0,
        )
        .unwrap();
        let (done, wait) = std::sync::mpsc::channel();
        let opened = fifo.clone();
        std::thread::spawn(move || done.send([false, true].map(|append| private_file(&opened, append).is_err())));
        assert_eq!(wait.recv_timeout(std::time::Duration::from_secs(10)).unwrap(), [true, true]);
        let link = home.path().join("link");
        symlink(home.path().join("elsewhere"), &link).unwrap();
        assert!(private_file(&link, true).unwrap_err().to_string().contains("is a link"));
        assert!(!home.path().join("elsewhere").exists());
        assert!(private_file(Path::new("/dev/null"), false).is_err());
        assert!(private_file(home.path(), false).is_err());
    }
}
