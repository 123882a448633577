//! The device's identity on the wire.

use serde::{Deserialize, Serialize};

use crate::issuer::jws::Algorithm;

/// What others may know of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Identity {
    /// The issuer that its JWTs name (`iss`).
    pub issuer: String,
    /// The public keys, those that sign first.
    pub keys: Vec<Key>,
    /// The JSON Web Key Set (RFC 7517) for those who are to believe it.
    pub jwks: serde_json::Value,
    /// Its certificates.
    pub certificates: Vec<Certificate>,
}

/// A public key of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Key {
    /// Its name: the thumbprint of RFC 7638.
    pub kid: String,
    /// How it signs.
    pub alg: Algorithm,
    /// The public key in PEM, for those who take no JWK.
    pub pem: String,
    /// When it was made (RFC 3339).
    pub created_at: String,
    /// Until when it stays in the JWKS, where it signs no more (RFC 3339).
    pub until: Option<String>,
}

/// A certificate of one of its keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Certificate {
    /// How its key signs.
    pub alg: Algorithm,
    /// Its serial number, in decimal.
    pub serial: String,
    /// When it ends (RFC 3339).
    pub expires_at: String,
    /// It, and those that lead to its CA, in PEM.
    pub pem: String,
}

/// `POST /v1/identity`: makes the keys.
#[derive(Clone, Debug, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InitIdentity {
    /// The issuer that its JWTs name: an https URL, which nobody has to be able to fetch. One of its own where nothing is said.
    #[serde(default)]
    pub issuer: Option<String>,
}

/// `POST /v1/identity/rotate`: new keys sign from now on.
#[derive(Clone, Debug, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RotateIdentity {
    /// How long the old keys stay in the JWKS, in seconds; a week where nothing is said.
    #[serde(default)]
    pub overlap_seconds: Option<u64>,
}

/// `POST /v1/identity/certificate`.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CertifyIdentity {
    /// Of which key.
    pub alg: Algorithm,
    /// The subject's common name; the user's where nothing is said.
    #[serde(default)]
    pub name: Option<String>,
    /// What is to be done.
    pub action: Certify,
}

/// What there is to do about a certificate.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Certify {
    /// A request to a CA is made.
    Request,
    /// The device signs one for itself.
    SelfSigned {
        /// For so many days.
        days: u16,
    },
    /// A CA's certificate is taken, with those that lead to it.
    Install {
        /// In PEM.
        pem: String,
    },
}

/// What came of it.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Certified {
    /// The request or the certificate, in PEM.
    pub pem: String,
}
