//! Helpers under the real tools: git over HTTP against a server that asks for a password, and through the gateway;
//! Cargo against a registry that asks for a token.

use std::{
    path::Path,
    process::Command,
    sync::{Arc, Mutex},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{
    git_server::GitServer,
    helper::{links, program, with_static},
    support::{Home, MEMORY, Ran, key, random, run, skipped},
    upstream::Upstream,
};

/// A bare repository `acme/web.git` with one commit.
fn repository(home: &Home) -> std::path::PathBuf {
    let root = home.path().join("srv");
    let script = "git init -q -b main --bare acme/web.git && git -C acme/web.git config http.receivepack true &&
        git init -q -b main seed && cd seed && git -c user.name=a -c user.email=a@b commit -q --allow-empty -m one &&
        git push -q ../acme/web.git main";
    std::fs::create_dir_all(&root).unwrap();
    let mut shell = program(home, "/bin/sh", &["-ec", script]);
    run(
        {
            shell.current_dir(&root);
            shell
        },
        b"",
    )
    .ok();
    root
}

/// git with our helper, then one that keeps what it is given in a file.
fn git(home: &Home, folder: &Path, args: &[&str]) -> Ran {
    let own = format!("credential.helper={}", links(home).join("git-credential-hallpass").display());
    let other = format!("credential.helper=store --file={}", home.path().join("kept").display());
    let mut all = vec!["-c", "credential.helper=", "-c", &own, "-c", &other, "-c", "credential.useHttpPath=true"];
    all.extend(["-c", "user.name=a", "-c", "user.email=a@b"]);
    all.extend(args);
    let mut command = program(home, "git", &all);
    command.env("GIT_TERMINAL_PROMPT", "0").env("GIT_CONFIG_NOSYSTEM", "1").current_dir(folder);
    run(command, b"")
}

#[test]
fn git_clones_and_pushes_and_nothing_else_keeps_the_password() {
    let (home, secret) = with_static();
    let root = repository(&home);
    let basic = format!("Basic {}", STANDARD.encode(format!("me:{secret}")));
    let Some(server) = GitServer::start(&root, &basic) else { return skipped("this machine has no git http-backend") };
    let url = format!("http://127.0.0.1:{}/acme/web.git", server.port);
    let clone = || git(&home, home.path(), &["clone", "-q", &url, "work"]);
    let unset = clone();
    assert!(unset.code() != 0 && !unset.err().contains("hallpass:"), "{}", unset.err());
    home.does(&format!("helper add git http://127.0.0.1:{}/acme/* vault:release --username me", server.port));
    let denied = clone();
    let line = denied.err();
    assert!(denied.code() != 0 && line.contains("told us to quit"), "{line}");
    let command = line.lines().find_map(|line| Some(&line[line.find("hallpass grant add")?..])).unwrap();
    assert!(command.contains("vault:release@acme/web"), "{command}");
    home.pasted(command);
    let cloned = clone();
    assert_eq!(cloned.code(), 0, "{}", cloned.err());
    let work = home.path().join("work");
    git(&home, &work, &["commit", "-q", "--allow-empty", "-m", "two"]).ok();
    git(&home, &work, &["push", "-q", "origin", "main"]).ok();
    let log = git(&home, &root.join("acme/web.git"), &["log", "--oneline", "main"]).ok();
    assert_eq!(log.lines().count(), 2, "{log}");
    assert!(server.seen().contains(&basic));
    assert!(!home.path().join("kept").exists(), "another helper kept what was given for the moment");
    let config = std::fs::read_to_string(work.join(".git/config")).unwrap();
    assert!(!config.contains(&secret), "{config}");
    // What the server takes back is not asked for again and again.
    server.allow("Basic other");
    assert_ne!(git(&home, &work, &["fetch"]).code(), 0);
}

#[test]
fn git_works_through_the_gateway_with_a_token_that_ends() {
    let mut home = Home::new(MEMORY);
    let root = repository(&home);
    let (key, user) = (key(), random());
    let basic = format!("Basic {}", STANDARD.encode(format!("{user}:{key}")));
    let Some(server) = GitServer::start(&root, &basic) else { return skipped("this machine has no git http-backend") };
    let route = format!(
        "{MEMORY}\n[[routes]]\nname = \"code\"\nbase_url = \"http://127.0.0.1:{}\"\nsource = \"test\"\n\
         auth = {{ kind = \"basic\" }}\nallow_private = true\n[[routes.scope]]\nname = \"clone\"\n\
         description = \"reading a repository\"\nresource = \"{{owner}}/{{repo}}\"\n\
         allow = [\"GET /{{owner}}/{{repo}}.git/info/refs\", \"POST /{{owner}}/{{repo}}.git/git-upload-pack\"]\n",
        server.port
    );
    std::fs::write(home.path().join("config.toml"), route).unwrap();
    home.start();
    home.run(["credential", "add", "code"], &format!("{user}:{key}")).ok();
    let gateway = format!("http://127.0.0.1:{}/code", home.port());
    home.does(&format!("helper add git {gateway}/* code:clone"));
    home.does("grant add human code:clone@acme/web");
    let cloned = git(&home, home.path(), &["clone", "-q", &format!("{gateway}/acme/web.git"), "work"]);
    assert_eq!(cloned.code(), 0, "{}", cloned.err());
    assert!(server.seen().contains(&basic), "the server saw the real key");
    let leases = home.json("lease list");
    assert_eq!(leases["items"][0]["resources"], serde_json::json!(["acme/web"]), "{leases}");
    let pushed = git(&home, &home.path().join("work"), &["push", "origin", "main:other"]);
    assert!(pushed.code() != 0, "a token to clone is none to push");
}

/// A registry that answers what Cargo asks for to whoever sends this, and 401 to all others.
fn registry(allowed: String, api: &Arc<Mutex<String>>) -> Upstream {
    let api = Arc::clone(api);
    Upstream::judging(move |seen| {
        let lower = seen.head.to_ascii_lowercase();
        let sent = lower.lines().find_map(|line| line.strip_prefix("authorization: ")).unwrap_or_default();
        let ok = sent == allowed.to_ascii_lowercase();
        let body = match () {
            () if !ok => String::new(),
            () if seen.head.contains("/config.json ") => {
                let api = api.lock().unwrap();
                format!("{{\"dl\":\"{api}/dl\",\"api\":\"{api}\",\"auth-required\":true}}")
            }
            () if seen.head.contains("/yank ") => "{\"ok\":true}".into(),
            () => "{\"crates\":[],\"meta\":{\"total\":0}}".into(),
        };
        let status = if ok { "200 OK" } else { "401 Unauthorized\r\nWWW-Authenticate: Cargo login_url=\"http://x\"" };
        format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
    })
}

fn cargo(home: &Home, index: &str, args: &[&str]) -> Ran {
    let config = home.path().join("cargo");
    std::fs::create_dir_all(&config).unwrap();
    // libcurl asks for HTTP/2 by an upgrade otherwise, which the gateway does not forward.
    let text = format!(
        "[http]\nmultiplexing = false\n[registries.my]\nindex = \"sparse+{index}/\"\ncredential-provider = [\"{}\"]\n",
        links(home).join("cargo-credential-hallpass").display()
    );
    std::fs::write(config.join("config.toml"), text).unwrap();
    let mut command: Command = program(home, std::env::var("CARGO").unwrap(), args);
    command.env("CARGO_HOME", &config);
    run(command, b"")
}

#[test]
fn cargo_gets_the_credential_where_a_grant_releases_it() {
    let (home, secret) = with_static();
    let api = Arc::default();
    let registry = registry(secret.clone(), &api);
    let index = format!("http://127.0.0.1:{}", registry.port);
    api.lock().unwrap().clone_from(&index);
    let search = || cargo(&home, &index, &["search", "--registry", "my", "sample"]);
    let unset = search();
    assert!(unset.code() != 0 && !unset.err().contains("vault"), "{}", unset.err());
    home.does(&format!("helper add cargo {index}/* vault:release"));
    let denied = search();
    assert!(
        denied.code() != 0 && denied.err().contains("hallpass grant add human 'vault:release'"),
        "{}",
        denied.err()
    );
    home.does("grant add human vault:release");
    let found = search();
    assert_eq!(found.code(), 0, "{}", found.err());
    assert!(registry.seen().iter().any(|seen| seen.head.contains(&secret)));
}

#[test]
fn what_cargo_is_about_to_do_is_all_that_its_token_may() {
    let mut home = Home::new(MEMORY);
    let key = key();
    let api = Arc::default();
    let registry = registry(key.clone(), &api);
    let route = format!(
        "{MEMORY}\n[[routes]]\nname = \"reg\"\nbase_url = \"http://127.0.0.1:{}\"\nsource = \"test\"\n\
         auth = {{ kind = \"header\", name = \"authorization\" }}\nallow_private = true\n\
         [[routes.scope]]\nname = \"read\"\ndescription = \"reading\"\nallow = [\"GET /{{rest...}}\"]\n\
         [[routes.scope]]\nname = \"yank\"\ndescription = \"yanking\"\nresource = \"{{crate}}\"\n\
         allow = [\"DELETE /api/v1/crates/{{crate}}/{{version}}/yank\"]\n",
        registry.port
    );
    std::fs::write(home.path().join("config.toml"), route).unwrap();
    home.start();
    home.run(["credential", "add", "reg"], &key).ok();
    let index = format!("http://127.0.0.1:{}/reg", home.port());
    api.lock().unwrap().clone_from(&index);
    home.does(&format!("helper add cargo {index} reg:read,yank"));
    home.does("grant add human reg:read,yank");
    let yank = cargo(&home, &index, &["yank", "--registry", "my", "--version", "0.1.0", "sample"]);
    let heads: Vec<String> = registry.seen().into_iter().map(|seen| seen.head).collect();
    assert!(heads.iter().any(|head| head.contains("config.json") && head.contains(&key)), "{heads:?}\n{}", yank.err());
    let leases = home.json("lease list");
    let given: Vec<String> = leases["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|lease| format!("{}@{}", lease["scopes"][0].as_str().unwrap(), lease["resources"][0].as_str().unwrap()))
        .collect();
    assert_eq!(yank.code(), 0, "{given:?}\n{}", yank.err());
    assert!(
        given.contains(&"read@*".to_owned()) && given.contains(&"yank@sample".to_owned()),
        "{given:?}\n{}",
        yank.err()
    );
}
