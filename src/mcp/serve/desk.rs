//! What the tools do: the daemon's own operations, in the server's own task.
//!
//! Owns the tokens that were given out, so that none of them has to pass through a model. Must never return one.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::types::{Access, Ended, HandOver, Handle, Holding, MayHave, RequestAccess};
use crate::{
    api::{
        List, SecretText,
        grant::Grant,
        lease::{Lease, Mint, Minted, Revoked},
        problem::Code,
        session::{Env, OpenEnv},
        task::Task,
    },
    client::{Client, segment},
    error::{Error, Result},
    mcp::{handed, task::OwnTask},
    paths::Paths,
    policy::RELEASE,
    scope::Wanted,
};

/// How long a token lives where nothing is said, in seconds.
const TTL: u64 = 900;
/// How long to wait for a person where nothing is said: many clients give up on a tool after a minute.
const WAIT: u64 = 50;
/// The longest wait, in seconds.
const MAX_WAIT: u64 = 600;
/// The longest reason, in characters.
const MAX_REASON: usize = 200;

/// The state of one server.
pub struct Desk {
    paths: Paths,
    claim: Option<String>,
    task: OwnTask,
    held: Mutex<HashMap<String, Held>>,
}

/// A token that was given out here.
struct Held {
    want: Wanted,
    token: SecretText,
    env: Env,
}

impl Desk {
    /// Nothing is asked yet. What earlier servers left behind is removed.
    pub fn new(paths: Paths, claim: Option<String>) -> Self {
        let task = OwnTask::new("mcp serve".into(), claim.clone(), None);
        Self { paths, claim, task, held: Mutex::default() }
    }

    fn held(&self) -> MutexGuard<'_, HashMap<String, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the caller may have, and has.
    ///
    /// # Errors
    /// What the daemon says.
    pub fn list(&self) -> Result<Access> {
        let mut client = Client::connect(&self.paths, true)?;
        let id = self.task.open(&mut client)?;
        let task: Task = client.get(&format!("/v1/tasks/{}", segment(&id)))?;
        let grants: List<Grant> = client.get("/v1/grants")?;
        let leases: List<Lease> = client.get("/v1/leases")?;
        let may_have =
            grants.items.into_iter().filter(|grant| grant.principal == task.principal).map(|grant| MayHave {
                approval: word(&grant.approval),
                max_ttl_seconds: grant.max_ttl_seconds,
                want: Wanted { issuer: grant.issuer, scopes: grant.scopes, resources: grant.resources }.to_string(),
            });
        let may_have = may_have.collect();
        let live = leases.items.into_iter().filter(|lease| lease.live && lease.principal == task.principal);
        let held = self.held();
        let holds = live.map(|lease| Holding {
            run: held.contains_key(&lease.id).then(|| run(&lease.id)),
            want: Wanted { issuer: lease.issuer, scopes: lease.scopes, resources: lease.resources }.to_string(),
            expires_at: lease.expires_at,
            narrowed_from: lease.parent,
            lease: lease.id,
        });
        let holds = holds.collect();
        Ok(Access { principal: task.principal, task: id, may_have, holds })
    }

    /// Asks for a token; waits for a person where the grant says so.
    ///
    /// # Errors
    /// What the daemon says: without a grant, with the command that a person would run.
    pub fn request(&self, asked: &RequestAccess) -> Result<Handle> {
        let want = wanted(&asked.want)?;
        let reason: String = asked.reason.trim().chars().take(MAX_REASON).collect();
        if reason.is_empty() {
            return Err(
                Error::new(Code::InvalidValue, "a request needs a reason").hint("say in a sentence what it is for")
            );
        }
        let mut client = Client::connect(&self.paths, true)?;
        let wait = asked.wait_seconds.unwrap_or(WAIT).min(MAX_WAIT);
        let body = OpenEnv {
            task: Some(self.task.open(&mut client)?),
            want: vec![want.clone()],
            claim: self.claim.clone(),
            ttl_seconds: Some(asked.ttl_seconds.unwrap_or(TTL).max(1)),
            wait_seconds: Some(wait),
            reason: Some(reason),
            ..OpenEnv::default()
        };
        let env: Env = client.post_waiting("/v1/env", &body, Duration::from_secs(wait), None)?;
        let lease: Lease = match env.leases.as_slice() {
            [only] => client.get(&format!("/v1/leases/{}", segment(only)))?,
            _ => return Err(Error::internal("the daemon gave no lease")),
        };
        let want = Wanted { issuer: lease.issuer, scopes: lease.scopes, resources: lease.resources };
        // The variables hold a base URL and the token; only one of them has a token's form.
        let token = env.set.iter().find(|variable| crate::token::check(variable.value.expose().as_bytes()).is_ok());
        let token = token.map(|variable| variable.value.clone()).ok_or_else(|| {
            Error::new(Code::InvalidValue, format!("the route of {} names no variable for its token", want.issuer))
                .hint("a person can say one: `hallpass route add` has --key-env")
        })?;
        self.keep(lease.id, Held { want, token, env })
    }

