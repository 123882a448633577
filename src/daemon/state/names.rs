//! Principals and credentials by name: what is known of them, never a credential's value.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    State,
    db::{Db, Table},
};
use crate::{error::Result, principal::Kind};

/// How far a "last used" on disk may lag, in milliseconds: it is written at most this often.
const LAST_USED_LAG_MS: i64 = 60_000;

/// A registered principal.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PrincipalRecord {
    /// Its name.
    pub name: String,
    /// What sort of identity it is.
    pub kind: Kind,
    /// The human who owns it.
    pub owner: String,
    /// What it is for.
    pub description: Option<String>,
    /// It gets nothing.
    pub disabled: bool,
    /// Unix milliseconds.
    pub created_ms: i64,
    /// Unix milliseconds.
    pub last_seen_ms: Option<i64>,
}

/// What is known of a credential.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CredentialRecord {
    /// Its name.
    pub name: String,
    /// The human who owns it.
    pub owner: String,
    /// Where it came from.
    pub source: String,
    /// Unix milliseconds.
    pub created_ms: i64,
    /// Unix milliseconds.
    pub rotated_ms: Option<i64>,
    /// Unix milliseconds.
    pub last_used_ms: Option<i64>,
    /// The length of its value in bytes.
    pub length: u64,
    /// The keyed hash of its value, where it came out of a file.
    #[serde(default)]
    pub fingerprint: Option<String>,
    /// What it is: the detection rule's name, where it came out of a file.
    #[serde(default)]
    pub kind: Option<String>,
    /// When its value was revoked at its issuer, Unix milliseconds.
    #[serde(default)]
    pub revoked_ms: Option<i64>,
}

/// All of them.
#[derive(Default)]
pub struct Names {
    principals: BTreeMap<String, PrincipalRecord>,
    credentials: BTreeMap<String, CredentialRecord>,
}

impl Names {
    /// Loads them.
    pub fn load(db: &Db) -> Result<Self> {
        let principals = db.all::<PrincipalRecord>(Table::Principals)?;
        let credentials = db.all::<CredentialRecord>(Table::Credentials)?;
        Ok(Self {
            principals: principals.into_iter().map(|p| (p.name.clone(), p)).collect(),
            credentials: credentials.into_iter().map(|c| (c.name.clone(), c)).collect(),
        })
    }

    /// A principal.
    pub fn principal(&self, name: &str) -> Option<&PrincipalRecord> {
        self.principals.get(name)
    }

    /// All principals.
    pub fn principals(&self) -> impl ExactSizeIterator<Item = &PrincipalRecord> {
        self.principals.values()
    }

    /// A credential.
    pub fn credential(&self, name: &str) -> Option<&CredentialRecord> {
        self.credentials.get(name)
    }

    /// All credentials.
    pub fn credentials(&self) -> impl ExactSizeIterator<Item = &CredentialRecord> {
        self.credentials.values()
    }
}

impl State {
    /// Writes a principal down, new or changed.
    pub fn put_principal(&self, record: PrincipalRecord) -> Result<()> {
        self.db.put(Table::Principals, &record.name, &record)?;
        self.names.borrow_mut().principals.insert(record.name.clone(), record);
        self.renders.changed();
        Ok(())
    }

    /// Forgets a principal.
    pub fn forget_principal(&self, name: &str) -> Result<()> {
        self.db.remove(Table::Principals, name)?;
        self.names.borrow_mut().principals.remove(name);
        Ok(())
    }

    /// Writes what is known of a credential, new or changed.
    pub fn put_credential(&self, record: CredentialRecord) -> Result<()> {
        self.db.put(Table::Credentials, &record.name, &record)?;
        self.names.borrow_mut().credentials.insert(record.name.clone(), record);
        Ok(())
    }

    /// Writes what is known of several credentials, new or changed: all or none.
    pub fn put_credentials(&self, records: Vec<CredentialRecord>) -> Result<()> {
        let records: Vec<_> = records.into_iter().map(|record| (record.name.clone(), record)).collect();
        self.db.put_all(Table::Credentials, &records)?;
        self.names.borrow_mut().credentials.extend(records);
        Ok(())
    }

    /// Forgets what is known of a credential.
    pub fn forget_credential(&self, name: &str) -> Result<()> {
        self.db.remove(Table::Credentials, name)?;
        self.names.borrow_mut().credentials.remove(name);
        Ok(())
    }

    /// Forgets all of them: what a `memory` store held is gone, and a name without a value would only
    /// be in the way of adding it again.
    pub fn forget_all_credentials(&self) -> Result<()> {
        let names: Vec<String> = self.names.borrow().credentials.keys().cloned().collect();
        names.iter().try_for_each(|name| self.forget_credential(name))
    }

    /// Notes that a credential was used. What is on disk may lag by a minute: a time that is only
    /// shown to people is not worth a write for each request.
    pub fn touch_credential(&self, name: &str, now_ms: i64) {
        let late = {
            let mut names = self.names.borrow_mut();
            let Some(record) = names.credentials.get_mut(name) else { return };
            let before = record.last_used_ms.replace(now_ms);
            before.is_none_or(|ms| now_ms - ms > LAST_USED_LAG_MS).then(|| record.clone())
        };
        if let Some(record) = late
            && let Err(error) = self.db.put(Table::Credentials, name, &record)
        {
            tracing::warn!("{error}");
        }
    }

    /// Notes that a principal was seen; on disk like [`State::touch_credential`].
    pub fn touch_principal(&self, name: &str, now_ms: i64) {
        let late = {
            let mut names = self.names.borrow_mut();
            let Some(record) = names.principals.get_mut(name) else { return };
            let late = record.last_seen_ms.is_none_or(|ms| now_ms - ms > LAST_USED_LAG_MS);
            if late {
                record.last_seen_ms = Some(now_ms);
            }
            late.then(|| record.clone())
        };
        if let Some(record) = late
            && let Err(error) = self.db.put(Table::Principals, name, &record)
        {
            tracing::warn!("{error}");
        }
    }
}
