//! `hallpass grant`: who may do what, for how long.

use std::collections::BTreeMap;

use clap::{Args, Subcommand};

use super::{
    context::Context,
    output::{GREEN, RED, YELLOW, safe, styled},
    table::Rows,
    when,
};
use crate::{
    api::{
        Done, List,
        grant::{AddGrant, Explain, Explanation, Grant},
        problem::Code,
    },
    client::segment,
    error::{Error, Result},
    lease::Rate,
    policy::{
        Approval,
        bounds::{Bound, Bounds},
    },
    scope::Wanted,
};

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Allow a principal something
    Add(Add),
    /// All grants
    List,
    /// Remove a grant; tokens that need it end now
    Remove {
        /// Its id
        id: String,
    },
    /// Would this be allowed, by which grant, and what would the narrowest grant be?
    #[command(override_usage = "hallpass grant explain [OPTIONS] [PRINCIPAL] <ISSUER:SCOPE@RESOURCE>")]
    Explain {
        /// Who, and what, such as github:issues:read@acme/web; you, where no principal is named
        #[arg(num_args = 1..=2, required = true, value_name = "ISSUER:SCOPE@RESOURCE")]
        what: Vec<String>,
    },
}

#[derive(Debug, Args)]
pub struct Add {
    /// Who it is for
    principal: String,
    /// What, such as github:issues:read@acme/web; of several each becomes a grant of its own
    #[arg(value_name = "ISSUER:SCOPE@RESOURCE", required = true)]
    what: Vec<Wanted>,
    /// The longest life of one token, such as 15m; an hour where nothing is said
    #[arg(long, value_parser = when::seconds)]
    ttl: Option<u64>,
    /// What it takes: auto, ask (a human each time) or never
    #[arg(long, value_parser = approval)]
    approval: Option<Approval>,
    /// The rate of each token, such as 60/min
    #[arg(long)]
    rate: Option<Rate>,
    /// What a request's JSON body may hold: MEMBER=one-of:A,B or MEMBER=max:N; may be given again
    #[arg(long, value_name = "RULE", value_parser = bound)]
    body: Vec<(String, Bound)>,
}

pub fn run(cx: &Context, verb: Verb) -> Result<u8> {
    match verb {
        Verb::Add(args) => {
            let body = bounds(args.body);
            for what in args.what {
                let body = AddGrant {
                    principal: args.principal.clone(),
                    what,
                    max_ttl_seconds: args.ttl,
                    approval: args.approval.unwrap_or_default(),
                    body: body.clone(),
                    rate: args.rate,
                };
                cx.post("/v1/grants", &body, |g: &Grant| format!("{}: {}", safe(&g.id), sentence(g)))?;
            }
            Ok(0)
        }
        Verb::List => cx.get("/v1/grants", render_list),
        Verb::Remove { id } => {
            cx.delete(&format!("/v1/grants/{}", segment(&id)), |_: &Done| format!("{id} is removed"))
        }
        Verb::Explain { what } => explain(cx, &what),
    }
}

fn explain(cx: &Context, what: &[String]) -> Result<u8> {
    let (principal, text) = match what {
        [principal, text] => (Some(principal.clone()), text),
        [text] => (None, text),
        _ => return Err(Error::new(Code::Usage, "say what to explain, like openai:chat")),
    };
    let what: Wanted = text.parse().map_err(|e: crate::scope::ScopeError| {
        Error::new(Code::Usage, e.to_string()).hint("write ISSUER:SCOPE@RESOURCE, like github:issues:read@acme/web")
    })?;
    cx.post("/v1/grants/explain", &Explain { principal, what }, render_explanation)
}

fn approval(text: &str) -> Result<Approval, String> {
    serde_json::from_value(text.into()).map_err(|_| format!("{text:?} is none of auto, ask and never"))
}

/// Reads `model=one-of:a,b` or `max_tokens=max:1000`.
fn bound(text: &str) -> Result<(String, Bound), String> {
    let wrong = || format!("{text:?} is no rule; write model=one-of:a,b or max_tokens=max:1000");
    let (member, rule) = text.split_once('=').ok_or_else(wrong)?;
    let (kind, values) = rule.split_once(':').ok_or_else(wrong)?;
    if member.is_empty() || values.is_empty() {
        return Err(wrong());
    }
    let bound = match kind {
        "one-of" => Bound::OneOf(values.split(',').map(literal).collect()),
        "max" => Bound::Max(values.parse().ok().filter(|n: &f64| n.is_finite()).ok_or_else(wrong)?),
        _ => return Err(wrong()),
    };
    Ok((member.to_owned(), bound))
}

