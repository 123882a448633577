//! One message to the server, and what comes back for it.
//!
//! Owns the rules of Streamable HTTP (MCP 2026-07-28; before that 2025-11-25: sessions, resumed streams). Whoever waits
//! for an answer gets one: the server's, or an error that says why there is none.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde_json::Value;

use super::{Bridge, listen, locked};
use crate::{
    api::problem::Code,
    error::{Error, Result},
    issuer::oauth::dpop,
    mcp::{
        MAX_MESSAGE,
        challenge::Challenge,
        message::{self, Answer, Message},
        sse::Reader,
    },
    principal::printable,
};

/// How long a server may think before it answers a request: tools may take long, and the client gives up earlier.
const ANSWER_TIME: Duration = Duration::from_secs(1800);
/// The same for what has no answer.
const ACCEPT_TIME: Duration = Duration::from_secs(60);
/// How long a stream is read on after its answer: its end frees the connection for the next request.
const AFTERWARDS: Duration = Duration::from_secs(1);
/// What a client sends when it has read the answer to its `initialize`.
const INITIALIZED: &[u8] = br#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;

impl Bridge {
    /// Sends a message and passes on what comes back.
    pub(super) async fn exchange(self: Arc<Self>, message: Message) {
        let mut open = message.ids.clone();
        let Err(error) = self.try_exchange(&message, &mut open).await else { return };
        if open.is_empty() {
            self.note(&error);
        }
        for id in &open {
            self.output.line(message::failed(id, &error)).await;
        }
    }

    async fn try_exchange(self: &Arc<Self>, message: &Message, open: &mut Vec<Value>) -> Result<()> {
        let response = self.send(message).await?;
        let status = response.status();
        if message.is("initialize") && message.version.is_none() && status.is_success() {
            locked(&self.session).begin(message.bytes.clone(), response.headers());
        }
        if !message.is_request() {
            if !status.is_success() {
                return Err(self.unexpected(message, &response));
            }
            // Read to its end, so that the connection serves again.
            let _ = tokio::time::timeout(AFTERWARDS, self.http.body(response.into_body())).await;
            return Ok(());
        }
        if status.is_success() && is_event_stream(&response) {
            return self.stream(response.into_body(), message, open).await;
        }
        let refusal = self.unexpected(message, &response);
        let body = self.http.body(response.into_body()).await?;
        match Answer::read(&body) {
            Some(answer) => self.pass_on(answer, message, open).await,
            None => return Err(refusal),
        }
        if open.is_empty() { Ok(()) } else { Err(self.no_answer()) }
    }

    /// Passes on one message of the server's.
    async fn pass_on(&self, answer: Answer, message: &Message, open: &mut Vec<Value>) {
        // An error that names no request is about the only one that there is.
        if answer.is_nameless_error
            && let [only] = open.as_slice()
            && let Some(line) = answer.named(only)
        {
            open.clear();
            return self.output.line(line).await;
        }
        if answer.ids.iter().any(|id| open.contains(id)) {
            match message.method.as_deref() {
                Some("initialize") if message.version.is_none() => locked(&self.session).agree(&answer.line),
                Some("tools/list") if message.version.is_some() => locked(&self.params).learn(&answer.line),
                _ => {}
            }
        }
        open.retain(|id| !answer.ids.contains(id));
        self.output.line(answer.line).await;
    }

