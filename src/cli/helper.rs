//! `hallpass helper`: what each tool gets, and the programs that tools call for it.
//!
//! The tools' own calls are a fast path: no config and no catalogue are read, and the daemon is asked once, or not at
//! all where nothing is needed of it. What is said to each tool is in [`crate::helper`].

use std::{
    ffi::OsString,
    io::{BufRead as _, Read as _},
    path::Path,
    time::Duration,
};

use clap::{Args, Subcommand};

use super::{context::Context, link, output, table::Rows, waiting, when};
use crate::{
    api::{
        Done, List, SecretText,
        helper::{Helper, HelperAnswer, HelperRequest, RemoveHelper},
        lease::{Revoke, Revoked},
        problem::Code,
    },
    client::Client,
    error::{Error, Result},
    helper::{self, CARGO_HELLO, Call, Daemon, MAX_INPUT, Tool},
    policy::RELEASE,
    scope::Wanted,
};

/// What Cargo calls a provider with.
const CARGO_PLUGIN: &str = "--cargo-plugin";
/// How long the daemon waits for a person where nothing is said; longer is the config's to say.
const USUAL_WAIT: u64 = 120;

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Say what a tool gets, and for what
    Add(Add),
    /// What each tool gets
    List,
    /// Take that back
    Remove {
        /// The tool, as it is listed
        tool: String,
        /// What it asks for, as it is listed
        url: String,
    },
    /// Make the programs that tools look for by name: links to this one
    Link {
        /// The folder; ~/.local/bin where that is on PATH
        folder: Option<std::path::PathBuf>,
    },
    /// Answer a tool in its own contract: TOOL [--want ISSUER:SCOPE --for URL] [--as NAME] [--wait TIME] WHAT THE TOOL ADDS
    #[command(external_subcommand)]
    Tool(Vec<OsString>),
}

#[derive(Debug, Args)]
pub struct Add {
    /// git, docker, aws, azure, gcp, kubectl, cargo, bazel, terraform, go, keyring, npm, headers, key, proxy, or * for any
    tool: String,
    /// What it asks for: https://github.com/acme/*, profile:NAME, audience:NAME, cluster:URL, resource:URL
    url: String,
    /// What it gets: ISSUER:SCOPES[@RESOURCES]; the scope release is the credential itself
    want: Wanted,
    /// The user name that goes with it; for aws the access key's id
    #[arg(long)]
    username: Option<String>,
}

/// The call in a command line that a tool makes: by the program's name, by `helper TOOL`, or as Cargo does.
pub fn quick(words: &[OsString]) -> Option<Verb> {
    let program = Path::new(words.first()?).file_name()?.to_str()?;
    let rest = words.get(1..).unwrap_or_default();
    let call = |tool: Tool, rest: &[OsString]| {
        Some(Verb::Tool(std::iter::once(tool.word().into()).chain(rest.iter().cloned()).collect()))
    };
    if let Some(tool) = Tool::of_program(program) {
        return call(tool, rest);
    }
    if let Some(registry) = Tool::npm_program(program) {
        return call(Tool::Npm, &[registry.into()]);
    }
    match rest {
        [only] if only == CARGO_PLUGIN => call(Tool::Cargo, rest),
        [verb, tool, rest @ ..] if verb == "helper" => call(Tool::of_word(tool.to_str()?)?, rest),
        _ => None,
    }
}

pub fn run(cx: &Context, verb: Verb) -> Result<u8> {
    match verb {
        Verb::Tool(words) => tool(&words),
        Verb::List => cx.get("/v1/helpers", render),
        Verb::Add(Add { tool, url, want, username }) => {
            let body = Helper { tool, url, want, username };
            cx.post("/v1/helpers", &body, |helper: &Helper| {
                let (tool, url) = (output::safe(&helper.tool), output::safe(&helper.url));
                let what = if helper.want.scopes.iter().any(|scope| scope.to_string() == RELEASE) {
                    format!("the credential {} itself, which does not expire,", output::safe(&helper.want.issuer))
                } else {
                    format!("a token for {}", helper.want)
                };
                format!(
                    "{tool} gets {what} for {url} once a grant allows it: hallpass grant add human '{}'",
                    helper.want
                )
            })
        }
        Verb::Remove { tool, url } => {
            let said = format!("{tool} gets nothing for {url} any more");
            cx.post("/v1/helpers/remove", &RemoveHelper { tool, url }, |_: &Done| output::safe(&said))
        }
        Verb::Link { folder } => link::run(cx, folder),
    }
}

fn render(list: &List<Helper>) -> String {
    let mut rows = Rows::new(&["tool", "for", "gets", "user name"]);
    for helper in &list.items {
        let name = helper.username.as_deref().unwrap_or_default();
        rows.row(&[&helper.tool, &helper.url, &helper.want.to_string(), name]);
    }
    rows.render("no tool gets anything; `hallpass helper add TOOL URL ISSUER:SCOPE` changes that")
}

