//! A body of `application/x-www-form-urlencoded`.

use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

/// What is not encoded (RFC 3986 section 2.3). Who verifies a signature may encode again what was decoded, and so has to come
/// to the same.
const KEEP: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The pairs, in the order that they were added in.
#[derive(Default)]
pub(super) struct Form(String);

impl Form {
    pub(super) fn add(&mut self, name: &str, value: &[u8]) {
        if !self.0.is_empty() {
            self.0.push('&');
        }
        self.0.push_str(name);
        self.0.push('=');
        self.0.extend(percent_encode(value, &KEEP));
    }

    pub(super) fn text(&self) -> &str {
        &self.0
    }

    pub(super) fn bytes(self) -> Bytes {
        self.0.into()
    }
}