    /// Reads a stream of events until the answer has come, resuming it where the server lets us.
    async fn stream(&self, mut body: Incoming, message: &Message, open: &mut Vec<Value>) -> Result<()> {
        let mut reader = Reader::new(MAX_MESSAGE);
        let mut last: Option<String> = None;
        let mut tries = 0;
        loop {
            if self.read_stream(&mut body, &mut reader, message, open, &mut last).await? {
                tries = 0;
            }
            if open.is_empty() {
                return Ok(());
            }
            let resumable = last.is_some() && message.version.is_none();
            tries += 1;
            if !resumable || tries > listen::MAX_TRIES {
                return Err(self.http.broke_off());
            }
            tokio::time::sleep(listen::pause(reader.retry, tries)).await;
            reader = reader.again();
            match self.open_stream(last.as_deref()).await {
                Ok(response) if response.status().is_success() && is_event_stream(&response) => {
                    body = response.into_body();
                }
                Ok(response) if response.status().is_server_error() => {}
                Ok(_) => return Err(self.http.broke_off()),
                Err(error) if error.code == Code::UpstreamUnreachable => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Reads one connection's part of it; whether anything came.
    async fn read_stream(
        &self,
        body: &mut Incoming,
        reader: &mut Reader,
        message: &Message,
        open: &mut Vec<Value>,
        last: &mut Option<String>,
    ) -> Result<bool> {
        let mut brought = false;
        loop {
            let frame = match open.is_empty() {
                false => body.frame().await,
                true => match tokio::time::timeout(AFTERWARDS, body.frame()).await {
                    Ok(frame) => frame,
                    Err(_) => return Ok(brought),
                },
            };
            let Some(Ok(frame)) = frame else { return Ok(brought) };
            let Ok(data) = frame.into_data() else { continue };
            for event in reader.push(&data).map_err(|_| self.http.too_large())? {
                brought = true;
                *last = event.id.or(last.take());
                if let Some(answer) = Answer::read(&event.data) {
                    self.pass_on(answer, message, open).await;
                }
            }
        }
    }

    /// Sends it; where the server has forgotten the session, opens a new one and sends it again, once.
    async fn send(self: &Arc<Self>, message: &Message) -> Result<Response<Incoming>> {
        let wait = if message.is_request() { ANSWER_TIME } else { ACCEPT_TIME };
        let mut again = true;
        loop {
            let (mut headers, epoch, in_session) = {
                let session = locked(&self.session);
                let headers = session.headers_for(message);
                let in_session = headers.contains_key(super::session::SESSION_ID);
                (headers, session.epoch, in_session)
            };
            if message.version.is_some() {
                locked(&self.params).add(message, &mut headers);
            }
            let response = self.post(headers, message.bytes.clone(), wait).await?;
            if response.status() != StatusCode::NOT_FOUND || !in_session || !std::mem::take(&mut again) {
                return Ok(response);
            }
            self.renew(epoch).await?;
        }
    }

    async fn post(&self, mut headers: HeaderMap, body: Bytes, wait: Duration) -> Result<Response<Incoming>> {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
        self.attempt(Method::POST, headers, body, Some(wait)).await
    }

    /// One request, with a credential of its own, and once more with a new one where the server says 401.
    pub(super) async fn attempt(
        &self,
        method: Method,
        headers: HeaderMap,
        body: Bytes,
        wait: Option<Duration>,
    ) -> Result<Response<Incoming>> {
        let (mut first, mut narrow, mut nonce) = (true, true, None);
        loop {
            let fresh = self.source.header().await?;
            let mut headers = headers.clone();
            if let Some((name, value)) = &fresh.header {
                headers.insert(name.clone(), value.clone());
            }
            if let Some(proof) = self.source.proof(&fresh, &method, nonce.clone()).await? {
                headers.insert(dpop::HEADER, proof);
            }
            let response = self.http.send(method.clone(), fresh.address.clone(), headers, body.clone(), wait).await?;
            let status = response.status();
            let new = dpop::nonce(&response).filter(|_| nonce.is_none());
            if status == StatusCode::UNAUTHORIZED && new.is_some() && challenge(&response).wants_nonce() {
                nonce = new;
            } else if status == StatusCode::UNAUTHORIZED {
                self.source.refused(&fresh, &challenge(&response), first).await?;
                first = false;
            } else if status == StatusCode::FORBIDDEN && fresh.header.is_some() && challenge(&response).wants_more() {
                self.source.insufficient(&challenge(&response), narrow).await?;
                narrow = false;
            } else if status.is_redirection() {
                return Err(self.redirected(&response));
            } else {
                return Ok(response);
            }
        }
    }

    /// Opens the session anew, as the client had opened it; whoever comes second finds it done.
    async fn renew(self: &Arc<Self>, epoch: u64) -> Result<()> {
        let _one = self.renewing.lock().await;
        let opening = {
            let session = locked(&self.session);
            if session.epoch != epoch {
                return Ok(());
            }
            session.opening.clone()
        };
        let lost = || {
            Error::new(Code::UpstreamUnreachable, format!("{} has ended the session", self.http.host()))
                .hint("start the server again in the client")
        };
        let opening = opening.ok_or_else(lost)?;
        let response = self.post(HeaderMap::new(), opening.clone(), ACCEPT_TIME).await?;
        if !response.status().is_success() {
            return Err(lost());
        }
        let head = response.headers().clone();
        let answer = if is_event_stream(&response) {
            self.first_answer(response.into_body()).await?
        } else {
            Answer::read(&self.http.body(response.into_body()).await?)
        };
        let answer = answer.filter(|answer| !answer.ids.is_empty()).ok_or_else(lost)?;
        let headers = {
            let mut session = locked(&self.session);
            session.begin(opening, &head);
            session.agree(&answer.line);
            session.headers()
        };
        self.post(headers, Bytes::from_static(INITIALIZED), ACCEPT_TIME).await?;
        let epoch = locked(&self.session).epoch;
        tokio::spawn(self.clone().listen(epoch));
        Ok(())
    }

    /// The first answer in a stream of events; what else is in it was for a client that has heard it before.
    async fn first_answer(&self, mut body: Incoming) -> Result<Option<Answer>> {
        let mut reader = Reader::new(MAX_MESSAGE);
        let reading = async {
            while let Some(Ok(frame)) = body.frame().await {
                let Ok(data) = frame.into_data() else { continue };
                let events = reader.push(&data).map_err(|_| self.http.too_large())?;
                let answer = events.iter().filter_map(|event| Answer::read(&event.data)).find(|a| !a.ids.is_empty());
                if answer.is_some() {
                    return Ok(answer);
                }
            }
            Ok(None)
        };
        tokio::time::timeout(ACCEPT_TIME, reading).await.unwrap_or(Ok(None))
    }

    fn no_answer(&self) -> Error {
        Error::new(Code::UpstreamUnreachable, format!("{} sent something else than the answer", self.http.host()))
    }

    fn redirected(&self, response: &Response<Incoming>) -> Error {
        let to = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let to = printable(to.split(['?', '#']).next().unwrap_or_default());
        let to = if self.http.hides_path { "another address" } else { to.as_str() };
        Error::new(
            Code::UpstreamForbidden,
            format!("{} redirects to {to}, and a credential follows no redirect", self.http.host()),
        )
        .hint(format!(
            "if that is the server: hallpass mcp remove {0}, then hallpass mcp add {0} with that address",
            self.name
        ))
    }

    /// The error for an answer that is none.
    fn unexpected(&self, message: &Message, response: &Response<Incoming>) -> Error {
        let (status, host) = (response.status(), self.http.host());
        let error = |what: &str| Error::new(Code::UpstreamUnreachable, format!("{host} {what}"));
        match status {
            StatusCode::FORBIDDEN => {
                let wants = challenge(response).scope.map(|scope| format!(" and wants {}", printable(&scope)));
                let text = format!("{host} refuses this (403){}", wants.unwrap_or_default());
                Error::new(Code::UpstreamForbidden, text)
                    .hint("the credential may be for less than this needs, or the grant's scope narrower")
            }
            StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED
                if message.is("initialize") =>
            {
                error(&format!("does not speak MCP at this address ({})", status.as_u16()))
                    .hint("check the address; the older HTTP+SSE transport (revision 2024-11-05) is not spoken")
            }
            status if status.is_success() => error("answered with something that is no MCP message"),
            status => error(&format!("answered {}", status.as_u16())),
        }
    }
}

/// What the server says it wants.
fn challenge(response: &Response<Incoming>) -> Challenge {
    let all = response.headers().get_all(header::WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
    Challenge::read(&all.collect::<Vec<_>>().join(", "))
}

/// Whether events follow.
pub(super) fn is_event_stream(response: &Response<Incoming>) -> bool {
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("text/event-stream")
}
