//! MCP servers on stdio, started through `hallpass exec`.
//!
//! Owns the new command line of a server. The variable keeps a reference, which `exec` fills; the server's own command
//! and arguments stay as they were, behind `--`. No key comes into an argument: every program of the machine sees it
//! there. What fills variables into its arguments by itself gets one.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    plan::{Edit, Secret, Step, Tool, claim, released, scopes, wanted},
    template::word,
    tree::{Tree, pointer},
};
use crate::{principal::is_name, quarantine, scope::Wanted, surface::With};

/// Programs that fill `${NAME}` into their arguments by themselves.
/// <https://github.com/geelen/mcp-remote#custom-headers>
const FILLS: &[&str] = &["mcp-remote"];

/// The servers of a file that are to be wrapped, by their pointers, with what each needs.
#[derive(Default)]
pub struct Wraps(BTreeMap<String, Server>);

struct Server {
    name: String,
    wants: Vec<Wanted>,
    /// Words of its own command that become others.
    words: Vec<(usize, String)>,
}

impl Wraps {
    /// Plans one variable of a server, or one argument: the place is `SERVER/env/VARIABLE` or `SERVER/args/INDEX`.
    pub fn add(
        &mut self,
        tool: &Tool<'_>,
        tree: &Tree,
        secret: &Secret<'_>,
        place: &[String],
        edits: &mut Vec<Edit>,
    ) -> Result<Step, String> {
        let [server @ .., member, variable] = place else { return Err("this is no variable of a server".into()) };
        let at = pointer(server);
        let (words, shape) = command(tree, &at).ok_or("the server has no command of its own to wrap")?;
        let text = tree.get(&pointer(place)).and_then(Value::as_str).unwrap_or_default();
        let own = name(tree, server);
        let named = mcp_name(&own);
        let principal = tool.principal.map_or(named, ToOwned::to_owned);
        let is_word = member == "args" || matches!(shape, Shape::OneList(list) if list == member);
        let (variable, reference, want, place, word_of) = if is_word {
            let index = variable.parse::<usize>().unwrap_or_default();
            let index = if matches!(shape, Shape::Split(_)) { index + 1 } else { index };
            if !fills(&words) || text.matches(secret.value).count() != 1 {
                return Err("every program of this machine sees an argument, and hallpass puts no key there; if the \
                            server reads a variable instead, move the key to it and adopt again"
                    .into());
            }
            let member = if tree.get(&format!("{at}/environment")).is_some() { "environment" } else { "env" };
            let variable = format!("HALLPASS_KEY_{}", index + 1);
            let place = format!("{at}/{member}/{variable}");
            let text = text.replacen(secret.value, &format!("${{{variable}}}"), 1);
            (variable, format!("hallpass:{}", secret.name), released(secret.name), place, Some((index, text)))
        } else {
            let reference = referring(text, secret).ok_or("the key is only a part of what stands here")?;
            // A server speaks to its API by itself; only with clients that read the address from a variable does a
            // token do.
            let gateway = secret.route.map(|(route, _)| route).filter(|route| {
                !route.default_scopes.is_empty() && !route.base_url_env.is_empty() && route.key_env.contains(variable)
            });
            let want = gateway.map_or_else(|| released(secret.name), |route| wanted(secret.name, scopes(route, &[])));
            (variable.clone(), reference, want, pointer(place), None)
        };
        let entry = self.0.entry(at).or_insert_with(|| Server { name: own, wants: Vec::new(), words: Vec::new() });
        entry.words.extend(word_of);
        if !entry.wants.contains(&want) {
            entry.wants.push(want.clone());
        }
        let (program, claim) = (word(tool.hallpass), claim(&principal));
        let set = word(&format!("{variable}={reference}"));
        let check = format!("env {set} {program} exec --task check{claim} --grant {want} -- true");
        edits.push(Edit { at: place, to: Some(Value::String(reference)) });
        let with = With::McpWrap;
        Ok(Step { with, want, principal, check, start: None, stored: None, helper: None, link: None, entry: None })
    }

