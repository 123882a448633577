//! The `date` of an answer (RFC 9110 section 6.6.1), made once for all answers of one second.

use std::{
    cell::RefCell,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

thread_local! {
    static LAST: RefCell<(u64, String)> = const { RefCell::new((u64::MAX, String::new())) };
}

/// Appends this second's date.
pub(super) fn push(out: &mut Vec<u8>) {
    push_at(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(), out);
}

fn push_at(since: Duration, out: &mut Vec<u8>) {
    LAST.with_borrow_mut(|(second, text)| {
        if *second != since.as_secs() {
            let time = i64::try_from(since.as_secs()).ok().and_then(|second| jiff::Timestamp::from_second(second).ok());
            let printer = jiff::fmt::rfc2822::DateTimePrinter::new();
            *text = printer.timestamp_to_rfc9110_string(&time.unwrap_or_default()).unwrap_or_default();
            *second = since.as_secs();
        }
        out.extend_from_slice(text.as_bytes());
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_what_the_standard_shows() {
        // The example of RFC 9110 section 5.6.7.
        let at = |second| {
            let mut out = Vec::new();
            push_at(Duration::from_secs(second), &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(at(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(at(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(at(784_111_778), "Sun, 06 Nov 1994 08:49:38 GMT");
    }
}
