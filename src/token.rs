//! hallpass tokens: `hp_` + 256 random bits in base62 + a checksum.
//!
//! Owns the format and the hash under which the daemon remembers a token. Must never keep a token's
//! text: the daemon stores [`TokenHash`] only, so a stolen state file holds nothing usable.

use std::fmt;

use sha2::{Digest, Sha256};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// What every hallpass token starts with.
pub const PREFIX: &str = "hp_";
/// Base62 digits of 256 bits: 62^43 > 2^256.
const BODY: usize = 43;
/// Base62 digits of a CRC-32: 62^6 > 2^32.
const CHECK: usize = 6;
/// The length of a token in bytes.
pub const LENGTH: usize = PREFIX.len() + BODY + CHECK;

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A token's text, on its way to the client that asked for it.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Token(String);

/// SHA-256 of a token's text: what the daemon keeps. A token carries 256 random bits, so a plain
/// hash cannot be searched backwards, and looking a hash up in a map leaks nothing by its timing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TokenHash(pub [u8; 32]);

/// Why a text is no hallpass token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It does not start with `hp_`: some other kind of key.
    #[error("this is not a hallpass token (it does not start with {PREFIX})")]
    Foreign,
    /// It starts with `hp_`, and its length, digits or checksum are wrong: cut or mistyped.
    #[error("this hallpass token is damaged (its checksum does not match); was it cut when copied?")]
    Damaged,
}

impl Token {
    /// Builds a token from 256 bits of entropy.
    pub fn from_entropy(entropy: [u8; 32]) -> Self {
        let mut text = String::with_capacity(LENGTH);
        text.push_str(PREFIX);
        push_base62(&mut text, entropy, BODY);
        let check = crc32fast::hash(text.as_bytes());
        let mut wide = [0u8; 32];
        if let Some(low) = wide.get_mut(28..) {
            low.copy_from_slice(&check.to_be_bytes());
        }
        push_base62(&mut text, wide, CHECK);
        Self(text)
    }

    /// The text. It is a bearer token: whoever has it may use it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The hash under which the daemon knows it.
    pub fn hash(&self) -> TokenHash {
        hash_of(self.0.as_bytes())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(redacted)")
    }
}

/// Checks prefix, length, digits and checksum, and gives the hash to look up.
pub fn check(text: &[u8]) -> Result<TokenHash, TokenError> {
    if !looks_like(text) {
        return Err(TokenError::Foreign);
    }
    if text.len() != LENGTH || !text.iter().skip(PREFIX.len()).all(u8::is_ascii_alphanumeric) {
        return Err(TokenError::Damaged);
    }
    let (body, digits) = text.split_at(LENGTH - CHECK);
    let mut value: u64 = 0;
    for digit in digits {
        value = value * 62 + digit_value(*digit);
    }
    if value != u64::from(crc32fast::hash(body)) {
        return Err(TokenError::Damaged);
    }
    Ok(hash_of(text))
}

/// True for a text that claims to be a hallpass token.
pub fn looks_like(text: &[u8]) -> bool {
    text.starts_with(PREFIX.as_bytes())
}

/// A short random id such as `lease_7F3kQ2...`: 96 bits, so ids never collide and name no secret.
pub fn short_id(kind: &str, entropy: [u8; 12]) -> String {
    let mut wide = [0u8; 32];
    if let Some(low) = wide.get_mut(20..) {
        low.copy_from_slice(&entropy);
    }
    let mut text = String::with_capacity(kind.len() + 18);
    text.push_str(kind);
    text.push('_');
    push_base62(&mut text, wide, 17);
    text
}

/// The hash under which the daemon knows any token, an issuer's own included.
pub fn hash_of(text: &[u8]) -> TokenHash {
    TokenHash(Sha256::digest(text).into())
}

fn digit_value(digit: u8) -> u64 {
    u64::from(match digit {
        b'0'..=b'9' => digit - b'0',
        b'A'..=b'Z' => digit - b'A' + 10,
        _ => digit.wrapping_sub(b'a').wrapping_add(36),
    })
}

/// Appends the low `width` base62 digits of a 256-bit big-endian number.
fn push_base62(text: &mut String, mut number: [u8; 32], width: usize) {
    let mut digits = [b'0'; BODY];
    for slot in digits.iter_mut().take(width).rev() {
        let mut rest: u32 = 0;
        for byte in &mut number {
            let value = rest * 256 + u32::from(*byte);
            *byte = u8::try_from(value / 62).unwrap_or(0);
            rest = value % 62;
        }
        *slot = DIGITS.get(rest as usize).copied().unwrap_or(b'0');
    }
    number.zeroize();
    text.extend(digits.iter().take(width).map(|digit| char::from(*digit)));
    digits.zeroize();
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_token_checks_and_any_changed_byte_does_not(entropy: [u8; 32], at in 0..LENGTH, to in 0u8..128) {
            let token = Token::from_entropy(entropy);
            prop_assert_eq!(token.expose().len(), LENGTH);
            prop_assert_eq!(check(token.expose().as_bytes()), Ok(token.hash()));
            let mut bytes = token.expose().as_bytes().to_vec();
            if bytes[at] != to {
                bytes[at] = to;
                prop_assert!(check(&bytes).is_err());
            }
        }

        #[test]
        fn no_input_panics(bytes: Vec<u8>) {
            let _ = check(&bytes);
        }
    }

    #[test]
    fn the_highest_number_fits_its_digits() {
        let top = Token::from_entropy([0xff; 32]);
        let zero = Token::from_entropy([0; 32]);
        assert_ne!(top.expose(), zero.expose());
        assert!(zero.expose().starts_with("hp_0000"));
        assert_eq!(check(b"sk-something"), Err(TokenError::Foreign));
        assert_eq!(check(b"hp_short"), Err(TokenError::Damaged));
    }

    #[test]
    fn short_ids_differ_with_their_entropy() {
        assert_ne!(short_id("lease", [1; 12]), short_id("lease", [2; 12]));
    }
}
