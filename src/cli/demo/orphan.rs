//! The demo's human steps: adding a credential, a principal and a grant.
//!
//! A daemon lets only the human do these, and below a coding assistant nobody is the human. The demo
//! owns its throw-away daemon, so it does them from a process that has no ancestors any more. That
//! any process of a user can do so is what SECURITY.md says: names are records, not a wall.

use std::{
    io::{Read, Write},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

use super::{ROUTE, SCOPE, cannot, home::Home};
use crate::{
    api::{SecretText, credential::AddCredential, grant::AddGrant, principal::AddPrincipal, problem::Code},
    client::Client,
    error::{Error, Result},
    paths::Paths,
    policy::{Approval, bounds::Bounds},
    principal::Kind,
    scope::{Scope, ScopeSet, Wanted, any_resource},
};

/// What is to be set up; travels over a pipe.
#[derive(Serialize, Deserialize)]
pub struct Plan {
    principal: String,
    key: SecretText,
}

impl Plan {
    /// This principal, this key.
    pub fn new(principal: &str, key: &str) -> Self {
        Self { principal: principal.into(), key: SecretText::new(key) }
    }
}

/// Has it done, and waits for it.
///
/// # Errors
/// What the daemon says.
pub fn set_up(home: &Home, plan: &Plan) -> Result<()> {
    let program = std::env::current_exe().map_err(|e| cannot("this program's own path", &e))?;
    let mut command = Command::new(program);
    command.arg("demo-human").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    home.environment(&mut command);
    let mut child = command.spawn().map_err(|e| cannot("a process", &e))?;
    if let Some(mut pipe) = child.stdin.take() {
        let text = zeroize::Zeroizing::new(serde_json::to_vec(plan).unwrap_or_default());
        pipe.write_all(&text).map_err(|e| cannot("a pipe", &e))?;
    }
    let mut said = String::new();
    if let Some(mut pipe) = child.stdout.take() {
        // The end of the pipe is the end of the orphan, which outlives the child.
        pipe.read_to_string(&mut said).map_err(|e| cannot("a pipe", &e))?;
    }
    let _ = child.wait();
    match said.trim() {
        "done" => Ok(()),
        "" => Err(Error::internal("the demo's human said nothing")),
        why => Err(Error::new(
            Code::Denied,
            format!("the demo could not set itself up: {}", super::super::output::safe(why)),
        )),
    }
}

/// `hallpass demo-human`: starts itself again and ends, so that the second one has no ancestors.
///
/// # Errors
/// It cannot be started.
pub fn run(second: Option<u32>) -> Result<u8> {
    let Some(parent) = second else {
        let program = std::env::current_exe().map_err(|e| cannot("this program's own path", &e))?;
        let mut command = Command::new(program);
        command.args(["demo-human", "--orphan-of", &std::process::id().to_string()]);
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        command.spawn().map_err(|e| cannot("a process", &e))?;
        return Ok(0);
    };
    let until = Instant::now() + Duration::from_secs(5);
    while std::os::unix::process::parent_id() == parent && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(1));
    }
    match act() {
        Ok(()) => super::super::output::line("done")?,
        Err(error) => super::super::output::line(&error.detail)?,
    }
    Ok(0)
}

fn act() -> Result<()> {
    let plan: Plan = serde_json::from_reader(std::io::stdin().lock().take(64 * 1024))
        .map_err(|_| Error::internal("the demo's plan cannot be read"))?;
    let mut client = Client::connect(&Paths::find()?, false)?;
    let credential = AddCredential {
        name: ROUTE.into(),
        value: plan.key,
        route: None,
        base_url: None,
        owner: None,
        source: Some("stdin".into()),
    };
    client.post::<_, serde_json::Value>("/v1/credentials", &credential)?;
    let principal = AddPrincipal {
        name: plan.principal.clone(),
        kind: Kind::Agent,
        owner: None,
        description: Some("the demo's client".into()),
    };
    match client.post::<_, serde_json::Value>("/v1/principals", &principal) {
        // An assistant that the daemon saw above the demo is registered by that.
        Err(e) if e.code != Code::Exists => return Err(e),
        _ => {}
    }
    let scope: Scope = SCOPE.parse().map_err(|_| Error::internal("the demo's scope is none"))?;
    let grant = AddGrant {
        principal: plan.principal,
        what: Wanted { issuer: ROUTE.into(), scopes: ScopeSet::new([scope]), resources: any_resource() },
        max_ttl_seconds: Some(900),
        approval: Approval::Auto,
        body: Bounds::default(),
        rate: None,
    };
    client.post::<_, serde_json::Value>("/v1/grants", &grant)?;
    Ok(())
}
