//! `identity`: the keys of this device, by which it is an issuer itself.
//!
//! Owns their making, change and certificates. The document goes from the store to the one who signs, and nowhere else.

use std::{rc::Rc, time::Duration};

use zeroize::Zeroizing;

use super::rfc3339;
use crate::{
    api::{
        identity::{Certificate, Certified, Certify, CertifyIdentity, Identity, InitIdentity, Key, RotateIdentity},
        problem::Code,
    },
    audit::{Decision, Record},
    daemon::state::{State, callers::Caller},
    error::{Error, Result},
    identity::{Device, NAME, generate},
    principal::printable,
    store::StoreError,
    sys,
};

/// How long old keys stay in the JWKS where nothing is said, and at most.
const OVERLAP: Duration = Duration::from_secs(7 * 24 * 3600);
const MOST_OVERLAP: Duration = Duration::from_secs(366 * 24 * 3600);
/// The longest life of a certificate that the device signs itself, in days.
const MOST_DAYS: u16 = 3650;

/// The identity, for a signature.
pub async fn device(state: &State) -> Result<Device> {
    let store = state.store.borrow().clone();
    let bytes = store.get(NAME).await.map_err(|error| match error {
        StoreError::NotFound => {
            Error::new(Code::NotFound, "this device has no identity yet").hint("hallpass identity init")
        }
        error => error.into(),
    })?;
    Device::read(&bytes).map_err(|damaged| Error::internal(damaged.to_string()))
}

/// What others may know of it.
pub async fn show(state: &State) -> Result<Identity> {
    wire(&device(state).await?)
}

/// Makes the keys.
pub async fn init(state: &Rc<State>, caller: &Caller, request: InitIdentity) -> Result<Identity> {
    let who = state.human_only(caller, "making this device's identity")?;
    let issuer = match request.issuer {
        Some(url) if is_issuer(&url) => url,
        Some(_) => {
            return Err(Error::new(Code::InvalidValue, "an issuer is an https URL without a query")
                .hint("--issuer https://hallpass.example.com/laptop-7"));
        }
        // Unique, and by its name nobody's (RFC 2606): the keys are what is believed.
        None => format!("https://hallpass.invalid/{}", hex(&state.random::<8>()?)),
    };
    state.audit_ready()?;
    match device(state).await {
        Ok(_) => {
            return Err(Error::new(Code::Exists, "this device has an identity already").hint("hallpass identity show"));
        }
        Err(error) if error.code == Code::NotFound => {}
        Err(error) => return Err(error),
    }
    let device = Device::new(issuer, &new_keys().await?, sys::now().wall_ms)
        .map_err(|error| Error::internal(error.to_string()))?;
    keep(state, &device).await?;
    record(state, &who, "identity.init", device.issuer());
    wire(&device)
}

/// New keys sign from now on.
pub async fn rotate(state: &Rc<State>, caller: &Caller, request: RotateIdentity) -> Result<Identity> {
    let who = state.human_only(caller, "changing this device's keys")?;
    let overlap = request.overlap_seconds.map_or(OVERLAP, Duration::from_secs).min(MOST_OVERLAP);
    state.audit_ready()?;
    device(state).await?;
    let keys = new_keys().await?;
    // As it is now: making keys took its time.
    let mut device = device(state).await?;
    let now = sys::now().wall_ms;
    let until = now.saturating_add(i64::try_from(overlap.as_millis()).unwrap_or(i64::MAX));
    device.rotate(&keys, now, until).map_err(|error| Error::internal(error.to_string()))?;
    keep(state, &device).await?;
    record(state, &who, "identity.rotate", device.issuer());
    wire(&device)
}

/// A certificate, or the request for one.
pub async fn certificate(state: &Rc<State>, caller: &Caller, request: CertifyIdentity) -> Result<Certified> {
    let who = state.human_only(caller, "certifying this device's keys")?;
    let CertifyIdentity { alg, name, action } = request;
    let name = name.unwrap_or_else(sys::user_name);
    if name.is_empty() || name.len() > 64 || printable(&name) != name {
        return Err(
            Error::new(Code::InvalidValue, "a common name has 1 to 64 printable characters").hint("--name NAME")
        );
    }
    let mut device = device(state).await?;
    let now = sys::now().wall_ms;
    let wrong = |error: crate::identity::certificate::CertificateError| {
        Error::new(Code::InvalidValue, error.to_string())
            .hint("hallpass identity certificate --request makes a request for this device's key")
    };
    match action {
        Certify::Request => return device.request(alg, &name).map(|pem| Certified { pem }).map_err(wrong),
        Certify::SelfSigned { days } if (1..=MOST_DAYS).contains(&days) => {
            device.self_signed(alg, &name, now, days, state.random()?).map_err(wrong)?;
        }
        Certify::SelfSigned { .. } => {
            return Err(Error::new(Code::InvalidValue, "a certificate is for 1 to 3650 days").hint("--days 365"));
        }
        Certify::Install { pem } => device.install(alg, &pem, now).map_err(wrong)?,
    }
    state.audit_ready()?;
    keep(state, &device).await?;
    record(state, &who, "identity.certificate", alg.word());
    let own = device.certificates().into_iter().find(|one| one.alg == alg);
    own.map(|one| Certified { pem: one.pem }).ok_or_else(|| Error::internal("a certificate was not kept"))
}

/// A thread's work: RSA keys are searched for.
async fn new_keys() -> Result<Vec<Zeroizing<Vec<u8>>>> {
    let (done, made) = tokio::sync::oneshot::channel();
    let search = move || drop(done.send(generate::keys(&mut rsa::rand_core::UnwrapErr(getrandom::SysRng))));
    std::thread::Builder::new()
        .name("keys".into())
        .spawn(search)
        .map_err(|_| Error::internal("there is no thread to make keys in"))?;
    let keys = made.await.map_err(|_| Error::internal("the thread that makes keys is gone"))?;
    keys.map_err(|error| Error::internal(error.to_string()))
}

async fn keep(state: &State, device: &Device) -> Result<()> {
    let bytes = device.write().map_err(|_| Error::internal("the identity cannot be written"))?;
    let store = state.store.borrow().clone();
    Ok(store.put(NAME, bytes).await?)
}

fn record(state: &State, who: &crate::principal::Identity, event: &'static str, detail: &str) {
    state.record_after(Record::new(event, &who.principal, who.kind).decision(Decision::Done).detail(detail));
}

fn wire(device: &Device) -> Result<Identity> {
    let now = sys::now().wall_ms;
    let keys = device.keys(now).into_iter().map(|key| Key {
        pem: device.public_pem(&key.kid).unwrap_or_default(),
        kid: key.kid,
        alg: key.alg,
        created_at: rfc3339(key.created_ms),
        until: key.until_ms.map(rfc3339),
    });
    let certificates = device.certificates().into_iter().map(|one| Certificate {
        alg: one.alg,
        serial: one.serial,
        expires_at: rfc3339(one.ends_ms),
        pem: one.pem,
    });
    Ok(Identity {
        issuer: device.issuer().to_owned(),
        keys: keys.collect(),
        jwks: device.jwks(now).map_err(|damaged| Error::internal(damaged.to_string()))?,
        certificates: certificates.collect(),
    })
}

fn is_issuer(url: &str) -> bool {
    let host = url.strip_prefix("https://").and_then(|rest| rest.split('/').next());
    let plain = url.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~:/".contains(&b));
    plain && url.len() <= 200 && host.is_some_and(|host| !host.is_empty())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
