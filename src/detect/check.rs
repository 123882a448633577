//! Structure checks: checksums and encodings that a made-up or mangled value fails.
//!
//! Owns one function per check that a rule may name. Sources: detection.md section 3 lists the vendors' pages.

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

/// A check: the value in, whether its structure holds.
pub type Check = fn(&[u8]) -> bool;

/// The check that a rule names.
pub fn named(name: &str) -> Option<Check> {
    Some(match name {
        "base62-crc32" => |v| sealed(v, 6, base62_crc32),
        "atlassian-crc32" => |v| sealed(v, 8, atlassian_crc32),
        "grafana-crc32" => |v| sealed(v, 8, grafana_crc32),
        "cloudflare-crc32" => |v| sealed(v, 8, cloudflare_crc32),
        "aws-key-id" => aws_key_id,
        "pypi-macaroon" => pypi_macaroon,
        "jwt" => jwt,
        "base64-json" => base64_json,
        "pem" => pem,
        "bech32" => bech32,
        "discord-id" => discord_id,
        _ => return None,
    })
}

/// Whether a value that fails the check may still be a key: it is no checksum, but what such a value usually holds.
pub fn is_habit(name: &str) -> bool {
    matches!(name, "pypi-macaroon" | "base64-json")
}

/// The characters that make a value right that has everything but its checksum.
pub fn seal(name: &str, value: &[u8]) -> Option<String> {
    match name {
        "base62-crc32" => base62_crc32(value),
        "atlassian-crc32" => atlassian_crc32(value),
        "grafana-crc32" => grafana_crc32(value),
        "cloudflare-crc32" => cloudflare_crc32(value),
        "bech32" => bech32_checksum(value),
        _ => None,
    }
}

/// How many characters [`seal`] makes; 0 for a check that is no checksum.
pub fn seal_length(name: &str) -> usize {
    match name {
        "base62-crc32" | "bech32" => 6,
        "atlassian-crc32" | "grafana-crc32" | "cloudflare-crc32" => 8,
        _ => 0,
    }
}

fn sealed(value: &[u8], length: usize, seal: fn(&[u8]) -> Option<String>) -> bool {
    let Some((body, end)) = value.len().checked_sub(length).and_then(|at| value.split_at_checked(at)) else {
        return false;
    };
    seal(body).is_some_and(|wanted| wanted.as_bytes() == end)
}

/// GitHub and npm: the CRC-32 of the 30 characters after the prefix, in base62, six digits.
/// <https://github.blog/engineering/platform-security/behind-githubs-new-authentication-token-formats/>
fn base62_crc32(body: &[u8]) -> Option<String> {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let at = body.iter().rposition(|byte| *byte == b'_')? + 1;
    let mut rest = crc32fast::hash(body.get(at..)?) as usize;
    let mut text = [b'0'; 6];
    for digit in text.iter_mut().rev() {
        *digit = *DIGITS.get(rest % 62)?;
        rest /= 62;
    }
    Some(String::from_utf8_lossy(&text).into_owned())
}

/// Atlassian API tokens: eight upper-case hex digits, the CRC-32 of everything up to and with the `=`.
fn atlassian_crc32(body: &[u8]) -> Option<String> {
    Some(format!("{:08X}", crc32fast::hash(body)))
}

/// Grafana service account tokens: the CRC-32 of prefix and secret, without the last `_`, little end first.
fn grafana_crc32(body: &[u8]) -> Option<String> {
    Some(format!("{:08x}", crc32fast::hash(body.strip_suffix(b"_")?).swap_bytes()))
}

/// Cloudflare's prefixed tokens: the CRC-32 of the 40 characters between prefix and checksum.
/// <https://developers.cloudflare.com/fundamentals/api/get-started/token-formats/>
fn cloudflare_crc32(body: &[u8]) -> Option<String> {
    let at = body.iter().position(|byte| *byte == b'_')? + 1;
    Some(format!("{:08x}", crc32fast::hash(body.get(at..)?)))
}

