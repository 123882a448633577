//! What each fuzz target does with its input: plain functions, so that `cargo test` runs them too.
//!
//! Each holds more than "does not panic": what is accepted must mean one thing only.

use hallpass::{
    gateway::canonical::{CanonicalTarget, decode_form, pairs},
    http::head::{self, Framing},
    scope::Wanted,
    token,
};

/// The inspection of a raw request head, against a second parser.
pub fn request_parser(input: &[u8]) {
    // It is given whole heads only.
    let Some(end) = input.windows(4).position(|four| four == b"\r\n\r\n") else { return };
    let input = &input[..end + 4];
    let Ok(accepted) = head::inspect(input, 64, Some(1 << 20)) else { return };
    let mut headers = [httparse::EMPTY_HEADER; 128];
    let mut request = httparse::Request::new(&mut headers);
    // What we accept, hyper's parser must accept, and read in the same way.
    let parsed = request.parse(input);
    assert!(matches!(parsed, Ok(httparse::Status::Complete(_))), "accepted, but the parser says {parsed:?}");
    let of = |name: &str| request.headers.iter().filter(|h| h.name.eq_ignore_ascii_case(name)).collect::<Vec<_>>();
    assert_eq!(of("host").len(), 1);
    let (lengths, codings) = (of("content-length"), of("transfer-encoding"));
    match accepted.framing {
        Framing::Chunked => assert!(lengths.is_empty() && codings.len() == 1),
        Framing::Length(n) => {
            assert!(codings.is_empty());
            let said = lengths.first().map(|h| std::str::from_utf8(h.value).unwrap().trim().parse::<u64>().unwrap());
            assert_eq!(said.unwrap_or(0), n);
            assert!(lengths.len() <= 1 && n <= 1 << 20);
        }
    }
}

/// The token's parser: what it accepts has one spelling.
pub fn token(input: &[u8]) {
    if token::check(input).is_ok() {
        assert!(token::looks_like(input));
        assert!(input.starts_with(b"hp_") && input[3..].iter().all(u8::is_ascii_alphanumeric));
        // A single changed character is found by the checksum.
        let mut other = input.to_vec();
        let last = other.len() - 1;
        other[last] = if other[last] == b'0' { b'1' } else { b'0' };
        assert!(token::check(&other).is_err());
    }
}

/// The path's normaliser: what it accepts has no dot segment in any spelling, and is stable.
pub fn canonical_path(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Ok(target) = CanonicalTarget::parse(text) else { return };
    let path = target.path_from(0).to_owned();
    assert!(path.starts_with('/') && !path.contains("//") && !path.contains('\\') && !path.contains("%2E"));
    assert!(path.bytes().all(|byte| byte.is_ascii_graphic()));
    for index in 0..target.len() {
        let segment = target.segment(index).unwrap();
        assert!(segment != "." && segment != ".." && !segment.is_empty(), "{text:?}");
        assert!(!segment.contains('\0'), "{text:?}");
        assert!(target.has_encoded_slash() || !segment.contains('/'), "{text:?}");
    }
    let again = CanonicalTarget::parse(&path).unwrap();
    assert_eq!(again.path_from(0), path, "reading it again changes nothing");
    for (name, value) in target.query().into_iter().flat_map(pairs) {
        let _ = (decode_form(name), decode_form(value));
    }
}

/// The parser of requests: writing it out and reading it again gives the same.
pub fn scope(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Ok(wanted) = text.parse::<Wanted>() else { return };
    let written = wanted.to_string();
    let again: Wanted = written.parse().unwrap_or_else(|e| panic!("{text:?} was written as {written:?}: {e}"));
    assert_eq!(again, wanted);
    assert!(wanted.contains(&again) && again.contains(&wanted));
    assert!(!written.chars().any(char::is_control));
}
