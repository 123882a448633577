//! A body of `application/x-www-form-urlencoded`.

use bytes::Bytes;
use percent_encoding::{NON_ALPHANUMERIC, percent_encode};

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
        self.0.extend(percent_encode(value, NON_ALPHANUMERIC));
    }

    pub(super) fn bytes(self) -> Bytes {
        self.0.into()
    }
}
