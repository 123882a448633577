//! Durations as people write them: `90s`, `15m`, `1h30m`, `8h`, `1d`.
//!
//! Owns the notation, both ways.

use std::time::Duration;

const UNITS: [(char, u64); 4] = [('d', 86_400), ('h', 3600), ('m', 60), ('s', 1)];

/// Reads one. Units go from large to small, each at most once.
pub fn parse(text: &str) -> Result<Duration, String> {
    let wrong = || "this is no duration; write it like 90s, 15m, 1h30m or 8h".to_owned();
    let mut rest = text.trim();
    let mut total: u64 = 0;
    let mut units = UNITS.iter();
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let (number, after) = rest.split_at_checked(end).ok_or_else(wrong)?;
        let unit = after.chars().next().ok_or_else(wrong)?;
        let (_, seconds) = units.find(|(name, _)| *name == unit).ok_or_else(wrong)?;
        let number: u64 = number.parse().map_err(|_| wrong())?;
        total = number.checked_mul(*seconds).and_then(|n| total.checked_add(n)).ok_or_else(wrong)?;
        rest = after.get(1..).unwrap_or_default();
    }
    Ok(Duration::from_secs(total))
}

/// Writes one so that [`parse`] reads it back; what is below a second is cut.
pub fn format(duration: Duration) -> String {
    let mut left = duration.as_secs();
    let mut text = String::new();
    for (name, seconds) in UNITS {
        if left >= seconds {
            text.push_str(&format!("{}{name}", left / seconds));
            left %= seconds;
        }
    }
    if text.is_empty() { "0s".into() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_and_write() {
        for (text, seconds) in [("90s", 90), ("15m", 900), ("1h30m", 5400), ("8h", 28_800), ("1d", 86_400), ("0s", 0)] {
            assert_eq!(parse(text), Ok(Duration::from_secs(seconds)));
            assert_eq!(parse(&format(Duration::from_secs(seconds))), Ok(Duration::from_secs(seconds)));
        }
        for bad in
            ["", "5", "m", "5x", "1m1h", "1s1s", "-1s", "1.5h", "99999999999999999999s", "99999999999999999d", "5é"]
        {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
