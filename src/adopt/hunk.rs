//! How one text became another, as spans of the old with what stands there now.
//!
//! Owns finding them. Neither a span nor its new text is empty, which is how the quarantine's journal has them: where
//! one would be, the line before it is a part of both, or the line after it at the beginning of the file; of such a
//! line only what no other secret stands in.

use std::ops::Range;

/// More lines than this on a side are one hunk.
const MOST: usize = 2000;

/// The hunks, in order. `others` are the texts that no line which is there for its neighbour's sake may bring along.
pub fn hunks(old: &str, new: &str, others: &[&str]) -> Vec<(Range<usize>, String)> {
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
    let length = |lines: &[&str], to: usize| lines.iter().take(to).map(|line| line.len()).sum::<usize>();
    let bytes = |lines: &[&str], range: Range<usize>| length(lines, range.start)..length(lines, range.end);
    let mut merged: Vec<(Range<usize>, Range<usize>)> = Vec::new();
    for (x, y) in found {
        let (mut old, mut new) = (bytes(&a, x.clone()), bytes(&b, y.clone()));
        if x.is_empty() || y.is_empty() {
            let line = |lines: &[&str], at: Option<usize>| at.and_then(|at| lines.get(at).copied()).map(str::to_owned);
            if let (Some(before), true) = (line(&a, x.start.checked_sub(1)), y.start > 0) {
                let more = before.len() - after_others(&before, others);
                (old.start, new.start) = (old.start - more, new.start - more);
            } else if let Some(next) = line(&a, Some(x.end)) {
                let more = before_others(&next, others);
                (old.end, new.end) = (old.end + more, new.end + more);
            }
        }
        match merged.last_mut() {
            Some((before, after)) if before.end >= old.start => (before.end, after.end) = (old.end, new.end),
            _ => merged.push((old, new)),
        }
    }
    merged.into_iter().map(|(old, span)| (old, new.get(span).unwrap_or_default().to_owned())).collect()
}

/// Where the rest of the line begins that has none of these; its last character at the latest.
fn after_others(line: &str, others: &[&str]) -> usize {
    let ends =
        others.iter().filter(|other| !other.is_empty()).filter_map(|other| Some(line.rfind(other)? + other.len()));
    let last = line.char_indices().next_back().map_or(0, |(at, _)| at);
    ends.max().unwrap_or(0).min(last)
}

/// Where the line ends before the first of these; after its first character at the earliest.
fn before_others(line: &str, others: &[&str]) -> usize {
    let starts = others.iter().filter(|other| !other.is_empty()).filter_map(|other| line.find(other));
    let first = line.chars().next().map_or(0, char::len_utf8);
    starts.min().unwrap_or(line.len()).max(first)
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
            for (span, text) in hunks(old, new, &[]) {
                assert!(!span.is_empty() && !text.is_empty(), "{old:?} {new:?}");
                made.push_str(&old[from..span.start]);
                made.push_str(&text);
                from = span.end;
            }
            made.push_str(&old[from..]);
            assert_eq!(made, new);
        }
    }

    #[test]
    fn a_neighbour_s_secret_is_no_part_of_a_hunk() {
        for (old, new, wanted) in [
            ("x:ONE@a\nx:TWO@b\nx:ONE@c\n", "x:ONE@a\nx:ONE@c\n", ("@a\nx:TWO@b\n", "@a\n")),
            ("x:TWO@b\nx:ONE@c\n", "x:ONE@c\n", ("x:TWO@b\nx:", "x:")),
            ("x:TWO@b\nONE", "ONE", ("x:TWO@b\nO", "O")),
            ("ONE\nx:TWO@b", "ONE\n", ("\nx:TWO@b", "\n")),
        ] {
            let [(span, text)] = hunks(old, new, &["ONE"]).try_into().unwrap();
            assert_eq!((&old[span.clone()], text.as_str()), wanted);
            assert_eq!(format!("{}{text}{}", &old[..span.start], &old[span.end..]), new);
        }
    }
}
