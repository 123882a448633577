//! `adopt`: a tool asks hallpass instead of holding a key, and the way back.
//!
//! Owns the order: for each key of a file plan, take by the quarantine's journal, then the issuer and the grant. What is
//! written is what was shown; a file that changed in between is left.

mod beside;
mod entries;

use std::{collections::BTreeMap, path::Path, rc::Rc};

use super::{grant, helper, quarantine};
use crate::{
    adopt::{self as planner, Secret, Step, Tool, Tree},
    api::{
        List,
        adopt::{AdoptFiles, Adopted, AdoptedFile, Place, ToolFile, Undo, Undone},
        grant::AddGrant,
        problem::Code,
        quarantine::Restored,
    },
    audit::{Decision, Record},
    config::IssuerKind,
    daemon::{
        keeper::{Seen, Worker},
        state::{State, callers::Caller, names::PrincipalRecord},
        watcher,
    },
    detect::rule,
    error::{Error, Result},
    policy::Approval,
    principal::{HUMAN, Identity, Kind},
    quarantine::{self as engine, Expected, Quarantine, Replacement, Take, hide, mask},
    scan::read,
    secret,
    surface::{Catalogue, File, Format, Surface},
    sys,
};

/// The most files in one request.
const MAX_FILES: usize = 1000;

/// Adopts files, or says what would be done.
pub async fn adopt(state: &Rc<State>, caller: &Caller, request: AdoptFiles) -> Result<List<AdoptedFile>> {
    let identity = state.human_only(caller, "adopting a tool")?;
    if request.files.len() > MAX_FILES || !Path::new(&request.program).is_absolute() {
        return Err(Error::new(
            Code::InvalidValue,
            format!("one request may name {MAX_FILES} files, and an absolute program"),
        )
        .hint("hallpass adopt TOOL"));
    }
    let catalogue = Catalogue::built_in()?;
    let mut items = Vec::new();
    for named in &request.files {
        let mut done = AdoptedFile {
            path: named.path.clone(),
            tool: named.tool.clone(),
            places: Vec::new(),
            diff: String::new(),
            reloads: None,
            error: None,
            hint: None,
        };
        if let Err(error) = file(state, caller, &identity, &catalogue, &request, named, &mut done).await {
            (done.error, done.hint) = (Some(error.detail), error.hint);
        }
        items.push(done);
    }
    Ok(List { items })
}

