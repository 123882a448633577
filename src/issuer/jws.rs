//! Signed JSON Web Tokens (RFC 7515, RFC 7519), and the keys that sign them.
//!
//! Owns ES256 and RS256 (RFC 7518 section 3.1) in the compact form, made with ring, which the binary has for TLS
//! anyway: a JWT library would bring a second crypto provider. Also the public half as a JWK (RFC 7517) and its thumbprint
//! (RFC 7638). Must never verify anything: nothing here trusts a JWT.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use ring::{
    digest::{SHA256, digest},
    rand::SystemRandom,
    rsa::PublicKeyComponents,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair},
};
use rustls::pki_types::{PrivateKeyDer, pem::PemObject as _};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

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

/// How a key signs: the words of RFC 7518.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
pub enum Algorithm {
    /// ECDSA on P-256.
    ES256,
    /// RSA PKCS #1 v1.5.
    RS256,
}

impl Algorithm {
    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::ES256 => "ES256",
            Self::RS256 => "RS256",
        }
    }
}

/// A private key that signs.
pub struct Signer(Key);

enum Key {
    Ec(EcdsaKeyPair),
    Rsa(RsaKeyPair),
}

/// The claims as a signed JWT. `kid` names the key to the reader, where it is given.
pub fn sign(pem: &[u8], kid: Option<&str>, claims: &Value) -> Result<String, KeyError> {
    let mut header = Map::new();
    if let Some(kid) = kid {
        header.insert("kid".into(), kid.into());
    }
    Signer::of_pem(pem)?.jwt(header, claims)
}

impl Signer {
    /// A key in PEM: PKCS #8, or PKCS #1 for RSA.
    pub fn of_pem(pem: &[u8]) -> Result<Self, KeyError> {
        match PrivateKeyDer::from_pem_slice(pem).map_err(|_| KeyError::Pem)? {
            // GitHub gives its Apps' keys in this form.
            PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der())
                .map(|pair| Self(Key::Rsa(pair)))
                .map_err(|_| KeyError::Kind),
            PrivateKeyDer::Pkcs8(der) => Self::of_pkcs8(der.secret_pkcs8_der()),
            _ => Err(KeyError::Kind),
        }
    }

    /// A key in PKCS #8 (RFC 5958).
    pub fn of_pkcs8(der: &[u8]) -> Result<Self, KeyError> {
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der, &SystemRandom::new())
            .map(Key::Ec)
            .or_else(|_| RsaKeyPair::from_pkcs8(der).map(Key::Rsa))
            .map(Self)
            .map_err(|_| KeyError::Kind)
    }

    /// How it signs.
    pub fn algorithm(&self) -> Algorithm {
        match self.0 {
            Key::Ec(_) => Algorithm::ES256,
            Key::Rsa(_) => Algorithm::RS256,
        }
    }

    /// A JWT with these members in its header; `alg` is set, and `typ` where there is none.
    pub fn jwt(&self, mut header: Map<String, Value>, claims: &Value) -> Result<String, KeyError> {
        header.insert("alg".into(), self.algorithm().word().into());
        header.entry("typ").or_insert_with(|| "JWT".into());
        let header = Value::Object(header).to_string();
        let mut text = format!("{}.{}", BASE64.encode(header), BASE64.encode(claims.to_string()));
        let signature = self.sign(text.as_bytes())?;
        text.push('.');
        BASE64.encode_string(signature, &mut text);
        Ok(text)
    }

    /// The signature in the form that JWS has: the two numbers of ECDSA one after the other.
    pub fn sign(&self, bytes: &[u8]) -> Result<Vec<u8>, KeyError> {
        let random = SystemRandom::new();
        match &self.0 {
            Key::Ec(key) => Ok(key.sign(&random, bytes).map_err(|_| KeyError::Signing)?.as_ref().to_vec()),
            Key::Rsa(key) => {
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &random, bytes, &mut signature).map_err(|_| KeyError::Signing)?;
                Ok(signature)
            }
        }
    }

    /// The signature in the form that X.509 has: ECDSA's two numbers as a sequence in DER (RFC 3279 section 2.2.3).
    pub fn sign_der(&self, bytes: &[u8]) -> Result<Vec<u8>, KeyError> {
        let signature = self.sign(bytes)?;
        if let Key::Rsa(_) = self.0 {
            return Ok(signature);
        }
        let (r, s) = signature.split_at_checked(32).ok_or(KeyError::Signing)?;
        let numbers = [integer(r), integer(s)].concat();
        let length = u8::try_from(numbers.len()).map_err(|_| KeyError::Signing)?;
        Ok([&[0x30, length], numbers.as_slice()].concat())
    }

    /// The public half: a JWK with the members that its kind requires, and no others.
    pub fn jwk(&self) -> Map<String, Value> {
        let value = match &self.0 {
            Key::Ec(pair) => {
                // An uncompressed point: 4, then the two coordinates (SEC 1 section 2.3.3).
                let point = pair.public_key().as_ref().get(1..).unwrap_or_default();
                let (x, y) = point.split_at_checked(32).unwrap_or_default();
                json!({ "crv": "P-256", "kty": "EC", "x": BASE64.encode(x), "y": BASE64.encode(y) })
            }
            Key::Rsa(pair) => {
                let public = PublicKeyComponents::<Vec<u8>>::from(pair.public());
                json!({ "e": BASE64.encode(public.e), "kty": "RSA", "n": BASE64.encode(public.n) })
            }
        };
        if let Value::Object(members) = value { members } else { Map::new() }
    }

    /// The thumbprint of that (RFC 7638): a key's name that anyone can compute.
    pub fn thumbprint(&self) -> String {
        // Required members only, in the order of their names, without white space: as serde_json writes a map.
        let members: std::collections::BTreeMap<_, _> = self.jwk().into_iter().collect();
        let text = serde_json::to_string(&members).unwrap_or_default();
        BASE64.encode(digest(&SHA256, text.as_bytes()))
    }
}

