//! The thread that looks into files and takes secrets out of them.
//!
//! Owns the engine, the quarantine and the thread they live on: both block, and the daemon's own thread never
//! does. It is started by the first job, and decides nothing: what a secret is called and whether it may be taken
//! is said by whoever gives the job. Once it was quiet for a moment, what looking took of memory is given back.

use std::{
    ops::Range,
    path::{Path, PathBuf},
    sync::mpsc::{self, RecvTimeoutError},
    time::Duration,
};

use tokio::sync::oneshot;

use crate::{
    api::problem::Code,
    detect::{
        Class, Detector, Finding,
        fingerprint::Fingerprints,
        kind::FileKind,
        parse::{self, Quote},
    },
    error::{Error, Result},
    paths::Paths,
    quarantine::{Expected, Quarantine, StoreVault},
    scan::{
        Reported, allow, key,
        read::{self, Buffer, Limits, Unread},
    },
    secret::Secret,
    store::Store,
    sys,
};

/// How long after the last job the rules' expressions and the pages they were made of are given back: above the time
/// between two saves of somebody who is editing.
const QUIET: Duration = Duration::from_secs(5);
/// How far before its password a URL begins at most, in bytes.
const LONG_URL: usize = 2048;
/// How often a file is read that is written meanwhile; another event follows its last write.
const READS: u32 = 3;

type Job = Box<dyn FnOnce(&mut Worker) + Send>;

/// The way to the thread. Dropping it lets the thread finish what it has and end.
pub struct Keeper(mpsc::Sender<Job>);

impl Keeper {
    /// Starts the thread.
    ///
    /// # Errors
    /// The state folder cannot be used, or the system gives no thread.
    pub fn start(paths: &Paths, store: Store) -> Result<Self> {
        let fingerprints = Fingerprints::new(key::fingerprint_key(paths)?);
        let folder = paths.state_dir.join("quarantine");
        let (sender, jobs) = mpsc::channel::<Job>();
        let run = move || {
            let mut worker = Worker { detector: None, fingerprints, folder, store, quarantine: None };
            // One timer after the last job, and then none.
            while let Ok(job) = jobs.recv() {
                job(&mut worker);
                let rest = loop {
                    match jobs.recv_timeout(QUIET) {
                        Ok(job) => job(&mut worker),
                        Err(rest) => break rest,
                    }
                };
                if rest == RecvTimeoutError::Timeout {
                    worker.detector = None;
                    sys::memory::release();
                }
            }
        };
        std::thread::Builder::new().name("keeper".into()).spawn(run).map_err(|e| {
            Error::new(Code::Io, format!("no thread for the quarantine: {e}")).hint("close some programs and try again")
        })?;
        Ok(Self(sender))
    }

    /// Has the thread do it.
    ///
    /// # Errors
    /// What the work says; the thread is gone.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Worker) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |worker| drop(reply.send(work(worker))));
        let gone = || Error::internal("the quarantine's thread has ended");
        self.0.send(job).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }

    /// Has the thread make ready what a look at this file will need, after a rest; what is in it by now is no news.
    pub fn warm(&self, path: PathBuf) {
        let job: Job = Box::new(move |worker| {
            if worker.detector.is_none() {
                drop(worker.look(&path, false));
            }
        });
        drop(self.0.send(job));
    }
}

/// What lives on the thread.
pub struct Worker {
    /// Made for the first look after a rest.
    detector: Option<Detector>,
    fingerprints: Fingerprints,
    folder: PathBuf,
    store: Store,
    quarantine: Option<Quarantine>,
}

/// A file and the secrets in it, as they were when it was read.
pub struct Look {
    /// The file.
    pub path: PathBuf,
    /// The file behind every link.
    pub real: PathBuf,
    /// Its kind.
    pub kind: FileKind,
    /// What it was.
    pub expected: Expected,
    /// It is UTF-16 or holds NUL bytes, where no reference can be written.
    pub wide: bool,
    /// The secrets, in its order.
    pub seen: Vec<Seen>,
}

