//! Reading a file that is not ours and that somebody else may be changing.
//!
//! Owns the one way such a file is opened, for the scan, for the watcher's files and for quarantine: opening never
//! waits for another process, never makes a terminal ours and never follows a link that was not looked at. What
//! was read is wiped from memory. It never changes a file, its access time aside.

use std::{
    fs::{File, Metadata},
    io,
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::Path,
};

use rustix::{buffer::spare_capacity, fs::OFlags, io::Errno};
use zeroize::{Zeroize as _, Zeroizing};

use crate::{
    sys,
    watch::volume::{self, Volume},
};

/// What is read unless somebody says otherwise, in bytes: far above every config, far below an image.
pub const MAX_SIZE: u64 = 16 * 1024 * 1024;
/// How much of a file tells whether it is text, in bytes (as git has it).
const SNIFF: usize = 8000;
/// The most memory that a buffer keeps from one file to the next, in bytes: nearly every text fits.
const KEPT: usize = 1024 * 1024;

/// What may be read.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The largest file, in bytes.
    pub size: u64,
    /// Files on a network file system too: a person named them, and knows what they wait for.
    pub network: bool,
}

/// Why a file was not read.
#[derive(Debug)]
pub enum Unread {
    /// It is not there (any more): nothing to do.
    Gone,
    /// It is no text.
    Binary,
    /// It is larger than asked for.
    Huge,
    /// It is a FIFO, a socket, a device or a folder.
    Special,
    /// It is on a network file system.
    Network,
    /// It was written while it was read: look again. The buffer holds what came.
    Changing,
    /// The system refuses.
    Failed(io::Error),
}

impl std::fmt::Display for Unread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Gone => "it is not there any more",
            Self::Binary => "it is no text file",
            Self::Huge => "it is too large to be looked into",
            Self::Special => "it is no plain file",
            Self::Network => "it is on a network file system, which is left alone unless somebody names the file",
            Self::Changing => "it is being written",
            Self::Failed(e) => return write!(f, "it cannot be read: {e}"),
        })
    }
}

/// The bytes of one file, wiped on drop.
///
/// One for each thread, and not one for each file: the next file overwrites the last, which costs nothing, where
/// wiping each would cost a scan some percent of its time. A caller that waits after a file wipes it itself.
#[derive(Default)]
pub struct Buffer(Zeroizing<Vec<u8>>);

impl Buffer {
    /// What was read last.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Wipes it, what earlier files left behind it as well.
    pub fn wipe(&mut self) {
        self.0.zeroize();
    }

    /// Empties it, with room for so many bytes; memory that is given back is wiped.
    fn empty(&mut self, room: usize) {
        if self.0.capacity() < room || self.0.capacity() > KEPT.max(room) {
            self.0 = Zeroizing::new(Vec::with_capacity(room));
        }
        self.0.clear();
    }

    /// Twice the room. A vector that grows by itself would leave its old memory as it is.
    fn grow(&mut self) {
        let mut larger = Zeroizing::new(Vec::with_capacity(self.0.capacity().max(SNIFF) * 2));
        larger.extend_from_slice(&self.0);
        self.0 = larger;
    }
}

/// Reads a plain text file, behind every link.
///
/// # Errors
/// Why it was not read.
pub fn file(path: &Path, limits: Limits, buffer: &mut Buffer) -> Result<(), Unread> {
    buffer.empty(0);
    let file = open(path)?;
    let before = file.metadata().map_err(unread)?;
    if !before.is_file() {
        return Err(Unread::Special);
    }
    if before.len() > limits.size {
        return Err(Unread::Huge);
    }
    if !limits.network && sys::mounts::may_be_remote(&file) && on_network(path) {
        return Err(Unread::Network);
    }
    // One more than it has: the end is then seen without another round.
    buffer.empty(usize::try_from(before.len()).unwrap_or(usize::MAX).saturating_add(1));
    loop {
        match rustix::io::read(&file, spare_capacity(&mut *buffer.0)) {
            Ok(0) => break,
            Ok(_) if buffer.0.len() as u64 > limits.size => return Err(Unread::Huge),
            Ok(_) if buffer.0.len() == buffer.0.capacity() => buffer.grow(),
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(unread(error.into())),
        }
    }
    if is_binary(&buffer.0) {
        return Err(Unread::Binary);
    }
    let after = file.metadata().map_err(unread)?;
    let same = state(&before) == state(&after) && buffer.0.len() as u64 == after.len();
    if same { Ok(()) } else { Err(Unread::Changing) }
}

/// A NUL among the first bytes, unless a byte order mark says UTF-16.
pub fn is_binary(bytes: &[u8]) -> bool {
    let wide = bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]);
    !wide && bytes.get(..SNIFF).unwrap_or(bytes).contains(&0)
}

