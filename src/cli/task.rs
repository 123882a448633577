//! `hallpass task`: named pieces of work.

use clap::{Args, Subcommand};

use super::{
    context::Context,
    output::{self, safe},
    table::{Rows, facts},
    when,
};
use crate::{
    api::{
        List,
        problem::Code,
        task::{StartTask, Task},
    },
    client::{Client, segment},
    error::{Error, Result},
    scope::Wanted,
};

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Start a task and print its id
    Start(Start),
    /// Open tasks
    List {
        /// Ended ones too
        #[arg(long)]
        all: bool,
    },
    /// One task
    Show {
        /// Its id, or the title of an open one
        task: String,
    },
    /// End a task; its tokens end now
    End {
        /// Its id, or the title of an open one
        task: String,
    },
}

#[derive(Debug, Args)]
pub struct Start {
    /// What to call it
    title: String,
    /// Who works on it; you, where nothing is said
    #[arg(long = "as", value_name = "PRINCIPAL")]
    claim: Option<String>,
    /// What tokens in it may do at the most; may be given again
    #[arg(long, value_name = "ISSUER:SCOPE@RESOURCE")]
    limit: Vec<Wanted>,
    /// When it ends by itself, such as 2h
    #[arg(long, value_parser = when::seconds)]
    ttl: Option<u64>,
}

pub fn run(cx: &Context, verb: Verb) -> Result<u8> {
    match verb {
        Verb::Start(args) => {
            let body = StartTask {
                title: args.title,
                claim: args.claim,
                limit: (!args.limit.is_empty()).then_some(args.limit),
                ttl_seconds: args.ttl,
                bind: false,
            };
            cx.post("/v1/tasks", &body, |t: &Task| safe(&t.id))
        }
        Verb::List { all } => {
            cx.list("/v1/tasks", |task| all || task["ended_at"].is_null(), |list| render_list(list, when::now()))
        }
        Verb::Show { task } => cx.get(&path(&named(cx, task)?, ""), |t| render(t, when::now())),
        Verb::End { task } => cx.post(&path(&named(cx, task)?, "/end"), &(), |t: &Task| {
            safe(&format!("task {:?} has ended, and its tokens with it", t.title))
        }),
    }
}

/// The id of the task that `text` names: an id as it is, else that of the open task with this title.
fn named(cx: &Context, text: String) -> Result<String> {
    if is_id(&text) {
        return Ok(text);
    }
    open_by_title(&mut cx.client()?, &text)?.ok_or_else(|| {
        Error::new(Code::NotFound, format!("there is no open task {:?}", safe(&text))).hint("hallpass task list")
    })
}

fn open_by_title(client: &mut Client, title: &str) -> Result<Option<String>> {
    let tasks: List<Task> = client.get("/v1/tasks")?;
    Ok(tasks.items.into_iter().find(|t| t.ended_at.is_none() && t.title == title).map(|t| t.id))
}

/// The id of the task that `text` names: an id as it is, else the open task with this title, else a
/// task that is started now.
pub fn find_or_start(client: &mut Client, text: &str, claim: Option<&str>, ttl: Option<u64>) -> Result<String> {
    if is_id(text) {
        return Ok(text.to_owned());
    }
    if let Some(open) = open_by_title(client, text)? {
        return Ok(open);
    }
    let body = StartTask {
        title: text.to_owned(),
        claim: claim.map(ToOwned::to_owned),
        limit: None,
        ttl_seconds: ttl.map(|seconds| seconds.max(3600)),
        bind: false,
    };
    let task: Task = client.post("/v1/tasks", &body)?;
    output::note(&safe(&format!("started task {} {:?}; `hallpass task end {}` ends it", task.id, task.title, task.id)));
    Ok(task.id)
}

/// True for a text that is a task's id, not a title.
pub fn is_id(text: &str) -> bool {
    text.strip_prefix("task_").is_some_and(|rest| rest.len() >= 8 && rest.bytes().all(|b| b.is_ascii_alphanumeric()))
}

/// The path of a task's operation.
pub fn path(id: &str, rest: &str) -> String {
    format!("/v1/tasks/{}{rest}", segment(id))
}

fn state(t: &Task, now: jiff::Timestamp) -> String {
    match (&t.ended_at, t.end_reason) {
        (Some(at), Some(reason)) => format!("{}, {}", when::relative(at, now), word(reason)),
        (Some(at), None) => when::relative(at, now),
        (None, _) => "open".into(),
    }
}

/// The reason of an end in its word on the wire.
pub fn word(reason: crate::task::EndReason) -> String {
    let text = serde_json::to_value(reason).ok().and_then(|v| v.as_str().map(ToOwned::to_owned)).unwrap_or_default();
    text.replace('-', " ")
}

fn render_list(list: &List<Task>, now: jiff::Timestamp) -> String {
    let mut rows = Rows::new(&["id", "title", "principal", "tokens", "started", "ends", "state"]);
    for t in &list.items {
        let ends = if t.ended_at.is_some() { String::new() } else { when::relative(&t.expires_at, now) };
        let (tokens, started, state) = (t.live_leases.to_string(), when::relative(&t.started_at, now), state(t, now));
        rows.row(&[&t.id, &t.title, &t.principal, &tokens, &started, &ends, &state]);
    }
    rows.render("no open tasks; `hallpass task start TITLE` starts one")
}

fn render(t: &Task, now: jiff::Timestamp) -> String {
    let limit = t.limit.as_ref().map(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "));
    facts(&[
        ("id", t.id.clone()),
        ("title", t.title.clone()),
        ("principal", t.principal.clone()),
        ("limit", limit.unwrap_or_default()),
        ("process", t.pid.map(|pid| pid.to_string()).unwrap_or_default()),
        ("started", when::relative(&t.started_at, now)),
        ("ends", if t.ended_at.is_some() { String::new() } else { when::relative(&t.expires_at, now) }),
        ("state", state(t, now)),
        ("live tokens", t.live_leases.to_string()),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_told_from_a_title() {
        assert!(is_id(&crate::token::short_id("task", [7; 12])));
        for title in ["triage #42", "task_", "task_force", "task_force one", "task"] {
            assert!(!is_id(title), "{title}");
        }
    }
}
