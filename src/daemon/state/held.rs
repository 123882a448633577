//! Issuers' own tokens that hallpass will have to end: kept sealed until they are revoked, or over.
//!
//! Owns what survives a restart of it. The database holds them encrypted (RFC 8439) under a key that rests in the store, so
//! a stolen state file holds nothing usable. Also owns what is remembered of an issuer's server: its clock, and until when
//! it is left alone. Must never hold a token whose issuer cannot revoke it.

use std::{
    cell::RefCell,
    collections::{HashMap, VecDeque},
    sync::{Arc, Weak},
};

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD as BASE64};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, Notify, OwnedMutexGuard};

use super::{
    State,
    db::{Db, Table},
    leases::ShareKey,
};
use crate::{
    error::{Error, Result},
    secret::Secret,
    store::StoreError,
};

/// Under which name the key rests in the store; no credential's name has a slash.
const KEY: &str = "seal/tokens";

/// A token that is to be revoked when its lease ends.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HeldToken {
    /// Its lease.
    pub lease: String,
    /// Who it was issued to.
    pub principal: String,
    /// By which issuer.
    pub issuer: String,
    /// When it ends by itself, in milliseconds since 1970 (UTC).
    pub ends_ms: i64,
    /// Nonce and ciphertext, in base64.
    sealed: String,
}

/// All of them, and what is known of their issuers.
#[derive(Default)]
pub struct Held {
    due: RefCell<VecDeque<String>>,
    wake: Notify,
    /// How far an issuer's clock is ahead of ours, in milliseconds.
    ahead: RefCell<HashMap<String, i64>>,
    /// Until when an issuer asked to be left alone, in milliseconds of boot time.
    resting: RefCell<HashMap<String, i64>>,
    /// The keys that leases' tokens are bound to, and the hash of each token. In memory only: after a restart such a token is
    /// of no use to anybody, and is minted anew.
    keys: RefCell<HashMap<String, (Secret, String)>>,
    /// Who asks an issuer for the same thing waits for whoever asked first.
    turns: RefCell<HashMap<ShareKey, Weak<Mutex<()>>>>,
}

impl Held {
    /// Those whose leases are over at the start.
    pub fn load(db: &Db, is_live: impl Fn(&str) -> bool) -> Result<Self> {
        let all: Vec<HeldToken> = db.all(Table::Held)?;
        let due = all.into_iter().map(|token| token.lease).filter(|lease| !is_live(lease)).collect();
        Ok(Self { due: RefCell::new(due), ..Self::default() })
    }

    /// This lease's token is to be revoked now.
    pub fn is_due(&self, lease: &str) {
        self.due.borrow_mut().push_back(lease.to_owned());
        self.wake.notify_one();
    }

    /// The next lease whose token is to be revoked; waits for one.
    pub async fn next_due(&self) -> String {
        loop {
            if let Some(lease) = self.due.borrow_mut().pop_front() {
                return lease;
            }
            self.wake.notified().await;
        }
    }

    /// How far this issuer's clock is ahead of ours, in milliseconds.
    pub fn ahead(&self, issuer: &str) -> i64 {
        self.ahead.borrow().get(issuer).copied().unwrap_or(0)
    }

    /// Its clock was seen.
    pub fn set_ahead(&self, issuer: &str, ms: i64) {
        self.ahead.borrow_mut().insert(issuer.to_owned(), ms);
    }

    /// How long the issuer is left alone still, in milliseconds.
    pub fn resting(&self, issuer: &str, boot_ms: i64) -> Option<i64> {
        self.resting.borrow().get(issuer).map(|until| until - boot_ms).filter(|left| *left > 0)
    }

    /// It asked to be left alone until then.
    pub fn rest(&self, issuer: &str, until_boot_ms: i64) {
        self.resting.borrow_mut().insert(issuer.to_owned(), until_boot_ms);
    }

