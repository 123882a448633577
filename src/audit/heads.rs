//! `heads.json`: each stream's newest line as of the last sync.
//!
//! Owns that file. It is replaced as a whole, after the streams are on disk, so it is never ahead of
//! what survives a power cut.

use std::{collections::BTreeMap, fs, io, io::Write as _, path::Path};

use super::line::Head;

/// Heads by stream.
pub(super) type Heads = BTreeMap<String, Head>;

/// The file's name.
pub(super) const NAME: &str = "heads.json";

/// What the file says; nothing where it is missing or cannot be read.
pub(super) fn read(dir: &Path) -> Heads {
    read_strict(dir).ok().flatten().unwrap_or_default()
}

/// What the file says; `None` where it is missing.
pub(super) fn read_strict(dir: &Path) -> io::Result<Option<Heads>> {
    match super::files::open_read(&dir.join(NAME)) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
        Ok(file) => {
            let mut text = String::new();
            io::Read::read_to_string(&mut io::Read::take(file, 64 * 1024), &mut text)?;
            serde_json::from_str(&text)
                .map(Some)
                .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not the JSON that hallpass writes"))
        }
    }
}

/// Replaces the file.
pub(super) fn write(dir: &Path, heads: &Heads) -> io::Result<()> {
    let temporary = dir.join("heads.json.new");
    match fs::remove_file(&temporary) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let mut file = super::files::create_new(&temporary)?;
    let mut text = serde_json::to_vec(heads)?;
    text.push(b'\n');
    file.write_all(&text)?;
    file.sync_data()?;
    fs::rename(&temporary, dir.join(NAME))
}
