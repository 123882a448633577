//! Memory for credentials.
//!
//! Owns pages that hold nothing else: kept out of swap (`mlock`, as far as `RLIMIT_MEMLOCK` goes) and
//! out of core dumps (`MADV_DONTDUMP`), and wiped before they go back. Never hands out a mutable or a
//! longer-lived view, and never fails: where the system refuses to lock, the bytes are kept all the same
//! and [`LockedBytes::is_locked`] says so.

use std::sync::Arc;

/// Gives back what was needed so far and may not be again soon: pages of the program's file, and what the heap has
/// free.
pub fn release() {
    super::platform::release();
}

/// Bytes in pages of their own. Clones share the pages; the last one wipes them.
#[derive(Clone)]
pub struct LockedBytes(Arc<pages::Pages>);

impl LockedBytes {
    /// A copy of these bytes. Wiping the original is the caller's part.
    pub fn copy_of(bytes: &[u8]) -> Self {
        Self(Arc::new(pages::Pages::copy_of(bytes)))
    }

    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        self.0.as_slice()
    }

    /// True when the pages cannot be swapped out.
    pub fn is_locked(&self) -> bool {
        self.0.is_locked()
    }
}

#[cfg(unix)]
mod pages {
    //! Anonymous mappings.

    use std::{ffi::c_void, ptr::NonNull};

    use rustix::mm::{MapFlags, ProtFlags, mlock, mmap_anonymous, munmap};
    use zeroize::{Zeroize, Zeroizing};

    pub(super) enum Pages {
        /// Pages of their own: `len` bytes are used of the `size` that are mapped at `start`.
        Mapped { start: NonNull<u8>, len: usize, size: usize, locked: bool },
        /// The system gave no mapping (or there is nothing to keep): the heap, wiped on drop.
        Heap(Zeroizing<Vec<u8>>),
    }

    // SAFETY: the mapping belongs to this value alone, is not written after `copy_of` has returned and is
    // unmapped only by `drop`, so it may be read and dropped on any thread.
    #[allow(unsafe_code)]
    unsafe impl Send for Pages {}
    // SAFETY: as above; all shared access is reading.
    #[allow(unsafe_code)]
    unsafe impl Sync for Pages {}

    impl Pages {
        #[allow(unsafe_code)]
        pub(super) fn copy_of(bytes: &[u8]) -> Self {
            let page = rustix::param::page_size();
            let mapped = (!bytes.is_empty()).then(|| bytes.len().checked_next_multiple_of(page)).flatten();
            let Some(size) = mapped else { return Self::Heap(Zeroizing::new(bytes.to_vec())) };
            // SAFETY: a null hint lets the kernel choose, so no existing mapping is replaced.
            let start = unsafe {
                mmap_anonymous(std::ptr::null_mut(), size, ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE)
            };
            let Some(start) = start.ok().and_then(|start| NonNull::new(start.cast::<u8>())) else {
                return Self::Heap(Zeroizing::new(bytes.to_vec()));
            };
            let address = start.as_ptr().cast::<c_void>();
            // Before the copy, so that the bytes are never in memory that may be swapped or dumped.
            // SAFETY: the range is exactly the mapping made above.
            let locked = unsafe { mlock(address, size) }.is_ok();
            // SAFETY: the range is exactly the mapping made above; the advice does not change its contents.
            #[cfg(target_os = "linux")]
            let _ = unsafe { rustix::mm::madvise(address, size, rustix::mm::Advice::LinuxDontDump) };
            // SAFETY: the mapping is new, writable and at least `bytes.len()` long, so it cannot overlap.
            unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), start.as_ptr(), bytes.len()) };
            Self::Mapped { start, len: bytes.len(), size, locked }
        }

        #[allow(unsafe_code)]
        pub(super) fn as_slice(&self) -> &[u8] {
            match self {
                // SAFETY: `len` bytes at `start` were written by `copy_of` and live until `drop`.
                Self::Mapped { start, len, .. } => unsafe { std::slice::from_raw_parts(start.as_ptr(), *len) },
                Self::Heap(bytes) => bytes,
            }
        }

        pub(super) fn is_locked(&self) -> bool {
            match self {
                Self::Mapped { locked, .. } => *locked,
                Self::Heap(bytes) => bytes.is_empty(),
            }
        }
    }

    impl Drop for Pages {
        #[allow(unsafe_code)]
        fn drop(&mut self) {
            if let Self::Mapped { start, len, size, .. } = *self {
                // SAFETY: the mapping is ours, writable, `len` long, and `&mut self` means no reader is left.
                unsafe { std::slice::from_raw_parts_mut(start.as_ptr(), len) }.zeroize();
                // SAFETY: the range is exactly the mapping of `copy_of`; nothing refers to it after this.
                // Unmapping unlocks as well.
                let _ = unsafe { munmap(start.as_ptr().cast::<c_void>(), size) };
            }
        }
    }
}

#[cfg(not(unix))]
mod pages {
    //! Plain memory, wiped on drop.

    pub(super) struct Pages(zeroize::Zeroizing<Vec<u8>>);

    impl Pages {
        pub(super) fn copy_of(bytes: &[u8]) -> Self {
            Self(zeroize::Zeroizing::new(bytes.to_vec()))
        }

        pub(super) fn as_slice(&self) -> &[u8] {
            &self.0
        }

        pub(super) fn is_locked(&self) -> bool {
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_come_back_for_every_length() {
        for len in [0, 1, 4095, 4096, 4097, 70_000] {
            let bytes: Vec<u8> = (0..len).map(|i| i as u8).collect();
            let kept = LockedBytes::copy_of(&bytes);
            let clone = kept.clone();
            drop(kept);
            assert_eq!(clone.as_slice(), bytes);
        }
        assert!(LockedBytes::copy_of(&[]).is_locked(), "nothing is nowhere, so it is not in swap");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_kernel_shows_the_page_as_locked_and_not_dumped_and_then_as_gone() {
        let kept = LockedBytes::copy_of(b"one secret");
        let start = kept.as_slice().as_ptr() as usize;
        assert_eq!(start % rustix::param::page_size(), 0);
        let flags = vm_flags(start).expect("the page is mapped");
        assert!(flags.contains(&"dd".to_owned()), "{flags:?}");
        assert_eq!(flags.contains(&"lo".to_owned()), kept.is_locked(), "{flags:?}");
        assert!(kept.is_locked(), "one page is below every usual RLIMIT_MEMLOCK");
    }

    /// `VmFlags` of the mapping that `address` is in (proc_pid_smaps(5)).
    #[cfg(target_os = "linux")]
    fn vm_flags(address: usize) -> Option<Vec<String>> {
        let smaps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let mut inside = false;
        for line in smaps.lines() {
            if let Some((from, to)) = line.split(' ').next().and_then(|range| range.split_once('-'))
                && let (Ok(from), Ok(to)) = (usize::from_str_radix(from, 16), usize::from_str_radix(to, 16))
            {
                inside = (from..to).contains(&address);
            }
            if let Some(flags) = line.strip_prefix("VmFlags:").filter(|_| inside) {
                return Some(flags.split_whitespace().map(Into::into).collect());
            }
        }
        None
    }
}
