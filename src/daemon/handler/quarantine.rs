//! `quarantine`: secrets out of files into the store, and back.
//!
//! Owns the order of a take and what follows it: metadata, an issuer, the note that the reference
//! is ours, the record. Each step may be cut off; [`finish`] does what is missing of them, whenever it is called.

mod named;
mod wire;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    rc::Rc,
};

pub(super) use named::{Planned, names, route_kind};
use named::{base, decoys};
pub use wire::class;
pub(super) use wire::usual_scopes;

use crate::{
    api::{
        Done, List,
        problem::Code,
        quarantine::{Item, ItemDiff, Purge, Restored, TakeFiles, Taken},
    },
    audit::{Decision, Record},
    config::{self, Issuer},
    daemon::{
        keeper::{Seen, Worker},
        state::{State, callers::Caller, names::CredentialRecord},
        watcher,
    },
    detect::{Class, rule},
    error::{Error, Result},
    principal::{Identity, Kind, printable},
    quarantine::{self as engine, Quarantine, Replacement, Take, TakeError},
    secret::Secret,
    sys,
};

/// The most files in one request.
const MAX_FILES: usize = 1000;
/// How often another name is tried for a secret whose name is taken.
const MAX_NAMES: usize = 64;

/// Takes the secrets out of files, or says what would be done.
pub async fn take(state: &Rc<State>, caller: &Caller, request: TakeFiles) -> Result<List<Taken>> {
    let identity = state.human_only(caller, "quarantining a file")?;
    if request.paths.len() > MAX_FILES {
        return Err(Error::new(Code::InvalidValue, format!("one request may name {MAX_FILES} files"))
            .hint("split it in several"));
    }
    let mut items = Vec::new();
    let mut planned = Planned::new();
    for path in &request.paths {
        let absolute = absolute(path)?;
        if !request.dry_run {
            watcher::count_again(state, &absolute)?;
        }
        let taken = file(state, &identity, &absolute, &request, &mut planned).await;
        items.push(taken.unwrap_or_else(|error| Taken {
            path: path.clone(),
            id: None,
            secrets: Vec::new(),
            left: 0,
            diff: None,
            error: Some(error.detail),
            hint: error.hint,
        }));
    }
    Ok(List { items })
}

