//! `hallpass exec`: a command in a task of its own.

use std::{ffi::OsString, process::Command};

use super::{
    context::Context,
    env::{self, Session},
    output, task,
};
use crate::{
    api::{problem::Code, session::Env},
    client::Client,
    error::{Error, Result},
    exec,
    mcp::handed,
    principal::printable,
};

/// Run a command in a task of its own: tokens in its environment, dead when it ends.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    session: Session,
    /// Use what was handed over under this lease, in its task, instead of asking for something new
    #[arg(long, value_name = "LEASE", conflicts_with_all = ["task", "claim", "grants", "ttl", "no_project", "wait"])]
    lease: Option<String>,
    /// The command and its arguments, after --
    #[arg(required = true, last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

pub fn run(cx: &Context, args: Args) -> Result<u8> {
    let (program, rest) = args
        .command
        .split_first()
        .filter(|(program, _)| !program.is_empty())
        .ok_or_else(|| Error::new(Code::Usage, "which command?").hint("write it after --"))?;
    let name = program.to_string_lossy();
    let paths = cx.paths()?;
    let opened = match &args.lease {
        Some(lease) => handed::read(&paths, lease)?,
        None => args.session.open(cx, &mut Client::connect(&paths, true)?, Some(&name), true)?,
    };
    let title = args.session.title(Some(&name), None);

    let mut command = Command::new(program);
    command.args(rest);
    prepare(&mut command, &opened, &title, &args.session.keep);
    let ran = exec::run(&mut command, |left| {
        let names: Vec<String> = left.iter().map(|p| format!("{}[{}]", printable(&p.name), p.pid)).collect();
        let names = names.join(", ");
        output::note(&format!("hallpass: still running: {names}; the task ends with it, or with Ctrl-C now"));
    });
    // The daemon ends the task by itself when this process is gone: a failure here loses nothing.
    if args.lease.is_none()
        && let Ok(mut client) = Client::connect(&paths, false)
    {
        let _ = client.post::<_, serde_json::Value>(&task::path(&opened.task, "/end"), &());
    }
    ran.or_else(|error| {
        let (why, code) = match error.kind() {
            std::io::ErrorKind::NotFound => ("there is no such program", 127),
            std::io::ErrorKind::PermissionDenied => ("it may not be executed", 126),
            _ => ("it could not be started", 126),
        };
        let shown = Error::new(Code::Io, format!("{}: {why} ({error})", printable(&name)));
        output::error(&shown, cx.json);
        Ok(code)
    })
}

/// The command's environment: this one, without what may hold a real key, with the task's variables.
fn prepare(command: &mut Command, opened: &Env, title: &str, keep: &[String]) {
    for name in env::scrubbed(opened, keep).filter(|name| !name.is_empty() && !name.contains(['=', '\0'])) {
        command.env_remove(name);
    }
    let named = |name: &str| super::quote::is_variable(name);
    for variable in opened.set.iter().filter(|v| named(&v.name) && !v.value.expose().contains('\0')) {
        command.env(&variable.name, variable.value.expose());
    }
    command.envs(env::about(opened, title));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{SecretText, session::Variable};

    #[test]
    fn real_keys_go_and_tokens_come() {
        let opened = Env {
            task: "task_1".into(),
            principal: "human".into(),
            set: vec![Variable { name: "A_KEY".into(), value: SecretText::new("hp_x") }],
            scrub: vec!["A_KEY".into(), "B_KEY".into(), "KEPT".into(), "A=B".into(), String::new()],
            expires_at: String::new(),
            leases: vec![],
            unresolved: vec![],
        };
        let mut command = Command::new("true");
        prepare(&mut command, &opened, "t", &["KEPT".into()]);
        let mut changes: Vec<_> =
            command.get_envs().map(|(n, v)| (n.to_str().unwrap(), v.map(|v| v.to_str().unwrap()))).collect();
        changes.sort_unstable();
        assert_eq!(
            changes,
            [
                ("A_KEY", Some("hp_x")),
                ("B_KEY", None),
                ("HALLPASS_TASK", Some("task_1")),
                ("HALLPASS_TASK_TITLE", Some("t"))
            ]
        );
    }
}
