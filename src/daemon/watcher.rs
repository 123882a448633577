//! The watcher within the daemon: from a file that was written to a finding that is told or taken.
//!
//! Owns the watcher's life and what is known of findings. What is watched is the config's; what is done in a file
//! is `handler::quarantine`'s. It runs only while there is something to watch.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet, HashMap},
    path::{Path, PathBuf},
    rc::Rc,
    time::{Duration, Instant},
};

use tokio::sync::{Notify, mpsc};

use super::{
    handler::{quarantine, rfc3339},
    keeper::{self, Look},
    state::{State, db::Table},
};
use crate::{
    api::{
        problem::Code,
        quarantine::{Finding, TakeFiles},
        watch::{Mode, WatchStatus, WatchSummary},
    },
    audit::{Decision, Record},
    detect::Class,
    error::{Error, Result},
    principal::{Identity, Kind, NamedBy},
    sys,
    watch::{self, Rounds, Seen, Verdict, Watch, WatchConfig},
};

/// Who takes a secret out of a file by itself.
const WATCHER: &str = "hallpass";
/// How often a file that is busy is tried again, and how long after the first time.
const TRIES: u32 = 8;
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// The longest time between two tries while the store is locked: a keyring may be opened without a word to us.
const LONGEST_WAIT: Duration = Duration::from_secs(5 * 60);
/// The most files of which findings are remembered.
const MAX_FILES: usize = 10_000;

/// The watcher's part of the state.
#[derive(Default)]
pub struct Watcher {
    running: RefCell<Option<Watch>>,
    rounds: RefCell<Rounds>,
    findings: RefCell<BTreeMap<PathBuf, Vec<Finding>>>,
    /// Files whose secrets could not be taken yet; each has one task that tries again.
    waiting: RefCell<BTreeSet<PathBuf>>,
    /// Counts what `apply` was told: a task that waits for another config's sake ends.
    applied: Cell<u64>,
    opened: Notify,
}

impl Watcher {
    /// Secrets that were seen and are still there.
    pub fn findings(&self) -> Vec<Finding> {
        // A file that was removed tells nobody.
        self.findings.borrow_mut().retain(|path, _| path.symlink_metadata().is_ok());
        self.findings.borrow().values().flatten().cloned().collect()
    }

    /// How it is.
    pub fn status(&self, state: &State) -> WatchStatus {
        let status = self.running.borrow().as_ref().map(Watch::status).unwrap_or_default();
        let config = state.settings().config.watch.clone();
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        let text = |paths: Vec<PathBuf>| paths.iter().map(|path| path.display().to_string()).collect();
        WatchStatus {
            places: config.places(&state.paths),
            roots: config.roots,
            ready: status.ready,
            folders: count(status.folders),
            projects: count(status.projects),
            degraded: status.degraded,
            polling: text(status.polling),
            left_alone: text(status.left_alone),
            rescans: status.rescans,
        }
    }

    /// How it is, in short.
    pub fn summary(&self) -> WatchSummary {
        let status = self.running.borrow().as_ref().map(Watch::status).unwrap_or_default();
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        WatchSummary {
            folders: count(status.folders),
            degraded: status.degraded,
            polling: count(status.polling.len()),
            left_alone: count(status.left_alone.len()),
            findings: count(self.findings().len()),
        }
    }

    /// The store was unlocked: what waits for it is tried again at once.
    pub fn unlocked(&self) {
        self.opened.notify_waiters();
    }

    /// Forgets what was found in a file.
    pub fn forget(&self, path: &Path) {
        self.findings.borrow_mut().remove(path);
    }
}

/// What the watcher's thread says.
enum News {
    /// A file was written after a rest, and is not done yet.
    Stirred(PathBuf),
    /// A file is to be looked at.
    Seen(Seen),
}

