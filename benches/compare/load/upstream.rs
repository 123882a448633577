//! The upstream behind every proxy: a fixed answer, or a stream whose next event is sent when told.
//!
//! `POST` with `"stream":true` in its body gets server-sent events: the first at once, each further one
//! only after `POST /next`. So a proxy that holds an event back is seen at once: nothing else comes.

use std::{
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, Sender, channel},
    },
};

use crate::{args::Args, wire};

const BODY: &str =
    r#"{"object":"list","data":[{"id":"bench-model","object":"model","created":1700000000,"owned_by":"nobody"}]}"#;
const STREAM: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\ncache-control: no-cache\r\n\r\n";
const DONE: &[u8] = b"HTTP/1.1 204 No Content\r\n\r\n";

type Bell = Arc<Mutex<Option<Sender<()>>>>;

pub fn run(args: &Args) {
    let listener =
        TcpListener::bind(("127.0.0.1", u16::try_from(args.number("port", 0)).expect("port"))).expect("bind");
    let bell = Bell::default();
    loop {
        let (stream, _) = listener.accept().expect("accept");
        let bell = bell.clone();
        std::thread::spawn(move || serve(stream, &bell));
    }
}

fn serve(mut stream: TcpStream, bell: &Bell) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; 64 * 1024];
    let mut filled = 0;
    let size = BODY.len();
    let answer = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {size}\r\n\r\n{BODY}");
    loop {
        let Some(head) = wire::head(&buffer[..filled]) else {
            match stream.read(&mut buffer[filled..])? {
                0 => return Ok(()),
                count => filled += count,
            }
            continue;
        };
        let whole = head.size + head.length.unwrap_or(0);
        while filled < whole {
            match stream.read(&mut buffer[filled..])? {
                0 => return Ok(()),
                count => filled += count,
            }
        }
        let request = &buffer[..whole];
        if request.starts_with(b"POST /next") {
            if let Some(bell) = &*bell.lock().unwrap() {
                let _ = bell.send(());
            }
            stream.write_all(DONE)?;
        } else if wire::find(&request[head.size..], b"\"stream\":true").is_some() {
            let (ring, heard) = channel();
            *bell.lock().unwrap() = Some(ring);
            events(&mut stream, &heard)?;
        } else {
            stream.write_all(answer.as_bytes())?;
        }
        buffer.copy_within(whole..filled, 0);
        filled -= whole;
    }
}

/// The first event goes with the head; the stream ends when the next stream takes the bell away.
fn events(stream: &mut TcpStream, heard: &Receiver<()>) -> io::Result<()> {
    let mut number = 0;
    let mut first = STREAM.to_vec();
    first.extend_from_slice(&event(number));
    stream.write_all(&first)?;
    while heard.recv().is_ok() {
        number += 1;
        stream.write_all(&event(number))?;
    }
    stream.write_all(b"0\r\n\r\n")
}

fn event(number: u64) -> Vec<u8> {
    let data = format!("data: {{\"n\":{number},\"choices\":[{{\"delta\":{{\"content\":\"word\"}}}}]}}\n\n");
    format!("{:x}\r\n{data}\r\n", data.len()).into_bytes()
}
