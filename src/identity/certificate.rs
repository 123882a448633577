//! Certificates of the device's keys (RFC 5280).
//!
//! Owns the self-signed certificate, the request for one by a CA (RFC 2986), and the check that a certificate is of our key.
//! Made with rcgen by way of ring, as everything that signs here.

use super::{Device, der};
use crate::issuer::jws::Algorithm;
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, PublicKeyData as _, SerialNumber, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, pem::PemObject as _};

/// The most certificates of a chain, and the longest text.
const MOST: usize = 6;
const LONGEST: usize = 64 * 1024;

/// Why there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// rcgen or ring refused.
    #[error("the certificate could not be made")]
    Made,
    /// Not certificates in PEM.
    #[error("this is no certificate in PEM, with those of its CA behind it")]
    Pem,
    /// Of another key.
    #[error("this certificate is of another key than this device's")]
    Key,
    /// Its time is over.
    #[error("this certificate is over")]
    Over,
    /// There is none.
    #[error("this device has no certificate of such a key")]
    None,
}

/// A certificate of the device's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// How its key signs.
    pub alg: Algorithm,
    /// Its serial number, in decimal.
    pub serial: String,
    /// When it ends, in milliseconds since 1970 (UTC).
    pub ends_ms: i64,
    /// It, and those that lead to its CA, in PEM.
    pub pem: String,
}

/// The same, for a signature.
pub struct Chain {
    /// It, and those that lead to its CA, in DER.
    pub der: Vec<Vec<u8>>,
    /// Its serial number, in decimal.
    pub serial: String,
}

impl Device {
    /// Its certificates.
    pub fn certificates(&self) -> Vec<Certificate> {
        let all = self.document.certificates.iter();
        all.filter_map(|(alg, pem)| {
            let chain = read(pem).ok()?;
            let parts = der::parts(chain.first()?)?;
            let serial = der::decimal(parts.serial);
            Some(Certificate { alg: *alg, serial, ends_ms: parts.ends_ms, pem: pem.clone() })
        })
        .collect()
    }

    /// The certificate of the key that signs by this algorithm, while it holds.
    pub fn chain(&self, alg: Algorithm, now_ms: i64) -> Result<Chain, CertificateError> {
        let pem = self.document.certificates.get(&alg).ok_or(CertificateError::None)?;
        let der = read(pem)?;
        let parts = der.first().and_then(|leaf| der::parts(leaf)).ok_or(CertificateError::Pem)?;
        if parts.ends_ms <= now_ms {
            return Err(CertificateError::Over);
        }
        let serial = der::decimal(parts.serial);
        Ok(Chain { der, serial })
    }

    /// Signs one for itself, for those who take a certificate as it is.
    pub fn self_signed(
        &mut self,
        alg: Algorithm,
        name: &str,
        now_ms: i64,
        days: u16,
        serial: [u8; 16],
    ) -> Result<(), CertificateError> {
        let mut params = params(name);
        let ((y, m, d), (end_y, end_m, end_d)) = (day(now_ms, -1)?, day(now_ms, i64::from(days))?);
        (params.not_before, params.not_after) = (date_time_ymd(y, m, d), date_time_ymd(end_y, end_m, end_d));
        // Positive, and never nothing: the highest bit is off, the next one on.
        let serial: Vec<u8> =
            serial.iter().enumerate().map(|(n, b)| if n == 0 { b & 0x7f | 0x40 } else { *b }).collect();
        params.serial_number = Some(SerialNumber::from(serial));
        let made = params.self_signed(&self.pair(alg)?).map_err(|_| CertificateError::Made)?;
        self.document.certificates.insert(alg, made.pem());
        Ok(())
    }

    /// A request to a CA, in PEM.
    pub fn request(&self, alg: Algorithm, name: &str) -> Result<String, CertificateError> {
        let request = params(name).serialize_request(&self.pair(alg)?).map_err(|_| CertificateError::Made)?;
        request.pem().map_err(|_| CertificateError::Made)
    }

    /// Takes a CA's certificate, with those that lead to it.
    pub fn install(&mut self, alg: Algorithm, pem: &str, now_ms: i64) -> Result<(), CertificateError> {
        let chain = read(pem)?;
        let parts = chain.first().and_then(|leaf| der::parts(leaf)).ok_or(CertificateError::Pem)?;
        if parts.public != self.pair(alg)?.subject_public_key_info().as_slice() {
            return Err(CertificateError::Key);
        }
        if parts.ends_ms <= now_ms {
            return Err(CertificateError::Over);
        }
        self.document.certificates.insert(alg, pem.trim().to_owned() + "\n");
        Ok(())
    }

