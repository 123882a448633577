//! New keys.
//!
//! Owns the making of them. ring makes no RSA keys; the crate `rsa` does, and is used for that alone, when an identity is
//! made or rotated: every signature is ring's.

use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair},
};
use rsa::{PrivateKey, pkcs8::EncodePrivateKey as _};
use zeroize::Zeroizing;

use crate::issuer::jws::KeyError;

/// NIST SP 800-131A: 2048 bits until 2030; every relying party takes these.
const BITS: usize = 3072;

/// One key of each kind, in PKCS #8. Takes seconds: a thread's work.
pub fn keys() -> Result<Vec<Zeroizing<Vec<u8>>>, KeyError> {
    let random = SystemRandom::new();
    let ec = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).map_err(|_| KeyError::Signing)?;
    let rsa = PrivateKey::new(&mut rsa::rand_core::UnwrapErr(getrandom::SysRng), BITS).map_err(|_| KeyError::Signing)?;
    let rsa = rsa.to_pkcs8_der().map_err(|_| KeyError::Signing)?;
    Ok(vec![Zeroizing::new(ec.as_ref().to_vec()), Zeroizing::new(rsa.as_bytes().to_vec())])
}
