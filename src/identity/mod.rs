//! The identity of this device: the keys that it signs with as an issuer of its own.
//!
//! Owns the document that rests in the store and nowhere else: the keys, the certificate, the name of the issuer. Other
//! servers know the public halves ([`Device::jwks`]) and take what the keys sign for the word of this device. Pure: the
//! bytes, the time and new keys are passed in. Must never give a private key away.

pub mod certificate;
pub mod generate;

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use crate::{
    issuer::{
        Draw, Who,
        jws::{Algorithm, KeyError, Signer},
    },
    secret::Secret,
};

/// Under which name it rests in the store; no credential's name has a slash.
pub const NAME: &str = "identity/device";
/// A clock that is this far ahead of a server's is still believed, in seconds: by so much an assertion is dated back.
const BACK: i64 = 30;

/// The document is damaged, or of a newer version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the device's identity in the store cannot be read")]
pub struct Damaged;

/// The identity.
#[derive(Clone)]
pub struct Device {
    document: Document,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: u32,
    issuer: String,
    keys: Vec<Key>,
    /// By the key's algorithm: the certificate, in PEM, with those that lead to its CA.
    #[serde(default)]
    certificates: BTreeMap<Algorithm, String>,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Key {
    alg: Algorithm,
    kid: String,
    /// PKCS #8, in base64.
    private: Zeroizing<String>,
    created_ms: i64,
    /// A key that signs no more, and that others may forget then.
    until_ms: Option<i64>,
}

/// A public key of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Public {
    /// Its name: the thumbprint of RFC 7638.
    pub kid: String,
    /// How it signs.
    pub alg: Algorithm,
    /// When it was made, in milliseconds since 1970 (UTC).
    pub created_ms: i64,
    /// Until when it stays in the JWKS, where it signs no more.
    pub until_ms: Option<i64>,
}

impl std::fmt::Debug for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Device").field("issuer", &self.document.issuer).finish_non_exhaustive()
    }
}

impl Device {
    /// A new one, with these keys in PKCS #8.
    pub fn new(issuer: String, keys: &[Zeroizing<Vec<u8>>], now_ms: i64) -> Result<Self, KeyError> {
        let keys = keys.iter().map(|key| Key::new(key, now_ms)).collect::<Result<_, _>>()?;
        Ok(Self { document: Document { version: 1, issuer, keys, certificates: BTreeMap::new() } })
    }

    /// As it rests in the store.
    pub fn read(bytes: &Secret) -> Result<Self, Damaged> {
        let document: Document = serde_json::from_slice(bytes.expose()).map_err(|_| Damaged)?;
        let all = [Algorithm::ES256, Algorithm::RS256];
        let whole = all.iter().all(|alg| document.keys.iter().any(|key| key.signs(*alg)));
        if document.version == 1 && whole { Ok(Self { document }) } else { Err(Damaged) }
    }

    /// The bytes for the store.
    pub fn write(&self) -> Result<Secret, Damaged> {
        serde_json::to_vec(&self.document).map(Secret::take).map_err(|_| Damaged)
    }

    /// The issuer that its JWTs name (`iss`).
    pub fn issuer(&self) -> &str {
        &self.document.issuer
    }

    /// Its keys' public side, those that sign first.
    pub fn keys(&self, now_ms: i64) -> Vec<Public> {
        let mut keys: Vec<Public> = self.document.keys.iter().filter(|key| key.stays(now_ms)).map(Key::public).collect();
        keys.sort_by_key(|key| (key.until_ms.is_some(), key.alg));
        keys
    }

    /// The JSON Web Key Set (RFC 7517 section 5) for those who are to believe it.
    pub fn jwks(&self, now_ms: i64) -> Result<Value, Damaged> {
        let keys = self.document.keys.iter().filter(|key| key.stays(now_ms));
        let keys = keys.map(Key::jwk).collect::<Result<Vec<_>, _>>().map_err(|_| Damaged)?;
        Ok(json!({ "keys": keys }))
    }

    /// New keys sign from now on. The old ones stay in the JWKS until then, for what they signed and for those who have not
    /// heard of the new ones; what is over by now is gone. The certificates were of the old keys.
    pub fn rotate(&mut self, keys: &[Zeroizing<Vec<u8>>], now_ms: i64, until_ms: i64) -> Result<(), KeyError> {
        let new = keys.iter().map(|key| Key::new(key, now_ms)).collect::<Result<Vec<_>, _>>()?;
        self.document.keys.retain(|key| key.stays(now_ms));
        for key in &mut self.document.keys {
            key.until_ms.get_or_insert(until_ms);
        }
        self.document.keys.extend(new);
        self.document.certificates.clear();
        Ok(())
    }

    /// Who signs now by this algorithm.
    pub fn signer(&self, alg: Algorithm) -> Result<Signer, KeyError> {
        self.key(alg)?.signer()
    }

    fn key(&self, alg: Algorithm) -> Result<&Key, KeyError> {
        self.document.keys.iter().find(|key| key.signs(alg)).ok_or(KeyError::Kind)
    }

