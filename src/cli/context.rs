//! What every verb gets: how to print, and the daemon when it is needed.
//!
//! Owns "ask the daemon, show the answer": with `--json` the answer as it came, members that this
//! version does not know included; else what the verb makes of it. Reads nothing before it is asked.

use std::time::Duration;

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::output;
use crate::{
    api::List,
    client::Client,
    error::{Error, Result},
    paths::Paths,
};

/// The global flags.
#[derive(Clone, Copy, Debug, Default)]
pub struct Context {
    /// Machine-readable output.
    pub json: bool,
}

impl Context {
    /// Where everything is.
    ///
    /// # Errors
    /// No home folder.
    pub fn paths(&self) -> Result<Paths> {
        Paths::find()
    }

    /// The daemon, started if it has to be.
    ///
    /// # Errors
    /// It is not there and cannot be started.
    pub fn client(&self) -> Result<Client> {
        Client::connect(&self.paths()?, true)
    }

    /// Shows the answer to `GET path`.
    ///
    /// # Errors
    /// What the daemon says.
    pub fn get<R: DeserializeOwned>(&self, path: &str, render: impl FnOnce(&R) -> String) -> Result<u8> {
        let mut client = self.client()?;
        if self.json { self.value(&client.get(path)?) } else { self.text(&render(&client.get(path)?)) }
    }

    /// Shows those things of the list at `path` that are kept.
    ///
    /// # Errors
    /// What the daemon says.
    pub fn list<R: DeserializeOwned>(
        &self,
        path: &str,
        keep: impl Fn(&Value) -> bool,
        render: impl FnOnce(&List<R>) -> String,
    ) -> Result<u8> {
        let mut answer: Value = self.client()?.get(path)?;
        if let Some(items) = answer.get_mut("items").and_then(Value::as_array_mut) {
            items.retain(keep);
        }
        if self.json {
            return self.value(&answer);
        }
        let list = serde_json::from_value(answer)
            .map_err(|_| Error::internal("the daemon's list is not one that this version can read"))?;
        self.text(&render(&list))
    }

    /// Shows the answer to `POST path`.
    ///
    /// # Errors
    /// What the daemon says.
    pub fn post<Q: Serialize, R: DeserializeOwned>(
        &self,
        path: &str,
        body: &Q,
        render: impl FnOnce(&R) -> String,
    ) -> Result<u8> {
        self.post_waiting(path, body, Duration::ZERO, render)
    }

    /// The same for a call that may wait for a human.
    ///
    /// # Errors
    /// What the daemon says.
    pub fn post_waiting<Q: Serialize, R: DeserializeOwned>(
        &self,
        path: &str,
        body: &Q,
        extra: Duration,
        render: impl FnOnce(&R) -> String,
    ) -> Result<u8> {
        let mut client = self.client()?;
        if self.json {
            self.value(&client.post_waiting(path, body, extra, None)?)
        } else {
            self.text(&render(&client.post_waiting(path, body, extra, None)?))
        }
    }

    /// Shows the answer to `DELETE path`.
    ///
    /// # Errors
    /// What the daemon says.
    pub fn delete<R: DeserializeOwned>(&self, path: &str, render: impl FnOnce(&R) -> String) -> Result<u8> {
        let mut client = self.client()?;
        if self.json { self.value(&client.delete(path)?) } else { self.text(&render(&client.delete(path)?)) }
    }

    /// Prints one thing: as JSON, or rendered.
    ///
    /// # Errors
    /// The output cannot be written.
    pub fn show<R: Serialize>(&self, thing: &R, render: impl FnOnce(&R) -> String) -> Result<u8> {
        if self.json {
            output::json(thing)?
        } else {
            output::text(&render(thing))?
        }
        Ok(0)
    }

    fn value(self, value: &Value) -> Result<u8> {
        output::json(value).map(|()| 0)
    }

    /// Prints a text for a person.
    ///
    /// # Errors
    /// The output cannot be written.
    pub fn text(self, text: &str) -> Result<u8> {
        output::text(text).map(|()| 0)
    }
}
