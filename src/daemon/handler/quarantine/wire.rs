//! Quarantine on the wire: what a client is told of a secret and of a file.

use super::named::route_kind;
use crate::{
    api::quarantine::{Item, ItemSecret, TakenSecret},
    config::IssuerKind,
    daemon::{
        handler::{release, rfc3339},
        keeper::Seen,
        state::State,
    },
    detect::{Class, rule},
    quarantine as engine,
};

/// Whether what stands in the secret's place is no reference.
fn is_decoy(hole: &engine::Hole) -> bool {
    !hole.replacement.windows(b"hallpass".len()).any(|part| part == b"hallpass")
}

/// `decoy`: whether one is left, or why not, where one was asked for.
pub(super) fn secret(state: &State, seen: &Seen, name: &str, decoy: Option<Result<(), &'static str>>) -> TakenSecret {
    let rule = rule::named(seen.kind);
    let kind = route_kind(state, rule.and_then(|rule| rule.route));
    let want = format!("{name}:{}", usual_scopes(state, &kind));
    let route = match kind {
        IssuerKind::Gateway { route, .. } => Some(route),
        IssuerKind::Static | IssuerKind::Native(_) => None,
    };
    TakenSecret {
        kind: seen.kind.to_owned(),
        class: class(seen.class).to_owned(),
        key: seen.key.clone(),
        credential: name.to_owned(),
        fingerprint: seen.fingerprint.clone(),
        route,
        want,
        revoke: rule.and_then(|rule| rule.revoke).map(ToOwned::to_owned),
        decoy: decoy == Some(Ok(())),
        no_decoy: decoy.and_then(Result::err).map(ToOwned::to_owned),
    }
}

/// The scopes that a person is told to grant, as one word of a shell: what tools usually need, never more than there is.
pub(in crate::daemon::handler) fn usual_scopes(state: &State, kind: &IssuerKind) -> String {
    let IssuerKind::Gateway { route, .. } = kind else { return release::SCOPE.to_owned() };
    let settings = state.settings();
    let usual = settings.catalogue.get(route).map(|route| route.default_scopes.as_slice()).unwrap_or_default();
    match usual {
        [] => "'*'".to_owned(),
        some => some.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
    }
}

/// A class's word.
pub fn class(class: Class) -> &'static str {
    match class {
        Class::Certain => "certain",
        Class::Likely => "likely",
    }
}

pub(super) fn item((item, step): &(engine::Item, engine::State)) -> Item {
    let secrets = item.holes.iter().map(|hole| ItemSecret {
        kind: hole.kind.clone(),
        credential: hole.credential.clone(),
        mask: hole.mask.clone(),
        fingerprint: hole.fingerprint.clone(),
        revoke: rule::named(&hole.kind).and_then(|rule| rule.revoke).map(ToOwned::to_owned),
        decoy: is_decoy(hole),
    });
    Item {
        id: item.id.clone(),
        path: item.path.display().to_string(),
        taken_at: rfc3339(item.taken_ms),
        state: match step {
            engine::State::Open => "open",
            engine::State::Quarantined => "quarantined",
            engine::State::Restored => "restored",
        }
        .to_owned(),
        secrets: secrets.collect(),
    }
}
