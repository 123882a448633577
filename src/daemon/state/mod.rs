//! Everything the daemon knows, in one place, on one thread.
//!
//! Owns the shared state and how it is loaded. What is asked of it lives beside this file, one file
//! per noun. No borrow of a cell is ever held across an await.

pub mod approvals;
pub mod callers;
pub mod db;
pub mod decoys;
pub mod held;
pub mod leases;
pub mod logins;
pub mod names;
mod references;
pub mod renders;
pub mod tasks;
pub mod timer;

use std::{
    cell::{Cell, OnceCell, RefCell},
    future::Future,
    pin::Pin,
    rc::{Rc, Weak},
};

use bytes::Bytes;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{keeper::Keeper, watcher::Watcher};
use crate::{
    api::{credential::StoreKind, problem::Code, status::Protection},
    audit::{Audit, Record},
    clock::Moment,
    config::{self, Config},
    error::{Error, Result},
    gateway::catalogue::Catalogue,
    paths::Paths,
    principal::Rule,
    store::Store,
};
use approvals::Approvals;
use db::Db;
use decoys::Decoys;
use held::Held;
use leases::Leases;
use logins::Logins;
use names::Names;
use renders::Renders;
use tasks::Tasks;
use timer::Timer;

/// How long after a record the audit log is brought to the disk.
const AUDIT_SYNC: std::time::Duration = std::time::Duration::from_secs(5);

/// The daemon's state.
pub struct State {
    /// Where everything is.
    pub paths: Paths,
    /// The config in force; replaced whole when the file changes for the good.
    config: RefCell<Rc<Settings>>,
    /// What is wrong with the config file as it is now.
    pub config_error: RefCell<Option<String>>,
    /// The store.
    pub store: RefCell<Store>,
    /// The database.
    pub db: Db,
    /// Leases that hold.
    pub leases: RefCell<Leases>,
    /// Tasks that are open.
    pub tasks: RefCell<Tasks>,
    /// Principals and credentials' metadata.
    pub names: RefCell<Names>,
    /// Held while a credential is changed: store, database and config are three steps, and another change
    /// between them would leave one without the others.
    pub credential_turn: tokio::sync::Mutex<()>,
    /// The thread that looks into files, once it was needed.
    keeper: RefCell<Option<Rc<Keeper>>>,
    /// What is known of watched files.
    pub watcher: Watcher,
    /// Decoys that were left in files.
    pub decoys: Decoys,
    /// Rendered files.
    pub renders: Renders,
    /// Issuers' own tokens that will have to be revoked.
    pub held: Held,
    /// Logins that are under way.
    pub logins: Logins,
    /// Requests that wait for a human.
    pub approvals: Approvals,
    /// The audit log.
    audit: RefCell<Audit>,
    audit_written: Notify,
    audit_held: Notify,
    /// The gateway, which is told of new routes.
    gateway: OnceCell<Weak<dyn Upstreams>>,
    /// How the daemon was started.
    pub started_by: String,
    /// When.
    pub started: Moment,
    /// What protects its memory.
    pub hardening: Vec<Protection>,
    /// The gateway's TCP port, once bound.
    pub gateway_port: Cell<Option<u16>>,
    /// Why it is not bound.
    pub gateway_error: RefCell<Option<String>>,
    /// Open connections, and the most there may be.
    pub connections: Rc<Cell<u64>>,
    /// See `connections`.
    pub connection_limit: u64,
    /// When the next task or lease ends.
    pub timer: Timer,
    /// Cancelled when the daemon stops.
    pub shutdown: CancellationToken,
}

/// What the state tells the gateway.
pub trait Upstreams {
    /// The routes from now on.
    fn set_routes(&self, catalogue: Catalogue);
    /// Close the upstream connections of this issuer.
    fn close(&self, issuer: &str);
    /// One request to an issuer's API ([`crate::gateway::Gateway::call`]).
    fn call<'a>(&'a self, call: Call<'a>) -> Called<'a>;
}

/// The answer that comes of a [`Call`].
pub type Called<'a> = Pin<Box<dyn Future<Output = Result<http::Response<Bytes>>> + 'a>>;

/// A request to an issuer's API.
pub struct Call<'a> {
    /// Keeps its connections apart from all others.
    pub name: &'a str,
    /// The issuer's base URL.
    pub base_url: &'a str,
    /// It may be an address of this machine or network.
    pub allow_private: bool,
    /// The request, with a path below that.
    pub request: http::Request<Bytes>,
}

