//! Putting a new content in a file's place.
//!
//! Owns the order: a new file beside it with the same mode, owner and attributes, synced and read back; the old
//! one looked at once more; the two exchanged; what was displaced looked at; the folder synced. What somebody
//! wrote in between is put back. A file that another name or a mount holds on to is written in place.

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::PermissionsExt,
};

use rustix::{
    fs::{Gid, Mode, OFlags, RenameFlags, Uid, fchown, openat, renameat, renameat_with},
    io::{Errno, retry_on_intr},
};

use zeroize::Zeroizing;

use super::{
    attributes,
    error::TakeError,
    in_place::write_in_place,
    place::{Look, Place, Stamp, stamp},
};
use crate::sys::hold::{Asked, Hold, against_writers};

/// How often two files are exchanged until it is clear who wrote last.
const MOST_EXCHANGES: u32 = 100;

/// The beginning of the name of the file that is written beside another one. A watcher need not look at it.
pub const BESIDE: &str = ".hallpass-";

/// True for the name of such a file. One that is there for longer than a moment was left by a take or a restore that
/// was cut off, and may hold the secrets: [`super::Quarantine::settle`] finishes it.
pub fn is_beside(name: &OsStr) -> bool {
    let id = name.to_str().and_then(|name| name.strip_prefix(BESIDE));
    id.is_some_and(|id| id.len() == 10 && id.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// The name of the file beside, for an item.
pub(super) fn beside(id: &str) -> OsString {
    format!("{BESIDE}{id}").into()
}

/// How writing ended when it did not end well.
pub(super) enum WriteError {
    /// The old file is there, and nothing else.
    Before(TakeError),
    /// Not known, or not tidy: to be settled by the journal.
    Unfinished(&'static str, io::Error),
}

use WriteError::{Before, Unfinished};

/// Replaces what `old` was read from by these bytes. `in_place` is called, and must be durable, before the file is
/// written in place.
pub(super) fn replace(
    place: &Place,
    id: &str,
    old: &Look,
    new: &[u8],
    in_place: &mut dyn FnMut() -> io::Result<()>,
) -> Result<(), WriteError> {
    let name = beside(id);
    let result = make(place, &name, old, new).map_err(Before).and_then(|made| {
        // A rename would leave the old content under the other names.
        if old.links > 1 {
            write_in_place(place, old, new, in_place)
        } else {
            swap(place, &name, old, new, made, in_place)
        }
    });
    match result {
        Err(Before(error)) => {
            place.unlink(&name).map_err(|error| Unfinished("removing the new file", error))?;
            Err(Before(error))
        }
        Err(unfinished) => Err(unfinished),
        Ok(()) => tidy(place, &name),
    }
}

/// Removes the file beside and makes all of it durable.
pub(super) fn tidy(place: &Place, name: &std::ffi::OsStr) -> Result<(), WriteError> {
    place.unlink(name).map_err(|error| Unfinished("removing the old file", error))?;
    place.sync().map_err(|error| Unfinished("syncing the folder", error))
}

/// Writes the new file, durably, with the old one's mode, owner and attributes.
fn make(place: &Place, name: &std::ffi::OsStr, old: &Look, new: &[u8]) -> Result<Stamp, TakeError> {
    let failed = |doing| move |error: Errno| TakeError::Io { doing, error: error.into() };
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let create = || retry_on_intr(|| openat(&place.folder, name, flags, Mode::RUSR | Mode::WUSR));
    let created = match create() {
        // Left behind by an attempt that could not remove it; the name is nobody else's.
        Err(Errno::EXIST) => {
            place.unlink(name).map_err(TakeError::io("removing an earlier new file"))?;
            create()
        }
        other => other,
    };
    let mut file = File::from(created.map_err(|error| match error {
        Errno::ACCESS | Errno::PERM | Errno::ROFS => TakeError::ReadOnly("the file's folder cannot be written"),
        error => failed("making the new file")(error),
    })?);
    file.write_all(new).map_err(TakeError::io("writing the new file"))?;
    let old_file = place.open_again()?;
    retry_on_intr(|| fchown(&file, Some(Uid::from_raw(old.uid)), Some(Gid::from_raw(old.gid)))).map_err(|error| {
        match error {
            Errno::PERM => TakeError::Unfit("its group could not be kept".into()),
            error => failed("giving the new file its owner")(error),
        }
    })?;
    let mode = std::fs::Permissions::from_mode(old.mode);
    file.set_permissions(mode).map_err(TakeError::io("giving the new file its mode"))?;
    attributes::copy(&old_file, &file)?;
    file.sync_all().map_err(TakeError::io("syncing the new file"))?;
    read_back(&mut file, new)?;
    stamp(&file).map_err(TakeError::io("reading the new file"))
}

fn read_back(file: &mut File, new: &[u8]) -> Result<(), TakeError> {
    // Of a restore it has the secrets.
    let mut read = Zeroizing::new(Vec::with_capacity(new.len() + 1));
    file.seek(SeekFrom::Start(0))
        .and_then(|_| file.read_to_end(&mut read))
        .map_err(TakeError::io("reading the new file back"))?;
    if read.as_slice() == new {
        Ok(())
    } else {
        let error = io::Error::other("it reads back differently");
        Err(TakeError::Io { doing: "reading the new file back", error })
    }
}

/// Looks at the file once more, and keeps writers out from here on where the system can.
pub(super) fn still(place: &Place, old: &Look) -> Result<Option<Hold>, TakeError> {
    let hold = match against_writers(place.open_again()?) {
        Asked::Busy => return Err(TakeError::Busy),
        Asked::Held(hold) => Some(hold),
        Asked::Unknown => None,
    };
    let now = place.read(&place.name).map_err(|_| TakeError::Changed)?.ok_or(TakeError::Changed)?;
    let same = now.stamp == old.stamp && now.bytes == old.bytes && now.links == old.links;
    if same { Ok(hold) } else { Err(TakeError::Changed) }
}

fn swap(
    place: &Place,
    name: &std::ffi::OsStr,
    old: &Look,
    new: &[u8],
    made: Stamp,
    in_place: &mut dyn FnMut() -> io::Result<()>,
) -> Result<(), WriteError> {
    let hold = still(place, old).map_err(Before)?;
    match exchange(place, name) {
        Ok(()) => {}
        Err(Errno::BUSY) => {
            drop(hold);
            return write_in_place(place, old, new, in_place);
        }
        // A file system that cannot exchange two names.
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
            if hold.as_ref().is_some_and(Hold::is_wanted) {
                return Err(Before(TakeError::Busy));
            }
            return match retry_on_intr(|| renameat(&place.folder, name, &place.folder, &place.name)) {
                Ok(()) => Ok(()),
                Err(Errno::BUSY) => {
                    drop(hold);
                    write_in_place(place, old, new, in_place)
                }
                Err(error) => Err(Before(refused(error))),
            };
        }
        Err(error) => return Err(Before(refused(error))),
    }
    // What was displaced must be what was read, with nobody waiting to write to it.
    let displaced = place.there(name).map_err(|error| Unfinished("reading the old file", error))?;
    let same = displaced.file().is_some_and(|now| now.stamp == old.stamp && now.bytes == old.bytes);
    if same && !hold.as_ref().is_some_and(Hold::is_wanted) {
        return Ok(());
    }
    put_back(place, name, made.inode)?;
    Err(Before(TakeError::Busy))
}

/// Exchanges again until the file beside is ours: what others wrote, the latest of it, is in its place.
pub(super) fn put_back(place: &Place, name: &std::ffi::OsStr, ours: u64) -> Result<(), WriteError> {
    let mut mine = ours;
    for _ in 0..MOST_EXCHANGES {
        let there = inode(place, name)?;
        exchange(place, name).map_err(|error| Unfinished("putting back what another program wrote", error.into()))?;
        if inode(place, name)? == mine {
            return Ok(());
        }
        // Somebody replaced the file in between: theirs is the latest.
        mine = there;
    }
    Err(Unfinished("putting back what another program wrote", io::ErrorKind::ResourceBusy.into()))
}

fn inode(place: &Place, name: &std::ffi::OsStr) -> Result<u64, WriteError> {
    rustix::fs::statat(&place.folder, name, rustix::fs::AtFlags::SYMLINK_NOFOLLOW)
        .map(|stat| stat.st_ino)
        .map_err(|error| Unfinished("reading what another program wrote", error.into()))
}

fn exchange(place: &Place, name: &std::ffi::OsStr) -> Result<(), Errno> {
    retry_on_intr(|| renameat_with(&place.folder, name, &place.folder, &place.name, RenameFlags::EXCHANGE))
}

fn refused(error: Errno) -> TakeError {
    match error {
        Errno::ACCESS | Errno::PERM | Errno::ROFS => TakeError::ReadOnly("the file may not be replaced"),
        Errno::NOENT => TakeError::Changed,
        error => TakeError::Io { doing: "putting the new file in place", error: error.into() },
    }
}
