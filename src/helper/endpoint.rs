//! Helpers that are asked over HTTP: AWS's container credentials and Azure's managed identity.
//!
//! Owns which tools have such an address, under which variables, and what is asked and answered there, in the tool's
//! own shape. `data/endpoints.toml` has the facts. Pure: the gateway serves them, the daemon decides.

use std::{collections::BTreeMap, sync::LazyLock};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::{Tool, aws, azure};
use crate::{
    api::{SecretText, problem::Code},
    error::{Error, Result},
    principal::printable,
};

/// The first part of their paths: no route's name begins with `_`.
pub const RESERVED: &str = "_helper";
/// What stays as it is in a part of a path.
const KEEP: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

static TABLE: LazyLock<Vec<Endpoint>> = LazyLock::new(|| {
    let file: toml::Table = toml::from_str(include_str!("../../data/endpoints.toml")).unwrap_or_default();
    let list = file.get("endpoint").and_then(toml::Value::as_array).cloned().unwrap_or_default();
    list.into_iter().filter_map(|entry| entry.try_into().ok()).collect()
});

/// One of them; `data/endpoints.toml` says what each member means.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// The tool's word.
    pub tool: String,
    /// Where these facts come from.
    pub source: Vec<String>,
    /// What stands before the name in an entry's `url`.
    pub place: String,
    /// The name is in the path.
    pub in_path: bool,
    /// The header with the token.
    pub header: String,
    /// The variable with the address.
    pub address_env: String,
    /// The variable with the token.
    pub token_env: String,
    /// The variable with the path of a file that holds the token.
    #[serde(default)]
    pub token_file_env: Option<String>,
    /// Variables that must not reach a child.
    #[serde(default)]
    pub scrub_env: Vec<String>,
    /// Variables that must.
    #[serde(default)]
    pub set_env: Vec<Fixed>,
}

/// A variable with a fixed value.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fixed {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// An endpoint and the name of what is wanted there: `aws:work`.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The endpoint.
    pub endpoint: &'static Endpoint,
    /// The name.
    pub name: &'a str,
}

/// What an SDK asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// What it names, as a `[[helper]]` has it: `profile:work`.
    pub url: String,
    /// The same as it was sent, for the answer.
    pub name: String,
    /// The identity that it wants, where it names one.
    pub client: Option<String>,
}

/// What there is to answer.
pub struct Given<'a> {
    /// The credential.
    pub secret: &'a str,
    /// The user name of the entry.
    pub username: Option<&'a str>,
    /// What belongs to it, where an issuer gave several strings.
    pub parts: &'a BTreeMap<String, SecretText>,
    /// When to ask again, Unix milliseconds: the end of the token that it was asked with.
    pub expires_ms: i64,
}

/// Those that there are.
pub fn all() -> &'static [Endpoint] {
    &TABLE
}

/// The endpoint of this tool.
pub fn of_tool(word: &str) -> Option<&'static Endpoint> {
    TABLE.iter().find(|endpoint| endpoint.tool == word)
}

/// Reads `TOOL:NAME`.
pub fn place(text: &str) -> Result<Place<'_>> {
    let (tool, name) = text.split_once(':').unwrap_or((text, ""));
    let endpoint = of_tool(tool).filter(|_| !name.is_empty() && !name.chars().any(char::is_control));
    endpoint.map(|endpoint| Place { endpoint, name }).ok_or_else(|| {
        let known: Vec<String> = TABLE.iter().map(|one| format!("{}:{}", one.tool, one.place.to_uppercase())).collect();
        Error::new(Code::InvalidValue, format!("{:?} is no helper that is asked over HTTP", printable(text)))
            .hint(format!("write {}; other tools run a program: docs/helpers.md", known.join(" or ")))
    })
}

impl Place<'_> {
    /// The `url` of its entry.
    pub fn url(&self) -> String {
        format!("{}:{}", self.endpoint.place, self.name)
    }

    /// Its address; `gateway` is the gateway's.
    pub fn address(&self, gateway: &str) -> String {
        let base = format!("{gateway}/{RESERVED}/{}", self.endpoint.tool);
        if self.endpoint.in_path { format!("{base}/{}", utf8_percent_encode(self.name, &KEEP)) } else { base }
    }

    /// The variables that lead an SDK there with this token.
    pub fn variables(&self, gateway: &str, token: &str) -> Vec<(String, String)> {
        let own = [(&self.endpoint.address_env, self.address(gateway)), (&self.endpoint.token_env, token.to_owned())];
        let fixed = self.endpoint.set_env.iter().map(|one| (&one.name, one.value.clone()));
        own.into_iter().chain(fixed).map(|(name, value)| (name.clone(), value)).collect()
    }
}

impl Endpoint {
    /// Reads what was asked: what follows the tool in the path, and the query's pairs, all decoded.
    pub fn question(&self, rest: &[String], query: &[(String, String)]) -> Result<Question> {
        let (name, client) = match (self.in_path, rest) {
            (true, [name]) => (name.clone(), None),
            (false, []) => azure::question(query)?,
            _ => {
                return Err(Error::new(Code::NotFound, "this is no address of a helper").hint(format!(
                    "hallpass exec --helper {}:{} -- COMMAND sets it",
                    self.tool,
                    self.place.to_uppercase()
                )));
            }
        };
        Ok(Question { url: format!("{}:{name}", self.place), name, client })
    }

    /// The answer's JSON.
    pub fn answer(&self, question: &Question, given: &Given<'_>) -> Result<Zeroizing<String>> {
        match Tool::of_word(&self.tool) {
            Some(Tool::Azure) => azure::token(question, given),
            _ => aws::container(&question.name, given),
        }
    }

    /// The JSON of a refusal, as the tool's SDKs show it.
    pub fn problem(&self, status: u16, error: &Error) -> String {
        match Tool::of_word(&self.tool) {
            Some(Tool::Azure) => azure::problem(status, error),
            _ => aws::problem(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::helper::matching::Subject;

    #[test]
    fn every_entry_is_read_and_leads_somewhere() {
        let text = include_str!("../../data/endpoints.toml");
        assert_eq!(all().len(), text.lines().filter(|line| *line == "[[endpoint]]").count());
        for endpoint in all() {
            assert!(Tool::of_word(&endpoint.tool).is_some_and(|tool| tool.word() == endpoint.tool), "{endpoint:?}");
            assert!(endpoint.source.iter().all(|url| url.starts_with("https://")));
            let text = format!("{}:name", endpoint.tool);
            let place = place(&text).unwrap();
            assert!(Subject::parse(&place.url()).is_ok(), "{}", place.url());
            let variables = place.variables("http://127.0.0.1:1", "hp_t");
            let clash = |name: &String| endpoint.scrub_env.contains(name);
            assert!(variables.iter().all(|(name, _)| !clash(name)) && variables.len() >= 2, "{variables:?}");
            assert!(endpoint.header.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'));
        }
        assert!(!crate::principal::is_name(RESERVED), "a route could take it");
    }

    #[test]
    fn a_name_survives_the_path() {
        let place = place("aws:my work/α").unwrap();
        let address = place.address("http://127.0.0.1:7171");
        assert_eq!(address, "http://127.0.0.1:7171/_helper/aws/my%20work%2F%CE%B1");
        assert_eq!(place.endpoint.question(&["my work/α".into()], &[]).unwrap().url, place.url());
        for odd in ["aws", "aws:", "git:x", "", "aws:a\nb"] {
            let error = super::place(odd).unwrap_err();
            assert!(error.hint.unwrap().contains("aws:PROFILE or azure:RESOURCE"), "{odd}");
        }
    }
}
