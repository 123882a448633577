//! What is mounted where.
//!
//! Read from a list (proc(5), mountinfo) and not by asking the file systems themselves: a network mount whose
//! server is away would answer never.

use std::path::{Path, PathBuf};

/// One mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Where it is.
    pub point: PathBuf,
    /// The type's name, such as `ext4` or `fuse.sshfs`.
    pub kind: String,
}

/// All mounts, in the order they were made; empty where the platform has no such list.
pub fn mounts() -> Vec<Mount> {
    let text = std::fs::read("/proc/self/mountinfo").unwrap_or_default();
    text.split(|byte| *byte == b'\n').filter_map(parse).collect()
}

/// The type of the file system that `path` is on: that of the longest mount point above it, the last one where
/// several are stacked. The path has to be absolute and without links.
pub fn kind_at<'a>(mounts: &'a [Mount], path: &Path) -> Option<&'a str> {
    let above = mounts.iter().filter(|mount| path.starts_with(&mount.point));
    above.max_by_key(|mount| mount.point.components().count()).map(|mount| mount.kind.as_str())
}

/// False for a file on a file system that is certainly on this machine: one fstatfs(2), so that the list of mounts
/// is read for the others only.
#[cfg(target_os = "linux")]
pub fn may_be_remote(file: &std::fs::File) -> bool {
    // statfs(2): ext4, xfs, btrfs, tmpfs, overlayfs, zfs, f2fs, ramfs.
    const LOCAL: [u32; 8] =
        [0xEF53, 0x5846_5342, 0x9123_683E, 0x0102_1994, 0x794C_7630, 0x2FC1_2FC1, 0xF2F5_2010, 0x8584_58F6];
    // The width and sign of `f_type` depend on the architecture; its magic numbers have 32 bits.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    rustix::fs::fstatfs(file).map_or(true, |stat| !LOCAL.contains(&(stat.f_type as u32)))
}

/// Whether the folder is on a file system that is kept in memory (statfs(2): tmpfs, ramfs).
#[cfg(target_os = "linux")]
pub fn is_in_memory(folder: &Path) -> bool {
    const IN_MEMORY: [u32; 2] = [0x0102_1994, 0x8584_58F6];
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    rustix::fs::statfs(folder).is_ok_and(|stat| IN_MEMORY.contains(&(stat.f_type as u32)))
}

/// No user's folder is kept in memory on this platform.
#[cfg(not(target_os = "linux"))]
pub fn is_in_memory(_folder: &Path) -> bool {
    false
}

/// There is no list of mounts to look at on this platform.
#[cfg(not(target_os = "linux"))]
pub fn may_be_remote(_file: &std::fs::File) -> bool {
    false
}

/// `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw`
fn parse(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|byte| *byte == b' ');
    let point = unescape(fields.nth(4)?);
    let kind = fields.skip_while(|field| *field != b"-").nth(1)?;
    Some(Mount { point, kind: String::from_utf8_lossy(kind).into_owned() })
}

/// Blanks, tabs, newlines and backslashes are written as three octal digits.
fn unescape(field: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, after)) = rest.split_first() {
        let code = (*first == b'\\').then(|| after.get(..3)).flatten();
        let code = code.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        match code {
            Some(code) => {
                bytes.push(code);
                rest = after.get(3..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    #[cfg(unix)]
    return PathBuf::from(<std::ffi::OsString as std::os::unix::ffi::OsStringExt>::from_vec(bytes));
    #[cfg(not(unix))]
    PathBuf::from(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_with_optional_fields_and_a_blank_in_the_path() {
        let line = br"36 35 98:0 / /mnt/my\040disk rw,noatime master:1 shared:2 - fuse.sshfs host: rw";
        assert_eq!(parse(line), Some(Mount { point: "/mnt/my disk".into(), kind: "fuse.sshfs".into() }));
        assert_eq!(parse(b"rubbish"), None);
        assert_eq!(parse(b""), None);
    }

    #[test]
    fn the_longest_mount_point_counts_and_the_last_of_a_stack() {
        let mount = |point: &str, kind: &str| Mount { point: point.into(), kind: kind.into() };
        let all = [mount("/", "ext4"), mount("/home", "nfs"), mount("/home", "ext4"), mount("/home/a/z", "nfs4")];
        assert_eq!(kind_at(&all, Path::new("/home/a/b")), Some("ext4"));
        assert_eq!(kind_at(&all, Path::new("/home/a/z/c")), Some("nfs4"));
        assert_eq!(kind_at(&all, Path::new("/homes")), Some("ext4"));
        assert_eq!(kind_at(&[], Path::new("/")), None);
    }
}
