//! Decoys that were left in files: where each belongs, and what is told when one turns up elsewhere.
//!
//! Owns what is known of them. A decoy is known by its fingerprint; its own text is only in its file and in the
//! quarantine's journal.

use std::{
    cell::{OnceCell, RefCell},
    collections::BTreeMap,
    io::Write as _,
    path::Path,
};

use serde::{Deserialize, Serialize};

use super::{
    State,
    callers::Caller,
    db::{Db, Table},
};
use crate::{
    api::problem::Code,
    audit::{Decision, Record},
    daemon::{keeper::Seen, notice},
    detect::fingerprint::Fingerprints,
    error::{Error, Result},
    principal::{Kind, UNKNOWN},
    scan::{decoys::Line, key},
    sys,
};

/// How often a person is told of the same decoy at the same place, in milliseconds; the audit log has each.
const QUIET_MS: i64 = 60_000;
/// Who sees one in a file.
const WATCHER: &str = "hallpass";

/// One decoy.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Decoy {
    /// Its keyed hash.
    pub fingerprint: String,
    /// The file that it belongs to, behind every link.
    pub path: String,
    /// The credential whose place it keeps.
    pub credential: String,
}

/// All of them.
#[derive(Default)]
pub struct Decoys {
    known: RefCell<BTreeMap<String, Decoy>>,
    prints: OnceCell<Fingerprints>,
    told: RefCell<BTreeMap<(String, String), i64>>,
}

impl Decoys {
    /// Loads them.
    pub fn load(db: &Db) -> Result<Self> {
        let all = db.all::<Decoy>(Table::Decoys)?;
        let known = all.into_iter().map(|decoy| (decoy.fingerprint.clone(), decoy)).collect();
        Ok(Self { known: RefCell::new(known), ..Self::default() })
    }
}

impl State {
    /// Notes a decoy before it is left in a file, so that nobody takes it for a secret in between.
    pub fn note_decoy(&self, value: &[u8], path: &Path, credential: &str) -> Result<()> {
        let fingerprint = self.prints()?.of(value);
        let path = path.canonicalize().unwrap_or_else(|_| path.to_path_buf()).to_string_lossy().into_owned();
        // For scans, which do not ask the daemon.
        let line = Line { fingerprint: fingerprint.clone(), path: path.clone() };
        let write = || -> std::io::Result<()> {
            let mut file = sys::private_file(&self.paths.decoys(), true)?;
            writeln!(file, "{}", serde_json::to_string(&line)?)
        };
        write().map_err(|e| Error::new(Code::Io, format!("the list of decoys cannot be written: {e}")))?;
        let decoy = Decoy { fingerprint: fingerprint.clone(), path, credential: credential.to_owned() };
        self.db.put(Table::Decoys, &fingerprint, &decoy)?;
        self.decoys.known.borrow_mut().insert(fingerprint, decoy);
        Ok(())
    }

    /// What is left of a file's findings without decoys; one that belongs elsewhere is told.
    pub fn without_decoys(&self, path: &Path, seen: Vec<Seen>) -> Vec<Seen> {
        if self.decoys.known.borrow().is_empty() {
            return seen;
        }
        let real = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
        let keep = |one: &Seen| {
            let decoy = self.decoys.known.borrow().get(&one.fingerprint).cloned();
            let Some(decoy) = decoy else { return true };
            if Path::new(&decoy.path) != real {
                self.decoy_seen(&decoy, path);
            }
            false
        };
        seen.into_iter().filter(keep).collect()
    }

    /// Tells of a decoy that came to the gateway where a token would stand; does nothing for any other text.
    pub fn decoy_used(&self, text: &[u8], caller: Option<&Caller>) {
        if self.decoys.known.borrow().is_empty() {
            return;
        }
        let decoy = self.prints().ok().and_then(|p| self.decoys.known.borrow().get(&p.of(text)).cloned());
        let Some(decoy) = decoy else { return };
        let identity = caller.and_then(|caller| self.identify(caller, None).ok());
        let evidence = caller.map(|caller| caller.evidence().summary());
        let (who, kind) = identity.as_ref().map_or((UNKNOWN, Kind::Unknown), |i| (i.principal.as_str(), i.kind));
        let detail = format!("the decoy of {}", decoy.path);
        self.record_after(
            Record::new("decoy.used", who, kind)
                .evidence(evidence.as_deref())
                .issuer(&decoy.credential)
                .decision(Decision::Denied)
                .detail(&detail),
        );
        if self.is_news(&decoy, "gateway") {
            let by = evidence.map(|evidence| format!(" by {evidence}")).unwrap_or_default();
            let text = format!(
                "the decoy of {} was used at the gateway{by}: somebody read that file and tries what it holds",
                decoy.path
            );
            notice::tell(self, "A decoy was used", &text);
        }
    }

    fn decoy_seen(&self, decoy: &Decoy, path: &Path) {
        let place = path.display().to_string();
        if !self.is_news(decoy, &place) {
            return;
        }
        let detail = format!("the decoy of {} in {place}", decoy.path);
        self.record_after(
            Record::new("decoy.seen", WATCHER, Kind::Service)
                .issuer(&decoy.credential)
                .decision(Decision::Done)
                .detail(&detail),
        );
        let text = format!("the decoy of {} stands in {place}: somebody copied what that file holds", decoy.path);
        notice::tell(self, "A decoy turned up elsewhere", &text);
    }

    /// Whether this was not told lately.
    fn is_news(&self, decoy: &Decoy, place: &str) -> bool {
        let now = sys::now().wall_ms;
        let mut told = self.decoys.told.borrow_mut();
        told.retain(|_, at| (0..QUIET_MS).contains(&(now - *at)));
        let what = (decoy.fingerprint.clone(), place.to_owned());
        let news = !told.contains_key(&what);
        told.entry(what).or_insert(now);
        news
    }

    fn prints(&self) -> Result<&Fingerprints> {
        if let Some(prints) = self.decoys.prints.get() {
            return Ok(prints);
        }
        let prints = Fingerprints::new(key::fingerprint_key(&self.paths)?);
        Ok(self.decoys.prints.get_or_init(|| prints))
    }
}
