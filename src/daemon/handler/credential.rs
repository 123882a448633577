//! `credential`: what goes into the store, what is known of it, and the one audited way out.
//!
//! The order of writes is: store, read back, metadata, config. An error in the middle leaves the
//! credential in the store, and the message says so; it is never lost and never half replaced.

use std::rc::Rc;

use super::{new_name, not_found, rfc3339};
use crate::{
    api::{
        Done, List, SecretText,
        credential::{AddCredential, Credential, RenameCredential, RevealCredential, Revealed, RotateCredential},
        problem::Code,
        route::AddRoute,
    },
    audit::{Decision, Record},
    config::{self, Issuer, IssuerKind},
    daemon::{
        renderer,
        state::{State, callers::Caller, names::CredentialRecord},
    },
    error::{Error, Result},
    gateway::catalogue,
    principal::{Identity, printable},
    secret::Secret,
    store::{Store, StoreError},
    sys,
    task::EndReason,
};

/// The longest credential, in bytes: a private key or a service account file fits.
const MAX_VALUE: usize = 64 * 1024;

/// All of them.
pub fn list(state: &State) -> List<Credential> {
    let items = state.names.borrow().credentials().map(|record| wire(state, record)).collect();
    List { items }
}

/// One.
pub fn show(state: &State, name: &str) -> Result<Credential> {
    Ok(wire(state, &find(state, name)?))
}

/// Puts a new one into the store, and makes an issuer of it when there is a route for it.
pub async fn add(state: &Rc<State>, caller: &Caller, request: AddCredential) -> Result<Credential> {
    let identity = state.human_only(caller, "adding a credential")?;
    let _turn = state.credential_turn.lock().await;
    let AddCredential { name, value, route, base_url, owner, source } = request;
    new_name("credential", &name)?;
    let value = checked(value)?;
    if state.names.borrow().credential(&name).is_some() {
        return Err(Error::new(Code::Exists, format!("there is a credential {name:?} already"))
            .hint(format!("`hallpass credential rotate {name}` replaces its value")));
    }
    let issuer = issuer_for(state, &name, route, base_url)?;
    let store = state.store.borrow().clone();
    // A store that outlived its state (a new machine, a removed folder) may hold the name already.
    match store.get(&name).await {
        Err(StoreError::NotFound) => {}
        // An add of the same value that was cut off before the daemon had noted it: it goes on from there.
        Ok(kept) if kept.expose() == value.expose() => {}
        Ok(_) => {
            return Err(Error::new(
                Code::Exists,
                format!("the store holds a {name:?} that this daemon knows nothing of"),
            )
            .hint("remove or rename it in the store itself, or choose another name"));
        }
        Err(error) => return Err(error.into()),
    }
    let length = value.len();
    store_checked(&store, &name, &value).await?;
    record(state, "credential.add", &identity, &name, Decision::Done)?;
    let record = CredentialRecord {
        name: name.clone(),
        owner: owner.unwrap_or_else(sys::user_name),
        source: source.unwrap_or_else(|| "api".into()),
        created_ms: sys::now().wall_ms,
        rotated_ms: None,
        last_used_ms: None,
        length: u64::try_from(length).unwrap_or(u64::MAX),
        fingerprint: None,
        kind: None,
        revoked_ms: None,
    };
    state.put_credential(record.clone())?;
    if let Some(issuer) = issuer {
        config::edit::add_issuer(&state.paths.config(), &name, &issuer)?;
        state.reload()?;
    }
    Ok(wire(state, &record))
}

/// Replaces a value. Leases go on: they name the credential, and the next request uses the new value.
pub async fn rotate(state: &Rc<State>, caller: &Caller, name: &str, request: RotateCredential) -> Result<Credential> {
    let identity = state.human_only(caller, "replacing a credential")?;
    let _turn = state.credential_turn.lock().await;
    let mut known = find(state, name)?;
    let value = checked(request.value)?;
    let store = state.store.borrow().clone();
    record(state, "credential.rotate", &identity, name, Decision::Done)?;
    store_checked(&store, name, &value).await?;
    known.rotated_ms = Some(sys::now().wall_ms);
    known.length = u64::try_from(value.len()).unwrap_or(u64::MAX);
    known.fingerprint = None;
    known.revoked_ms = None;
    state.put_credential(known.clone())?;
    for issuer in issuers_of(state, name) {
        state.forget_connections(&issuer);
    }
    renderer::forget_content(state, name).await;
    Ok(wire(state, &known))
}

