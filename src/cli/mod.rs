//! The command line: one file per verb.
//!
//! Owns the arguments and what is shown. Must never decide what is allowed: the daemon does. Only
//! [`output`] prints.

mod adopt;
mod approve;
mod audit;
mod completions;
mod context;
mod credential;
mod daemon;
mod demo;
mod doctor;
mod env;
mod exec;
mod grant;
mod helper;
mod input;
mod issuer;
mod lease;
mod link;
mod lock;
mod login;
mod man;
mod mcp;
mod mint;
pub mod output;
mod principal;
mod quarantine;
mod quote;
mod references;
mod render;
mod revoke_upstream;
mod route;
mod scan;
mod service;
mod setup;
mod shell_init;
mod status;
mod table;
mod task;
mod trust;
mod waiting;
mod wanted;
mod watch;
mod when;

use clap::{Parser, Subcommand};

use crate::{
    api::problem::Code,
    error::{Error, Result},
};
pub use context::Context;

/// A credential agent: short-lived, scoped tokens instead of pasted API keys.
///
/// Exit codes: 0 ok, 1 user error, 2 usage, 3 daemon unavailable, 4 denied, 5 `scan` found something, 70 internal; `exec`
/// exits with its command's code.
#[derive(Debug, Parser)]
#[command(name = "hallpass", version, propagate_version = true, max_term_width = 100)]
pub struct Cli {
    /// Print JSON: answers on standard output, errors as problem documents on standard error
    #[arg(long, global = true)]
    pub json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Get a token that does one job, for minutes
    Mint(mint::Args),
    /// Run a command in a task of its own: tokens in its environment, dead when it ends
    Exec(exec::Args),
    /// Print a task's variables for a shell
    Env(env::Args),
    /// How the daemon is, on one screen
    Status,
    /// Find what is wrong, with the command that mends it
    Doctor(doctor::Args),
    /// Choose the store, install the service, mint a first token
    Setup(setup::Args),
    /// Show, in a throw-away home, what hallpass does; fails if any of it is not so
    Demo(demo::Args),
    /// Find the secrets that lie in files
    Scan(scan::Arguments),
    /// Take secrets out of files and leave references that work; put them back
    Quarantine(quarantine::Arguments),
    /// Have assistants and tools ask hallpass instead of holding a key; --undo puts everything back
    Adopt(adopt::Args),
    /// Watch folders, so that a key pasted tomorrow is out of its file moments later
    #[command(subcommand)]
    Watch(watch::Verb),
    /// Secrets that the watcher saw and that are still in their files
    Findings,
    /// The long-lived secrets that hallpass keeps
    #[command(subcommand)]
    Credential(credential::Verb),
    /// Revoke a credential at its issuer, for good; asks first
    RevokeUpstream(revoke_upstream::Args),
    /// Forget every credential held in memory and lock the store
    Lock,
    /// Unlock the store
    Unlock(lock::Unlock),
    /// Who may ask
    #[command(subcommand)]
    Principal(principal::Verb),
    /// Who may do what, for how long
    #[command(subcommand)]
    Grant(grant::Verb),
    /// What developer tools get when they ask for a credential, and the programs that they ask
    #[command(subcommand)]
    Helper(helper::Verb),
    /// Files that are kept filled with a token, for tools that read one
    #[command(subcommand)]
    Render(render::Verb),
    /// How credentials become tokens
    #[command(subcommand)]
    Issuer(issuer::Verb),
    /// Remote MCP servers without a key in the client's config, and a server for agents to ask through
    #[command(subcommand)]
    Mcp(mcp::Verb),
    /// The gateway's upstreams
    #[command(subcommand)]
    Route(route::Verb),
    /// Named pieces of work that tokens belong to
    #[command(subcommand)]
    Task(task::Verb),
    /// The record of issued tokens
    #[command(subcommand)]
    Lease(lease::Verb),
    /// List the requests that wait for a human
    Approvals,
    /// Approve a request that waits
    Approve(approve::Id),
    /// Deny a request that waits
    Deny(approve::Id),
    /// Accept this project's .hallpass.toml as it is now
    Trust(trust::Args),
    /// What happened: who, what, when, and whether it was allowed
    #[command(subcommand)]
    Audit(audit::Verb),
    /// Run the daemon in the foreground
    Daemon(daemon::Args),
    /// The daemon as a service of your session
    #[command(subcommand)]
    Service(service::Verb),
    /// Print the hook for a shell
    ShellInit(shell_init::Args),
    /// Print completions for a shell
    Completions(completions::Args),
    /// Write the man pages into a folder
    #[command(hide = true)]
    Man(man::Args),
    /// What the demo runs as its client
    #[command(hide = true)]
    DemoClient,
    /// What the demo sets itself up with
    #[command(hide = true)]
    DemoHuman {
        /// Wait until this process is gone
        #[arg(long)]
        orphan_of: Option<u32>,
    },
}

