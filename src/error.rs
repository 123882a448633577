//! The errors users see: a stable code, what went wrong, what to do next, and the exit code.
//!
//! Owns the mapping from code to HTTP status and exit code. Must never carry a credential or a
//! token, nor text of a foreign error that might.

use std::fmt;

use crate::api::problem::{Code, Problem};

/// An error with its next step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// The stable code.
    pub code: Code,
    /// What went wrong, one sentence.
    pub detail: String,
    /// What to do next: where there is a command, the exact command.
    pub hint: Option<String>,
}

/// The result of everything that can end in an [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error with no hint yet.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), hint: None }
    }

    /// Adds what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Something that is hallpass's own fault.
    pub fn internal(detail: impl Into<String>) -> Self {
        Self::new(Code::Internal, detail).hint("this is a fault in hallpass; `hallpass doctor` may tell more")
    }

    /// The process's exit code (DESIGN section 5).
    pub fn exit_code(&self) -> u8 {
        self.code.exit_code()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for Error {}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self::new(error.code, error.detail, error.hint)
    }
}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Self {
        Self { code: problem.code, detail: problem.detail, hint: problem.hint }
    }
}