    /// A lease's token is bound to this key.
    pub fn bind(&self, lease: &str, key: Secret, token: String) {
        self.keys.borrow_mut().insert(lease.to_owned(), (key, token));
    }

    /// The key that a lease's token is bound to, and the token's hash.
    pub fn key(&self, lease: &str) -> Option<(Secret, String)> {
        self.keys.borrow().get(lease).cloned()
    }

    /// The lease is over.
    pub fn unbind(&self, lease: &str) {
        self.keys.borrow_mut().remove(lease);
    }

    /// Waits for whoever asks for the same thing.
    pub async fn turn(&self, key: &ShareKey) -> OwnedMutexGuard<()> {
        let turn = {
            let mut turns = self.turns.borrow_mut();
            turns.retain(|_, turn| turn.strong_count() > 0);
            match turns.get(key).and_then(Weak::upgrade) {
                Some(turn) => turn,
                None => {
                    let turn = Arc::new(Mutex::new(()));
                    turns.insert(key.clone(), Arc::downgrade(&turn));
                    turn
                }
            }
        };
        turn.lock_owned().await
    }
}

impl State {
    /// Keeps a token until it is revoked; it is on disk when this returns.
    pub async fn hold(&self, lease: &str, principal: &str, issuer: &str, ends_ms: i64, token: &Secret) -> Result<()> {
        let key = self.seal_key().await?;
        let nonce: [u8; NONCE_LEN] = self.random()?;
        let mut sealed = token.expose().to_vec();
        key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(lease.as_bytes()), &mut sealed)
            .map_err(|_| Error::internal("a token could not be sealed"))?;
        let sealed = BASE64.encode([&nonce[..], &sealed].concat());
        let held = HeldToken {
            lease: lease.to_owned(),
            principal: principal.to_owned(),
            issuer: issuer.to_owned(),
            ends_ms,
            sealed,
        };
        self.db.put(Table::Held, lease, &held)
    }

    /// The token that is held for a lease; `None` where there is none.
    pub fn held(&self, lease: &str) -> Result<Option<HeldToken>> {
        self.db.find(Table::Held, lease)
    }

    /// The leases that tokens of this issuer are held for.
    pub fn held_of(&self, issuer: &str) -> Result<Vec<String>> {
        let all: Vec<HeldToken> = self.db.all(Table::Held)?;
        Ok(all.into_iter().filter(|held| held.issuer == issuer).map(|held| held.lease).collect())
    }

    /// It is revoked, or over.
    pub fn let_go(&self, lease: &str) -> Result<()> {
        self.db.remove(Table::Held, lease)
    }

    /// Its text; `None` where the store's key is not the one that it was sealed with.
    pub async fn unseal(&self, held: &HeldToken) -> Result<Option<Secret>> {
        let key = self.seal_key().await?;
        let Ok(mut bytes) = BASE64.decode(&held.sealed) else { return Ok(None) };
        let Some((nonce, sealed)) = bytes.split_at_mut_checked(NONCE_LEN) else { return Ok(None) };
        let Ok(nonce) = Nonce::try_assume_unique_for_key(nonce) else { return Ok(None) };
        let opened = key.open_in_place(nonce, Aad::from(held.lease.as_bytes()), sealed);
        let secret = opened.ok().map(|text| Secret::take(text.to_vec()));
        zeroize::Zeroize::zeroize(&mut bytes);
        Ok(secret)
    }

    async fn seal_key(&self) -> Result<LessSafeKey> {
        let store = self.store.borrow().clone();
        let bytes = match store.get(KEY).await {
            Ok(bytes) => bytes,
            Err(StoreError::NotFound) => {
                let bytes = Secret::take(self.random::<32>()?.to_vec());
                store.put(KEY, bytes.clone()).await?;
                bytes
            }
            Err(error) => return Err(error.into()),
        };
        let key = UnboundKey::new(&CHACHA20_POLY1305, bytes.expose());
        key.map(LessSafeKey::new).map_err(|_| Error::internal("the key that seals tokens is damaged"))
    }
}
