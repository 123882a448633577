//! Reading a file that may be anything.
//!
//! Owns the one way a foreign file is opened: a FIFO does not hang it, a device is not touched, a huge or binary
//! file is said to be one. It never changes a file, its access time aside.

use std::{
    fs::File,
    io::{self, Read as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::Path,
};

/// What is read unless somebody says otherwise, in bytes: far above every config, far below an image.
pub const MAX_SIZE: u64 = 16 * 1024 * 1024;
/// How much of a file tells whether it is text, in bytes (as git has it).
const SNIFF: usize = 8000;

/// A file's bytes and which file it was.
#[derive(Debug)]
pub struct Read {
    /// The content.
    pub bytes: Vec<u8>,
    /// Which file, and in what state.
    pub identity: Identity,
}

/// Which file, and in what state: another write or another file shows here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The file system.
    pub dev: u64,
    /// The file in it.
    pub inode: u64,
    /// Its size in bytes.
    pub size: u64,
    /// Its last write, in nanoseconds since 1970.
    pub mtime: i128,
}

/// Why a file was not read.
#[derive(Debug)]
pub enum Unread {
    /// It is no text.
    Binary,
    /// It is larger than asked for.
    Huge,
    /// It is a FIFO, a socket, a device or a folder.
    Special,
    /// The system refuses.
    Failed(io::Error),
}

/// Reads a plain text file of at most `most` bytes, following links.
///
/// # Errors
/// Why it was not read.
pub fn file(path: &Path, most: u64) -> Result<Read, Unread> {
    // O_NONBLOCK: opening a FIFO for reading would wait for a writer. O_NOCTTY: nor may a terminal become ours.
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    let mut file = File::options().read(true).custom_flags(flags).open(path).map_err(Unread::Failed)?;
    let metadata = file.metadata().map_err(Unread::Failed)?;
    if !metadata.is_file() {
        return Err(Unread::Special);
    }
    if metadata.len() > most {
        return Err(Unread::Huge);
    }
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or_default() + 1);
    file.by_ref().take(most + 1).read_to_end(&mut bytes).map_err(Unread::Failed)?;
    if bytes.len() as u64 > most {
        return Err(Unread::Huge);
    }
    if is_binary(&bytes) {
        return Err(Unread::Binary);
    }
    let identity = Identity {
        dev: metadata.dev(),
        inode: metadata.ino(),
        size: metadata.len(),
        mtime: i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec()),
    };
    Ok(Read { bytes, identity })
}

/// A NUL among the first bytes, unless a byte order mark says UTF-16.
pub fn is_binary(bytes: &[u8]) -> bool {
    let wide = bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]);
    !wide && bytes.get(..SNIFF).unwrap_or(bytes).contains(&0)
}
