//! What stands around a value: the names of its path, or of its file.
//!
//! Owns the form in which rules' `near` names are looked for in them. One buffer serves a whole file.

use std::ops::Range;

use super::parse::Document;

/// A key's path or a file's name in lower-case letters and digits, and where its words begin.
#[derive(Default)]
pub(super) struct NearText {
    pub text: Vec<u8>,
    begins: Vec<bool>,
    chain: Vec<Range<usize>>,
    /// A name above is `encrypted`, or `secure` as Travis has it.
    below_encrypted: bool,
}

impl NearText {
    /// Of a file's name and its folder's.
    pub fn of_file(path: &str) -> Self {
        let mut near = Self::default();
        let mut parts = path.rsplit(['/', '\\']);
        let name = parts.next().unwrap_or_default();
        parts.next().into_iter().for_each(|folder| near.add(folder.as_bytes()));
        near.add(name.as_bytes());
        near
    }

    /// Becomes the path of a name.
    pub fn set(&mut self, bytes: &[u8], document: &Document, name: Option<u32>) {
        self.text.clear();
        self.begins.clear();
        self.chain.clear();
        let mut next = name;
        while let Some(name) = next.and_then(|index| document.names.get(index as usize)) {
            self.chain.push(name.span.clone());
            next = name.parent;
        }
        let chain = std::mem::take(&mut self.chain);
        self.below_encrypted = chain.iter().skip(1).any(|span| bytes.get(span.clone()) == Some(&b"encrypted"[..]))
            || chain.first().is_some_and(|span| bytes.get(span.clone()) == Some(&b"secure"[..]));
        chain.iter().rev().for_each(|span| self.add(bytes.get(span.clone()).unwrap_or_default()));
        self.chain = chain;
    }

    /// Whether a word begins here.
    pub fn begins(&self, at: usize) -> bool {
        self.begins.get(at).copied().unwrap_or_default()
    }

    /// SOPS, SealedSecrets and Renovate keep ciphertext below names that would say secret.
    pub fn is_encrypted(&self) -> bool {
        ["encrypteddata", "sops"].iter().any(|mark| self.text.windows(mark.len()).any(|part| part == mark.as_bytes()))
            || self.below_encrypted
    }

    fn add(&mut self, part: &[u8]) {
        let mut before = b' ';
        for byte in part {
            if byte.is_ascii_alphanumeric() {
                let hump = byte.is_ascii_uppercase() && !before.is_ascii_uppercase();
                self.begins.push(hump || !before.is_ascii_alphanumeric());
                self.text.push(byte.to_ascii_lowercase());
            }
            before = *byte;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_keeps_where_its_words_begin() {
        let near = NearText::of_file("/home/jo/.docker/configFile.json");
        assert_eq!(near.text, b"dockerconfigfilejson");
        let begins: Vec<usize> = (0..near.text.len()).filter(|at| near.begins(*at)).collect();
        assert_eq!(begins, [0, 6, 12, 16]);
    }
}
