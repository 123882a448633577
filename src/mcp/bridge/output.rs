//! The way to the client: one message a line, in the order in which they come.
//!
//! Owns the bound on what waits when the client does not read.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

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
    /// Starts to write by this function, which says false once nobody reads any more.
    pub fn start(write: fn(&[u8]) -> bool) -> Self {
        let (sender, mut items) = mpsc::channel(1024);
        let closed = CancellationToken::new();
        let told = closed.clone();
        // A thread: a client that does not read must not hold up anything but its own answers.
        std::thread::spawn(move || {
            while let Some(item) = items.blocking_recv() {
                match item {
                    Item::Line(line, _room) => {
                        let mut whole = Vec::with_capacity(line.len() + 1);
                        whole.extend_from_slice(&line);
                        whole.push(b'\n');
                        if !write(&whole) {
                            break;
                        }
                    }
                    Item::End(done) => drop(done.send(())),
                }
            }
            told.cancel();
        });
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