/// The config and what is made of it.
pub struct Settings {
    /// The config.
    pub config: Config,
    /// Built-in routes and the user's own.
    pub catalogue: Catalogue,
    /// Built-in assistant rules and the user's own; the user's come first.
    pub rules: Vec<Rule>,
    /// When it was read.
    pub loaded: Moment,
}

impl Settings {
    /// Reads the config and everything it refers to.
    pub fn load(paths: &Paths, now: Moment) -> Result<Self> {
        let config = Config::load(&paths.config())?;
        let catalogue = Catalogue::built_in()?.with_custom(&config.routes)?;
        let mut rules = config.assistants.clone();
        rules.extend(config::assistants::built_in()?);
        Ok(Self { config, catalogue, rules, loaded: now })
    }
}

impl State {
    /// Loads what is on disk.
    pub fn load(paths: Paths, started_by: String, hardening: Vec<Protection>, connection_limit: u64) -> Result<Self> {
        let now = crate::sys::now();
        let settings = Settings::load(&paths, now)?;
        let db = Db::open(&paths.database())?;
        let audit = Audit::open(&paths.audit_dir())?;
        let store = Store::start(&settings.config.store, &paths);
        let leases = Leases::load(&db, now)?;
        let state = Self {
            held: Held::load(&db, |id| leases.by_id(id).is_some())?,
            config: RefCell::new(Rc::new(settings)),
            config_error: RefCell::default(),
            store: RefCell::new(store),
            leases: RefCell::new(leases),
            tasks: RefCell::new(Tasks::load(&db)?),
            names: RefCell::new(Names::load(&db)?),
            decoys: Decoys::load(&db)?,
            credential_turn: tokio::sync::Mutex::default(),
            keeper: RefCell::default(),
            watcher: Watcher::default(),
            renders: Renders::default(),
            logins: Logins::default(),
            approvals: Approvals::default(),
            audit: RefCell::new(audit),
            audit_written: Notify::new(),
            audit_held: Notify::new(),
            gateway: OnceCell::new(),
            db,
            paths,
            started_by,
            started: now,
            hardening,
            gateway_port: Cell::new(None),
            gateway_error: RefCell::default(),
            connections: Rc::default(),
            connection_limit,
            timer: Timer::default(),
            shutdown: CancellationToken::new(),
        };
        if state.settings().config.store.kind == StoreKind::Memory {
            state.forget_all_credentials()?;
        }
        state.publish_references();
        Ok(state)
    }

    /// The settings in force.
    pub fn settings(&self) -> Rc<Settings> {
        self.config.borrow().clone()
    }

    /// Reads the config again. A bad file changes nothing and is shown in `status`.
    pub fn reload(&self) -> Result<()> {
        match Settings::load(&self.paths, crate::sys::now()) {
            Ok(settings) => {
                let before = self.settings();
                if before.config.store != settings.config.store {
                    *self.store.borrow_mut() = Store::start(&settings.config.store, &self.paths);
                    *self.keeper.borrow_mut() = None;
                }
                if let Some(gateway) = self.gateway.get().and_then(Weak::upgrade) {
                    gateway.set_routes(settings.catalogue.clone());
                }
                *self.config.borrow_mut() = Rc::new(settings);
                *self.config_error.borrow_mut() = None;
                self.publish_references();
                self.renders.changed();
                self.end_leases_without_grant()
            }
            Err(error) => {
                *self.config_error.borrow_mut() = Some(error.to_string());
                Err(error)
            }
        }
    }

    /// The thread that looks into files and takes secrets out of them.
    pub fn keeper(&self) -> Result<Rc<Keeper>> {
        if let Some(keeper) = &*self.keeper.borrow() {
            return Ok(Rc::clone(keeper));
        }
        let keeper = Rc::new(Keeper::start(&self.paths, self.store.borrow().clone())?);
        *self.keeper.borrow_mut() = Some(Rc::clone(&keeper));
        Ok(keeper)
    }

    /// Tells this gateway of new routes and of keys that go away, from now on.
    pub fn tell_gateway(&self, gateway: Weak<dyn Upstreams>) {
        // Set once, at the start; there is one gateway.
        let _ = self.gateway.set(gateway);
    }