async fn file(
    state: &Rc<State>,
    caller: &Caller,
    who: &Identity,
    catalogue: &Catalogue,
    request: &AdoptFiles,
    named: &ToolFile,
    done: &mut AdoptedFile,
) -> Result<()> {
    let _turn = state.credential_turn.lock().await;
    state.audit_ready()?;
    let path = Path::new(&named.path).to_path_buf();
    if !request.dry_run {
        watcher::count_again(state, &path)?;
    }
    let (surface, entry) = entry(catalogue, named)?;
    done.reloads = entry.reloads;
    let keeper = state.keeper()?;
    let looked = path.clone();
    let (look, text) = keeper
        .run(move |worker| {
            let look = worker.look(&looked, true)?;
            let mut buffer = read::Buffer::default();
            let limits = read::Limits { size: read::MAX_SIZE, network: true };
            let read = read::file(&looked, limits, &mut buffer).ok();
            let bytes = read.map(|()| buffer.bytes()).filter(|bytes| Expected::of(bytes) == look.expected);
            let text = bytes.and_then(|bytes| String::from_utf8(bytes.to_vec()).ok());
            let text = text.ok_or_else(|| {
                Error::new(Code::Io, "it is not UTF-8, or was written just now").hint("nothing was changed; try again")
            })?;
            Ok((look, text))
        })
        .await?;
    let seen = state.without_decoys(&path, look.seen);
    if seen.is_empty() {
        return Ok(());
    }
    let unread = || {
        Error::new(Code::InvalidValue, format!("{} could not read it: it does not parse", surface.title))
            .hint("mend it and try again; nothing was changed")
    };
    Tree::read(entry.format, text.as_bytes()).ok_or_else(unread)?;
    let names = quarantine::names(state, &seen, &BTreeMap::new(), &BTreeMap::new());
    let principal = surface.principal.as_deref().unwrap_or(&surface.name);
    let known = state.settings().rules.iter().any(|rule| rule.principal == principal);
    let mut beside = beside::read(&keeper, surface, named).await?;
    let (old, mut text) = (text.clone(), text);
    let (mut servers, mut renders) = entries::known(state);
    let rendered = state.paths.rendered_dir().display().to_string();
    let mut tried: Vec<&str> = Vec::new();
    for (one, name) in seen.iter().zip(&names) {
        if tried.contains(&one.fingerprint.as_str()) {
            continue;
        }
        tried.push(&one.fingerprint);
        let Some(value) = one.value.expose_str() else { continue };
        let route = route(state, name, one)?;
        let secret = Secret { value, name, route: route.as_ref().map(|(route, url)| (route, url.as_str())) };
        let tree = Tree::read(entry.format, text.as_bytes()).ok_or_else(unread)?;
        let tool = Tool {
            surface,
            format: entry.format,
            hallpass: &request.program,
            principal: known.then_some(principal),
            file: named.path.rsplit('/').next().unwrap_or_default(),
            paths: &named.paths,
            beside: &beside.iter().filter_map(|(name, file)| Some((name.clone(), file.tree()?))).collect(),
            servers: &servers,
            renders: &renders,
            rendered: &rendered,
        };
        let planned = planner::plan(&tool, &tree, std::slice::from_ref(&secret));
        let places = planned.outcomes.iter().map(|outcome| place(one, name, &outcome.at, outcome.what.as_ref()));
        let step = planned.outcomes.iter().find_map(|outcome| Some((&outcome.at, outcome.what.as_ref().ok()?)));
        let Some((at, step)) = step else {
            done.places.extend(places);
            continue;
        };
        let new = planner::edit::apply(entry.format, &text, &planned.edits);
        let new = new.filter(|new| Tree::read(entry.format, new.as_bytes()).is_some());
        let Some(new) = new else {
            let why =
                "it cannot be changed without touching something else (an anchor, a block, a key that is there twice)";
            done.places.push(place(one, name, at, Err(&why.to_owned())));
            continue;
        };
        let others: Vec<&str> = seen.iter().filter_map(|seen| seen.value.expose_str()).collect();
        let hunks = planner::hunks(&text, &new, &others);
        if others.iter().any(|other| hunks.iter().any(|(_, text)| text.contains(other))) {
            let why = "another key that stays is written on the same line";
            done.places.push(place(one, name, at, Err(&why.to_owned())));
            continue;
        }
        let changed = match &planned.beside {
            None => None,
            Some((named, edits)) => match beside.get(named).map(|file| (file, file.edited(edits))) {
                Some((_, Ok(new))) => Some((named.clone(), new)),
                other => {
                    let why = other.and_then(|(_, new)| new.err()).unwrap_or_default();
                    done.places.push(place(one, name, at, Err(&why)));
                    continue;
                }
            },
        };
        if let Some(Err(why)) = step.helper.as_ref().map(|wanted| helper::fits(state, wanted)) {
            done.places.push(place(one, name, at, Err(&why)));
            continue;
        }
        done.places.extend(places);
        if !request.dry_run {
            let value = step.stored.as_ref().map_or(one.value.expose(), |stored| stored.expose().as_bytes());
            let length = BTreeMap::from([(name.clone(), value.len() as u64)]);
            let is_ours = match &step.entry {
                Some(entry) => entries::is_ours(state, entry).await?,
                None => false,
            };
            let make = |path: &Path,
                        old: &str,
                        new: &str,
                        others: &[&str],
                        (at, check): (&str, &str),
                        made: bool,
                        edits: Edits<'_>| Take {
                path: path.to_path_buf(),
                replacements: planner::hunks(old, new, others)
                    .into_iter()
                    .map(|(span, text)| Replacement {
                        span,
                        credential: name.clone(),
                        value: secret::Secret::take(value.to_vec()),
                        text: text.into_bytes(),
                        key: one.key.clone(),
                        kind: one.kind.to_owned(),
                        fingerprint: one.fingerprint.clone(),
                    })
                    .collect(),
                expected: Expected::of(old.as_bytes()),
                adopted: Some(engine::Adopted {
                    tool: surface.name.clone(),
                    at: at.to_owned(),
                    want: step.want.to_string(),
                    check: check.to_owned(),
                    made,
                    with: step.with.word().to_owned(),
                    entry: step.entry.as_ref().map(planner::Entry::word),
                    entry_made: is_ours,
                    edits: edits.0.iter().map(|edit| (edit.at.clone(), edit.to.clone())).collect(),
                }),
                kept: edits.kept(),
            };
            let detail = format!("{} {at} {}", path.display(), step.want);
            state.record(Record::new("adopt", &who.principal, who.kind).decision(Decision::Allowed).detail(&detail))?;
            // The settings first: until the key is gone the tool has it, and the store has it by then.
            if let Some((named, new)) = &changed
                && let Some(file) = beside.get_mut(named)
                && file.text != *new
            {
                let first = planned.beside.iter().flat_map(|(_, edits)| edits).map(|edit| edit.at.as_str()).next();
                let all = [others.as_slice(), &file.others()].concat();
                let tree = file.tree();
                let beside = planned.beside.as_ref().map(|(_, edits)| edits.as_slice()).unwrap_or_default();
                let edits = Edits(beside, tree.as_ref());
                let at = first.unwrap_or_default();
                let take = make(&file.path, &file.text, new, &all, (at, ""), file.missing, edits);
                let item = file.take(&keeper, take).await?;
                state.watcher.forget(&file.path);
                quarantine::finish(state, &item, &length)?;
                allow(state, caller, step)?;
            }
            let edits = Edits(&planned.edits, Some(&tree));
            let take = make(&path, &text, &new, &others, (at, &step.check), false, edits);
            let (real, place) = (look.real.clone(), at.clone());
            // A line's number is the next one's as soon as it is gone.
            let named = entry.format != Format::Lines;
            let take = move |worker: &mut Worker| {
                let quarantine = worker.quarantine()?;
                if named {
                    forget_written_over(quarantine, &real, &place);
                }
                quarantine.take(&take).map_err(Error::from)
            };
            let item = keeper.run(take).await?;
            state.watcher.forget(&path);
            quarantine::finish(state, &item, &length)?;
            allow(state, caller, step)?;
            if let Some(entry) = &step.entry
                && let Err(error) = entries::make(state, who, entry).await
            {
                // What the tool would now ask for is not there.
                quarantine::restore(state, caller, &item.id).await?;
                return Err(error);
            }
        }
        match &step.entry {
            Some(planner::Entry::Mcp(server)) if !servers.contains(server) => servers.push(server.clone()),
            Some(planner::Entry::Render(render)) if !renders.contains(render) => renders.push(render.clone()),
            _ => {}
        }
        if let Some((named, new)) = changed
            && let Some(file) = beside.get_mut(&named)
        {
            file.text = new;
        }
        text = new;
    }
    // What went together with another key does not stay.
    if let Some(tree) = Tree::read(entry.format, text.as_bytes()) {
        let stands = |place: &Place| place.at == "/" || tree.get(&place.at).is_some();
        done.places.retain(|place| place.with.is_some() || stands(place));
    }
    for file in beside.values().filter(|file| file.text != file.old) {
        done.diff.push_str(&diff(
            &file.path.display().to_string(),
            &file.old,
            &file.text,
            &file.seen,
            &request.program,
        ));
    }
    let own = diff(&named.path, &old, &text, &seen, &request.program);
    done.diff.push_str(&own);
    Ok(())
}