    /// A JWT about this principal for this audience (RFC 7523 section 3): short-lived, and never the same twice.
    pub fn assertion(&self, who: &Who, audience: &str, life: i64, alg: Algorithm, draw: &Draw) -> Result<String, KeyError> {
        let now = draw.now_ms.div_euclid(1000);
        let mut claims = json!({
            "iss": self.document.issuer, "sub": subject(who), "aud": audience, "iat": now.saturating_sub(BACK),
            "nbf": now.saturating_sub(BACK), "exp": now.saturating_add(life), "jti": draw.id(),
            "owner": who.owner, "principal": who.principal,
        });
        if let (Some(task), Some(members)) = (&who.task, claims.as_object_mut()) {
            members.insert("task".into(), task.as_str().into());
        }
        let key = self.key(alg)?;
        let mut header = Map::new();
        header.insert("kid".into(), key.kid.as_str().into());
        key.signer()?.jwt(header, &claims)
    }
}

/// Whom an assertion is about: `owner/principal`, and the task where there is one. Rules at the other side match it from the
/// left: `ada/triage-bot/*`. What could be taken for another part is no letter of a name.
pub fn subject(who: &Who) -> String {
    let part = |text: &str| {
        let fits = |c: char| c.is_ascii_alphanumeric() || "._-@+".contains(c);
        text.chars().map(|c| if fits(c) { c } else { '_' }).collect::<String>()
    };
    let task = who.task.as_deref().map(|task| format!("/{}", part(task))).unwrap_or_default();
    format!("{}/{}{task}", part(&who.owner), part(&who.principal))
}

impl Key {
    fn new(pkcs8: &[u8], created_ms: i64) -> Result<Self, KeyError> {
        let signer = Signer::of_pkcs8(pkcs8)?;
        let private = Zeroizing::new(BASE64.encode(pkcs8));
        Ok(Self { alg: signer.algorithm(), kid: signer.thumbprint(), private, created_ms, until_ms: None })
    }

    fn signs(&self, alg: Algorithm) -> bool {
        self.alg == alg && self.until_ms.is_none()
    }

    fn stays(&self, now_ms: i64) -> bool {
        self.until_ms.is_none_or(|until| until > now_ms)
    }

    fn pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        BASE64.decode(self.private.as_bytes()).map(Zeroizing::new).map_err(|_| KeyError::Kind)
    }

    fn signer(&self) -> Result<Signer, KeyError> {
        Signer::of_pkcs8(&self.pkcs8()?)
    }

    fn public(&self) -> Public {
        Public { kid: self.kid.clone(), alg: self.alg, created_ms: self.created_ms, until_ms: self.until_ms }
    }

    fn jwk(&self) -> Result<Value, KeyError> {
        let mut jwk = self.signer()?.jwk();
        jwk.insert("kid".into(), self.kid.as_str().into());
        jwk.insert("use".into(), "sig".into());
        jwk.insert("alg".into(), self.alg.word().into());
        Ok(Value::Object(jwk))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// One with new keys.
    pub(crate) fn device() -> Device {
        Device::new("https://hallpass.invalid/d1".into(), &generate::keys().unwrap(), 1000).unwrap()
    }

    #[test]
    fn it_survives_the_store_and_shows_no_key() {
        let device = device();
        let read = Device::read(&device.write().unwrap()).unwrap();
        assert_eq!(read.keys(2000), device.keys(2000));
        assert_eq!(device.keys(2000).iter().map(|key| key.alg).collect::<Vec<_>>(), [Algorithm::ES256, Algorithm::RS256]);
        let private = device.document.keys[0].private.as_str();
        assert!(!format!("{device:?} {}", device.jwks(2000).unwrap()).contains(private));
        assert!(!device.jwks(2000).unwrap().to_string().contains("\"d\""));
        for odd in ["", "{}", r#"{"version":1,"issuer":"x","keys":[]}"#] {
            assert!(Device::read(&Secret::take(odd.into())).is_err(), "{odd}");
        }
    }

    #[test]
    fn an_old_key_stays_in_the_set_until_its_time_and_signs_no_more() {
        let mut device = device();
        let old: Vec<String> = device.keys(2000).into_iter().map(|key| key.kid).collect();
        device.rotate(&generate::keys().unwrap(), 3000, 9000).unwrap();
        assert_eq!(device.jwks(8999).unwrap()["keys"].as_array().unwrap().len(), 4);
        assert_eq!(device.jwks(9000).unwrap()["keys"].as_array().unwrap().len(), 2);
        let new = device.keys(3000);
        assert!(new[..2].iter().all(|key| key.until_ms.is_none() && !old.contains(&key.kid)));
        assert!(new[2..].iter().all(|key| key.until_ms == Some(9000) && old.contains(&key.kid)));
    }

    #[test]
    fn a_subject_has_its_parts_and_no_others() {
        let who = Who { owner: "ada@x".into(), principal: "bot".into(), task: Some("task_1".into()) };
        assert_eq!(subject(&who), "ada@x/bot/task_1");
        let odd = Who { owner: "a/b".into(), principal: "c d*".into(), task: None };
        assert_eq!(subject(&odd), "a_b/c_d_");
    }
}
