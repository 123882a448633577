//! What a client sees of the loop, over a pipe, with a handler that says what it got.

use std::cell::Cell;

use http::header;
use http_body::Frame;
use http_body_util::{BodyExt as _, Full};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    sync::mpsc,
    task::{JoinHandle, LocalSet, spawn_local},
};

use super::*;
use crate::http::head::Fault;

const LIMITS: Limits = Limits {
    head_time: Duration::from_secs(20),
    body_time: Duration::from_secs(20),
    idle_time: Duration::from_secs(20),
    write_time: Duration::from_secs(20),
    max_head: 4096,
    max_headers: 10,
    max_body: None,
};

type Answered = Response<Out>;

/// An answer's body: whole, or piece by piece.
enum Out {
    Whole(Full<Bytes>),
    Pieces(mpsc::UnboundedReceiver<Result<Bytes, &'static str>>),
}

impl Body for Out {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        match self.get_mut() {
            Self::Whole(whole) => std::pin::Pin::new(whole).poll_frame(cx).map_err(|_| ""),
            Self::Pieces(pieces) => pieces.poll_recv(cx).map_ok(Frame::data),
        }
    }

    fn size_hint(&self) -> http_body::SizeHint {
        match self {
            Self::Whole(whole) => whole.size_hint(),
            Self::Pieces(_) => http_body::SizeHint::default(),
        }
    }
}

fn whole(text: impl Into<Bytes>) -> Answered {
    Response::new(Out::Whole(Full::new(text.into())))
}

/// Says which request came; the path says what else is done.
async fn answer(request: Result<Request<RequestBody>, Error>) -> Answered {
    let request = match request {
        Ok(request) => request,
        Err(error) => {
            let mut refusal = whole(error.detail.clone());
            *refusal.status_mut() = StatusCode::from_u16(error.code.status()).unwrap();
            return refusal;
        }
    };
    let path = request.uri().path().to_owned();
    if path.starts_with("/unread") {
        return whole("unread");
    }
    let body = match request.into_body().collect().await {
        Ok(body) => body.to_bytes(),
        Err(fault) => return answer_fault(fault),
    };
    let mut response = whole(format!("{path} {}", String::from_utf8_lossy(&body)));
    let headers = response.headers_mut();
    match path.as_str() {
        "/none" => *response.status_mut() = StatusCode::NO_CONTENT,
        "/same" => {
            headers.insert(header::CONTENT_LENGTH, 77.into());
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        }
        // What does not come from the loop would be a second framing.
        "/odd" => {
            headers.insert(header::CONTENT_LENGTH, 3.into());
            headers.insert(header::TRANSFER_ENCODING, "gzip".parse().unwrap());
        }
        "/close" => drop(headers.insert(header::CONNECTION, "close".parse().unwrap())),
        "/dated" => drop(headers.insert(header::DATE, "then".parse().unwrap())),
        _ => {}
    }
    response
}

fn answer_fault(fault: Fault) -> Answered {
    let mut refusal = whole(fault.to_string());
    *refusal.status_mut() = StatusCode::from_u16(Error::from(fault).code.status()).unwrap();
    refusal
}

/// Runs a test on one thread, with its own deadline.
async fn run(test: impl Future<Output = ()>) {
    LocalSet::new().run_until(tokio::time::timeout(Duration::from_secs(30), test)).await.unwrap();
}

fn serve(limits: Limits) -> (DuplexStream, JoinHandle<Option<Raw<DuplexStream>>>, CancellationToken) {
    serve_with(limits, answer)
}

fn serve_with<F: Future<Output = Answered> + 'static>(
    limits: Limits,
    handler: impl Fn(Result<Request<RequestBody>, Error>) -> F + 'static,
) -> (DuplexStream, JoinHandle<Option<Raw<DuplexStream>>>, CancellationToken) {
    let (client, far) = tokio::io::duplex(64 * 1024);
    let stop = CancellationToken::new();
    (client, spawn_local(serve_http1(far, limits, handler, stop.clone())), stop)
}

