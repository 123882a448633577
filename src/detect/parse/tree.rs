//! Building a document from a nested file: JSON, YAML and TOML say the same in other letters.
//!
//! Owns the path to the place being read. Depth is counted here: a file that nests deeper is given up.

use std::ops::Range;

use super::pairs::Elements;
use super::{Document, Value, slice};

/// Deeper than any config; the names on the way to a value are walked for each of its findings.
const MAX_DEPTH: usize = 1024;

/// A map or a list that is open.
#[derive(Default)]
struct Level {
    name: Option<u32>,
    list: bool,
    /// The key whose value comes next.
    key: Option<u32>,
    has_key: bool,
    /// What opens next is itself the key (YAML).
    hold: bool,
    elements: Elements,
    /// The value of a member `name` or `key`: it names the member `value` beside it.
    label: Option<Range<usize>>,
    /// The value of a member `type`: it names the member `instances` beside it (Terraform's state).
    kind: Option<Range<usize>>,
}

/// The document so far and the way to the place being read.
pub(super) struct Tree<'a> {
    pub bytes: &'a [u8],
    pub document: Document,
    levels: Vec<Level>,
}

impl<'a> Tree<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, document: Document::default(), levels: vec![Level::default()] }
    }

    /// Whether the innermost is a map that expects a key.
    pub fn expects_key(&self) -> bool {
        self.levels.len() > 1 && self.levels.last().is_some_and(|level| !level.list && !level.has_key)
    }

    pub fn in_list(&self) -> bool {
        self.levels.last().is_some_and(|level| level.list)
    }

    pub fn depth(&self) -> usize {
        self.levels.len() - 1
    }

    /// A key, or one more part of a dotted key; `None` for one that is no scalar.
    pub fn key(&mut self, span: Option<Range<usize>>) {
        let Some(level) = self.levels.last_mut() else { return };
        level.has_key = true;
        if let Some(span) = span {
            let kind = level.kind.clone().filter(|_| slice(self.bytes, span.clone()) == b"instances");
            let kind = kind.and_then(|kind| self.document.name(level.name, kind));
            level.key = self.document.name(kind.or(level.key).or(level.name), span);
        }
    }

    /// A map or a list that is the key itself; its value comes after it.
    pub fn hold(&mut self) {
        if let Some(level) = self.levels.last_mut() {
            level.hold = true;
        }
    }

    /// Opens a map or a list; false where it is too deep.
    pub fn open(&mut self, list: bool) -> bool {
        let name = self.next_name();
        self.levels.push(Level { name, list, ..Level::default() });
        self.levels.len() <= MAX_DEPTH
    }

    /// Closes the innermost; false where none is open.
    pub fn close(&mut self) -> bool {
        if self.levels.len() < 2 {
            return false;
        }
        self.levels.pop();
        true
    }

    /// Back to the root, as a TOML table header does.
    pub fn root(&mut self) {
        self.levels.truncate(1);
        if let Some(level) = self.levels.last_mut() {
            *level = Level::default();
        }
    }

    /// What was given as key is the table that members follow for.
    pub fn enter(&mut self) {
        if let Some(level) = self.levels.last_mut() {
            level.name = level.key.take();
            level.has_key = false;
        }
    }

    /// A value that was none of our matter: its key is used up.
    pub fn skip(&mut self) {
        self.next_name();
    }

    /// A value at the place being read.
    pub fn scalar(&mut self, value: Value) {
        let Some(level) = self.levels.last_mut() else { return };
        if level.list {
            level.elements.push(&mut self.document, self.bytes, level.name, value, true);
            return;
        }
        let key = level.key.and_then(|index| self.document.names.get(index as usize));
        let key = slice(self.bytes, key.map(|name| name.span.clone()).unwrap_or_default());
        let label =
            if key.eq_ignore_ascii_case(b"value") || key == b"ParameterValue" { level.label.take() } else { None };
        if key == b"type" {
            level.kind = Some(value.span.clone());
        }
        // CloudFormation has a longer word for both.
        if key.eq_ignore_ascii_case(b"name") || key.eq_ignore_ascii_case(b"key") || key == b"ParameterKey" {
            level.label = Some(value.span.clone());
        }
        let parent = level.name;
        let name = self.next_name();
        match label {
            Some(label) => self.document.pair(parent, label, value),
            None => self.document.push(value.named(name)),
        }
    }

    fn next_name(&mut self) -> Option<u32> {
        let level = self.levels.last_mut()?;
        if std::mem::take(&mut level.hold) {
            return level.name;
        }
        level.has_key = false;
        if level.list { level.name } else { level.key.take().or(level.name) }
    }
}
