//! Decoys: keys that look like an issuer's and are worth nothing.
//!
//! Owns how one is made of a kind and a value. A decoy of a key keeps nothing of it but its length, its marks and
//! which of its characters are letters and which digits; one of a password, as it stands in a URL or a connection
//! string, keeps nothing at all. Where neither can be done there is none, and it is said why.

use sha2::{Digest, Sha256};

use super::{
    check,
    placeholder::is_placeholder,
    random::is_random,
    rule::{self, Rule},
};

/// Longer values (private keys, files) are no keys that anybody pastes into a request.
const MAX: usize = 1024;
/// How often a character is drawn again when it does not fit: what then still does not is a mark of the issuer's.
const DRAWS: usize = 24;
/// The fewest characters that must be random, or the decoy would tell too much of the value.
const LEAST: usize = 10;
/// How often it is begun anew when chance made a placeholder of it.
const ATTEMPTS: usize = 4;
/// How long a password is that stands for another, in characters: as password managers make them.
const PASSWORD: usize = 20;

/// A value that is taken for one of this kind (a finding's), and that nobody ever issued; `seed` is random, and the same
/// seed gives the same decoy.
///
/// # Errors
/// Why there is none.
pub fn decoy(kind: &str, value: &[u8], seed: &[u8; 32]) -> Result<Vec<u8>, &'static str> {
    if value.contains(&b'\n') || value.windows(10).any(|part| part == b"-----BEGIN") {
        return Err("a key of several lines is never pasted into a request, so nobody would see its decoy");
    }
    if value.len() > MAX {
        return Err("it is longer than any key that is pasted into a request");
    }
    let Some(rule) = rule::named(kind) else { return stand_in(value, seed, &|_| true).ok_or(NO_ROOM) };
    if rule.fits(value) {
        return of_rule(rule, value, seed).ok_or(NO_ROOM);
    }
    // The rest of what the rule looks for stands around it: a URL, a connection string.
    let part = rule.secret_part().filter(|part| rule.check.is_none() && part.is_match(value));
    let Some(part) = part else {
        return Err("it is not written as its issuer writes it, so a decoy would not be known for one");
    };
    stand_in(value, seed, &|made| part.is_match(made)).ok_or(NO_ROOM)
}

const NO_ROOM: &str = "its form leaves no room for another value";

/// For what has no form of its own, or only one that `fits` knows: a password of the usual kind, or as many characters of
/// the same classes where it was made by a machine.
fn stand_in(value: &[u8], seed: &[u8; 32], fits: &dyn Fn(&[u8]) -> bool) -> Option<Vec<u8>> {
    let mut draws = Draws { seed, count: 0 };
    let generated = value.len() > PASSWORD && value.iter().all(u8::is_ascii_graphic) && is_random(value);
    // Of hexadecimal digits one stays one.
    let hex = value.iter().all(|byte| byte.is_ascii_hexdigit() || byte.is_ascii_punctuation());
    let holds = |made: &[u8]| {
        fits(made) && (!hex || made.iter().all(|byte| byte.is_ascii_hexdigit() || byte.is_ascii_punctuation()))
    };
    (0..ATTEMPTS).find_map(|_| {
        let mut changed = PASSWORD;
        let mut made = match generated {
            true => value.to_vec(),
            // Of each class some, in an order that tells nothing.
            false => (0..PASSWORD).map(|at| b"aA0".get(at % 3).copied().unwrap_or(b'a')).collect(),
        };
        if generated {
            changed = (0..made.len()).map(|at| usize::from(redraw(&mut made, at, &mut draws, &holds))).sum();
        } else {
            for at in 0..made.len() {
                redraw(&mut made, at, &mut draws, &|_| true);
            }
        }
        (changed >= LEAST && made != value && fits(&made) && !is_placeholder(&made, false)).then_some(made)
    })
}

/// The same for a value that has the rule's form; `None` where that leaves no room for another.
fn of_rule(rule: &Rule, value: &[u8], seed: &[u8; 32]) -> Option<Vec<u8>> {
    let plain = value.iter().all(|byte| byte.is_ascii_graphic() && *byte != b'\\');
    if !plain {
        return None;
    }
    let expression = rule.expression()?;
    let seal = rule.check.map_or(0, check::seal_length);
    let body = value.len().checked_sub(seal)?;
    let check = rule.check.filter(|_| seal == 0).and_then(check::named);
    // What is a JWT stays one, whatever the rule says of it: a broken one is known to be made up.
    let jwt = check::named("jwt").filter(|check| check(value));
    let checks: Vec<check::Check> = check.into_iter().chain(jwt).collect();
    let holds = |made: &[u8]| rule.is_shape(&expression, made) && checks.iter().all(|check| check(made));
    let marks = marks(rule, value);
    let mut draws = Draws { seed, count: 0 };
    (0..ATTEMPTS).find_map(|_| {
        let mut made = value.to_vec();
        let mut changed = 0;
        for at in (0..body).filter(|at| !marks.get(*at).copied().unwrap_or_default()) {
            changed += usize::from(redraw(&mut made, at, &mut draws, &holds));
        }
        if seal > 0 {
            made.truncate(body);
            let end = check::seal(rule.check?, &made)?;
            made.extend_from_slice(end.as_bytes());
        }
        // A value that is known by its name is held to more.
        let stands_for_one = !rule.near.is_empty() && is_placeholder(&made, false);
        (changed >= LEAST && made != value && !stands_for_one && rule.fits(&made)).then_some(made)
    })
}

