//! Whether a value looks generated.
//!
//! Owns entropy and the comparison with language: text that people write repeats the letter pairs of
//! English, a random value does not.

/// The letter pairs that make up four fifths of English prose and identifiers (counted over the documentation and
/// modules of Python's standard library); of random text they make up less than a fifth.
const PAIRS: &str = "acadaialamanaparasatbucacechckclcoctdadedieaecedeeefelemeneperesetexfifogegshahehihoiciliminioirisitkelalelflilllolslumamemompnancndnengnonsntobocodomonoporosotoupapeplpoprptrarergrirnrorrrsrtrysesissstsutatethtitotrtstutyueulumunurusutvavewixt";

/// Shannon entropy, in bits per character.
pub(super) fn entropy(value: &[u8]) -> f32 {
    let mut counts = [0u32; 256];
    for byte in value {
        if let Some(count) = counts.get_mut(usize::from(*byte)) {
            *count += 1;
        }
    }
    let length = value.len() as f32;
    counts
        .iter()
        .filter(|count| **count > 0)
        .map(|count| *count as f32 / length)
        .map(|share| -share * share.log2())
        .sum()
}

/// Whether the value looks generated: enough different characters for its length, and not words.
pub(super) fn is_random(value: &[u8]) -> bool {
    let entropy = entropy(value);
    let length = value.len();
    if length < 12 {
        return false;
    }
    let digits = value.iter().filter(|b| b.is_ascii_digit()).count();
    let hex = value.iter().all(u8::is_ascii_hexdigit);
    if hex {
        // Ten digits and two or six letters: mostly numbers are ids and times.
        return digits < length && entropy >= if length >= 32 { 3.0 } else { 2.8 };
    }
    let wanted = match length {
        0..16 => 3.0,
        16..24 => 3.2,
        _ => 3.5,
    };
    entropy >= wanted && !is_words(value)
}

/// Whether it is made of words: `correct-horse`, `getUserNameFromConfig`, `my.config.path`.
pub(super) fn is_words(value: &[u8]) -> bool {
    let digits = value.iter().filter(|b| b.is_ascii_digit()).count();
    let mut pairs = 0u32;
    let mut common = 0u32;
    let mut humps = 0u32;
    for pair in value.windows(2) {
        let [a, b] = pair else { continue };
        if a.is_ascii_alphabetic() && b.is_ascii_alphabetic() {
            // `aB` begins a word in an identifier, and is chance in a random value.
            if a.is_ascii_lowercase() && b.is_ascii_uppercase() {
                humps += 1;
                continue;
            }
            pairs += 1;
            common += u32::from(is_common(a.to_ascii_lowercase(), b.to_ascii_lowercase()));
        }
    }
    let letters = value.iter().filter(|b| b.is_ascii_alphabetic()).count() as u32;
    if is_joined(value) {
        return true;
    }
    // Chance makes a fifth of the pairs common; English four fifths.
    pairs >= 4 && common * 2 >= pairs && humps * 4 <= letters && digits * 4 <= value.len()
}

/// Short words of letters alone, joined by punctuation: `https-only-mode`.
fn is_joined(value: &[u8]) -> bool {
    let mut parts = value.split(|b| !b.is_ascii_alphanumeric());
    let joins = value.iter().filter(|b| !b.is_ascii_alphanumeric()).count();
    joins > 0
        && parts.all(|part| {
            part.len() <= 14 && (is_one_case(part) || (part.len() <= 4 && part.iter().all(u8::is_ascii_digit)))
        })
}

fn is_one_case(part: &[u8]) -> bool {
    let rest = part.get(1..).unwrap_or_default();
    part.iter().all(u8::is_ascii_alphabetic)
        && (rest.iter().all(u8::is_ascii_lowercase) || rest.iter().all(u8::is_ascii_uppercase))
}

fn is_common(a: u8, b: u8) -> bool {
    PAIRS.as_bytes().chunks_exact(2).any(|pair| pair == [a, b])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_not_random() {
        for text in [
            "correct-horse-battery",
            "getUserNameFromConfig",
            "production-database-url",
            "application/json",
            "https-only-mode",
            "2024-11-24T10:00:00Z",
        ] {
            assert!(!is_random(text.as_bytes()), "{text}");
        }
        for text in
            ["kP9vQ2mZx7LwT4bN", "9f8a7c6be1d047329f1c2b3a4d5e6f70", "Zm9vYmFyQmF6cXV4MTIz+/8x", "q7xk2m9zr4vbt8wn1cpd"]
        {
            assert!(is_random(text.as_bytes()), "{text} {}", entropy(text.as_bytes()));
        }
    }
}
