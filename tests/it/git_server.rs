//! A git server on loopback: `git http-backend` behind a check of the `Authorization` header.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Arc, Mutex},
};

/// The server; its thread ends with the test process.
pub struct GitServer {
    /// Its port on 127.0.0.1.
    pub port: u16,
    allowed: Arc<Mutex<String>>,
    seen: Arc<Mutex<Vec<String>>>,
}

impl GitServer {
    /// Serves the repositories in this folder to whoever sends this value of `Authorization`; `None` where this
    /// machine has no `git http-backend`.
    pub fn start(root: &Path, allowed: &str) -> Option<Self> {
        let backend = Command::new("git").arg("--exec-path").output().ok()?;
        let backend = PathBuf::from(String::from_utf8(backend.stdout).ok()?.trim()).join("git-http-backend");
        if !backend.exists() {
            return None;
        }
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (allowed, seen) = (Arc::new(Mutex::new(allowed.to_owned())), Arc::new(Mutex::new(Vec::new())));
        let (root, known, kept) = (root.to_owned(), Arc::clone(&allowed), Arc::clone(&seen));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (root, backend) = (root.clone(), backend.clone());
                let (known, kept) = (Arc::clone(&known), Arc::clone(&kept));
                std::thread::spawn(move || serve(stream, &backend, &root, &known, &kept));
            }
        });
        Some(Self { port, allowed, seen })
    }

    /// From now on takes this value only.
    pub fn allow(&self, value: &str) {
        *self.allowed.lock().unwrap() = value.to_owned();
    }

    /// The values of `Authorization` so far; empty where a request had none.
    pub fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

fn serve(mut stream: TcpStream, backend: &Path, root: &Path, allowed: &Mutex<String>, seen: &Mutex<Vec<String>>) {
    let mut all = Vec::new();
    let mut byte = [0; 1];
    while !all.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).unwrap_or(0) == 0 {
            return;
        }
        all.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&all).into_owned();
    let header = |name: &str| {
        let line = head.lines().find(|line| line.to_ascii_lowercase().starts_with(&format!("{name}: ")));
        line.map(|line| line[name.len() + 2..].to_owned()).unwrap_or_default()
    };
    let mut body = vec![0; header("content-length").parse().unwrap_or(0)];
    assert!(header("transfer-encoding").is_empty(), "nothing here is large enough to be chunked");
    stream.read_exact(&mut body).unwrap();
    let sent = header("authorization");
    seen.lock().unwrap().push(sent.clone());
    if sent != *allowed.lock().unwrap() {
        let challenge = "WWW-Authenticate: Basic realm=\"here\"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        let _ = stream.write_all(format!("HTTP/1.1 401 Unauthorized\r\n{challenge}").as_bytes());
        return;
    }
    let mut words = head.split(' ');
    let (method, target) = (words.next().unwrap(), words.next().unwrap());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut cgi = Command::new(backend)
        .env_clear()
        .envs([("GIT_HTTP_EXPORT_ALL", "1"), ("REMOTE_USER", "somebody"), ("GIT_CONFIG_NOSYSTEM", "1")])
        .envs([("REQUEST_METHOD", method), ("PATH_INFO", path), ("QUERY_STRING", query)])
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("GIT_PROJECT_ROOT", root)
        .env("CONTENT_TYPE", header("content-type"))
        .env("CONTENT_LENGTH", body.len().to_string())
        .env("HTTP_CONTENT_ENCODING", header("content-encoding"))
        .env("GIT_PROTOCOL", header("git-protocol"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = cgi.stdin.take().unwrap();
    let answer = std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(&body));
        cgi.wait_with_output().unwrap().stdout
    });
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or(0);
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    let status = head.lines().find_map(|line| line.strip_prefix("Status: ")).unwrap_or("200 OK").to_owned();
    let body = answer.get(end + 4..).unwrap_or_default();
    let length = format!("Content-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    let _ = stream.write_all(format!("HTTP/1.1 {status}\r\n{head}\r\n{length}").as_bytes());
    let _ = stream.write_all(body);
}