/// A number, true, false or null as JSON has them; else a text, quoted or not.
fn literal(text: &str) -> serde_json::Value {
    match serde_json::from_str(text) {
        Ok(value @ (serde_json::Value::Bool(_) | serde_json::Value::Number(_) | serde_json::Value::String(_))) => value,
        _ => text.into(),
    }
}

fn bounds(rules: Vec<(String, Bound)>) -> Bounds {
    let mut members: BTreeMap<String, Vec<Bound>> = BTreeMap::new();
    for (member, bound) in rules {
        members.entry(member).or_default().push(bound);
    }
    let parts = members.iter().flat_map(|(member, all)| all.iter().map(move |one| Bounds::one(member, one.clone())));
    parts.fold(Bounds::default(), |all, one| all.and(&one))
}

fn body_words(bounds: &Bounds) -> String {
    let words = bounds.members().flat_map(|(member, all)| {
        all.iter().map(move |one| match one {
            Bound::OneOf(values) => {
                format!("{member} one of {}", values.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
            }
            Bound::Max(most) => format!("{member} at most {most}"),
        })
    });
    words.collect::<Vec<_>>().join("; ")
}

fn approval_word(approval: Approval) -> String {
    serde_json::to_value(approval).ok().and_then(|v| v.as_str().map(ToOwned::to_owned)).unwrap_or_default()
}

fn what(g: &Grant) -> String {
    Wanted { issuer: g.issuer.clone(), scopes: g.scopes.clone(), resources: g.resources.clone() }.to_string()
}

fn sentence(g: &Grant) -> String {
    let verb = match g.approval {
        Approval::Never => "may never have",
        Approval::Ask => "may, after a human's approval, have",
        Approval::Auto => "may have",
    };
    let rate = g.rate.map(|rate| format!(", {rate}")).unwrap_or_default();
    let body = body_words(&g.body);
    let body = if body.is_empty() { body } else { format!(", with {body} in the body") };
    safe(&format!("{} {verb} {} for at most {}{rate}{body}", g.principal, what(g), when::length(g.max_ttl_seconds)))
}

fn render_list(list: &List<Grant>) -> String {
    let mut rows = Rows::new(&["id", "principal", "may have", "for", "approval", "rate", "body"]);
    for g in &list.items {
        let rate = g.rate.map(|rate| rate.to_string()).unwrap_or_default();
        let (length, approval) = (when::length(g.max_ttl_seconds), approval_word(g.approval));
        rows.row(&[&g.id, &g.principal, &what(g), &length, &approval, &rate, &body_words(&g.body)]);
    }
    rows.render("no grants yet; `hallpass grant add PRINCIPAL ISSUER:SCOPE@RESOURCE` adds one")
}

fn render_explanation(e: &Explanation) -> String {
    let head = match (e.allowed, e.approval) {
        (true, _) => styled(GREEN, "allowed"),
        (false, Some(Approval::Ask)) => styled(YELLOW, "after a human's approval"),
        (false, _) => styled(RED, "denied"),
    };
    let mut lines = vec![format!("{head} for {}: {}", safe(&e.principal), safe(&e.reason))];
    lines.extend(e.grants.iter().map(|g| format!("  {}  {}", safe(&g.id), sentence(g))));
    if let Some(command) = &e.narrowest {
        lines.push(format!("the narrowest grant for it:\n  {}", safe(command)));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn body_rules() {
        let all = bounds(vec![bound("model=one-of:a,3,true").unwrap(), bound("max_tokens=max:1000").unwrap()]);
        assert_eq!(body_words(&all), r#"max_tokens at most 1000; model one of "a", 3, true"#);
        assert!(all.check(br#"{"model":"a","max_tokens":1000}"#).is_ok());
        assert!(all.check(br#"{"model":"b","max_tokens":1}"#).is_err());
        for text in ["model", "model=a", "=max:1", "m=max:", "m=max:x", "m=max:inf", "m=least:1"] {
            assert!(bound(text).is_err(), "{text}");
        }
    }

    #[test]
    fn approvals_by_their_words() {
        assert_eq!(approval("ask"), Ok(Approval::Ask));
        assert!(approval("maybe").unwrap_err().contains("never"));
    }
}
