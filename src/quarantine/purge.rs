//! Forgetting how an item stood in its file.

use super::{
    Quarantine,
    error::PurgeError,
    journal::{Record, Step},
    place::Place,
    raw_name,
    restore::standing,
    vault::VaultError,
};

impl Quarantine {
    /// Removes the bytes as they stood from the vault; the item can then no longer be restored. The credentials
    /// stay. Refused while a reference stands in the file, unless forced.
    ///
    /// # Errors
    /// The item is kept; the error says why.
    pub fn purge(&mut self, id: &str, force: bool) -> Result<(), PurgeError> {
        self.settle();
        let entry = self.journal.entries.get(id).ok_or(PurgeError::NoSuchItem)?;
        if !matches!(entry.step, Step::Taken | Step::Restored) {
            return Err(PurgeError::Locked);
        }
        let item = &entry.item;
        if !force {
            // A file that cannot be read may have them.
            let used = match Place::at(item.target.clone()).map(|place| place.read(&place.name)) {
                Ok(Ok(Some(look))) => {
                    item.holes.iter().any(|hole| !standing(&look.bytes, &hole.replacement).is_empty())
                }
                Ok(Ok(None)) | Err(super::TakeError::Gone) => false,
                _ => true,
            };
            if used {
                return Err(PurgeError::StillUsed);
            }
        }
        match self.vault.remove(&raw_name(id)) {
            Ok(()) | Err(VaultError::Gone) => {}
            Err(error) => return Err(error.into()),
        }
        let failed = |error: std::io::Error| PurgeError::Failed(format!("the journal cannot be written: {error}"));
        self.journal.append(Record::Forgotten { id: id.to_owned() }).map_err(failed)
    }
}
