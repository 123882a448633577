//! The one type that holds a credential's bytes in memory.
//!
//! Owns: locked, non-dumpable, zeroized memory and a redacting `Debug`. Must never gain `Display`,
//! `Serialize`, `PartialEq` or an implicit conversion: [`Secret::expose`] is the only way to the
//! bytes, so that a search for it finds every use.

use std::fmt;

use crate::sys::memory::LockedBytes;

/// A credential's bytes, in memory that is wiped on drop and kept out of swap and core dumps where
/// the platform and the limits allow (`doctor` reports which hold).
pub struct Secret(LockedBytes);

impl Secret {
    /// Takes the bytes over; the caller's buffer is wiped.
    pub fn take(mut bytes: Vec<u8>) -> Self {
        let secret = Self(LockedBytes::copy_of(&bytes));
        zeroize::Zeroize::zeroize(&mut bytes);
        secret
    }

    /// Takes a string over; the caller's buffer is wiped.
    pub fn take_string(text: String) -> Self {
        Self::take(text.into_bytes())
    }

    /// The bytes. Every call is a place to review.
    pub fn expose(&self) -> &[u8] {
        self.0.as_slice()
    }

    /// The bytes as text, or `None` where they are not UTF-8.
    pub fn expose_str(&self) -> Option<&str> {
        std::str::from_utf8(self.expose()).ok()
    }

    /// The length in bytes.
    pub fn len(&self) -> usize {
        self.0.as_slice().len()
    }

    /// True for an empty value.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Clone for Secret {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_says_nothing_of_the_value() {
        let secret = Secret::take(b"canary-value".to_vec());
        assert_eq!(format!("{secret:?}"), "Secret(redacted)");
        assert_eq!(secret.clone().expose(), b"canary-value");
    }
}