/// Changes of a file, and the file before them.
struct Edits<'a>(&'a [planner::Edit], Option<&'a Tree>);

impl Edits<'_> {
    /// What stood at the places: what is kept for the way back where the tool writes its file anew.
    fn kept(&self) -> secret::Secret {
        let before = self.1.map(|tree| planner::reverse::before(tree, self.0)).unwrap_or_default();
        secret::Secret::take(serde_json::to_vec(&before).unwrap_or_default())
    }
}

/// What was adopted at this place before and then written over by the tool has no way back: this take has one.
fn forget_written_over(quarantine: &mut Quarantine, file: &Path, at: &str) {
    let here =
        |item: &engine::Item| item.target == file && item.adopted.as_ref().is_some_and(|adopted| adopted.at == at);
    let before = quarantine.list().into_iter().filter(|(item, step)| *step == engine::State::Quarantined && here(item));
    let before: Vec<String> = before.map(|(item, _)| item.id.clone()).collect();
    // Refused where something of it still stands, which then comes back with it.
    before.iter().for_each(|id| drop(quarantine.purge(id, false)));
}

/// The tool and its file that has this name.
fn entry<'a>(catalogue: &'a Catalogue, named: &ToolFile) -> Result<(&'a Surface, &'a File)> {
    let surface =
        catalogue.get(&named.tool).ok_or_else(|| super::not_found("tool", &named.tool, "hallpass adopt --help"))?;
    let file = surface.file_of(&named.path).ok_or_else(|| {
        Error::new(Code::InvalidValue, format!("{} has no file of this name", surface.title))
            .hint("hallpass adopt --help")
    })?;
    Ok((surface, file))
}

