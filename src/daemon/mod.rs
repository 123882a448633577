//! The daemon: start-up order, on one screen.
//!
//! Owns what happens between `hallpass daemon` and its end. Must say it is ready only after both
//! sockets are bound, and must write nothing before it holds the instance lock.

pub mod backend;
pub mod handler;
mod instance;
pub mod keeper;
mod listener;
mod notice;
mod reaper;
pub mod renderer;
mod revoker;
pub mod server;
mod signals;
pub mod state;
pub mod watcher;

use std::{cell::Cell, os::fd::AsFd, rc::Rc, sync::Arc, time::Duration};

use tokio::{net::TcpListener, runtime::LocalOptions, sync::Semaphore};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    api::MAX_HEAD,
    config,
    error::{Error, Result},
    gateway::{self, Gateway},
    http::serve::{Limits, serve_http1},
    paths::Paths,
    sys,
};
use backend::GatewayBackend;
use instance::Instance;
use listener::{Accept, Sockets, accept_loop, bind_gateway};
use state::{State, Upstreams, callers::Caller};

/// How long connections that are being served get when the daemon stops.
const DRAIN: Duration = Duration::from_secs(5);
/// How long to wait before the gateway's port is tried again.
const PORT_AGAIN: Duration = Duration::from_secs(2);
/// File descriptors kept back for the store, the database, the log and upstreams.
const RESERVED_FDS: u64 = 64;
/// The most connections on one kind of socket, whatever the limit allows.
const MOST_CONNECTIONS: u64 = 20_000;
/// What a client of the API may take.
const API_LIMITS: Limits = Limits {
    head_time: Duration::from_millis(4800),
    body_time: Duration::from_secs(5),
    idle_time: Duration::from_secs(300),
    write_time: Duration::from_secs(30),
    max_head: MAX_HEAD,
    max_headers: 64,
    max_body: Some(crate::api::MAX_BODY as u64),
};

/// How the daemon is started.
#[derive(Clone, Debug)]
pub struct Options {
    /// `service`, `socket`, `client` or `foreground`; shown by `status`.
    pub started_by: String,
}

/// Runs the daemon until a signal stops it.
pub fn run(paths: Paths, options: Options) -> Result<()> {
    log();
    if options.started_by == "client" {
        // Away from the terminal and the session of the client that happened to start it. Fails only
        // for a process that leads its group already, which is as good.
        let _ = rustix::process::setsid();
    }
    let hardening = sys::harden();
    let files = sys::raise_file_limit();
    for dir in [&paths.config_dir, &paths.data_dir, &paths.state_dir, &paths.runtime_dir] {
        sys::private_dir(dir)?;
    }
    if let Some(dir) = paths.socket().parent().filter(|dir| *dir != paths.runtime_dir) {
        sys::own_dir(dir)?;
    }
    let instance = Instance::take(&paths.lock())?;
    // Not a `LocalSet` inside a runtime: each wake would pass through two queues.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(LocalOptions::default())
        .map_err(|e| Error::internal(format!("the runtime cannot be started: {e}")))?;
    let budgets = Budgets::of(files);
    let result = runtime.block_on(async {
        let state = Rc::new(State::load(paths, options.started_by, hardening, budgets.total())?);
        serve(state, budgets).await
    });
    // A store call that never returns must not hold the process back.
    runtime.shutdown_timeout(Duration::from_millis(200));
    drop(instance);
    result
}

async fn serve(state: Rc<State>, budgets: Budgets) -> Result<()> {
    let sockets = Sockets::open(&state.paths.socket(), &state.paths.gateway_socket())?;
    let tcp = open_gateway(&state).await;
    let backend = Rc::new(GatewayBackend::new(&state));
    let gateway = Rc::new(Gateway::new(backend, state.settings().catalogue.clone()));
    let told: Rc<dyn Upstreams> = gateway.clone();
    state.tell_gateway(Rc::downgrade(&told));
    let at_once = CancellationToken::new();
    signals::watch(&state, at_once.clone())?;
    reaper::resume(&state);
    renderer::start(&state);
    revoker::start(&state);
    state.tidy_after_activity();
    if let Err(error) = watcher::apply(&state) {
        tracing::error!("{error}");
    }
    let resumed = Rc::clone(&state);
    tokio::task::spawn_local(async move {
        if let Err(error) = handler::quarantine::resume(&resumed).await {
            tracing::error!("a quarantine that was cut off is not finished yet: {error}");
        }
    });

    let served = TaskTracker::new();
    let budget = |most: u64| Arc::new(Semaphore::new(usize::try_from(most).unwrap_or(usize::MAX >> 4)));
    let stop = state.shutdown.clone();
    let api = accept_loop(&sockets.api, budget(budgets.api), stop.clone(), |stream, permit| {
        let Some(caller) = own_peer(&stream) else { return };
        let (state, open) = (Rc::clone(&state), Open::new(&state.connections));
        served.spawn_local(async move {
            let shutdown = state.shutdown.clone();
            let caller = Rc::new(caller);
            let handler = |request| server::answer(Rc::clone(&state), Rc::clone(&caller), request);
            serve_http1(stream, API_LIMITS, handler, shutdown).await;
            drop((open, permit));
        });
    });
    let local = accept_loop(&sockets.gateway, budget(budgets.gateway), stop.clone(), |stream, permit| {
        let Some(caller) = own_peer(&stream) else { return };
        let (gateway, stop, open) = (Rc::clone(&gateway), stop.clone(), Open::new(&state.connections));
        served.spawn_local(async move {
            gateway::serve_connection(stream, Some(caller), gateway, stop).await;
            drop((open, permit));
        });
    });
    let remote = accept_tcp(&state, tcp, budget(budgets.tcp), stop.clone(), |stream, permit| {
        let (gateway, stop, open) = (Rc::clone(&gateway), stop.clone(), Open::new(&state.connections));
        served.spawn_local(async move {
            gateway::serve_connection(stream, None, gateway, stop).await;
            drop((open, permit));
        });
    });
    ready();
    sys::memory::release();
    tracing::info!("hallpass {} is ready at {}", env!("CARGO_PKG_VERSION"), state.paths.socket().display());
    tokio::join!(api, local, remote);

    let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
    served.close();
    tokio::select! {
        () = served.wait() => {}
        () = tokio::time::sleep(DRAIN) => tracing::warn!("some clients were still being served and were cut off"),
        () = at_once.cancelled() => {}
    }
    sockets.remove();
    renderer::stop(&state);
    if let Err(error) = state.write_ends() {
        tracing::error!("what ended last is not on disk: {error}");
    }
    state.sync_audit();
    state.db.checkpoint();
    Ok(())
}