/// Puts another character of its class there, where one can stand.
fn redraw(made: &mut [u8], at: usize, draws: &mut Draws<'_>, holds: &dyn Fn(&[u8]) -> bool) -> bool {
    let Some(old) = made.get(at).copied() else { return false };
    let (first, size) = match old {
        b'0'..=b'9' => (b'0', 10),
        b'a'..=b'z' => (b'a', 26),
        b'A'..=b'Z' => (b'A', 26),
        _ => return false,
    };
    for _ in 0..DRAWS {
        let new = first + draws.below(size);
        if new == old {
            continue;
        }
        put(made, at, new);
        if holds(made) {
            return true;
        }
    }
    put(made, at, old);
    false
}

fn put(made: &mut [u8], at: usize, byte: u8) {
    if let Some(place) = made.get_mut(at) {
        *place = byte;
    }
}

/// Which characters belong to one of the rule's words.
fn marks(rule: &Rule, value: &[u8]) -> Vec<bool> {
    let mut marks = vec![false; value.len()];
    for word in &rule.words {
        for (at, part) in value.windows(word.len()).enumerate() {
            if part.eq_ignore_ascii_case(word.as_bytes()) {
                marks.iter_mut().skip(at).take(word.len()).for_each(|mark| *mark = true);
            }
        }
    }
    marks
}

/// SHA-256 of the seed and a counter.
struct Draws<'a> {
    seed: &'a [u8; 32],
    count: u64,
}

impl Draws<'_> {
    fn below(&mut self, size: u8) -> u8 {
        loop {
            self.count += 1;
            let block = Sha256::new().chain_update(self.seed).chain_update(self.count.to_le_bytes()).finalize();
            // What would make some characters likelier is drawn again.
            let fair = u8::MAX - u8::MAX % size;
            if let Some(byte) = block.iter().find(|byte| **byte < fair) {
                return byte % size;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::rule;

    #[test]
    fn a_decoy_has_the_marks_and_the_checksum_and_nothing_else() {
        let body = ["ghp", "_", "k9Vq2mZx7LwT4bN8cR1dYfH6jP3sGa"].concat();
        let value = format!("{body}{}", check::seal("base62-crc32", body.as_bytes()).unwrap()).into_bytes();
        let rule = rule::named("github-personal-access-token").unwrap();
        let decoy = |seed| decoy(rule.name, &value, seed);
        let made = decoy(&[7; 32]).unwrap();
        assert!(rule.fits(&made) && made.starts_with(&value[..4]) && made.len() == value.len());
        let same = made.iter().zip(&value).skip(4).take(30).filter(|(a, b)| a == b).count();
        assert_eq!(same, 0, "a character of the value is still there");
        assert_eq!(decoy(&[7; 32]).unwrap(), made);
        assert_ne!(decoy(&[8; 32]).unwrap(), made);
    }

    #[test]
    fn what_is_no_key_of_the_rule_has_no_decoy() {
        for value in [&b"ghp_short"[..], b"", &[b'x'; 5000]] {
            assert!(decoy("github-personal-access-token", value, &[1; 32]).is_err());
        }
        let block = ["-----BE", "GIN PRIVATE KEY-----\nMII"].concat();
        assert!(decoy("private-key", block.as_bytes(), &[1; 32]).unwrap_err().contains("several lines"));
    }

    #[test]
    fn a_password_has_a_decoy_that_tells_nothing_of_it() {
        for value in [&b"Tr0ub4dor&3"[..], b"a b c", b"hunter2hunter2"] {
            let made = decoy("generic-password", value, &[3; 32]).unwrap();
            assert!(made.len() == PASSWORD && made.iter().all(u8::is_ascii_alphanumeric));
        }
        let key = b"9f86d081884c7d659a2feaa0c55ad015";
        let made = decoy("generic-secret", key, &[3; 32]).unwrap();
        assert!(made.len() == key.len() && made != key && made.iter().all(u8::is_ascii_hexdigit));
    }
}
