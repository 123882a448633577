//! The file that is to be changed: found once, and held by its folder from then on.
//!
//! Owns how it is opened: behind its links, never through one that appears later, without waiting for a FIFO's
//! other end. Refuses what quarantine must not touch.

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, Read},
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::MetadataExt,
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, Mode, OFlags, openat, statat, unlinkat},
    io::{Errno, retry_on_intr},
};
use zeroize::Zeroizing;

use super::{edit::Print, error::TakeError, item::Change};
use crate::sys;

/// The largest file that is rewritten, in bytes: it is held in memory twice.
const MOST: u64 = 256 << 20;
const OWNER_WRITES: u32 = 0o200;

/// A file by its folder and its name in it.
pub(super) struct Place {
    pub(super) folder: OwnedFd,
    pub(super) name: OsString,
    /// Behind every link.
    pub(super) path: PathBuf,
}

/// What it was when it was read.
#[derive(Debug)]
pub(super) struct Look {
    pub(super) bytes: Zeroizing<Vec<u8>>,
    pub(super) stamp: Stamp,
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// How many names it has.
    pub(super) links: u64,
}

/// Tells one state of a file from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) device: u64,
    pub(super) inode: u64,
    pub(super) size: u64,
    pub(super) modified_ns: i64,
}

/// What stands under a name.
pub(super) enum There {
    Nothing,
    File(Look),
    /// A link, a folder, a FIFO: nothing of ours.
    Other,
}

impl There {
    pub(super) fn file(self) -> Option<Look> {
        if let Self::File(look) = self { Some(look) } else { None }
    }
}

