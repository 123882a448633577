//! The state database: leases, tasks, principals, credentials' metadata and trusted projects.
//!
//! Owns the SQLite file. Rows are JSON documents beside the few columns that are searched; a token is
//! kept as its hash and a credential's value not at all, so a stolen file holds nothing usable.
//! Every write is on disk (in the write-ahead log) before its caller answers, so a `kill -9` loses
//! nothing; a write that fails is an error, never a silent loss.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension, params};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    api::problem::Code,
    error::{Error, Result},
    lease::Lease,
    task::Task,
    token::TokenHash,
};

/// The version of the schema; a newer one is refused, so that a downgrade cannot damage it.
const SCHEMA: i64 = 1;

/// An open database.
pub struct Db(Connection);

/// A table of named JSON documents.
#[derive(Clone, Copy, Debug)]
pub enum Table {
    /// Principals by name.
    Principals,
    /// Credentials' metadata by name.
    Credentials,
    /// Trusted projects' digests by folder.
    Trust,
    /// The credentials that hallpass wrote references to, by the file they are in.
    Reference,
    /// The fingerprints of secrets that a person put back, by the file they are in.
    PutBack,
    /// Decoys that were left in files, by their fingerprints.
    Decoys,
    /// Issuers' own tokens that are to be revoked when their leases end, sealed, by lease.
    Held,
}

impl Table {
    fn word(self) -> &'static str {
        match self {
            Self::Principals => "principals",
            Self::Credentials => "credentials",
            Self::Trust => "trust",
            Self::Reference => "reference",
            Self::PutBack => "put_back",
            Self::Decoys => "decoys",
            Self::Held => "held",
        }
    }
}

impl Db {
    /// Opens or creates it.
    pub fn open(path: &Path) -> Result<Self> {
        // Made by us first, so that it is private from its first byte.
        drop(crate::sys::private_file(path, true).map_err(|e| {
            Error::new(Code::StateUnwritable, format!("the state database {} cannot be opened: {e}", path.display()))
                .hint("hallpass hands out nothing that it cannot record; `hallpass doctor` says what is in the way")
        })?);
        let connection = Connection::open(path).map_err(|e| failed(&e))?;
        let db = Self(connection);
        db.prepare().map_err(|e| failed(&e))?;
        let version: i64 = db.0.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(|e| failed(&e))?;
        if version > SCHEMA {
            return Err(Error::new(Code::Version, "the state database was written by a newer hallpass")
                .hint("install that version again; this one would damage it"));
        }
        db.0.pragma_update(None, "user_version", SCHEMA).map_err(|e| failed(&e))?;
        Ok(db)
    }

    /// The daemon is alone with the file (the instance lock), so SQLite need not lock for each statement.
    /// Each index is a page more that every mint writes, so there is one only where a start would otherwise
    /// read the whole history; newest first is the order of the rows themselves.
    fn prepare(&self) -> rusqlite::Result<()> {
        self.0.execute_batch(
            "PRAGMA locking_mode = EXCLUSIVE;
             PRAGMA journal_mode = WAL;
             PRAGMA synchronous = NORMAL;
             PRAGMA cache_size = -512;
             PRAGMA busy_timeout = 2000;
             PRAGMA secure_delete = ON;
             CREATE TABLE IF NOT EXISTS leases (
                 id TEXT PRIMARY KEY, hash BLOB NOT NULL, live INTEGER NOT NULL,
                 issued_ms INTEGER NOT NULL, task TEXT, doc TEXT NOT NULL) STRICT;
             CREATE INDEX IF NOT EXISTS leases_live ON leases (live) WHERE live = 1;
             CREATE TABLE IF NOT EXISTS tasks (
                 id TEXT PRIMARY KEY, live INTEGER NOT NULL, started_ms INTEGER NOT NULL, doc TEXT NOT NULL) STRICT;
             CREATE INDEX IF NOT EXISTS tasks_live ON tasks (live) WHERE live = 1;
             CREATE TABLE IF NOT EXISTS principals (name TEXT PRIMARY KEY, doc TEXT NOT NULL) STRICT;
             CREATE TABLE IF NOT EXISTS credentials (name TEXT PRIMARY KEY, doc TEXT NOT NULL) STRICT;
             CREATE TABLE IF NOT EXISTS trust (name TEXT PRIMARY KEY, doc TEXT NOT NULL) STRICT;
             CREATE TABLE IF NOT EXISTS decoys (name TEXT PRIMARY KEY, doc TEXT NOT NULL) STRICT;
             CREATE TABLE IF NOT EXISTS held (name TEXT PRIMARY KEY, doc TEXT NOT NULL) STRICT;
             CREATE TABLE IF NOT EXISTS reference (name TEXT PRIMARY KEY, doc TEXT NOT NULL) STRICT;
             CREATE TABLE IF NOT EXISTS put_back (name TEXT PRIMARY KEY, doc TEXT NOT NULL) STRICT;",
        )
    }

