//! The daemon's sockets: adopted from the service manager, or bound here.
//!
//! Owns binding and accepting. Must hold the instance lock before it removes a left-over socket, and
//! must never remove one that a service manager made.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    os::fd::AsFd,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use interprocess::{
    local_socket::{GenericFilePath, ListenerOptions, ToFsName},
    os::unix::{local_socket::ListenerOptionsExt, uds_local_socket::tokio::Listener as LocalListener},
};
use tokio::{net::TcpListener, sync::OwnedSemaphorePermit, sync::Semaphore};
use tokio_util::sync::CancellationToken;

use crate::{
    api::problem::Code,
    error::{Error, Result},
    sys,
};

/// How many connections may wait to be accepted.
const BACKLOG: i32 = 4096;
/// How long to pause when the process has no file descriptor left.
const EXHAUSTED: Duration = Duration::from_millis(100);
/// The ports from which the gateway's is chosen: above the well-known ones, below the ones that the
/// kernel hands out to clients.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// The sockets of a daemon.
pub struct Sockets {
    /// The API's.
    pub api: LocalListener,
    /// The gateway's.
    pub gateway: LocalListener,
    /// Adopted from the service manager.
    pub activated: bool,
    paths: [PathBuf; 2],
}

impl Sockets {
    /// Adopts the sockets of the service manager, or binds its own.
    pub fn open(api: &Path, gateway: &Path) -> Result<Self> {
        let paths = [api.to_path_buf(), gateway.to_path_buf()];
        if let Some((api, gateway)) = sys::activation::listeners().map_err(|e| unusable(api, &e))? {
            let adopt = |fd| LocalListener::try_from(fd).map_err(|e| unusable(&paths[0], &e));
            return Ok(Self { api: adopt(api)?, gateway: adopt(gateway)?, activated: true, paths });
        }
        Ok(Self { api: bind(api)?, gateway: bind(gateway)?, activated: false, paths })
    }

    /// Removes the sockets it made itself; called while the instance lock is still held.
    pub fn remove(&self) {
        if !self.activated {
            for path in &self.paths {
                let _ = std::fs::remove_file(path);
            }
        }
    }
}

fn bind(path: &Path) -> Result<LocalListener> {
    match std::fs::remove_file(path) {
        Ok(()) => tracing::info!("removed a socket that an earlier daemon left at {}", path.display()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(e) => return Err(unusable(path, &e)),
    }
    let name = path.to_fs_name::<GenericFilePath>().map_err(|e| unusable(path, &e))?;
    // Never `try_overwrite`: it displaces a live daemon. Reclaiming is ours, under the lock.
    let listener: LocalListener = ListenerOptions::new()
        .name(name)
        .mode(0o600)
        .reclaim_name(false)
        .create_tokio_as()
        .map_err(|e| unusable(path, &e))?;
    // A burst of clients must find room to wait; the default backlog is 128.
    rustix::net::listen(listener.as_fd(), BACKLOG).map_err(|e| unusable(path, &e.into()))?;
    Ok(listener)
}

fn unusable(path: &Path, error: &io::Error) -> Error {
    let hint = if path.as_os_str().len() > 100 {
        "a socket's path may be about 100 bytes long: set HALLPASS_SOCKET to a shorter one"
    } else {
        "`hallpass doctor` looks at the folder; HALLPASS_SOCKET names another place"
    };
    Error::new(Code::Io, format!("the socket {} cannot be used: {error}", path.display())).hint(hint)
}

/// Binds the gateway's TCP port on loopback: the config's, or, at the first start, one that is free.
pub async fn bind_gateway(port: Option<u16>, entropy: [u8; 8]) -> io::Result<TcpListener> {
    if let Some(port) = port {
        return bind_tcp(port).await;
    }
    let width = u64::from(PORTS.end - PORTS.start);
    let start = u64::from_le_bytes(entropy) % width;
    let mut last = io::Error::from(io::ErrorKind::AddrInUse);
    for step in 0..width {
        let port = PORTS.start + u16::try_from((start + step) % width).unwrap_or(0);
        match bind_tcp(port).await {
            Ok(listener) => return Ok(listener),
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn bind_tcp(port: u16) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await?;
    // As for the sockets: a burst of clients, or those that wait at the limit, must find room.
    rustix::net::listen(listener.as_fd(), BACKLOG)?;
    // Events and small answers must not wait for more. What is accepted inherits it.
    rustix::net::sockopt::set_tcp_nodelay(&listener, true)?;
    Ok(listener)
}

/// One of the daemon's listeners.
pub trait Accept {
    /// What it accepts.
    type Stream;
    /// Waits for the next connection.
    fn next(&self) -> impl Future<Output = io::Result<Self::Stream>>;
}

impl Accept for LocalListener {
    type Stream = tokio::net::UnixStream;
    async fn next(&self) -> io::Result<Self::Stream> {
        self.inner().accept().await.map(|(stream, _)| stream)
    }
}

impl Accept for TcpListener {
    type Stream = tokio::net::TcpStream;
    async fn next(&self) -> io::Result<Self::Stream> {
        self.accept().await.map(|(stream, _)| stream)
    }
}

/// Accepts until the daemon stops. A connection takes a permit first, so that at the limit new clients
/// wait in the kernel's queue and cost nothing.
pub async fn accept_loop<L: Accept>(
    listener: &L,
    permits: Arc<Semaphore>,
    stop: CancellationToken,
    serve: impl Fn(L::Stream, OwnedSemaphorePermit),
) {
    loop {
        let permit = tokio::select! {
            () = stop.cancelled() => return,
            permit = Arc::clone(&permits).acquire_owned() => permit,
        };
        let Ok(permit) = permit else { return };
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.next() => accepted,
        };
        match accepted {
            Ok(stream) => serve(stream, permit),
            Err(error) if is_exhausted(&error) => {
                tracing::warn!("out of file descriptors; waiting for some to come back");
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(EXHAUSTED) => {}
                }
            }
            // The client went away before it was accepted.
            Err(error) => tracing::debug!("accept: {error}"),
        }
    }
}

fn is_exhausted(error: &io::Error) -> bool {
    use rustix::io::Errno;
    [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM]
        .iter()
        .any(|e| error.raw_os_error() == Some(e.raw_os_error()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_accepted_connection_sends_at_once() {
        let listener = bind_gateway(None, [7; 8]).await.unwrap();
        let client = tokio::net::TcpStream::connect(listener.local_addr().unwrap());
        let (accepted, _client) = tokio::join!(listener.next(), client);
        assert!(accepted.unwrap().nodelay().unwrap());
    }
}
