//! What `hallpass:NAME` in a `.env` file stands for.
//!
//! Owns the way from a reference to what is asked for. A reference counts when hallpass itself wrote it into that
//! file as the value of that key, or when the caller asked for its issuer in so many words: a checkout's `.env` is not the user's wish.

use std::path::Path;

use super::release;
use crate::{
    api::session::{Reference, Unresolved},
    config::IssuerKind,
    daemon::state::State,
    error::Result,
    policy::Approval,
    principal::printable,
    scope::{Scope, ScopeSet, Wanted},
};

/// The references that are to be filled, each with its issuer, and those that are left.
#[derive(Default)]
pub struct Resolved {
    /// A variable and the issuer whose token, or value, it gets.
    pub fill: Vec<(String, String)>,
    /// What is asked for on top of what was named.
    pub want: Vec<Wanted>,
    /// What is left as it is.
    pub left: Vec<Unresolved>,
}

/// Judges the references for this principal; `named` is what the caller asked for.
pub fn resolve(state: &State, principal: &str, references: Vec<Reference>, named: &[Wanted]) -> Result<Resolved> {
    let mut resolved = Resolved::default();
    for reference in references {
        match one(state, principal, &reference, named)? {
            Ok((issuer, wanted)) => {
                resolved.want.extend(wanted.filter(|wanted| !resolved.want.contains(wanted)));
                resolved.fill.push((reference.variable, issuer));
            }
            Err((reason, hint)) => {
                let Reference { variable, credential, .. } = reference;
                resolved.left.push(Unresolved { variable, credential, reason, hint });
            }
        }
    }
    Ok(resolved)
}

/// The issuer, and what has to be asked for it; or why not, and what helps.
type Judged = std::result::Result<(String, Option<Wanted>), (String, Option<String>)>;

fn one(state: &State, principal: &str, reference: &Reference, named: &[Wanted]) -> Result<Judged> {
    let credential = printable(&reference.credential);
    let settings = state.settings();
    let Some((issuer, kind)) = settings
        .config
        .issuers
        .iter()
        .find(|(_, issuer)| issuer.credential.as_ref() == Some(&reference.credential))
        .map(|(name, issuer)| (name.clone(), issuer.kind.clone()))
    else {
        let reason = format!("there is no issuer for a credential {credential:?}");
        return Ok(Err((reason, Some("hallpass credential list".into()))));
    };
    if named.iter().any(|wanted| wanted.issuer == issuer) {
        return Ok(Ok((issuer, None)));
    }
    let scope = super::quarantine::usual_scopes(state, &kind);
    if let Some(file) = &reference.file
        && !state.is_noted(Path::new(file), &reference.credential, Some(&reference.variable))?
    {
        let reason = format!("hallpass did not write this reference into {}", printable(file));
        let hint = format!("hallpass exec --grant {issuer}:{scope} -- COMMAND asks for it by name");
        return Ok(Err((reason, Some(hint))));
    }
    Ok(match granted(state, principal, &issuer, &kind) {
        Some(wanted) => Ok((issuer, Some(wanted))),
        None => {
            let reason = format!("no grant gives {} anything of {issuer}", printable(principal));
            Err((reason, Some(format!("hallpass grant add {} {issuer}:{scope}", printable(principal)))))
        }
    })
}

/// What the principal's grants give of the issuer without a question, as far as it fits into one token. The credential
/// itself does not where there is a token for it.
fn granted(state: &State, principal: &str, issuer: &str, kind: &IssuerKind) -> Option<Wanted> {
    let settings = state.settings();
    let fits = |scope: &Scope| *kind == IssuerKind::Static || scope.to_string() != release::SCOPE;
    let mine = settings.config.grants.iter().filter(|grant| {
        grant.principal == principal
            && grant.what.issuer == issuer
            && grant.approval != Approval::Never
            && grant.what.scopes.iter().any(fits)
    });
    let first = mine.clone().next()?.what.clone();
    let same = mine.filter(|grant| grant.what.resources == first.resources);
    let scopes = same.flat_map(|grant| grant.what.scopes.iter()).filter(|scope| fits(scope)).cloned();
    Some(Wanted { scopes: ScopeSet::new(scopes), ..first })
}
