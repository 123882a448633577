//! The files of the streams: their names, how they are opened, how they end.
//!
//! Owns the refusal of anything that is not a plain file of ours in a folder of ours.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use super::line::{self, Head};
use crate::{api::problem::Code, error::Error, principal::Kind};

/// How much of a file's end is read to find its last line.
const TAIL: u64 = 2 * line::MAX_LINE as u64;

/// What stands at a file's end.
pub(super) struct End {
    /// The last line that is one of ours.
    pub(super) head: Option<Head>,
    /// Bytes after the last whole line, or of a last line that is no JSON.
    pub(super) torn: u64,
    /// Those bytes are a whole line but for its newline.
    pub(super) torn_is_whole: bool,
}

/// Reads how a file of this length ends.
pub(super) fn read_end(mut file: &File, length: u64) -> io::Result<End> {
    let from = length.saturating_sub(TAIL);
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(TAIL).read_to_end(&mut bytes)?;
    let whole = bytes.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
    let (mut lines, rest) = bytes.split_at_checked(whole).unwrap_or((&bytes, &[]));
    let mut torn = rest.len() as u64;
    if !rest.is_empty() && line::is_intact(rest) && line::parse(rest).is_some() {
        let head = line::parse(rest).map(|entry| Head { seq: entry.seq, hash: entry.hash });
        return Ok(End { head, torn, torn_is_whole: true });
    }
    // A last line that is no JSON is what a power cut leaves; what stands before it stays where it is.
    loop {
        let body = lines.strip_suffix(b"\n").unwrap_or(lines);
        if body.is_empty() {
            return Ok(End { head: None, torn, torn_is_whole: false });
        }
        let start = body.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
        let (before, last) = body.split_at_checked(start).unwrap_or((&[], body));
        if let Some(entry) = line::parse(last) {
            return Ok(End { head: Some(Head { seq: entry.seq, hash: entry.hash }), torn, torn_is_whole: false });
        }
        torn += lines.len().saturating_sub(before.len()) as u64;
        lines = before;
    }
}

/// The name of the file a kind's lines go to.
pub(super) fn file_name(kind: Kind) -> String {
    format!("{}.jsonl", kind.word())
}

/// A kind's rotated files, oldest first.
pub(super) fn rotated(dir: &Path, kind: Kind) -> io::Result<Vec<(u64, PathBuf)>> {
    let prefix = format!("{}.", file_name(kind));
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let number = entry.file_name().to_str().and_then(|n| n.strip_prefix(&prefix)).and_then(|n| n.parse().ok());
        if let Some(number) = number {
            found.push((number, entry.path()));
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// The folder, made where it is missing. `Err` for a folder that is not ours alone; `Ok(Some)` for one
/// that cannot be made now.
pub(super) fn private_dir(dir: &Path) -> Result<Option<io::Error>, Error> {
    let made = DirBuilder::new().recursive(true).mode(crate::paths::DIR_MODE).create(dir);
    let metadata = match (made, dir.symlink_metadata()) {
        (_, Ok(metadata)) => metadata,
        (Err(e), Err(_)) | (Ok(()), Err(e)) => return Ok(Some(e)),
    };
    let place = dir.display();
    let wrong = |what: &str, hint: String| Err(Error::new(Code::StateUnwritable, what).hint(hint));
    if !metadata.is_dir() {
        return wrong(
            &format!("{place} is a link or no folder, so the audit log is not written there"),
            format!("move {place} away; hallpass makes the folder anew"),
        );
    }
    if metadata.uid() != crate::sys::uid() {
        return wrong(&format!("{place} belongs to another user"), format!("move {place} away"));
    }
    if metadata.mode() & 0o077 != 0 {
        return wrong(&format!("{place} is open to other users"), format!("chmod 700 '{place}'"));
    }
    Ok(None)
}

pub(super) fn open_append(path: &Path) -> io::Result<File> {
    regular(options().append(true).create(true), path)
}

pub(super) fn open_read(path: &Path) -> io::Result<File> {
    regular(&mut options(), path)
}

pub(super) fn create_new(path: &Path) -> io::Result<File> {
    regular(options().write(true).create_new(true), path)
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    // Without O_NONBLOCK a FIFO in the file's place would hang the daemon.
    options.read(true).mode(crate::paths::FILE_MODE).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    options
}

fn regular(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let file = options.open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "something that is no plain file is in its place"));
    }
    Ok(file)
}

/// Another error that says the same.
pub(super) fn copy(e: &io::Error) -> io::Error {
    e.raw_os_error().map_or_else(|| io::Error::new(e.kind(), e.to_string()), io::Error::from_raw_os_error)
}
