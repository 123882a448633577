//! `hallpass render`: files that are kept filled with a token, for tools that read one.

use clap::{Args, Subcommand};

use super::{
    context::Context,
    output::{RED, YELLOW, safe, styled},
    table::{Rows, facts},
    when,
};
use crate::{
    api::{
        Done, List,
        problem::Code,
        render::{Render, RenderState, Rendered},
    },
    client::segment,
    error::{Error, Result},
    policy::RELEASE,
    render::Format,
    scope::Wanted,
};

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Keep a file filled; prints its path, which stays the same
    Add(Add),
    /// All of them: how they are, and what to do where one has no fresh token
    List,
    /// One of them
    Show {
        /// Its name
        name: String,
    },
    /// Make one anew: its token ends, and another one is in it
    Renew {
        /// Its name
        name: String,
    },
    /// Take the file away and end its token
    Remove {
        /// Its name
        name: String,
    },
}

#[derive(Debug, Args)]
pub struct Add {
    /// Its name, and the file's
    name: String,
    /// What is in it: ISSUER:SCOPES[@RESOURCES]; the scope release is the credential itself
    #[arg(required_unless_present = "helper", conflicts_with = "helper")]
    want: Option<Wanted>,
    /// A token for the endpoint of a helper instead, such as aws:work
    #[arg(long, value_name = "TOOL:NAME")]
    helper: Option<String>,
    /// Who has it: its grants decide
    #[arg(long = "as", value_name = "PRINCIPAL")]
    principal: String,
    /// raw (the token alone), or env (the variables that exec would set)
    #[arg(long, value_parser = format, conflicts_with = "line")]
    format: Option<Format>,
    /// A line of the file, with {token}, {base_url}, {host} or {expires_at} in it; may be given again
    #[arg(long, value_name = "TEXT")]
    line: Vec<String>,
    /// How long each token lives, such as 1h; the file is written again when 80 % of that are over
    #[arg(long, value_parser = when::seconds)]
    ttl: Option<u64>,
}

pub fn run(cx: &Context, verb: Verb) -> Result<u8> {
    match verb {
        Verb::Add(args) => add(cx, args),
        Verb::List => cx.get("/v1/renders", |list| render_list(list, when::now())),
        Verb::Show { name } => cx.get(&path(&name, ""), |one| render(one, when::now())),
        Verb::Renew { name } => cx.post(&path(&name, "/renew"), &(), |one| render(one, when::now())),
        Verb::Remove { name } => cx.delete(&path(&name, ""), |_: &Done| format!("{} is removed", safe(&name))),
    }
}

fn add(cx: &Context, args: Add) -> Result<u8> {
    let template = (!args.line.is_empty()).then(|| args.line.iter().map(|line| format!("{line}\n")).collect());
    let format = match (&template, args.format) {
        (Some(_), _) => Format::Template,
        (None, Some(Format::Template)) => {
            return Err(Error::new(Code::Usage, "which template?").hint("give its lines with --line"));
        }
        (None, format) => format.unwrap_or_default(),
    };
    let body = Render {
        name: args.name,
        want: args.want,
        helper: args.helper,
        principal: args.principal,
        format,
        template,
        ttl_seconds: args.ttl,
    };
    cx.post("/v1/renders", &body, |one: &Rendered| {
        let mut lines = vec![safe(&one.path)];
        if one.render.want.as_ref().is_some_and(|what| what.scopes.iter().any(|scope| scope.to_string() == RELEASE)) {
            lines.push(styled(YELLOW, "the file holds the credential itself, which does not expire"));
        }
        lines.extend(trouble(one));
        lines.join("\n")
    })
}

fn path(name: &str, rest: &str) -> String {
    format!("/v1/renders/{}{rest}", segment(name))
}

fn format(text: &str) -> Result<Format, String> {
    serde_json::from_value(text.into()).map_err(|_| format!("{text:?} is neither raw nor env"))
}

/// What is in the way, and what to do.
fn trouble(one: &Rendered) -> Option<String> {
    let problem = one.problem.as_ref()?;
    let hint = one.hint.as_ref().map(|hint| format!("; {}", safe(hint))).unwrap_or_default();
    Some(styled(RED, &format!("{}: {}{hint}", safe(&one.render.name), safe(problem))))
}

fn what(one: &Rendered) -> String {
    let want = one.render.want.as_ref().map(ToString::to_string);
    want.or_else(|| one.render.helper.as_ref().map(|helper| format!("endpoint of {helper}"))).unwrap_or_default()
}

fn word(one: &Rendered) -> &'static str {
    match one.state {
        RenderState::Ready => "ready",
        RenderState::Static => "the key itself",
        RenderState::Stale => "not renewed",
        RenderState::Missing => "no file",
    }
}

fn render_list(list: &List<Rendered>, now: jiff::Timestamp) -> String {
    let mut rows = Rows::new(&["name", "holds", "for", "state", "renewed", "ends"]);
    for one in &list.items {
        let at = |time: &Option<String>| when::relative_or(time.as_deref(), "", now);
        let (renews, ends) = (at(&one.renews_at), at(&one.expires_at));
        rows.row(&[&one.render.name, &what(one), &one.render.principal, word(one), &renews, &ends]);
    }
    let table = rows.render("no rendered files; `hallpass render add NAME ISSUER:SCOPE --as PRINCIPAL` makes one");
    std::iter::once(table).chain(list.items.iter().filter_map(trouble)).collect::<Vec<_>>().join("\n")
}

fn render(one: &Rendered, now: jiff::Timestamp) -> String {
    let at = |time: &Option<String>| when::relative_or(time.as_deref(), "", now);
    facts(&[
        ("file", one.path.clone()),
        ("state", word(one).into()),
        ("holds", what(one)),
        ("for", one.render.principal.clone()),
        ("format", one.render.format.word().into()),
        ("lease", one.lease.clone().unwrap_or_default()),
        ("renewed", at(&one.renews_at)),
        ("ends", at(&one.expires_at)),
        ("problem", one.problem.clone().unwrap_or_default()),
        ("what to do", one.hint.clone().unwrap_or_default()),
    ])
}
