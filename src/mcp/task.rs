//! The task of a bridge or server: bound to this process, so that its tokens die with it, killed or not.

use std::sync::Mutex;

use crate::{
    api::{
        problem::Code,
        task::{StartTask, Task},
    },
    client::{Client, segment},
    error::{Error, Result},
    paths::Paths,
    scope::Wanted,
    task::EndReason,
};

/// The longest life of a task that the daemon gives; then it is opened anew.
const TTL_SECONDS: u64 = 7 * 24 * 3600;

/// It, opened when it is first needed.
pub struct OwnTask {
    title: String,
    claim: Option<String>,
    limit: Option<Vec<Wanted>>,
    id: Mutex<Option<String>>,
}

impl OwnTask {
    /// Nothing is opened yet.
    pub fn new(title: String, claim: Option<String>, limit: Option<Vec<Wanted>>) -> Self {
        Self { title, claim, limit, id: Mutex::new(None) }
    }

    /// Its id: opened at the first call, and again when its time was up. One that somebody ended stays ended.
    ///
    /// # Errors
    /// What the daemon says.
    pub fn open(&self, client: &mut Client) -> Result<String> {
        let mut open = self.id.lock().map_err(|_| Error::internal("a lock is broken"))?;
        if let Some(id) = &*open {
            match client.get::<Task>(&path(id, "")) {
                Ok(Task { ended_at: None, .. }) => return Ok(id.clone()),
                Ok(Task { end_reason: Some(EndReason::Expired), .. }) => {}
                Err(error) if error.code == Code::NotFound => {}
                Ok(_) => {
                    return Err(Error::new(Code::TaskEnded, format!("the task {:?} was ended", self.title))
                        .hint("start this server again in the client"));
                }
                Err(error) => return Err(error),
            }
        }
        let request = StartTask {
            title: self.title.clone(),
            claim: self.claim.clone(),
            limit: self.limit.clone(),
            ttl_seconds: Some(TTL_SECONDS),
            bind: true,
        };
        let task: Task = client.post("/v1/tasks", &request)?;
        Ok(open.insert(task.id).clone())
    }

    /// Ends it, where it is open; a later call opens another.
    ///
    /// # Errors
    /// What the daemon says.
    pub fn end(&self, paths: &Paths) -> Result<Option<Task>> {
        let id = self.id.lock().map_err(|_| Error::internal("a lock is broken"))?.take();
        let Some(id) = id else { return Ok(None) };
        Client::connect(paths, false)?.post(&path(&id, "/end"), &()).map(Some)
    }
}

fn path(id: &str, rest: &str) -> String {
    format!("/v1/tasks/{}{rest}", segment(id))
}
