//! The references that hallpass wrote into files.
//!
//! Owns the note of each (which file, which key, which credential), and the list of folders that the shell hooks
//! read before each prompt. A checkout's own `.env` is not the user's wish: what is not noted here is nobody's.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
    io::Write,
    path::Path,
};

use serde::{Deserialize, Serialize};

use super::{State, db::Table};
use crate::{
    error::Result,
    quarantine::{Hole, Item, is_env_file},
    sys,
};

/// One reference in a file.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "Stored")]
struct Written {
    credential: String,
    /// The key that it is the value of; any, where that is not known.
    key: Option<String>,
    /// The folder whose shells get it, behind every link; of a file that shells do not read, none.
    folder: Option<String>,
}

/// As the database has it: the first versions wrote the credential's name alone.
#[derive(Deserialize)]
#[serde(untagged)]
enum Stored {
    Name(String),
    Whole { credential: String, key: Option<String>, folder: Option<String> },
}

impl From<Stored> for Written {
    fn from(stored: Stored) -> Self {
        match stored {
            Stored::Name(credential) => Self { credential, key: None, folder: None },
            Stored::Whole { credential, key, folder } => Self { credential, key, folder },
        }
    }
}

impl State {
    /// Notes the references that a take left in its file.
    ///
    /// # Errors
    /// The database cannot be written.
    pub fn note_references(&self, item: &Item) -> Result<()> {
        let mut known = self.written(&item.target)?;
        let folder = folder(item);
        let before = known.len();
        let mut all: HashSet<Written> = known.iter().cloned().collect();
        let new = item.holes.iter().map(|hole| written(hole, folder.clone()));
        known.extend(new.filter(|written| all.insert(written.clone())));
        if known.len() != before {
            self.db.put(Table::Reference, &item.target.to_string_lossy(), &known)?;
            self.publish_references();
        }
        Ok(())
    }

    /// Whether hallpass wrote a reference to the credential into the file, which is named behind every link, as the
    /// value of this variable. `None` is any.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn is_noted(&self, file: &Path, credential: &str, variable: Option<&str>) -> Result<bool> {
        let fits = |key: &Option<String>| key.is_none() || variable.is_none() || key.as_deref() == variable;
        Ok(self.written(file)?.iter().any(|one| one.credential == credential && fits(&one.key)))
    }

    /// Whether hallpass noted all references of an item.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn is_all_noted(&self, item: &Item) -> Result<bool> {
        let known = self.written(&item.target)?;
        let known: HashSet<&str> = known.iter().map(|one| one.credential.as_str()).collect();
        Ok(item.holes.iter().all(|hole| known.contains(hole.credential.as_str())))
    }

    /// Forgets the references of an item whose secrets are back in the file; those of other items in it stay.
    ///
    /// # Errors
    /// The database cannot be written.
    pub fn forget_references<'a>(&self, item: &Item, others: impl Iterator<Item = &'a Item>) -> Result<()> {
        fn keys<'a>(holes: impl Iterator<Item = &'a Hole>) -> HashSet<(&'a str, Option<&'a str>)> {
            holes.map(|hole| (hole.credential.as_str(), hole.key.as_deref())).collect()
        }
        let stay = keys(others.filter(|other| other.target == item.target).flat_map(|other| &other.holes));
        let go = keys(item.holes.iter());
        let mut known = self.written(&item.target)?;
        known.retain(|one| {
            let key = (one.credential.as_str(), one.key.as_deref());
            !go.contains(&key) || stay.contains(&key)
        });
        self.db.put(Table::Reference, &item.target.to_string_lossy(), &known)?;
        self.publish_references();
        Ok(())
    }

    /// Writes the list for the shell hooks: `FOLDER<tab>MARK`, one on a line, of each folder from whose `.env` files
    /// a grant gives anything. Another mark means that there is more or less of it. The list is a convenience: what
    /// cannot be written is logged.
    pub fn publish_references(&self) {
        if let Err(why) = self.list().map_err(|error| error.to_string()).and_then(|list| self.write_list(&list)) {
            tracing::warn!("the list for the shell hooks cannot be written: {why}");
        }
    }

    fn written(&self, file: &Path) -> Result<Vec<Written>> {
        Ok(self.db.find(Table::Reference, &file.to_string_lossy())?.unwrap_or_default())
    }

    fn list(&self) -> Result<String> {
        let settings = self.settings();
        let config = &settings.config;
        // Of each credential that a grant gives anything of, what the grants say. There may be thousands of the others.
        let mut granted: HashMap<&str, Vec<String>> = HashMap::new();
        for grant in &config.grants {
            let of = config.issuers.get(&grant.what.issuer).and_then(|issuer| issuer.credential.as_deref());
            if let Some(credential) = of {
                granted.entry(credential).or_default().push(format!("{grant:?}"));
            }
        }
        let mut folders: BTreeMap<String, DefaultHasher> = BTreeMap::new();
        if granted.is_empty() {
            return Ok(String::new());
        }
        for one in self.db.all::<Vec<Written>>(Table::Reference)?.into_iter().flatten() {
            // Without a grant nothing comes of it, and a hook that says so each time would only be in the way.
            let Some(grants) = granted.get(one.credential.as_str()) else { continue };
            if let Some(folder) = one.folder.clone() {
                (one, grants).hash(folders.entry(folder).or_default());
            }
        }
        Ok(folders.iter().map(|(folder, mark)| format!("{folder}\t{:016x}\n", mark.finish())).collect())
    }

    /// By rename: a hook reads the old list or the new one.
    fn write_list(&self, list: &str) -> std::result::Result<(), String> {
        let path = self.paths.references();
        if std::fs::read_to_string(&path).unwrap_or_default() == list {
            return Ok(());
        }
        let beside = path.with_extension("new");
        let write = || {
            let mut file = sys::private_file(&beside, false)?;
            file.set_len(0)?;
            file.write_all(list.as_bytes())?;
            std::fs::rename(&beside, &path)
        };
        write().map_err(|error| error.to_string())
    }
}

fn written(hole: &Hole, folder: Option<String>) -> Written {
    Written { credential: hole.credential.clone(), key: hole.key.clone(), folder }
}

/// The folder whose shells get what the file refers to. A name that cannot stand in the list has none.
fn folder(item: &Item) -> Option<String> {
    item.path.file_name().filter(|name| is_env_file(name))?;
    let folder = item.path.parent()?.canonicalize().ok()?;
    folder.to_str().filter(|text| !text.contains(['\n', '\t'])).map(ToOwned::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_first_versions_wrote_is_read() {
        let known: Vec<Written> =
            serde_json::from_str(r#"["db", {"credential": "a", "key": "K", "folder": null}]"#).unwrap();
        let one = |credential: &str, key: Option<&str>| Written {
            credential: credential.into(),
            key: key.map(Into::into),
            folder: None,
        };
        assert_eq!(known, [one("db", None), one("a", Some("K"))]);
        assert_eq!(serde_json::from_str::<Vec<Written>>(&serde_json::to_string(&known).unwrap()).unwrap(), known);
    }
}
