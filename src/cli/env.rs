//! `hallpass env`: a task's variables for a shell, and the way back.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    context::Context,
    output,
    quote::{Syntax, is_variable},
    references::References,
    task, trust, waiting, when,
};
use crate::{
    api::{
        problem::Code,
        session::{Env, OpenEnv, Unresolved},
    },
    client::Client,
    error::{Error, Result},
    scope::Wanted,
};

/// What `exec` and `env` both take.
#[derive(Debug, clap::Args)]
pub struct Session {
    /// The task, by title, or by the id of an open one
    #[arg(long)]
    pub task: Option<String>,
    /// Who works on it, where neither a task nor an assistant says so
    #[arg(long = "as", value_name = "PRINCIPAL")]
    pub claim: Option<String>,
    /// What is needed, such as github:issues:read@acme/web; may be given again. Without any, what the
    /// project's .hallpass.toml names
    #[arg(long = "grant", value_name = "ISSUER:SCOPE@RESOURCE")]
    pub grants: Vec<Wanted>,
    /// A helper that is asked over HTTP, such as aws:work or azure:https://management.azure.com/; may be given again
    #[arg(long = "helper", value_name = "TOOL:NAME")]
    pub helpers: Vec<String>,
    /// How long the tokens live at the most, such as 1h
    #[arg(long, value_parser = when::seconds)]
    pub ttl: Option<u64>,
    /// Leave this variable as it is, even though it may hold a real key; may be given again
    #[arg(long, value_name = "VAR")]
    pub keep: Vec<String>,
    /// Take no notice of a .hallpass.toml and of .env files
    #[arg(long)]
    pub no_project: bool,
    /// How long to wait for a human's approval, such as 2m
    #[arg(long, value_parser = when::seconds)]
    pub wait: Option<u64>,
}

/// Print a task's variables for a shell: eval "$(hallpass env --grant openai:chat)".
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    session: Session,
    /// For which shell; the one that $SHELL names where nothing is said
    #[arg(long)]
    shell: Option<Syntax>,
    /// End this task and print what removes its variables
    #[arg(long, value_name = "TASK")]
    leave: Option<String>,
    /// For the hooks in shell/: save the old values first
    #[arg(long, hide = true)]
    hook: bool,
}

/// A variable of ours that the hooks and the prompt read.
pub const TASK: &str = "HALLPASS_TASK";
const TITLE: &str = "HALLPASS_TASK_TITLE";
const EXPIRES: &str = "HALLPASS_EXPIRES";
const UNTIL: &str = "HALLPASS_UNTIL";
const NAMES: &str = "HALLPASS_VARS";

impl Session {
    /// Opens a task with what it needs; `program` is what will run in it.
    ///
    /// # Errors
    /// What the daemon says; no project file and nothing named.
    pub fn open(&self, cx: &Context, client: &mut Client, program: Option<&str>, bind: bool) -> Result<Env> {
        let project = self.project()?;
        let references = self.references();
        let body = OpenEnv {
            task: self.task.clone().or_else(|| program.is_none().then(|| own_title(project.as_deref()))),
            want: self.grants.clone(),
            helpers: self.helpers.clone(),
            claim: self.claim.clone(),
            program: program.map(ToOwned::to_owned),
            project: project.as_deref().map(trust::text).transpose()?,
            ttl_seconds: self.ttl,
            bind,
            wait_seconds: self.wait,
            references: references.wire(),
            reason: None,
        };
        let wait = Duration::from_secs(self.wait.unwrap_or(120));
        let mut opened: Env = client.post_waiting("/v1/env", &body, wait, waiting::note(cx.json))?;
        references.put_back(&mut opened);
        say_unresolved(&opened.unresolved);
        Ok(opened)
    }

