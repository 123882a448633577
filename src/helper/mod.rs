//! The credential contracts of developer tools: one file for each.
//!
//! Owns what a tool says, what it is answered, and its convention for errors. Pure: what the tool sent, its arguments
//! and its environment come in, text and an exit code go out, and the daemon is asked through [`Daemon`]. Must never
//! decide who gets what: that is the daemon's.

mod aws;
mod azure;
mod bazel;
mod cargo;
mod docker;
pub mod endpoint;
mod gcp;
mod git;
mod go;
mod headers;
mod key;
mod keyring;
mod kubectl;
pub mod matching;
mod npm;
mod proxy;
mod terraform;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

use crate::{
    api::{
        SecretText,
        helper::{Given, Helper, HelperAnswer, HelperRequest},
        problem::Code,
    },
    error::{Error, Result},
    principal::printable,
};

pub use cargo::{HELLO as CARGO_HELLO, answer as answer_cargo};

/// The tool of an entry that is for any.
pub const ANY: &str = "*";
/// The most that is read from a tool, in bytes.
pub const MAX_INPUT: usize = 1024 * 1024;

/// A tool whose contract is here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// git and what asks as it does: git-lfs, git send-email.
    Git,
    /// Docker and what reads its configuration: buildx, Helm, crane.
    Docker,
    /// AWS `credential_process`.
    Aws,
    /// Google's executable-sourced credentials.
    Gcp,
    /// kubectl's exec plugins.
    Kubectl,
    /// Cargo's credential providers.
    Cargo,
    /// Bazel's credential helpers, which uv and others speak too.
    Bazel,
    /// Terraform's and OpenTofu's credentials helpers.
    Terraform,
    /// Go's `GOAUTH`.
    Go,
    /// The `keyring` command as pip and uv call it.
    Keyring,
    /// One JSON object of HTTP headers.
    Headers,
    /// The credential itself on one line.
    Key,
    /// The value of a `Proxy-Authorization` header.
    Proxy,
    /// Azure's managed identity, which is asked over HTTP only.
    Azure,
    /// pnpm's `tokenHelper`.
    Npm,
}

/// Every tool, its word, and the program's name it looks for where it has one.
const TOOLS: [(Tool, &str, Option<&str>); 15] = [
    (Tool::Git, "git", Some("git-credential-hallpass")),
    (Tool::Docker, "docker", Some("docker-credential-hallpass")),
    (Tool::Aws, "aws", None),
    (Tool::Gcp, "gcp", None),
    (Tool::Kubectl, "kubectl", None),
    (Tool::Cargo, "cargo", Some("cargo-credential-hallpass")),
    (Tool::Bazel, "bazel", Some("bazel-credential-hallpass")),
    (Tool::Terraform, "terraform", Some("terraform-credentials-hallpass")),
    (Tool::Go, "go", None),
    (Tool::Keyring, "keyring", None),
    (Tool::Headers, "headers", None),
    (Tool::Key, "key", None),
    (Tool::Proxy, "proxy", None),
    (Tool::Azure, "azure", None),
    (Tool::Npm, "npm", None),
];

/// The beginning of a program's name that ends in the registry it is for: pnpm runs its helper without arguments.
const NPM_PROGRAM: &str = "npm-token-hallpass-";

impl Tool {
    /// The tool of this word.
    pub fn of_word(word: &str) -> Option<Self> {
        TOOLS.iter().find(|(_, known, _)| *known == word).map(|(tool, ..)| *tool)
    }

    /// The tool that looks for a program of this name. `keyring` is the name of another program: it is this one only
    /// where somebody made it so.
    pub fn of_program(name: &str) -> Option<Self> {
        let found = TOOLS.iter().find(|(_, _, program)| *program == Some(name)).map(|(tool, ..)| *tool);
        found.or((name == "keyring").then_some(Self::Keyring))
    }

    /// The registry that a program's name says.
    pub fn npm_program(name: &str) -> Option<String> {
        name.strip_prefix(NPM_PROGRAM).filter(|registry| !registry.is_empty()).map(|text| text.replace('+', "/"))
    }