/// Gives it another name; issuers that use it follow.
pub async fn rename(state: &Rc<State>, caller: &Caller, name: &str, request: RenameCredential) -> Result<Credential> {
    let identity = state.human_only(caller, "renaming a credential")?;
    let _turn = state.credential_turn.lock().await;
    let mut known = find(state, name)?;
    let to = request.to;
    new_name("credential", &to)?;
    let store = state.store.borrow().clone();
    // A rename that was cut off has moved the value already; the same call then finishes the rest.
    let moved = is_moved(state, &store, &known, &to).await;
    if !moved && state.names.borrow().credential(&to).is_some() {
        return Err(
            Error::new(Code::Exists, format!("there is a credential {to:?} already")).hint("choose another name")
        );
    }
    record(state, "credential.rename", &identity, name, Decision::Done)?;
    if !moved {
        store.rename(name, &to).await?;
    }
    known.name = to.clone();
    state.put_credential(known.clone())?;
    config::edit::rename_issuer_credential(&state.paths.config(), name, &to)?;
    state.forget_credential(name)?;
    state.reload()?;
    Ok(wire(state, &known))
}

/// True when `to` is this very credential, already under its new name in the store.
async fn is_moved(state: &State, store: &Store, known: &CredentialRecord, to: &str) -> bool {
    let same = state.names.borrow().credential(to).is_none_or(|other| other.created_ms == known.created_ms);
    let gone = || async { matches!(store.get(&known.name).await, Err(StoreError::NotFound)) };
    same && store.get(to).await.is_ok() && gone().await
}

/// Removes it, and ends the leases of the issuers that use it.
pub async fn remove(state: &Rc<State>, caller: &Caller, name: &str) -> Result<Done> {
    let identity = state.human_only(caller, "removing a credential")?;
    let _turn = state.credential_turn.lock().await;
    find(state, name)?;
    unused_by_files(state, name).await?;
    record(state, "credential.remove", &identity, name, Decision::Done)?;
    let issuers = issuers_of(state, name);
    let leases = state.leases.borrow().ids(|lease| issuers.contains(&lease.what.issuer));
    state.end_leases(leases, EndReason::GrantGone)?;
    let store = state.store.borrow().clone();
    match store.remove(name).await {
        Ok(()) | Err(StoreError::NotFound) => {}
        Err(error) => return Err(error.into()),
    }
    for issuer in issuers {
        state.forget_connections(&issuer);
        config::edit::remove_issuer(&state.paths.config(), &issuer)?;
    }
    state.forget_credential(name)?;
    state.reload()?;
    Ok(Done { done: true })
}

/// Refuses what would leave references in files that nothing can fill in any more.
async fn unused_by_files(state: &Rc<State>, name: &str) -> Result<()> {
    let items = super::quarantine::standing(state).await?;
    let Some(item) = items.iter().find(|item| item.holes.iter().any(|hole| hole.credential == name)) else {
        return Ok(());
    };
    let (file, id) = (printable(&item.path.to_string_lossy()), &item.id);
    Err(Error::new(Code::InUse, format!("{file} refers to {name:?}")).hint(format!(
        "`hallpass quarantine restore {id}` puts it back, `hallpass quarantine purge --force {id}` forgets the file"
    )))
}

/// Shows the value to a person at a terminal. The record is written first.
pub async fn reveal(state: &Rc<State>, caller: &Caller, name: &str, request: RevealCredential) -> Result<Revealed> {
    let identity = state.human_only(caller, "revealing a credential")?;
    find(state, name)?;
    let store = state.store.borrow().clone();
    let value = store.get(name).await?;
    caller.recheck()?;
    let reason = printable(request.reason.as_deref().unwrap_or("no reason given"));
    let reason: String = reason.chars().take(200).collect();
    state.record(
        Record::new("credential.reveal", &identity.principal, identity.kind)
            .evidence(Some(&caller.evidence().summary()))
            .issuer(name)
            .decision(Decision::Allowed)
            .detail(&reason),
    )?;
    let text = value.expose_str().ok_or_else(|| {
        Error::new(Code::InvalidValue, format!("{name:?} is not text and cannot be shown")).hint("rotate it")
    })?;
    Ok(Revealed { name: name.into(), value: SecretText::new(text) })
}