    /// What the prompt calls the task: what was said, else the program, else the project's folder.
    pub fn title(&self, program: Option<&str>, project: Option<&Path>) -> String {
        let file = |path: &str| path.rsplit('/').next().unwrap_or(path).to_owned();
        self.task.clone().or_else(|| program.map(file)).unwrap_or_else(|| folder_name(project))
    }

    /// What the folder's `.env` files and the environment refer to.
    fn references(&self) -> References {
        match std::env::current_dir() {
            Ok(folder) if !self.no_project => References::find(&folder),
            _ => References::default(),
        }
    }

    /// The project whose file says what is needed, where nothing else does.
    pub fn project(&self) -> Result<Option<PathBuf>> {
        if self.no_project || !self.grants.is_empty() { Ok(None) } else { trust::find_here() }
    }
}

/// What got no value, and the one command that grants all of it.
fn say_unresolved(unresolved: &[Unresolved]) {
    const GRANT: &str = "hallpass grant add ";
    let granted =
        |left: &Unresolved| left.hint.as_deref().and_then(|hint| hint.strip_prefix(GRANT)?.split_once(' ')).is_some();
    let mut wants: Vec<(&str, &str)> = Vec::new();
    let hints = unresolved.iter().filter_map(|left| left.hint.as_deref()?.strip_prefix(GRANT)?.split_once(' '));
    hints.for_each(|hint| {
        if !wants.contains(&hint) {
            wants.push(hint)
        }
    });
    for left in unresolved {
        let alone = wants.len() < 2 || !granted(left);
        let hint =
            left.hint.as_deref().filter(|_| alone).map(|hint| format!("; {}", output::safe(hint))).unwrap_or_default();
        let (variable, reason) = (output::safe(&left.variable), output::safe(&left.reason));
        output::note(&format!("hallpass: {variable} gets no value: {reason}{hint}"));
    }
    if let (true, Some((principal, _))) = (wants.len() > 1, wants.first()) {
        let all: Vec<String> = wants.iter().map(|(_, want)| output::safe(want)).collect();
        output::note(&format!("hallpass: {GRANT}{} {}", output::safe(principal), all.join(" ")));
    }
}

fn folder_name(project: Option<&Path>) -> String {
    project.and_then(Path::file_name).map_or_else(|| "shell".into(), |name| name.to_string_lossy().into_owned())
}

/// A title that no other shell has: a shared task would end for both when one of them leaves.
fn own_title(project: Option<&Path>) -> String {
    format!("{} (shell {})", folder_name(project), std::os::unix::process::parent_id())
}

pub fn run(cx: &Context, args: Args) -> Result<u8> {
    let shell = std::env::var("SHELL").unwrap_or_default();
    let syntax = if cx.json { Syntax::Json } else { args.shell.unwrap_or_else(|| Syntax::from_shell(&shell)) };
    if let Some(id) = &args.leave {
        return leave(cx, syntax, id);
    }
    let project = args.session.project()?;
    let named = !args.session.grants.is_empty() || !args.session.helpers.is_empty();
    if !named && project.is_none() && args.session.references().is_empty() {
        // The hook asked because of a reference that somebody has removed since: there is nothing to say.
        if args.hook {
            return Ok(1);
        }
        return Err(Error::new(Code::Usage, "nothing says what is needed").hint(
            "name it with --grant ISSUER:SCOPE@RESOURCE, in the project's .hallpass.toml, or as hallpass:NAME in .env",
        ));
    }
    let env = match args.session.open(cx, &mut cx.client()?, None, false) {
        // The hook says it once, in one line, and goes on.
        Err(error) if args.hook => {
            let hint = error.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
            output::note(&output::safe(&format!("hallpass: {}{hint}", error.detail)));
            return Ok(error.exit_code());
        }
        other => other?,
    };
    let title = args.session.title(None, project.as_deref());
    if syntax == Syntax::Json {
        return output::json(&env).map(|()| 0);
    }
    let script = zeroize::Zeroizing::new(script(&env, &title, &args.session.keep, syntax, args.hook));
    output::line(&script)?;
    Ok(0)
}

