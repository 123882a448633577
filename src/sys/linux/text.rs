//! The program's own code in memory.
//!
//! Owns giving back the pages that only the start-up needed. Touches executable mappings alone: they are never
//! written, while a read-only one may hold relocated data that exists nowhere else.

use std::{ffi::c_void, fs};

use rustix::mm::{Advice, madvise};

/// Lets go of the pages of code that were read so far. What is needed again comes back from the page cache; what
/// ran once (reading the config and the catalogue, opening the database) does not count against an idle daemon.
pub(in crate::sys) fn release() {
    let Ok(maps) = fs::read_to_string("/proc/self/maps") else { return };
    for (start, length) in maps.lines().filter_map(code) {
        drop_pages(start, length);
    }
}

/// The place of a mapping of code that comes from a file.
fn code(line: &str) -> Option<(usize, usize)> {
    let mut fields = line.split_ascii_whitespace();
    let (from, to) = fields.next()?.split_once('-')?;
    let permissions = fields.next()?;
    let path = fields.nth(3)?;
    if permissions != "r-xp" || !path.starts_with('/') {
        return None;
    }
    let (from, to) = (usize::from_str_radix(from, 16).ok()?, usize::from_str_radix(to, 16).ok()?);
    Some((from, to.checked_sub(from)?))
}

#[allow(unsafe_code)]
fn drop_pages(start: usize, length: usize) {
    let start = std::ptr::with_exposed_provenance_mut::<c_void>(start);
    // SAFETY: the range is one whole mapping of this process, private, executable and not writable, so its pages
    // are as the file has them; a page that is dropped is read from the file again when it is next run.
    let _ = unsafe { madvise(start, length, Advice::LinuxDontNeed) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_code_from_a_file_is_let_go_and_the_program_runs_on() {
        assert_eq!(code("1000-3000 r-xp 00000000 08:01 42 /usr/bin/x"), Some((0x1000, 0x2000)));
        for other in [
            "1000-3000 r--p 00000000 08:01 42 /usr/bin/x",
            "1000-3000 rw-p 00000000 08:01 42 /usr/bin/x",
            "1000-3000 r-xp 00000000 00:00 0 [vdso]",
            "1000-3000 r-xp 00000000 00:00 0",
            "garbage",
        ] {
            assert_eq!(code(other), None, "{other}");
        }
        release();
        assert_eq!(code("2000-1000 r-xp 0 08:01 42 /x"), None);
    }
}
