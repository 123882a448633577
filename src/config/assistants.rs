//! The built-in rules that name assistants by their processes.
//!
//! Owns the reading of `data/assistants.toml`.

use crate::{
    error::{Error, Result},
    principal::Rule,
};

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    assistant: Vec<Rule>,
}

/// The rules, in the order in which they are tried.
pub fn built_in() -> Result<Vec<Rule>> {
    let file: File = toml::from_str(include_str!("../../data/assistants.toml"))
        .map_err(|e| Error::internal(format!("the built-in rules for assistants cannot be read: {}", e.message())))?;
    Ok(file.assistant)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::principal::{self, Kind};
    use std::collections::BTreeSet;

    const EXPECTED: [&str; 23] = [
        "claude-code",
        "codex",
        "gemini-cli",
        "antigravity",
        "qwen-code",
        "opencode",
        "kilo",
        "copilot-cli",
        "cursor",
        "windsurf",
        "zed",
        "cline",
        "continue",
        "aider",
        "goose",
        "amp",
        "kiro",
        "droid",
        "pi",
        "crush",
        "lm-studio",
        "junie",
        "claude-desktop",
    ];

    #[test]
    fn every_entry_is_whole_and_no_two_claim_the_same() {
        let rules = built_in().unwrap();
        let names: BTreeSet<_> = rules.iter().map(|rule| rule.principal.as_str()).collect();
        assert_eq!(names.len(), rules.len(), "a principal has two entries");
        assert_eq!(names, EXPECTED.into_iter().collect());
        let mut marks = BTreeSet::new();
        for rule in &rules {
            let name = &rule.principal;
            assert!(principal::is_name(name) && name != principal::HUMAN && name != principal::UNKNOWN, "{name}");
            assert_eq!(rule.kind, Kind::Assistant, "{name}");
            assert!(!rule.process.is_empty() || !rule.script.is_empty(), "{name} matches nothing");
            assert!(!rule.source.trim().is_empty(), "{name} has no source");
            for part in &rule.process {
                assert!(!part.is_empty() && !part.contains('/'), "{name}: {part} is no file name");
                assert!(marks.insert(part.clone()), "{part} is claimed twice");
            }
            for part in &rule.script {
                assert!(part.contains('/') && part.len() >= 6, "{name}: {part} is too little of a path");
                assert!(marks.insert(part.clone()), "{part} is claimed twice");
            }
        }
        // A shell, an interpreter, or an editor whose terminal is the human's must never be a mark.
        for common in [
            "sh",
            "bash",
            "zsh",
            "fish",
            "node",
            "bun",
            "deno",
            "python",
            "python3",
            "java",
            "electron",
            "code",
            "code-insiders",
            "codium",
            "idea",
            "tmux",
            "ssh",
            "sudo",
            "uv",
            "npx",
            "npm",
        ] {
            assert!(!marks.contains(common), "{common} would name every program of its kind");
        }
    }
}
