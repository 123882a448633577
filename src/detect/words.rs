//! Where words stand in bytes, whatever their case: many words, one pass, nothing to build.
//!
//! Owns the look-up by a word's first bytes. An automaton would take longer to build than a `.env` takes to
//! scan, and on source code it is no faster than a table that says no to nearly every place.

/// Bits that a hash has.
const BITS: u32 = 16;
/// Of them, those that choose a list of words.
const LIST_BITS: u32 = 12;
const LISTS: usize = 1 << LIST_BITS;
/// How many bytes are looked at first; of a shorter word only three are.
const HEAD: usize = 4;
/// The first three bytes of a key.
const SHORT: u32 = 0x00ff_ffff;
/// What makes letters small.
const SMALL: u32 = 0x2020_2020;

/// Which hashes any word has: small enough for two to stay in the first cache.
type Bits = [u64; (1 << BITS) / 64];

/// Words, each with what it stands for. A word has three bytes or more and is in lower case.
pub(super) struct Words<T> {
    /// Of the words of three bytes.
    short: Box<Bits>,
    /// Of the others, by four: three bytes are in many a text by chance.
    long: Box<Bits>,
    /// For each list of words with the same three bytes, where it begins; one more at the end.
    starts: Vec<u16>,
    entries: Vec<Entry<T>>,
}

struct Entry<T> {
    /// The first bytes, and which of them there are.
    key: u32,
    mask: u32,
    word: &'static str,
    means: T,
}

impl<T: Copy> Words<T> {
    /// Of these words.
    pub fn new(mut words: Vec<(&'static str, T)>) -> Self {
        words.retain(|(word, _)| word.len() >= 3);
        words.truncate(usize::from(u16::MAX));
        let entry = |(word, means): (&'static str, T)| {
            let mask = if word.len() < HEAD { SHORT } else { u32::MAX };
            let key = (0..).zip(word.bytes().take(HEAD)).fold(0, |key, (n, byte)| key | u32::from(byte) << (8 * n));
            Entry { key: (key | SMALL) & mask, mask, word, means }
        };
        let mut entries: Vec<Entry<T>> = words.into_iter().map(entry).collect();
        entries.sort_by_key(|entry| list(entry.key));
        let mut bits = [Box::new([0; (1 << BITS) / 64]), Box::new([0; (1 << BITS) / 64])];
        let mut starts = vec![0u16; LISTS + 1];
        for entry in &entries {
            let [short, long] = &mut bits;
            let hash = hash(entry.key);
            let set = if entry.mask == SHORT { short.get_mut(hash / 64) } else { long.get_mut(hash / 64) };
            if let (Some(bits), Some(count)) = (set, starts.get_mut(list(entry.key) + 1)) {
                *bits |= 1 << (hash % 64);
                *count += 1;
            }
        }
        let mut sum = 0;
        for start in &mut starts {
            sum += *start;
            *start = sum;
        }
        let [short, long] = bits;
        Self { short, long, starts, entries }
    }

    /// Calls `each` with every place where a word stands, in order, and what it stands for.
    pub fn find(&self, bytes: &[u8], mut each: impl FnMut(usize, T)) {
        for (at, head) in bytes.windows(HEAD).enumerate() {
            let key = head.try_into().map_or(0, u32::from_le_bytes) | SMALL;
            // Without a branch between them: of most places both are false.
            if is_set(&self.long, key) | is_set(&self.short, key & SHORT) {
                self.at(bytes, at, key, &mut each);
            }
        }
        // A word of three bytes may be the last.
        let at = bytes.len().saturating_sub(HEAD - 1);
        if let Some([first, second, third]) = bytes.get(at..) {
            self.at(bytes, at, u32::from_le_bytes([*first, *second, *third, 0]) | SMALL, &mut each);
        }
    }

    /// The words that stand at `at`, where the text begins with `key`.
    fn at(&self, bytes: &[u8], at: usize, key: u32, each: &mut impl FnMut(usize, T)) {
        let list = list(key);
        let (Some(first), Some(last)) = (self.starts.get(list), self.starts.get(list + 1)) else { return };
        for entry in self.entries.get(usize::from(*first)..usize::from(*last)).unwrap_or_default() {
            if entry.key != key & entry.mask {
                continue;
            }
            let here = bytes.get(at..at + entry.word.len());
            if here.is_some_and(|text| text.eq_ignore_ascii_case(entry.word.as_bytes())) {
                each(at, entry.means);
            }
        }
    }
}

fn is_set(bits: &Bits, key: u32) -> bool {
    let hash = hash(key);
    bits.get(hash / 64).is_some_and(|bits| bits >> (hash % 64) & 1 == 1)
}

fn list(key: u32) -> usize {
    hash(key & SHORT) >> (BITS - LIST_BITS)
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
        let mut last = Vec::new();
        words.find(b"a TOK", |at, owner| last.push((at, owner)));
        assert_eq!(last, [(2, 3)]);
        words.find(b"to", |at, _| panic!("{at}"));
        words.find(b"", |at, _| panic!("{at}"));
    }
}
