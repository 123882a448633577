//! Times as people say them: `15m` in, `in 12 min` and `3 h ago` out.
//!
//! Pure: the current time is passed in; [`now`] reads it at the edge.

use jiff::Timestamp;

/// The current time.
pub fn now() -> Timestamp {
    Timestamp::now()
}

/// Reads `90s`, `15m`, `8h`, `2d`, `1h30m` or plain seconds.
///
/// # Errors
/// What would be accepted.
pub fn seconds(text: &str) -> Result<u64, String> {
    let wrong = || format!("{text:?} is no length of time; write it like 90s, 15m, 8h or 1h30m");
    if let Ok(plain) = text.parse::<u64>() {
        return if plain == 0 { Err(wrong()) } else { Ok(plain) };
    }
    let (mut total, mut digits) = (0u64, String::new());
    for c in text.chars() {
        if c.is_ascii_digit() {
            digits.push(c);
            continue;
        }
        let unit = match c {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 86_400,
            _ => return Err(wrong()),
        };
        let count: u64 = digits.parse().map_err(|_| wrong())?;
        total = count.checked_mul(unit).and_then(|part| total.checked_add(part)).ok_or_else(wrong)?;
        digits.clear();
    }
    if digits.is_empty() && total > 0 { Ok(total) } else { Err(wrong()) }
}

/// An RFC 3339 time as seen from `now`; the text itself where it is no time.
pub fn relative(text: &str, now: Timestamp) -> String {
    let Ok(then) = text.parse::<Timestamp>() else { return text.to_owned() };
    let seconds = then.as_second().saturating_sub(now.as_second());
    match seconds {
        0 => "now".to_owned(),
        1.. => format!("in {}", length(seconds.unsigned_abs())),
        _ => format!("{} ago", length(seconds.unsigned_abs())),
    }
}

/// The same for a time that may be missing.
pub fn relative_or(text: Option<&str>, nothing: &str, now: Timestamp) -> String {
    text.map_or_else(|| nothing.to_owned(), |text| relative(text, now))
}

/// A number of seconds in its largest unit, rounded.
pub fn length(seconds: u64) -> String {
    let in_units = |unit: u64| (seconds + unit / 2) / unit;
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3570 => format!("{} min", in_units(60)),
        3570..84_600 => format!("{} h", in_units(3600)),
        84_600..172_800 => "1 day".to_owned(),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time() {
        for (text, want) in [("90", 90), ("90s", 90), ("15m", 900), ("8h", 28_800), ("1h30m", 5400), ("2d", 172_800)] {
            assert_eq!(seconds(text), Ok(want), "{text}");
        }
        for text in ["", "0", "0s", "m", "15 m", "1.5h", "-3m", "15m3", "99999999999999999999s", "5w"] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }

    #[test]
    fn seen_from_now() {
        let now: Timestamp = "2026-01-02T03:00:00Z".parse().unwrap();
        for (text, want) in [
            ("2026-01-02T03:12:00Z", "in 12 min"),
            ("2026-01-02T00:00:00Z", "3 h ago"),
            ("2026-01-02T03:00:00Z", "now"),
            ("2026-01-02T02:59:55Z", "5 s ago"),
            ("2025-12-30T03:00:00Z", "3 days ago"),
            ("2026-01-02T03:59:45Z", "in 1 h"),
            ("soon", "soon"),
        ] {
            assert_eq!(relative(text, now), want, "{text}");
        }
        assert_eq!(relative_or(None, "never", now), "never");
    }
}