/// AWS key ids: base32 after a prefix of four; the account id within is not zero.
/// <https://awsteele.com/blog/2020/09/26/aws-access-key-format.html>
fn aws_key_id(value: &[u8]) -> bool {
    value.get(4..).is_some_and(|rest| rest.len() == 16 && rest.iter().all(|b| matches!(b, b'A'..=b'Z' | b'2'..=b'7')))
}

/// A macaroon whose location is pypi.org. <https://pypi.org/help/#apitoken>
fn pypi_macaroon(value: &[u8]) -> bool {
    // Its beginning says enough: the rest is a signature, which may have been cut.
    let start = value.strip_prefix(b"pypi-").and_then(|body| body.get(..32));
    let Some(body) = start.and_then(decode) else { return false };
    let named = |host: &[u8]| body.windows(host.len()).take(16).any(|part| part == host);
    named(b"pypi.org") || named(b"test.pypi.org")
}

/// Header and payload are JSON objects (RFC 7519). A role of `anon` is made to be public
/// (<https://supabase.com/docs/guides/api/api-keys>).
fn jwt(value: &[u8]) -> bool {
    let at = value.windows(3).position(|part| part == b"eyJ").unwrap_or_default();
    let mut parts = value.get(at..).unwrap_or_default().split(|byte| *byte == b'.');
    let object = |part: Option<&[u8]>| {
        let text = part.and_then(decode)?;
        serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(&text).ok()
    };
    let text = |payload: &serde_json::Map<String, serde_json::Value>, name: &str, wanted: &[&str]| {
        payload.get(name).and_then(|value| value.as_str()).is_some_and(|value| wanted.contains(&value))
    };
    object(parts.next()).is_some_and(|header| header.contains_key("alg"))
        && object(parts.next()).is_some_and(|payload| {
            // The examples of jwt.io and of RFC 7519 are in a thousand documents.
            let example = text(&payload, "name", &["John Doe", "Jane Doe"])
                || text(&payload, "sub", &["1234567890"])
                || payload.contains_key("http://example.com/is_root");
            !example && !text(&payload, "role", &["anon"])
        })
}

/// The first `eyJ` of the value begins a JSON object in base64; it may be cut off or followed by other parts.
fn base64_json(value: &[u8]) -> bool {
    let Some(at) = value.windows(3).position(|part| part == b"eyJ") else { return false };
    let body = value.get(at..).unwrap_or_default();
    let end = body.iter().position(|b| !(b.is_ascii_alphanumeric() || b"+/-_".contains(b))).unwrap_or(body.len());
    let body = body.get(..end).unwrap_or_default();
    let whole = body.len() / 4 * 4;
    // A signature in the other alphabet may follow behind `_`.
    let first = body.split(|byte| *byte == b'_').next().unwrap_or_default();
    let Some(text) = decode(body).or_else(|| decode(body.get(..whole)?)).or_else(|| decode(first)) else {
        return false;
    };
    let seen: Vec<u8> = text.iter().copied().take_while(|byte| byte.is_ascii_graphic() || *byte == b' ').collect();
    seen.starts_with(b"{\"") && seen.len() >= 8 && seen.contains(&b':')
}

/// The body decodes to DER, to OpenSSH's own form, or to an OpenPGP packet. RFC 7468 and PROTOCOL.key of OpenSSH.
fn pem(value: &[u8]) -> bool {
    let text = String::from_utf8_lossy(value).replace("\\n", "\n").replace("\\r", "");
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.contains(':'));
    if !lines.next().is_some_and(|line| line.starts_with("-----BEGIN")) {
        return false;
    }
    let body: String = lines.take_while(|line| !line.starts_with("-----END") && !line.starts_with('=')).collect();
    let whole = body.trim_end_matches('=').len() / 4 * 4;
    let Some(der) = body.get(..whole).and_then(|body| decode(body.as_bytes())) else { return false };
    let length = der.len() >= 32;
    // DER: a SEQUENCE; OpenSSH: its magic; OpenPGP: the high bit of a packet's tag. What is encrypted is random, and so is
    // the body of a form not known here; no sample's is.
    length
        && (der.starts_with(&[0x30])
            || der.starts_with(b"openssh-key-v1")
            || der.first().is_some_and(|tag| tag & 0x80 != 0)
            || text.contains("ENCRYPTED")
            || (der.len() >= 96 && super::random::entropy(&der) >= 6.0))
}