    /// Writes a new lease under its token's hash.
    pub fn insert_lease(&self, lease: &Lease, hash: TokenHash) -> Result<()> {
        let doc = to_json(lease)?;
        self.0
            .prepare_cached("INSERT INTO leases (id, hash, live, issued_ms, task, doc) VALUES (?1, ?2, 1, ?3, ?4, ?5)")
            .and_then(|mut s| s.execute(params![lease.id, hash.0, lease.deadline.from_wall_ms, lease.task, doc]))
            .map_err(|e| failed(&e))?;
        Ok(())
    }

    /// Writes a lease's new state.
    pub fn update_lease(&self, lease: &Lease) -> Result<()> {
        let doc = to_json(lease)?;
        self.0
            .prepare_cached("UPDATE leases SET live = ?2, doc = ?3 WHERE id = ?1")
            .and_then(|mut s| s.execute(params![lease.id, lease.ended.is_none(), doc]))
            .map_err(|e| failed(&e))?;
        Ok(())
    }

    /// Writes the ends of leases and tasks: all or none, synced to the disk itself, so that what was
    /// revoked stays revoked even when the power fails.
    pub fn write_ends(&self, leases: &[Lease], tasks: &[Task]) -> Result<()> {
        self.0.pragma_update(None, "synchronous", "FULL").map_err(|e| failed(&e))?;
        let written = self.0.unchecked_transaction().map_err(|e| failed(&e)).and_then(|all| {
            leases.iter().try_for_each(|lease| self.update_lease(lease))?;
            tasks.iter().try_for_each(|task| self.put_task(task))?;
            all.commit().map_err(|e| failed(&e))
        });
        self.0.pragma_update(None, "synchronous", "NORMAL").map_err(|e| failed(&e)).and(written)
    }

    /// The leases that have not ended, expired ones included, with their hashes.
    pub fn live_leases(&self) -> Result<Vec<(TokenHash, Lease)>> {
        let read = || -> rusqlite::Result<Vec<([u8; 32], String)>> {
            let mut statement = self.0.prepare("SELECT hash, doc FROM leases WHERE live = 1")?;
            let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            rows.collect()
        };
        let rows = read().map_err(|e| failed(&e))?;
        rows.into_iter().map(|(hash, doc)| Ok((TokenHash(hash), from_json(&doc)?))).collect()
    }

    /// One lease.
    pub fn lease(&self, id: &str) -> Result<Option<Lease>> {
        self.one("SELECT doc FROM leases WHERE id = ?1", id)
    }

    /// The newest leases.
    pub fn leases(&self, limit: usize) -> Result<Vec<Lease>> {
        self.newest("SELECT doc FROM leases ORDER BY rowid DESC LIMIT ?1", limit)
    }

    /// Forgets leases and tasks older than this: far longer ago than either may live, so they are over,
    /// also where their end was never written because the daemon was not running.
    pub fn prune(&self, before_ms: i64) -> Result<()> {
        self.0
            .execute("DELETE FROM leases WHERE issued_ms < ?1", [before_ms])
            .and_then(|_| self.0.execute("DELETE FROM tasks WHERE started_ms < ?1", [before_ms]))
            .map_err(|e| failed(&e))?;
        Ok(())
    }

    /// Writes a task, new or changed.
    pub fn put_task(&self, task: &Task) -> Result<()> {
        let doc = to_json(task)?;
        self.0
            .prepare_cached(
                "INSERT INTO tasks (id, live, started_ms, doc) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (id) DO UPDATE SET live = ?2, doc = ?4",
            )
            .and_then(|mut s| s.execute(params![task.id, task.matters(), task.deadline.from_wall_ms, doc]))
            .map_err(|e| failed(&e))?;
        Ok(())
    }

    /// Notes that the process of a task that had ended before has ended too.
    pub fn settle_task(&self, id: &str) -> Result<()> {
        let settled = self.0.execute("UPDATE tasks SET live = 0 WHERE id = ?1", [id]);
        settled.map(drop).map_err(|e| failed(&e))
    }

    /// The tasks that have not ended, and those that did while their process ran on; oldest first.
    pub fn live_tasks(&self) -> Result<Vec<Task>> {
        self.newest("SELECT doc FROM tasks WHERE live = 1 ORDER BY started_ms LIMIT ?1", usize::MAX >> 1)
    }