/// Watches what the config says from now on.
pub fn apply(state: &Rc<State>) -> Result<()> {
    let roots = roots(state);
    let mut running = state.watcher.running.borrow_mut();
    state.watcher.applied.set(state.watcher.applied.get().wrapping_add(1));
    state.watcher.waiting.borrow_mut().clear();
    let is_watched = |path: &Path| {
        let above = roots.iter().filter(|root| path.starts_with(&root.path));
        above.max_by_key(|root| root.path.as_os_str().len()).is_some_and(|root| root.mode != watch::Mode::Off)
    };
    state.watcher.findings.borrow_mut().retain(|path, _| is_watched(path));
    if roots.is_empty() {
        *running = None;
        return Ok(());
    }
    let mut config = WatchConfig::new(roots);
    // A secret that was pasted while the daemon did not run is seen at its start.
    config.existing = true;
    if let Some(watch) = &*running {
        watch.reload(config);
        return Ok(());
    }
    let (sender, mut news) = mpsc::unbounded_channel::<News>();
    let early = sender.clone();
    let stirred = move |path: &Path| drop(early.send(News::Stirred(path.to_path_buf())));
    let watch =
        Watch::start_and_stir(config, move |seen| drop(sender.send(News::Seen(seen))), stirred).map_err(|e| {
            crate::error::Error::new(Code::Io, format!("the watcher cannot be started: {e}"))
                .hint("`hallpass doctor` looks at the limits")
        })?;
    *running = Some(watch);
    let weak = Rc::downgrade(state);
    tokio::task::spawn_local(async move {
        while let Some(news) = news.recv().await {
            let Some(state) = weak.upgrade() else { return };
            match news {
                News::Stirred(path) => drop(state.keeper().map(|keeper| keeper.warm(path))),
                News::Seen(seen) => {
                    if look(&state, &seen, true).await.is_some() {
                        later(&state, seen);
                    }
                }
            }
        }
    });
    Ok(())
}

fn roots(state: &State) -> Vec<watch::Root> {
    let config = state.settings().config.watch.clone();
    let mode = |mode: Mode| match mode {
        Mode::Off => watch::Mode::Off,
        Mode::Notify => watch::Mode::Notify,
        Mode::Quarantine => watch::Mode::Quarantine,
    };
    let added = config.roots.iter().map(|root| {
        let path = PathBuf::from(&root.path);
        match root.projects {
            true => watch::Root::search(path, mode(root.mode), 4),
            false => watch::Root::folder(path, mode(root.mode)),
        }
    });
    let places = config.places(&state.paths);
    let known = if places == Mode::Off { Vec::new() } else { crate::scan::places::to_watch().unwrap_or_default() };
    known.into_iter().map(|path| watch::Root::place(path, mode(places))).chain(added).collect()
}

/// Tries a file again until it is done, each time later than the last.
fn later(state: &Rc<State>, seen: Seen) {
    if !state.watcher.waiting.borrow_mut().insert(seen.path.clone()) {
        return;
    }
    let (state, applied) = (Rc::clone(state), state.watcher.applied.get());
    tokio::task::spawn_local(async move {
        let (mut wait, mut tries) = (FIRST_WAIT, 1);
        // Made before each look: an unlock during it is not missed.
        let mut opened = Box::pin(state.watcher.opened.notified());
        loop {
            tokio::select! {
                () = tokio::time::sleep(wait) => wait = (wait * 2).min(LONGEST_WAIT),
                () = &mut opened => wait = FIRST_WAIT,
                () = state.shutdown.cancelled() => return,
            }
            // With another config everything is looked at again.
            if state.watcher.applied.get() != applied {
                return;
            }
            opened = Box::pin(state.watcher.opened.notified());
            tries += 1;
            let patient = tries < TRIES;
            match look(&state, &seen, patient).await {
                Some(error) if patient || is_closed(&error) => {}
                _ => break,
            }
        }
        if state.watcher.applied.get() == applied {
            state.watcher.waiting.borrow_mut().remove(&seen.path);
        }
    });
}

