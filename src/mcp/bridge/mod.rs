//! `hallpass mcp bridge`: a client's standard input and output on one side, a remote server on the other.
//!
//! Owns the order of things: what waits for what, what is given up, and the end. Messages go through as they came. Each
//! request is on its own, so that a slow answer holds up no other one.

mod exchange;
mod input;
mod listen;
mod output;
mod pipe;
mod remote;
mod session;

use std::{
    collections::HashMap,
    os::fd::OwnedFd,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde_json::Value;
use tokio::{
    signal::unix::{SignalKind, signal},
    task::AbortHandle,
};
use tokio_util::task::TaskTracker;

use super::{
    credential::Source,
    endpoint::Endpoint,
    headers::ParamHeaders,
    message::{self, INVALID_REQUEST, Message},
};
use crate::{
    api::problem::Code,
    error::{Error, Result},
};
use input::{Line, Lines};
use output::Output;
use remote::Http;
use session::Session;

/// The most requests that may wait for their answers at once.
const MAX_WAITING: usize = 512;
/// How long `initialized` may hold up what comes after it: a server may insist on the order.
const ORDER_TIME: Duration = Duration::from_secs(10);
/// How long answers may still come once standard input has ended.
const LAST_ANSWERS: Duration = Duration::from_millis(1500);
/// How long the server may take to hear that the session is over.
const FAREWELL: Duration = Duration::from_secs(2);

/// What a bridge needs.
pub struct Setup {
    /// The server's name in the config.
    pub name: String,
    /// Where requests go: the server, or the gateway.
    pub endpoint: Endpoint,
    /// Where credentials come from.
    pub source: Source,
    /// Standard input.
    pub input: OwnedFd,
    /// Standard output.
    pub output: OwnedFd,
    /// Writes a line there; false once the client does not read any more. For what is no pipe.
    pub write: fn(&[u8]) -> bool,
    /// Says something on standard error.
    pub say: fn(&str),
}

/// A running bridge.
struct Bridge {
    name: String,
    http: Http,
    source: Source,
    output: Output,
    say: fn(&str),
    session: Mutex<Session>,
    renewing: tokio::sync::Mutex<()>,
    params: Mutex<ParamHeaders>,
    waiting: Mutex<HashMap<String, Waiting>>,
}

/// A request that waits for its answer.
struct Waiting {
    task: AbortHandle,
    has_session: bool,
}

/// Runs until standard input ends, the client stops reading, or a signal says so.
///
/// # Errors
/// It could not be started.
pub fn run(setup: Setup) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|e| Error::new(Code::Io, format!("the bridge could not be started: {e}")))?;
    let outcome = runtime.block_on(serve(setup));
    // A question to the daemon that still waits for a person must not hold up the end.
    runtime.shutdown_background();
    outcome
}

async fn serve(setup: Setup) -> Result<()> {
    let bridge = Arc::new(Bridge {
        http: Http::new(&setup.endpoint)?,
        name: setup.name,
        source: setup.source,
        output: Output::start(&setup.output, setup.write),
        say: setup.say,
        session: Mutex::default(),
        renewing: tokio::sync::Mutex::default(),
        params: Mutex::default(),
        waiting: Mutex::default(),
    });
    let on = |kind| signal(kind).map_err(|e| Error::new(Code::Io, format!("signals cannot be heard: {e}")));
    let (mut term, mut int, mut hup) =
        (on(SignalKind::terminate())?, on(SignalKind::interrupt())?, on(SignalKind::hangup())?);
    let mut lines = Lines::of(setup.input);
    let tasks = TaskTracker::new();
    let ended_by_itself = loop {
        let line = tokio::select! {
            line = lines.next() => line,
            () = bridge.output.closed() => break false,
            _ = term.recv() => break false,
            _ = int.recv() => break false,
            _ = hup.recv() => break false,
        };
        let Some(line) = line else { break true };
        bridge.take(line, &tasks).await;
    };
    tasks.close();
    if ended_by_itself {
        let _ = tokio::time::timeout(LAST_ANSWERS, tasks.wait()).await;
    }
    let _ = tokio::time::timeout(FAREWELL, bridge.farewell()).await;
    bridge.output.end(FAREWELL).await;
    bridge.source.end().await;
    Ok(())
}

impl Bridge {
    /// Starts what a line of the client's asks for.
    async fn take(self: &Arc<Self>, line: Line, tasks: &TaskTracker) {
        let message = match line {
            Line::Message(bytes) => Message::read(bytes),
            Line::TooLong => Err((INVALID_REQUEST, "this message is larger than 16 MiB")),
        };
        let message = match message {
            Ok(message) => message,
            Err((code, text)) => {
                return self.output.line(message::refused(&Value::Null, code, text, None)).await;
            }
        };
        if let Some(id) = &message.cancels
            && !self.cancel(id)
        {
            // Where there are no sessions, the end of the request's own connection says it.
            return;
        }
        if message.is("notifications/initialized") && message.version.is_none() {
            let _ = tokio::time::timeout(ORDER_TIME, self.clone().exchange(message)).await;
            tokio::spawn(self.clone().listen(locked(&self.session).epoch));
            return;
        }
        if !message.is_request() {
            tasks.spawn(self.clone().exchange(message));
            return;
        }
        let ids = message.ids.clone();
        if locked(&self.waiting).len() >= MAX_WAITING {
            let error = Error::new(Code::Busy, format!("{MAX_WAITING} requests wait for their answers already"));
            for id in &ids {
                self.output.line(message::failed(id, &error)).await;
            }
            return;
        }
        let has_session = message.version.is_none();
        let bridge = self.clone();
        let keys: Vec<String> = ids.iter().map(Value::to_string).collect();
        // Held while it starts, so that it cannot be over before it is known.
        let mut waiting = locked(&self.waiting);
        let done = keys.clone();
        let task = tasks.spawn(async move {
            bridge.clone().exchange(message).await;
            let mut waiting = locked(&bridge.waiting);
            done.iter().for_each(|key| drop(waiting.remove(key)));
        });
        waiting.extend(keys.into_iter().map(|key| (key, Waiting { task: task.abort_handle(), has_session })));
    }

    /// Gives a request up; whether the server has to be told so in a message.
    fn cancel(&self, id: &Value) -> bool {
        let Some(waiting) = locked(&self.waiting).remove(&id.to_string()) else { return true };
        waiting.task.abort();
        waiting.has_session
    }

    /// Says something on standard error.
    fn note(&self, error: &Error) {
        let hint = error.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
        (self.say)(&format!("hallpass: mcp {}: {}{hint}", self.name, error.detail));
    }
}

/// A lock that is held for a moment and never across an await.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