    /// Its word.
    pub fn word(self) -> &'static str {
        TOOLS.iter().find(|(tool, ..)| *tool == self).map_or("", |(_, word, _)| word)
    }

    /// All words.
    pub fn words() -> impl Iterator<Item = &'static str> {
        TOOLS.iter().map(|(_, word, _)| *word)
    }

    /// The names that programs look for.
    pub fn programs() -> impl Iterator<Item = &'static str> {
        TOOLS.iter().filter_map(|(.., program)| *program)
    }

    /// How long it may wait for a person: nothing where the tool itself soon gives up (Google after 30 s, Bazel
    /// after 10), else what the config says.
    pub fn waits(self) -> Option<u64> {
        matches!(self, Self::Gcp | Self::Bazel).then_some(0)
    }

    /// Whether the tool speaks to many hosts, each of which must get its own and nothing else.
    pub fn has_places(self) -> bool {
        !matches!(self, Self::Aws | Self::Azure | Self::Gcp | Self::Kubectl | Self::Headers | Self::Key | Self::Proxy)
    }

    /// Whether these arguments come with something on standard input. What is not read is left: a tool's own standard
    /// input may be a terminal.
    pub fn reads(self, args: &[String]) -> bool {
        let action = args.first().map(String::as_str);
        match self {
            Self::Git | Self::Docker => matches!(action, Some("get" | "store" | "erase")),
            Self::Bazel => action == Some("get"),
            Self::Terraform => action == Some("store"),
            _ => false,
        }
    }
}

/// Whether an entry of the config may be for this tool.
pub fn is_tool(word: &str) -> bool {
    word == ANY || Tool::of_word(word).is_some()
}

/// What is asked of the daemon.
pub trait Daemon {
    /// Asks for what the tool needs.
    fn ask(&mut self, request: HelperRequest) -> Result<HelperAnswer>;
    /// Ends the lease of a token.
    fn end(&mut self, token: SecretText) -> Result<()>;
    /// Takes options of ours that came within a contract and not on the command line.
    fn options(&mut self, args: &[String]);
    /// What the config says for tools.
    fn entries(&mut self) -> Result<Vec<Helper>>;
}

/// How the tool called.
pub struct Call<'a> {
    /// The contract's arguments.
    pub args: &'a [String],
    /// What it sent on standard input; one byte more than [`MAX_INPUT`] where that was not all.
    pub input: &'a [u8],
    /// Its environment.
    pub env: &'a dyn Fn(&str) -> Option<String>,
}

impl Call<'_> {
    fn arg(&self, at: usize) -> Option<&str> {
        self.args.get(at).map(String::as_str)
    }

    /// The input as text.
    fn text(&self) -> Result<&str> {
        if self.input.len() > MAX_INPUT {
            return Err(bad(format!("the tool sent more than {} KiB", MAX_INPUT / 1024)));
        }
        core::str::from_utf8(self.input).map_err(|_| bad("the tool sent something that is not UTF-8 text"))
    }
}

/// What the tool gets.
pub struct Output {
    /// Standard output, as it is.
    pub out: Zeroizing<String>,
    /// One line for standard error.
    pub say: Option<String>,
    /// The exit code.
    pub code: u8,
}

impl Output {
    fn new(out: impl Into<String>) -> Self {
        Self { out: Zeroizing::new(out.into()), say: None, code: 0 }
    }

    fn line(text: &str) -> Self {
        Self::new(format!("{text}\n"))
    }

    fn json(value: &serde_json::Value) -> Self {
        Self::line(&Zeroizing::new(value.to_string()))
    }

    fn silent() -> Self {
        Self::new("")
    }

    /// A failure that only standard error tells of.
    fn failed(error: &Error) -> Self {
        Self { say: Some(one_line(error)), code: 1, ..Self::silent() }
    }

    fn code(self, code: u8) -> Self {
        Self { code, ..self }
    }
}

/// The answer to a call in this tool's contract. Cargo's goes on after one answer: see [`answer_cargo`].
pub fn answer(tool: Tool, call: &Call<'_>, daemon: &mut dyn Daemon) -> Output {
    match tool {
        Tool::Git => git::answer(call, daemon),
        Tool::Docker => docker::answer(call, daemon),
        Tool::Aws => aws::answer(call, daemon),
        Tool::Azure => azure::answer(),
        Tool::Gcp => gcp::answer(call, daemon),
        Tool::Kubectl => kubectl::answer(call, daemon),
        Tool::Cargo => Output::failed(&bad("Cargo speaks first").hint("Cargo runs this with --cargo-plugin")),
        Tool::Bazel => bazel::answer(call, daemon),
        Tool::Terraform => terraform::answer(call, daemon),
        Tool::Go => go::answer(call, daemon),
        Tool::Keyring => keyring::answer(call, daemon),
        Tool::Headers => headers::answer(call, daemon),
        Tool::Npm => npm::answer(call, daemon),
        Tool::Key => key::answer(call, daemon),
        Tool::Proxy => proxy::answer(call, daemon),
    }
}

