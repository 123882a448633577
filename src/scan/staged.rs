//! What a commit would add: the staged content, and of it only what is new.
//!
//! Owns talking to git, the program itself: its index, its attributes and its settings are its own. Two
//! processes for all files, and one more for each file with a finding.

use std::{
    ffi::OsStr,
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    ops::RangeInclusive,
    os::unix::ffi::OsStrExt as _,
    path::PathBuf,
    process::{Command, Stdio},
};

use zeroize::Zeroizing;

use super::{Report, Reported, Scan, read};
use crate::{
    api::problem::Code,
    error::{Error, Result},
    quarantine::is_beside,
};

/// A staged file.
#[derive(Debug, PartialEq, Eq)]
struct Staged {
    /// From the repository's root.
    path: PathBuf,
    /// What it was; `None` for a new file.
    old: Option<String>,
    /// What it becomes.
    new: String,
}

/// Scans what is staged in the repository around the current folder; only findings on added lines are told.
///
/// # Errors
/// There is no repository or no git.
pub fn scan(scan: &Scan<'_>) -> Result<Report> {
    let root = git(&["rev-parse", "--show-toplevel"])?;
    let root = PathBuf::from(OsStr::from_bytes(root.trim_ascii_end()));
    let raw = git(&["diff", "--cached", "--raw", "-z", "--no-abbrev", "--find-renames", "--diff-filter=ACMRT"])?;
    let files = staged(&raw);
    let mut report = Report::default();
    let allow = super::allow::Files::default();
    contents(&files, scan.max_size, |file, bytes| {
        if file.path.file_name().is_some_and(is_beside) {
            report.unreadable.push((root.join(&file.path), super::CUT_OFF.into()));
            return Ok(());
        }
        let Some(bytes) = bytes else {
            report.huge += 1;
            return Ok(());
        };
        if read::is_binary(&bytes) {
            report.binary += 1;
            return Ok(());
        }
        report.files += 1;
        report.bytes += bytes.len() as u64;
        let marks = allow.of_file(&bytes);
        for finding in added(file, scan.bytes(&root.join(&file.path), &bytes))? {
            if marks.allows(&finding) {
                report.allowed += 1;
            } else {
                report.findings.push(finding);
            }
        }
        Ok(())
    })?;
    report.findings.sort_by(|a, b| a.path.cmp(&b.path).then(a.start.cmp(&b.start)));
    report.warnings = allow.warnings();
    Ok(report)
}

/// The files of `--raw -z`, which quotes no name: `:MODE MODE OLD NEW STATUS NUL PATH NUL`, and for a rename or a
/// copy two paths. <https://git-scm.com/docs/git-diff#_raw_output_format>
fn staged(raw: &[u8]) -> Vec<Staged> {
    let mut fields = raw.split(|b| *b == 0);
    let mut files = Vec::new();
    while let (Some(head), Some(mut path)) = (fields.next(), fields.next()) {
        let head = String::from_utf8_lossy(head);
        let words: Vec<&str> = head.split(' ').collect();
        let [_, mode, old, new, status] = words.as_slice() else { break };
        if status.starts_with(['R', 'C']) {
            path = fields.next().unwrap_or_default();
        }
        // A submodule has a commit where a file has its content, and a link has a path.
        if mode.starts_with("10") {
            let old = (*status != "A").then(|| (*old).to_owned());
            files.push(Staged { path: PathBuf::from(OsStr::from_bytes(path)), old, new: (*new).to_owned() });
        }
    }
    files
}

