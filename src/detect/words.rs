//! Where words stand in bytes, whatever their case: many words, one pass, nothing to build.
//!
//! Owns the look-up by a word's first three bytes. An automaton would take longer to build than a `.env` takes to
//! scan, and on source code it is no faster than a table that says no to most places.

/// Bits that a hash has.
const BITS: u32 = 16;
const SLOTS: usize = 1 << BITS;

/// Words, each with what it stands for. A word has three bytes or more and is in lower case.
pub(super) struct Words<T> {
    /// Whether any word begins so: small enough to stay in the first cache.
    any: Vec<u64>,
    /// For each hash, where its entries begin; one more at the end.
    starts: Vec<u16>,
    entries: Vec<(&'static str, T)>,
}

impl<T: Copy> Words<T> {
    /// Of these words.
    pub fn new(mut entries: Vec<(&'static str, T)>) -> Self {
        entries.retain(|(word, _)| word.len() >= 3);
        entries.truncate(usize::from(u16::MAX));
        entries.sort_by_key(|(word, _)| hash_of(word));
        let mut any = vec![0u64; SLOTS / 64];
        let mut starts = vec![0u16; SLOTS + 1];
        for (word, _) in &entries {
            let slot = hash_of(word);
            if let (Some(bits), Some(count)) = (any.get_mut(slot / 64), starts.get_mut(slot + 1)) {
                *bits |= 1 << (slot % 64);
                *count += 1;
            }
        }
        let mut sum = 0;
        for start in &mut starts {
            sum += *start;
            *start = sum;
        }
        Self { any, starts, entries }
    }

    /// Calls `each` with every place where a word stands, in order, and what it stands for.
    pub fn find(&self, bytes: &[u8], mut each: impl FnMut(usize, T)) {
        let mut key = 0u32;
        for (end, byte) in bytes.iter().enumerate() {
            key = key >> 8 | u32::from(byte | 0x20) << 16;
            let slot = hash(key);
            if self.any.get(slot / 64).is_none_or(|bits| bits >> (slot % 64) & 1 == 0) {
                continue;
            }
            // Of the first two bytes the key is not whole, and no word has a zero in it.
            let at = end.saturating_sub(2);
            let (Some(first), Some(last)) = (self.starts.get(slot), self.starts.get(slot + 1)) else { continue };
            for (word, owner) in self.entries.get(usize::from(*first)..usize::from(*last)).unwrap_or_default() {
                let here = bytes.get(at..at + word.len());
                if end >= 2 && here.is_some_and(|text| text.eq_ignore_ascii_case(word.as_bytes())) {
                    each(at, *owner);
                }
            }
        }
    }
}

fn hash_of(word: &str) -> usize {
    hash(word.bytes().take(3).fold(0, |key, byte| key >> 8 | u32::from(byte | 0x20) << 16))
}

fn hash(key: u32) -> usize {
    (key.wrapping_mul(0x9e37_79b1) >> (32 - BITS)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlapping_words_in_any_case_and_at_the_ends() {
        let words = Words::new(vec![("ghp_", 1), ("token", 2), ("tok", 3), ("oke", 4), ("x-y", 5)]);
        let mut seen = Vec::new();
        words.find(b"ghP_ToKen x-y", |at, owner| seen.push((at, owner)));
        seen.sort_unstable();
        assert_eq!(seen, [(0, 1), (4, 2), (4, 3), (5, 4), (10, 5)]);
        words.find(b"to", |at, _| panic!("{at}"));
        words.find(b"", |at, _| panic!("{at}"));
    }
}
