//! Certificates of the device's keys (RFC 5280).
//!
//! Owns the self-signed certificate, the request for one by a CA, and the check that a certificate is for our key.