/// Gives the content of each to `each`, or `None` where it is larger than `most` bytes.
fn contents(
    files: &[Staged],
    most: u64,
    mut each: impl FnMut(&Staged, Option<Zeroizing<Vec<u8>>>) -> Result<()>,
) -> Result<()> {
    let failed = |e: io::Error| Error::new(Code::Io, format!("git does not answer: {e}")).hint("run it again");
    let mut child = Command::new("git")
        .args(["cat-file", "--batch"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(no_git)?;
    let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else { return Ok(()) };
    let done = std::thread::scope(|scope| {
        // git may be writing a large one while its next question waits.
        scope.spawn(move || files.iter().try_for_each(|file| writeln!(stdin, "{}", file.new)));
        // Closed where this ends, early too: git then ends, and so does the one who asks it.
        let mut stdout = BufReader::new(stdout);
        for file in files {
            let mut head = String::new();
            stdout.read_line(&mut head).map_err(failed)?;
            let size = head.trim_end().rsplit(' ').next().and_then(|size| size.parse::<u64>().ok());
            let Some(size) = size else {
                return Err(Error::new(Code::Io, format!("git does not have what {} becomes", file.path.display()))
                    .hint("run it again: the index may have just changed"));
            };
            // A line end follows the content.
            let mut content = stdout.by_ref().take(size + 1);
            if size > most {
                io::copy(&mut content, &mut io::sink()).map_err(failed)?;
                each(file, None)?;
                continue;
            }
            // Room for all of it: a vector that grows leaves its old memory as it is.
            let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(size).unwrap_or_default() + 1));
            content.read_to_end(&mut bytes).map_err(failed)?;
            bytes.pop();
            each(file, Some(bytes))?;
        }
        Ok(())
    });
    child.wait().map_err(failed)?;
    done
}

/// Of a file's findings those on lines that the commit adds.
fn added(file: &Staged, mut findings: Vec<Reported>) -> Result<Vec<Reported>> {
    if let Some(old) = file.old.as_ref().filter(|_| !findings.is_empty()) {
        let diff = git(&["diff", "-U0", "--no-color", "--no-ext-diff", "--no-textconv", "--text", old, &file.new])?;
        let lines: Vec<_> = diff.split(|b| *b == b'\n').filter_map(hunk).collect();
        findings.retain(|finding| lines.iter().any(|lines| lines.contains(&finding.line)));
    }
    Ok(findings)
}

/// The new side of `@@ -a,b +c,d @@`.
fn hunk(line: &[u8]) -> Option<RangeInclusive<usize>> {
    let line = std::str::from_utf8(line.get(..line.len().min(100))?.split(|b| *b >= 0x80).next()?).ok()?;
    let new = line.strip_prefix("@@ -")?.split_once('+')?.1.split_once(' ')?.0;
    let (start, count) = new.split_once(',').unwrap_or((new, "1"));
    let (start, count): (usize, usize) = (start.parse().ok()?, count.parse().ok()?);
    (count > 0).then(|| start..=start + count - 1)
}

fn git(arguments: &[&str]) -> Result<Vec<u8>> {
    let output = Command::new("git").args(arguments).output().map_err(no_git)?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let why = String::from_utf8_lossy(&output.stderr).lines().next().unwrap_or_default().to_owned();
    Err(Error::new(Code::InvalidValue, format!("git says: {}", crate::principal::printable(&why)))
        .hint("run it inside a git repository"))
}

fn no_git(error: io::Error) -> Error {
    Error::new(Code::Io, format!("git cannot be started: {error}"))
        .hint("`--staged` asks git what is staged: install it, or name paths instead")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hunks() {
        assert_eq!(hunk(b"@@ -0,0 +1,3 @@ x"), Some(1..=3));
        assert_eq!(hunk(b"@@ -4 +7 @@"), Some(7..=7));
        assert_eq!(hunk("@@ -4 +7 @@ fn größe() {".as_bytes()), Some(7..=7));
        assert_eq!(hunk(b"@@ -4,2 +3,0 @@"), None);
        assert_eq!(hunk(b"+@@ -4 +7 @@"), None);
    }

    #[test]
    fn files_of_a_raw_diff() {
        let raw =
            b":000000 100644 0000 aaaa A\0new file\0:100644 100755 bbbb cccc M\0b\0:100644 100644 dddd eeee R090\0\
            old\0renamed\0:000000 160000 0000 ffff A\0submodule\0:000000 120000 0000 ffff A\0link\0";
        let file = |path: &str, old: Option<&str>, new: &str| Staged {
            path: PathBuf::from(path),
            old: old.map(str::to_owned),
            new: new.to_owned(),
        };
        let wanted =
            [file("new file", None, "aaaa"), file("b", Some("bbbb"), "cccc"), file("renamed", Some("dddd"), "eeee")];
        assert_eq!(staged(raw), wanted);
        assert_eq!(staged(b""), []);
    }
}
