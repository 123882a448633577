//! The blocking client of the API's socket: no tokio, nothing read that the call does not need.
//!
//! Owns connecting (peer checked before a byte is sent, busy sockets tried again) and one exchange
//! of JSON. Must never print, and never log what it sends or gets.

mod http;
mod start;

use std::{
    io::{self, Read, Write},
    time::{Duration, Instant},
};

use interprocess::local_socket::{GenericFilePath, Stream, prelude::*};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    api::problem::{Code, Problem},
    error::{Error, Result},
    paths::Paths,
};

pub use http::{Answer, Broken, MAX_ANSWER, read_answer};
pub use start::{autostart_wanted, last_log_line};

/// How long a call waits for its answer where the call itself says nothing: longer than any store's
/// deadline.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a daemon that does nothing else may take to say that it is there.
const PING_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a busy socket is tried again.
const BUSY_FOR: Duration = Duration::from_secs(2);
/// Longer than any answer that waits for nobody.
const MOMENT: Duration = Duration::from_millis(1500);

/// The longest that the config may give a person to approve (`[approval] timeout`), and a little more.
const LONGEST_APPROVAL: Duration = Duration::from_secs(3600 + 60);
/// How often somebody who waits for a person looks whether the daemon is still there.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// A connection to the daemon.
pub struct Client {
    paths: Paths,
    stream: Option<Stream>,
    used: bool,
}

impl Client {
    /// Connects; with `autostart`, starts the daemon when none is running (`HALLPASS_AUTOSTART=0` and
    /// the config's `daemon.autostart` turn that off).
    ///
    /// # Errors
    /// `daemon_unavailable` when there is no daemon, `io` when the socket is somebody else's.
    pub fn connect(paths: &Paths, autostart: bool) -> Result<Self> {
        let stream = match open(paths) {
            Ok(stream) => stream,
            Err(Failed::Absent(error)) => {
                if !autostart || !autostart_wanted(paths) {
                    return Err(absent(paths, &error));
                }
                start::start(paths, || match open(paths) {
                    Ok(stream) => Ok(Some(stream)),
                    Err(Failed::Absent(_)) => Ok(None),
                    Err(Failed::Other(error)) => Err(error),
                })?
            }
            Err(Failed::Other(error)) => return Err(error),
        };
        Ok(Self { paths: paths.clone(), stream: Some(stream), used: false })
    }

    /// `GET path`.
    ///
    /// # Errors
    /// The daemon's problem, or why there is no answer.
    pub fn get<R: DeserializeOwned>(&mut self, path: &str) -> Result<R> {
        decode(&self.request("GET", path, &[], Duration::ZERO, None)?)
    }

    /// Whether the daemon answers at all, which takes a moment where it does: a call may wait for the store.
    ///
    /// # Errors
    /// `daemon_unavailable` when it is stopped or stuck.
    pub fn ping(&mut self) -> Result<()> {
        self.exchange("GET", "/v1/ping", &[], PING_TIMEOUT, None)
            .map(drop)
            .map_err(|broken| broken.into_error(PING_TIMEOUT))
    }

    /// `POST path` with a JSON body; `&()` sends none.
    ///
    /// # Errors
    /// The daemon's problem, or why there is no answer.
    pub fn post<Q: Serialize, R: DeserializeOwned>(&mut self, path: &str, body: &Q) -> Result<R> {
        decode(&self.request("POST", path, &encode(body)?, Duration::ZERO, None)?)
    }

    /// `POST path` that may wait this much longer than others, such as for a human's approval, and longer still while
    /// the daemon answers others: how long a person has is in its config. `waits` is called once if there is no answer
    /// after a moment.
    ///
    /// # Errors
    /// The daemon's problem, or why there is no answer.
    pub fn post_waiting<Q: Serialize, R: DeserializeOwned>(
        &mut self,
        path: &str,
        body: &Q,
        extra: Duration,
        waits: Option<fn()>,
    ) -> Result<R> {
        decode(&self.request("POST", path, &encode(body)?, extra, waits)?)
    }

    /// `DELETE path`.
    ///
    /// # Errors
    /// The daemon's problem, or why there is no answer.
    pub fn delete<R: DeserializeOwned>(&mut self, path: &str) -> Result<R> {
        decode(&self.request("DELETE", path, &[], Duration::ZERO, None)?)
    }

