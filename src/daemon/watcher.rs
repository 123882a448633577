//! The watcher within the daemon: from a file that was written to a finding that is told or taken.
//!
//! Owns the watcher's life and what is known of findings. What is watched is the config's; what is done in a file
//! is `handler::quarantine`'s. It runs only while there is something to watch.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    path::{Path, PathBuf},
    rc::Rc,
    time::{Duration, Instant},
};

use tokio::sync::mpsc;

use super::{
    handler::{quarantine, rfc3339},
    keeper::Look,
    state::State,
};
use crate::{
    api::{
        problem::Code,
        quarantine::{Finding, TakeFiles},
        watch::{Mode, WatchStatus},
    },
    audit::{Decision, Record},
    detect::Class,
    error::Result,
    principal::{Identity, Kind, NamedBy},
    sys,
    watch::{self, Rounds, Seen, Verdict, Watch, WatchConfig},
};

/// Who takes a secret out of a file by itself.
const WATCHER: &str = "hallpass";
/// How often a file that is busy, or a store that is locked, is tried again, and how long after the first time.
const TRIES: u32 = 8;
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// The most files of which findings are remembered.
const MAX_FILES: usize = 10_000;

/// The watcher's part of the state.
#[derive(Default)]
pub struct Watcher {
    running: RefCell<Option<Watch>>,
    rounds: RefCell<Rounds>,
    findings: RefCell<BTreeMap<PathBuf, Vec<Finding>>>,
}

impl Watcher {
    /// Secrets that were seen and are still there.
    pub fn findings(&self) -> Vec<Finding> {
        self.findings.borrow().values().flatten().cloned().collect()
    }

