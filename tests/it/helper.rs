//! Helpers as tools call them: the real binary, a real daemon, and each contract by hand.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
};

use super::{
    support::{Home, MEMORY, key, own_session, random, run, wait_until},
    upstream::Upstream,
};

/// A home with the credential `vault`, which has no route, and its value. It is not watched for: what is released is
/// printed.
pub fn with_static() -> (Home, String) {
    let (home, secret) = (Home::started(), format!("pw-{}", random()));
    home.run(["credential", "add", "vault"], &secret).ok();
    (home, secret)
}

/// A program in this home, with the variables that lead to its daemon and none of the caller's.
pub fn program(home: &Home, program: impl AsRef<std::ffi::OsStr>, args: &[&str]) -> Command {
    let plain = home.command(["x"]);
    let mut command = Command::new(program);
    command.args(args).env_clear().envs(plain.get_envs().filter_map(|(n, v)| Some((n, v?)))).current_dir(home.path());
    own_session(&mut command);
    command
}

/// The folder with the programs that tools look for.
pub fn links(home: &Home) -> PathBuf {
    let folder = home.path().join("links");
    home.ok(["helper", "link", folder.to_str().unwrap()]);
    folder
}

/// What git asks for.
pub const GIT: &str = "protocol=https\nhost=code.example\npath=acme/web.git\n\n";

#[test]
fn what_a_tool_gets_is_said_listed_and_taken_back() {
    let (home, _) = with_static();
    home.fails("helper add git https://code.example/acme/* nothing:release", 1, "not_found");
    home.fails("helper add git https://u:p@code.example vault:release", 1, "invalid_value");
    home.fails("helper add svn https://code.example vault:release", 1, "config");
    home.does("helper add git https://code.example/acme/* vault:release --username me");
    home.fails("helper add git https://CODE.example:443/acme/* vault:release", 1, "exists");
    let listed = home.json("helper list");
    assert_eq!((&listed["items"][0]["tool"], &listed["items"][0]["username"]), (&"git".into(), &"me".into()));
    assert!(home.does("helper list").contains("vault:release"));
    assert!(home.does("--json audit query --event helper.add").contains("code.example"));
    home.does("helper remove git https://code.example/acme/*");
    home.fails("helper remove git https://code.example/acme/*", 1, "not_found");
    assert_eq!(home.run(["helper", "git", "get"], GIT).ok(), "");
    home.fails("helper nonsense", 2, "usage");
}

#[test]
fn nothing_is_released_but_by_a_grant_that_says_so_in_that_word() {
    let (home, upstream, key) = (Home::started(), Upstream::start(), key());
    home.with_upstream(&upstream, &key);
    home.does("helper add git https://code.example up:release");
    home.does("grant add human up:*");
    for line in ["helper git --want up:release get", "helper git get"] {
        let ran = home.run(line.split(' '), GIT);
        assert_eq!((ran.out().as_str(), ran.code()), ("quit=1\n", 1), "{}", ran.err());
        assert!(ran.err().contains("hallpass grant add human 'up:release@acme/web'"), "{}", ran.err());
    }
    home.fails("mint up:release", 1, "invalid_value");
    let both = "{\"tool\":\"git\",\"url\":\"https://code.example\",\"want\":{\"issuer\":\"up\",\"scopes\":[\"read\",\"release\"]}}";
    assert_eq!(home.api("POST", "/v1/helper", both).status, 422);
    // The canary looks at everything that was printed so far: the key was not in it.
    home.does("helper add terraform https://code.example up:read");
    let token = home.ok(["helper", "terraform", "get", "code.example"]);
    let token: serde_json::Value = serde_json::from_str(&token).unwrap();
    assert!(home.works(token["token"].as_str().unwrap()));
}

