//! Reading a file kind: the keys and the exact spans of its values.
//!
//! Owns one parser per kind, behind one shape. A parser never fails: what it cannot read it gives up, and the
//! file is then read as text. It judges nothing. Time is linear in the bytes, and nesting is counted and not
//! recursed into, so that no file can exhaust the stack.

mod cursor;
mod dotenv;
mod hcl;
mod ini;
mod json;
mod mend;
mod netrc;
mod pairs;
mod shell;
#[cfg(test)]
mod tests;
pub mod text;
mod toml;
mod tree;
mod yaml;

use std::{
    borrow::Cow,
    ops::{Deref, Range},
};

use zeroize::Zeroizing;

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

/// One value. An empty one is left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scalar {
    /// Its name, an index into `Document::names`; `None` for a bare value.
    pub name: Option<u32>,
    /// Its bytes, without the quotes around them. Of a YAML block scalar: from the first line's text to the last
    /// line's, without the indentation before and the line end after.
    pub span: Range<usize>,
    /// How it is written.
    pub quote: Quote,
    /// What it means, where escapes make that differ from its bytes.
    pub decoded: Option<Decoded>,
    /// It stands in a comment (`# KEY=value`).
    pub comment: bool,
}

/// What a value means: a copy of a part of the file, and wiped as the file's bytes are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded(Zeroizing<Vec<u8>>);

impl From<Vec<u8>> for Decoded {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }
}

impl Deref for Decoded {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
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
    /// In some other way: a block scalar, a triple-quoted string, a here-document, backticks.
    Block,
}

/// Reads the file; `None` where it is not what its kind says, or the kind is text. UTF-16 is not read.
pub fn parse(kind: FileKind, bytes: &[u8]) -> Option<Document> {
    if kind == FileKind::Text || is_utf16(bytes) || u32::try_from(bytes.len()).is_err() {
        return None;
    }
    let start = if bytes.starts_with(b"\xEF\xBB\xBF") { 3 } else { 0 };
    parse_from(kind, bytes, start).or_else(|| {
        let mut document = parse_from(kind, &mend::mended(bytes)?, start)?;
        // What an escape means must not be told from bytes that are not the file's.
        let holes = document.scalars.iter_mut().filter(|s| slice(bytes, s.span.clone()).contains(&b'{'));
        holes.for_each(|scalar| scalar.decoded = None);
        Some(document)
    })
}

fn parse_from(kind: FileKind, bytes: &[u8], start: usize) -> Option<Document> {
    match kind {
        FileKind::Dotenv => Some(dotenv::parse(bytes, start)),
        FileKind::Json => json::parse(bytes, start),
        FileKind::Toml => toml::parse(bytes, start),
        FileKind::Yaml => yaml::parse(bytes, start),
        FileKind::Ini => Some(ini::parse(bytes, start)),
        FileKind::Netrc => Some(netrc::parse(bytes, start)),
        FileKind::Shell => Some(shell::parse(bytes, start)),
        FileKind::Hcl => hcl::parse(bytes, start),
        FileKind::Text => None,
    }
}

impl Document {
    /// The value that the byte is in.
    pub fn scalar_at(&self, at: usize) -> Option<&Scalar> {
        let index = self.scalars.partition_point(|scalar| scalar.span.end <= at);
        self.scalars.get(index).filter(|scalar| scalar.span.contains(&at))
    }

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

    /// A name for others to be below.
    pub(super) fn heading(&mut self, span: Range<usize>) -> Option<u32> {
        self.name(None, span)
    }

    /// Puts the names from `from` on that have none above them below `heading`.
    pub(super) fn put_below(&mut self, heading: Option<u32>, from: usize) {
        let names = self.names.get_mut(from..).unwrap_or_default();
        names.iter_mut().filter(|name| name.parent.is_none()).for_each(|name| name.parent = heading);
    }

    fn name(&mut self, parent: Option<u32>, span: Range<usize>) -> Option<u32> {
        let index = u32::try_from(self.names.len()).ok()?;
        self.names.push(Name { parent, span });
        Some(index)
    }

    fn push(&mut self, scalar: Scalar) {
        if !scalar.span.is_empty() {
            self.scalars.push(scalar);
        }
    }

    /// A name below `parent`, and its value.
    fn pair(&mut self, parent: Option<u32>, name: Range<usize>, value: Value) {
        if !value.span.is_empty() {
            let name = self.name(parent, name);
            self.push(value.named(name));
        }
    }
}

/// A value before its name is known.
#[derive(Clone, Debug)]
struct Value {
    span: Range<usize>,
    quote: Quote,
    decoded: Option<Decoded>,
    comment: bool,
}

impl Value {
    fn bare(span: Range<usize>) -> Self {
        Self { span, quote: Quote::None, decoded: None, comment: false }
    }

    fn named(self, name: Option<u32>) -> Scalar {
        Scalar { name, span: self.span, quote: self.quote, decoded: self.decoded, comment: self.comment }
    }
}

fn is_utf16(bytes: &[u8]) -> bool {
    matches!(bytes, [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] | [0, _, ..] | [_, 0, ..])
}

/// The bytes as text of the same length: a byte that is not UTF-8 becomes a question mark, so that spans hold.
fn as_text(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = str::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| '?'));
    }
    Cow::Owned(text)
}

fn slice(bytes: &[u8], span: Range<usize>) -> &[u8] {
    bytes.get(span).unwrap_or_default()
}
