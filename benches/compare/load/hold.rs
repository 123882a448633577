//! Connections that are only held, and one that never finishes its head.

use std::{
    io::{Read, Write},
    time::Instant,
};

use serde_json::json;

use crate::{
    args::Args,
    stats,
    wire::{self, Conn},
};

/// Opens many connections, with one request on each where one is given, says so, and holds them until
/// standard input ends.
pub fn run(args: &Args) {
    let (target, count) = (args.text("target"), args.number("count", 9_500));
    let request = args.get("request").map(|_| args.file("request"));
    let mut failed = 0;
    let mut held = Vec::new();
    for _ in 0..count {
        let stream = match &request {
            None => wire::connect(target),
            Some(request) => Conn::open(target).and_then(|mut conn| conn.ask(request).map(|_| conn.stream)),
        };
        match stream {
            Ok(stream) => held.push(stream),
            Err(_) => failed += 1,
        }
    }
    stats::print(&json!({ "held": held.len(), "failed": failed }));
    let mut rest = Vec::new();
    let _ = std::io::stdin().read_to_end(&mut rest);
}

/// Sends half a head on each of many connections and waits until every one is shown the door.
pub fn slow(args: &Args) {
    let open = |_| {
        let mut stream = wire::connect(args.text("target")).expect("connect");
        stream.write_all(b"POST /v1/mint HTTP/1.1\r\nhost: loc").expect("write");
        (stream, Instant::now())
    };
    let streams: Vec<_> = (0..args.number("count", 1)).map(open).collect();
    let wait = |(mut stream, begun): (Box<dyn wire::Stream>, Instant)| {
        std::thread::spawn(move || {
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer);
            (begun.elapsed().as_secs_f64(), wire::head(&answer).map(|head| head.status))
        })
    };
    let threads: Vec<_> = streams.into_iter().map(wait).collect();
    let ends: Vec<_> = threads.into_iter().map(|thread| thread.join().expect("slow client")).collect();
    let times = || ends.iter().map(|(seconds, _)| *seconds);
    stats::print(&json!({
        "first_s": times().fold(f64::MAX, f64::min),
        "last_s": times().fold(0.0, f64::max),
        "status": ends.first().and_then(|(_, status)| *status),
    }));
}