    /// One exchange; the body of a good answer. A kept connection that the daemon closed meanwhile is
    /// opened again once, before anything was sent on it that could have had an effect.
    fn request(
        &mut self,
        method: &str,
        path: &str,
        body: &[u8],
        extra: Duration,
        waits: Option<fn()>,
    ) -> Result<Vec<u8>> {
        let wait = ANSWER_TIMEOUT.saturating_add(extra);
        let kept = self.used && self.stream.is_some();
        match self.exchange(method, path, body, wait, waits) {
            Err(http::Broken::ClosedEarly) if kept => {
                self.stream = None;
                self.exchange(method, path, body, wait, waits)
            }
            other => other,
        }
        .map_err(|broken| broken.into_error(wait))
        .and_then(|answer| if answer.status < 400 { Ok(answer.body) } else { Err(problem(&answer)) })
    }

    fn exchange(
        &mut self,
        method: &str,
        path: &str,
        body: &[u8],
        wait: Duration,
        waits: Option<fn()>,
    ) -> std::result::Result<Answer, http::Broken> {
        if self.stream.is_none() {
            let stream = open(&self.paths).map_err(|failed| {
                http::Broken::Refused(match failed {
                    Failed::Absent(error) => absent(&self.paths, &error),
                    Failed::Other(error) => error,
                })
            })?;
            self.stream = Some(stream);
            self.used = false;
        }
        let Some(stream) = self.stream.as_mut() else { return Err(http::Broken::ClosedEarly) };
        self.used = true;
        let message = zeroize::Zeroizing::new(http::request(method, path, body));
        let until = Instant::now() + wait;
        let outcome = send(stream, &message, wait).and_then(|()| {
            let first = if waits.is_some() { wait.min(MOMENT) } else { wait };
            stream.set_recv_timeout(Some(first)).map_err(http::Broken::Io)?;
            let longest = if wait > ANSWER_TIMEOUT { until.max(Instant::now() + LONGEST_APPROVAL) } else { until };
            let paths = &self.paths;
            http::read_answer(&mut Patient { stream, waits, until, longest, alive: &|| is_alive(paths) }, longest)
        });
        match outcome {
            Ok(answer) => {
                if answer.close {
                    self.stream = None;
                }
                Ok(answer)
            }
            Err(broken) => {
                self.stream = None;
                Err(broken)
            }
        }
    }
}

/// One part of a path, percent-encoded.
pub fn segment(text: &str) -> String {
    const KEEP: percent_encoding::AsciiSet =
        percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b':');
    percent_encoding::utf8_percent_encode(text, &KEEP).to_string()
}

enum Failed {
    /// Nobody listens there.
    Absent(io::Error),
    Other(Error),
}

fn open(paths: &Paths) -> std::result::Result<Stream, Failed> {
    let path = paths.socket();
    let started = Instant::now();
    let mut tries: u32 = 0;
    loop {
        let name = path.as_os_str().to_fs_name::<GenericFilePath>().map_err(|e| Failed::Other(unusable(&path, &e)))?;
        match Stream::connect(name) {
            Ok(stream) => {
                check_peer(&stream, &path).map_err(Failed::Other)?;
                return Ok(stream);
            }
            // The listener's queue is full: EAGAIN on Linux. ECONNREFUSED may be that on other
            // systems, or a dead socket; the first refusals are tried again for a moment only.
            Err(e) if e.kind() == io::ErrorKind::WouldBlock && started.elapsed() < BUSY_FOR => {}
            Err(e) if e.kind() == io::ErrorKind::ConnectionRefused && tries < 3 => {}
            Err(e) if absent_kind(e.kind()) => return Err(Failed::Absent(e)),
            Err(e) => return Err(Failed::Other(unusable(&path, &e))),
        }
        tries = tries.saturating_add(1);
        std::thread::sleep(pause(tries));
    }
}

