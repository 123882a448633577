//! Reading a file kind: the keys and the exact spans of its values.
//!
//! Owns one parser per kind, behind one shape. A parser never fails: what it cannot read it gives up, and the
//! file is then read as text. It judges nothing.

pub mod text;

use std::ops::Range;

use super::kind::FileKind;

/// What a file says: names in a tree, and the values at its leaves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Document {
    /// Names, parents before children.
    pub names: Vec<Name>,
    /// Values, in the order of the file, not overlapping.
    pub scalars: Vec<Scalar>,
}

/// One name on the way to a value. Elements of a list have the list's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// The name it is below, an index into `Document::names`.
    pub parent: Option<u32>,
    /// Where it is written, without quotes.
    pub span: Range<usize>,
}

/// One value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scalar {
    /// Its name, an index into `Document::names`; `None` for a bare value.
    pub name: Option<u32>,
    /// Its bytes, without the quotes around them.
    pub span: Range<usize>,
    /// How it is written.
    pub quote: Quote,
    /// What it means, where escapes make that differ from its bytes.
    pub decoded: Option<Box<[u8]>>,
    /// It stands in a comment (`# KEY=value`).
    pub comment: bool,
}

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quote {
    /// Bare.
    None,
    /// In single quotes.
    Single,
    /// In double quotes.
    Double,
    /// In some other way: a block scalar, a triple-quoted string, a here-document.
    Block,
}

/// Reads the file; `None` where it is not what its kind says, or the kind is text.
pub fn parse(kind: FileKind, bytes: &[u8]) -> Option<Document> {
    let _ = (kind, bytes);
    None
}

impl Document {
    /// The path of a name, joined by dots, lossily as text.
    pub fn path(&self, bytes: &[u8], name: Option<u32>) -> String {
        let mut parts = Vec::new();
        let mut next = name;
        while let Some(name) = next.and_then(|index| self.names.get(index as usize)) {
            parts.push(String::from_utf8_lossy(bytes.get(name.span.clone()).unwrap_or_default()));
            next = name.parent;
        }
        parts.reverse();
        parts.join(".")
    }
}
