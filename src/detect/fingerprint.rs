//! The fingerprint of a secret: the same secret has the same one, and it tells nothing of the secret.
//!
//! Owns the keyed hash. The key is the caller's, random and kept with the user's state: without it a short
//! password could be guessed from a report.

use sha2::{Digest, Sha256};

/// Makes fingerprints with one key.
#[derive(Clone)]
pub struct Fingerprints([u8; 32]);

impl Fingerprints {
    /// With this key.
    pub fn new(key: [u8; 32]) -> Self {
        Self(key)
    }

    /// 32 hex digits: the first half of HMAC-SHA-256 (RFC 2104) of the value.
    pub fn of(&self, value: &[u8]) -> String {
        let pad = |byte: u8| self.0.map(|b| b ^ byte).into_iter().chain([byte; 32]).collect::<Vec<u8>>();
        let inner = Sha256::new().chain_update(pad(0x36)).chain_update(value).finalize();
        let outer = Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize();
        outer.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }
}

impl std::fmt::Debug for Fingerprints {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Fingerprints")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_key_one_fingerprint() {
        let one = Fingerprints::new([1; 32]);
        assert_eq!(one.of(b"a"), one.of(b"a"));
        assert_ne!(one.of(b"a"), one.of(b"b"));
        assert_ne!(one.of(b"a"), Fingerprints::new([2; 32]).of(b"a"));
        // Python: hmac.new(b'\xaa' * 32, b'\xdd' * 50, 'sha256').hexdigest()[:32]
        assert_eq!(Fingerprints::new([0xaa; 32]).of(&[0xdd; 50]), "cdcb1220d1ecccea91e53aba3092f962");
    }
}