/// A pause that grows to 50 ms with jitter, so that many clients do not come back together.
fn pause(tries: u32) -> Duration {
    let most = 2_000_u64.saturating_mul(1 << tries.min(5)).min(50_000);
    let noise =
        crate::sys::random::<4>().map_or_else(|_| u64::from(std::process::id()), |b| u64::from(u32::from_le_bytes(b)));
    Duration::from_micros(most / 2 + noise % (most / 2).max(1))
}

fn absent_kind(kind: io::ErrorKind) -> bool {
    matches!(
        kind,
        io::ErrorKind::NotFound
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::NotADirectory
    )
}

fn check_peer(stream: &Stream, path: &std::path::Path) -> Result<()> {
    let owner = stream.peer_creds().map_err(|e| unusable(path, &e))?.euid();
    if owner.is_none_or(|uid| uid == crate::sys::uid()) {
        return Ok(());
    }
    Err(Error::new(Code::DaemonUnavailable, format!("the socket {} belongs to another user's process", path.display()))
        .hint("nothing was sent to it; remove the file, or set HALLPASS_SOCKET to a path of your own"))
}

fn unusable(path: &std::path::Path, error: &io::Error) -> Error {
    let hint = match error.kind() {
        io::ErrorKind::PermissionDenied => "the folder and the socket must be yours; `hallpass doctor` tells more",
        io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported => {
            "a socket's path may be 107 bytes long; set HALLPASS_HOME or HALLPASS_SOCKET to a shorter one"
        }
        _ => "`hallpass doctor` tells more",
    };
    Error::new(Code::DaemonUnavailable, format!("cannot connect to {}: {error}", path.display())).hint(hint)
}

fn absent(paths: &Paths, error: &io::Error) -> Error {
    Error::new(
        Code::DaemonUnavailable,
        format!("the hallpass daemon is not running ({}: {error})", paths.socket().display()),
    )
    .hint("start it with `hallpass service install`, or in the foreground with `hallpass daemon`")
}

fn send(stream: &mut Stream, message: &[u8], wait: Duration) -> std::result::Result<(), http::Broken> {
    stream.set_send_timeout(Some(wait)).map_err(http::Broken::Io)?;
    match stream.write_all(message) {
        Ok(()) => Ok(()),
        // The daemon may have answered (413, 503) and closed before it read all: read what it said.
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(e) => Err(http::Broken::Io(e)),
    }
}

/// Whether the daemon answers somebody else at this moment.
fn is_alive(paths: &Paths) -> bool {
    Client { paths: paths.clone(), stream: None, used: false }.ping().is_ok()
}

/// A stream whose first timeout is only the moment to say that it waits. A thread that counts would do the same,
/// and costs more than the rest of a warm call.
struct Patient<'a> {
    stream: &'a mut Stream,
    waits: Option<fn()>,
    until: Instant,
    /// After `until` and up to here it waits for as long as the daemon is `alive`.
    longest: Instant,
    alive: &'a dyn Fn() -> bool,
}

impl Read for Patient<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let error = match self.stream.read(buffer) {
                Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => e,
                other => return other,
            };
            if let Some(waits) = self.waits.take() {
                waits();
            }
            let now = Instant::now();
            if now >= self.until {
                if now >= self.longest || !(self.alive)() {
                    return Err(error);
                }
                self.until = self.longest.min(now + LOOK_AGAIN);
            }
            let left = self.until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            self.stream.set_recv_timeout(Some(left))?;
        }
    }
}

fn encode<Q: Serialize>(body: &Q) -> Result<zeroize::Zeroizing<Vec<u8>>> {
    let bytes = serde_json::to_vec(body).map_err(|_| Error::internal("a request could not be written as JSON"))?;
    let bytes = zeroize::Zeroizing::new(bytes);
    Ok(if bytes.as_slice() == b"null" { zeroize::Zeroizing::default() } else { bytes })
}

fn decode<R: DeserializeOwned>(body: &[u8]) -> Result<R> {
    serde_json::from_slice(body).map_err(|e| {
        // serde's text may quote a value; line and column cannot.
        Error::new(
            Code::Version,
            format!("the daemon's answer is not what this version expects (line {}, column {})", e.line(), e.column()),
        )
        .hint("the daemon may be another version: restart it, and look at `hallpass --json status`")
    })
}