/// What went wrong and what to do, on one line.
pub fn one_line(error: &Error) -> String {
    let hint = error.hint.as_ref().map(|hint| format!("; {hint}")).unwrap_or_default();
    let text = format!("hallpass: {}{hint}", error.detail);
    printable(&text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Nothing in the config is about what was asked for: somebody else's to answer.
fn is_not_ours(error: &Error) -> bool {
    error.code == Code::NotFound
}

fn bad(what: impl Into<String>) -> Error {
    Error::new(Code::BadRequest, what)
}

/// What a tool calls a host, as a URL.
fn as_url(text: &str) -> String {
    if text.contains("://") { text.to_owned() } else { format!("https://{text}") }
}

/// When it ends, as Unix seconds.
fn unix(answer: &HelperAnswer) -> Option<i64> {
    answer.expires_at.as_ref()?.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_second)
}

/// The header that carries it. A credential with a user name is a password (RFC 7617), where no route says otherwise.
fn header(answer: &HelperAnswer) -> Option<(String, Zeroizing<String>)> {
    let shape = answer.header.as_ref()?;
    let secret = answer.secret.expose();
    let bearer = shape.prefix == "Bearer " && answer.kind == Given::Static;
    if let Some(user) = answer.username.as_ref().filter(|_| bearer) {
        let basic = STANDARD.encode(Zeroizing::new(format!("{user}:{secret}")).as_bytes());
        return Some((shape.name.clone(), Zeroizing::new(format!("Basic {basic}"))));
    }
    let secret = Zeroizing::new(if shape.base64 { STANDARD.encode(secret) } else { secret.to_owned() });
    if secret.bytes().any(|b| b.is_ascii_control()) {
        return None;
    }
    Some((shape.name.clone(), Zeroizing::new(format!("{}{}", shape.prefix, secret.as_str()))))
}

/// The error where no header can carry it.
fn no_header(answer: &HelperAnswer) -> Error {
    Error::new(Code::InvalidValue, format!("{} goes into no header", answer.issuer))
        .hint("the route's key goes into the query, or the credential has a line end in it")
}

/// User name and password. A credential for Basic (RFC 7617) is `user:password` already.
fn pair(answer: &HelperAnswer, user: &str) -> (String, SecretText) {
    let basic = answer.kind == Given::Static && answer.header.as_ref().is_some_and(|header| header.base64);
    match (&answer.username, answer.secret.expose().split_once(':')) {
        (None, Some((own, password))) if basic => (own.to_owned(), SecretText::new(password)),
        (name, _) => (name.clone().unwrap_or_else(|| user.to_owned()), answer.secret.clone()),
    }
}

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn whatever_a_tool_says_there_is_an_answer(
            tool in proptest::sample::select(TOOLS.map(|(tool, ..)| tool).to_vec()),
            args in proptest::collection::vec("get|store|erase|list|https://h/a|--profile|[ -~]{0,9}", 0..4),
            input in proptest::collection::vec("[a-z]{1,9}=.{0,9}\n|protocol=https\n|host=h\n|\\{\"uri\":|.{0,20}", 0..6),
        ) {
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            let output = testing::Fake::token().run(tool, &args, input.concat().as_bytes());
            proptest::prop_assert!(output.say.as_ref().is_none_or(|line| !line.contains('\n')));
            proptest::prop_assert!(output.code != 0 || output.say.is_none());
        }

        #[test]
        fn no_bytes_are_too_odd(input in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            for (tool, ..) in TOOLS {
                testing::Fake::token().run(tool, &["get", "h"], &input);
            }
            answer_cargo(&input, &mut testing::Fake::token());
        }
    }

    #[test]
    fn an_error_is_one_line_whatever_is_in_it() {
        let error = Error::new(Code::NoGrant, "no\ngrant \u{1b}[2J").hint("hallpass grant add\n x");
        assert_eq!(one_line(&error), "hallpass: no grant \u{fffd}[2J; hallpass grant add x");
    }

    #[test]
    fn every_program_s_name_leads_to_its_tool() {
        for program in Tool::programs() {
            let tool = Tool::of_program(program).unwrap();
            assert!(program.starts_with(tool.word()), "{program}");
        }
        assert_eq!(Tool::of_program("keyring"), Some(Tool::Keyring));
        assert!(Tool::programs().all(|name| name != "keyring"), "another program has this name");
        assert_eq!(Tool::npm_program("npm-token-hallpass-h:4873+a").as_deref(), Some("h:4873/a"));
        assert_eq!((Tool::of_program("hallpass"), Tool::npm_program("npm-token-hallpass-")), (None, None));
        assert!(Tool::words().all(|word| Tool::of_word(word).is_some_and(|tool| tool.word() == word)));
    }
}
