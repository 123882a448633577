//! Randomness from the kernel.

use std::io;

/// `N` bytes of the kernel's randomness (`getrandom(2)` and its kin). An error means that the system
/// has none to give; nothing secret may then be made.
pub fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| io::Error::other(format!("no randomness from the system: {error}")))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_draws_differ() {
        let (first, second) = (random::<32>().unwrap(), random::<32>().unwrap());
        assert_ne!(first, second);
        assert_ne!(first, [0; 32]);
    }
}
