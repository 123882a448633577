//! Why an issuer gave no token, and what a person can do about it.
//!
//! Owns the words. Must never repeat what a server said freely: such text may hold what it was sent.

use std::time::Duration;

use crate::{api::problem::Code, error::Error, secret::Secret};

/// Why there is no token; each is the next step.
#[derive(Debug)]
pub enum Failure {
    /// Try again: the server is busy, or asked to wait.
    Later {
        /// What it said of when.
        after: Option<Duration>,
        /// The status that it answered with.
        status: u16,
    },
    /// The credential or the client is not accepted: rotate it.
    Credential(String),
    /// A person has to sign in, again or for more.
    Login(String),
    /// Somebody who administers the issuer has to change something.
    Administrator(String),
    /// What was asked cannot be had in this form.
    Narrow(String),
    /// The settings do not fit the server.
    Settings(String),
    /// The answer cannot be read, or is not what was asked. What came with it is to be revoked.
    Answer {
        /// What is wrong with it.
        what: String,
        /// The token that came.
        token: Option<Secret>,
    },
}

impl Failure {
    /// Whether the same request may be sent again by itself.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Later { .. })
    }

    /// For the user: what went wrong with the issuer `name`, and the next step.
    pub fn explain(&self, name: &str, host: &str) -> Error {
        match self {
            Self::Later { after, status } => {
                let when =
                    after.map_or_else(|| "in a moment".into(), |after| format!("in {} s", after.as_secs().max(1)));
                Error::new(Code::UpstreamUnreachable, format!("{host} gave no token for {name}: it answered {status}"))
                    .hint(format!("ask again {when}"))
            }
            Self::Credential(what) => Error::new(
                Code::UpstreamRefused,
                format!("{host} does not accept the credential of {name}: {what}"),
            )
            .hint(format!(
                "give it the present one: hallpass issuer show {name} names it, then hallpass credential rotate NAME"
            )),
            Self::Login(what) => {
                Error::new(Code::UpstreamRefused, format!("{host} gives no token for {name} without a sign-in: {what}"))
                    .hint(format!("sign in again: hallpass issuer login {name}"))
            }
            Self::Administrator(what) => {
                Error::new(Code::UpstreamRefused, format!("{host} refused a token for {name}: {what}"))
                    .hint("ask whoever administers it to allow that, or ask for less")
            }
            Self::Narrow(what) => Error::new(Code::InvalidValue, format!("{name}: {what}"))
                .hint(format!("hallpass issuer show {name} says what its tokens can be narrowed to")),
            Self::Settings(what) => Error::new(Code::Config, format!("{name}: {what}"))
                .hint(format!("look at [issuers.{name}] in the config")),
            Self::Answer { what, .. } => {
                Error::new(Code::UpstreamRefused, format!("what {host} gave for {name} is not handed out: {what}"))
                    .hint("ask for exactly what it gives, or have its administrator give exactly that")
            }
        }
    }
}
