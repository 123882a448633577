//! How one text became another, as spans of the old with what stands there now.
//!
//! Owns finding them. Neither a span nor its new text is empty, which is how the quarantine's journal has them: where
//! one would be, the line before it is a part of both, or the line after it at the beginning of the file.

use std::ops::Range;

/// More lines than this on a side are one hunk.
const MOST: usize = 2000;

/// The hunks, in order.
pub fn hunks(old: &str, new: &str) -> Vec<(Range<usize>, String)> {
    let (a, b): (Vec<&str>, Vec<&str>) = (old.split_inclusive('\n').collect(), new.split_inclusive('\n').collect());
    let front = a.iter().zip(&b).take_while(|(a, b)| a == b).count();
    let (ra, rb) = (a.get(front..).unwrap_or_default(), b.get(front..).unwrap_or_default());
    let back = ra.iter().rev().zip(rb.iter().rev()).take_while(|(a, b)| a == b).count();
    let (ra, rb) = (ra.get(..ra.len() - back).unwrap_or_default(), rb.get(..rb.len() - back).unwrap_or_default());
    let mut found: Vec<(Range<usize>, Range<usize>)> = Vec::new();
    let (mut i, mut j) = (0, 0);
    for (x, y) in common(ra, rb).into_iter().chain([(ra.len(), rb.len())]) {
        if x > i || y > j {
            found.push((front + i..front + x, front + j..front + y));
        }
        (i, j) = (x + 1, y + 1);
    }
    let mut merged: Vec<(Range<usize>, Range<usize>)> = Vec::new();
    for (mut x, mut y) in found {
        if x.is_empty() || y.is_empty() {
            if x.start > 0 && y.start > 0 {
                (x.start, y.start) = (x.start - 1, y.start - 1);
            } else if x.end < a.len() && y.end < b.len() {
                (x.end, y.end) = (x.end + 1, y.end + 1);
            }
        }
        match merged.last_mut() {
            Some((px, py)) if px.end >= x.start => (px.end, py.end) = (x.end, y.end),
            _ => merged.push((x, y)),
        }
    }
    let length = |lines: &[&str], to: usize| lines.iter().take(to).map(|line| line.len()).sum::<usize>();
    let text = |range: Range<usize>| b.get(range).unwrap_or_default().concat();
    merged.into_iter().map(|(x, y)| (length(&a, x.start)..length(&a, x.end), text(y))).collect()
}

/// The lines that both have, in order: the longest such list.
fn common(a: &[&str], b: &[&str]) -> Vec<(usize, usize)> {
    if a.len() > MOST || b.len() > MOST {
        return Vec::new();
    }
    let width = b.len() + 1;
    let mut best = vec![0u32; (a.len() + 1) * width];
    let at = |best: &[u32], i: usize, j: usize| best.get(i * width + j).copied().unwrap_or_default();
    for (i, x) in a.iter().enumerate().rev() {
        for (j, y) in b.iter().enumerate().rev() {
            let longest =
                if x == y { at(&best, i + 1, j + 1) + 1 } else { at(&best, i + 1, j).max(at(&best, i, j + 1)) };
            if let Some(cell) = best.get_mut(i * width + j) {
                *cell = longest;
            }
        }
    }
    let (mut i, mut j, mut list) = (0, 0, Vec::new());
    while let (Some(x), Some(y)) = (a.get(i), b.get(j)) {
        if x == y {
            list.push((i, j));
            (i, j) = (i + 1, j + 1);
        } else if at(&best, i + 1, j) >= at(&best, i, j + 1) {
            i += 1;
        } else {
            j += 1;
        }
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hunks_make_the_new_text_of_the_old() {
        for (old, new) in [
            ("a\nb\nc\n", "a\nc\n"),
            ("a\nc\n", "a\nb\nc\nd\n"),
            ("a", "b"),
            ("{\n1,\n2\n}", "{\n1\n}"),
            ("a\nx\nb\ny\nc\n", "a\nX\nb\nY\nc\nz"),
            ("b\nc\n", "a\nb\nc\n"),
            ("a\nb\nx\n", "b\nX\n"),
        ] {
            let (mut made, mut from) = (String::new(), 0);
            for (span, text) in hunks(old, new) {
                assert!(!span.is_empty() && !text.is_empty(), "{old:?} {new:?}");
                made.push_str(&old[from..span.start]);
                made.push_str(&text);
                from = span.end;
            }
            made.push_str(&old[from..]);
            assert_eq!(made, new);
        }
    }
}
