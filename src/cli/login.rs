//! `hallpass issuer login` and `hallpass mcp login`: a person signs in, by a browser here or by a code elsewhere.
//!
//! Owns what is shown meanwhile, and opening the browser. The answer of the browser goes to the daemon, not here.

use std::{
    process::{Command, Stdio},
    time::Duration,
};

use clap::Args;

use super::{
    context::Context,
    output::{self, safe},
};
use crate::{
    api::login::{Client, How, LoggedIn, LoginStarted},
    client::segment,
    error::Result,
    issuer::oauth::ClientAuth,
};

/// How to sign in.
#[derive(Debug, Args)]
pub struct Way {
    /// By a code that is entered in a browser elsewhere (RFC 8628); what is done anyhow over ssh, where the server can
    #[arg(long, conflicts_with = "browser")]
    device: bool,
    /// By a browser on this machine, or not at all
    #[arg(long)]
    browser: bool,
    /// Show the address, and open nothing
    #[arg(long)]
    no_open: bool,
}

/// Who asks the server.
#[derive(Debug, Args)]
pub struct Who {
    /// The id of a client that was registered at the server by hand
    #[arg(long)]
    pub client_id: Option<String>,
    /// The credential that is that client's secret or private key, where it has one
    #[arg(long, value_name = "NAME", requires = "client_id")]
    pub client_credential: Option<String>,
    /// The https URL at which you host the document of `hallpass issuer client-document`
    #[arg(long, value_name = "URL", conflicts_with = "client_id")]
    pub client_document: Option<String>,
}

impl Who {
    /// The same on the wire.
    pub fn client(&self, auth: Option<ClientAuth>) -> Client {
        Client {
            client_id: self.client_id.clone(),
            credential: self.client_credential.clone(),
            auth,
            document: self.client_document.clone(),
        }
    }
}

impl Way {
    /// The way that fits where this runs.
    pub fn how(&self) -> How {
        let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        match () {
            () if self.device => How::Device,
            () if self.browser => How::Browser,
            () if is_set("SSH_CONNECTION") || is_set("SSH_TTY") => How::Elsewhere,
            () => How::Here,
        }
    }

    /// Says where to go, goes there, and waits until the person is back.
    ///
    /// # Errors
    /// What the daemon says of the attempt.
    pub fn follow(&self, cx: &Context, started: &LoginStarted) -> Result<LoggedIn> {
        let url = safe(&started.url);
        match &started.user_code {
            Some(code) => output::note(&format!("open {url}\nand enter the code {}", safe(code))),
            None => output::note(&format!("open {url}")),
        }
        // A code is for another machine's browser; an address here is for this one's.
        if started.user_code.is_none() && !self.no_open {
            open(&started.url);
        }
        let path = format!("/v1/issuers/{}/login/{}", segment(&started.issuer), segment(&started.id));
        cx.client()?.post_waiting(&path, &(), Duration::from_secs(started.expires_in), None)
    }
}

/// What a person reads when it is done.
pub fn done(login: &LoggedIn) -> String {
    let issuer = safe(&login.issuer);
    let rights = match login.scopes.as_slice() {
        [] => "whatever the server gives by itself".to_owned(),
        scopes => safe(&scopes.join(" ")),
    };
    let end = match login.renews {
        true => "it is renewed by itself",
        false => "the server gave no way to renew it: sign in again when it has ended",
    };
    format!("signed in at {issuer}, for {rights}; {end}")
}

/// Opens the browser; where there is none, the address stands in the terminal.
fn open(url: &str) {
    let (program, first): (&str, &[&str]) = match std::env::consts::OS {
        "macos" => ("open", &[]),
        "windows" => ("rundll32", &["url.dll,FileProtocolHandler"]),
        _ => ("xdg-open", &[]),
    };
    let command = Command::new(program)
        .args(first)
        .arg(url)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    drop(command);
}
