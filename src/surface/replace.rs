//! What stands in a secret's place once its tool asks hallpass: the `[[replace]]` entries of `data/surfaces`.
//!
//! Owns their schema, and which place of a file an entry is about. Facts only: whether an entry fits a file as it is,
//! and what it comes to there, is `adopt`'s.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::Format;

/// One place of a surface's files, and what may replace a secret there.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replace {
    /// The place, as a JSON pointer; `*` is any member or item, and with text before or after it one that begins and ends
    /// so.
    pub at: String,
    /// How.
    pub with: With,
    /// The route that the place itself says, whatever the secret looks like.
    pub route: Option<String>,
    /// The program that reads the file, where it has to be started through `hallpass exec`; for `contract` a template,
    /// which sets the variable that the tool reads before it.
    pub start: Option<String>,
    /// Why nothing replaces what stands there, and what a person can do.
    pub say: Option<String>,
    /// What the tool does there; the route's own default where nothing is said.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// What stands in the place instead; without it the place goes.
    pub value: Option<String>,
    /// What is written besides: a pointer, in which `{1}` is what the first `*` stood for, and a template. Each of
    /// these places has to be empty, but for an address of the route's own.
    #[serde(default)]
    pub set: Vec<(String, Value)>,
    /// Places that rule the entry out where there is something.
    #[serde(default)]
    pub unless: Vec<String>,
    /// The names of the files that the entry is for; all of the surface's where nothing is said.
    #[serde(default)]
    pub only: Vec<String>,
    /// For `contract`: how the key stands in the place.
    #[serde(default)]
    pub written: Written,
    /// For `contract`: what is kept as the credential, as a template, where that is not the key alone.
    pub stored: Option<String>,
    /// For `contract`: the `[[helper]]` that says what the tool gets.
    pub asks: Option<Asks>,
    /// Places that go together with the key.
    #[serde(default)]
    pub drop: Vec<String>,
    /// Another file that is changed together with this one.
    pub beside: Option<Beside>,
    /// The program that the tool looks for: a name on its PATH, or a path.
    pub link: Option<String>,
    /// For `contract`: a shell command that asks as the tool does. What is filled in is one word each.
    pub check: Option<String>,
    /// For `mcp-bridge`: what a server of this client's on stdio looks like; `command` and `args` where nothing is said.
    #[serde(default)]
    pub shape: BTreeMap<String, Value>,
    /// For `rendered-file`: the file's text, in which `{member}` is the place's last part and `{text}` what stands there
    /// with the token for the key. The token alone where nothing is said.
    pub file: Option<String>,
    /// How the tool runs what is written.
    #[serde(default)]
    pub run: Run,
}

/// How a tool runs a program that its configuration names.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// How long it waits for the answer, in seconds; not known, or no limit, where nothing is said.
    pub seconds: Option<u64>,
    /// The folder that it runs in, as a path of the catalogue.
    pub folder: Option<String>,
    /// It gets the whole environment, whatever the surface scrubs.
    #[serde(default)]
    pub inherits: bool,
    /// Variables that it gets besides.
    #[serde(default)]
    pub adds: BTreeMap<String, String>,
}

/// How a key stands in its place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Written {
    /// Alone.
    #[default]
    Whole,
    /// With more, all of which is the credential (`{text}`).
    Text,
    /// As the password of a URL.
    Url,
    /// With a user name, in Base64 (RFC 7617).
    Basic,
    /// All of it, in Base64.
    Base64,
    /// As a header of HTTP, `Authorization: SCHEME KEY`, for the URL that the first `*` stands for.
    Header,
}

/// A `[[helper]]` of hallpass's own config, as templates.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asks {
    /// The helper's word for the tool.
    pub tool: String,
    /// What it asks for.
    pub url: String,
    /// The user name.
    pub username: Option<String>,
    /// The only resource that it may have, where the place says one.
    pub resource: Option<String>,
}

/// Another file of the tool.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Beside {
    /// Its paths as in `[[file]]`: the first that is there, else the first, which is made.
    pub file: Vec<String>,
    /// How it is written.
    pub format: Format,
    /// What is written there, as in [`Replace::set`]; each place has to be empty, or to say the same.
    pub set: Vec<(String, Value)>,
    /// As in [`Replace::unless`], of that file.
    #[serde(default)]
    pub unless: Vec<String>,
}

impl Beside {
    /// Its name in a request.
    pub fn name(&self) -> &str {
        self.file.first().map_or("", String::as_str)
    }
}

/// How a tool comes to its credential after it was adopted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum With {
    /// A command that prints a gateway token.
    Helper,
    /// A command that prints the credential itself: the least bad, where the tool cannot go through the gateway.
    Release,
    /// A command that prints headers with the credential itself.
    Headers,
    /// A stdio MCP server that is started through `hallpass exec`.
    McpWrap,
    /// A remote MCP server that is reached through `hallpass mcp bridge`.
    McpBridge,
    /// A file that the daemon keeps filled.
    RenderedFile,
    /// The tool's own way to ask a program, which gives the credential itself for this place and no other.
    Contract,
    /// The tool itself is started through `hallpass exec`: a gateway token in the environment, the gateway's address
    /// in the file or the environment.
    Exec,
    /// There is no way; the entry says what a person can do.
    Nothing,
}

impl With {
    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Helper => "helper",
            Self::Release => "release",
            Self::Headers => "headers",
            Self::McpWrap => "mcp-wrap",
            Self::McpBridge => "mcp-bridge",
            Self::RenderedFile => "rendered-file",
            Self::Contract => "contract",
            Self::Exec => "exec",
            Self::Nothing => "nothing",
        }
    }
}

/// What each `*` of the pattern stands for in this pointer, both in parts; `None` where it is another place.
pub fn fits(pattern: &str, pointer: &[String]) -> Option<Vec<String>> {
    let parts: Vec<&str> = pattern.strip_prefix('/')?.split('/').collect();
    if parts.len() != pointer.len() {
        return None;
    }
    let mut stars = Vec::new();
    for (part, name) in parts.into_iter().zip(pointer) {
        match part {
            "*" => stars.push(name.clone()),
            part => {
                let part = part.replace("~1", "/").replace("~0", "~");
                match part.split_once('*') {
                    Some((before, after)) => {
                        let star = name.strip_prefix(before)?.strip_suffix(after)?;
                        stars.push(Some(star).filter(|star| !star.is_empty())?.to_owned());
                    }
                    None if part == *name => {}
                    None => return None,
                }
            }
        }
    }
    Some(stars)
}

/// A part of a pointer, written into one.
pub fn escape(part: &str) -> String {
    part.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_one_part() {
        let pointer = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(fits("/a/*/c/*", &pointer("a x c y")), Some(vec!["x".into(), "y".into()]));
        assert_eq!(fits("/a/b~1c", &pointer("a b/c")), Some(vec![]));
        assert_eq!(fits("/profile */k", &["profile work".into(), "k".into()]), Some(vec!["work".into()]));
        assert_eq!(fits("/profile */k", &["default".into(), "k".into()]), None);
        let token = "//h.example/x/:_authToken";
        assert_eq!(fits("/~1~1*:_authToken", &[token.into()]), Some(vec!["h.example/x/".into()]));
        assert_eq!(fits("/~1~1*:_auth", &[token.into()]), None);
        assert_eq!(fits("/a*a", &["a".into()]), None);
        for other in ["a x c", "a x d y", "a x c y z"] {
            assert_eq!(fits("/a/*/c/*", &pointer(other)), None, "{other}");
        }
    }
}