/// Reads the command line.
///
/// A tool's call of its helper, and `mint` in its plain form, are read by hand: making the parser of all verbs takes longer than the rest of a warm
/// `mint`. What is not plain (help, mistakes) goes to the whole one, so only that ever speaks to the user.
///
/// # Errors
/// clap's: what is wrong with it, or the help that it asks for.
pub fn parse() -> std::result::Result<Cli, clap::Error> {
    let words: Vec<std::ffi::OsString> = std::env::args_os().collect();
    match quick(&words) {
        Some(cli) => Ok(cli),
        None => Cli::try_parse_from(words),
    }
}

fn quick(words: &[std::ffi::OsString]) -> Option<Cli> {
    if let Some(verb) = helper::quick(words) {
        return Some(Cli { json: false, command: Command::Helper(verb) });
    }
    let words = words.get(1..).filter(|words| words.first().is_some_and(|word| word == "mint"))?;
    let (json, args) = mint::quick(words.get(1..)?)?;
    Some(Cli { json, command: Command::Mint(args) })
}

/// Does what the command line says; the exit code.
///
/// # Errors
/// What went wrong, with the next step.
pub fn run(cli: Cli) -> Result<u8> {
    let cx = Context { json: cli.json };
    match cli.command {
        Command::Mint(args) => mint::run(&cx, args),
        Command::Exec(args) => exec::run(&cx, args),
        Command::Env(args) => env::run(&cx, args),
        Command::Status => status::run(&cx),
        Command::Doctor(args) => doctor::run(&cx, &args),
        Command::Setup(args) => setup::run(&cx, args),
        Command::Demo(args) => demo::run(&cx, &args),
        Command::Scan(args) => scan::run(&cx, args),
        Command::Quarantine(args) => quarantine::run(&cx, args),
        Command::Adopt(args) => adopt::run(&cx, args),
        Command::Watch(verb) => watch::run(&cx, verb),
        Command::Findings => watch::findings(&cx),
        Command::Credential(verb) => credential::run(&cx, verb),
        Command::RevokeUpstream(args) => revoke_upstream::run(&cx, args),
        Command::Lock => lock::lock(&cx),
        Command::Unlock(args) => lock::unlock(&cx, &args),
        Command::Principal(verb) => principal::run(&cx, verb),
        Command::Grant(verb) => grant::run(&cx, verb),
        Command::Helper(verb) => helper::run(&cx, verb),
        Command::Render(verb) => render::run(&cx, verb),
        Command::Issuer(verb) => issuer::run(&cx, verb),
        Command::Mcp(verb) => mcp::run(&cx, verb),
        Command::Route(verb) => route::run(&cx, verb),
        Command::Task(verb) => task::run(&cx, verb),
        Command::Lease(verb) => lease::run(&cx, verb),
        Command::Approvals => approve::list(&cx),
        Command::Approve(id) => approve::decide(&cx, &id, "approve"),
        Command::Deny(id) => approve::decide(&cx, &id, "deny"),
        Command::Trust(args) => trust::run(&cx, &args),
        Command::Audit(verb) => audit::run(&cx, verb),
        Command::Daemon(args) => daemon::run(&cx, args),
        Command::Service(verb) => service::run(&cx, &verb),
        Command::ShellInit(args) => shell_init::run(&args),
        Command::Completions(args) => completions::run(&args),
        Command::Man(args) => man::run(&args),
        Command::DemoClient => demo::client(),
        Command::DemoHuman { orphan_of } => demo::human(orphan_of),
    }
}

