//! Whether a file is open elsewhere, and keeping it from being opened for a moment.
//!
//! Owns the kernel's file leases (fcntl(2), "Leases"). While one is held, whoever opens the file in a way that
//! conflicts with it waits in open(2) until it is given back, and [`Hold::is_wanted`] tells. Never held for
//! longer than a few system calls: the kernel breaks it after `/proc/sys/fs/lease-break-time`.

use std::fs::File;

use super::platform;

/// What asking for a hold came to.
#[derive(Debug)]
pub enum Asked {
    /// Nobody has it open in a conflicting way, and nobody will while this is held.
    Held(Hold),
    /// Somebody has it open: try again later.
    Busy,
    /// The platform or the file system cannot tell.
    Unknown,
}

/// A hold on a file; given back on drop.
#[derive(Debug)]
pub struct Hold(platform::Lease);

impl Hold {
    /// Somebody is waiting in open(2) for it to end.
    pub fn is_wanted(&self) -> bool {
        self.0.is_wanted()
    }
}

/// Keeps everybody from opening the file for writing. `file` is open for reading only.
pub fn against_writers(file: File) -> Asked {
    asked(platform::lease(file, true))
}

/// Keeps everybody from opening the file at all. `file` is the only descriptor of it in this process.
pub fn against_all(file: File) -> Asked {
    asked(platform::lease(file, false))
}

fn asked(answer: std::io::Result<Option<platform::Lease>>) -> Asked {
    match answer {
        Ok(Some(lease)) => Asked::Held(Hold(lease)),
        Ok(None) => Asked::Unknown,
        Err(_) => Asked::Busy,
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn a_writer_is_seen_and_a_later_one_waits_until_the_hold_ends() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        std::fs::write(&path, "x").unwrap();
        let writer = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
        assert!(matches!(against_writers(File::open(&path).unwrap()), Asked::Busy));
        drop(writer);
        let until = Instant::now() + Duration::from_secs(10);
        // Another test that starts a program right now has the writer's descriptor for a moment.
        let hold = loop {
            match against_writers(File::open(&path).unwrap()) {
                Asked::Held(hold) => break hold,
                Asked::Busy => assert!(Instant::now() < until),
                Asked::Unknown => panic!("a temporary folder without leases"),
            }
        };
        assert!(!hold.is_wanted());
        let late = std::thread::spawn({
            let path = path.clone();
            move || std::fs::write(path, "y").unwrap()
        });
        while !hold.is_wanted() {
            assert!(Instant::now() < until);
            std::thread::yield_now();
        }
        assert_eq!(std::fs::read(&path).unwrap(), b"x");
        drop(hold);
        late.join().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"y");
    }
}
