//! Thousands of clients that connect at one moment, ask once, and leave with their answer.

use std::{
    rc::Rc,
    time::{Duration, Instant},
};

use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    sync::Barrier,
    task::LocalSet,
};

use crate::{args::Args, stats, wire};

pub fn run(args: &Args) {
    let clients = usize::try_from(args.number("clients", 10_000)).expect("clients");
    let (target, request) = (Rc::new(args.text("target").to_owned()), Rc::new(args.file("request")));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    let local = LocalSet::new();
    let outcome = local.block_on(&runtime, async move {
        let start = Rc::new(Barrier::new(clients));
        let mut tasks = Vec::with_capacity(clients);
        for _ in 0..clients {
            let (target, request, start) = (target.clone(), request.clone(), start.clone());
            tasks.push(tokio::task::spawn_local(async move {
                start.wait().await;
                let begun = Instant::now();
                let asked = tokio::time::timeout(Duration::from_secs(60), ask(&target, &request)).await;
                let took = begun.elapsed();
                match asked {
                    Ok(Ok((stream, again))) => {
                        drop(stream);
                        (Ok(took), again)
                    }
                    Ok(Err(error)) => (Err(error.to_string()), 0),
                    Err(_) => (Err("no answer within 60 s".to_owned()), 0),
                }
            }));
        }
        let mut outcome = Vec::with_capacity(clients);
        for task in tasks {
            outcome.push(task.await.expect("client"));
        }
        outcome
    });
    let again: u64 = outcome.iter().map(|(_, again)| again).sum();
    let errors: Vec<&String> = outcome.iter().filter_map(|(took, _)| took.as_ref().err()).collect();
    let mut value = stats::summary(outcome.iter().filter_map(|(took, _)| took.as_ref().ok().copied()).collect());
    value["errors"] = json!(errors.len());
    value["first_error"] = json!(errors.first());
    value["retries"] = json!(again);
    stats::print(&value);
}

async fn ask(target: &str, request: &[u8]) -> std::io::Result<(UnixStream, u64)> {
    let mut again = 0;
    let mut stream = loop {
        match UnixStream::connect(target).await {
            Ok(stream) => break stream,
            // The backlog is full: what the kernel says on every server.
            Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {
                again += 1;
                tokio::time::sleep(Duration::from_millis(5 + again * 7 % 23)).await;
            }
            Err(e) => return Err(e),
        }
    };
    stream.write_all(request).await?;
    let mut answer = Vec::with_capacity(1024);
    loop {
        if stream.read_buf(&mut answer).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        if let Some(head) = wire::head(&answer)
            && answer.len() >= head.size + head.length.unwrap_or(0)
        {
            return match head.status {
                200 => Ok((stream, again)),
                status => Err(std::io::Error::other(format!("status {status}"))),
            };
        }
    }
}