/// Takes the secrets out of one file: what the verb and the watcher both do.
pub async fn file(
    state: &Rc<State>,
    who: &Identity,
    path: &Path,
    request: &TakeFiles,
    planned: &mut Planned,
) -> Result<Taken> {
    let _turn = state.credential_turn.lock().await;
    state.audit_ready()?;
    let keeper = state.keeper()?;
    let named = who.kind != Kind::Service;
    let mut tried: BTreeMap<String, usize> = BTreeMap::new();
    loop {
        let looked = path.to_path_buf();
        let look = keeper.run(move |worker| worker.look(&looked, named)).await?;
        let mut seen = state.without_decoys(path, look.seen);
        if request.watched {
            let stays = watcher::put_back(state, &look.real);
            seen.retain(|one| !stays.contains(&one.fingerprint));
        }
        let (chosen, left): (Vec<Seen>, Vec<Seen>) = seen.into_iter().partition(|seen| {
            let sure = seen.class == Class::Certain || request.likely;
            sure && (request.only.is_empty() || request.only.contains(&seen.fingerprint))
        });
        let names = names(state, &chosen, &tried, planned);
        let decoys = decoys(state, &chosen, request)?;
        let made = |seen: &Seen| decoys.get(&seen.fingerprint).map(|made| made.as_ref().map(drop).map_err(|why| *why));
        let secrets =
            chosen.iter().zip(&names).map(|(seen, name)| wire::secret(state, seen, name, made(seen))).collect();
        let mut taken = Taken {
            path: path.display().to_string(),
            id: None,
            secrets,
            left: left.len() as u64,
            diff: None,
            error: None,
            hint: None,
        };
        if chosen.is_empty() {
            return Ok(taken);
        }
        if look.wide {
            return Err(Error::new(
                Code::InvalidValue,
                "the file is UTF-16 or holds NUL bytes, where no reference can be written",
            )
            .hint("save it as UTF-8 text and try again"));
        }
        let prints: Vec<String> = chosen.iter().map(|seen| seen.fingerprint.clone()).collect();
        let lengths: BTreeMap<String, u64> =
            chosen.iter().zip(&names).map(|(seen, name)| (name.clone(), seen.value.len() as u64)).collect();
        let replacements = chosen.into_iter().zip(&names).map(|(seen, name)| Replacement {
            text: decoys
                .get(&seen.fingerprint)
                .and_then(|made| made.clone().ok())
                .unwrap_or_else(|| engine::reference(name, look.kind, seen.quote, seen.in_url)),
            span: seen.span,
            credential: name.clone(),
            value: seen.value,
            key: seen.key,
            kind: seen.kind.to_owned(),
            fingerprint: seen.fingerprint,
        });
        let take = Take {
            path: path.to_path_buf(),
            replacements: replacements.collect(),
            expected: look.expected,
            adopted: None,
            kept: Secret::take(Vec::new()),
        };
        if request.dry_run {
            planned.extend(prints.into_iter().zip(names));
            taken.diff = Some(keeper.run(move |_| Quarantine::plan(&take).map_err(Error::from)).await?);
            return Ok(taken);
        }
        // The record comes first: what cannot be recorded is not done.
        let detail = format!("{} {}", path.display(), some_of(&names));
        state.record(
            Record::new("quarantine.take", &who.principal, who.kind).decision(Decision::Allowed).detail(&detail),
        )?;
        let is_decoy = |print: &str| decoys.get(print).is_some_and(|made| made.is_ok());
        for replacement in take.replacements.iter().filter(|one| is_decoy(&one.fingerprint)) {
            state.note_decoy(&replacement.text, path, &replacement.credential)?;
        }
        match keeper.run(move |worker| Ok(worker.quarantine()?.take(&take))).await? {
            Ok(item) => {
                state.watcher.forget(path);
                finish(state, &item, &lengths)?;
                taken.id = Some(item.id);
                return Ok(taken);
            }
            // Another value rests under the name, and nothing here knows its fingerprint.
            Err(TakeError::NameTaken(name)) if tried.values().sum::<usize>() < MAX_NAMES => {
                *tried.entry(base(&name).to_owned()).or_default() += 1;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// The names, each once, for a record: of very many the first, and how many more there are.
fn some_of(names: &[String]) -> String {
    const SHOWN: usize = 32;
    let mut seen = BTreeSet::new();
    let names: Vec<&str> = names.iter().map(String::as_str).filter(|name| seen.insert(*name)).collect();
    let more = names.len().saturating_sub(SHOWN);
    let shown = names.into_iter().take(SHOWN).collect::<Vec<_>>().join(",");
    if more == 0 { shown } else { format!("{shown} and {more} more") }
}

/// What follows a take; does only what is missing.
pub fn finish(state: &Rc<State>, item: &engine::Item, lengths: &BTreeMap<String, u64>) -> Result<()> {
    let settings = state.settings();
    let served: BTreeSet<&str> =
        settings.config.issuers.values().filter_map(|issuer| issuer.credential.as_deref()).collect();
    let (mut records, mut issuers, mut seen) = (Vec::new(), Vec::new(), BTreeSet::new());
    // The same secret may stand in the file twice.
    for hole in item.holes.iter().filter(|hole| seen.insert(hole.credential.as_str())) {
        let name = &hole.credential;
        let known = state.names.borrow().credential(name).cloned();
        let record = match known {
            Some(record) if record.fingerprint.is_some() => None,
            Some(record) => Some(CredentialRecord {
                fingerprint: Some(hole.fingerprint.clone()),
                kind: Some(hole.kind.clone()),
                ..record
            }),
            None => Some(CredentialRecord {
                name: name.clone(),
                owner: sys::user_name(),
                source: format!("quarantine of {}", item.path.display()),
                created_ms: item.taken_ms,
                rotated_ms: None,
                last_used_ms: None,
                length: lengths.get(name).copied().unwrap_or_default(),
                fingerprint: Some(hole.fingerprint.clone()),
                kind: Some(hole.kind.clone()),
                revoked_ms: None,
            }),
        };
        records.extend(record);
        if !served.contains(name.as_str()) {
            let kind = route_kind(state, rule::named(&hole.kind).and_then(|rule| rule.route));
            issuers.push((name.as_str(), Issuer { kind, credential: Some(name.clone()) }));
        }
    }
    // In one write each: a file may have thousands, and the state's thread serves everybody.
    state.put_credentials(records)?;
    if !issuers.is_empty() {
        config::edit::add_issuers(&state.paths.config(), &issuers)?;
        state.reload()?;
    }
    // Last, because it says that the rest was done.
    state.note_references(item)
}

/// Finishes what an earlier run began, where there is a quarantine at all.
pub async fn resume(state: &Rc<State>) -> Result<()> {
    if !state.paths.state_dir.join("quarantine").is_dir() {
        return Ok(());
    }
    // With the store open now, what it was needed for can be settled.
    let settle = |worker: &mut Worker| worker.quarantine().map(|quarantine| drop(quarantine.settle()));
    state.keeper()?.run(settle).await?;
    for (item, step) in items(state).await? {
        // What a person removed after it was finished stays removed.
        if step == engine::State::Quarantined && !state.is_all_noted(&item)? {
            finish(state, &item, &BTreeMap::new())?;
        }
    }
    Ok(())
}

/// What stands in files now, where there is a quarantine at all.
pub async fn standing(state: &Rc<State>) -> Result<Vec<engine::Item>> {
    if !state.paths.state_dir.join("quarantine").is_dir() {
        return Ok(Vec::new());
    }
    let items = items(state).await?.into_iter();
    Ok(items.filter(|(_, step)| *step == engine::State::Quarantined).map(|(item, _)| item).collect())
}

/// Everything that was quarantined, newest first.
pub async fn list(state: &Rc<State>) -> Result<List<Item>> {
    let mut items: Vec<Item> = items(state).await?.iter().map(wire::item).collect();
    items.reverse();
    Ok(List { items })
}

/// One quarantined file.
pub async fn show(state: &Rc<State>, id: &str) -> Result<Item> {
    let items = items(state).await?;
    items.iter().find(|(item, _)| item.id == id).map(wire::item).ok_or_else(|| engine::RestoreError::NoSuchItem.into())
}

/// What was changed in a file.
pub async fn diff(state: &Rc<State>, id: &str) -> Result<ItemDiff> {
    let wanted = id.to_owned();
    let diff = state.keeper()?.run(move |worker| worker.quarantine()?.diff(&wanted).map_err(Error::from)).await?;
    Ok(ItemDiff { id: id.to_owned(), diff })
}

/// Puts a file's secrets back.
pub async fn restore(state: &Rc<State>, caller: &Caller, id: &str) -> Result<Restored> {
    let wanted = id.to_owned();
    restore_by(state, caller, id, move |quarantine| quarantine.restore(&wanted)).await
}

/// The same in another way.
pub(super) async fn restore_by(
    state: &Rc<State>,
    caller: &Caller,
    id: &str,
    way: impl FnOnce(&mut Quarantine) -> std::result::Result<engine::Restored, engine::RestoreError> + Send + 'static,
) -> Result<Restored> {
    let identity = state.human_only(caller, "putting a secret back into a file")?;
    record(state, "quarantine.restore", &identity, id)?;
    let keeper = state.keeper()?;
    // Before the file changes: the watcher must not take again what a person wants back.
    if let Some((item, _)) = items(state).await?.into_iter().find(|(item, _)| item.id == id) {
        let prints: Vec<String> = item.holes.into_iter().map(|hole| hole.fingerprint).collect();
        watcher::leave(state, &item.target, &prints)?;
    }
    let done = keeper.run(move |worker| way(worker.quarantine()?).map_err(Error::from)).await?;
    let others = items(state).await?;
    let others = others.iter().filter(|(item, step)| *step == engine::State::Quarantined && item.id != id);
    state.forget_references(&done.item, others.map(|(item, _)| item))?;
    Ok(Restored {
        id: id.to_owned(),
        path: done.item.path.display().to_string(),
        identical: done.exact,
        missing: done.without_place,
    })
}

/// Forgets how a file's secrets were written; the credentials stay.
pub async fn purge(state: &Rc<State>, caller: &Caller, id: &str, request: Purge) -> Result<Done> {
    let identity = state.human_only(caller, "forgetting a quarantine")?;
    record(state, "quarantine.purge", &identity, id)?;
    let wanted = id.to_owned();
    let keeper = state.keeper()?;
    keeper.run(move |worker| worker.quarantine()?.purge(&wanted, request.force).map_err(Error::from)).await?;
    Ok(Done { done: true })
}

pub(super) async fn items(state: &Rc<State>) -> Result<Vec<(engine::Item, engine::State)>> {
    let list =
        |quarantine: &mut Quarantine| quarantine.list().into_iter().map(|(item, step)| (item.clone(), step)).collect();
    state.keeper()?.run(move |worker| worker.quarantine().map(list)).await
}

fn record(state: &State, event: &'static str, who: &Identity, id: &str) -> Result<()> {
    state.record(Record::new(event, &who.principal, who.kind).decision(Decision::Allowed).detail(&printable(id)))
}

fn absolute(path: &str) -> Result<PathBuf> {
    let path = PathBuf::from(path);
    if path.is_absolute() {
        return Ok(path);
    }
    Err(Error::new(Code::InvalidValue, "a file is named by its absolute path").hint("hallpass quarantine FILE"))
}