#[test]
fn git_s_lines_by_hand() {
    let (home, secret) = with_static();
    home.does("helper add git https://code.example/acme/* vault:release --username me");
    let get = |text: &str| home.run(["helper", "git", "get"], text);
    let denied = get(GIT);
    assert_eq!((denied.out().as_str(), denied.err().lines().count()), ("quit=1\n", 1), "{}", denied.err());
    let command = denied.err();
    home.pasted(command[command.find("hallpass grant").unwrap()..].trim());
    assert_eq!(get(GIT).ok(), format!("username=me\npassword={secret}"));
    let modern = get(&format!("capability[]=authtype\n{GIT}")).ok();
    assert!(
        modern.starts_with("capability[]=authtype\nauthtype=Basic\ncredential=") && modern.ends_with("ephemeral=1")
    );
    // Another repository is another resource, another host is nobody's.
    assert_eq!(get(&GIT.replace("web", "secret")).out(), "quit=1\n");
    for other in ["host=code.example.evil.com", "host=evil.com", "host=code.example:8443", "host=me@code.example"] {
        let ran = get(&GIT.replace("host=code.example", other));
        assert_eq!((ran.out().as_str(), ran.err().as_str(), ran.code()), ("", "", 0), "{other}");
    }
    assert_eq!(home.run(["helper", "git", "store"], GIT).ok(), "");
    let line = home.does("--json audit query --event credential.release");
    assert!(line.contains("\"static\"") && line.contains("acme/web"), "{line}");
}

#[test]
fn erase_ends_the_token_and_a_lease_says_who_got_it() {
    let (home, upstream, key) = (Home::started(), Upstream::start(), key());
    home.with_upstream(&upstream, &key);
    home.does("helper add git https://code.example up:read");
    home.does("grant add human up:read");
    let answer = home.run(["helper", "git", "get"], GIT).ok();
    let token = answer.lines().find_map(|line| line.strip_prefix("password=")).unwrap().to_owned();
    assert!(answer.contains("password_expiry_utc=") && home.works(&token), "{answer}");
    home.run(["helper", "git", "erase"], GIT).ok();
    assert!(home.works(&token), "nothing was named");
    home.run(["helper", "git", "erase"], &GIT.replace("\n\n", &format!("\npassword={token}\n"))).ok();
    assert!(!home.works(&token));
}

#[test]
fn docker_s_exchange_by_hand() {
    let (home, secret) = with_static();
    let folder = links(&home);
    let docker = |action: &str, input: &str| {
        run(program(&home, folder.join("docker-credential-hallpass"), &[action]), input.as_bytes())
    };
    home.does("helper add docker https://registry.example vault:release --username me");
    home.does("grant add human vault:release");
    let said: serde_json::Value = serde_json::from_str(&docker("get", "registry.example").ok()).unwrap();
    assert_eq!(said, serde_json::json!({ "ServerURL": "registry.example", "Username": "me", "Secret": secret }));
    let ran = docker("get", "registry.example.evil.com");
    assert_eq!(
        (ran.out().as_str(), ran.err().as_str(), ran.code()),
        ("credentials not found in native keychain\n", "", 1)
    );
    assert_eq!(docker("list", "").ok(), "{\"registry.example\":\"me\"}");
    let stored = docker("store", "{\"ServerURL\":\"registry.example\",\"Username\":\"u\",\"Secret\":\"s\"}");
    assert!(stored.code() == 1 && stored.out().contains("docker login") && stored.err().lines().count() == 1);
    assert_eq!(docker("erase", "registry.example").ok(), "");
    home.does("credential remove vault");
    assert_eq!(docker("get", "registry.example").code(), 1);
}

#[test]
fn a_want_is_for_the_place_that_is_said_and_for_no_other_host() {
    let (home, secret) = with_static();
    home.does("helper add docker https://other.example vault:release");
    home.does("grant add human vault:release");
    let bare = home.run(["helper", "git", "--want", "vault:release", "get"], GIT);
    assert!(bare.out() == "quit=1\n" && bare.err().contains("--for"), "{}", bare.err());
    let get = |host: &str| {
        let options = ["helper", "git", "--want", "vault:release", "--for", "https://code.example/acme/*", "get"];
        home.run(options, &GIT.replace("code.example", host))
    };
    assert!(get("code.example").ok().ends_with(&secret));
    for other in ["evil.com", "code.example.evil.com", "code.example:8443"] {
        let ran = get(other);
        assert_eq!((ran.out().as_str(), ran.err().as_str(), ran.code()), ("", "", 0), "{other}");
    }
    // A tool whose own configuration says where it is for has no place to say.
    let token = home.ok(["helper", "kubectl", "--want", "vault:release"]);
    assert!(token.contains(&secret));
}

