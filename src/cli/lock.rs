//! `hallpass lock` and `hallpass unlock`.

use clap::Args;

use super::{context::Context, input};
use crate::{
    api::{
        credential::{StoreKind, StoreState, StoreStatus, Unlock as Body},
        problem::Code,
    },
    client::Client,
    error::{Error, Result},
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
    let opened = open(&mut client, args.fd)?;
    cx.show(&opened, say)
}

/// Opens the store, and asks for a passphrase only where one is needed: a keyring asks by itself, and an
/// identity file needs none. A file that is yet to be made has its passphrase asked for twice.
pub fn open(client: &mut Client, fd: Option<i32>) -> Result<StoreStatus> {
    let mut body = Body::default();
    if fd.is_some() {
        body.passphrase = Some(input::secret("passphrase", fd)?.value);
        return client.post("/v1/store/unlock", &body);
    }
    let status: crate::api::status::Status = client.get("/v1/status")?;
    if status.store.kind == StoreKind::File && status.store.state != StoreState::Open {
        match client.post::<_, StoreStatus>("/v1/store/unlock", &body) {
            Err(e) if matches!(e.code, Code::WrongPassphrase | Code::StoreLocked) => {}
            answer => return answer,
        }
        let new = !std::path::Path::new(&status.store.place).exists();
        let prompt = if new {
            "a new passphrase for the store (without it the keys in it are lost)"
        } else {
            "passphrase of the store"
        };
        let first = input::secret(prompt, None)?;
        if new && first.source == "prompt" && input::secret("the same again", None)?.value != first.value {
            return Err(Error::new(Code::InvalidValue, "the two passphrases are not the same; nothing was made")
                .hint("run it again"));
        }
        body.passphrase = Some(first.value);
    }
    client.post("/v1/store/unlock", &body)
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
