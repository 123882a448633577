//! What a commit would add: the staged content, and of it only what is new.
//!
//! Owns talking to git, the program itself: its index, its attributes and its settings are its own.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    ops::RangeInclusive,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use super::{Report, Scan, read};
use crate::{
    api::problem::Code,
    error::{Error, Result},
};

/// Scans what is staged in the repository around the current folder; only findings on added lines are told.
///
/// # Errors
/// There is no repository or no git.
pub fn scan(scan: &Scan<'_>) -> Result<Report> {
    let root = git(&["rev-parse", "--show-toplevel"])?;
    let root = PathBuf::from(OsStr::from_bytes(root.trim_ascii_end()));
    let mut report = Report::default();
    let allow = super::allow::Files::default();
    for (path, added) in added_lines(&git(&[
        "diff",
        "--cached",
        "-U0",
        "--no-color",
        "--no-ext-diff",
        "--no-renames",
        "--diff-filter=ACMT",
        "-z",
        "--raw",
    ])?)? {
        let bytes = git(&["cat-file", "blob", &object(&path)?])?;
        if bytes.len() as u64 > scan.max_size {
            report.huge += 1;
            continue;
        }
        if read::is_binary(&bytes) {
            report.binary += 1;
            continue;
        }
        report.files += 1;
        report.bytes += bytes.len() as u64;
        for finding in scan.bytes(&root.join(&path), &bytes) {
            if !added.iter().any(|lines| lines.contains(&finding.line)) {
                continue;
            }
            if allow.allows(&finding, &bytes) {
                report.allowed += 1;
            } else {
                report.findings.push(finding);
            }
        }
    }
    report.warnings = allow.warnings();
    Ok(report)
}

/// Each staged file with the lines that the commit adds to it.
fn added_lines(raw: &[u8]) -> Result<BTreeMap<PathBuf, Vec<RangeInclusive<usize>>>> {
    // `--raw -z` names the files with no quoting: `:MODES OBJECTS STATUS NUL PATH NUL`.
    let mut fields = raw.split(|b| *b == 0);
    let mut files = BTreeMap::new();
    while let (Some(head), Some(path)) = (fields.next(), fields.next()) {
        // A submodule has a commit where a file has its content.
        let is_file =
            head.starts_with(b":") && head.split(|b| *b == b' ').nth(1).is_some_and(|mode| mode.starts_with(b"10"));
        if is_file {
            let path = PathBuf::from(OsStr::from_bytes(path));
            let text = git_os(&[
                OsStr::new("diff"),
                OsStr::new("--cached"),
                OsStr::new("-U0"),
                OsStr::new("--no-color"),
                OsStr::new("--no-ext-diff"),
                OsStr::new("--text"),
                OsStr::new("--"),
                &pathspec(&path),
            ])?;
            files.insert(path, text.split(|b| *b == b'\n').filter_map(hunk).collect());
        }
    }
    Ok(files)
}

/// The new side of `@@ -a,b +c,d @@`.
fn hunk(line: &[u8]) -> Option<RangeInclusive<usize>> {
    let line = std::str::from_utf8(line.get(..line.len().min(100))?).ok()?;
    let new = line.strip_prefix("@@ -")?.split_once('+')?.1.split_once(' ')?.0;
    let (start, count) = new.split_once(',').unwrap_or((new, "1"));
    let (start, count): (usize, usize) = (start.parse().ok()?, count.parse().ok()?);
    (count > 0).then(|| start..=start + count - 1)
}

/// From the repository's root, and no pattern.
fn pathspec(path: &Path) -> std::ffi::OsString {
    let mut spec = std::ffi::OsString::from(":(top,literal)");
    spec.push(path);
    spec
}

fn object(path: &Path) -> Result<String> {
    let listed =
        git_os(&[OsStr::new("ls-files"), OsStr::new("-s"), OsStr::new("-z"), OsStr::new("--"), &pathspec(path)])?;
    let text = String::from_utf8_lossy(&listed);
    let id = text.split(' ').nth(1).filter(|id| id.bytes().all(|b| b.is_ascii_hexdigit()));
    id.map(ToOwned::to_owned).ok_or_else(|| {
        Error::new(Code::Io, format!("git does not list {} among what is staged", path.display()))
            .hint("run it again: the index may have just changed")
    })
}

fn git(arguments: &[&str]) -> Result<Vec<u8>> {
    git_os(&arguments.iter().map(OsStr::new).collect::<Vec<_>>())
}

fn git_os(arguments: &[&OsStr]) -> Result<Vec<u8>> {
    let output = Command::new("git").args(arguments).output().map_err(|e| {
        Error::new(Code::Io, format!("git cannot be started: {e}"))
            .hint("`--staged` asks git what is staged: install it, or name paths instead")
    })?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let why = String::from_utf8_lossy(&output.stderr).lines().next().unwrap_or_default().to_owned();
    Err(Error::new(Code::InvalidValue, format!("git says: {}", crate::principal::printable(&why)))
        .hint("run it inside a git repository"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hunks() {
        assert_eq!(hunk(b"@@ -0,0 +1,3 @@ x"), Some(1..=3));
        assert_eq!(hunk(b"@@ -4 +7 @@"), Some(7..=7));
        assert_eq!(hunk(b"@@ -4,2 +3,0 @@"), None);
        assert_eq!(hunk(b"+@@ -4 +7 @@"), None);
    }
}
