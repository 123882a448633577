//! Running text: assignments on one line. (Being written.)

use std::ops::Range;

use super::Document;

/// Adds what the line assigns to the document.
pub fn assignments(bytes: &[u8], line: Range<usize>, document: &mut Document) {
    let _ = (bytes, line, document);
}