/// The store is what is in the way, and not the file.
fn is_closed(error: &Error) -> bool {
    matches!(error.code, Code::StoreLocked | Code::StoreUnavailable)
}

/// Looks at one file, tells what is in it, and takes what may be taken. What may work a moment later is given
/// back; while `patient`, a file that is busy is not told.
async fn look(state: &Rc<State>, seen: &Seen, patient: bool) -> Option<Error> {
    let Ok(keeper) = state.keeper() else { return None };
    let path = seen.path.clone();
    let Ok(mut look) = keeper.run(move |worker| worker.look(&path, false)).await else {
        // Gone, or no text: there is nothing to tell of it.
        state.watcher.forget(&seen.path);
        return None;
    };
    look.seen = state.without_decoys(&seen.path, look.seen);
    if look.seen.is_empty() {
        state.watcher.forget(&seen.path);
        return None;
    }
    let put_back = put_back(state, &look.real);
    let (mut take, mut stopped) = (Vec::new(), None);
    if seen.mode == watch::Mode::Quarantine {
        let mut rounds = state.watcher.rounds.borrow_mut();
        for one in look.seen.iter().filter(|one| one.class == Class::Certain && !put_back.contains(&one.fingerprint)) {
            match rounds.judge(&seen.path, &one.fingerprint, Instant::now()) {
                Verdict::Repair => take.push(one.fingerprint.clone()),
                Verdict::Stop { tell, first } => stopped = Some((tell, first)),
            }
        }
    }
    if stopped.is_none() && !take.is_empty() {
        return repair(state, seen, &look, take, patient).await;
    }
    let adopted = adopted(state, &look.real).await;
    let offer = adopted.map(|tool| {
        let path = look.path.display();
        format!(
            "{tool} was adopted here, and wrote its file again: `hallpass adopt '{path}'` makes it a call once more"
        )
    });
    let fresh = remember(state, &look, |one| match (&stopped, seen.mode) {
        _ if put_back.contains(&one.fingerprint) => {
            "it was put back by `hallpass quarantine restore`, and stays until `hallpass quarantine` takes it".into()
        }
        (Some((tell, _)), _) => tell.clone(),
        (None, watch::Mode::Quarantine) => "not certain enough to be taken without asking".into(),
        (None, _) => offer.clone().unwrap_or_else(|| "this folder's mode is notify".into()),
    });
    let told = look.seen.iter().any(|one| !put_back.contains(&one.fingerprint));
    if let Some((tell, true)) = &stopped {
        super::notice::tell(state, "A secret keeps coming back", tell);
    } else if fresh > 0 && told {
        let what = offer.unwrap_or_else(|| "`hallpass findings` shows them".into());
        let text = format!("{}: {}. {what}", look.path.display(), secrets(fresh));
        super::notice::tell(state, "A secret lies in a file", &text);
    }
    None
}

/// The tool that asks by a call which stands in this file, where one does.
async fn adopted(state: &Rc<State>, file: &Path) -> Option<String> {
    let items = quarantine::standing(state).await.ok()?;
    items.into_iter().filter(|item| item.target == file).find_map(|item| Some(item.adopted?.tool))
}