pub(super) fn find(state: &State, name: &str) -> Result<CredentialRecord> {
    let hint = "hallpass credential list";
    state.names.borrow().credential(name).cloned().ok_or_else(|| not_found("credential", name, hint))
}

/// The issuer a new credential becomes, when a route is named or one has the credential's name.
fn issuer_for(state: &State, name: &str, route: Option<String>, base_url: Option<String>) -> Result<Option<Issuer>> {
    let settings = state.settings();
    if settings.config.issuers.contains_key(name) {
        return Ok(None);
    }
    let named = route.is_some();
    let route = route.unwrap_or_else(|| name.to_owned());
    let Some(found) = settings.catalogue.get(&route) else {
        return if named || base_url.is_some() {
            Err(not_found("route", &route, "hallpass route list; hallpass route add NAME BASE_URL makes one"))
        } else {
            Ok(None)
        };
    };
    let needs_url = found.base_url.contains('{');
    if needs_url && base_url.is_none() {
        return Err(Error::new(Code::InvalidValue, format!("{route} has a host of your own: {}", found.base_url))
            .hint(format!("hallpass credential add {name} --route {route} --base-url https://YOUR-HOST")));
    }
    if let Some(url) = &base_url {
        // Judged by the rule that a route of one's own with this URL would be judged by.
        catalogue::from_wire(&AddRoute {
            name: name.into(),
            base_url: url.clone(),
            allow_private: found.allow_private,
            ..AddRoute::default()
        })?;
    }
    Ok(Some(Issuer { kind: IssuerKind::Gateway { route, base_url }, credential: Some(name.into()) }))
}

pub(super) fn issuers_of(state: &State, credential: &str) -> Vec<String> {
    let settings = state.settings();
    let mine = settings.config.issuers.iter().filter(|(_, issuer)| issuer.credential.as_deref() == Some(credential));
    mine.map(|(name, _)| name.clone()).collect()
}

/// A value that can be a credential: not empty and not endless. Whether it fits into a header is judged where it is
/// injected: a key file with line breaks may rest here, and never reaches a header.
fn checked(value: SecretText) -> Result<Secret> {
    let secret = Secret::take_string(value.expose().to_owned());
    let wrong = match secret.len() {
        0 => "it is empty",
        length if length > MAX_VALUE => "it is longer than 64 KiB",
        _ => return Ok(secret),
    };
    Err(Error::new(Code::InvalidValue, format!("this cannot be a credential: {wrong}"))
        .hint("give the value on standard input, at the prompt or with --fd"))
}

/// Stores a value and reads it back: a store that says yes and keeps nothing is found out now.
async fn store_checked(store: &Store, name: &str, value: &Secret) -> Result<()> {
    store.put(name, value.clone()).await?;
    let kept = store.get(name).await?;
    if kept.expose() == value.expose() {
        Ok(())
    } else {
        Err(Error::new(Code::StoreUnavailable, "the store gave back another value than it was given")
            .hint("keep your copy of the key; `hallpass doctor` looks at the store"))
    }
}

pub(super) fn record(state: &State, event: &'static str, who: &Identity, name: &str, decision: Decision) -> Result<()> {
    state.record(Record::new(event, &who.principal, who.kind).issuer(name).decision(decision))
}

fn wire(state: &State, record: &CredentialRecord) -> Credential {
    Credential {
        name: record.name.clone(),
        owner: record.owner.clone(),
        source: record.source.clone(),
        created_at: rfc3339(record.created_ms),
        rotated_at: record.rotated_ms.map(rfc3339),
        last_used_at: record.last_used_ms.map(rfc3339),
        length: record.length,
        kind: record.kind.clone(),
        revoked_at: record.revoked_ms.map(rfc3339),
        issuers: issuers_of(state, &record.name),
    }
}
