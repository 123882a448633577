//! `hallpass lock` and `hallpass unlock`.

use clap::Args;

use super::{context::Context, input};
use crate::{
    api::credential::{StoreKind, StoreState, StoreStatus, Unlock as Body},
    error::Result,
};

/// Unlock the store.
#[derive(Debug, Args)]
pub struct Unlock {
    /// Read the passphrase from this file descriptor
    #[arg(long)]
    fd: Option<i32>,
}

pub fn lock(cx: &Context) -> Result<u8> {
    cx.post("/v1/store/lock", &(), say)
}

pub fn unlock(cx: &Context, args: &Unlock) -> Result<u8> {
    let mut client = cx.client()?;
    // A keyring asks by itself, and an identity file needs no passphrase: ask only where it is needed.
    let status: crate::api::status::Status = client.get("/v1/status")?;
    let needed = status.store.kind == StoreKind::File && status.store.state != StoreState::Open;
    let mut body = Body::default();
    if args.fd.is_some() {
        body.passphrase = Some(input::secret("passphrase", args.fd)?.value);
    } else if needed {
        match client.post::<_, StoreStatus>("/v1/store/unlock", &body) {
            Ok(opened) => return cx.show(&opened, say),
            Err(e) if e.code == crate::api::problem::Code::WrongPassphrase => {}
            Err(e) if e.code == crate::api::problem::Code::StoreLocked => {}
            Err(e) => return Err(e),
        }
        body.passphrase = Some(input::secret("passphrase of the store", None)?.value);
    }
    cx.post("/v1/store/unlock", &body, say)
}

fn say(status: &StoreStatus) -> String {
    let state = word(status.state);
    match &status.detail {
        Some(detail) => format!("the {} store is {state}: {}", status.kind, super::output::safe(detail)),
        None => format!("the {} store is {state}", status.kind),
    }
}

/// A state in words.
pub fn word(state: StoreState) -> &'static str {
    match state {
        StoreState::Open => "open",
        StoreState::Locked => "locked",
        StoreState::Unavailable => "not reachable",
        StoreState::Unknown => "not used yet",
    }
}
