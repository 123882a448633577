//! What each operation does: one file per verb or noun, named like the CLI's and the tests'.

pub mod adopt;
pub mod approve;
pub mod credential;
pub mod env;
pub mod grant;
pub mod helper;
pub mod lease;
pub mod lock;
pub mod mcp;
pub mod mint;
pub mod principal;
pub mod quarantine;
pub mod reference;
pub mod release;
pub mod revoke_upstream;
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
