//! The integration tests: one binary, because linking is what takes the time.

mod store_keyring;
