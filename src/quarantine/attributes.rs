//! A file's extended attributes, and with them its ACL.
//!
//! Owns which of them a new file must have before it may take an old one's place.

use std::{fs::File, io};

use rustix::{
    fs::{XattrFlags, fgetxattr, flistxattr, fsetxattr},
    io::{Errno, retry_on_intr},
};

use super::error::TakeError;

/// The most that the kernel lets an attribute, or the list of their names, have (xattr(7)).
const MOST: usize = 64 << 10;

/// Gives `new` the attributes of `old`. One that a user can set and that cannot be kept is an error; a security
/// module's label is set where that is allowed; a hash over the content would be wrong and is left.
pub(super) fn copy(old: &File, new: &File) -> Result<(), TakeError> {
    let names = match list(old) {
        Ok(names) => names,
        // A file system without attributes.
        Err(Errno::NOTSUP | Errno::NOSYS) => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    for name in names.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let acl = name.starts_with(b"system.posix_acl_");
        let label = name == b"security.selinux" || name.starts_with(b"security.SMACK");
        let system = [&b"security."[..], b"trusted.", b"system.", b"com.apple."].iter().any(|s| name.starts_with(s));
        if system && !acl && !label {
            continue;
        }
        let value = match get(old, name) {
            Ok(value) => value,
            // Taken away meanwhile.
            Err(Errno::NODATA) => continue,
            Err(error) => return Err(failed(error)),
        };
        if get(new, name).is_ok_and(|there| there == value) {
            continue;
        }
        match retry_on_intr(|| fsetxattr(new, name, &value, XattrFlags::empty())) {
            Ok(()) => {}
            Err(_) if label => {}
            Err(error) => return Err(failed(error)),
        }
    }
    Ok(())
}

fn failed(error: Errno) -> TakeError {
    match error {
        Errno::PERM | Errno::ACCESS | Errno::NOTSUP => TakeError::Unfit("its attributes could not be kept".into()),
        error => TakeError::Io { doing: "copying the file's attributes", error: io::Error::from(error) },
    }
}

fn list(file: &File) -> Result<Vec<u8>, Errno> {
    let mut names = vec![0; MOST];
    let length = retry_on_intr(|| flistxattr(file, &mut names[..]))?;
    names.truncate(length);
    Ok(names)
}

fn get(file: &File, name: &[u8]) -> Result<Vec<u8>, Errno> {
    let mut value = vec![0; MOST];
    let length = retry_on_intr(|| fgetxattr(file, name, &mut value[..]))?;
    value.truncate(length);
    Ok(value)
}