/// Opens what the path's links lead to now; a link that appears there meanwhile is not followed.
fn open(path: &Path) -> Result<File, Unread> {
    // NONBLOCK: a FIFO would wait for a writer. NOCTTY: a terminal must not become ours.
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
    let open = |path: &Path| File::options().read(true).custom_flags(flags).open(path);
    match open(path) {
        Err(error) if is(&error, Errno::LOOP) => open(&path.canonicalize().map_err(unread)?),
        other => other,
    }
    .map_err(unread)
}

fn on_network(path: &Path) -> bool {
    let Ok(real) = path.canonicalize() else { return false };
    let mounts = sys::mounts::mounts();
    sys::mounts::kind_at(&mounts, &real).is_some_and(|kind| volume::of(kind) == Volume::Network)
}

/// Equal for a file that nobody wrote in between.
fn state(metadata: &Metadata) -> [i64; 5] {
    let size = metadata.len().cast_signed();
    [size, metadata.mtime(), metadata.mtime_nsec(), metadata.ctime(), metadata.ctime_nsec()]
}

fn unread(error: io::Error) -> Unread {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Unread::Gone,
        // A link in the last step was put there since; links that lead in a circle hold nothing either.
        _ if is(&error, Errno::LOOP) => Unread::Gone,
        // open(2): a socket, or a device without a driver.
        _ if is(&error, Errno::NXIO) => Unread::Special,
        _ => Unread::Failed(error),
    }
}

fn is(error: &io::Error, errno: Errno) -> bool {
    error.raw_os_error() == Some(errno.raw_os_error())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    const LIMITS: Limits = Limits { size: MAX_SIZE, network: false };

    fn read(path: &Path) -> Result<Vec<u8>, Unread> {
        let mut buffer = Buffer::default();
        file(path, LIMITS, &mut buffer).map(|()| buffer.bytes().to_vec())
    }

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
        assert_eq!(read(&file).unwrap(), b"A=1\n");
        assert_eq!(read(&link).unwrap(), b"A=1\n");
        std::fs::write(&file, b"A=1\n\0").unwrap();
        assert!(matches!(read(&file), Err(Unread::Binary)));
    }

    #[test]
    fn one_buffer_holds_the_last_file_alone_and_nothing_once_wiped() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("a");
        let mut buffer = Buffer::default();
        for size in [5_000, 3, 0, 3 * KEPT, 7] {
            std::fs::write(&path, vec![b'x'; size]).unwrap();
            file(&path, LIMITS, &mut buffer).unwrap();
            assert_eq!(buffer.bytes(), vec![b'x'; size]);
        }
        assert!(buffer.0.capacity() <= KEPT, "a large file's memory is not kept");
        buffer.wipe();
        assert_eq!(buffer.bytes(), b"");
    }

    #[test]
    fn a_file_whose_size_says_nothing_is_read_to_its_end() {
        let path = Path::new("/proc/self/maps");
        if !path.exists() {
            return;
        }
        let mut buffer = Buffer::default();
        // The kernel makes it while it is read, and says that it has no bytes.
        assert!(matches!(file(path, LIMITS, &mut buffer), Err(Unread::Changing)));
        assert!(buffer.bytes().ends_with(b"\n") && buffer.bytes().len() > 1000);
        let few = Limits { size: 1000, ..LIMITS };
        assert!(matches!(file(path, few, &mut buffer), Err(Unread::Huge)));
    }

    #[test]
    fn a_file_that_is_written_meanwhile_is_said_to_change() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("log");
        std::fs::write(&path, "").unwrap();
        let stop = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    std::fs::write(&path, "x".repeat(100_000)).unwrap();
                }
            });
            let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
            while !matches!(read(&path), Err(Unread::Changing)) {
                assert!(std::time::Instant::now() < until, "it never changed");
            }
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
        });
        assert_eq!(read(&path).unwrap().len(), 100_000);
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
            let read = within_deadline(move || read(&path));
            assert!(matches!(read, Err(Unread::Special)), "{shown:?}: {read:?}");
        }
    }

    #[test]
    fn missing_looping_and_large_ones() {
        let home = tempfile::tempdir().unwrap();
        let path = |name: &str| home.path().join(name);
        assert!(matches!(read(&path("none")), Err(Unread::Gone)));
        symlink(path("b"), path("a")).unwrap();
        symlink(path("a"), path("b")).unwrap();
        assert!(matches!(read(&path("a")), Err(Unread::Gone)));
        symlink(path("none"), path("dangling")).unwrap();
        assert!(matches!(read(&path("dangling")), Err(Unread::Gone)));
        File::create(path("large")).unwrap().set_len(MAX_SIZE + 1).unwrap();
        assert!(matches!(read(&path("large")), Err(Unread::Huge)));
    }
}