    /// How it is.
    pub fn status(&self, state: &State) -> WatchStatus {
        let status = self.running.borrow().as_ref().map(Watch::status).unwrap_or_default();
        let config = state.settings().config.watch.clone();
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        let text = |paths: Vec<PathBuf>| paths.iter().map(|path| path.display().to_string()).collect();
        WatchStatus {
            places: config.places,
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

    /// Begins a file's rounds anew: a person said what to do with it.
    pub fn forget_rounds(&self, path: &Path) {
        self.rounds.borrow_mut().forget(path);
    }

    /// Forgets what was found in a file.
    pub fn forget(&self, path: &Path) {
        self.findings.borrow_mut().remove(path);
    }
}

/// Watches what the config says from now on.
pub fn apply(state: &Rc<State>) -> Result<()> {
    let roots = roots(state);
    let mut running = state.watcher.running.borrow_mut();
    if roots.is_empty() {
        *running = None;
        state.watcher.findings.borrow_mut().clear();
        return Ok(());
    }
    let mut config = WatchConfig::new(roots);
    // A secret that was pasted while the daemon did not run is seen at its start.
    config.existing = true;
    if let Some(watch) = &*running {
        watch.reload(config);
        return Ok(());
    }
    let (sender, mut seen) = mpsc::unbounded_channel::<Seen>();
    let watch = Watch::start(config, move |seen| drop(sender.send(seen))).map_err(|e| {
        crate::error::Error::new(Code::Io, format!("the watcher cannot be started: {e}"))
            .hint("`hallpass doctor` looks at the limits")
    })?;
    *running = Some(watch);
    let weak = Rc::downgrade(state);
    tokio::task::spawn_local(async move {
        while let Some(seen) = seen.recv().await {
            let Some(state) = weak.upgrade() else { return };
            look(&state, seen).await;
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
    added.collect()
}

/// Looks at one file, tells what is in it, and takes what may be taken.
async fn look(state: &Rc<State>, seen: Seen) {
    let Ok(keeper) = state.keeper() else { return };
    let path = seen.path.clone();
    let Ok(mut look) = keeper.run(move |worker| worker.look(&path)).await else {
        // Gone, or no text: there is nothing to tell of it.
        state.watcher.forget(&seen.path);
        return;
    };
    look.seen = state.without_decoys(&seen.path, look.seen);
    if look.seen.is_empty() {
        state.watcher.forget(&seen.path);
        return;
    }
    let mut stopped = None;
    let take = seen.mode == watch::Mode::Quarantine && look.seen.iter().any(|one| one.class == Class::Certain) && {
        let mut rounds = state.watcher.rounds.borrow_mut();
        let certain = look.seen.iter().filter(|one| one.class == Class::Certain);
        certain.fold(true, |go, one| match rounds.judge(&seen.path, &one.fingerprint, Instant::now()) {
            Verdict::Repair => go,
            Verdict::Stop { tell, first } => {
                stopped = Some((tell, first));
                false
            }
        })
    };
    let note = match (&stopped, seen.mode) {
        (Some((tell, _)), _) => tell.clone(),
        (None, watch::Mode::Quarantine) => "not certain enough to be taken without asking".into(),
        (None, _) => "this folder's mode is notify".into(),
    };
    if take {
        return repair(state, &seen, &look).await;
    }
    let fresh = remember(state, &look, &note);
    if let Some((tell, true)) = &stopped {
        super::notice::tell(state, "A secret keeps coming back", tell);
    } else if fresh > 0 {
        let text = format!("{}: {}. `hallpass findings` shows them", look.path.display(), secrets(fresh));
        super::notice::tell(state, "A secret lies in a file", &text);
    }
}

async fn repair(state: &Rc<State>, seen: &Seen, look: &Look) {
    let who = Identity { principal: WATCHER.into(), kind: Kind::Service, named_by: NamedBy::Nothing, task: None };
    let request = TakeFiles { paths: Vec::new(), likely: false, only: Vec::new(), dry_run: false, decoy: false };
    let mut wait = FIRST_WAIT;
    for last in (0..TRIES).map(|n| n + 1 == TRIES) {
        match quarantine::file(state, &who, &seen.path, &request).await {
            Ok(taken) => {
                let now = Instant::now();
                for secret in &taken.secrets {
                    state.watcher.rounds.borrow_mut().repaired(&seen.path, &secret.fingerprint, now);
                }
                state.watcher.forget(&seen.path);
                if taken.id.is_some() {
                    let names: Vec<String> =
                        taken.secrets.iter().map(|secret| format!("hallpass:{}", secret.credential)).collect();
                    let text = format!(
                        "{} now says {}. `hallpass quarantine list` shows it, and restores it",
                        seen.path.display(),
                        names.join(", ")
                    );
                    super::notice::tell(state, "A pasted secret is in the store", &text);
                }
                return;
            }
            // Somebody is still writing it, or the store is locked.
            Err(error) if !last && matches!(error.code, Code::Io | Code::StoreLocked | Code::StoreUnavailable) => {
                tokio::select! {
                    () = tokio::time::sleep(wait) => wait *= 2,
                    () = state.shutdown.cancelled() => return,
                }
            }
            Err(error) => {
                if remember(state, look, &error.to_string()) > 0 {
                    let text = format!("{}: {}", seen.path.display(), error.detail);
                    super::notice::tell(state, "A pasted secret could not be taken out", &text);
                }
                return;
            }
        }
    }
}

/// Keeps what was found in a file; how many of them are new.
fn remember(state: &State, look: &Look, note: &str) -> usize {
    let mut findings = state.watcher.findings.borrow_mut();
    if findings.len() >= MAX_FILES && !findings.contains_key(&look.path) {
        return 0;
    }
    let before = findings.remove(&look.path).unwrap_or_default();
    let now = rfc3339(sys::now().wall_ms);
    let mut fresh = 0;
    let all = look.seen.iter().map(|one| {
        let known = before.iter().find(|known| known.fingerprint == one.fingerprint);
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
            kind: one.kind.to_owned(),
            class: quarantine::class(one.class).to_owned(),
            key: one.key.clone(),
            fingerprint: one.fingerprint.clone(),
            seen_at: known.map_or_else(|| now.clone(), |known| known.seen_at.clone()),
            note: note.to_owned(),
        }
    });
    let all: Vec<Finding> = all.collect();
    findings.insert(look.path.clone(), all);
    fresh
}

fn secrets(number: usize) -> String {
    if number == 1 { "one secret".into() } else { format!("{number} secrets") }
}