fn leave(cx: &Context, syntax: Syntax, id: &str) -> Result<u8> {
    let names = std::env::var(NAMES).unwrap_or_default();
    // The variables go even when the daemon does not answer; the task ends with its time then.
    if syntax != Syntax::Json {
        let names = names.split(' ').filter(|name| is_variable(name)).chain([TASK, TITLE, EXPIRES, UNTIL, NAMES]);
        output::line(&names.map(|name| syntax.unset(name)).collect::<Vec<_>>().join("\n"))?;
    }
    let ended: crate::api::task::Task = cx.client()?.post(&task::path(id, "/end"), &())?;
    if syntax == Syntax::Json {
        output::json(&ended)?;
    }
    Ok(0)
}

/// The variables to remove: those that may hold a real key, without the kept and the set ones.
pub fn scrubbed<'a>(env: &'a Env, keep: &'a [String]) -> impl Iterator<Item = &'a str> {
    let set = |name: &str| env.set.iter().any(|variable| variable.name == name);
    env.scrub.iter().map(String::as_str).filter(move |name| !keep.iter().any(|kept| kept == name) && !set(name))
}

/// What says to the command and to the prompt in which task they are.
pub fn about(env: &Env, title: &str) -> Vec<(&'static str, String)> {
    let mut about = vec![(TASK, env.task.clone()), (TITLE, crate::principal::printable(title))];
    if let Ok(at) = env.expires_at.parse::<jiff::Timestamp>() {
        about.push((EXPIRES, at.as_second().to_string()));
        about.push((UNTIL, at.to_zoned_datetime(jiff::tz::TimeZone::system()).strftime("%H:%M").to_string()));
    }
    about
}

fn script(env: &Env, title: &str, keep: &[String], syntax: Syntax, hook: bool) -> String {
    let set: Vec<_> = env.set.iter().filter(|v| is_variable(&v.name)).collect();
    let gone: Vec<&str> = scrubbed(env, keep).filter(|name| is_variable(name)).collect();
    let names = set.iter().map(|v| v.name.as_str()).chain(gone.iter().copied()).collect::<Vec<_>>().join(" ");
    let mut lines = Vec::new();
    if hook {
        lines.push(format!("_hallpass_save {names}"));
    }
    lines.extend(gone.iter().map(|name| syntax.unset(name)));
    lines.extend(set.iter().map(|v| syntax.export(&v.name, v.value.expose())));
    lines.extend(about(env, title).iter().map(|(name, value)| syntax.export(name, value)));
    lines.push(syntax.export(NAMES, &names));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{SecretText, session::Variable};

    fn env() -> Env {
        let variable = |name: &str, value: &str| Variable { name: name.into(), value: SecretText::new(value) };
        Env {
            task: "task_1".into(),
            principal: "human".into(),
            set: vec![variable("A_KEY", "it's"), variable("bad name;", "x")],
            scrub: vec!["A_KEY".into(), "B_KEY".into(), "C_KEY".into(), "$(id)".into()],
            expires_at: "2026-01-02T03:04:05Z".into(),
            leases: vec![],
            unresolved: vec![],
        }
    }

    #[test]
    fn exports_and_unsets() {
        let text = script(&env(), "a \u{1b}b", &["C_KEY".into()], Syntax::Bash, true);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "_hallpass_save A_KEY B_KEY");
        assert_eq!(lines[1], "unset B_KEY");
        assert_eq!(lines[2], r"export A_KEY='it'\''s'");
        assert!(lines.contains(&"export HALLPASS_TASK='task_1'"));
        assert!(lines.contains(&"export HALLPASS_EXPIRES='1767323045'"));
        assert!(lines.contains(&"export HALLPASS_VARS='A_KEY B_KEY'"));
        assert!(!text.contains("id)") && !text.contains("bad name") && !text.contains('\u{1b}'));
    }
}
