//! Principals: who asks.
//!
//! Owns the order in which a caller is named (task, ancestry, `--as`, human at a terminal, unknown)
//! and the record of the evidence. Pure: `daemon/peer.rs` reads the processes. A name is a label for
//! policy and audit, never proof: code under the same uid can pretend (SECURITY.md).

use serde::{Deserialize, Serialize};

use crate::task::ProcessKey;

/// The principal of a caller that cannot be named; it has no grants.
pub const UNKNOWN: &str = "unknown";
/// The principal of the person at the terminal.
pub const HUMAN: &str = "human";

/// What sort of identity a principal is; the audit log has one stream for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A person.
    Human,
    /// A coding assistant with a person in front of it.
    Assistant,
    /// A program that works by itself.
    Agent,
    /// An MCP server.
    McpServer,
    /// A script, a cron job, a build.
    Service,
    /// Not named.
    Unknown,
}

impl Kind {
    /// All kinds, in the order they are shown.
    pub const ALL: [Self; 6] =
        [Self::Human, Self::Assistant, Self::Agent, Self::McpServer, Self::Service, Self::Unknown];

    /// The word on the wire, in the CLI and in the name of the audit stream.
    pub fn word(self) -> &'static str {
        match self {
            Self::Human => "human",
            Self::Assistant => "assistant",
            Self::Agent => "agent",
            Self::McpServer => "mcp-server",
            Self::Service => "service",
            Self::Unknown => "unknown",
        }
    }
}

impl std::str::FromStr for Kind {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|kind| kind.word() == text).ok_or_else(|| {
            format!("{text:?} is no kind of principal; the kinds are human, assistant, agent, mcp-server and service")
        })
    }
}

/// One process of the caller's ancestry, as the kernel shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Process {
    /// Pid and start time.
    #[serde(flatten)]
    pub key: ProcessKey,
    /// The kernel's short name (`comm`).
    pub name: String,
    /// The executable's path, where it may be read.
    pub exe: Option<String>,
    /// The script an interpreter runs: the first argument that is a path.
    pub script: Option<String>,
}

/// What the daemon saw of a caller. Kept with each record it leads to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Evidence {
    /// The peer's uid, from the kernel.
    pub uid: u32,
    /// The caller and its ancestors, nearest first. Empty where the platform shows none.
    pub chain: Vec<Process>,
    /// The session the caller belongs to.
    pub session: i32,
    /// It has a controlling terminal.
    pub terminal: bool,
    /// The kernel pinned the caller (pidfd), so the pid cannot have been reused.
    pub pinned: bool,
}

impl Evidence {
    /// Evidence of a caller of which only the uid is known.
    pub fn of_uid(uid: u32) -> Self {
        Self { uid, chain: Vec::new(), session: 0, terminal: false, pinned: false }
    }

    /// The caller itself.
    pub fn caller(&self) -> Option<ProcessKey> {
        self.chain.first().map(|process| process.key)
    }

    /// True when `key` is the caller or one of its ancestors.
    pub fn descends_from(&self, key: ProcessKey) -> bool {
        self.chain.iter().any(|process| process.key == key)
    }

    /// One line for people and for the audit log: names and pids, nearest first.
    pub fn summary(&self) -> String {
        let mut parts: Vec<String> =
            self.chain.iter().take(8).map(|p| format!("{}[{}]", printable(&p.name), p.key.pid)).collect();
        if self.chain.len() > 8 {
            parts.push("...".into());
        }
        parts.join(" < ")
    }
}

/// One built-in or configured rule that names an assistant by its process.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The principal it names.
    pub principal: String,
    /// What kind that is.
    #[serde(default = "assistant")]
    pub kind: Kind,
    /// File names of the executable or kernel names that mean it.
    #[serde(default)]
    pub process: Vec<String>,
    /// Parts of the path of the script that an interpreter runs. (Its own name is compared as `process` is.)
    #[serde(default)]
    pub script: Vec<String>,
    /// Where the names come from.
    pub source: String,
}

fn assistant() -> Kind {
    Kind::Assistant
}

impl Rule {
    fn matches(&self, process: &Process) -> bool {
        let file = process.exe.as_deref().and_then(|path| path.rsplit('/').next()).unwrap_or_default();
        let script = process.script.as_deref().unwrap_or_default();
        // npm and pip start a program by a script of its name, which has an interpreter's process.
        let of_script = script.rsplit('/').next().unwrap_or_default();
        let by_name = self.process.iter().any(|name| name == file || *name == process.name || name == of_script);
        by_name || (!script.is_empty() && self.script.iter().any(|part| script.contains(part.as_str())))
    }
}

/// By which rule a caller got its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NamedBy {
    /// It runs in a task.
    Task,
    /// An assistant is among its ancestors.
    Ancestry,
    /// It said so with `--as`.
    Claim,
    /// It has a controlling terminal and no assistant above it.
    Terminal,
    /// Nothing named it.
    Nothing,
}