#[test]
fn in_a_task_of_less_a_helper_gives_what_the_task_was_opened_for() {
    let (home, upstream, key) = (Home::started(), Upstream::start(), format!("pw-{}", random()));
    home.with_upstream(&upstream, &key);
    home.run(["credential", "add", "vault"], "value").ok();
    home.does("helper add git https://code.example up:release");
    home.does("helper add docker https://code.example vault:release");
    for grant in ["up:read", "up:release", "vault:release"] {
        home.does(&format!("grant add human {grant}"));
    }
    let exec = |grants: &[&str], script: &str| {
        let mut words = vec!["exec"];
        grants.iter().for_each(|grant| words.extend(["--grant", grant]));
        words.extend(["--", "/bin/sh", "-c", script]);
        words.push(env!("CARGO_BIN_EXE_hallpass"));
        home.run(words, "")
    };
    let get = format!("printf '{}' | \"$0\" helper git get; echo \"[$UP_KEY]\"", GIT.replace('\n', "\\n"));
    let less = exec(&["up:read"], &get);
    assert!(
        less.out().starts_with("quit=1\n[hp_") && less.err().contains("exec --grant 'up:release"),
        "{}",
        less.err()
    );
    let enough = exec(&["up:read", "up:release"], &get).ok();
    assert!(enough.contains(&format!("password={key}\n[hp_")), "{enough}");
    let only = exec(&["up:release@acme/web"], &get).ok();
    assert!(only.contains(&format!("password={key}\n[]")), "{only}");
    let fixed = exec(&["vault:release"], "echo code.example | \"$0\" helper docker get").ok();
    assert!(fixed.contains("\"value\""), "{fixed}");
    assert_eq!(exec(&["up:read,release"], "true").code(), 1);
}

#[test]
fn a_grant_for_a_helper_leaves_references_as_they_were() {
    let (home, project) = (Home::started(), super::quarantine::Project::new());
    let file = project.path().join(".env");
    std::fs::write(&file, format!("ANTHROPIC_API_KEY={}\n", super::quarantine::anthropic())).unwrap();
    home.does(&format!("quarantine --all --yes {}", file.display()));
    home.does("grant add human anthropic:release");
    let exec = || {
        let mut command = home.command(["exec", "--", "/bin/sh", "-c", "echo \"[$ANTHROPIC_API_KEY]\""]);
        command.current_dir(project.path());
        run(command, b"")
    };
    assert!(exec().err().contains("gets no value"), "{}", exec().err());
    home.does("grant add human anthropic:messages");
    let ran = exec();
    assert!(ran.out().starts_with("[hp_"), "{}{}", ran.out(), ran.err());
}

#[test]
fn a_helper_starts_the_daemon() {
    let mut home = Home::new(MEMORY);
    let mut command = home.command(["helper", "git", "get"]);
    command.env_remove("HALLPASS_AUTOSTART").stdin(Stdio::null());
    let ran = run(command, GIT.as_bytes());
    assert_eq!((ran.out().as_str(), ran.err().as_str(), ran.code()), ("", "", 0));
    wait_until("it answers", || home.ping());
    let pid = home.api("GET", "/v1/ping", "").json()["pid"].as_i64().unwrap();
    home.also_kill(i32::try_from(pid).unwrap());
}

/// As adopt writes it for tools that run any command.
#[test]
fn what_is_asked_for_by_its_own_name_is_for_no_host() {
    let (home, secret) = with_static();
    home.does("helper add git https://code.example vault:release");
    home.does("grant add human vault:release");
    let asked = |words: &str| home.run(format!("helper keyring --want vault:release {words}").split(' '), "");
    assert_eq!(asked("get vault vault").ok(), secret);
    for other in ["get vault me", "get https://vault/simple vault", "get other vault", "get code.example vault"] {
        let ran = asked(other);
        assert!(ran.code() == 1 && ran.out().is_empty() && ran.err().contains("many hosts"), "{other}: {}", ran.err());
    }
}
