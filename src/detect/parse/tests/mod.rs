//! The parsers on texts whose values are marked with `«` and `»`, and on any bytes at all.

mod any;
mod hand;
mod nested;
mod words;

use super::{Document, parse, text};
use crate::detect::kind::FileKind;

/// The text without its marks, and what they stood around.
pub(super) fn unmark(marked: &str) -> (String, Vec<std::ops::Range<usize>>) {
    let (mut plain, mut spans, mut open) = (String::new(), Vec::new(), 0);
    for letter in marked.chars() {
        match letter {
            '«' => open = plain.len(),
            '»' => spans.push(open..plain.len()),
            _ => plain.push(letter),
        }
    }
    (plain, spans)
}

fn compare(plain: &str, document: &Document, spans: &[std::ops::Range<usize>], names: &[&str]) {
    let bytes = plain.as_bytes();
    let show = |span: &std::ops::Range<usize>| plain[span.clone()].to_owned();
    let found: Vec<_> = document.scalars.iter().map(|scalar| scalar.span.clone()).collect();
    let texts: Vec<_> = found.iter().map(show).collect();
    assert_eq!(found, spans, "in {plain}\nfound {texts:#?}\nwanted {:#?}", spans.iter().map(show).collect::<Vec<_>>());
    let paths: Vec<_> = document.scalars.iter().map(|scalar| document.path(bytes, scalar.name)).collect();
    assert_eq!(paths, names, "in {plain}");
}

/// The marked values are found, each at the path given, and nothing else. With CRLF and after a BOM too.
pub(super) fn check(kind: FileKind, marked: &str, names: &[&str]) -> Document {
    for (before, end) in [("", "\n"), ("\u{feff}", "\n"), ("", "\r\n"), ("\u{feff}", "\r\n")] {
        let (plain, spans) = unmark(&format!("{before}{}", marked.replace('\n', end)));
        let document = parse(kind, plain.as_bytes()).unwrap_or_else(|| panic!("{kind:?} gives up {plain}"));
        compare(&plain, &document, &spans, names);
    }
    parse(kind, unmark(marked).0.as_bytes()).unwrap()
}

pub(super) fn check_line(marked: &str, names: &[&str]) {
    let (plain, spans) = unmark(marked);
    let mut document = Document::default();
    text::assignments(plain.as_bytes(), 0..plain.len(), false, &mut document);
    compare(&plain, &document, &spans, names);
}

/// What the scalars mean, as text.
pub(super) fn meanings(document: &Document, bytes: &[u8]) -> Vec<String> {
    let meaning = |scalar: &super::Scalar| match &scalar.decoded {
        Some(decoded) => String::from_utf8_lossy(decoded).into_owned(),
        None => String::from_utf8_lossy(&bytes[scalar.span.clone()]).into_owned(),
    };
    document.scalars.iter().map(meaning).collect()
}