/// The answer: who the caller is taken for, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Identity {
    /// The principal's name.
    pub principal: String,
    /// What kind of principal a rule made of it; a registered principal's own kind wins.
    pub kind: Kind,
    /// By which rule.
    pub named_by: NamedBy,
    /// The task the caller runs in.
    pub task: Option<String>,
}

/// The task a caller's ancestry belongs to, as the daemon found it.
#[derive(Clone, Debug)]
pub struct InTask<'a> {
    /// The task's id.
    pub id: &'a str,
    /// The task's principal.
    pub principal: &'a str,
}

/// Names the caller: by the task it runs in, else by its ancestry, else by its own claim, else, with
/// a terminal and no assistant above it, as the human; else it is unknown.
///
/// A claim never makes a caller the human, and never overrides a task or an assistant above it.
pub fn identify(evidence: &Evidence, task: Option<InTask<'_>>, claim: Option<&str>, rules: &[Rule]) -> Identity {
    if let Some(task) = task {
        return Identity {
            principal: task.principal.into(),
            kind: Kind::Service,
            named_by: NamedBy::Task,
            task: Some(task.id.into()),
        };
    }
    let above = evidence.chain.iter().find_map(|process| rules.iter().find(|rule| rule.matches(process)));
    let (principal, kind, named_by) = match (above, claim) {
        (Some(rule), _) => (rule.principal.as_str(), rule.kind, NamedBy::Ancestry),
        (None, Some(name)) if name != HUMAN && name != UNKNOWN => (name, Kind::Service, NamedBy::Claim),
        _ if evidence.terminal => (HUMAN, Kind::Human, NamedBy::Terminal),
        _ => (UNKNOWN, Kind::Unknown, NamedBy::Nothing),
    };
    Identity { principal: principal.into(), kind, named_by, task: None }
}

/// The principal that starting `program` would be, by the same rules: what `exec -- claude` runs as.
pub fn of_program(program: &str, rules: &[Rule]) -> Option<(String, Kind)> {
    let name = program.rsplit('/').next().unwrap_or(program);
    rules.iter().find(|rule| rule.process.iter().any(|p| p == name)).map(|rule| (rule.principal.clone(), rule.kind))
}

/// True for a text that may name a principal, a credential, an issuer or a route.
pub fn is_name(text: &str) -> bool {
    let ok = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
    !text.is_empty()
        && text.len() <= 64
        && text.chars().all(ok)
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
}

/// The text with everything that could move a cursor or reverse a line made visible.
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '\u{fffd}' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: i32, name: &str, script: Option<&str>) -> Process {
        Process {
            key: ProcessKey { pid, start: 1 },
            name: name.into(),
            exe: Some(format!("/usr/bin/{name}")),
            script: script.map(Into::into),
        }
    }

    fn seen(chain: Vec<Process>, terminal: bool) -> Evidence {
        Evidence { uid: 1000, chain, session: 1, terminal, pinned: true }
    }

    fn rules() -> Vec<Rule> {
        vec![Rule {
            principal: "claude-code".into(),
            kind: Kind::Assistant,
            process: vec!["claude".into()],
            script: vec!["@anthropic-ai/claude-code/".into()],
            source: "test".into(),
        }]
    }

    #[test]
    fn the_order_of_naming() {
        let shell = process(10, "bash", None);
        let claude = process(9, "claude", None);
        let node = process(9, "node", Some("/usr/lib/node_modules/@anthropic-ai/claude-code/cli.js"));
        let named = |e: &Evidence, task, claim| {
            let id = identify(e, task, claim, &rules());
            (id.principal, id.named_by)
        };
        let human = seen(vec![shell.clone()], true);
        assert_eq!(named(&human, None, None), ("human".into(), NamedBy::Terminal));
        assert_eq!(named(&human, None, Some("bot")), ("bot".into(), NamedBy::Claim));
        let alone = seen(vec![shell.clone()], false);
        assert_eq!(named(&alone, None, None), ("unknown".into(), NamedBy::Nothing));
        assert_eq!(named(&alone, None, Some("human")), ("unknown".into(), NamedBy::Nothing));
        let linked = process(9, "node", Some("/home/me/node_modules/.bin/claude"));
        for above in [claude, node, linked] {
            let under = seen(vec![shell.clone(), above], true);
            assert_eq!(named(&under, None, Some("bot")), ("claude-code".into(), NamedBy::Ancestry));
            let task = InTask { id: "task_1", principal: "triage" };
            assert_eq!(named(&under, Some(task), Some("bot")), ("triage".into(), NamedBy::Task));
        }
    }

    #[test]
    fn a_summary_moves_no_cursor() {
        let odd = seen(vec![process(1, "a\u{1b}[2Jb\u{202e}", None)], false);
        assert!(odd.summary().chars().all(|c| c.is_ascii_graphic() || c == ' ' || c == '\u{fffd}'));
    }

    #[test]
    fn names() {
        assert!(is_name("openai-work.2"));
        for bad in ["", "-x", "A", "a b", "a/b", "é", &"a".repeat(65)] {
            assert!(!is_name(bad), "{bad}");
        }
    }
}
