//! Sockets that a service manager opened for us (sd_listen_fds(3)).
//!
//! Owns taking the descriptors over, once. Whether they are sockets is checked by who uses them.

use std::io;
#[cfg(unix)]
use std::os::fd::OwnedFd;

/// The API's and the gateway's listeners, when a service manager passed both. They are told apart by
/// their names (`FileDescriptorName=agent` and `gateway` in the socket unit), else by their order.
#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
pub fn listeners() -> io::Result<Option<(OwnedFd, OwnedFd)>> {
    use std::{
        os::fd::FromRawFd,
        sync::atomic::{AtomicBool, Ordering},
    };
    static TAKEN: AtomicBool = AtomicBool::new(false);
    let count = sd_notify::listen_fds()?.len();
    if count == 0 || TAKEN.swap(true, Ordering::SeqCst) {
        return Ok(None);
    }
    let passed: Vec<(i32, String)> = match sd_notify::listen_fds_with_names() {
        Ok(named) => named.collect(),
        Err(_) => sd_notify::listen_fds()?.map(|fd| (fd, String::new())).collect(),
    };
    let named = |name: &str| passed.iter().find(|(_, known)| known == name).map(|(fd, _)| *fd);
    let found = named("agent").zip(named("gateway")).or(match passed.as_slice() {
        [(api, _), (gateway, _)] => Some((*api, *gateway)),
        _ => None,
    });
    let Some((api, gateway)) = found else {
        let text = format!("the service manager passed {count} sockets; hallpass needs two, named agent and gateway");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    };
    // SAFETY: the service manager opened both for this process (LISTEN_PID was checked) and nothing
    // else here owns them: the flag lets this run once.
    Ok(Some(unsafe { (OwnedFd::from_raw_fd(api), OwnedFd::from_raw_fd(gateway)) }))
}

/// Only systemd passes sockets this way.
#[cfg(all(unix, not(target_os = "linux")))]
pub fn listeners() -> io::Result<Option<(OwnedFd, OwnedFd)>> {
    Ok(None)
}
