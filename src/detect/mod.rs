//! Finding secrets in bytes: file contents and a path in, findings with exact spans out.
//!
//! Owns the rules (compiled from `data/rules`), the parsers of file kinds, and every decision on what is a
//! secret. Pure: it opens no file, keeps no text, and no input makes it fail. It never says what to do about a
//! finding; that is `quarantine`'s.

mod around;
pub mod check;
mod choice;
mod decoy;
mod engine;
pub mod fingerprint;
mod generic;
pub mod kind;
mod lines;
mod name;
mod name_words;
mod near;
pub mod parse;
mod placeholder;
mod random;
mod reference;
pub mod rule;
mod setting;
mod utf16;
mod words;

pub use decoy::decoy;
pub use engine::Detector;

use std::ops::Range;

/// How sure a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// A name and a random-looking value, a password, a URL: told, and rewritten when somebody asks.
    Likely,
    /// The structure nearly excludes a mistake: may be quarantined by itself.
    Certain,
}

/// A secret that was seen in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The bytes of the value itself, without quotes.
    pub span: Range<usize>,
    /// What it is: the rule's name.
    pub kind: &'static str,
    /// How sure.
    pub class: Class,
    /// The path of the key that it is the value of, as written, joined by dots; `None` in running text.
    pub key: Option<String>,
    /// Why it is taken for a secret, in a few words.
    pub why: &'static str,
}

/// The words of a file of `data/words`; lines that begin with `#` are its description.
fn words(text: &'static str) -> Vec<&'static str> {
    text.lines().filter(|line| !line.starts_with('#')).flat_map(str::split_whitespace).collect()
}
