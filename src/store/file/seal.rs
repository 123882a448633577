//! The sealed form: age around JSON.
//!
//! Owns keys, work factor and format. Plaintexts live in buffers that are wiped and never grow, because a
//! buffer that grows leaves copies behind. Never formats an error of serde: it would show values.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    path::Path,
};

use age::{
    DecryptError, Decryptor, Encryptor, IdentityFile,
    armor::{ArmoredReader, ArmoredWriter, Format},
    secrecy::SecretString,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{secret::Secret, store::StoreError};

/// The scrypt work factor (log2 of N) of what is written: 64 MiB and 0.1 to 0.2 s on the machines at hand, twice
/// per change because the new file is opened again before it counts. `age`'s own 18 takes four times as long,
/// which every change would pay; what an attacker pays is four times less, so the passphrase should be a long one.
pub(super) const WORK: u8 = 16;

/// The most that is accepted from a file: 1 GiB, four times what `age` itself writes.
const MOST_WORK: u8 = 20;

/// The version of the plaintext.
const VERSION: u32 = 1;

/// What opens the file.
pub(super) enum Key {
    /// A passphrase, UTF-8.
    Passphrase(Secret),
    /// The text of an age identity file.
    Identity(Secret),
}

/// How the file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Text, as `age -a` writes it. What hallpass begins with.
    Armoured,
    /// As `age` writes it by default; kept where it is found.
    Binary,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Plain<'a> {
    version: u32,
    /// Base64 has nothing to escape, so the values are borrowed from the wiped buffer.
    #[serde(borrow)]
    credentials: BTreeMap<String, &'a str>,
}

impl Key {
    pub(super) fn of_passphrase(passphrase: Secret) -> Result<Self, StoreError> {
        if passphrase.expose_str().is_none() {
            Err(StoreError::WrongPassphrase)
        } else {
            Ok(Self::Passphrase(passphrase))
        }
    }

    pub(super) fn of_identity(path: &Path) -> Result<Self, StoreError> {
        let (text, _) = crate::sys::durable::read_regular(path, 1 << 20).map_err(|error| {
            StoreError::Unavailable(format!("the identity file {} cannot be read: {}", path.display(), error.kind()))
        })?;
        let key = Self::Identity(Secret::take(text));
        key.identities().map(|_| key)
    }

    fn identities(&self) -> Result<IdentityFile<age::NoCallbacks>, StoreError> {
        let Self::Identity(text) = self else { return Err(StoreError::WrongPassphrase) };
        IdentityFile::from_buffer(text.expose())
            .map_err(|_| StoreError::Unavailable("the identity file is not one of `age-keygen`".into()))
    }
}

fn passphrase(secret: &Secret) -> SecretString {
    SecretString::from(secret.expose_str().unwrap_or_default().to_owned())
}

/// Seals the values.
pub(super) fn seal(values: &BTreeMap<String, Secret>, key: &Key, form: Form, work: u8) -> Result<Vec<u8>, StoreError> {
    let plain = to_json(values)?;
    let fault = |_| StoreError::Io("age could not encrypt".into());
    let encryptor = match key {
        Key::Passphrase(secret) => {
            let mut recipient = age::scrypt::Recipient::new(passphrase(secret));
            recipient.set_work_factor(work);
            Encryptor::with_recipients(std::iter::once(&recipient as &dyn age::Recipient)).map_err(fault)?
        }
        Key::Identity(_) => {
            let recipients = key.identities()?.to_recipients().map_err(fault)?;
            let all = recipients.iter().map(|one| one.as_ref() as &dyn age::Recipient);
            Encryptor::with_recipients(all)
                .map_err(|_| StoreError::Unavailable("the identity file holds no identity".into()))?
        }
    };
    let format = if form == Form::Armoured { Format::AsciiArmor } else { Format::Binary };
    let write = || -> std::io::Result<Vec<u8>> {
        let armour = ArmoredWriter::wrap_output(Vec::new(), format)?;
        let mut writer = encryptor.wrap_output(armour)?;
        writer.write_all(&plain)?;
        writer.finish()?.finish()
    };
    write().map_err(|_| StoreError::Io("age could not encrypt".into()))
}