/// BIP 173's checksum, as age's keys carry it. <https://age-encryption.org/v1>
fn bech32(value: &[u8]) -> bool {
    sealed(&value.to_ascii_uppercase(), 6, bech32_checksum)
}

fn bech32_checksum(body: &[u8]) -> Option<String> {
    const CHARSET: &[u8; 32] = b"QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L";
    let upper = body.to_ascii_uppercase();
    let at = upper.iter().rposition(|byte| *byte == b'1')?;
    let (prefix, data) = (upper.get(..at)?, upper.get(at + 1..)?);
    let lower: Vec<u8> = prefix.to_ascii_lowercase();
    let high = lower.iter().map(|byte| u32::from(byte >> 5));
    let low = lower.iter().map(|byte| u32::from(byte & 31));
    let digits: Option<Vec<u32>> =
        data.iter().map(|byte| CHARSET.iter().position(|c| c == byte).map(|digit| digit as u32)).collect();
    let all = high.chain([0]).chain(low).chain(digits?).chain([0; 6]);
    let sum = all.fold(1u32, |sum, digit| {
        let top = sum >> 25;
        let next = ((sum & 0x1ff_ffff) << 5) ^ digit;
        [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3]
            .iter()
            .enumerate()
            .filter(|(bit, _)| top >> bit & 1 == 1)
            .fold(next, |next, (_, generator)| next ^ generator)
    }) ^ 1;
    (0..6).map(|i| CHARSET.get((sum >> (5 * (5 - i)) & 31) as usize).map(|byte| char::from(*byte))).collect()
}

/// The first part is a numeric id in base64. <https://discord.com/developers/docs/reference#authentication>
fn discord_id(value: &[u8]) -> bool {
    let first = value.split(|byte| *byte == b'.').next().and_then(decode).unwrap_or_default();
    (17..=20).contains(&first.len()) && first.iter().all(u8::is_ascii_digit)
}

/// Base64, either alphabet, with padding or without.
pub(super) fn decode(text: &[u8]) -> Option<Vec<u8>> {
    const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
    const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);
    STANDARD.decode(text).or_else(|_| URL_SAFE.decode(text)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_byte_breaks_the_seal() {
        for (name, body) in [
            ("base62-crc32", ["ghp", "_0123456789abcdefghijklmnopqrstX"].concat()),
            ("atlassian-crc32", ["ATATT3x", "FfGF0abcdefg="].concat()),
            ("grafana-crc32", ["glsa", "_0123456789abcdef0123456789abcdef_"].concat()),
            ("cloudflare-crc32", ["cfut", "_0123456789abcdef0123456789abcdef01234567"].concat()),
            ("bech32", ["AGE-SECRET-KEY-", "1QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7LQPZRY9X8GF2TVDW0S3JN"].concat()),
        ] {
            let whole = format!("{body}{}", seal(name, body.as_bytes()).unwrap());
            let check = named(name).unwrap();
            assert!(check(whole.as_bytes()), "{name}: {whole}");
            let mut other = whole.into_bytes();
            let last = other.len() - 1;
            other[last] = if other[last] == b'Q' { b'P' } else { b'Q' };
            assert!(!check(&other), "{name}");
        }
    }

    #[test]
    fn a_real_bech32_key_checks() {
        // BIP 173's own example: not a key of age, and no key at all.
        assert!(bech32(b"A12UEL5L"));
        assert!(!bech32(b"A12UEL5Q"));
    }

    #[test]
    fn jwt_needs_two_objects() {
        // {"alg":"none"} . {"a":1}
        assert!(jwt(b"eyJhbGciOiJub25lIn0.eyJhIjoxfQ.x"));
        assert!(!jwt(b"eyJhbGciOiJub25lIn0.x.x"));
        assert!(!jwt(b"eyJ"));
    }
}