fn problem(answer: &Answer) -> Error {
    match serde_json::from_slice::<Problem>(&answer.body) {
        Ok(problem) => problem.into(),
        Err(_) => Error::new(Code::Version, format!("the daemon answered {} without saying why", answer.status))
            .hint("is it hallpass that listens on the socket? `hallpass doctor` tells more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_one_part_of_a_path() {
        assert_eq!(segment("openai-work.2"), "openai-work.2");
        assert_eq!(segment("../a b/%2f"), "..%2Fa%20b%2F%252f");
    }

    #[test]
    fn a_missing_socket_is_daemon_unavailable_and_nothing_is_started() {
        let home = tempfile::tempdir().unwrap();
        let error = Client::connect(&Paths::under(home.path(), None), false).err().unwrap();
        assert_eq!(error.code, Code::DaemonUnavailable);
        assert!(error.hint.unwrap().contains("hallpass daemon"));
        assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_path_that_is_too_long_says_so() {
        let paths = Paths::under(&std::path::Path::new("/tmp").join("x".repeat(200)), None);
        let error = Client::connect(&paths, false).err().unwrap();
        assert!(error.hint.unwrap().contains("shorter"), "{}", error.detail);
    }

    #[test]
    fn who_waits_is_told_once_and_still_gets_the_answer() {
        use std::sync::atomic::{AtomicU32, Ordering};
        static TOLD: AtomicU32 = AtomicU32::new(0);
        let (here, mut there) = std::os::unix::net::UnixStream::pair().unwrap();
        let mut stream = Stream::UdSocket(here.into());
        stream.set_recv_timeout(Some(Duration::from_millis(1))).unwrap();
        let daemon = std::thread::spawn(move || {
            while TOLD.load(Ordering::SeqCst) == 0 {
                std::thread::yield_now();
            }
            there.write_all(b"late").unwrap();
        });
        let waits: fn() = || _ = TOLD.fetch_add(1, Ordering::SeqCst);
        let until = Instant::now() + Duration::from_secs(10);
        let mut answer = String::new();
        let (alive, longest): (fn() -> bool, _) = (|| false, until);
        let mut patient = Patient { stream: &mut stream, waits: Some(waits), until, longest, alive: &alive };
        patient.read_to_string(&mut answer).unwrap();
        assert_eq!((answer.as_str(), TOLD.load(Ordering::SeqCst)), ("late", 1));
        daemon.join().unwrap();
        let until = Instant::now();
        let mut nobody = Patient { stream: &mut stream, waits: Some(waits), until, longest: until, alive: &alive };
        assert_eq!(nobody.read(&mut [0]).unwrap(), 0, "it was closed");
    }

    #[test]
    fn who_waits_for_a_person_waits_while_the_daemon_is_alive() {
        use std::cell::Cell;
        let (here, there) = std::os::unix::net::UnixStream::pair().unwrap();
        let mut stream = Stream::UdSocket(here.into());
        stream.set_recv_timeout(Some(Duration::from_millis(1))).unwrap();
        let (now, asked) = (Instant::now(), Cell::new(0));
        let longest = now + Duration::from_secs(20);
        let alive = || {
            asked.set(asked.get() + 1);
            (&there).write_all(b"x").is_ok()
        };
        let mut patient = Patient { stream: &mut stream, waits: None, until: now, longest, alive: &alive };
        assert_eq!((patient.read(&mut [0]).unwrap(), asked.get()), (1, 1));
        let mut patient = Patient { stream: &mut stream, waits: None, until: now, longest, alive: &|| false };
        patient.stream.set_recv_timeout(Some(Duration::from_millis(1))).unwrap();
        assert!(patient.read(&mut [0]).is_err(), "the daemon is gone");
    }

    #[test]
    fn a_foreign_problem_and_a_foreign_answer_are_told_apart() {
        let answer = |body: &str| Answer { status: 404, body: body.into(), close: false };
        let known = serde_json::to_string(&Problem::new(Code::NotFound, "no".into(), None)).unwrap();
        assert_eq!(problem(&answer(&known)).code, Code::NotFound);
        let future = known.replace("\"not_found\"", "\"from_the_future\"");
        assert_eq!(problem(&answer(&future)).code, Code::Other);
        assert_eq!(problem(&answer("<html>")).code, Code::Version);
    }
}