    /// The new command lines.
    pub fn edits(self, tool: &Tool<'_>, tree: &Tree) -> Vec<Edit> {
        let mut edits = Vec::new();
        for (at, server) in self.0 {
            let Some((mut words, shape)) = command(tree, &at) else { continue };
            for (index, word) in server.words {
                words.get_mut(index).into_iter().for_each(|old| old.clone_from(&word));
            }
            // What was wrapped for another variable is told of one grant more.
            let (own, words) = match (is_wrapped(&words), words.iter().position(|word| word == "--")) {
                (true, Some(end)) => (words.get(..end).unwrap_or_default(), words.get(end + 1..).unwrap_or_default()),
                _ => (Default::default(), words.as_slice()),
            };
            let mut line =
                vec![tool.hallpass.to_owned(), "exec".into(), "--task".into(), format!("mcp:{}", server.name)];
            if !own.is_empty() {
                line = own.to_vec();
            } else if tool.principal.is_none() {
                line.extend(["--as".into(), mcp_name(&server.name)]);
            }
            let wants = server.wants.iter().map(ToString::to_string).filter(|want| !own.contains(want));
            line.extend(wants.flat_map(|want| ["--grant".into(), want]));
            line.push("--".into());
            line.extend(words.iter().cloned());
            let mut edit = |name: &str, to: Value| {
                edits.push(Edit { at: format!("{at}/{name}"), to: Some(to) });
            };
            match shape {
                Shape::OneList(name) => edit(name, line.into()),
                Shape::Split(name) => {
                    let rest = line.split_off(1);
                    edit(name, line.remove(0).into());
                    edit("args", rest.into());
                }
            }
        }
        edits
    }
}

/// What the server is called: its member, or what it says of itself where it stands in a list.
pub(super) fn name(tree: &Tree, server: &[String]) -> String {
    let own = server.last().cloned().unwrap_or_default();
    let said = tree.get(&format!("{}/name", pointer(server))).and_then(Value::as_str);
    said.filter(|_| own.bytes().all(|byte| byte.is_ascii_digit())).map_or(own, ToOwned::to_owned)
}

/// The principal of a server that nothing else names.
pub(super) fn mcp_name(server: &str) -> String {
    let named = format!("mcp-{}", server.to_ascii_lowercase().replace(' ', "-"));
    if is_name(&named) { named } else { "mcp-server".into() }
}

/// Whether the program fills variables into its arguments.
fn fills(words: &[String]) -> bool {
    let is = |word: &String, known: &&str| {
        word == known || word.strip_prefix(*known).is_some_and(|rest| rest.starts_with('@'))
    };
    words.iter().any(|word| FILLS.iter().any(|known| is(word, known)))
}

/// Whether this is a command line of ours.
fn is_wrapped(words: &[String]) -> bool {
    let program = words.first().and_then(|word| word.rsplit(['/', '\\']).next());
    program == Some("hallpass") && words.get(1).is_some_and(|word| word == "exec")
}

/// How a client writes a server's command.
enum Shape {
    /// All words in one list.
    OneList(&'static str),
    /// The program by itself, the rest in `args`.
    Split(&'static str),
}

fn command(tree: &Tree, server: &str) -> Option<(Vec<String>, Shape)> {
    let texts = |value: &Value| -> Option<Vec<String>> {
        value.as_array()?.iter().map(|item| item.as_str().map(ToOwned::to_owned)).collect()
    };
    for name in ["command", "cmd"] {
        let Some(value) = tree.get(&format!("{server}/{name}")) else { continue };
        if let Some(program) = value.as_str() {
            let args = match tree.get(&format!("{server}/args")) {
                Some(args) => texts(args)?,
                None => Vec::new(),
            };
            return Some(([vec![program.to_owned()], args].concat(), Shape::Split(name)));
        }
        return texts(value).map(|words| (words, Shape::OneList(name)));
    }
    None
}

/// The text with a reference for the secret: alone, or as the password of a URL.
fn referring(text: &str, secret: &Secret<'_>) -> Option<String> {
    let whole = format!("hallpass:{}", secret.name);
    if text == secret.value {
        return Some(whole);
    }
    let filled = text.replacen(secret.value, &whole.replace(':', "%3A"), 1);
    quarantine::in_url(&filled).map(|_| filled.clone())
}
