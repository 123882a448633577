//! Where in a TOML file something is wrong, said without repeating a value.
//!
//! Owns the rule that an error shows file, line, column and key, and never what stands after the `=`:
//! somebody may have pasted a secret there.

use std::path::Path;

use crate::{api::problem::Code, error::Error};

/// A file's text and its name.
pub(crate) struct Place<'a> {
    text: &'a str,
    /// The file.
    pub(crate) path: &'a Path,
}

impl<'a> Place<'a> {
    pub(crate) fn new(text: &'a str, path: &'a Path) -> Self {
        Self { text, path }
    }

    /// Line and column of a byte, from 1; columns count characters.
    pub(crate) fn line_column(&self, at: usize) -> (usize, usize) {
        let before = self.text.get(..at).unwrap_or(self.text);
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        (before.matches('\n').count() + 1, before.get(start..).unwrap_or_default().chars().count() + 1)
    }

    /// The key or table of the line that holds this byte, where it can be shown.
    pub(crate) fn key(&self, at: usize) -> Option<&'a str> {
        let start = self.text.get(..at)?.rfind('\n').map_or(0, |newline| newline + 1);
        let line = self.text.get(start..)?.lines().next()?.trim();
        let key = match line.strip_prefix('[') {
            Some(_) => line.split('#').next()?.trim(),
            None => line.split_once('=')?.0.trim(),
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-[]\" ".contains(c);
        (!key.is_empty() && key.len() <= 48 && key.chars().all(plain) && !key.split('.').any(looks_secret))
            .then_some(key)
    }

    /// What the TOML reader found, with a suggestion where a key is not known.
    pub(crate) fn parse_error(&self, e: &toml::de::Error) -> Error {
        let at = e.span().map_or(self.text.len(), |span| span.start);
        let (line, column) = self.line_column(at);
        let (what, suggestion) = explain(e.message());
        let key = match self.key(at) {
            Some(key) if !what.starts_with("the key") => format!("{key}: "),
            _ => String::new(),
        };
        let hint = match suggestion {
            Some(known) => format!("did you mean `{known}`? Edit line {line} of {}", self.path.display()),
            None => format!("edit line {line} of {}", self.path.display()),
        };
        Error::new(Code::Config, format!("{}:{line}:{column}: {key}{what}", self.path.display())).hint(hint)
    }
}

/// The reader's message without any value in it, and the nearest known key.
fn explain(message: &str) -> (String, Option<String>) {
    let message = message.lines().next().unwrap_or_default();
    if let Some(rest) = message.strip_prefix("unknown field `") {
        let (found, rest) = rest.split_once('`').unwrap_or((rest, ""));
        let known: Vec<&str> = rest.split('`').skip(1).step_by(2).collect();
        let nearest = nearest(found, &known);
        let shown =
            if showable(found) { format!("the key `{found}` is not known") } else { "the key is not known".into() };
        let list = if known.is_empty() { String::new() } else { format!("; known here: {}", known.join(", ")) };
        return (format!("{shown}{list}"), nearest);
    }
    if let Some(rest) = message.strip_prefix("unknown variant `") {
        let (found, rest) = rest.split_once('`').unwrap_or((rest, ""));
        let known: Vec<&str> = rest.split('`').skip(1).step_by(2).collect();
        return (format!("this may be {}", known.join(", ")), nearest(found, &known));
    }
    if let Some(rest) = message.strip_prefix("missing field `") {
        return (format!("`{}` is missing", rest.split('`').next().unwrap_or_default()), None);
    }
    if message.starts_with("invalid type")
        || message.starts_with("invalid value")
        || message.starts_with("invalid length")
    {
        // Only what was expected: the other part repeats the value, and a value may hold anything.
        let expected = message.rsplit_once("expected ").map_or("something else", |(_, expected)| expected);
        let expected = match expected {
            "u8" | "u16" | "u32" | "u64" => "a whole number that fits here".into(),
            other => unquoted(other),
        };
        return (format!("this must be {expected}"), None);
    }
    if message.starts_with("data did not match any variant") {
        return ("this must be { one-of = [...] } or { max = NUMBER }, or a list of such bounds".into(), None);
    }
    (unquoted(message), None)
}

/// The text with everything between quotes left out.
fn unquoted(text: &str) -> String {
    let mut out = String::new();
    let mut inside: Option<(char, String)> = None;
    for c in text.chars() {
        match &mut inside {
            None if c == '"' || c == '`' => inside = Some((c, String::new())),
            None => out.push(c),
            Some((quote, held)) if c == *quote => {
                // Punctuation and short words are the grammar's; anything longer may be the file's.
                let shown = if held.len() <= 10 && showable(held) || held.chars().all(|c| c.is_ascii_punctuation()) {
                    held.as_str()
                } else {
                    "..."
                };
                out.push_str(&format!("`{shown}`"));
                inside = None;
            }
            Some((_, held)) => held.push(c),
        }
    }
    out
}

fn showable(word: &str) -> bool {
    word.len() <= 40 && word.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c)) && !looks_secret(word)
}

/// True for a text that could be a key or a token: a known beginning, or long and mixed.
pub(crate) fn looks_secret(text: &str) -> bool {
    let known = ["hp_", "sk-", "sk_", "ghp_", "gho_", "github_pat_", "glpat-", "xox", "AKIA", "AIza", "eyJ"];
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let letters = text.bytes().filter(u8::is_ascii_alphabetic).count();
    (text.len() > 12 && known.iter().any(|start| text.starts_with(start)))
        || (text.len() >= 20 && digits >= 4 && letters >= 4)
        || (text.len() >= 32 && !text.contains(['-', '_', '.', ' ']))
}

fn nearest(found: &str, known: &[&str]) -> Option<String> {
    known
        .iter()
        .map(|word| (distance(found, word), *word))
        .filter(|(distance, word)| *distance <= 2.max(word.len() / 3))
        .min()
        .map(|(_, word)| word.to_owned())
}

/// Levenshtein's distance.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, x) in a.chars().take(64).enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, y) in row.iter_mut().skip(1).zip(b.chars()) {
            let best = (diagonal + usize::from(x != y)).min(left + 1).min(*cell + 1);
            diagonal = *cell;
            *cell = best;
            left = best;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (a, b, n) in [("", "abc", 3), ("kitten", "sitting", 3), ("prinicpal", "principal", 2), ("a", "a", 0)] {
            assert_eq!(distance(a, b), n, "{a} {b}");
        }
    }
}
