//! A daemon for the contracts' tests: says one thing and keeps what it was asked.

use super::{Call, Daemon, Output, Tool, answer};
use crate::{
    api::{
        SecretText,
        helper::{Given, Header, Helper, HelperAnswer, HelperRequest},
        problem::Code,
    },
    error::{Error, Result},
};

pub struct Fake {
    pub says: Result<HelperAnswer>,
    pub asked: Vec<HelperRequest>,
    pub ended: Vec<String>,
    pub entries: Vec<Helper>,
    pub options: Vec<String>,
}

impl Fake {
    pub fn new(says: Result<HelperAnswer>) -> Self {
        Self { says, asked: Vec::new(), ended: Vec::new(), entries: Vec::new(), options: Vec::new() }
    }

    /// A token.
    pub fn token() -> Self {
        Self::new(Ok(token()))
    }

    /// A credential with this user name.
    pub fn credential(username: Option<&str>) -> Self {
        let kind = Given::Static;
        let username = username.map(str::to_owned);
        Self::new(Ok(HelperAnswer { kind, username, expires_at: None, base_url: None, lease: None, ..token() }))
    }

    pub fn error(code: Code) -> Self {
        Self::new(Err(Error::new(code, "it went wrong").hint("do this")))
    }

    /// Runs a tool's contract.
    pub fn run(&mut self, tool: Tool, args: &[&str], input: &[u8]) -> Output {
        self.run_in(tool, args, input, &|_| None)
    }

    pub fn run_in(&mut self, tool: Tool, args: &[&str], input: &[u8], env: &dyn Fn(&str) -> Option<String>) -> Output {
        let args: Vec<String> = args.iter().map(ToString::to_string).collect();
        answer(tool, &Call { args: &args, input, env }, self)
    }
}

fn token() -> HelperAnswer {
    HelperAnswer {
        kind: Given::Gateway,
        secret: SecretText::new("S3CRET"),
        parts: std::collections::BTreeMap::new(),
        username: None,
        expires_at: Some("2026-01-02T03:04:05Z".into()),
        base_url: Some("http://127.0.0.1:1/up".into()),
        header: Some(Header { name: "Authorization".into(), prefix: "Bearer ".into(), base64: false }),
        issuer: "up".into(),
        lease: Some("lease_1".into()),
        url: Some("https://h/a/*".into()),
    }
}

impl Daemon for Fake {
    fn ask(&mut self, request: HelperRequest) -> Result<HelperAnswer> {
        self.asked.push(request);
        self.says.clone()
    }

    fn end(&mut self, token: SecretText) -> Result<()> {
        self.ended.push(token.expose().to_owned());
        self.says.clone().map(drop)
    }

    fn options(&mut self, args: &[String]) {
        self.options = args.to_vec();
    }

    fn entries(&mut self) -> Result<Vec<Helper>> {
        self.says.clone().map(|_| self.entries.clone())
    }
}
