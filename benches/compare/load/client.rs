//! One client, one request after the other: on a kept connection, or each on its own.

use std::time::Instant;

use crate::{
    args::Args,
    stats,
    wire::{self, Conn},
};

pub fn run(args: &Args) {
    let (target, request) = (args.text("target"), args.file("request"));
    let (count, warm) = (args.number("count", 20_000), args.number("warm", 500));
    let fresh = args.get("fresh").is_some();
    let mut times = Vec::with_capacity(usize::try_from(count).unwrap_or(0));
    let mut kept = Conn::open(target).expect("connect");
    for turn in 0..warm + count {
        let begun = Instant::now();
        let status = if fresh {
            // The one before is closed here: closing is part of it.
            kept.stream = wire::connect(target).expect("connect");
            kept.ask(&request).expect("answer")
        } else {
            kept.ask(&request).expect("answer")
        };
        let took = begun.elapsed();
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(kept.answer()));
        if turn >= warm {
            times.push(took);
        }
    }
    if let Some(path) = args.get("save") {
        std::fs::write(path, kept.answer()).expect("save");
    }
    stats::print(&stats::summary(times));
}