/// All that comes until the connection is closed; dates are taken out.
async fn to_end(client: &mut DuplexStream) -> String {
    let mut text = Vec::new();
    client.read_to_end(&mut text).await.unwrap();
    let text = String::from_utf8(text).unwrap();
    let lines = text.split_inclusive("\r\n").filter(|line| !line.starts_with("date: ") || line.contains("then"));
    lines.collect()
}

async fn until(client: &mut DuplexStream, last: &str) -> String {
    let mut text = Vec::new();
    while !text.ends_with(last.as_bytes()) {
        assert!(client.read_buf(&mut text).await.unwrap() > 0, "{}", String::from_utf8_lossy(&text));
    }
    String::from_utf8(text).unwrap()
}

/// Sends this to a connection of its own; what comes back until it is closed.
async fn exchange(text: &str) -> String {
    let (mut client, served, _) = serve(LIMITS);
    client.write_all(text.as_bytes()).await.unwrap();
    let all = to_end(&mut client).await;
    assert!(served.await.unwrap().is_none());
    all
}

#[tokio::test]
async fn an_answer_is_framed_as_its_request_can_read_it() {
    run(async {
        for (request, expected) in [
            ("GET /a HTTP/1.1\r\nHost: a\r\nConnection: close", "200 OK\r\ncontent-length: 3\r\nconnection: close\r\n\r\n/a "),
            ("HEAD /a HTTP/1.1\r\nHost: a\r\nConnection: close", "200 OK\r\ncontent-length: 3\r\nconnection: close\r\n\r\n"),
            ("GET /a HTTP/1.0\r\nHost: a", "200 OK\r\ncontent-length: 3\r\nconnection: close\r\n\r\n/a "),
            ("GET /none HTTP/1.1\r\nHost: a\r\nConnection: close", "204 No Content\r\nconnection: close\r\n\r\n"),
            ("GET /same HTTP/1.1\r\nHost: a\r\nConnection: close", "304 Not Modified\r\ncontent-length: 77\r\nconnection: close\r\n\r\n"),
            ("GET /odd HTTP/1.1\r\nHost: a\r\nConnection: close", "200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\n/odd "),
            ("GET /close HTTP/1.1\r\nHost: a", "200 OK\r\ncontent-length: 7\r\nconnection: close\r\n\r\n/close "),
            ("GET /dated HTTP/1.1\r\nHost: a\r\nConnection: close", "200 OK\r\ndate: then\r\ncontent-length: 7\r\nconnection: close\r\n\r\n/dated "),
        ] {
            assert_eq!(exchange(&format!("{request}\r\n\r\n")).await, format!("HTTP/1.1 {expected}"), "{request}");
        }
        let old = "GET /a HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n";
        let twice = exchange(&format!("{old}{}", old.replace("keep-alive", "close"))).await;
        assert_eq!((twice.matches("connection: keep-alive").count(), twice.matches("/a ").count()), (1, 2), "{twice}");
    })
    .await;
}

