//! The program's own file in memory, and what the heap has free.
//!
//! Owns giving back what only the start-up or a burst of work needed. Touches no mapping that can be written, nor one
//! with a page of its own (relocated data is read-only too, and exists nowhere else).

use std::{ffi::c_void, fs};

use rustix::mm::{Advice, madvise};

/// Lets go of what is free in the heap, and of the pages of code and constants that were read so far. What is needed
/// again comes back from the page cache; what ran once (reading the config, opening the database, the rules) does not
/// count against an idle daemon.
pub(in crate::sys) fn release() {
    trim();
    let Ok(maps) = fs::read_to_string("/proc/self/smaps") else { return };
    for (start, length) in clean(&maps) {
        drop_pages(start, length);
    }
}

/// The mappings of which every page is as its file has it (proc(5), smaps).
fn clean(smaps: &str) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut last = None;
    for line in smaps.lines() {
        let mut words = line.split_ascii_whitespace();
        match (words.next(), words.next()) {
            (Some("Anonymous:" | "Swap:"), count) if count != Some("0") => last = None,
            (Some(word), _) if !word.ends_with(':') => found.extend(std::mem::replace(&mut last, file(line))),
            _ => {}
        }
    }
    found.extend(last);
    found
}

/// The place of a private mapping of a file that can be read or run, and not written.
fn file(line: &str) -> Option<(usize, usize)> {
    let mut fields = line.split_ascii_whitespace();
    let (from, to) = fields.next()?.split_once('-')?;
    let permissions = fields.next()?;
    let path = fields.nth(3)?;
    if !matches!(permissions, "r-xp" | "r--p") || !path.starts_with('/') {
        return None;
    }
    let (from, to) = (usize::from_str_radix(from, 16).ok()?, usize::from_str_radix(to, 16).ok()?);
    Some((from, to.checked_sub(from)?))
}

#[allow(unsafe_code)]
fn drop_pages(start: usize, length: usize) {
    let start = std::ptr::with_exposed_provenance_mut::<c_void>(start);
    // SAFETY: the range is one whole mapping of this process, private and not writable, and none of its pages differs
    // from the file's; a page that is dropped is read from the file again when it is next needed.
    let _ = unsafe { madvise(start, length, Advice::LinuxDontNeed) };
}

/// Memory that was freed stays with the C library's heap until it is asked for.
#[cfg(target_env = "gnu")]
#[allow(unsafe_code)]
fn trim() {
    // SAFETY: malloc_trim(3) may be called at any time, from any thread.
    unsafe { libc::malloc_trim(0) };
}

/// Other C libraries give it back by themselves.
#[cfg(not(target_env = "gnu"))]
fn trim() {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_as_its_file_has_it_is_let_go_and_the_program_runs_on() {
        assert_eq!(file("1000-3000 r-xp 00000000 08:01 42 /usr/bin/x"), Some((0x1000, 0x2000)));
        assert_eq!(file("1000-3000 r--p 00000000 08:01 42 /usr/bin/x"), Some((0x1000, 0x2000)));
        for other in [
            "1000-3000 rw-p 00000000 08:01 42 /usr/bin/x",
            "1000-3000 r--s 00000000 08:01 42 /usr/bin/x",
            "1000-3000 r-xp 00000000 00:00 0 [vdso]",
            "1000-3000 r-xp 00000000 00:00 0",
            "2000-1000 r-xp 0 08:01 42 /x",
            "garbage",
        ] {
            assert_eq!(file(other), None, "{other}");
        }
        let map = |at: &str, anonymous: &str, swap: &str| {
            format!("{at} r--p 0 08:01 42 /x\nRss: 8 kB\nAnonymous: {anonymous} kB\nSwap: {swap} kB\nVmFlags: rd mr\n")
        };
        let text = [map("1000-2000", "0", "0"), map("3000-4000", "4", "0"), map("5000-6000", "0", "4")].concat();
        assert_eq!(clean(&text), [(0x1000, 0x1000)]);
        assert_eq!(clean(&[text, map("7000-9000", "0", "0")].concat()), [(0x1000, 0x1000), (0x7000, 0x2000)]);
        release();
        assert_eq!(["still ", "here"].concat(), "still here");
    }
}
