//! Helpers that are asked over HTTP: AWS's container credentials and Azure's managed identity, by raw requests. Real
//! SDKs ask them in `tests/peers/cloud_endpoints.sh`.

use std::{fs, path::Path};

use super::{
    support::{Home, key, random, run, wait_until},
    upstream::Upstream,
    wire::{self, Reply},
};

/// A home with an access key for the profile `work`, which the agent `bot` may have.
fn with_aws() -> (Home, String) {
    let (home, secret) = (Home::started(), format!("aws-{}", random()));
    home.run(["credential", "add", "aws-work"], &secret).ok();
    home.does("principal add bot --kind agent");
    home.does("helper add aws profile:work aws-work:release --username KEYID");
    home.does("grant add bot aws-work:release");
    (home, secret)
}

/// A token for the endpoint, as a rendered file has it.
fn token(home: &Home, helper: &str) -> String {
    let path = home.does(&format!("render add t-{} --helper {helper} --as bot", &random()[..6]));
    fs::read_to_string(path).unwrap()
}

fn ask(home: &Home, line: &str, headers: &str) -> Reply {
    let port = home.port();
    wire::tcp(port, format!("{line} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{headers}\r\n").as_bytes()).unwrap()
}

fn aws(home: &Home, token: &str) -> Reply {
    ask(home, "GET /_helper/aws/work", &format!("Authorization: {token}\r\nAccept: application/json\r\n"))
}

