//! Callers: who is asking, by which evidence, and what kind of thing they may ask for.

use std::cell::OnceCell;

use super::{State, names::PrincipalRecord};
use crate::{
    api::problem::Code,
    error::{Error, Result},
    principal::{self, Evidence, HUMAN, Identity, Kind, NamedBy, UNKNOWN},
    sys,
};

/// One connection's peer.
pub struct Caller {
    peer: sys::peer::Caller,
    /// The program it ran when it connected: a caller that becomes another program afterwards is
    /// not trusted to be that program.
    program: Option<String>,
    evidence: OnceCell<Evidence>,
}

impl Caller {
    /// Pins the peer.
    pub fn new(peer: sys::peer::Caller) -> Self {
        let program = sys::process::program(peer.pid);
        Self { peer, program, evidence: OnceCell::new() }
    }

    /// What is known of it, read once and kept for the connection's records.
    pub fn evidence(&self) -> &Evidence {
        self.evidence.get_or_init(|| sys::process::evidence(&self.peer))
    }

    /// Reads the identity again, for the moment before something is handed out: the caller must be
    /// alive, and still the program that connected.
    pub fn recheck(&self) -> Result<()> {
        if !self.peer.is_alive() || sys::process::program(self.peer.pid) != self.program {
            return Err(Error::new(Code::UnknownCaller, "the caller ended or became another program while it asked")
                .hint("ask again from the program that needs the token"));
        }
        Ok(())
    }
}

impl State {
    /// Names a caller. A claim must be a registered principal; an assistant that a rule names is
    /// registered when it is first seen.
    pub fn identify(&self, caller: &Caller, claim: Option<&str>) -> Result<Identity> {
        self.identify_evidence(caller.evidence(), claim)
    }

    /// See [`State::identify`].
    pub fn identify_evidence(&self, evidence: &Evidence, claim: Option<&str>) -> Result<Identity> {
        let settings = self.settings();
        let mut identity = {
            let tasks = self.tasks.borrow();
            principal::identify(evidence, tasks.of(evidence), claim, &settings.rules)
        };
        if identity.named_by == NamedBy::Nothing && claim.is_none() && settings.config.headless_human {
            identity.principal = HUMAN.into();
            identity.kind = Kind::Human;
        }
        let now = sys::now().wall_ms;
        match identity.named_by {
            NamedBy::Claim => {
                identity.kind = self.registered(&identity.principal)?;
            }
            NamedBy::Ancestry => identity.kind = self.see_assistant(&identity.principal, identity.kind)?,
            _ => identity.kind = self.kind_of(&identity.principal),
        }
        self.touch_principal(&identity.principal, now);
        Ok(identity)
    }

    /// Registers an assistant that a rule names when it is first seen; gives its kind.
    pub fn see_assistant(&self, name: &str, kind: Kind) -> Result<Kind> {
        if let Some(known) = self.names.borrow().principal(name) {
            return Ok(known.kind);
        }
        let now = sys::now().wall_ms;
        self.put_principal(PrincipalRecord {
            name: name.to_owned(),
            kind,
            owner: sys::user_name(),
            description: Some("named by its process".into()),
            disabled: false,
            created_ms: now,
            last_seen_ms: Some(now),
        })?;
        Ok(kind)
    }

    /// The kind of a registered principal; an error that says how to register it.
    pub fn registered(&self, name: &str) -> Result<Kind> {
        match name {
            HUMAN => Ok(Kind::Human),
            UNKNOWN => Err(Error::new(Code::UnknownCaller, "unknown is no principal that can have anything")
                .hint("run it from a terminal, in a task, or with --as NAME")),
            _ => self.names.borrow().principal(name).map(|p| p.kind).ok_or_else(|| {
                Error::new(Code::NotFound, format!("no principal is called {:?}", crate::principal::printable(name)))
                    .hint(format!("hallpass principal add {name} --kind service"))
            }),
        }
    }

    /// Refuses a principal that is disabled, or that was removed while it waited for an answer.
    pub fn not_disabled(&self, name: &str) -> Result<()> {
        self.registered(name)?;
        if self.names.borrow().principal(name).is_some_and(|p| p.disabled) {
            return Err(Error::new(Code::Denied, format!("{name} is disabled"))
                .hint(format!("hallpass principal enable {name}")));
        }
        Ok(())
    }

    /// Lets only the human pass: what changes policy, the store or trust is not for programs, so that
    /// nothing widens by itself.
    pub fn human_only(&self, caller: &Caller, what: &str) -> Result<Identity> {
        let identity = self.identify(caller, None)?;
        if identity.principal == HUMAN && identity.task.is_none() {
            caller.recheck()?;
            return Ok(identity);
        }
        let who = match identity.named_by {
            NamedBy::Nothing => "a caller without a terminal".to_owned(),
            NamedBy::Task => format!("{} in a task", identity.principal),
            _ => identity.principal,
        };
        Err(Error::new(Code::HumanOnly, format!("{what} is for a person at a terminal, not for {who}")).hint(
            "run it yourself in a terminal; for a machine without one, set headless_human = true under [daemon] in config.toml",
        ))
    }
}
