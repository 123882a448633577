//! `trust`: a project's `.hallpass.toml` counts once a human has accepted it as it is.
//!
//! The daemon reads the file itself, and binds the trust to its digest: a file that changes is asked
//! about again, as direnv does.

use std::{path::Path, rc::Rc};

use crate::{
    api::{
        problem::Code,
        session::{Trust, TrustProject, TrustState},
    },
    audit::{Decision, Record},
    daemon::state::{State, callers::Caller, db::Table},
    error::{Error, Result},
    project::{self, Project},
};

/// Accepts a project's file, takes that back, or says what its state is.
pub fn trust(state: &Rc<State>, caller: &Caller, request: TrustProject) -> Result<Trust> {
    let dir = absolute(&request.path)?;
    let project = project::read(dir)?;
    let name = request.path.as_str();
    if !request.check {
        let identity = state.human_only(caller, "trusting a project")?;
        let event = if request.revoke { "trust.remove" } else { "trust.add" };
        if !request.revoke && request.digest.as_ref().is_some_and(|digest| *digest != project.digest) {
            return Err(Error::new(Code::NotTrusted, "the file changed while you looked at it")
                .hint("hallpass trust shows it again"));
        }
        state.record(Record::new(event, &identity.principal, identity.kind).decision(Decision::Done).detail(name))?;
        if request.revoke {
            state.db.remove(Table::Trust, name)?;
        } else {
            state.db.put(Table::Trust, name, &project.digest)?;
        }
    }
    answer(state, dir, &project)
}

/// Reads a project that a human trusts; an error that says what to do about any other.
pub fn trusted(state: &State, path: &str) -> Result<Project> {
    let dir = absolute(path)?;
    let project = project::read(dir)?;
    let what = match answer(state, dir, &project)?.state {
        TrustState::Trusted => return Ok(project),
        TrustState::Changed => "changed since you trusted it",
        TrustState::Untrusted => "is not trusted yet",
    };
    Err(Error::new(Code::NotTrusted, format!("{} {what}", dir.join(project::FILE).display()))
        .hint(format!("look at it, then: hallpass trust {}", dir.display())))
}

fn answer(state: &State, dir: &Path, project: &Project) -> Result<Trust> {
    let known: Option<String> = state.db.find(Table::Trust, &dir.display().to_string())?;
    let trust = match known {
        Some(digest) if digest == project.digest => TrustState::Trusted,
        Some(_) => TrustState::Changed,
        None => TrustState::Untrusted,
    };
    Ok(Trust {
        path: dir.display().to_string(),
        file: dir.join(project::FILE).display().to_string(),
        state: trust,
        want: project.want.clone(),
        digest: project.digest.clone(),
    })
}

fn absolute(path: &str) -> Result<&Path> {
    let dir = Path::new(path);
    if dir.is_absolute() && path.len() < 4096 {
        Ok(dir)
    } else {
        Err(Error::new(Code::InvalidValue, "a project is named by its absolute path").hint("hallpass trust \"$PWD\""))
    }
}
