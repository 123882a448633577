//! Values that stand for a secret without being one: placeholders, samples from documentation, defaults.
//!
//! Owns the shapes that mean so; the words are `data/words`.

use std::sync::LazyLock;

/// Words that no generated secret has, but for a chance that their length makes negligible.
static STRONG: LazyLock<Vec<&str>> = LazyLock::new(|| super::words(include_str!("../../data/words/placeholders.txt")));

/// What a default or weak sample password is put together from.
static WEAK: LazyLock<Vec<&str>> = LazyLock::new(|| super::words(include_str!("../../data/words/weak.txt")));

/// Whether this stands for a secret. `generated` says that a rule's shape already matched: only marks that
/// chance does not make count then.
pub(super) fn is_placeholder(value: &[u8], generated: bool) -> bool {
    let lower = value.to_ascii_lowercase();
    let has = |word: &str| word.len() <= lower.len() && lower.windows(word.len()).any(|part| part == word.as_bytes());
    if generated {
        // In a long random value a word of five letters may stand by chance; a longer one, or a run, does not.
        return STRONG.iter().any(|word| word.len() >= 6 && has(word))
            || has("xxxxx")
            || has("*****")
            || has(".....")
            || is_run(&lower, 10);
    }
    STRONG.iter().any(|word| has(word)) || is_run(&lower, 7) || is_weak(&lower) || value.contains(&b'\xe2')
}

/// Whether it is put together from nothing but words that stand for a secret: `postgres`, `my-secret-token-123`.
pub(super) fn is_weak(lower: &[u8]) -> bool {
    let mut letters = lower.split(|b| !b.is_ascii_alphabetic()).filter(|part| !part.is_empty());
    let digits = lower.iter().filter(|b| b.is_ascii_digit()).count();
    digits <= 4 && letters.all(consists_of_weak_words)
}

fn consists_of_weak_words(text: &[u8]) -> bool {
    // The furthest places that words reach, from the start on: at most one entry per character.
    let mut reached = vec![false; text.len() + 1];
    if let Some(start) = reached.first_mut() {
        *start = true;
    }
    for at in 0..text.len() {
        if !reached.get(at).copied().unwrap_or_default() {
            continue;
        }
        for word in WEAK.iter() {
            if text.get(at..).is_some_and(|rest| rest.starts_with(word.as_bytes()))
                && let Some(place) = reached.get_mut(at + word.len())
            {
                *place = true;
            }
        }
    }
    reached.last().copied().unwrap_or_default()
}

/// Mostly one character, or mostly a row of neighbours (`abcdef`, `123456`).
fn is_run(lower: &[u8], most: usize) -> bool {
    if lower.len() < 4 {
        return true;
    }
    let steps = |wanted: fn(u8, u8) -> bool| {
        let mut longest = 0;
        let mut now = 0;
        for pair in lower.windows(2) {
            let [a, b] = pair else { continue };
            now = if wanted(*a, *b) { now + 1 } else { 0 };
            longest = longest.max(now);
        }
        longest + 1
    };
    let same = steps(|a, b| a == b);
    let row = steps(|a, b| b == a.wrapping_add(1) && b.is_ascii_alphanumeric());
    let distinct = lower.iter().collect::<std::collections::HashSet<_>>().len();
    same >= most
        || row >= 8
        || distinct <= 3
        || (same * 2 >= lower.len() && lower.len() >= 6)
        || row * 10 >= lower.len() * 8
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
        ] {
            assert!(is_placeholder(text.as_bytes(), false), "{text}");
        }
        for text in ["kP9vQ2mZx7Lw", "Tr0ub4dor&3", "9f8a7c6be1d04732", "blue-Giraffe-77-lamp"] {
            assert!(!is_placeholder(text.as_bytes(), false), "{text}");
        }
    }
}