    /// Sends one request to an issuer's API: its answer.
    ///
    /// # Errors
    /// There is no gateway, or it is [`crate::gateway::Gateway::call`]'s.
    pub async fn call_issuer(&self, call: Call<'_>) -> Result<http::Response<Bytes>> {
        let gateway = self.gateway.get().and_then(Weak::upgrade);
        let gateway = gateway.ok_or_else(|| Error::internal("there is no gateway to send a request with"))?;
        gateway.call(call).await
    }

    /// Closes the upstream connections of an issuer, whose key changed or went away.
    pub fn forget_connections(&self, issuer: &str) {
        if let Some(gateway) = self.gateway.get().and_then(Weak::upgrade) {
            gateway.close(issuer);
        }
    }

    /// Writes an audit record. An error means that the thing must not be done.
    pub fn record(&self, record: Record<'_>) -> Result<()> {
        let written = self.audit.borrow_mut().record(record, crate::sys::now());
        self.audit_written.notify_one();
        written
    }

    /// Starts the work that follows on activity, off the reply path: the audit log is brought to the disk every few
    /// seconds while there is something to bring, and once it is quiet again the pages of code that were needed
    /// are given back. Nothing runs while nothing happens.
    pub fn tidy_after_activity(self: &Rc<Self>) {
        let state = Rc::clone(self);
        let work = async move {
            loop {
                state.audit_written.notified().await;
                loop {
                    tokio::time::sleep(AUDIT_SYNC).await;
                    state.sync_audit();
                    if tokio::time::timeout(AUDIT_SYNC, state.audit_written.notified()).await.is_err() {
                        break;
                    }
                }
                crate::sys::memory::release();
            }
        };
        let stop = self.shutdown.clone();
        tokio::task::spawn_local(async move { stop.run_until_cancelled(work).await });
        let state = Rc::clone(self);
        // Never cancelled: requests that are served to their end while the daemon stops are recorded as well.
        tokio::task::spawn_local(async move {
            loop {
                state.audit_held.notified().await;
                state.audit.borrow_mut().let_go();
                state.audit_written.notify_one();
            }
        });
    }

    /// Writes an audit record of something that cannot be undone or was refused anyway. A failure is
    /// kept by the log itself and shown in `status`.
    pub fn record_after(&self, record: Record<'_>) {
        if let Err(error) = self.record(record) {
            tracing::error!("{error}");
        }
    }

    /// Puts on record what has happened, in one write with whatever else happened in this turn of the loop, and after
    /// the answer that is on its way. A failure is kept as in [`State::record_after`].
    pub fn record_soon(&self, record: Record<'_>) {
        let held = self.audit.borrow_mut().hold(record, crate::sys::now());
        self.audit_held.notify_one();
        if let Err(error) = held {
            tracing::error!("{error}");
        }
    }

    /// Whether the audit log can be written; lines that wait are written first.
    pub fn audit_ready(&self) -> Result<()> {
        let mut audit = self.audit.borrow_mut();
        if audit.error().is_none() { Ok(()) } else { audit.flush_pending() }
    }

    /// Why the audit log cannot be written.
    pub fn audit_error(&self) -> Option<String> {
        self.audit.borrow().error()
    }

    /// Syncs the audit log to the disk.
    pub fn sync_audit(&self) {
        self.audit.borrow_mut().sync();
    }

    /// Random bytes from the kernel.
    pub fn random<const N: usize>(&self) -> Result<[u8; N]> {
        crate::sys::random().map_err(|e| Error::internal(format!("the kernel gave no random bytes: {e}")))
    }

    /// The gateway's base URL for a route.
    pub fn gateway_url(&self, route: &str) -> Result<String> {
        Ok(format!("{}/{route}", self.gateway_address()?))
    }

    /// The gateway's own address.
    pub fn gateway_address(&self) -> Result<String> {
        let port = self.gateway_port.get().ok_or_else(|| {
            let why = self.gateway_error.borrow().clone().unwrap_or_else(|| "its port is not bound yet".into());
            Error::new(Code::GatewayDown, format!("the gateway is not on TCP: {why}"))
                .hint("`hallpass doctor` says who has the port; set another [gateway] port in config.toml")
        })?;
        Ok(format!("http://127.0.0.1:{port}"))
    }
}
