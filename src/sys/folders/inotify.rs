//! The watched folders on Linux: one inotify descriptor, one thread that reads it.

use std::{
    collections::HashMap,
    ffi::OsStr,
    io,
    mem::MaybeUninit,
    os::{fd::OwnedFd, unix::ffi::OsStrExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
};

use rustix::{
    event::{EventfdFlags, PollFd, PollFlags, eventfd, poll},
    fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags},
    io::Errno,
};

use super::{AddError, Change, Listener};

/// What is asked for. Not opens and reads, which a search through a project makes by the thousand; not each
/// single write, because a file is judged once its writer has closed it.
const ASKED: WatchFlags = WatchFlags::CREATE
    .union(WatchFlags::CLOSE_WRITE)
    .union(WatchFlags::MOVED_TO)
    .union(WatchFlags::MOVED_FROM)
    .union(WatchFlags::DELETE_SELF)
    .union(WatchFlags::MOVE_SELF)
    .union(WatchFlags::EXCL_UNLINK)
    .union(WatchFlags::ONLYDIR);

/// Bytes read at once: some 2,000 events.
const BUFFER: usize = 64 * 1024;

/// A set of watched folders.
pub struct Folders {
    shared: Arc<Shared>,
    reader: Option<JoinHandle<()>>,
}

struct Shared {
    inotify: OwnedFd,
    stop: OwnedFd,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    paths: HashMap<i32, Watched>,
    round: u32,
}

struct Watched {
    path: Box<Path>,
    round: u32,
}

impl Folders {
    /// An empty set and its thread, which sleeps until something happens.
    pub fn new(listener: impl Listener) -> io::Result<Self> {
        let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        let stop = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let shared = Arc::new(Shared { inotify, stop, table: Mutex::default() });
        let theirs = Arc::clone(&shared);
        let reader = std::thread::Builder::new()
            .name("hallpass-events".into())
            .stack_size(256 * 1024)
            .spawn(move || theirs.read(&listener))?;
        Ok(Self { shared, reader: Some(reader) })
    }

    /// Watches the folder, if no more than `max` are watched then. One that is watched already costs a system call
    /// and no second watch; its path is the one named last.
    pub fn add(&self, path: &Path, max: usize) -> Result<(), AddError> {
        // The lock is held over the system call, so that the reader knows the path of the first event.
        let mut table = self.shared.lock();
        let wd = inotify::add_watch(&self.shared.inotify, path, ASKED).map_err(|errno| match errno {
            Errno::NOENT | Errno::NOTDIR | Errno::LOOP => AddError::Gone,
            Errno::NOSPC | Errno::NOMEM => AddError::Limit,
            other => AddError::Other(other.into()),
        })?;
        let (round, count) = (table.round, table.paths.len());
        match table.paths.get_mut(&wd) {
            Some(known) if &*known.path == path => known.round = round,
            Some(known) => *known = Watched { path: path.into(), round },
            None if count >= max => {
                let _ = inotify::remove_watch(&self.shared.inotify, wd);
                return Err(AddError::Limit);
            }
            None => {
                table.paths.insert(wd, Watched { path: path.into(), round });
            }
        }
        Ok(())
    }

    /// Forgets the folder and all that is below it.
    pub fn remove_below(&self, path: &Path) {
        self.drop_where(|watched, _| watched.path.starts_with(path));
    }

    /// Begins a round: what is not added again until [`Folders::end_round`] is forgotten by it.
    pub fn begin_round(&self) {
        let mut table = self.shared.lock();
        table.round = table.round.wrapping_add(1);
    }

    /// Ends a round.
    pub fn end_round(&self) {
        self.drop_where(|watched, round| watched.round != round);
    }

    /// How many are watched.
    pub fn count(&self) -> usize {
        self.shared.lock().paths.len()
    }

    fn drop_where(&self, matches: impl Fn(&Watched, u32) -> bool) {
        let mut table = self.shared.lock();
        let round = table.round;
        table.paths.retain(|wd, watched| {
            let gone = matches(watched, round);
            if gone {
                // It fails where the kernel dropped the watch itself: the same in the end.
                let _ = inotify::remove_watch(&self.shared.inotify, *wd);
            }
            !gone
        });
        // A set that was large once does not stay so.
        table.paths.shrink_to(64);
    }
}

impl Drop for Folders {
    fn drop(&mut self) {
        let _ = rustix::io::write(&self.shared.stop, &1_u64.to_ne_bytes());
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self, listener: &impl Listener) {
        let mut buffer = vec![MaybeUninit::uninit(); BUFFER];
        let mut events = Reader::new(&self.inotify, &mut buffer);
        loop {
            match events.next() {
                Ok(event) => {
                    if let Some((path, change)) = self.judge(event.wd(), event.events(), event.file_name()) {
                        listener(&path, change);
                    }
                }
                Err(Errno::WOULDBLOCK) => {
                    let mut waiting =
                        [PollFd::new(&self.inotify, PollFlags::IN), PollFd::new(&self.stop, PollFlags::IN)];
                    // Waits without a limit: nothing wakes it but an event and the end.
                    match poll(&mut waiting, None) {
                        Ok(_) | Err(Errno::INTR) => {}
                        Err(_) => return,
                    }
                    if waiting.get(1).is_some_and(|stop| !stop.revents().is_empty()) {
                        return;
                    }
                }
                Err(Errno::INTR) => {}
                Err(_) => {
                    listener(Path::new(""), Change::Lost);
                    return;
                }
            }
        }
    }

    /// What an event says, and of which path; `None` for what is nobody's business.
    fn judge(&self, wd: i32, events: ReadFlags, name: Option<&std::ffi::CStr>) -> Option<(PathBuf, Change)> {
        if events.contains(ReadFlags::QUEUE_OVERFLOW) {
            return Some((PathBuf::new(), Change::Lost));
        }
        let mut table = self.lock();
        if events.contains(ReadFlags::IGNORED) {
            // The kernel dropped the watch: the folder was removed or unmounted.
            return table.paths.remove(&wd).map(|watched| (watched.path.into_path_buf(), Change::Left));
        }
        let folder = &*table.paths.get(&wd)?.path;
        let Some(name) = name else {
            return events.contains(ReadFlags::MOVE_SELF).then(|| (folder.to_path_buf(), Change::Left));
        };
        let is_folder = events.contains(ReadFlags::ISDIR);
        let change = if events.contains(ReadFlags::MOVED_FROM) {
            if !is_folder {
                return None;
            }
            Change::Left
        } else if is_folder {
            Change::Folder
        } else {
            Change::Written
        };
        Some((folder.join(OsStr::from_bytes(name.to_bytes())), change))
    }
}
