//! What is read of a certificate (RFC 5280): its serial number, its end and its public key.
//!
//! Owns a reader of DER that knows no more than that. Verifies nothing: others judge the certificate, this finds its parts.

/// The parts.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Parts<'a> {
    /// The serial number's bytes, the highest first.
    pub serial: &'a [u8],
    /// When it ends, in milliseconds since 1970 (UTC).
    pub ends_ms: i64,
    /// The public key, as the whole element.
    pub public: &'a [u8],
}

struct Element<'a> {
    tag: u8,
    content: &'a [u8],
    whole: &'a [u8],
}

/// Finds them.
pub(super) fn parts(certificate: &[u8]) -> Option<Parts<'_>> {
    let (outer, _) = element(certificate)?;
    let (tbs, _) = element(outer.content)?;
    let mut rest = tbs.content;
    let mut next = || {
        let (found, after) = element(rest)?;
        rest = after;
        Some(found)
    };
    let first = next()?;
    // The version is left out in version 1.
    let serial = if first.tag == 0xa0 { next()? } else { first };
    let (_algorithm, _issuer, validity, _subject) = (next()?, next()?, next()?, next()?);
    let public = next()?;
    let (_, after) = element(validity.content)?;
    let (ends, _) = element(after)?;
    (serial.tag == 0x02 && public.tag == 0x30).then_some(())?;
    Some(Parts { serial: serial.content, ends_ms: time(&ends)?, public: public.whole })
}

/// One element, and what follows it.
fn element(bytes: &[u8]) -> Option<(Element<'_>, &[u8])> {
    let (&[tag, short], mut rest) = bytes.split_first_chunk::<2>()?;
    let length = if short < 0x80 {
        usize::from(short)
    } else {
        let (digits, after) = rest.split_at_checked(usize::from(short & 0x7f))?;
        rest = after;
        // Four bytes of length are more than any certificate has.
        (digits.len() <= 4).then(|| digits.iter().fold(0_usize, |all, byte| all << 8 | usize::from(*byte)))?
    };
    let (content, after) = rest.split_at_checked(length)?;
    let whole = bytes.get(..bytes.len() - after.len())?;
    Some((Element { tag, content, whole }, after))
}

/// `UTCTime` or `GeneralizedTime` (section 4.1.2.5), both to the second and in UTC.
fn time(element: &Element<'_>) -> Option<i64> {
    let text = std::str::from_utf8(element.content).ok()?.strip_suffix('Z')?;
    let full = match element.tag {
        0x17 => format!("{}{text}", if text.get(..2)?.parse::<u8>().ok()? < 50 { "20" } else { "19" }),
        0x18 => text.to_owned(),
        _ => return None,
    };
    let part = |from, to| full.get(from..to);
    let written = format!(
        "{}-{}-{}T{}:{}:{}Z",
        part(0, 4)?,
        part(4, 6)?,
        part(6, 8)?,
        part(8, 10)?,
        part(10, 12)?,
        part(12, 14)?
    );
    written.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond)
}

/// A number in decimal.
pub(super) fn decimal(bytes: &[u8]) -> String {
    let mut digits: Vec<u8> = vec![0];
    for byte in bytes {
        let mut carry = u32::from(*byte);
        for digit in &mut digits {
            let value = u32::from(*digit) * 256 + carry;
            *digit = u8::try_from(value % 10).unwrap_or(0);
            carry = value / 10;
        }
        while carry > 0 {
            digits.push(u8::try_from(carry % 10).unwrap_or(0));
            carry /= 10;
        }
    }
    digits.iter().rev().map(|digit| char::from(b'0' + digit)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_times() {
        for (bytes, text) in
            [(&[][..], "0"), (&[0], "0"), (&[0, 255], "255"), (&[1, 0], "256"), (&[0xff; 8], "18446744073709551615")]
        {
            assert_eq!(decimal(bytes), text);
        }
        let at = |tag, text: &'static str| time(&Element { tag, content: text.as_bytes(), whole: &[] });
        assert_eq!(at(0x17, "700101000001Z"), Some(1000));
        assert_eq!(at(0x18, "20260102030405Z"), Some(1_767_323_045_000));
        assert_eq!((at(0x17, "7001010000Z"), at(0x18, "2026"), at(0x02, "700101000001Z")), (None, None, None));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_are_too_odd(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..64)) {
            let _ = parts(&bytes);
        }
    }
}
