//! What stands in a file that is not of its kind: the signs of a template, the marks of an unfinished merge.
//!
//! Owns blotting them out, byte for byte, so that the rest can be read and every span still holds.

use zeroize::Zeroizing;

/// How templates open and close: Helm, Jinja, ERB.
const HOLES: &[(&[u8], &[u8])] = &[(b"{{", b"}}"), (b"{%", b"%}"), (b"<%", b"%>"), (b"{#", b"#}")];
/// What git writes between two versions.
const MARKS: &[&[u8]] = &[b"<<<<<<< ", b"=======", b">>>>>>> ", b"||||||| "];

/// The bytes with these blotted out; `None` where there are none.
pub(super) fn mended(bytes: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut out = Zeroizing::new(bytes.to_vec());
    let mut changed = marks(&mut out);
    let mut at = 0;
    // Signs of which there is no further one, so that none is looked for twice.
    let mut missing: Vec<&[u8]> = Vec::new();
    while at < bytes.len() {
        let rest = bytes.get(at..).unwrap_or_default();
        let hole = HOLES.iter().find(|(open, close)| rest.starts_with(open) && !missing.contains(close));
        let Some((_, close)) = hole else {
            at += 1;
            continue;
        };
        let Some(length) = rest.windows(2).position(|pair| pair == *close) else {
            missing.push(close);
            continue;
        };
        let end = at + length + 2;
        let blot = if is_alone(bytes, at, end) { b' ' } else { b'1' };
        for byte in out.get_mut(at..end).unwrap_or_default().iter_mut().filter(|byte| **byte != b'\n') {
            *byte = blot;
        }
        changed = true;
        at = end;
    }
    changed.then_some(out)
}

/// Whether nothing else is on the lines of `start..end`.
fn is_alone(bytes: &[u8], start: usize, end: usize) -> bool {
    let text = |byte: &&u8| !matches!(byte, b' ' | b'\t' | b'\r');
    let before = bytes.get(..start).unwrap_or_default().iter().rev().find(text);
    let after = bytes.get(end..).unwrap_or_default().iter().find(text);
    before.is_none_or(|byte| *byte == b'\n') && after.is_none_or(|byte| *byte == b'\n')
}

fn marks(bytes: &mut [u8]) -> bool {
    let mut changed = false;
    for line in bytes.split_mut(|byte| *byte == b'\n') {
        if MARKS.iter().any(|mark| line.starts_with(mark)) {
            line.fill(b' ');
            changed = true;
        }
    }
    changed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_and_marks_are_blotted_out() {
        let mended = |text: &str| mended(text.as_bytes()).map(|text| String::from_utf8(text.to_vec()).unwrap());
        assert_eq!(mended("a: 1\n"), None);
        assert_eq!(mended("a: {{ b }}\n{{- if c }}\nd: 1\n").unwrap(), "a: 1111111\n           \nd: 1\n");
        assert_eq!(mended("a\n=======\nb {{ c").unwrap(), "a\n       \nb {{ c");
    }
}