/// How many connections each socket may have. What crowds the TCP port, which other users can reach, leaves the
/// sockets alone.
#[derive(Clone, Copy)]
struct Budgets {
    api: u64,
    gateway: u64,
    tcp: u64,
}

impl Budgets {
    /// Shares the file descriptors out: most of them to the API, which tools keep connections to.
    fn of(files: u64) -> Self {
        let usable = files.saturating_sub(RESERVED_FDS);
        let share = |percent: u64, each: u64| (usable * percent / 100 / each).clamp(8, MOST_CONNECTIONS);
        // On a socket each connection also has a pidfd; at the gateway each may have an upstream.
        Self { api: share(60, 2), gateway: share(20, 3), tcp: share(20, 2) }
    }

    fn total(self) -> u64 {
        self.api + self.gateway + self.tcp
    }
}

/// Serves the gateway's port, and tries again for it while somebody else has it.
async fn accept_tcp(
    state: &State,
    mut listener: Option<TcpListener>,
    permits: Arc<Semaphore>,
    stop: CancellationToken,
    serve: impl Fn(<TcpListener as Accept>::Stream, tokio::sync::OwnedSemaphorePermit),
) {
    loop {
        if let Some(listener) = &listener {
            return accept_loop(listener, permits, stop, serve).await;
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(PORT_AGAIN) => listener = open_gateway(state).await,
        }
    }
}

/// Binds the gateway's port. A port that cannot be had does not stop the daemon: `status` and
/// `doctor` must be able to say what is wrong, and nothing is handed out that would need it.
async fn open_gateway(state: &State) -> Option<TcpListener> {
    let wanted = state.settings().config.gateway_port;
    let entropy = state.random().unwrap_or([0; 8]);
    let bound = bind_gateway(wanted, entropy).await.and_then(|tcp| tcp.local_addr().map(|at| (tcp, at.port())));
    match bound {
        Ok((listener, port)) => {
            state.gateway_port.set(Some(port));
            *state.gateway_error.borrow_mut() = None;
            if wanted.is_none()
                && let Err(error) = config::edit::set_gateway_port(&state.paths.config(), port)
            {
                tracing::warn!("the gateway's port cannot be kept for the next start: {error}");
            }
            Some(listener)
        }
        Err(error) => {
            let port = wanted.map_or_else(|| "any port".into(), |port| format!("port {port}"));
            let text = format!("{port} on 127.0.0.1 cannot be bound: {error}");
            let before = state.gateway_error.borrow_mut().replace(text.clone());
            if before.as_ref() != Some(&text) {
                tracing::error!("{text}");
            }
            None
        }
    }
}

/// Pins the peer, and refuses one that is another user before a byte is read.
fn own_peer(stream: &tokio::net::UnixStream) -> Option<Caller> {
    match sys::peer::Caller::of(stream.as_fd()) {
        Ok(peer) if peer.uid == sys::uid() => Some(Caller::new(peer)),
        Ok(peer) => {
            tracing::warn!("refused a connection of uid {}", peer.uid);
            None
        }
        Err(error) => {
            tracing::warn!("refused a connection whose peer cannot be read: {error}");
            None
        }
    }
}

/// Writes the log to standard error, for the service manager or the log file. `HALLPASS_LOG` sets the
/// level; the default is `info`.
fn log() {
    use tracing_subscriber::{filter::Targets, layer::SubscriberExt as _, util::SubscriberInitExt as _};
    let level = std::env::var("HALLPASS_LOG").ok().and_then(|text| text.parse().ok());
    let level = level.unwrap_or(tracing::level_filters::LevelFilter::INFO);
    // The libraries below (HTTP, TLS, D-Bus) see the credentials and would write what they see, so only their
    // warnings pass, whatever the level.
    let quiet = level.min(tracing::level_filters::LevelFilter::WARN);
    let targets = Targets::new().with_default(quiet).with_target("hallpass", level);
    // A full disk under the log would be reported with `eprintln!`, which panics on that same disk and takes
    // the connection with it.
    let lines =
        tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false).log_internal_errors(false);
    // Set once; a second daemon in one process (tests) keeps the first one's.
    let _ = tracing_subscriber::registry().with(targets).with(lines).try_init();
}

/// Tells the service manager (sd_notify(3)); does nothing without one.
fn ready() {
    if let Err(error) = sd_notify::notify(&[sd_notify::NotifyState::Ready]) {
        tracing::debug!("no service manager was told: {error}");
    }
}

/// Counts a connection while it is open.
struct Open(Rc<Cell<u64>>);

impl Open {
    fn new(count: &Rc<Cell<u64>>) -> Self {
        count.set(count.get() + 1);
        Self(Rc::clone(count))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}