/// Answers a tool.
fn tool(words: &[OsString]) -> Result<u8> {
    let mut words = words.iter().map(|word| word.to_str().map(str::to_owned));
    let name = words.next().flatten().unwrap_or_default();
    let tool = Tool::of_word(&name).ok_or_else(|| {
        let known: Vec<&str> = Tool::words().collect();
        Error::new(Code::Usage, "this tool has no helper")
            .hint(format!("add, list, remove, link, or one of the tools: {}", known.join(", ")))
    })?;
    let words: Option<Vec<String>> = words.collect();
    let Some(words) = words else { return Err(Error::new(Code::Usage, "an argument is not UTF-8 text")) };
    let (options, args) = Options::split(&words);
    if let [only] = args.as_slice()
        && ["--help", "-h"].contains(&only.as_str())
    {
        output::text(&format!(
            "{} calls this for a credential; `hallpass helper --help` says what else there is",
            tool.word()
        ))?;
        return Ok(0);
    }
    if tool == Tool::Cargo && args.iter().any(|arg| arg == CARGO_PLUGIN) {
        return cargo(&options);
    }
    let input = if tool.reads(&args) { read_input()? } else { zeroize::Zeroizing::default() };
    let env = |name: &str| std::env::var(name).ok();
    let mut daemon = Live { tool, options, client: None };
    let said = helper::answer(tool, &Call { args: &args, input: &input, env: &env }, &mut daemon);
    output::raw(said.out.as_bytes())?;
    if let Some(line) = &said.say {
        output::note(line);
    }
    Ok(said.code)
}

/// Cargo's conversation: we speak first, then each line has one answer, until Cargo has heard enough.
fn cargo(options: &Options) -> Result<u8> {
    output::line(CARGO_HELLO)?;
    let mut input = std::io::stdin().lock();
    loop {
        let mut line = zeroize::Zeroizing::new(Vec::new());
        let limit = u64::try_from(MAX_INPUT).unwrap_or(u64::MAX).saturating_add(1);
        let read = input.by_ref().take(limit).read_until(b'\n', &mut line);
        if read.map_err(unreadable)? == 0 {
            return Ok(0);
        }
        let whole = line.last() == Some(&b'\n') || line.len() <= MAX_INPUT;
        let mut daemon = Live { tool: Tool::Cargo, options: options.clone(), client: None };
        let (answer, say) = helper::answer_cargo(&line, &mut daemon);
        output::line(&answer)?;
        if let Some(line) = say {
            output::note(&line);
        }
        // The rest of a line that is too long is no request of its own.
        if !whole || output::is_closed() {
            return Ok(1);
        }
    }
}

/// All of standard input, and one byte more than is allowed where it is too much. One that is closed is empty.
fn read_input() -> Result<zeroize::Zeroizing<Vec<u8>>> {
    let mut bytes = zeroize::Zeroizing::new(Vec::new());
    let limit = u64::try_from(MAX_INPUT).unwrap_or(u64::MAX).saturating_add(1);
    std::io::stdin().lock().take(limit).read_to_end(&mut bytes).map_err(unreadable)?;
    Ok(bytes)
}

fn unreadable(e: std::io::Error) -> Error {
    Error::new(Code::Io, format!("standard input cannot be read: {e}"))
}

/// Our own options, which come before what the tool adds.
#[derive(Clone, Debug, Default)]
struct Options {
    want: Option<Wanted>,
    place: Option<String>,
    claim: Option<String>,
    wait: Option<u64>,
    /// What is wrong with them: the tool is told as it is told all else, when something is asked.
    wrong: Option<Error>,
}

impl Options {
    /// Our options, and the rest.
    fn split(words: &[String]) -> (Self, Vec<String>) {
        let mut options = Self::default();
        let mut rest = words;
        while let [option, after @ ..] = rest {
            let (name, inline) = option.split_once('=').map_or((option.as_str(), None), |(n, v)| (n, Some(v)));
            if !["--want", "--for", "--as", "--wait"].contains(&name) {
                break;
            }
            let (value, after) = match (inline, after) {
                (Some(value), _) => (value, after),
                (None, [value, after @ ..]) => (value.as_str(), after),
                (None, []) => ("", after),
            };
            if let Err(why) = options.set(name, value) {
                let hint = format!("look at {name} where the tool is told to run this");
                options.wrong = Some(Error::new(Code::InvalidValue, why).hint(hint));
            }
            rest = after;
        }
        (options, rest.to_vec())
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        match name {
            "--want" => self.want = Some(value.parse().map_err(|e: crate::scope::ScopeError| e.to_string())?),
            "--for" => self.place = Some(value.to_owned()),
            "--as" => self.claim = Some(value.to_owned()),
            _ => self.wait = Some(when::seconds(value)?),
        }
        Ok(())
    }