    /// Narrows a token for a sub-agent.
    ///
    /// # Errors
    /// It was not given out here, or would be wider.
    pub fn hand_over(&self, asked: &HandOver) -> Result<Handle> {
        let (token, parent, mut env) = {
            let held = self.held();
            let held = held.get(&asked.lease).ok_or_else(unknown_lease)?;
            (held.token.clone(), held.want.clone(), held.env.clone())
        };
        let want = asked.want.as_deref().map(wanted).transpose()?.unwrap_or(parent);
        let body = Mint {
            what: want.clone(),
            ttl_seconds: asked.ttl_seconds,
            task: None,
            claim: self.claim.clone(),
            subject_token: Some(token.clone()),
            uses: asked.uses,
            rate: None,
            wait_seconds: None,
        };
        let minted: Minted = Client::connect(&self.paths, true)?.post("/v1/mint", &body)?;
        for variable in env.set.iter_mut().filter(|variable| variable.value == token) {
            variable.value = minted.access_token.clone();
        }
        env.expires_at = minted.expires_at;
        env.leases = vec![minted.lease.clone()];
        self.keep(minted.lease, Held { want, token: minted.access_token, env })
    }

    /// Ends a lease and what was narrowed from it.
    ///
    /// # Errors
    /// What the daemon says.
    pub fn revoke(&self, lease: &str) -> Result<Ended> {
        let mut client = Client::connect(&self.paths, true)?;
        self.task.open(&mut client)?;
        let revoked: Revoked = client.post(&format!("/v1/leases/{}/revoke", segment(lease)), &())?;
        self.forget(&revoked.leases);
        Ok(Ended { leases: revoked.leases, note: "these tokens work no more".into() })
    }

    /// Ends the task: every token that was given out here.
    ///
    /// # Errors
    /// What the daemon says.
    pub fn end(&self) -> Result<Ended> {
        let leases: Vec<String> = self.held().keys().cloned().collect();
        self.forget(&leases);
        let note = match self.task.end(&self.paths)? {
            Some(_) => "the task has ended, and every token of it; the next request opens another",
            None => "no task was open",
        };
        Ok(Ended { leases, note: note.into() })
    }

    /// Removes the files of earlier servers that were killed: their tokens are dead.
    ///
    /// # Errors
    /// What the daemon says.
    pub fn sweep(&self) -> Result<()> {
        let left = handed::all(&self.paths);
        if left.is_empty() {
            return Ok(());
        }
        let mut client = Client::connect(&self.paths, false)?;
        for lease in left {
            let found: Result<Lease> = client.get(&format!("/v1/leases/{}", segment(&lease)));
            match found {
                Ok(Lease { live: true, .. }) => {}
                Err(error) if error.code != Code::NotFound => return Err(error),
                _ => handed::remove(&self.paths, &lease),
            }
        }
        Ok(())
    }

    fn keep(&self, lease: String, held: Held) -> Result<Handle> {
        handed::write(&self.paths, &lease, &held.env)?;
        let handle = Handle {
            want: held.want.to_string(),
            expires_at: held.env.expires_at.clone(),
            variables: held.env.set.iter().map(|variable| variable.name.clone()).collect(),
            run: run(&lease),
            lease: lease.clone(),
        };
        self.held().insert(lease, held);
        Ok(handle)
    }

    fn forget(&self, leases: &[String]) {
        let mut held = self.held();
        for lease in leases {
            held.remove(lease);
            handed::remove(&self.paths, lease);
        }
    }
}

/// What is asked for. The credential itself is nothing that an agent is given to hold.
fn wanted(text: &str) -> Result<Wanted> {
    let want: Wanted = text.parse().map_err(|e: crate::scope::ScopeError| {
        Error::new(Code::InvalidValue, e.to_string())
            .hint("such as github:issues:read@acme/web; list_access shows what there is")
    })?;
    if want.scopes.iter().any(|scope| scope.to_string() == RELEASE) {
        return Err(Error::new(Code::Denied, format!("{RELEASE} is the key itself, which no tool here gives"))
            .hint("a command gets it where a .env file names it: hallpass exec -- COMMAND"));
    }
    Ok(want)
}

fn unknown_lease() -> Error {
    Error::new(Code::NotFound, "this lease was not given out here, or has ended")
        .hint("list_access shows those that hold")
}

fn run(lease: &str) -> String {
    format!("hallpass exec --lease {lease} -- COMMAND")
}

fn word<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(ToOwned::to_owned)).unwrap_or_default()
}
