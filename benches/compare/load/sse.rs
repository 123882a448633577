//! Server-sent events: how long until the first, and whether each comes through by itself.

use std::{
    io::Write,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    args::Args,
    http, stats,
    wire::{self, Conn},
};

/// `streams` streams of `events` events; an event is asked for only when the one before has arrived, so
/// two that come together, or one that does not come, are held-back events.
pub fn run(args: &Args) {
    let (streams, events) = (args.number("streams", 200), args.number("events", 20));
    let request = http::request(args);
    let mut bell = Conn::open(args.text("upstream")).expect("upstream");
    let ring = format!("POST /next HTTP/1.1\r\nhost: {}\r\ncontent-length: 0\r\n\r\n", args.text("upstream"));
    let (mut first, mut later, mut coalesced) = (Vec::new(), Vec::new(), 0_u64);
    for _ in 0..streams {
        // A connection of its own: the stream before is still open and is dropped here.
        let mut stream = std::net::TcpStream::connect(args.text("target")).expect("connect");
        stream.set_nodelay(true).expect("nodelay");
        stream.set_read_timeout(Some(Duration::from_secs(2))).expect("timeout");
        let mut seen = Vec::new();
        let begun = Instant::now();
        stream.write_all(&request).expect("request");
        let count = wait(&mut stream, &mut seen, 1);
        first.push(begun.elapsed());
        coalesced += count.saturating_sub(1);
        for number in 1..=events {
            let begun = Instant::now();
            bell.stream.write_all(ring.as_bytes()).expect("next");
            let count = wait(&mut stream, &mut seen, number + 1);
            later.push(begun.elapsed());
            coalesced += count.saturating_sub(number + 1);
            let mut done = [0; 64];
            let _ = bell.stream.read(&mut done).expect("204");
        }
    }
    let (first, later) = (stats::summary(first), stats::summary(later));
    stats::print(&json!({ "first": first, "event": later, "coalesced": coalesced, "events": streams * (events + 1) }));
}

/// Reads until so many events have come; how many there are then.
fn wait(stream: &mut std::net::TcpStream, seen: &mut Vec<u8>, wanted: u64) -> u64 {
    use std::io::Read;
    let mut part = [0; 8192];
    loop {
        let count = seen.windows(6).filter(|window| window == b"data: ").count() as u64;
        if count >= wanted && seen.ends_with(b"\n\r\n") {
            assert!(wire::find(seen, b" 200 ").is_some());
            return count;
        }
        let read = stream.read(&mut part).expect("an event was held back for 2 s");
        assert!(read > 0, "the stream ended: {}", String::from_utf8_lossy(seen));
        seen.extend_from_slice(&part[..read]);
    }
}