/// The route that stands in for the secret, with its address at the gateway: that of its issuer, where there is one.
fn route(state: &State, name: &str, seen: &Seen) -> Result<Option<(crate::gateway::catalogue::Route, String)>> {
    let settings = state.settings();
    let kind = match settings.config.issuers.get(name) {
        Some(issuer) => issuer.kind.clone(),
        None => quarantine::route_kind(state, rule::named(seen.kind).and_then(|rule| rule.route)),
    };
    let IssuerKind::Gateway { route, .. } = kind else { return Ok(None) };
    let Some(route) = settings.catalogue.get(&route).cloned() else { return Ok(None) };
    let url = state.gateway_url(&route.name)?;
    Ok(Some((route, url)))
}

fn place(seen: &Seen, name: &str, at: &str, what: std::result::Result<&Step, &String>) -> Place {
    Place {
        at: at.to_owned(),
        kind: seen.kind.to_owned(),
        credential: name.to_owned(),
        with: what.ok().map(|step| step.with.word().to_owned()),
        want: what.ok().map(|step| step.want.to_string()),
        principal: what.ok().map(|step| step.principal.clone()),
        helper: what.ok().and_then(|step| step.helper.clone()),
        link: what.ok().and_then(|step| step.link.clone()),
        start: what.ok().and_then(|step| step.start.clone()),
        why: what.err().cloned(),
    }
}

/// The grant that the tool needs, where none covers it; and its principal, where nothing knew it yet.
fn allow(state: &Rc<State>, caller: &Caller, step: &Step) -> Result<()> {
    let settings = state.settings();
    if let Some(rule) = settings.rules.iter().find(|rule| rule.principal == step.principal) {
        state.see_assistant(&rule.principal, rule.kind)?;
    } else if step.principal != HUMAN && state.names.borrow().principal(&step.principal).is_none() {
        state.put_principal(PrincipalRecord {
            name: step.principal.clone(),
            kind: Kind::McpServer,
            owner: sys::user_name(),
            description: Some("an MCP server that was adopted".into()),
            disabled: false,
            created_ms: sys::now().wall_ms,
            last_seen_ms: None,
        })?;
    }
    if let Some(wanted) = &step.helper {
        helper::ensure(state, caller, wanted)?;
    }
    let covers = |grant: &crate::policy::Grant| {
        grant.principal == step.principal && grant.approval != Approval::Never && grant.what.contains(&step.want)
    };
    if settings.config.grants.iter().any(covers) {
        return Ok(());
    }
    let request = AddGrant {
        principal: step.principal.clone(),
        what: step.want.clone(),
        max_ttl_seconds: None,
        approval: Approval::Auto,
        body: Default::default(),
        rate: None,
    };
    grant::add(state, caller, request).map(drop)
}

/// The change, with everything that may be a secret masked.
fn diff(path: &str, old: &str, new: &str, seen: &[Seen], program: &str) -> String {
    let masked = |line: &str| {
        let values = seen.iter().filter_map(|seen| seen.value.expose_str());
        let line = values.fold(line.to_owned(), |line, value| line.replace(value, &mask(value.as_bytes())));
        hide(&line.replace(program, "hallpass"))
    };
    let mut text = format!("--- {path}\n+++ {path}\n");
    for (span, added) in planner::hunks(old, new, &[]) {
        let removed = old.get(span.clone()).unwrap_or_default();
        let number = old.get(..span.start).unwrap_or_default().matches('\n').count() + 1;
        text.push_str(&format!("@@ -{number} @@\n"));
        removed.lines().for_each(|line| text.push_str(&format!("-{}\n", masked(line))));
        added.lines().for_each(|line| text.push_str(&format!("+{}\n", masked(line))));
    }
    text
}