async fn repair(state: &Rc<State>, seen: &Seen, look: &Look, only: Vec<String>, patient: bool) -> Option<Error> {
    let who = Identity { principal: WATCHER.into(), kind: Kind::Service, named_by: NamedBy::Nothing, task: None };
    let request = TakeFiles { paths: Vec::new(), likely: false, only, dry_run: false, watched: false, decoy: false };
    match quarantine::file(state, &who, &seen.path, &request, &mut BTreeMap::new()).await {
        Ok(taken) => {
            let now = Instant::now();
            for secret in &taken.secrets {
                state.watcher.rounds.borrow_mut().repaired(&seen.path, &secret.fingerprint, now);
            }
            state.watcher.forget(&seen.path);
            if taken.id.is_some() {
                let names: Vec<String> =
                    taken.secrets.iter().map(|secret| format!("hallpass:{}", secret.credential)).collect();
                let read = seen.path.file_name().is_some_and(crate::quarantine::is_env_file);
                let text = format!(
                    "{} now says {}{}. `hallpass quarantine list` shows it, and restores it",
                    seen.path.display(),
                    names.join(", "),
                    if read { "" } else { ", which what reads that file takes as it is: see `hallpass adopt`" }
                );
                super::notice::tell(state, "A pasted secret is in the store", &text);
            }
            None
        }
        Err(error) => {
            // Somebody is still writing it: most likely it works in a moment.
            let passing = error.code == Code::Io || is_closed(&error);
            if patient && passing && !is_closed(&error) {
                return Some(error);
            }
            if remember(state, look, |_| error.to_string()) > 0 {
                let text = format!("{}: {}", seen.path.display(), error.detail);
                super::notice::tell(state, "A pasted secret could not be taken out", &text);
            }
            passing.then_some(error)
        }
    }
}

/// Leaves alone what a person puts back into a file, by their fingerprints, from now on and after a restart.
///
/// # Errors
/// The database cannot be written.
pub fn leave(state: &State, file: &Path, prints: &[String]) -> Result<()> {
    let mut known = put_back(state, file);
    known.extend(prints.iter().filter(|print| !known.contains(print)).cloned().collect::<Vec<_>>());
    state.db.put(Table::PutBack, &file.to_string_lossy(), &known)
}

/// What is in the file counts again: a person asked for its quarantine.
///
/// # Errors
/// The database cannot be written.
pub fn count_again(state: &State, file: &Path) -> Result<()> {
    state.watcher.rounds.borrow_mut().forget(file);
    let real = file.canonicalize().unwrap_or_else(|_| file.to_path_buf());
    if put_back(state, &real).is_empty() {
        return Ok(());
    }
    state.db.put(Table::PutBack, &real.to_string_lossy(), &Vec::<String>::new())
}

/// The fingerprints of what a person put back into the file.
pub fn put_back(state: &State, file: &Path) -> Vec<String> {
    state.db.find(Table::PutBack, &file.to_string_lossy()).ok().flatten().unwrap_or_default()
}

/// Keeps what was found in a file; how many of them are new.
fn remember(state: &State, look: &Look, note: impl Fn(&keeper::Seen) -> String) -> usize {
    let mut findings = state.watcher.findings.borrow_mut();
    if findings.len() >= MAX_FILES && !findings.contains_key(&look.path) {
        return 0;
    }
    let before = findings.remove(&look.path).unwrap_or_default();
    let before: HashMap<&str, &Finding> = before.iter().map(|known| (known.fingerprint.as_str(), known)).collect();
    let now = rfc3339(sys::now().wall_ms);
    let mut fresh = 0;
    let all = look.seen.iter().map(|one| {
        let known = before.get(one.fingerprint.as_str());
        if known.is_none() {
            fresh += 1;
            let detail = format!("{} {}:{}", one.kind, look.path.display(), one.span.start);
            let record = Record::new("finding", WATCHER, Kind::Service).decision(Decision::Done).detail(&detail);
            state.record_after(record);
        }
        Finding {
            path: look.path.display().to_string(),
            start: one.span.start as u64,
            end: one.span.end as u64,
            line: one.line as u64,
            kind: one.kind.to_owned(),
            class: quarantine::class(one.class).to_owned(),
            key: one.key.clone(),
            fingerprint: one.fingerprint.clone(),
            seen_at: known.map_or_else(|| now.clone(), |known| known.seen_at.clone()),
            note: note(one),
        }
    });
    let all: Vec<Finding> = all.collect();
    findings.insert(look.path.clone(), all);
    fresh
}

fn secrets(number: usize) -> String {
    if number == 1 { "one secret".into() } else { format!("{number} secrets") }
}