impl Place {
    /// Follows every link of the path and opens the folder that the file itself is in.
    pub(super) fn find(path: &Path) -> Result<Self, TakeError> {
        let path = std::fs::canonicalize(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => TakeError::Gone,
            _ if error.raw_os_error() == Some(libc::ELOOP) => TakeError::Unfit("its links lead in a circle".into()),
            _ => TakeError::Io { doing: "finding the file", error },
        })?;
        Self::at(path)
    }

    /// The place of a path that holds no link.
    pub(super) fn at(path: PathBuf) -> Result<Self, TakeError> {
        let unfit = || TakeError::Unfit("it is no regular file".into());
        let name = path.file_name().ok_or_else(unfit)?.to_owned();
        let folder = sys::open_folder(path.parent().ok_or_else(unfit)?).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => TakeError::Gone,
            // A folder of the path was replaced by a link.
            _ if error.raw_os_error() == Some(libc::ELOOP) => TakeError::Changed,
            _ => TakeError::Io { doing: "opening the file's folder", error },
        })?;
        Ok(Self { folder, name, path })
    }

    /// Opens the file, or another one of its folder, if it is a regular file. `None` when it is not there.
    pub(super) fn open(&self, name: &OsStr, write: bool) -> io::Result<Option<File>> {
        let access = if write { OFlags::RDWR } else { OFlags::RDONLY };
        // Without NONBLOCK, opening a FIFO waits for its other end.
        let flags = access | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = match retry_on_intr(|| openat(&self.folder, name, flags, Mode::empty())) {
            Ok(file) => File::from(file),
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        if file.metadata()?.is_file() { Ok(Some(file)) } else { Err(io::ErrorKind::InvalidInput.into()) }
    }

    /// Opens the file once more; what has come in its place meanwhile is a change.
    pub(super) fn open_again(&self) -> Result<File, TakeError> {
        match self.open(&self.name, false) {
            Ok(Some(file)) => Ok(file),
            Ok(None) => Err(TakeError::Changed),
            Err(error) if is_other(&error) => Err(TakeError::Changed),
            Err(error) => Err(TakeError::Io { doing: "opening the file", error }),
        }
    }

    /// Reads the file as it is, whoever's it is.
    pub(super) fn read(&self, name: &OsStr) -> io::Result<Option<Look>> {
        self.open(name, false)?.map(look).transpose()
    }

    /// What stands under this name of the folder.
    pub(super) fn there(&self, name: &OsStr) -> io::Result<There> {
        match self.read(name) {
            Ok(Some(look)) => Ok(There::File(look)),
            Ok(None) => Ok(There::Nothing),
            Err(error) if is_other(&error) => Ok(There::Other),
            Err(error) => Err(error),
        }
    }

    /// Reads the file, if it is one that may be changed.
    pub(super) fn look(&self) -> Result<Look, TakeError> {
        let file = match self.open(&self.name, false) {
            Ok(Some(file)) => file,
            Ok(None) => return Err(TakeError::Gone),
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                return Err(TakeError::Unfit("it is no regular file".into()));
            }
            // It was a file and is a link, or a socket, now.
            Err(error) if matches!(error.raw_os_error(), Some(libc::ELOOP | libc::ENXIO)) => {
                return Err(TakeError::Changed);
            }
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                return Err(TakeError::ReadOnly("the file cannot be read"));
            }
            Err(error) => return Err(TakeError::Io { doing: "opening the file", error }),
        };
        let metadata = file.metadata().map_err(TakeError::io("reading the file"))?;
        if metadata.uid() != sys::uid() {
            return Err(TakeError::NotOurs { uid: metadata.uid() });
        }
        if metadata.mode() & OWNER_WRITES == 0 {
            return Err(TakeError::ReadOnly("the file is read-only"));
        }
        if metadata.len() > MOST {
            return Err(TakeError::Unfit(format!("it is larger than {} MiB", MOST >> 20)));
        }
        let folder =
            rustix::fs::fstat(&self.folder).map_err(|error| TakeError::io("reading the folder")(error.into()))?;
        // Root may write anywhere; what the owner made read-only is left alone all the same.
        if folder.st_uid == sys::uid() && folder.st_mode & OWNER_WRITES == 0 {
            return Err(TakeError::ReadOnly("the file's folder is read-only"));
        }
        look(file).map_err(TakeError::io("reading the file"))
    }

    /// Removes a file of the folder; it may be gone already.
    pub(super) fn unlink(&self, name: &OsStr) -> io::Result<()> {
        match retry_on_intr(|| unlinkat(&self.folder, name, AtFlags::empty())) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            // A file system that cannot be written says so before it looks whether the file is there.
            Err(Errno::ROFS) if self.is_gone(name) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn is_gone(&self, name: &OsStr) -> bool {
        let looked = retry_on_intr(|| statat(&self.folder, name, AtFlags::SYMLINK_NOFOLLOW));
        matches!(looked, Err(Errno::NOENT))
    }

    /// Makes the folder's entries durable.
    pub(super) fn sync(&self) -> io::Result<()> {
        match retry_on_intr(|| rustix::fs::fsync(self.folder.as_fd())) {
            // A file system on which folders need none.
            Ok(()) | Err(Errno::INVAL) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl Look {
    /// The change of this file to other bytes.
    pub(super) fn change(&self, before: Print, after: Print) -> Change {
        Change { inode: self.stamp.inode, modified_ns: self.stamp.modified_ns, before, after }
    }

    /// True when it is untouched since the change was planned. The device may have another number after a reboot.
    pub(super) fn is_before(&self, change: &Change) -> bool {
        (self.stamp.inode, self.stamp.modified_ns) == (change.inode, change.modified_ns)
            && change.before.fits(&self.bytes)
    }
}

/// True when a file could not be opened because it is none.
fn is_other(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::InvalidInput || matches!(error.raw_os_error(), Some(libc::ELOOP | libc::ENXIO))
}

/// The stamp of an open file.
pub(super) fn stamp(file: &File) -> io::Result<Stamp> {
    Ok(stamp_of(&file.metadata()?))
}

fn stamp_of(metadata: &std::fs::Metadata) -> Stamp {
    let modified_ns = metadata.mtime().saturating_mul(1_000_000_000).saturating_add(metadata.mtime_nsec());
    Stamp { device: metadata.dev(), inode: metadata.ino(), size: metadata.len(), modified_ns }
}

fn look(mut file: File) -> io::Result<Look> {
    // Room for all of it: a vector that grows leaves its old memory as it is.
    let room = usize::try_from(file.metadata()?.len().min(MOST)).unwrap_or_default();
    let mut bytes = Zeroizing::new(Vec::with_capacity(room + 1));
    (&mut file).take(MOST + 1).read_to_end(&mut bytes)?;
    // After reading: a write in between is seen as a later stamp and a length that does not fit.
    let metadata = file.metadata()?;
    Ok(Look {
        bytes,
        stamp: stamp_of(&metadata),
        mode: metadata.mode() & 0o7777,
        uid: metadata.uid(),
        gid: metadata.gid(),
        links: metadata.nlink(),
    })
}