/// Opens what was sealed, by hallpass or by `age`.
pub(super) fn open(sealed: &[u8], key: &Key) -> Result<(BTreeMap<String, Secret>, Form), StoreError> {
    let form = if sealed.starts_with(b"-----BEGIN AGE") { Form::Armoured } else { Form::Binary };
    let decryptor = Decryptor::new(ArmoredReader::new(sealed)).map_err(error)?;
    let mut plain = Zeroizing::new(Vec::with_capacity(sealed.len()));
    let mut reader = match key {
        Key::Passphrase(secret) if decryptor.is_scrypt() => {
            let mut identity = age::scrypt::Identity::new(passphrase(secret));
            identity.set_max_work_factor(MOST_WORK);
            decryptor.decrypt(std::iter::once(&identity as &dyn age::Identity)).map_err(error)?
        }
        Key::Identity(_) if !decryptor.is_scrypt() => {
            let identities = key.identities()?.into_identities().map_err(error)?;
            let all = identities.iter().map(|one| one.as_ref() as &dyn age::Identity);
            decryptor.decrypt(all).map_err(error)?
        }
        Key::Passphrase(_) => {
            return Err(StoreError::Unavailable("the file is encrypted to an identity, and none is configured".into()));
        }
        Key::Identity(_) => {
            return Err(StoreError::Unavailable("the file has a passphrase, but an identity is configured".into()));
        }
    };
    reader.read_to_end(&mut plain).map_err(|_| damaged("it is cut short or was changed"))?;
    Ok((from_json(&plain)?, form))
}

fn to_json(values: &BTreeMap<String, Secret>) -> Result<Zeroizing<Vec<u8>>, StoreError> {
    let encoded: Vec<(&String, Zeroizing<String>)> =
        values.iter().map(|(name, value)| (name, Zeroizing::new(STANDARD.encode(value.expose())))).collect();
    // A name takes at most six bytes per byte in JSON.
    let room: usize = encoded.iter().map(|(name, text)| name.len() * 6 + text.len() + 6).sum();
    let mut json = Zeroizing::new(Vec::with_capacity(room + 64));
    let credentials = encoded.iter().map(|(name, text)| ((*name).clone(), text.as_str())).collect();
    serde_json::to_writer(&mut *json, &Plain { version: VERSION, credentials })
        .map_err(|_| StoreError::Io("the credentials could not be written as JSON".into()))?;
    Ok(json)
}

fn from_json(plain: &[u8]) -> Result<BTreeMap<String, Secret>, StoreError> {
    #[derive(Deserialize)]
    struct Version {
        version: u32,
    }
    let not_ours = |_| damaged("it was decrypted, but its contents are not what hallpass writes");
    let version = serde_json::from_slice::<Version>(plain).map_err(not_ours)?.version;
    if version != VERSION {
        return Err(StoreError::Unavailable(format!("a newer hallpass wrote it (format {version}); update hallpass")));
    }
    let content: Plain<'_> = serde_json::from_slice(plain).map_err(not_ours)?;
    let mut values = BTreeMap::new();
    for (name, text) in content.credentials {
        let value = STANDARD.decode(text).map_err(|_| damaged("a value in it is not base64"))?;
        values.insert(name, Secret::take(value));
    }
    Ok(values)
}

fn damaged(what: &str) -> StoreError {
    StoreError::Damaged(what.into())
}

fn error(error: DecryptError) -> StoreError {
    match error {
        // All three come from the header: the payload is read later and fails as I/O.
        DecryptError::DecryptionFailed | DecryptError::KeyDecryptionFailed | DecryptError::NoMatchingKeys => {
            StoreError::WrongPassphrase
        }
        DecryptError::ExcessiveWork { required, .. } => {
            StoreError::Unavailable(format!("the file asks for scrypt work {required}, more than {MOST_WORK}"))
        }
        DecryptError::UnknownFormat => damaged("it is not an age file"),
        DecryptError::InvalidHeader | DecryptError::InvalidMac => damaged("its age header is damaged"),
        _ => damaged("it does not decrypt"),
    }
}
