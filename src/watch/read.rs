//! Reading a file that somebody else may be changing.
//!
//! Owns what is never read: what is no regular file, what is too large, what lies on a network. Opening never
//! waits for another process and never follows a link that was not looked at.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use super::volume::{self, Volume};
use crate::sys;

/// The largest file that is read, in bytes.
pub const MAX_SIZE: u64 = 16 * 1024 * 1024;

/// Which file it was, and in which state: equal values mean the same bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The device.
    pub dev: u64,
    /// The inode.
    pub inode: u64,
    /// Bytes.
    pub size: u64,
    /// Modified, nanoseconds of Unix time.
    pub mtime_ns: i64,
    /// Changed (mode, owner, name, content), nanoseconds of Unix time.
    pub ctime_ns: i64,
}

/// Why a file was not read.
#[derive(Debug)]
pub enum Skip {
    /// It is not there (any more): nothing to do. What takes its place raises an event.
    Gone,
    /// A folder, a FIFO, a socket or a device: leave it.
    NotAFile,
    /// Larger than [`MAX_SIZE`]: count it.
    TooLarge(u64),
    /// On a network file system: say that it is left alone.
    Network,
    /// It changed while it was read: look again, an event follows.
    Changing,
    /// It cannot be read: report it.
    Unreadable(io::Error),
}

/// The bytes of the file and which one it was. Links are resolved first; what they lead to is then opened
/// without following another one.
pub fn read_candidate(path: &Path) -> Result<(Vec<u8>, Identity), Skip> {
    let real = resolve(path)?;
    let file = open(&real)?;
    let before = identity(&file)?;
    if before.size > MAX_SIZE {
        return Err(Skip::TooLarge(before.size));
    }
    if sys::mounts::may_be_remote(&file) && on_network(&real) {
        return Err(Skip::Network);
    }
    let mut bytes = Vec::with_capacity(usize::try_from(before.size).unwrap_or_default() + 1);
    (&file).take(MAX_SIZE + 1).read_to_end(&mut bytes).map_err(skip)?;
    // A file that grew past the bound while it was read changed, too.
    if identity(&file)? != before || bytes.len() as u64 != before.size {
        return Err(Skip::Changing);
    }
    Ok((bytes, before))
}

fn on_network(real: &Path) -> bool {
    let mounts = sys::mounts::mounts();
    sys::mounts::kind_at(&mounts, real).is_some_and(|kind| volume::of(kind) == Volume::Network)
}

fn resolve(path: &Path) -> Result<PathBuf, Skip> {
    let metadata = path.symlink_metadata().map_err(skip)?;
    let real = if metadata.is_symlink() { path.canonicalize().map_err(skip)? } else { path.to_path_buf() };
    Ok(real)
}

fn open(path: &Path) -> Result<File, Skip> {
    let mut options = File::options();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        // NONBLOCK: a FIFO would wait for a writer. NOCTTY: a terminal must not become ours.
        let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
        options.custom_flags(flags.bits().cast_signed());
    }
    let file = options.open(path).map_err(skip)?;
    if file.metadata().map_err(skip)?.is_file() { Ok(file) } else { Err(Skip::NotAFile) }
}

fn identity(file: &File) -> Result<Identity, Skip> {
    let metadata = file.metadata().map_err(skip)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let ns = |s: i64, ns: i64| s.saturating_mul(1_000_000_000).saturating_add(ns);
        Ok(Identity {
            dev: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            mtime_ns: ns(metadata.mtime(), metadata.mtime_nsec()),
            ctime_ns: ns(metadata.ctime(), metadata.ctime_nsec()),
        })
    }
    #[cfg(not(unix))]
    {
        let since = |time: io::Result<std::time::SystemTime>| {
            let passed = time.ok().and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok()).unwrap_or_default();
            i64::try_from(passed.as_nanos()).unwrap_or(i64::MAX)
        };
        let (mtime_ns, ctime_ns) = (since(metadata.modified()), since(metadata.created()));
        Ok(Identity { dev: 0, inode: 0, size: metadata.len(), mtime_ns, ctime_ns })
    }
}

fn skip(error: io::Error) -> Skip {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Skip::Gone,
        // A link in the last step was put there since; links that lead in a circle hold nothing either.
        _ if error.raw_os_error() == Some(LOOP) => Skip::Gone,
        // open(2): a socket, or a device without a driver.
        _ if error.raw_os_error() == Some(NO_DEVICE) => Skip::NotAFile,
        _ => Skip::Unreadable(error),
    }
}

#[cfg(unix)]
const LOOP: i32 = rustix::io::Errno::LOOP.raw_os_error();
#[cfg(unix)]
const NO_DEVICE: i32 = rustix::io::Errno::NXIO.raw_os_error();
#[cfg(not(unix))]
const LOOP: i32 = i32::MIN;
#[cfg(not(unix))]
const NO_DEVICE: i32 = i32::MIN;

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn within_deadline<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
        let (done, wait) = std::sync::mpsc::channel();
        std::thread::spawn(move || done.send(work()));
        wait.recv_timeout(std::time::Duration::from_secs(10)).expect("it waits for another process")
    }

    #[test]
    fn a_file_and_a_link_to_it() {
        let home = tempfile::tempdir().unwrap();
        let (file, link) = (home.path().join(".env"), home.path().join("link"));
        std::fs::write(&file, "A=1\n").unwrap();
        symlink(&file, &link).unwrap();
        let (bytes, identity) = read_candidate(&file).unwrap();
        assert_eq!((bytes.as_slice(), identity.size), (b"A=1\n".as_slice(), 4));
        assert_eq!(read_candidate(&link).unwrap(), (bytes, identity));
        std::fs::write(&file, "A=2\n").unwrap();
        assert_ne!(read_candidate(&file).unwrap().1, identity);
    }

    #[test]
    fn what_is_no_file_never_blocks() {
        let home = tempfile::tempdir().unwrap();
        let (fifo, link, socket) = (home.path().join(".env"), home.path().join("link"), home.path().join("s.json"));
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        symlink(&fifo, &link).unwrap();
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        for path in [fifo, link, socket, home.path().to_path_buf(), "/dev/tty".into(), "/dev/zero".into()] {
            let shown = path.clone();
            let read = within_deadline(move || read_candidate(&path));
            assert!(matches!(read, Err(Skip::NotAFile)), "{shown:?}: {read:?}");
        }
    }

    #[test]
    fn missing_looping_and_large_ones() {
        let home = tempfile::tempdir().unwrap();
        let path = |name: &str| home.path().join(name);
        assert!(matches!(read_candidate(&path("none")), Err(Skip::Gone)));
        symlink(path("b"), path("a")).unwrap();
        symlink(path("a"), path("b")).unwrap();
        assert!(matches!(read_candidate(&path("a")), Err(Skip::Gone)));
        symlink(path("none"), path("dangling")).unwrap();
        assert!(matches!(read_candidate(&path("dangling")), Err(Skip::Gone)));
        File::create(path("large")).unwrap().set_len(MAX_SIZE + 1).unwrap();
        assert!(matches!(read_candidate(&path("large")), Err(Skip::TooLarge(size)) if size == MAX_SIZE + 1));
    }
}
