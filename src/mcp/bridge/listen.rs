//! What a server sends by itself: the stream of `GET` (revisions 2025-03-26 to 2025-11-25), and the session's end.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, header};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

use super::{Bridge, exchange::is_event_stream, locked};
use crate::{
    api::problem::Code,
    error::{Error, Result},
    mcp::{MAX_MESSAGE, message::Answer, sse::Reader},
};

/// How long to wait before a stream is opened again, where the server says nothing; doubled each time.
pub(super) const PAUSE: Duration = Duration::from_secs(1);
/// The shortest pause.
const LEAST_PAUSE: Duration = Duration::from_millis(10);
/// How often in a row a stream may end without having brought anything.
pub(super) const MAX_TRIES: u32 = 5;
/// A stream that lasted this long was none that failed.
const LASTING: Duration = Duration::from_secs(10);

impl Bridge {
    /// Listens as long as the session lasts. A server that has no such stream says 405, and that is that.
    pub(super) async fn listen(self: Arc<Self>, epoch: u64) {
        let mut reader = Reader::new(MAX_MESSAGE);
        let mut last: Option<String> = None;
        let mut tries = 0;
        while tries <= MAX_TRIES && locked(&self.session).epoch == epoch {
            let began = Instant::now();
            let brought = match self.open_stream(last.as_deref()).await {
                Ok(response) if response.status().is_success() && is_event_stream(&response) => {
                    self.hear(response.into_body(), &mut reader, &mut last).await
                }
                Ok(response) if response.status().is_server_error() => false,
                Ok(_) => return,
                Err(error) if matches!(error.code, Code::UpstreamUnreachable | Code::UpstreamTimeout) => false,
                Err(_) => return,
            };
            tries = if brought || began.elapsed() >= LASTING { 0 } else { tries + 1 };
            tokio::time::sleep(pause(reader.retry, tries)).await;
            reader = reader.again();
        }
    }

    /// Opens the session's stream, or resumes one after this event.
    pub(super) async fn open_stream(&self, last: Option<&str>) -> Result<Response<Incoming>> {
        let mut headers = locked(&self.session).headers();
        headers.insert(header::ACCEPT, HeaderValue::from_static("text/event-stream"));
        if let Some(last) = last.and_then(|last| HeaderValue::from_str(last).ok()) {
            headers.insert("last-event-id", last);
        }
        // A server may say nothing, not even a head, before it has something to say.
        self.attempt(Method::GET, headers, Bytes::new(), None).await
    }

    /// Passes on what comes; whether anything did.
    async fn hear(&self, mut body: Incoming, reader: &mut Reader, last: &mut Option<String>) -> bool {
        let mut brought = false;
        while let Some(Ok(frame)) = body.frame().await {
            let Ok(data) = frame.into_data() else { continue };
            let Ok(events) = reader.push(&data) else {
                self.note(&self.http.too_large());
                return false;
            };
            for event in events {
                brought = true;
                *last = event.id.or(last.take());
                if let Some(answer) = Answer::read(&event.data) {
                    self.output.line(answer.line).await;
                }
            }
        }
        brought
    }

    /// Tells the server that the session is over; one that keeps none, or does not end it, is not asked twice.
    pub(super) async fn farewell(&self) {
        let headers: HeaderMap = {
            let mut session = locked(&self.session);
            if session.id.is_none() {
                return;
            }
            session.epoch += 1;
            session.headers()
        };
        let _: Result<_, Error> = self.attempt(Method::DELETE, headers, Bytes::new(), Some(super::FAREWELL)).await;
    }
}

/// What the server said to wait; more and more where it brings nothing.
pub(super) fn pause(said: Option<Duration>, tries: u32) -> Duration {
    let grown = PAUSE.saturating_mul(1 << tries.saturating_sub(1).min(6));
    match said {
        Some(said) if tries <= 1 => said.max(LEAST_PAUSE),
        Some(said) => said.max(grown),
        None => grown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_not_asked_more_often_than_it_wants_nor_all_the_time() {
        let ms = |said: Option<u64>, tries| pause(said.map(Duration::from_millis), tries).as_millis();
        assert_eq!([ms(None, 0), ms(None, 1), ms(None, 3), ms(None, 99)], [1000, 1000, 4000, 64_000]);
        assert_eq!([ms(Some(0), 1), ms(Some(300), 1), ms(Some(0), 3), ms(Some(9000), 3)], [10, 300, 4000, 9000]);
    }
}