#[test]
fn aws_gets_what_the_entry_says_until_the_token_ends() {
    let (home, secret) = with_aws();
    let token = token(&home, "aws:work");
    let reply = aws(&home, &token);
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/json")), "{}", reply.text());
    let said = reply.json();
    assert_eq!(
        (&said["AccessKeyId"], &said["SecretAccessKey"], &said["Token"]),
        (&"KEYID".into(), &secret.clone().into(), &"".into())
    );
    assert!(said["Expiration"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap() > jiff::Timestamp::now());

    let audit = home.does("--json audit query --principal bot");
    let line =
        |event: &str| audit.lines().find(|line| line.contains(event)).unwrap_or_else(|| panic!("{event}: {audit}"));
    assert!(line("credential.release").contains("\"static\"") && line("credential.release").contains("\"render:t-"));
    let request = line("gateway.request");
    assert!(
        request.contains("\"_helper\"") && request.contains("/aws/work") && request.contains("lease_"),
        "{request}"
    );
    assert!(!audit.contains(&secret) && !audit.contains(&token));

    home.run(["lease", "revoke", "--token"], &token).ok();
    let reply = aws(&home, &token);
    assert_eq!((reply.status, &reply.json()["code"]), (401, &"token_revoked".into()));
    assert!(reply.json()["message"].as_str().unwrap().starts_with("hallpass: "), "{}", reply.text());
}

#[test]
fn only_that_token_in_that_place() {
    let (home, secret) = with_aws();
    let (upstream, real) = (Upstream::start(), key());
    home.does(&format!("route add up http://127.0.0.1:{} --auth bearer --allow-private", upstream.port));
    home.run(["credential", "add", "up"], &real).ok();
    home.run(["credential", "add", "aws-play"], "other-secret").ok();
    home.does("helper add aws profile:play aws-play:release --username PLAY");
    home.does("helper add aws profile:token up:read");
    home.does("grant add bot up:*");
    home.does("grant add bot aws-play:release");
    let work = token(&home, "aws:work");
    let play = token(&home, "aws:play");
    let wide = home.does("mint up:* --as bot");
    for (what, reply, status, code) in [
        ("another profile's", aws(&home, &play), 403, "outside_scope"),
        ("a route's", aws(&home, &wide), 403, "outside_scope"),
        ("none", ask(&home, "GET /_helper/aws/work", ""), 401, "token_missing"),
        ("a foreign key", aws(&home, "sk-not-ours"), 401, "token_missing"),
        ("another place", ask(&home, "GET /_helper/aws/nope", &format!("Authorization: {work}\r\n")), 404, "not_found"),
        ("no name", ask(&home, "GET /_helper/aws", &format!("Authorization: {work}\r\n")), 404, "not_found"),
        ("deeper", ask(&home, "GET /_helper/aws/work/x", &format!("Authorization: {work}\r\n")), 404, "not_found"),
        (
            "another method",
            ask(&home, "POST /_helper/aws/work", &format!("Authorization: {work}\r\nContent-Length: 0\r\n")),
            405,
            "method_not_allowed",
        ),
        (
            "not a release",
            ask(&home, "GET /_helper/aws/token", &format!("Authorization: {wide}\r\n")),
            422,
            "invalid_value",
        ),
        ("another tool", ask(&home, "GET /_helper/git/work", &format!("Authorization: {work}\r\n")), 404, "not_found"),
        ("in the query", ask(&home, &format!("GET /_helper/aws/work?token={work}"), ""), 401, "token_missing"),
        (
            "a web page",
            ask(&home, "GET /_helper/aws/work", &format!("Authorization: {work}\r\nOrigin: http://evil.example\r\n")),
            403,
            "browser_refused",
        ),
        (
            "dots",
            ask(&home, "GET /x/../_helper/aws/work", &format!("Authorization: {work}\r\n")),
            400,
            "ambiguous_request",
        ),
        ("on a route", home.through(&work, "GET /up/v1/things", "", b""), 403, "outside_scope"),
    ] {
        assert_eq!((reply.status, &*reply.code()), (status, code), "{what}: {}", reply.text());
        assert!(!reply.text().contains(&secret) && !reply.text().contains("other-secret"), "{what}");
    }
    let port = home.port();
    let foreign =
        format!("GET /_helper/aws/work HTTP/1.1\r\nHost: evil.example:{port}\r\nAuthorization: {work}\r\n\r\n");
    assert_eq!(wire::tcp(port, foreign.as_bytes()).unwrap().code(), "browser_refused");
    assert_eq!(aws(&home, &work).status, 200);
    // What may do everything at the gateway may not become the credential itself.
    let ran = home.run("--json mint up:release --as bot --parent".split(' '), &wide);
    assert!(ran.code() == 4 && ran.err().contains("widening"), "{}{}", ran.out(), ran.err());
    home.fails("mint aws-work:release --as bot", 1, "invalid_value");
    home.fails("route add _helper https://evil.example", 1, "invalid_value");
}

#[test]
fn a_change_of_the_entry_or_of_the_grant_takes_effect() {
    let (home, _) = with_aws();
    let path = home.does("render add t --helper aws:work --as bot");
    let before = fs::read_to_string(&path).unwrap();
    home.run(["credential", "add", "aws-play"], "other-secret").ok();
    home.does("helper remove aws profile:work");
    wait_until("its token ends with the entry", || aws(&home, &before).status == 401 && !Path::new(&path).exists());
    home.does("helper add aws profile:work aws-play:release --username PLAY");
    home.does("grant add bot aws-play:release");
    wait_until("a token for the new entry", || {
        fs::read_to_string(&path).is_ok_and(|token| aws(&home, &token).json()["AccessKeyId"] == "PLAY")
    });
    assert_eq!(aws(&home, &before).status, 401);
    home.does("principal disable bot");
    wait_until("the file goes with its owner", || !Path::new(&path).exists());
}

#[test]
fn exec_sets_the_variables_and_takes_real_keys_away() {
    let (home, secret) = with_aws();
    let script = "echo $AWS_CONTAINER_CREDENTIALS_FULL_URI $AWS_SHARED_CREDENTIALS_FILE [$AWS_ACCESS_KEY_ID$AWS_PROFILE]; \
        printf %s \"$AWS_CONTAINER_AUTHORIZATION_TOKEN\" >token; wc -c <token";
    let mut command = home.command(["exec", "--as", "bot", "--helper", "aws:work", "--", "sh", "-c", script]);
    command.env("AWS_ACCESS_KEY_ID", "a real one").env("AWS_PROFILE", "other");
    let ran = run(command, b"");
    let port = home.port();
    let lines: Vec<String> = ran.ok().lines().map(str::to_owned).collect();
    assert_eq!(lines[0], format!("http://127.0.0.1:{port}/_helper/aws/work /dev/null []"));
    assert_eq!(lines[1].trim(), hallpass::token::LENGTH.to_string());
    let token = fs::read_to_string(home.path().join("token")).unwrap();
    assert_eq!(aws(&home, &token).json()["code"], "token_revoked", "its task has ended");
    assert!(!ran.out().contains(&secret));

    let refused = |args: &[&str], says: &str| {
        let ran = home.run(["exec"].iter().chain(args).chain(&["--", "true"]), "");
        assert!(ran.code() != 0 && ran.err().contains(says), "{args:?}: {}", ran.err());
    };
    refused(&["--helper", "aws:work"], "hallpass grant add human 'aws-work:release'");
    refused(&["--as", "bot", "--helper", "aws:nope"], "hallpass helper add aws 'profile:nope'");
    refused(&["--as", "bot", "--helper", "git:x"], "aws:PROFILE or azure:RESOURCE");
    home.does("helper add aws profile:two aws-work:release");
    refused(&["--as", "bot", "--helper", "aws:work", "--helper", "aws:two"], "two commands");
    assert_eq!(home.does("task list"), "no open tasks; `hallpass task start TITLE` starts one");
    // A shell takes them too, and its way back.
    let out = home.does("env --as bot --helper aws:work --shell bash --no-project");
    assert!(
        out.contains("export AWS_CONTAINER_CREDENTIALS_FULL_URI=") && out.contains("unset AWS_ACCESS_KEY_ID"),
        "{out}"
    );
}

#[test]
fn azure_gets_a_token_for_the_resource_and_the_client_of_the_entry() {
    let home = Home::started();
    let value = format!("jwt-{}", random());
    home.run(["credential", "add", "arm"], &value).ok();
    home.does("principal add bot --kind agent");
    home.does("helper add azure resource:https://management.azure.com/ arm:release --username client-1");
    home.does("grant add bot arm:release");
    let token = token(&home, "azure:https://management.azure.com");
    let ask = |query: &str| {
        ask(&home, &format!("GET /_helper/azure?{query}"), &format!("X-IDENTITY-HEADER: {token}\r\nMetadata: true\r\n"))
    };
    let resource = "resource=https%3A%2F%2Fmanagement.azure.com%2F";
    let reply = ask(&format!("api-version=2019-08-01&{resource}"));
    assert_eq!(reply.status, 200, "{}", reply.text());
    let said = reply.json();
    assert_eq!((&said["access_token"], &said["token_type"]), (&value.clone().into(), &"Bearer".into()));
    assert_eq!((&said["resource"], &said["client_id"]), (&"https://management.azure.com/".into(), &"client-1".into()));
    assert!(said["expires_on"].as_str().unwrap().parse::<i64>().unwrap() > jiff::Timestamp::now().as_second());
    for (query, status) in [
        (format!("api-version=2019-08-01&{resource}&client_id=client-2"), 403),
        ("api-version=2019-08-01&resource=https%3A%2F%2Fvault.azure.net".into(), 404),
        (format!("api-version=2017-09-01&{resource}"), 400),
        (resource.to_owned(), 400),
    ] {
        let reply = ask(&query);
        assert_eq!(reply.status, status, "{query}: {}", reply.text());
        let said = reply.json();
        assert!(said["statusCode"] == status && said["message"].as_str().unwrap().starts_with("hallpass: "), "{said}");
        assert!(!reply.text().contains(&value));
    }
}
