//! The key of this machine's fingerprints.
//!
//! Owns making and reading it. Scans, baselines and the daemon share it, so that a secret has one fingerprint.

use std::io::{Read as _, Seek as _, Write as _};

use crate::{
    api::problem::Code,
    error::{Error, Result},
    paths::Paths,
    sys,
};

const LENGTH: u64 = 32;

/// Reads the key, and makes it where there is none.
///
/// # Errors
/// The state folder cannot be used.
pub fn fingerprint_key(paths: &Paths) -> Result<[u8; 32]> {
    sys::private_dir(&paths.state_dir)?;
    let path = paths.fingerprint_key();
    let failed = |e: std::io::Error| Error::new(Code::Io, format!("{} cannot be used: {e}", path.display()));
    let mut file = sys::private_file(&path, true).map_err(failed)?;
    if file.metadata().map_err(failed)?.len() < LENGTH {
        // Two that begin at once both append, and both read the first.
        file.write_all(&sys::random::<32>().map_err(failed)?).map_err(failed)?;
        file.sync_all().map_err(failed)?;
    }
    file.rewind().map_err(failed)?;
    let mut key = [0; 32];
    file.read_exact(&mut key).map_err(failed)?;
    Ok(key)
}