    /// The public half of the key of this name, in PEM.
    pub fn public_pem(&self, kid: &str) -> Option<String> {
        let key = self.document.keys.iter().find(|key| key.kid == kid)?;
        pair(key).ok().map(|pair| pair.public_key_pem())
    }

    fn pair(&self, alg: Algorithm) -> Result<KeyPair, CertificateError> {
        pair(self.key(alg).map_err(|_| CertificateError::Made)?)
    }
}

fn pair(key: &super::Key) -> Result<KeyPair, CertificateError> {
    let way = match key.alg {
        Algorithm::ES256 => &PKCS_ECDSA_P256_SHA256,
        Algorithm::RS256 => &PKCS_RSA_SHA256,
    };
    let private = key.pkcs8().map_err(|_| CertificateError::Made)?;
    let der = PrivatePkcs8KeyDer::from(private.as_slice());
    KeyPair::from_pkcs8_der_and_sign_algo(&der, way).map_err(|_| CertificateError::Made)
}

/// What AWS asks of an end entity: no CA, `digitalSignature`; the others ask for less.
fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, name);
    params.distinguished_name = subject;
    params.is_ca = rcgen::IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params
}

/// The day so many days from now (UTC).
fn day(now_ms: i64, days: i64) -> Result<(i32, u8, u8), CertificateError> {
    let at = jiff::Timestamp::from_millisecond(now_ms.saturating_add(days.saturating_mul(86_400_000)));
    let text = at.map_err(|_| CertificateError::Made)?.strftime("%Y-%m-%d").to_string();
    let mut parts = text.splitn(3, '-').map(str::parse::<u16>);
    let mut next = || parts.next().and_then(Result::ok).ok_or(CertificateError::Made);
    let (year, month, day) = (next()?, next()?, next()?);
    let small = |number| u8::try_from(number).map_err(|_| CertificateError::Made);
    Ok((i32::from(year), small(month)?, small(day)?))
}

/// The certificates of a text in PEM.
fn read(pem: &str) -> Result<Vec<Vec<u8>>, CertificateError> {
    if pem.len() > LONGEST || pem.contains("PRIVATE KEY") {
        return Err(CertificateError::Pem);
    }
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).take(MOST + 1).collect();
    let all = all.map_err(|_| CertificateError::Pem)?;
    if all.is_empty() || all.len() > MOST {
        return Err(CertificateError::Pem);
    }
    Ok(all.into_iter().map(|one| one.as_ref().to_vec()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::tests::device;

    const NOW: i64 = 1_767_323_045_000;

    #[test]
    fn a_certificate_is_of_our_key_and_holds() {
        let mut ours = device();
        for alg in [Algorithm::ES256, Algorithm::RS256] {
            assert!(matches!(ours.chain(alg, NOW), Err(CertificateError::None)));
            ours.self_signed(alg, "ada", NOW, 30, [0xff; 16]).unwrap();
            let chain = ours.chain(alg, NOW).unwrap();
            assert_eq!(chain.serial, "170141183460469231731687303715884105727");
            assert!(matches!(ours.chain(alg, NOW + 31 * 86_400_000), Err(CertificateError::Over)));
        }
        let pem = ours.certificates()[0].pem.clone();
        assert!(ours.certificates().iter().all(|one| one.ends_ms > NOW && !one.pem.contains("PRIVATE")));
        assert_eq!(ours.install(Algorithm::RS256, &pem, NOW), Err(CertificateError::Key));
        assert_eq!(ours.install(Algorithm::ES256, &pem, NOW), Ok(()));
        assert_eq!(ours.install(Algorithm::ES256, &pem, NOW + 31 * 86_400_000), Err(CertificateError::Over));
        assert_eq!(device().install(Algorithm::ES256, &pem, NOW), Err(CertificateError::Key));
        for odd in ["", "x", &pem.replace("BEGIN", "BIGIN"), &pem.repeat(7)] {
            assert_eq!(ours.install(Algorithm::ES256, odd, NOW), Err(CertificateError::Pem));
        }
        assert!(ours.request(Algorithm::RS256, "ada").unwrap().contains("CERTIFICATE REQUEST"));
    }
}
