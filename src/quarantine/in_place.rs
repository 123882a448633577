//! Writing a file in place, where it cannot be replaced.
//!
//! Owns the order: the new content is durable in the file beside, the journal says so, and only then is the file
//! itself touched. What a crash leaves is finished from the file beside (`settle`).

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
};

use zeroize::Zeroizing;

use super::{
    error::TakeError,
    place::{Look, Place, stamp},
    write::{
        WriteError::{self, Before, Unfinished},
        still,
    },
};
use crate::sys::{
    self,
    hold::{Asked, against_all},
};

/// Writes the bytes into the file itself. The file beside has them too until this is durable.
pub(super) fn write_in_place(
    place: &Place,
    old: &Look,
    new: &[u8],
    in_place: &mut dyn FnMut() -> io::Result<()>,
) -> Result<(), WriteError> {
    place.sync().map_err(|error| Before(TakeError::Io { doing: "syncing the folder", error }))?;
    drop(still(place, old).map_err(Before)?);
    let open = || match place.open(&place.name, true) {
        Ok(Some(file)) => Ok(file),
        Ok(None) => Err(Before(TakeError::Changed)),
        Err(error) if error.raw_os_error() == Some(libc::ETXTBSY) => Err(Before(TakeError::Busy)),
        Err(_) => Err(Before(TakeError::ReadOnly("the file cannot be written"))),
    };
    let mut file = open()?;
    // Readers wait until it is whole. Whoever has it open already does not.
    let copy = file.try_clone().map_err(|error| Before(TakeError::Io { doing: "opening the file", error }))?;
    let _hold = match against_all(copy) {
        Asked::Held(hold) => Some(hold),
        Asked::Busy | Asked::Unknown => None,
    };
    let mut now = Zeroizing::new(Vec::with_capacity(old.bytes.len() + 1));
    file.read_to_end(&mut now).map_err(|error| Before(TakeError::Io { doing: "reading the file", error }))?;
    if now != old.bytes || !stamp(&file).is_ok_and(|now| now == old.stamp) {
        return Err(Before(TakeError::Changed));
    }
    if new.len() > now.len() {
        let room = |error| Before(TakeError::Io { doing: "making room in the file", error });
        sys::reserve(&file, 0, new.len() as u64).map_err(room)?;
    }
    in_place().map_err(|error| Before(TakeError::Io { doing: "writing the journal", error }))?;
    if let Err(error) = overwrite(&mut file, new) {
        // The old bytes have their room already.
        return match overwrite(&mut file, &old.bytes) {
            Ok(()) => Err(Before(TakeError::Io { doing: "writing the file", error })),
            Err(_) => Err(Unfinished("writing the file", error)),
        };
    }
    Ok(())
}

/// Makes these the file's whole content, durably.
pub(super) fn overwrite(file: &mut File, bytes: &[u8]) -> io::Result<()> {
    file.seek(SeekFrom::Start(0))?;
    file.write_all(bytes)?;
    file.set_len(bytes.len() as u64)?;
    file.sync_all()
}