#[tokio::test]
async fn requests_are_answered_in_their_order_and_bodies_are_not_heads() {
    run(async {
        let requests = "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n\
            POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nGET /\
            POST /3 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nx: y\r\n\r\n\
            POST /unread HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc\
            GET /4 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nGET /5 HTTP/1.1\r\nHost: a\r\n\r\n";
        for cut in [1, 7, requests.len()] {
            let (mut client, served, _) = serve(LIMITS);
            let sent = async {
                for piece in requests.as_bytes().chunks(cut) {
                    let _ = client.write_all(piece).await;
                    tokio::task::yield_now().await;
                }
                to_end(&mut client).await
            };
            let text = sent.await;
            let bodies: Vec<_> = text.split("\r\n\r\n").skip(1).map(|part| part.split("HTTP/1.1").next().unwrap()).collect();
            // Nobody read the fourth's body: skipped where it was here, else the end.
            if cut == requests.len() {
                assert_eq!(bodies, ["/1 ", "/2 GET /", "/3 abcde", "unread", "/4 "], "{text}");
            } else {
                assert_eq!(bodies[..4], ["/1 ", "/2 GET /", "/3 abcde", "unread"], "{text}");
            }
            served.await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn a_body_in_the_way_ends_the_connection_and_the_answer_arrives() {
    run(async {
        for start in ["Content-Length: 3000000\r\n", "Content-Length: 3\r\nExpect: 100-continue\r\n"] {
            let (mut client, served, _) = serve(LIMITS);
            client.write_all(format!("POST /unread HTTP/1.1\r\nHost: a\r\n{start}\r\n").as_bytes()).await.unwrap();
            let text = until(&mut client, "unread").await;
            assert!(text.contains("connection: close\r\n") && !text.contains("100 Continue"), "{text}");
            // It still writes: what it sends is thrown away, and is no request.
            let _ = client.write_all(b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n").await;
            assert_eq!(to_end(&mut client).await, "");
            served.await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn a_client_that_waits_is_told_to_go_on_once() {
    run(async {
        let (mut client, served, _) = serve(LIMITS);
        let head = "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n";
        client.write_all(head.as_bytes()).await.unwrap();
        assert_eq!(until(&mut client, "\r\n\r\n").await, "HTTP/1.1 100 Continue\r\n\r\n");
        client.write_all(b"ok").await.unwrap();
        assert!(until(&mut client, "/a ok").await.starts_with("HTTP/1.1 200"));
        // One that does not wait after all is not told.
        client.write_all(format!("{head}ok").as_bytes()).await.unwrap();
        assert!(until(&mut client, "/a ok").await.starts_with("HTTP/1.1 200"));
        drop(client);
        served.await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn what_is_no_request_is_refused_and_the_connection_closes() {
    run(async {
        let start = "POST /a HTTP/1.1\r\nHost: a\r\n";
        for (request, status) in [
            ("GET / HTTP/1.1\r\n\r\n".to_owned(), 400),
            ("GET / HTTP/1.1\nHost: a\n\n".to_owned(), 400),
            (format!("{start}Content-Length: 1\r\nContent-Length: 1\r\n\r\na"), 400),
            (format!("{start}x: {}\r\n\r\n", "y".repeat(5000)), 413),
            (format!("{start}x: {}", "y".repeat(5000)), 413),
            (format!("{start}{}\r\n", "x: y\r\n".repeat(10)), 413),
            (format!("{start}Transfer-Encoding: chunked\r\n\r\nzz\r\n"), 400),
            (format!("{start}Transfer-Encoding: chunked\r\n\r\n3\r\nabcX"), 400),
        ] {
            let text = exchange(&format!("{request}GET /next HTTP/1.1\r\nHost: a\r\n\r\n")).await;
            assert!(text.starts_with(&format!("HTTP/1.1 {status} ")), "{request}: {text}");
            assert!(text.contains("connection: close") && !text.contains("/next"), "{request}: {text}");
        }
        let (mut client, served, _) = serve(Limits { max_body: Some(4), ..LIMITS });
        client.write_all(format!("{start}Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n").as_bytes()).await.unwrap();
        assert!(to_end(&mut client).await.starts_with("HTTP/1.1 413"));
        served.await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn every_wait_has_its_end() {
    run(async {
        let short = Duration::from_millis(40);
        for (start, limits, answer) in [
            ("", Limits { idle_time: short, ..LIMITS }, ""),
            ("GET / HT", Limits { head_time: short, ..LIMITS }, "HTTP/1.1 408"),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\na", Limits { body_time: short, ..LIMITS }, "HTTP/1.1 408"),
        ] {
            let (mut client, served, _) = serve(limits);
            client.write_all(start.as_bytes()).await.unwrap();
            let text = to_end(&mut client).await;
            assert!(text.starts_with(answer) && text.is_empty() == answer.is_empty(), "{start}: {text}");
            served.await.unwrap();
        }
        // A client that reads nothing of an answer larger than the pipe.
        let (mut client, served, _) =
            serve_with(Limits { write_time: short, ..LIMITS }, |_| async { whole(vec![b'x'; 1_000_000]) });
        client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        assert!(served.await.unwrap().is_none());
    })
    .await;
}

#[tokio::test]
async fn pieces_pass_at_once_and_a_cut_is_seen() {
    run(async {
        let (pieces, body) = mpsc::unbounded_channel();
        let body = Rc::new(Cell::new(Some(body)));
        let (mut client, served, _) = serve_with(LIMITS, move |_| {
            let body = body.take().unwrap();
            async { Response::new(Out::Pieces(body)) }
        });
        client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        // The head waits for no piece.
        let head = until(&mut client, "\r\n\r\n").await;
        assert!(head.contains("transfer-encoding: chunked\r\n"), "{head}");
        for piece in ["one", "two and more of it"] {
            pieces.send(Ok(piece.into())).unwrap();
            let chunk = format!("{:x}\r\n{piece}\r\n", piece.len());
            assert_eq!(until(&mut client, &chunk).await, chunk);
        }
        // What has come is still passed on, but no end.
        pieces.send(Ok("last".into())).unwrap();
        pieces.send(Err("broken")).unwrap();
        assert_eq!(to_end(&mut client).await, "4\r\nlast\r\n");
        assert!(served.await.unwrap().is_none());
    })
    .await;
}

#[tokio::test]
async fn a_body_that_breaks_off_at_once_is_no_empty_reply() {
    run(async {
        let (mut client, served, _) = serve_with(LIMITS, |_| async {
            let (pieces, body) = mpsc::unbounded_channel();
            pieces.send(Err("broken")).unwrap();
            Response::new(Out::Pieces(body))
        });
        client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        let text = to_end(&mut client).await;
        assert!(text.starts_with("HTTP/1.1 200 OK\r\n") && text.ends_with("\r\n\r\n"), "{text}");
        assert!(served.await.unwrap().is_none());
    })
    .await;
}

#[tokio::test]
async fn an_old_client_gets_pieces_until_the_end() {
    run(async {
        let (mut client, served, _) = serve_with(LIMITS, |_| async {
            let (pieces, body) = mpsc::unbounded_channel();
            pieces.send(Ok("all".into())).unwrap();
            Response::new(Out::Pieces(body))
        });
        client.write_all(b"GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n").await.unwrap();
        let text = to_end(&mut client).await;
        assert!(text.ends_with("connection: close\r\n\r\nall") && !text.contains("transfer-encoding"), "{text}");
        served.await.unwrap();
    })
    .await;
}

/// Tells when it is dropped.
struct Dropped(Rc<Cell<bool>>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.set(true);
    }
}

#[tokio::test]
async fn a_client_that_leaves_cancels_what_is_done_for_it() {
    run(async {
        // While its request is handled.
        let gone = Rc::new(Cell::new(false));
        let told = gone.clone();
        let (mut client, served, _) = serve_with(LIMITS, move |_| {
            let held = Dropped(told.clone());
            async move {
                std::future::pending::<()>().await;
                drop(held);
                whole("never")
            }
        });
        client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        drop(client);
        assert!(served.await.unwrap().is_none() && gone.get());
        // While its answer is being made.
        let (pieces, body) = mpsc::unbounded_channel();
        let body = Rc::new(Cell::new(Some(body)));
        let (mut client, served, _) = serve_with(LIMITS, move |_| {
            let body = body.take().unwrap();
            async { Response::new(Out::Pieces(body)) }
        });
        client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        until(&mut client, "\r\n\r\n").await;
        drop(client);
        assert!(served.await.unwrap().is_none());
        pieces.closed().await;
    })
    .await;
}

#[tokio::test]
async fn a_body_read_after_the_answer_keeps_the_next_request_waiting_and_is_never_another_ones() {
    run(async {
        let (later, mut bodies) = mpsc::unbounded_channel();
        let (mut client, served, _) = serve_with(LIMITS, move |request| {
            later.send(request.unwrap().into_body()).unwrap();
            async { whole("early") }
        });
        let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n";
        client.write_all(format!("{head}ab").as_bytes()).await.unwrap();
        until(&mut client, "early").await;
        client.write_all(format!("cd{head}efgh").as_bytes()).await.unwrap();
        let mut first = bodies.recv().await.unwrap();
        let mut all = Vec::new();
        while all.len() < 4 {
            all.extend_from_slice(&first.frame().await.unwrap().unwrap().into_data().unwrap());
        }
        assert_eq!(all, b"abcd");
        until(&mut client, "early").await;
        // The first one is over, and stays so while the second waits.
        assert!(first.frame().await.is_none());
        drop(first);
        assert_eq!(bodies.recv().await.unwrap().collect().await.unwrap().to_bytes(), "efgh");
        drop(client);
        served.await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_connection_that_leaves_http_is_given_back_with_what_came_behind() {
    run(async {
        let (mut client, served, _) = serve_with(LIMITS, |_| async {
            let mut response = whole("");
            *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
            response.headers_mut().insert(header::CONNECTION, "Upgrade".parse().unwrap());
            response
        });
        client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\n\r\nframes").await.unwrap();
        let head = until(&mut client, "\r\n\r\n").await;
        assert!(head.starts_with("HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\n"), "{head}");
        let mut raw = served.await.unwrap().unwrap();
        raw.write_all(b"back").await.unwrap();
        assert_eq!(until(&mut client, "back").await, "back");
        let mut frames = [0; 6];
        raw.read_exact(&mut frames).await.unwrap();
        assert_eq!(&frames, b"frames");
        client.write_all(b"more").await.unwrap();
        raw.read_exact(&mut frames[..4]).await.unwrap();
        assert_eq!(&frames[..4], b"more");
    })
    .await;
}

#[tokio::test]
async fn what_was_asked_for_and_refused_is_the_last_request() {
    run(async {
        let request = "GET /a HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\n\r\n";
        let text = exchange(&format!("{request}{request}")).await;
        assert_eq!((text.matches("/a ").count(), text.matches("connection: close").count()), (1, 1), "{text}");
    })
    .await;
}

#[tokio::test]
async fn a_shutdown_lets_the_answer_under_way_end() {
    run(async {
        let (go_on, waiting) = tokio::sync::oneshot::channel::<()>();
        let waiting = Rc::new(Cell::new(Some(waiting)));
        let (mut client, served, stop) = serve_with(LIMITS, move |_| {
            let waiting = waiting.take().unwrap();
            async {
                waiting.await.unwrap();
                whole("done")
            }
        });
        client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        tokio::task::yield_now().await;
        stop.cancel();
        tokio::task::yield_now().await;
        go_on.send(()).unwrap();
        assert!(to_end(&mut client).await.ends_with("connection: close\r\n\r\ndone"));
        served.await.unwrap();
        let (mut client, served, stop) = serve(LIMITS);
        stop.cancel();
        assert_eq!(to_end(&mut client).await, "");
        served.await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_silent_connection_rests_and_goes_on() {
    run(async {
        let (mut client, far) = tokio::io::duplex(4096);
        let (stream, stop) = (Rc::new(RefCell::new(Stream::new(far, LIMITS))), CancellationToken::new());
        for turn in 0..3 {
            // Two at once: the second waits in the stream's buffer while the first is answered.
            let text = format!("GET /first HTTP/1.1\r\nHost: a\r\n\r\nGET /{turn} HTTP/1.1\r\nHost: a\r\n\r\n");
            client.write_all(text.as_bytes()).await.unwrap();
            assert!(poll_fn(|cx| stream.borrow_mut().poll_begin(cx)).await);
            let last = format!("/{turn} ");
            let (then, text) = tokio::join!(converse(&stream, &answer, &stop), until(&mut client, &last));
            assert_eq!((then, text.matches("200 OK").count()), (Then::Rest, 2));
        }
    })
    .await;
}

#[tokio::test]
async fn no_request_is_lost_whenever_it_comes() {
    run(async {
        let (mut client, served, _) = serve(LIMITS);
        // Around the moment at which the connection begins to rest.
        for turn in 0..60 {
            client.write_all(format!("GET /{turn} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()).await.unwrap();
            assert!(until(&mut client, &format!("/{turn} ")).await.contains("200 OK"));
            tokio::time::sleep(Duration::from_micros(9_000 + turn * 50)).await;
        }
        drop(client);
        served.await.unwrap();
    })
    .await;
}
