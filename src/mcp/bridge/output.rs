//! The way to the client: one message a line, in the order in which they come.
//!
//! Owns the bound on what waits when the client does not read.

use std::{os::fd::OwnedFd, sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::pipe::Pipe;
use crate::mcp::MAX_MESSAGE;

/// How many bytes may wait; a larger message goes alone.
const ROOM: usize = 2 * MAX_MESSAGE;

/// The sending end.
pub struct Output {
    sender: mpsc::Sender<Item>,
    room: Arc<Semaphore>,
    closed: CancellationToken,
}

enum Item {
    Line(Bytes, OwnedSemaphorePermit),
    End(oneshot::Sender<()>),
}

impl Output {
    /// Starts to write there; by this function, which says false once nobody reads any more, where that cannot be waited
    /// for.
    pub fn start(output: &OwnedFd, write: fn(&[u8]) -> bool) -> Self {
        let (sender, items) = mpsc::channel(1024);
        let closed = CancellationToken::new();
        let told = closed.clone();
        match Pipe::writing(output) {
            Some(pipe) => drop(tokio::spawn(by_pipe(pipe, items, told))),
            // A thread: a client that does not read must not hold up anything but its own answers.
            None => drop(std::thread::spawn(move || by_thread(write, items, &told))),
        }
        Self { sender, room: Arc::new(Semaphore::new(ROOM)), closed }
    }

    /// Sends one message.
    pub async fn line(&self, line: Bytes) {
        let size = u32::try_from(line.len().clamp(1, ROOM)).unwrap_or(u32::MAX);
        if let Ok(room) = self.room.clone().acquire_many_owned(size).await {
            // Nobody reads any more: the bridge ends.
            let _ = self.sender.send(Item::Line(line, room)).await;
        }
    }

    /// Waits until nobody reads any more.
    pub async fn closed(&self) {
        self.closed.cancelled().await;
    }

    /// Waits a moment until all is written.
    pub async fn end(&self, wait: Duration) {
        let (done, ended) = oneshot::channel();
        let _ = tokio::time::timeout(wait, async {
            if self.sender.send(Item::End(done)).await.is_ok() {
                let _ = ended.await;
            }
        })
        .await;
    }
}

async fn by_pipe(pipe: Pipe, mut items: mpsc::Receiver<Item>, told: CancellationToken) {
    while let Some(item) = items.recv().await {
        match item {
            Item::Line(line, _room) => {
                if pipe.write(&whole(&line)).await.is_err() {
                    break;
                }
            }
            Item::End(done) => drop(done.send(())),
        }
    }
    told.cancel();
}

fn by_thread(write: fn(&[u8]) -> bool, mut items: mpsc::Receiver<Item>, told: &CancellationToken) {
    while let Some(item) = items.blocking_recv() {
        match item {
            Item::Line(line, _room) => {
                if !write(&whole(&line)) {
                    break;
                }
            }
            Item::End(done) => drop(done.send(())),
        }
    }
    told.cancel();
}

/// The line with its end: one call writes both.
fn whole(line: &[u8]) -> Vec<u8> {
    let mut whole = Vec::with_capacity(line.len() + 1);
    whole.extend_from_slice(line);
    whole.push(b'\n');
    whole
}
