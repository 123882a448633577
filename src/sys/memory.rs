//! Memory for credentials.

/// Bytes that are wiped on drop.
pub struct LockedBytes(zeroize::Zeroizing<Vec<u8>>);

impl LockedBytes {
    /// A copy of these bytes.
    pub fn copy_of(bytes: &[u8]) -> Self {
        Self(zeroize::Zeroizing::new(bytes.to_vec()))
    }

    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        &self.0
    }
}
