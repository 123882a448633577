//! The baselines: servers that read a request's bytes, look at nothing, and write an answer's bytes.

use std::{
    io::{Read, Write},
    os::unix::net::UnixListener,
    sync::Arc,
};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::args::Args;

/// A thread for each connection, blocking.
pub fn blocking(args: &Args) {
    let (size, answer) = (args.file("request").len(), Arc::new(args.file("answer")));
    let listener = UnixListener::bind(args.text("socket")).expect("bind");
    loop {
        let (mut stream, _) = listener.accept().expect("accept");
        let answer = answer.clone();
        std::thread::spawn(move || {
            let mut request = vec![0; size];
            while stream.read_exact(&mut request).is_ok() && stream.write_all(&answer).is_ok() {}
        });
    }
}

/// One thread, tokio's current-thread runtime: the shape of hallpass's own daemon, with nothing in it.
pub fn tokio(args: &Args) {
    let (size, answer) = (args.file("request").len(), Arc::new(args.file("answer")));
    let path = args.text("socket").to_owned();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    runtime.block_on(async move {
        let std = UnixListener::bind(path).expect("bind");
        rustix::net::listen(&std, 4096).expect("listen");
        std.set_nonblocking(true).expect("nonblocking");
        let listener = tokio::net::UnixListener::from_std(std).expect("listener");
        loop {
            let (mut stream, _) = listener.accept().await.expect("accept");
            let answer = answer.clone();
            tokio::spawn(async move {
                let mut request = vec![0; size];
                while stream.read_exact(&mut request).await.is_ok() && stream.write_all(&answer).await.is_ok() {}
            });
        }
    });
}
