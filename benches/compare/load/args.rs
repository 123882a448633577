//! `load VERB name=value...`: nothing more is needed, and it starts no slower for it.

use std::{collections::HashMap, fs, str::FromStr};

pub struct Args {
    verb: String,
    values: HashMap<String, String>,
}

impl Args {
    pub fn from_env() -> Self {
        let mut words = std::env::args().skip(1);
        let verb = words.next().unwrap_or_default();
        let pair = |word: String| {
            let (name, value) = word.split_once('=').unwrap_or_else(|| panic!("{word} is not name=value"));
            (name.to_owned(), value.to_owned())
        };
        Self { verb, values: words.map(pair).collect() }
    }

    pub fn verb(&self) -> &str {
        &self.verb
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    pub fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or_else(|| panic!("{}: {name}= is missing", self.verb))
    }

    pub fn number(&self, name: &str, default: u64) -> u64 {
        self.get(name).map_or(default, |text| u64::from_str(text).unwrap_or_else(|e| panic!("{name}: {e}")))
    }

    /// The bytes of the file that this names: a request or an answer.
    pub fn file(&self, name: &str) -> Vec<u8> {
        let path = self.text(name);
        fs::read(path).unwrap_or_else(|e| panic!("{path}: {e}"))
    }
}