/// One secret in a file.
pub struct Seen {
    /// Where its value stands.
    pub span: Range<usize>,
    /// The line that it begins on, from 1.
    pub line: usize,
    /// What it is.
    pub kind: &'static str,
    /// How sure.
    pub class: Class,
    /// The key that it is the value of.
    pub key: Option<String>,
    /// Its keyed hash: of what it means, so that the same secret is one whatever file it is in.
    pub fingerprint: String,
    /// What it means.
    pub value: Secret,
    /// How it is written.
    pub quote: Quote,
    /// It is a part of a URL.
    pub in_url: bool,
}

impl Worker {
    /// The quarantine, opened when it is first needed.
    ///
    /// # Errors
    /// Its folder cannot be used.
    pub fn quarantine(&mut self) -> Result<&mut Quarantine> {
        if self.quarantine.is_none() {
            let vault = StoreVault::new(self.store.clone())
                .map_err(|e| Error::new(Code::Io, format!("no timer for the store: {e}")))?;
            let (quarantine, settled) = Quarantine::open(&self.folder, Box::new(vault), sys::now)?;
            for one in settled {
                tracing::info!("{}: what was cut off is settled: {:?}", one.item.path.display(), one.outcome);
            }
            self.quarantine = Some(quarantine);
        }
        self.quarantine.as_mut().ok_or_else(|| Error::internal("no quarantine"))
    }

    /// What is in the file, but for what is allowed to stay. `named`: by a person, so that it may lie on a network.
    ///
    /// # Errors
    /// It cannot be read, or is no text file of a sensible size, or is being written.
    pub fn look(&mut self, path: &Path, named: bool) -> Result<Look> {
        let limits = Limits { size: read::MAX_SIZE, network: named };
        // Wiped at the end of the look: the next may be days away.
        let mut buffer = Buffer::default();
        let mut read = read::file(path, limits, &mut buffer);
        for _ in 0..READS {
            if matches!(read, Err(Unread::Changing)) {
                read = read::file(path, limits, &mut buffer);
            }
        }
        read.map_err(|why| Error::new(Code::Io, why.to_string()).hint("nothing was changed"))?;
        let bytes = buffer.bytes();
        let name = path.to_string_lossy();
        let findings = self.detector.get_or_insert_with(Detector::new).scan(&name, bytes);
        let kind = FileKind::of(&name);
        let document = if findings.is_empty() { None } else { parse::parse(kind, bytes) };
        let allow = allow::Files::default();
        let allow = allow.of_file(bytes);
        // Counted once for all: they are in the order of the file.
        let (mut line, mut from) = (1, 0);
        let mut seen = Vec::new();
        for finding in findings {
            let Finding { span, kind, class, key, why } = finding;
            line += memchr::memchr_iter(b'\n', bytes.get(from..span.start).unwrap_or_default()).count();
            from = span.start;
            let raw = bytes.get(span.clone()).unwrap_or_default();
            let reported = Reported {
                path: path.to_path_buf(),
                start: span.start,
                end: span.end,
                line,
                column: 0,
                kind,
                class: "",
                fingerprint: self.fingerprints.of(raw),
                key: None,
                why,
                revoke: None,
            };
            if allow.allows(&reported) {
                continue;
            }
            let scalar = document.as_ref().and_then(|document| document.scalar_at(span.start));
            let whole = scalar.filter(|scalar| scalar.span == span);
            let value = whole.and_then(|scalar| scalar.decoded.as_deref()).unwrap_or(raw);
            seen.push(Seen {
                line,
                kind,
                class,
                key,
                fingerprint: self.fingerprints.of(value),
                value: Secret::take(value.to_vec()),
                quote: scalar.map_or(Quote::None, |scalar| scalar.quote),
                in_url: is_in_url(bytes, &span),
                span,
            });
        }
        let real = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
        let wide = bytes.contains(&0);
        Ok(Look { path: path.to_path_buf(), real, wide, kind, expected: Expected::of(bytes), seen })
    }
}

/// `//user:VALUE@host`: a reference there must not look like a port or a user.
fn is_in_url(bytes: &[u8], span: &Range<usize>) -> bool {
    let before = bytes.get(span.start.saturating_sub(LONG_URL)..span.start).unwrap_or_default();
    let start = before.iter().rposition(|b| b.is_ascii_whitespace() || b"\"'`=,".contains(b)).map_or(0, |at| at + 1);
    let before = before.get(start..).unwrap_or_default();
    bytes.get(span.end) == Some(&b'@') && before.windows(3).any(|part| part == b"://")
}