/// Says what is wrong with a command line, or shows the help it asks for; the exit code.
pub fn usage(error: &clap::Error) -> u8 {
    // What follows `--` is another command's.
    let json = std::env::args_os().take_while(|word| word != "--").any(|word| word == "--json");
    if json && error.use_stderr() {
        let said = usage_error(&error.render().to_string());
        output::error(&said, true);
        return said.exit_code();
    }
    let _ = error.print();
    u8::from(error.use_stderr()) * 2
}

/// What clap says to a person, as an error: the first paragraph is what is wrong, the rest is what to do.
fn usage_error(text: &str) -> Error {
    let (wrong, rest) = text.trim().split_once("\n\n").unwrap_or((text.trim(), ""));
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let hint = match words(rest) {
        rest if rest.is_empty() => "`hallpass --help` lists the commands".into(),
        rest => rest,
    };
    Error::new(Code::Usage, words(wrong.trim_start_matches("error: "))).hint(hint)
}

/// The whole command, for completions and man pages.
fn command() -> clap::Command {
    <Cli as clap::CommandFactory>::command()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn a_mistake_on_the_command_line_is_one_sentence_and_a_hint() {
        let said = |line: &str| usage_error(&Cli::try_parse_from(line.split(' ')).unwrap_err().to_string());
        let error = said("hallpass grant add bot --nonsense");
        assert_eq!((error.exit_code(), error.detail.as_str()), (2, "unexpected argument '--nonsense' found"));
        assert!(error.hint.unwrap().contains("Usage: hallpass grant add"));
        let error = said("hallpass mint");
        assert!(error.detail.contains("required arguments") && !error.detail.contains('\n'), "{}", error.detail);
    }

    #[test]
    fn the_quick_way_reads_mint_as_the_whole_parser_does() {
        for line in [
            "hallpass mint openai:chat --as bot",
            "hallpass mint --json github --scope issues:read,pulls:read --resource acme/web --ttl 15m --task triage",
            "hallpass mint openai:chat --parent-fd 3 --uses 1 --rate 60/min --json",
        ] {
            let words: Vec<std::ffi::OsString> = line.split(' ').map(Into::into).collect();
            let whole = Cli::try_parse_from(&words).unwrap();
            assert_eq!(format!("{:?}", quick(&words).unwrap()), format!("{whole:?}"));
        }
        for line in
            ["hallpass", "hallpass mint", "hallpass mint --help", "hallpass mint x:y --nonsense", "hallpass status"]
        {
            let words: Vec<std::ffi::OsString> = line.split(' ').map(Into::into).collect();
            assert!(quick(&words).is_none(), "{line}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_the_quick_way_takes_the_whole_parser_takes_too(words in proptest::collection::vec(
            proptest::sample::select(vec![
                "--json", "--scope", "--resource", "--ttl", "--task", "--as", "--uses", "--rate", "--parent",
                "--parent-fd", "--wait", "--", "-h", "openai:chat", "github", "a:b@c", "chat,read", "chat,", "x/y,z",
                "15m", "0", "-1", "7", "+3", "60/min", "", " ", "--task=x", "-", "é", "A",
            ]), 0..7))
        {
            let words: Vec<std::ffi::OsString> =
                ["hallpass", "mint"].into_iter().chain(words).map(Into::into).collect();
            if let Some(cli) = quick(&words) {
                let whole = Cli::try_parse_from(&words).unwrap();
                proptest::prop_assert_eq!(format!("{cli:?}"), format!("{whole:?}"));
            }
        }
    }

    #[test]
    fn the_designs_own_examples_parse() {
        for line in [
            "hallpass mint github --scope issues:read --resource acme/web --ttl 15m --task triage",
            "hallpass exec --grant github:issues:read@acme/web --grant openai:chat -- npx some-agent --json",
            "hallpass credential add openai --fd 3",
            "hallpass --json grant explain human openai:chat",
            "hallpass grant add bot openai:chat --body model=one-of:a,b --body max_tokens=max:1000 --rate 60/min",
            "hallpass lease revoke --token",
            "hallpass env --leave task_1",
        ] {
            Cli::try_parse_from(line.split(' ')).unwrap_or_else(|e| panic!("{line}: {e}"));
        }
        for line in ["hallpass", "hallpass credential add openai value", "hallpass mint", "hallpass exec --"] {
            assert!(Cli::try_parse_from(line.split(' ')).is_err(), "{line}");
        }
    }
}