/// Every place that is adopted now, in the order in which that happened.
pub async fn list(state: &Rc<State>) -> Result<List<Adopted>> {
    let items = quarantine::items(state).await?;
    let held = items.into_iter().filter(|(_, step)| *step == engine::State::Quarantined);
    let adopted = held.filter_map(|(item, _)| {
        let engine::Adopted { tool, at, want, check, with, .. } = item.adopted?;
        Some(Adopted { id: item.id, tool, path: item.path.display().to_string(), at, want, check, with })
    });
    Ok(List { items: adopted.collect() })
}

/// Puts files back, what was done last first.
pub async fn undo(state: &Rc<State>, caller: &Caller, request: Undo) -> Result<List<Undone>> {
    let identity = state.human_only(caller, "undoing an adoption")?;
    let catalogue = Catalogue::built_in()?;
    let mut items = Vec::new();
    let held = quarantine::items(state).await?.into_iter().map(|(item, _)| (item.id.clone(), item));
    let held: BTreeMap<String, engine::Item> = held.collect();
    let all = list(state).await?.items;
    for one in all.into_iter().rev().filter(|one| request.tool.as_ref().is_none_or(|tool| *tool == one.tool)) {
        let mut undone = Undone { path: one.path, restored: None, error: None, hint: None };
        let restored = match quarantine::restore(state, caller, &one.id).await {
            Err(error) if error.code == Code::InUse => match held.get(&one.id) {
                Some(item) => back(state, caller, &catalogue, item, error).await,
                None => Err(error),
            },
            other => other,
        };
        match restored {
            Ok(restored) => {
                if let Some(item) = held.get(&one.id) {
                    entries::unmake(state, &identity, item).await?;
                    if restored.identical && item.adopted.as_ref().is_some_and(|adopted| adopted.made) {
                        beside::unmake(state, item.path.clone()).await?;
                    }
                }
                undone.restored = Some(restored);
            }
            Err(error) => (undone.error, undone.hint) = (Some(error.detail), error.hint),
        }
        items.push(undone);
    }
    Ok(List { items })
}

/// Puts an item back into a file that its tool wrote anew, where exactly the replacement still stands.
async fn back(
    state: &Rc<State>,
    caller: &Caller,
    catalogue: &Catalogue,
    item: &engine::Item,
    refused: Error,
) -> Result<Restored> {
    let format = format_of(catalogue, item).ok_or(refused)?;
    let wanted = item.id.clone();
    let way = move |quarantine: &mut Quarantine| {
        quarantine.restore_by(&wanted, |item, bytes, kept| {
            let edits = item.adopted.iter().flat_map(|adopted| &adopted.edits);
            let edits: Vec<_> = edits.map(|(at, to)| planner::Edit { at: at.clone(), to: to.clone() }).collect();
            let before: Vec<_> = serde_json::from_slice(kept).ok()?;
            let text = std::str::from_utf8(bytes).ok()?;
            let new = planner::reverse::undone(format, text, &edits, &before)?;
            Some(planner::hunks(text, &new, &[]).into_iter().map(|(span, text)| (span, text.into_bytes())).collect())
        })
    };
    quarantine::restore_by(state, caller, &item.id, way).await
}

/// How the item's file is written: the tool's own, or the one beside it.
fn format_of(catalogue: &Catalogue, item: &engine::Item) -> Option<Format> {
    let surface = catalogue.get(&item.adopted.as_ref()?.tool)?;
    let beside = surface.replace.iter().filter_map(|entry| entry.beside.as_ref());
    let name = item.path.file_name()?.to_str()?;
    let mut beside = beside.filter(|beside| beside.file.iter().any(|path| path.rsplit('/').next() == Some(name)));
    let own = surface.file_of(item.path.to_str()?).map(|file| file.format);
    own.or_else(|| beside.next().map(|beside| beside.format))
}