    /// These, and the others where these say nothing.
    fn or(self, other: Self) -> Self {
        Self {
            want: self.want.or(other.want),
            place: self.place.or(other.place),
            claim: self.claim.or(other.claim),
            wait: self.wait.or(other.wait),
            wrong: self.wrong.or(other.wrong),
        }
    }
}

/// The daemon, connected to when something is asked of it.
struct Live {
    tool: Tool,
    options: Options,
    client: Option<Client>,
}

impl Live {
    /// What adopt writes for tools that run any command, `keyring --want NAME:SCOPE get NAME NAME`: no host of anybody's, and
    /// nothing but what the want says by itself.
    fn by_itself(&self, request: &HelperRequest) -> Option<String> {
        let name = &self.options.want.as_ref()?.issuer;
        let named = request.username.as_ref() == Some(name) && request.url == format!("https://{name}");
        (self.tool == Tool::Keyring && named).then(|| request.url.clone())
    }

    fn client(&mut self) -> Result<&mut Client> {
        if let Some(error) = &self.options.wrong {
            return Err(error.clone());
        }
        let client = match self.client.take() {
            Some(client) => client,
            None => Context::default().client()?,
        };
        Ok(self.client.insert(client))
    }
}

impl Daemon for Live {
    fn ask(&mut self, mut request: HelperRequest) -> Result<HelperAnswer> {
        request.want = self.options.want.clone();
        request.place = self.options.place.clone().or_else(|| self.by_itself(&request));
        request.claim = self.options.claim.clone();
        request.wait_seconds = self.options.wait.or(self.tool.waits());
        let extra = Duration::from_secs(request.wait_seconds.unwrap_or(USUAL_WAIT));
        // What reads standard error as part of the answer gets nothing there.
        let waits = waiting::note(self.tool == Tool::Gcp);
        self.client()?.post_waiting("/v1/helper", &request, extra, waits)
    }

    fn end(&mut self, token: SecretText) -> Result<()> {
        let _: Revoked = self.client()?.post("/v1/revoke", &Revoke { token })?;
        Ok(())
    }

    fn options(&mut self, args: &[String]) {
        // A config that names `hallpass helper cargo` as a program with arguments sends those too.
        let own = args.iter().position(|arg| arg.starts_with("--")).unwrap_or(args.len());
        let (more, _) = Options::split(args.get(own..).unwrap_or_default());
        self.options = std::mem::take(&mut self.options).or(more);
    }

    fn entries(&mut self) -> Result<Vec<Helper>> {
        let list: List<Helper> = self.client()?.get("/v1/helpers")?;
        Ok(list.items)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').map(Into::into).collect()
    }

    #[test]
    fn a_tool_s_call_is_told_from_a_person_s() {
        let call = |line: &str| match quick(&words(line)) {
            Some(Verb::Tool(words)) => words.join(&OsString::from(" ")).into_string().ok(),
            _ => None,
        };
        for (line, said) in [
            ("/usr/bin/git-credential-hallpass get", "git get"),
            ("docker-credential-hallpass --want a:b list", "docker --want a:b list"),
            ("/x/cargo-credential-hallpass --cargo-plugin", "cargo --cargo-plugin"),
            ("hallpass --cargo-plugin", "cargo --cargo-plugin"),
            ("/x/keyring get h u", "keyring get h u"),
            ("/x/npm-token-hallpass-h.example+a", "npm h.example/a"),
            ("/x/bazel-credential-hallpass get", "bazel get"),
            ("hallpass helper terraform get h", "terraform get h"),
        ] {
            assert_eq!(call(line).as_deref(), Some(said), "{line}");
        }
        for line in
            ["hallpass", "hallpass helper", "hallpass helper list", "hallpass mint a:b", "x/git-credential-hall"]
        {
            assert_eq!(call(line), None, "{line}");
        }
    }

    #[test]
    fn our_options_come_first_and_the_rest_is_the_tool_s() {
        let split = |line: &str| Options::split(&line.split(' ').map(str::to_owned).collect::<Vec<_>>());
        let (options, rest) = split("--want a:b@c --as=bot --wait 1m get --want x");
        assert_eq!((options.want.unwrap().to_string().as_str(), options.claim.as_deref()), ("a:b@c", Some("bot")));
        assert_eq!((options.wait, rest.join(" ").as_str()), (Some(60), "get --want x"));
        for wrong in ["--want", "--want nonsense get", "--wait soon get"] {
            let (options, rest) = split(wrong);
            assert!(options.wrong.is_some() && rest.iter().all(|word| word == "get"), "{wrong}");
        }
    }
}
