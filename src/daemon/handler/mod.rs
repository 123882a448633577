//! What each operation does: one file per verb or noun, named like the CLI's and the tests'.

pub mod adopt;
pub mod approve;
pub mod credential;
pub mod discover;
pub mod env;
pub mod grant;
pub mod helper;
pub mod issuer;
pub mod lease;
pub mod lock;
pub mod login;
pub mod mcp;
pub mod mcp_login;
pub mod mint;
pub mod native;
pub mod principal;
pub mod quarantine;
pub mod reference;
pub mod release;
pub mod render;
pub mod revoke_upstream;
pub mod rotated;
pub mod route;
pub mod status;
pub mod task;
pub mod trust;
pub mod watch;

use crate::{
    api::problem::Code,
    error::{Error, Result},
    principal::{HUMAN, UNKNOWN, is_name, printable},
};

/// A Unix time in milliseconds as RFC 3339 in UTC.
pub(crate) fn rfc3339(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).map(|t| t.to_string()).unwrap_or_default()
}

/// An error for something that is not there.
pub(crate) fn not_found(what: &str, name: &str, hint: &str) -> Error {
    Error::new(Code::NotFound, format!("there is no {what} {:?}", printable(name))).hint(hint)
}

/// Checks a new name.
pub(crate) fn new_name(what: &str, name: &str) -> Result<()> {
    if !is_name(name) {
        return Err(Error::new(Code::InvalidValue, format!("{:?} cannot be the name of a {what}", printable(name)))
            .hint("a name has up to 64 lower case letters, digits, dots, dashes and underscores"));
    }
    if what == "principal" && (name == HUMAN || name == UNKNOWN) {
        return Err(Error::new(Code::InvalidValue, format!("{name} is built in")).hint("choose another name"));
    }
    Ok(())
}

/// Whether one more of something is too many. `most` is for all together; from half of it on nobody may have more
/// than a quarter, so that one who takes without end leaves room for the others.
pub(crate) fn is_full(all: usize, own: impl FnOnce() -> usize, most: usize) -> bool {
    all >= most || (all >= most / 2 && own() >= most / 4)
}

#[cfg(test)]
mod tests {
    use super::is_full;

    #[test]
    fn one_who_takes_without_end_leaves_room_for_others() {
        let full = |all, own| is_full(all, || own, 100);
        assert!(!full(49, 49), "there is room for all");
        assert!(full(50, 50) && full(60, 25));
        assert!(!full(50, 0) && !full(99, 24));
        assert!(full(100, 0));
    }
}
