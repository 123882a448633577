//! Quoting for shells: a value stays one word and is never code.

use clap::ValueEnum;

/// A shell, or JSON for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Syntax {
    /// bash, and any POSIX shell
    Bash,
    /// zsh
    Zsh,
    /// fish
    Fish,
    /// One JSON object
    Json,
}

impl Syntax {
    /// The shell that `$SHELL` names; bash where it names no other.
    pub fn from_shell(shell: &str) -> Self {
        match shell.rsplit('/').next() {
            Some("zsh") => Self::Zsh,
            Some("fish") => Self::Fish,
            _ => Self::Bash,
        }
    }

    /// A line that sets and exports a variable.
    pub fn export(self, name: &str, value: &str) -> String {
        match self {
            Self::Fish => format!("set -gx {name} {};", fish(value)),
            _ => format!("export {name}={}", posix(value)),
        }
    }

    /// A line that removes a variable.
    pub fn unset(self, name: &str) -> String {
        match self {
            Self::Fish => format!("set -e {name};"),
            _ => format!("unset {name}"),
        }
    }
}

/// True for a text that may be a variable's name in every shell.
pub fn is_variable(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// A text as one word of a POSIX shell, quoted only where it has to be.
pub fn word(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'.' | b'_' | b'-' | b'+' | b':' | b',');
    if !text.is_empty() && text.bytes().all(plain) { text.to_owned() } else { posix(text) }
}

/// Within single quotes nothing is special but the quote itself.
fn posix(text: &str) -> String {
    format!("'{}'", text.replace('\0', "").replace('\'', r"'\''"))
}

/// Within fish's single quotes `\\` and `\'` are escapes.
fn fish(text: &str) -> String {
    format!("'{}'", text.replace('\0', "").replace('\\', r"\\").replace('\'', r"\'"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names() {
        for good in ["A", "_a", "OPENAI_API_KEY", "a1"] {
            assert!(is_variable(good));
        }
        for bad in ["", "1A", "A-B", "A;rm", "A B", "É", "A\n"] {
            assert!(!is_variable(bad), "{bad}");
        }
    }

    #[test]
    fn the_shell_by_its_path() {
        assert_eq!(Syntax::from_shell("/usr/bin/fish"), Syntax::Fish);
        assert_eq!(Syntax::from_shell("/bin/zsh"), Syntax::Zsh);
        assert_eq!(Syntax::from_shell(""), Syntax::Bash);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn bash_reads_back_every_value(value in "[^\\x00]{0,40}") {
            let script = format!("{}\nprintf %s \"$HP_TEST\"", Syntax::Bash.export("HP_TEST", &value));
            let out = std::process::Command::new("bash").args(["--norc", "-c", &script]).output().unwrap();
            prop_assert_eq!(out.stdout, value.into_bytes());
        }
    }

    #[test]
    fn words_for_hints() {
        for (text, want) in [("/a/b-c.age", "/a/b-c.age"), ("/a b", "'/a b'"), ("~/x", "'~/x'"), ("", "''")] {
            assert_eq!(word(text), want);
        }
    }

    #[test]
    fn fish_escapes() {
        assert_eq!(Syntax::Fish.export("A", r"a'b\c$d"), r"set -gx A 'a\'b\\c$d';");
        assert_eq!(Syntax::Fish.unset("A"), "set -e A;");
    }
}