/// An unsigned number in DER.
fn integer(bytes: &[u8]) -> Vec<u8> {
    let mut digits: Vec<u8> = bytes.iter().copied().skip_while(|byte| *byte == 0).collect();
    if digits.first().is_none_or(|first| first & 0x80 != 0) {
        digits.insert(0, 0);
    }
    let length = u8::try_from(digits.len()).unwrap_or(u8::MAX);
    [&[0x02, length], digits.as_slice()].concat()
}

#[cfg(test)]
pub(crate) mod tests {
    use ring::signature::{ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

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
    fn the_form_of_x509_verifies_too() {
        let (pem, public) = new_key();
        let signer = Signer::of_pem(&pem).unwrap();
        // Numbers with leading zeros, or with the highest bit set, come up in a few hundred.
        for n in 0..600_u32 {
            let signature = signer.sign_der(&n.to_be_bytes()).unwrap();
            UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &public).verify(&n.to_be_bytes(), &signature).unwrap();
        }
    }

    #[test]
    fn the_thumbprint_is_the_one_of_the_standard() {
        // RFC 7638 section 3.1's key is public only; this checks the form of the text that is hashed.
        let (pem, public) = new_key();
        let signer = Signer::of_pem(&pem).unwrap();
        let (x, y) = (BASE64.encode(&public[1..33]), BASE64.encode(&public[33..]));
        let text = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
        assert_eq!(signer.thumbprint(), BASE64.encode(digest(&SHA256, text.as_bytes())));
    }

    #[test]
    fn what_is_no_key_is_said_without_repeating_it() {
        assert_eq!(sign(b"not a key", None, &json!({})), Err(KeyError::Pem));
        let bad = ["-----BEGIN ", "PRIVATE KEY-----\nAAAA\n-----END ", "PRIVATE KEY-----\n"].concat();
        assert_eq!(sign(bad.as_bytes(), None, &json!({})), Err(KeyError::Kind));
    }
}
