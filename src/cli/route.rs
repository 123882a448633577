//! `hallpass route`: the gateway's upstreams and the scopes each of them has.

use clap::{Args, Subcommand};

use super::{
    context::Context,
    output::{BOLD, DIM, safe, styled},
    quote::is_variable,
    table::{Rows, facts},
};
use crate::{
    api::{
        Done, List,
        route::{AddRoute, Route},
    },
    client::segment,
    error::Result,
};

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// All routes
    List,
    /// One route: where its key goes, and its scopes
    Show {
        /// Its name
        name: String,
    },
    /// Add a route of your own
    Add(Add),
    /// Remove a route of your own
    Remove {
        /// Its name
        name: String,
    },
}

#[derive(Debug, Args)]
pub struct Add {
    /// A new name
    name: String,
    /// The upstream: an https URL with an optional path
    base_url: String,
    /// Where the key goes: bearer, header:NAME, basic or query:NAME
    #[arg(long)]
    auth: Option<String>,
    /// A scope, as NAME=METHOD /path/{part}; may be given again. Without any: read (GET, HEAD) and write
    #[arg(long = "scope", value_name = "RULE")]
    scopes: Vec<String>,
    /// A variable its SDKs read the key from; may be given again. Without any: NAME_API_KEY
    #[arg(long, value_name = "NAME")]
    key_env: Vec<String>,
    /// A variable its SDKs read the base URL from; may be given again. Without any: NAME_BASE_URL
    #[arg(long, value_name = "NAME")]
    base_url_env: Vec<String>,
    /// Allow an upstream on this machine or in a private network, and plain http to it
    #[arg(long)]
    allow_private: bool,
}

pub fn run(cx: &Context, verb: Verb) -> Result<u8> {
    match verb {
        Verb::List => cx.get("/v1/routes", render_list),
        Verb::Show { name } => cx.get(&format!("/v1/routes/{}", segment(&name)), render),
        Verb::Add(a) => {
            let known = cx.client()?.get::<Route>(&format!("/v1/routes/{}", segment(&a.name))).is_ok();
            let (key_env, base_url_env) = variables(&a.name, a.key_env, a.base_url_env);
            let body = AddRoute {
                name: a.name,
                base_url: a.base_url,
                auth: a.auth,
                scopes: a.scopes,
                key_env,
                base_url_env,
                allow_private: a.allow_private,
            };
            cx.post("/v1/routes", &body, |r: &Route| {
                let set = r.key_env.iter().chain(&r.base_url_env).map(|name| safe(name)).collect::<Vec<_>>().join(", ");
                let set = if set.is_empty() { set } else { format!("; `hallpass exec` sets {set}") };
                let added = if known { "added in place of the one that comes with hallpass" } else { "added" };
                format!("route {0} is {added}; `hallpass credential add {0}` gives it its key{set}", safe(&r.name))
            })
        }
        Verb::Remove { name } => {
            cx.delete(&format!("/v1/routes/{}", segment(&name)), |_: &Done| format!("route {name} is removed"))
        }
    }
}

/// The variables of a route: what was named, else `NAME_API_KEY` and `NAME_BASE_URL`. Without any, a command
/// under `exec` would hold a token and not know of it.
fn variables(name: &str, key: Vec<String>, url: Vec<String>) -> (Vec<String>, Vec<String>) {
    let stem: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect();
    let or = |named: Vec<String>, ending: &str| {
        let variable = format!("{stem}_{ending}");
        if named.is_empty() && is_variable(&variable) { vec![variable] } else { named }
    };
    (or(key, "API_KEY"), or(url, "BASE_URL"))
}

fn render_list(list: &List<Route>) -> String {
    let mut rows = Rows::new(&["name", "upstream", "scopes"]);
    for r in &list.items {
        let scopes: Vec<&str> = r.scopes.iter().map(|s| s.name.as_str()).collect();
        let name = if r.custom { format!("{} (yours)", r.name) } else { r.name.clone() };
        rows.row(&[&name, &r.base_url, &scopes.join(", ")]);
    }
    rows.render("no routes")
}

fn render(r: &Route) -> String {
    let mut text = facts(&[
        ("name", r.name.clone()),
        ("upstream", r.base_url.clone()),
        ("key goes to", r.auth.clone()),
        ("key variables", r.key_env.join(", ")),
        ("URL variables", r.base_url_env.join(", ")),
    ]);
    for scope in &r.scopes {
        let resource = scope.resource.as_ref().map(|r| format!("  resource {}", safe(r))).unwrap_or_default();
        text.push_str(&format!("\n\n{}  {}{resource}", styled(BOLD, &safe(&scope.name)), safe(&scope.description)));
        for rule in &scope.allow {
            text.push_str(&format!("\n  {}", styled(DIM, &safe(rule))));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_has_variables() {
        let of = |name: &str, key: &[&str]| variables(name, key.iter().map(ToString::to_string).collect(), vec![]);
        assert_eq!(of("my-api.v2", &[]), (vec!["MY_API_V2_API_KEY".into()], vec!["MY_API_V2_BASE_URL".into()]));
        assert_eq!(of("mine", &["K"]), (vec!["K".into()], vec!["MINE_BASE_URL".into()]));
        assert_eq!(of("1st", &[]), (vec![], vec![]));
    }
}
