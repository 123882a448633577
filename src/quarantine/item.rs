//! What is known of one quarantined file, as the journal keeps it. It holds no secret.

use std::{ops::Range, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::edit::Print;

/// One take: the secrets of one file that were taken out of it together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// Its name: ten hexadecimal digits.
    pub id: String,
    /// The file as it was named.
    #[serde(with = "path_text")]
    pub path: PathBuf,
    /// The file itself, behind every link.
    #[serde(with = "path_text")]
    pub target: PathBuf,
    /// When, Unix milliseconds.
    pub taken_ms: i64,
    /// What was taken out, in the order of the file.
    pub holes: Vec<Hole>,
    /// What was adopted by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adopted: Option<Adopted>,
    /// Names that the vault did not have before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) added: Vec<String>,
    /// How the file changed.
    pub(super) change: Change,
}

/// A tool that asks for a credential since it was adopted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adopted {
    /// The surface's name.
    pub tool: String,
    /// The place in its file, as a JSON pointer.
    pub at: String,
    /// What it asks for.
    pub want: String,
    /// A shell command that asks as it does, and shows whether it gets it; empty where another item has it.
    pub check: String,
    /// The file was not there before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub made: bool,
    /// How it asks: the catalogue's word.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub with: String,
    /// The entry of hallpass's config that it needs, as `mcp:NAME` or `render:NAME`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<String>,
    /// That entry was not there before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub entry_made: bool,
    /// The places that were changed, and what stands there now. What stood there is kept behind the secrets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub edits: Vec<(String, Option<serde_json::Value>)>,
}

/// One secret that was taken out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hole {
    /// Where it began in the old file, in bytes.
    pub start: usize,
    /// Where it ended there.
    pub end: usize,
    /// Where its replacement begins in the new file.
    pub at: usize,
    /// The credential that has its value.
    pub credential: String,
    /// The key that it was the value of, where it was known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// What it is: the rule's name.
    pub kind: String,
    /// Its keyed hash.
    pub fingerprint: String,
    /// What stands in its place.
    #[serde(with = "byte_text")]
    pub replacement: Vec<u8>,
    /// What may be shown of it.
    pub mask: String,
}

impl Hole {
    /// Where the replacement stands in the new file.
    pub(super) fn new_span(&self) -> Range<usize> {
        self.at..self.at.saturating_add(self.replacement.len())
    }

    pub(super) fn old_span(&self) -> Range<usize> {
        self.start..self.end
    }
}

/// A file before and after it is rewritten: enough to tell after a crash which of the two is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Change {
    pub(super) inode: u64,
    pub(super) modified_ns: i64,
    pub(super) before: Print,
    pub(super) after: Print,
}

/// A restore.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Restore {
    pub(super) change: Change,
    /// The holes that are filled, in the order of the file, as indexes.
    pub(super) holes: Vec<usize>,
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The journal says that it was begun, not how it ended; the next call settles it.
    Open,
    /// The secrets are in the vault, the references in the file.
    Quarantined,
    /// The file has its secrets again.
    Restored,
}

/// Text where it is UTF-8, else a list of bytes: a path on Unix is any bytes.
mod byte_text {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Either<'a> {
        Text(std::borrow::Cow<'a, str>),
        Bytes(Vec<u8>),
    }

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(bytes) {
            Ok(text) => Either::Text(text.into()),
            Err(_) => Either::Bytes(bytes.to_vec()),
        }
        .serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        Ok(match Either::deserialize(from)? {
            Either::Text(text) => text.into_owned().into_bytes(),
            Either::Bytes(bytes) => bytes,
        })
    }
}

mod path_text {
    use std::{
        ffi::OsString,
        os::unix::ffi::{OsStrExt, OsStringExt},
        path::{Path, PathBuf},
    };

    use serde::{Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(path: &Path, to: S) -> Result<S::Ok, S::Error> {
        super::byte_text::serialize(path.as_os_str().as_bytes(), to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<PathBuf, D::Error> {
        Ok(OsString::from_vec(super::byte_text::deserialize(from)?).into())
    }
}