    /// One task.
    pub fn task(&self, id: &str) -> Result<Option<Task>> {
        self.one("SELECT doc FROM tasks WHERE id = ?1", id)
    }

    /// The newest tasks.
    pub fn tasks(&self, limit: usize) -> Result<Vec<Task>> {
        self.newest("SELECT doc FROM tasks ORDER BY started_ms DESC, rowid DESC LIMIT ?1", limit)
    }

    /// Every document of a table, by name.
    pub fn all<T: DeserializeOwned>(&self, table: Table) -> Result<Vec<T>> {
        let sql = format!("SELECT doc FROM {} ORDER BY name LIMIT ?1", table.word());
        self.newest(&sql, usize::MAX >> 1)
    }

    /// Writes a named document, new or changed.
    pub fn put<T: Serialize>(&self, table: Table, name: &str, value: &T) -> Result<()> {
        let sql = format!(
            "INSERT INTO {} (name, doc) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET doc = ?2",
            table.word()
        );
        let doc = to_json(value)?;
        self.0.prepare_cached(&sql).and_then(|mut s| s.execute(params![name, doc])).map_err(|e| failed(&e))?;
        Ok(())
    }

    /// Writes several named documents: all or none.
    pub fn put_all<T: Serialize>(&self, table: Table, values: &[(String, T)]) -> Result<()> {
        let all = self.0.unchecked_transaction().map_err(|e| failed(&e))?;
        values.iter().try_for_each(|(name, value)| self.put(table, name, value))?;
        all.commit().map_err(|e| failed(&e))
    }

    /// One named document.
    pub fn find<T: DeserializeOwned>(&self, table: Table, name: &str) -> Result<Option<T>> {
        self.one(&format!("SELECT doc FROM {} WHERE name = ?1", table.word()), name)
    }

    /// Removes a named document.
    pub fn remove(&self, table: Table, name: &str) -> Result<()> {
        self.0.execute(&format!("DELETE FROM {} WHERE name = ?1", table.word()), [name]).map_err(|e| failed(&e))?;
        Ok(())
    }

    /// Moves the write-ahead log into the database; for an orderly stop.
    pub fn checkpoint(&self) {
        // Nothing is lost when it fails: the log is read at the next start.
        let _ = self.0.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)");
    }

    fn one<T: DeserializeOwned>(&self, sql: &str, name: &str) -> Result<Option<T>> {
        let doc: Option<String> = self
            .0
            .prepare_cached(sql)
            .and_then(|mut s| s.query_row([name], |row| row.get(0)).optional())
            .map_err(|e| failed(&e))?;
        doc.as_deref().map(from_json).transpose()
    }

    fn newest<T: DeserializeOwned>(&self, sql: &str, limit: usize) -> Result<Vec<T>> {
        let read = || -> rusqlite::Result<Vec<String>> {
            let mut statement = self.0.prepare_cached(sql)?;
            let rows = statement.query_map([i64::try_from(limit).unwrap_or(i64::MAX)], |row| row.get(0))?;
            rows.collect()
        };
        read().map_err(|e| failed(&e))?.iter().map(|doc| from_json(doc)).collect()
    }
}

fn to_json<T: Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|_| Error::internal("a record could not be written as JSON"))
}

fn from_json<T: DeserializeOwned>(doc: &str) -> Result<T> {
    serde_json::from_str(doc).map_err(|e| {
        Error::internal(format!(
            "a record in the state database cannot be read ({:?} at column {})",
            e.classify(),
            e.column()
        ))
    })
}

fn failed(error: &rusqlite::Error) -> Error {
    use rusqlite::ErrorCode::{DatabaseBusy, DatabaseCorrupt, NotADatabase};
    if error.sqlite_error_code() == Some(DatabaseBusy) {
        return Error::new(Code::StateUnwritable, "another daemon on another socket has this state folder")
            .hint("stop that one (`pgrep -a hallpass` shows it), or give this one a HALLPASS_HOME of its own");
    }
    if matches!(error.sqlite_error_code(), Some(NotADatabase | DatabaseCorrupt)) {
        return Error::new(Code::StateUnwritable, format!("the state database state.db is damaged: {error}"))
            .hint("move state.db out of the state folder to begin with an empty one; hallpass does not overwrite it");
    }
    Error::new(Code::StateUnwritable, format!("the state database failed: {error}"))
        .hint("free some space or make the state folder writable; hallpass hands out nothing that it cannot record")
}
