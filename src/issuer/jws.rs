//! Signed JSON Web Tokens (RFC 7515, RFC 7519) with a private key in PEM.
//!
//! Owns ES256 and RS256 (RFC 7518 section 3.1) in the compact form, made with ring, which the binary has for TLS
//! anyway: a JWT library would bring a second crypto provider. Must never verify anything: nothing here trusts a JWT.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, RSA_PKCS1_SHA256, RsaKeyPair},
};
use rustls::pki_types::{PrivateKeyDer, pem::PemObject as _};
use serde_json::{Value, json};

/// Why there is no signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not PEM, or not a private key.
    #[error("it is no private key in PEM form")]
    Pem,
    /// A key of another kind.
    #[error("it is neither an RSA key of 2048 bits or more nor a P-256 key")]
    Kind,
    /// The signature could not be made.
    #[error("the key did not sign")]
    Signing,
}

enum Key {
    Ec(EcdsaKeyPair),
    Rsa(RsaKeyPair),
}

/// The claims as a signed JWT. `kid` names the key to the reader, where it is given.
pub fn sign(pem: &[u8], kid: Option<&str>, claims: &Value) -> Result<String, KeyError> {
    let random = SystemRandom::new();
    let key = key(pem, &random)?;
    let mut header = json!({ "typ": "JWT", "alg": match key { Key::Ec(_) => "ES256", Key::Rsa(_) => "RS256" } });
    if let (Some(kid), Some(members)) = (kid, header.as_object_mut()) {
        members.insert("kid".into(), kid.into());
    }
    let mut text = format!("{}.{}", BASE64.encode(header.to_string()), BASE64.encode(claims.to_string()));
    let signature = match &key {
        Key::Ec(key) => key.sign(&random, text.as_bytes()).map_err(|_| KeyError::Signing)?.as_ref().to_vec(),
        Key::Rsa(key) => {
            let mut signature = vec![0; key.public().modulus_len()];
            key.sign(&RSA_PKCS1_SHA256, &random, text.as_bytes(), &mut signature).map_err(|_| KeyError::Signing)?;
            signature
        }
    };
    text.push('.');
    BASE64.encode_string(signature, &mut text);
    Ok(text)
}

fn key(pem: &[u8], random: &SystemRandom) -> Result<Key, KeyError> {
    match PrivateKeyDer::from_pem_slice(pem).map_err(|_| KeyError::Pem)? {
        // GitHub gives its Apps' keys in this form.
        PrivateKeyDer::Pkcs1(der) => {
            RsaKeyPair::from_der(der.secret_pkcs1_der()).map(Key::Rsa).map_err(|_| KeyError::Kind)
        }
        PrivateKeyDer::Pkcs8(der) => {
            let der = der.secret_pkcs8_der();
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der, random)
                .map(Key::Ec)
                .or_else(|_| RsaKeyPair::from_pkcs8(der).map(Key::Rsa))
                .map_err(|_| KeyError::Kind)
        }
        _ => Err(KeyError::Kind),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use ring::signature::{ECDSA_P256_SHA256_FIXED, KeyPair as _, UnparsedPublicKey};

    use super::*;

    /// A new P-256 key in PEM, and its public half as ring has it.
    pub(crate) fn new_key() -> (Vec<u8>, Vec<u8>) {
        let random = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &random).unwrap();
        let body = base64::engine::general_purpose::STANDARD.encode(document.as_ref());
        let pem = ["-----BEGIN ", "PRIVATE KEY-----\n", &body, "\n-----END ", "PRIVATE KEY-----\n"].concat();
        (pem.into_bytes(), pair.public_key().as_ref().to_vec())
    }

    /// A JWT's header and claims, its signature checked.
    pub(crate) fn verified(token: &str, public: &[u8]) -> (Value, Value) {
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let signature = BASE64.decode(signature).unwrap();
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, public).verify(signed.as_bytes(), &signature).unwrap();
        let (header, claims) = signed.split_once('.').unwrap();
        let part = |text: &str| serde_json::from_slice(&BASE64.decode(text).unwrap()).unwrap();
        (part(header), part(claims))
    }

    #[test]
    fn what_is_signed_verifies_and_says_its_algorithm() {
        let (pem, public) = new_key();
        let token = sign(&pem, Some("k1"), &json!({ "sub": "x" })).unwrap();
        let (header, claims) = verified(&token, &public);
        assert_eq!((header, claims), (json!({ "typ": "JWT", "alg": "ES256", "kid": "k1" }), json!({ "sub": "x" })));
    }

    #[test]
    fn what_is_no_key_is_said_without_repeating_it() {
        assert_eq!(sign(b"not a key", None, &json!({})), Err(KeyError::Pem));
        let bad = ["-----BEGIN ", "PRIVATE KEY-----\nAAAA\n-----END ", "PRIVATE KEY-----\n"].concat();
        assert_eq!(sign(bad.as_bytes(), None, &json!({})), Err(KeyError::Kind));
    }
}
