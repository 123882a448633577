//! Values that stand for a secret without being one: placeholders, samples from documentation, defaults.
//!
//! Owns the shapes that mean so; the words are `data/words`.

use std::{collections::HashSet, sync::LazyLock};

use super::words::Words;

/// Words that no generated secret has, but for a chance that their length makes negligible, each with its length.
static STRONG: LazyLock<Words<usize>> = LazyLock::new(|| {
    let words = super::words(include_str!("../../data/words/placeholders.txt"));
    // `your_` stands in a random value by chance as seldom as a longer word without a sign.
    let length = |word: &str| word.len() + usize::from(word.contains(['_', '-']));
    Words::new(words.into_iter().map(|word| (word, length(word))).collect())
});

/// What a default or weak sample password is put together from.
static WEAK: LazyLock<HashSet<&str>> =
    LazyLock::new(|| super::words(include_str!("../../data/words/weak.txt")).into_iter().collect());

/// Longer than the longest of them, in letters.
const LONGEST: usize = 14;

/// Whether this stands for a secret. `generated` says that a rule's shape already matched: only marks that
/// chance does not make count then.
pub(super) fn is_placeholder(value: &[u8], generated: bool) -> bool {
    let lower = value.to_ascii_lowercase();
    let mut longest = 0;
    STRONG.find(&lower, |_, length| longest = longest.max(length));
    if generated {
        // In a long random value a word of five letters may stand by chance; a longer one, or a run, does not.
        let rows: [&[u8]; 3] = [b"xxxxx", b"*****", b"....."];
        return longest >= 6 || lower.windows(5).any(|five| rows.contains(&five)) || is_run(&lower, 10);
    }
    longest > 0 || is_run(&lower, 7) || (is_weak(&lower) && !is_chosen(value)) || value.contains(&b'\xe2')
}

/// Whether a person chose it, weak as it is: `Admin@2023`, and not `Password123`, which stands for any.
fn is_chosen(value: &[u8]) -> bool {
    let lower = value.to_ascii_lowercase();
    let has = |word: &str| lower.windows(word.len()).any(|part| part == word.as_bytes());
    let year = lower
        .windows(4)
        .any(|four| matches!(four, [b'1', b'9', ..] | [b'2', b'0', ..]) && four.iter().all(u8::is_ascii_digit));
    value.len() >= 8
        && year
        && value.iter().any(u8::is_ascii_uppercase)
        && !["pass", "change", "example", "test", "demo", "your", "secret", "placeholder", "sample", "dummy"]
            .iter()
            .any(|word| has(word))
}

/// Whether it is put together from nothing but words that stand for a secret: `postgres`, `my-secret-token-123`.
pub(super) fn is_weak(lower: &[u8]) -> bool {
    let mut letters = lower.split(|b| !b.is_ascii_alphabetic()).filter(|part| !part.is_empty());
    let digits = lower.iter().filter(|b| b.is_ascii_digit()).count();
    digits <= 4 && letters.all(consists_of_weak_words)
}

/// At most one of them shorter than three letters: of `no`, `to` and `is` anything can be put together.
fn consists_of_weak_words(text: &[u8]) -> bool {
    let Ok(text) = str::from_utf8(text) else { return false };
    if text.len() > LONGEST * 8 {
        return false;
    }
    // For each place that words reach from the start on, the fewest short ones on the way.
    let mut reached = [u8::MAX; LONGEST * 8 + 1];
    if let Some(start) = reached.first_mut() {
        *start = 0;
    }
    for at in 0..text.len() {
        let short = reached.get(at).copied().unwrap_or(u8::MAX);
        if short > 1 {
            continue;
        }
        for length in 1..=LONGEST.min(text.len() - at) {
            let short = short + u8::from(length < 3);
            let word = text.get(at..at + length).unwrap_or_default();
            if short <= 1
                && WEAK.contains(word)
                && let Some(place) = reached.get_mut(at + length)
            {
                *place = short.min(*place);
            }
        }
    }
    reached.get(text.len()).is_some_and(|short| *short <= 1)
}

/// Mostly one character, or mostly a row of neighbours (`abcdef`, `123456`).
fn is_run(lower: &[u8], most: usize) -> bool {
    if lower.len() < 4 {
        return true;
    }
    // How many of the same, and how many in a row: the longest, and now.
    let (mut same, mut row, mut same_now, mut row_now) = (1, 1, 1, 1);
    for pair in lower.windows(2) {
        let [a, b] = pair else { continue };
        same_now = if a == b { same_now + 1 } else { 1 };
        row_now = if *b == a.wrapping_add(1) && b.is_ascii_alphanumeric() { row_now + 1 } else { 1 };
        (same, row) = (same.max(same_now), row.max(row_now));
    }
    let seen = lower.iter().fold([0u64; 4], |mut seen, byte| {
        if let Some(part) = seen.get_mut(usize::from(byte >> 6)) {
            *part |= 1 << (byte & 63);
        }
        seen
    });
    let distinct: u32 = seen.iter().map(|part| part.count_ones()).sum();
    same >= most
        || is_repeated(lower)
        || row >= 8
        || distinct <= 3
        || (same * 2 >= lower.len() && lower.len() >= 6)
        || row * 10 >= lower.len() * 8
}

/// Somewhere the same few characters three times over (`abc123abc123abc123`); not one character, of which the zeros in
/// a binary key have a row.
fn is_repeated(lower: &[u8]) -> bool {
    let several = |unit: &[u8]| {
        unit.iter()
            .enumerate()
            .filter(|(at, byte)| !unit.get(..*at).is_some_and(|before| before.contains(byte)))
            .count()
            >= 3
    };
    (3..=14).any(|period| {
        let mut same = 0;
        lower.windows(period + 1).any(|window| {
            same = if window.first() == window.last() { same + 1 } else { 0 };
            same >= (period * 2).max(10) && several(window)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_and_values() {
        for text in [
            "your-api-key",
            "changeme123",
            "xxxxxxxxxxxx",
            "postgres",
            "my_secret_token",
            "000000000000",
            "abcdefghijklmnop",
            "sk-your-key-here",
            "minioadmin",
            "devpassword",
            "...",
            "password123",
            "abc123abc123abc123",
        ] {
            assert!(is_placeholder(text.as_bytes(), false), "{text}");
        }
        for text in ["kP9vQ2mZx7Lw", "Nordsee.2021", "Tr0ub4dor&3", "9f8a7c6be1d04732", "blue-Giraffe-77-lamp"] {
            assert!(!is_placeholder(text.as_bytes(), false), "{text}");
        }
    }
}
