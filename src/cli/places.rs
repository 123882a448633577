//! The places where secrets are known to lie, for `scan` and `quarantine` without a path.

use std::path::PathBuf;

use crate::{
    api::problem::Code,
    error::{Error, Result},
};

/// Those that are there.
///
/// # Errors
/// None is.
pub fn known() -> Result<Vec<PathBuf>> {
    Err(Error::new(Code::Usage, "name a file or a folder").hint("for example: hallpass scan ."))
}
