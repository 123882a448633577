//! UTF-16 files, as PowerShell's `>` writes them.
//!
//! Owns the way from 16-bit units to bytes and the way back for spans. A unit becomes one byte: secrets are
//! ASCII, and everything else only has to be something else.

use std::ops::Range;

use zeroize::Zeroizing;

/// A UTF-16 file's units as bytes.
pub(super) struct Wide {
    /// One byte per unit; what is not ASCII is 0xFF.
    pub bytes: Zeroizing<Vec<u8>>,
}

/// The units of a file that begins with a UTF-16 byte order mark; `None` for any other.
pub(super) fn narrow(bytes: &[u8]) -> Option<Wide> {
    let (big, rest) = match bytes {
        [0xff, 0xfe, rest @ ..] => (false, rest),
        [0xfe, 0xff, rest @ ..] => (true, rest),
        _ => return None,
    };
    let unit = |pair: &[u8]| match (big, pair) {
        (false, [low, 0]) | (true, [0, low]) if low.is_ascii() => *low,
        _ => 0xff,
    };
    Some(Wide { bytes: Zeroizing::new(rest.chunks_exact(2).map(unit).collect()) })
}

impl Wide {
    /// Where a span of the bytes is in the file.
    pub(super) fn widen(&self, span: &Range<usize>) -> Range<usize> {
        2 + span.start * 2..2 + span.end * 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        let text: Vec<u8> = [0xfeff_u16].into_iter().chain("a=é1".encode_utf16()).flat_map(u16::to_le_bytes).collect();
        let wide = narrow(&text).unwrap();
        assert_eq!(*wide.bytes, b"a=\xff1");
        assert_eq!(text[wide.widen(&(3..4))], [b'1', 0]);
        assert!(narrow(b"a=1").is_none());
    }
}
