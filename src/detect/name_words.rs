//! The words of a name: `apiKey`, `API_KEY` and `api-key` are the same two.
//!
//! Owns the split. What the words mean is `name`'s.

/// The words of a name, in lower case: `apiKey`, `API_KEY` and `api-key` are the same two. On the stack: every
/// name of every file is read.
pub(super) struct Words {
    lower: [u8; Words::BYTES],
    /// Where each word ends in `lower`.
    ends: [u8; Words::COUNT],
    count: usize,
}

impl Words {
    const BYTES: usize = 96;
    const COUNT: usize = 16;

    /// Of a long name the end counts.
    pub fn of(name: &[u8]) -> Self {
        let name = name.get(name.len().saturating_sub(Self::BYTES)..).unwrap_or_default();
        let mut words = Self { lower: [0; Self::BYTES], ends: [0; Self::COUNT], count: 0 };
        let mut before = b' ';
        let mut length = 0u8;
        for (at, byte) in name.iter().enumerate() {
            if !byte.is_ascii_alphanumeric() {
                before = b' ';
                continue;
            }
            let next_is_lower = name.get(at + 1).is_some_and(u8::is_ascii_lowercase);
            let begins = !before.is_ascii_alphanumeric()
                || (byte.is_ascii_uppercase()
                    && (before.is_ascii_lowercase() || (before.is_ascii_uppercase() && next_is_lower)));
            if begins && words.count < Self::COUNT {
                words.count += 1;
            }
            if let (Some(place), Some(end)) =
                (words.lower.get_mut(usize::from(length)), words.ends.get_mut(words.count.saturating_sub(1)))
            {
                *place = byte.to_ascii_lowercase();
                length += 1;
                *end = length;
            }
            before = *byte;
        }
        words
    }

    pub fn len(&self) -> usize {
        self.count
    }

    pub fn nth(&self, index: usize) -> &str {
        let end = self.ends.get(index).copied().unwrap_or_default();
        let start = index.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or_default();
        self.lower
            .get(usize::from(start)..usize::from(end))
            .and_then(|word| str::from_utf8(word).ok())
            .unwrap_or_default()
    }

    pub fn nth_last(&self, index: usize) -> &str {
        self.count.checked_sub(index + 1).map(|index| self.nth(index)).unwrap_or_default()
    }

    pub fn last(&self) -> &str {
        self.nth_last(0)
    }

    pub fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.count).map(|index| self.nth(index))
    }
}
