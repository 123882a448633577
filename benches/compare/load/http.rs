//! HTTP clients on kept connections, straight to the upstream or through a proxy.

use std::{
    sync::{Arc, Barrier},
    time::Instant,
};

use serde_json::json;

use crate::{args::Args, stats, wire::Conn};

/// The request's bytes: `method`, `path`, `host`, `token` (a bearer), `body`.
pub fn request(args: &Args) -> Vec<u8> {
    let (method, path) = (args.get("method").unwrap_or("GET"), args.text("path"));
    let mut text = format!("{method} {path} HTTP/1.1\r\nhost: {}\r\naccept: */*\r\n", args.text("target"));
    if let Some(token) = args.get("token") {
        text += &format!("authorization: Bearer {token}\r\n");
    }
    let body = args.get("body").unwrap_or_default();
    if method != "GET" {
        text += &format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len());
    }
    format!("{text}\r\n{body}").into_bytes()
}

pub fn run(args: &Args) {
    let (target, request) = (Arc::new(args.text("target").to_owned()), Arc::new(request(args)));
    let (conns, count, warm) = (args.number("conns", 1), args.number("count", 20_000), args.number("warm", 200));
    let each = count / conns;
    let barrier = Arc::new(Barrier::new(usize::try_from(conns + 1).expect("conns")));
    let threads: Vec<_> = (0..conns)
        .map(|_| {
            let (target, request, barrier) = (target.clone(), request.clone(), barrier.clone());
            std::thread::spawn(move || {
                let mut conn = Conn::open(&target).expect("connect");
                let mut times = Vec::with_capacity(usize::try_from(each).unwrap_or(0));
                for turn in 0..warm + each {
                    if turn == warm {
                        barrier.wait();
                    }
                    let begun = Instant::now();
                    let status = conn.ask(&request).expect("answer");
                    assert_eq!(status, 200, "{}", String::from_utf8_lossy(conn.answer()));
                    if turn >= warm {
                        times.push(begun.elapsed());
                    }
                }
                times
            })
        })
        .collect();
    barrier.wait();
    let begun = Instant::now();
    let times: Vec<_> = threads.into_iter().flat_map(|thread| thread.join().expect("client")).collect();
    let seconds = begun.elapsed().as_secs_f64();
    let (done, sent) = (times.len(), (warm + each) * conns);
    let mut value = stats::summary(times);
    value["per_second"] = json!(done as f64 / seconds);
    value["sent"] = json!(sent);
    stats::print(&value);
}
